// Package emulated judges, on an amd64 machine, what multiway makes for arm64: its tests cross-compile the kernel tester,
// the compiler and the demo and run them under qemu. They run when asked for, by make test-arm64 or in CI, because
// emulation takes minutes and needs two Debian packages. Package bochs below it does the same for AVX-512.
//
// Emulation says whether results are right, not how fast they come: asm/arm64/THROUGHPUT.md is about that.
package emulated
