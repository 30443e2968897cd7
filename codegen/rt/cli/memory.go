package cli

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

// Pictures that are decoded at the same time take at most this share of the memory that
// the process may use.
const decodeShare = 4 // a quarter

// room is for the pictures of a stream.
func (a *App) room() *room { return newRoom(cmp.Or(a.decodeMemory, memoryLimit()/decodeShare)) }

// largest is the most bytes that one picture may take: the rest is for all else, as more than
// there is ends the process without a word.
func (a *App) largest() int64 { return cmp.Or(a.pictureMemory, hardLimit()/4*3) }

// unknownMemory is what a machine has that does not say.
const unknownMemory = 8 << 30

// room bounds what goroutines take of something at the same time. One of them is always
// let through, whatever it takes.
type room struct {
	mu          sync.Mutex
	less        sync.Cond
	limit, used int64
}

func newRoom(limit int64) *room {
	r := &room{limit: limit}
	r.less.L = &r.mu
	return r
}

// take waits until there is room for n.
func (r *room) take(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.used > 0 && n > r.limit-r.used {
		r.less.Wait()
	}
	r.used += n
}

// give returns what take took.
func (r *room) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
	r.less.Broadcast()
}

// memoryLimit returns how many bytes this process may use: the least of its hard limit
// and what GOMEMLIMIT says.
func memoryLimit() int64 { return min(hardLimit(), debug.SetMemoryLimit(-1)) }

// hardLimit returns how many bytes this process can use: the least of what the machine
// has, what its control groups allow and what is left of its address space.
func hardLimit() int64 {
	proc := os.DirFS("/proc")
	limit := min(physicalMemory(proc), groupMemory(proc, os.DirFS("/")), addressSpace(proc))
	if limit == math.MaxInt64 {
		limit = unknownMemory
	}
	return limit
}

// addressSpace reads what is left of the address space that the process may have, as
// ulimit -v sets it, MaxInt64 if there is no limit.
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

// physicalMemory reads the size of the machine's memory, MaxInt64 if it is unknown.
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

// groupMemory reads the least memory that Linux's control groups allow this process, of
// either version, MaxInt64 if they set no limit. A container may see its group as the
// root of the hierarchy, or by the path that it has outside: the limit is looked for at
// each folder of the path.
func groupMemory(proc, root fs.FS) int64 {
	groups, _ := readSmall(proc, "self/cgroup")
	mounts, _ := readSmall(proc, "self/mountinfo")
	limit := int64(math.MaxInt64)
	for line := range strings.Lines(groups) {
		// ID:CONTROLLERS:PATH, where version 2 names no controllers.
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

// groupMounts yields where a version of control groups, with its memory, is mounted.
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

// hasWord reports whether a list with commas has a word.
func hasWord(list, word string) bool { return strings.Contains(","+list+",", ","+word+",") }

// readSmall reads a file of the system.
func readSmall(root fs.FS, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(b), err
}
