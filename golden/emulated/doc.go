// Package emulated tests multiway for other systems on an amd64 machine. Its tests cross-compile the kernel tester, the
// compiler and the demo for arm64, and the last two for 32-bit, big-endian and Windows systems, and run them under qemu and
// Wine. They run only on request, by make test-arm64 or in CI, because emulation takes minutes and needs some Debian packages.
//
// Emulation checks results, not speed: see asm/arm64/THROUGHPUT.md for that.
package emulated
