// Package bochs runs x86-64 Linux programs on an emulated CPU with instructions that this machine may lack, such as AVX-512.
//
// The emulator is Bochs, which interprets every instruction and does not use the host's vector units. [Open] builds it from
// Debian's source, and fetches a Linux kernel, once. [Machine.Run] boots that kernel from a CD with one program and its
// files; the guest's first process, the command in init, runs the program and turns the machine off. The program's output
// arrives over a serial port while it runs; the other serial port is the kernel's console, which errors quote.
//
// The tests, run by make test-avx512, run every kernel on a CPU of exactly its level, and models at every level. They also
// check failures: wrong kernels, and guests that do not boot or do not end. A new level needs an entry in their table cpus.
//
// A guest has one CPU at about 100 million instructions a second. Its clock counts instructions.
package bochs
