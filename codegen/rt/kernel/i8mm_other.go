//go:build !(windows && arm64)

package kernel

import "golang.org/x/sys/cpu"

// hasI8MM says that the CPU has I8MM.
var hasI8MM = cpu.ARM64.HasI8MM
