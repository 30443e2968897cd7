package kernel

import (
	"fmt"
	"runtime"
	"testing"
	"testing/fstest"
)

func TestCores(t *testing.T) {
	siblings := func(lists ...string) fstest.MapFS {
		sys := fstest.MapFS{}
		for i, l := range lists {
			sys[fmt.Sprintf("devices/system/cpu/cpu%d/topology/thread_siblings_list", i)] = &fstest.MapFile{Data: []byte(l + "\n")}
		}
		return sys
	}
	status := func(allowed string) fstest.MapFS {
		return fstest.MapFS{"self/status": {Data: []byte("Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t" + allowed + "\nMems_allowed:\t1\n")}}
	}
	hybrid := siblings("0-1", "0-1", "2-3", "2-3", "4", "5", "6") // two fast cores of two threads, three slow ones
	for _, c := range []struct {
		name      string
		proc, sys fstest.MapFS
		want      int
	}{
		{"no hardware threads", status("0-3"), siblings("0", "1", "2", "3"), 4},
		{"two threads a core", status("0-3"), siblings("0,2", "1,3", "0,2", "1,3"), 2},
		{"hybrid", status("0-6"), hybrid, 5},
		{"some are allowed", status("0,2-4"), hybrid, 3},
		{"one core", status("1"), hybrid, 1},
		{"a core is not described", status("0-7"), hybrid, 0},
		{"no list", fstest.MapFS{}, hybrid, 0},
		{"a strange list", status("all"), hybrid, 0},
		{"another system", fstest.MapFS{}, fstest.MapFS{}, 0},
	} {
		if got := countCores(c.proc, c.sys); got != c.want {
			t.Errorf("%s: %d cores, want %d", c.name, got, c.want)
		}
	}
	if n := Cores(); n < 1 || n > runtime.GOMAXPROCS(0) {
		t.Errorf("%d cores", n)
	}
}
