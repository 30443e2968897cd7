package bench

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// peak is a loop of independent fused multiply-adds in registers.
type peak struct {
	level string
	run   func(n int)
	flops int // per round
}

// plain replaces peaks on builds without assembly: eight chains of multiply-adds, fused or not
// as the compiler decides.
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

// machine holds measured limits of the machine by the number of threads. The best sample
// counts, since other load only lowers a sample.
type machine struct {
	fma      map[int]float64                // GFLOP/s
	read     map[int]float64                // GB/s
	rates    map[blob.DType]map[int]float64 // of products by the type of weights, GFLOP/s; a type that is multiplied as float32 has none
	readings []Reading
	effort   effort
	cores    int // kernel.Cores
	loops    []loop
	products map[blob.DType]loop
	memory   []uint64 // at least eight times the last-level cache
}

// Reading is one measurement of the machine during a run.
type Reading struct {
	Threads int     `json:"threads"`
	FMA     float64 `json:"fma_gflops"` // median of samples of a few milliseconds
	Read    float64 `json:"read_gbps"`
}

// effort bounds a reading: the duration of one sample of the FMA peak, the number of samples, and
// the largest buffer, in bytes, that measures the bandwidth.
type effort struct {
	time    time.Duration
	samples int
	memory  int
}

// whole is the effort of a benchmark; tests, which check no figures, use less.
var whole = effort{5 * time.Millisecond, 8, min(2<<30, math.MaxInt32)}

// newMachine returns a machine whose peaks are those of the best of the levels, with the kernels of the subjects; "" is the
// default level.
func newMachine(e effort, subjects []Subject, levels []string) (*machine, error) {
	m := &machine{effort: e, fma: map[int]float64{}, read: map[int]float64{}, rates: map[blob.DType]map[int]float64{}, products: map[blob.DType]loop{}, cores: kernel.Cores()}
	var has []string
	best := map[blob.DType]float64{}
	for _, l := range levels {
		chain, err := kernel.Chain(l)
		if err != nil {
			return nil, err
		}
		has = append(has, chain...)
		for _, s := range subjects {
			k, _, err := kernel.Choose(s.Package.Kernels, l)
			if err != nil {
				return nil, err
			}
			for d, loops := range products(k) {
				for _, p := range loops {
					if rate := p.rate(m.effort.time, 1); rate > best[d] {
						best[d], m.products[d] = rate, p
					}
				}
			}
		}
	}
	for _, p := range peaks {
		if slices.Contains(has, p.level) {
			m.loops = append(m.loops, p.loop())
		}
	}
	if m.loops == nil {
		m.loops = []loop{plain.loop()}
	}
	m.memory = make([]uint64, min(8*lastCache(), e.memory)/8)
	for i := 0; i < len(m.memory); i += lineWords { // untouched pages would share one zero page
		m.memory[i] = uint64(i)
	}
	return m, nil
}

const (
	lineWords    = 8 // words of 8 bytes in a cache line
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

// processor returns the name of the CPU.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// PeakMemory returns the peak resident memory of the process in MiB; 0 if the system does not
// report it.
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

// together runs f on n goroutines at once and returns the time from the common start to the
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

// rate runs the loop on n threads for about that time and returns its rate in GFLOP/s.
func (p loop) rate(d time.Duration, n int) float64 {
	const probe = 1 << 14 // operations of a vector's size, about
	run, few := p.begin(), max(1, probe*plain.flops/p.flops)
	run(few)
	at := time.Now()
	run(few)
	const pieces = 16 // a thread can stop for the garbage collector between two pieces
	rounds := int(float64(few)*float64(d)/float64(max(1, time.Since(at))))/pieces + 1
	took := together(n, func(int) {
		run := p.begin()
		for range pieces {
			run(rounds)
		}
	})
	return float64(n*pieces*rounds*p.flops) / float64(took)
}

// rates returns the samples of a loop's rate, in increasing order.
func (e effort) rates(p loop, n int) []float64 {
	var all []float64
	for range e.samples {
		all = append(all, p.rate(e.time, n))
	}
	slices.Sort(all)
	return all
}

// sample adds a reading with n threads.
func (m *machine) sample(n int) {
	var fma []float64
	for _, p := range m.loops {
		if all := m.effort.rates(p, n); fma == nil || all[len(all)/2] > fma[len(fma)/2] {
			fma = all
		}
	}
	for d, p := range m.products {
		if m.rates[d] == nil {
			m.rates[d] = map[int]float64{}
		}
		m.rates[d][n] = max(m.rates[d][n], slices.Max(m.effort.rates(p, n)))
	}
	read := 0.0
	for range 2 { // the first pass is slower, because the timed calls changed the caches
		read = max(read, float64(8*len(m.memory))/float64(m.sweep(n)))
	}
	m.note(n, fma, read)
}

// note records a reading with n threads. fma holds samples of the FMA peak in GFLOP/s, in increasing
// order, at least one; read is the bandwidth of reading in GB/s.
func (m *machine) note(n int, fma []float64, read float64) {
	m.readings = append(m.readings, Reading{n, fma[len(fma)/2], read})
	m.fma[n], m.read[n] = max(m.fma[n], fma[len(fma)-1]), max(m.read[n], read)
}

// BusySpread is the difference between figures of one kind, in percent, above which they and
// the results that depend on them are marked.
const BusySpread = 15

// The peak of n threads is doubtful if it is less than this share of n times the peak of one thread.
// Two threads run on cores of their own; more threads may share cores or run on slower ones.
const (
	twoThreads = 2. / 3
	allThreads = 0.4
)

// doubts returns the reasons why the figures measured with n threads may be below the limits of
// the machine.
func (m *machine) doubts(n int) []string {
	var why []string
	least := Reading{FMA: m.fma[n], Read: m.read[n]}
	for _, r := range m.readings {
		if r.Threads == n {
			least.FMA, least.Read = min(least.FMA, r.FMA), min(least.Read, r.Read)
		}
	}
	share, one := twoThreads, m.fma[1]
	if n > 2 {
		share = allThreads
	}
	expected := float64(min(n, m.cores)) * one
	switch {
	case 100*(m.fma[n]-least.FMA) > BusySpread*m.fma[n]:
		why = append(why, fmt.Sprintf("FMA peak of %s from %.1f to %.1f GFLOP/s", threads(n), least.FMA, m.fma[n]))
	case one > 0 && m.fma[n] < share*expected:
		why = append(why, fmt.Sprintf("FMA peak of %s %.1f GFLOP/s, of 1 thread %.1f: other processes use the cores, or the threads share one core", threads(n), m.fma[n], one))
	}
	if 100*(m.read[n]-least.Read) > BusySpread*m.read[n] {
		why = append(why, fmt.Sprintf("read of %s from %.1f to %.1f GB/s", threads(n), least.Read, m.read[n]))
	}
	return why
}

// Spread returns the difference between the 90th and the 10th percentile of sorted figures, in
// percent of the median.
func Spread(x []float64) float64 {
	n := len(x) - 1
	low := (n + 5) / 10
	return 100 * (x[n-low] - x[low]) / x[len(x)/2]
}

// sweep reads the whole buffer once, which also evicts everything else from the caches.
func (m *machine) sweep(threads int) time.Duration {
	sums := make([]uint64, threads*lineWords)
	return together(threads, func(i int) {
		part := m.memory[len(m.memory)*i/threads : len(m.memory)*(i+1)/threads]
		sums[i*lineWords] = touch(part)
	})
}

// touch reads one word of each cache line in four independent streams, so that only memory
// bounds the time.
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
