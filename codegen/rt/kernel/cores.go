package kernel

import (
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// Cores returns the number of cores that this process can use, at most GOMAXPROCS: as many threads as keep
// every unit of multiply-adds busy. The hardware threads of a core count as one, because they share its
// units. Fast and slow cores count alike. Where the system does not say which threads share a core, it
// returns GOMAXPROCS.
func Cores() int {
	n := runtime.GOMAXPROCS(0)
	if c := physical(); c > 0 {
		n = min(n, c)
	}
	return n
}

var physical = sync.OnceValue(func() int { return countCores(os.DirFS("/proc"), os.DirFS("/sys")) })

// countCores returns the number of cores whose threads this process may run on, by Linux's proc and sys file
// systems; 0: unknown.
func countCores(proc, sys fs.FS) int {
	status, _ := fs.ReadFile(proc, "self/status")
	cores := map[string]bool{}
	for line := range strings.Lines(string(status)) {
		list, ok := strings.CutPrefix(line, "Cpus_allowed_list:")
		if !ok {
			continue
		}
		for span := range strings.SplitSeq(strings.TrimSpace(list), ",") {
			first, last, isRange := strings.Cut(span, "-")
			if !isRange {
				last = first
			}
			a, errA := strconv.Atoi(first)
			b, errB := strconv.Atoi(last)
			if errA != nil || errB != nil {
				return 0
			}
			for ; a <= b; a++ {
				siblings, err := fs.ReadFile(sys, "devices/system/cpu/cpu"+strconv.Itoa(a)+"/topology/thread_siblings_list")
				if err != nil {
					return 0
				}
				cores[string(siblings)] = true
			}
		}
	}
	return len(cores)
}
