package bench

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/multiway-go/multiway/codegen/rt"
)

// peak is a loop of fused multiply-adds in registers.
type peak struct {
	level string
	run   func(n int)
	flops int // of a round
}

// plain stands in where there is no assembly: eight chains that the compiler may or
// may not fuse.
var plain = peak{"generic", plainPeak, 2 * 8}

//go:noinline
func plainPeak(n int) {
	var a, b, c, d, e, f, g, h float32
	x := float32(n) * 1e-9
	for range n {
		a, b, c, d = a*x+x, b*x+x, c*x+x, d*x+x
		e, f, g, h = e*x+x, f*x+x, g*x+x, h*x+x
	}
	runtime.KeepAlive(a + b + c + d + e + f + g + h)
}

// machine measures what the machine can do, by the number of threads. The best sample
// counts: load of others only makes it less.
type machine struct {
	fma    map[int]float64 // GFLOP/s
	read   map[int]float64 // GB/s
	loops  []peak
	memory []uint64 // at least eight times the last-level cache
}

// How long one sample of the peak runs, how many there are at a time, and the most
// memory that a sample of the bandwidth reads. Tests, which judge no numbers, take less.
var (
	sampleTime = 5 * time.Millisecond
	samples    = 8
	maxMemory  = min(2<<30, math.MaxInt32)
)

func newMachine() *machine {
	m := &machine{fma: map[int]float64{}, read: map[int]float64{}}
	for _, p := range peaks {
		if slices.Contains(rt.Levels(), p.level) {
			m.loops = append(m.loops, p)
		}
	}
	if m.loops == nil {
		m.loops = []peak{plain}
	}
	m.memory = make([]uint64, min(8*lastCache(), maxMemory)/8)
	for i := 0; i < len(m.memory); i += lineWords { // untouched pages would all be one
		m.memory[i] = uint64(i)
	}
	return m
}

const (
	lineWords    = 8 // of 8 bytes, in a cache line
	defaultCache = 32 << 20
	largestCache = 1 << 30
)

// lastCache returns the size of the last-level cache in bytes.
func lastCache() int {
	size := 0
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu0/cache/index*/size")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		text, unit := strings.TrimSpace(string(b)), 1
		if t, ok := strings.CutSuffix(text, "K"); ok {
			text, unit = t, 1<<10
		} else if t, ok := strings.CutSuffix(text, "M"); ok {
			text, unit = t, 1<<20
		}
		if n, err := strconv.Atoi(text); err == nil && n < largestCache/unit {
			size = max(size, n*unit)
		}
	}
	if size == 0 {
		return defaultCache
	}
	return size
}

// processor names the CPU.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// PeakMemory returns the most memory that the process has had at a time, in MB; 0 where
// the system does not say.
func PeakMemory() float64 {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1024
		}
	}
	return 0
}

// together runs f on n threads at once and returns the time from the first start to the
// last end.
func together(n int, f func(i int)) time.Duration {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			f(i)
		})
	}
	ready.Wait()
	at := time.Now()
	close(start)
	done.Wait()
	return time.Since(at)
}

// sample measures once more with each number of threads.
func (m *machine) sample(threads []int) {
	for _, n := range threads {
		for _, p := range m.loops {
			const probe = 1 << 14
			p.run(probe)
			at := time.Now()
			p.run(probe)
			rounds := int(probe * float64(sampleTime) / float64(max(1, time.Since(at))))
			const pieces = 16 // a thread can be stopped for the garbage collector between two
			for range samples {
				d := together(n, func(int) {
					for range pieces {
						p.run(rounds/pieces + 1)
					}
				})
				m.fma[n] = max(m.fma[n], float64(n*pieces*(rounds/pieces+1)*p.flops)/float64(d))
			}
		}
		m.read[n] = max(m.read[n], float64(8*len(m.memory))/float64(m.sweep(n)))
	}
}

// sweep reads all of the memory once, so that nothing else is left in the caches.
func (m *machine) sweep(threads int) time.Duration {
	sums := make([]uint64, threads*lineWords)
	return together(threads, func(i int) {
		part := m.memory[len(m.memory)*i/threads : len(m.memory)*(i+1)/threads]
		sums[i*lineWords] = touch(part)
	})
}

// touch reads one word of each cache line in four streams, so that nothing but the
// memory is waited for.
func touch(x []uint64) uint64 {
	n := len(x) / 4
	var a, b, c, d uint64
	p, q, r, s := x[:n], x[n:][:n], x[2*n:][:n], x[3*n:][:n]
	for i := 0; i < n; i += lineWords {
		a += p[i]
		b += q[i]
		c += r[i]
		d += s[i]
	}
	return a + b + c + d
}
