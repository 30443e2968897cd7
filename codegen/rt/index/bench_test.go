//go:build !js

package index

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

var benchFiles = flag.Int("files", 100_000, "files of the index of BenchmarkSearch")

// readAll reads memory on threads, as fast as plain Go does.
func readAll(data []byte, threads int) uint64 {
	words := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/8)
	var sum atomic.Uint64
	var next atomic.Int64
	const part = 1 << 17
	var wait sync.WaitGroup
	for range threads {
		wait.Go(func() {
			var a, b, c, d, e, f, g, h uint64
			for i := int(next.Add(1)-1) * part; i < len(words); i = int(next.Add(1)-1) * part {
				w := words[i:min(i+part, len(words))]
				for ; len(w) >= 8; w = w[8:] {
					a, b, c, d, e, f, g, h = a+w[0], b+w[1], c+w[2], d+w[3], e+w[4], f+w[5], g+w[6], h+w[7]
				}
			}
			sum.Add(a + b + c + d + e + f + g + h)
		})
	}
	wait.Wait()
	return sum.Load()
}

// BenchmarkSearch times a search of 1 to 4 queries by turns with a loop that reads the same bytes on the same threads, and what opening
// the index and looking up all of its files take.
func BenchmarkSearch(b *testing.B) {
	const dim = 768
	dir := filepath.Join(b.TempDir(), "index")
	c := config(dim)
	c.Threads = 0
	x := create(b, dir, c)
	var items []Item
	var names []Name
	v := vectorOf(1, dim)
	for i := range *benchFiles {
		it := itemOf(fmt.Sprintf("folder %d/a picture %07d.jpeg", i/1000, i), 0, 1)
		binary.LittleEndian.PutUint64(it.SHA256[:], uint64(i))
		it.Vector = append([]float32{}, v...)
		it.Vector[i%dim] += float32(i) / 1e7
		names = append(names, it.Name)
		if items = append(items, it); len(items) == 8192 || i == *benchFiles-1 {
			must(b, x.Add(items...))
			items = items[:0]
		}
	}
	must(b, x.Close())
	least := func(old *time.Duration, f func()) {
		begun := time.Now()
		f()
		if took := time.Since(begun); *old == 0 || took < *old {
			*old = took
		}
	}
	var opened, looked, read, first time.Duration
	var searched [5]time.Duration
	for b.Loop() {
		least(&opened, func() {
			var err error
			x, err = Open(dir, c)
			must(b, err)
		})
		least(&looked, func() {
			for i := 0; i < len(names); i += 1024 {
				_, err := x.Lookup(names[i:min(i+1024, len(names))]...)
				must(b, err)
			}
		})
		for n := range 5 {
			var q [][]float32
			for i := range n {
				q = append(q, vectorOf(uint64(i), dim))
			}
			if n == 0 {
				least(&first, func() { x.Search(context.Background(), [][]float32{v}, 10) })
				continue
			}
			least(&read, func() { readAll(x.state.data, x.scan.threads) })
			least(&searched[n], func() {
				_, err := x.Search(context.Background(), q, 10)
				must(b, err)
			})
		}
		must(b, x.Close())
	}
	ms := func(d time.Duration, name string) { b.ReportMetric(d.Seconds()*1e3, name+"-ms") }
	ms(opened, "open")
	ms(looked, "lookup-all")
	ms(first, "first")
	ms(read, "read")
	for n := 1; n < 5; n++ {
		ms(searched[n], fmt.Sprintf("search%d", n))
	}
}
