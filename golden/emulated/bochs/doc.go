// Package bochs runs x86-64 Linux programs on an emulated CPU that has what this machine's may lack: AVX-512 above all.
//
// The emulator is Bochs, which interprets every instruction and uses none of the host's vector units: [Open] builds it from
// Debian's source, and fetches a Linux kernel, once. [Machine.Run] boots that kernel from a CD with one program and its
// files; the guest's first process, the command in init, runs the program and turns the machine off. What the program prints
// arrives as it is printed, over a serial port; the other serial port is the kernel's console, which errors quote.
//
// The tests, which make test-avx512 runs, run every kernel on a CPU of its level and no higher one, models at every level,
// and what must fail: wrong kernels, guests that do not boot or do not end. A level more is a row of cpus there.
//
// A guest has one CPU at about 100 million instructions a second. Its clock counts instructions.
package bochs
