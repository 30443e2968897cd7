//go:build unix

package asmtest

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// EnvMaxFile is the environment variable with the size limit, in bytes, of files that the process writes.
const EnvMaxFile = "MULTIWAY_TEST_MAX_FILE"

// LimitFiles applies the limit of EnvMaxFile, if it is set: writing more to a file is an error, as on a full disk. A test program
// that runs itself as a child calls it first.
func LimitFiles() {
	if n, err := strconv.ParseInt(os.Getenv(EnvMaxFile), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		var limit syscall.Rlimit
		set(&limit.Cur, n)
		set(&limit.Max, n)
		syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
	}
}

// set sets a field of Rlimit, whose type differs between systems.
func set[T int64 | uint64](to *T, n int64) { *to = T(n) }
