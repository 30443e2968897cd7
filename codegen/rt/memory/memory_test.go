package memory

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

// What a process may use is the least that its control groups say at any folder of their
// paths.
func TestGroupMemory(t *testing.T) {
	const (
		v1  = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
		v2  = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n"
		hyb = v1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	)
	for _, test := range []struct {
		name, groups, mounts string
		files                map[string]string
		want                 int64
	}{
		{"version 2 in a container", "0::/\n", v2, map[string]string{"sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30},
		{"version 2 below a limit", "0::/a/b\n", v2, map[string]string{"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "2000000\n"}, 2000000},
		{"version 1", "4:memory:/x\n1:cpu:/\n", v1, map[string]string{"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "500000000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 500000000},
		{"version 1 by the path outside", "4:cpu,memory:/docker/1234\n", v1, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "300000000\n"}, 300000000},
		{"both, memory in version 1", "4:memory:/x\n0::/\n", hyb, map[string]string{"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "400000000\n"}, 400000000},
		{"no limit", "0::/\n", v2, map[string]string{"sys/fs/cgroup/memory.max": "max\n"}, math.MaxInt64},
		{"another controller", "1:cpu:/\n", v1, map[string]string{"sys/fs/cgroup/cpu/memory.limit_in_bytes": "1\n"}, math.MaxInt64},
		{"no groups", "", "", nil, math.MaxInt64},
		{"nonsense", ":::\n4:memory\n0::../../..\n", v2 + "x - y\n-\n", map[string]string{"sys/fs/cgroup/memory.max": "-1"}, math.MaxInt64},
	} {
		root := fstest.MapFS{"self/cgroup": {Data: []byte(test.groups)}, "self/mountinfo": {Data: []byte(test.mounts)}}
		for name, text := range test.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := groupMemory(root, root); got != test.want {
			t.Errorf("%s: %d bytes, want %d", test.name, got, test.want)
		}
	}
}

func TestLimit(t *testing.T) {
	if got := physicalMemory(fstest.MapFS{"meminfo": {Data: []byte("MemTotal:       24684092 kB\nMemFree: 1 kB\n")}}); got != 24684092<<10 {
		t.Errorf("physical memory is %d", got)
	}
	if got := physicalMemory(fstest.MapFS{}); got != math.MaxInt64 {
		t.Errorf("unknown memory is %d", got)
	}
	for _, test := range []struct {
		limits, status string
		want           int64
	}{
		{"Limit                     Soft Limit           Hard Limit           Units\nMax address space         2048000000           unlimited            bytes\n", "Name:\tx\nVmSize:\t 1000000 kB\n", 1024000000},
		{"Max address space         2048000000           2048000000           bytes\n", "", 2048000000},
		{"Max address space         2048000000           2048000000           bytes\n", "VmSize:\t 9000000 kB\n", 2048000000},
		{"Max address space         unlimited            unlimited            bytes\n", "VmSize:\t 1000000 kB\n", math.MaxInt64},
		{"", "", math.MaxInt64},
	} {
		if got := addressSpace(fstest.MapFS{"self/limits": {Data: []byte(test.limits)}, "self/status": {Data: []byte(test.status)}}); got != test.want {
			t.Errorf("of %q and %q: %d bytes of addresses, want %d", test.limits, test.status, got, test.want)
		}
	}
	before := Limit()
	if before < 1<<20 {
		t.Errorf("this process may use %d bytes", before)
	}
	old := debug.SetMemoryLimit(before / 2)
	defer debug.SetMemoryLimit(old)
	if got := Limit(); got != before/2 {
		t.Errorf("with GOMEMLIMIT %d: %d bytes", before/2, got)
	}
}
