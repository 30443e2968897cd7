// Package memory says how much memory this process can use. It does not measure what the process uses.
package memory

import (
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// unknownMemory is the memory size, in bytes, assumed where the system does not report it.
const unknownMemory = 8 << 30

// Limit returns the bytes that this process may use: the smaller of Hard and GOMEMLIMIT.
func Limit() int64 { return min(Hard(), debug.SetMemoryLimit(-1)) }

// Hard returns the bytes that this process can use: the least of the machine's memory, the
// limits of its control groups and the rest of its address space.
func Hard() int64 {
	proc := os.DirFS("/proc")
	limit := min(physicalMemory(proc), groupMemory(proc, os.DirFS("/")), addressSpace(proc))
	if limit == math.MaxInt64 {
		limit = unknownMemory
	}
	return limit
}

// addressSpace returns how many bytes of address space the process may still map under its limit
// (ulimit -v); MaxInt64 if there is no limit.
func addressSpace(proc fs.FS) int64 {
	limits, _ := readSmall(proc, "self/limits")
	status, _ := readSmall(proc, "self/status")
	for line := range strings.Lines(limits) {
		var limit, kB int64
		if n, _ := fmt.Sscanf(line, "Max address space %d", &limit); n != 1 || limit < 0 {
			continue
		}
		for line := range strings.Lines(status) {
			if n, _ := fmt.Sscanf(line, "VmSize: %d kB", &kB); n == 1 && kB >= 0 && kB < limit>>10 {
				return limit - kB<<10
			}
		}
		return limit
	}
	return math.MaxInt64
}

// physicalMemory returns the machine's memory in bytes; MaxInt64 if unknown.
func physicalMemory(proc fs.FS) int64 {
	text, _ := readSmall(proc, "meminfo")
	for line := range strings.Lines(text) {
		var kB int64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kB); n == 1 && kB < math.MaxInt64>>10 {
			return kB << 10
		}
	}
	return math.MaxInt64
}

// groupMemory returns the lowest memory limit, in bytes, of the process's Linux control groups,
// version 1 or 2; MaxInt64 if there is none. A container may see its group as the root of the
// hierarchy or under its path outside, so every folder of the path is tried.
func groupMemory(proc, root fs.FS) int64 {
	groups, _ := readSmall(proc, "self/cgroup")
	mounts, _ := readSmall(proc, "self/mountinfo")
	limit := int64(math.MaxInt64)
	for line := range strings.Lines(groups) {
		// ID:CONTROLLERS:PATH; version 2 has no controllers.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) < 3 {
			continue
		}
		kind, name := "cgroup2", "memory.max"
		if f[1] != "" {
			if !hasWord(f[1], "memory") {
				continue
			}
			kind, name = "cgroup", "memory.limit_in_bytes"
		}
		for at := range groupMounts(mounts, kind) {
			for dir := path.Join("/", f[2]); ; dir = path.Dir(dir) {
				text, err := readSmall(root, strings.TrimPrefix(path.Join(at, dir, name), "/"))
				if n, perr := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil && perr == nil && n > 0 {
					limit = min(limit, n)
				}
				if dir == "/" {
					break
				}
			}
		}
	}
	return limit
}

// groupMounts yields the mount points of a version of control groups that has the memory
// controller.
func groupMounts(mounts, kind string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(mounts) {
			// ID PARENT DEVICE ROOT PLACE OPTIONS [FIELDS...] - KIND SOURCE OPTIONS
			left, right, ok := strings.Cut(strings.TrimSpace(line), " - ")
			l, r := strings.Fields(left), strings.Fields(right)
			if !ok || len(l) < 5 || len(r) < 3 || r[0] != kind || kind == "cgroup" && !hasWord(r[2], "memory") {
				continue
			}
			if !yield(l[4]) {
				return
			}
		}
	}
}

// hasWord reports whether a comma-separated list contains a word.
func hasWord(list, word string) bool { return strings.Contains(","+list+",", ","+word+",") }

// readSmall reads at most the first MiB of a system file.
func readSmall(root fs.FS, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(b), err
}
