// Package emulated judges, on an amd64 machine, what multiway makes for others: its tests cross-compile the kernel tester,
// the compiler and the demo for arm64, and the last two for 32-bit, big-endian and Windows systems, and run them under qemu
// and Wine. They run when asked for, by make test-arm64 or in CI, because emulation takes minutes and needs some Debian
// packages.
//
// Emulation says whether results are right, not how fast they come: asm/arm64/THROUGHPUT.md is about that.
package emulated
