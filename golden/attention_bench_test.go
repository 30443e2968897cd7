package golden_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/generated/kernels"
)

// BenchmarkAttention times self-attention with 12 heads of 64 columns at each level and, by turns with it, the level's peak
// loop of multiply-adds on as many threads. A turn takes milliseconds, so that waking threads counts little, as in a model. %FMA
// is the median, over the turns, of attention's share of the loop's rate.
func BenchmarkAttention(b *testing.B) {
	for _, k := range asm.Catalogue {
		if compiled, lacks, _ := usable(k); k.Op == asm.OpPeakFMA && lacks == "" {
			l, _ := k.ISA.Level()
			for _, tokens := range []int{64, 197, 577, 901} {
				for threads := 1; threads <= min(2, runtime.NumCPU()); threads++ {
					b.Run(fmt.Sprintf("%s/tokens=%d/threads=%d", k.ISA, tokens, threads), func(b *testing.B) {
						benchAttention(b, k.ISA, compiled.Func.(func(int)), 12*2*l.Vector, tokens, threads)
					})
				}
			}
		}
	}
}

// benchAttention times attention at a level. round runs rounds of that many operations of the peak loop.
func benchAttention(b *testing.B, level asm.ISA, loop func(rounds int), round, tokens, threads int) {
	const heads, d = 12, 64
	table, _, err := kernel.Choose(kernels.F32, string(level))
	if err != nil {
		b.Fatal(err)
	}
	const ldqkv, ld = 3*heads*d + 16, heads*d + 16
	e := exec.New(table, nil, 4*tokens*(ldqkv+ld), threads)
	defer e.Close()
	a, secs := &exec.Attention{Heads: heads, D: d, DP: d, Base2: true, Scale: 1}, []exec.Section{{C: tokens}}
	qkv, out := e.Mat(0, ldqkv, tokens, 3*heads*d), e.Mat(4*tokens*ldqkv, ld, tokens, heads*d)
	for r := range tokens {
		row := unsafe.Slice(qkv.Row(r), qkv.Cols)
		for i := range row {
			row[i] = float32((r*31+i*17)%23-11) / 32
		}
	}
	var shares []float64
	flops := 4 * heads * tokens * tokens * d
	calls := max(1, 500_000_000/flops)
	rounds := calls * flops / round / threads
	e.Begin(&exec.Func{Fixed: tokens, Run: func(e *exec.Exec) { e.SelfAttention(out, qkv, a, secs) }}, 0)
	defer e.End()
	e.Clear()
	e.Append(nil, nil, nil, 0)
	for b.Loop() {
		start := time.Now()
		for range calls {
			e.Run()
		}
		took := time.Since(start)
		b.StopTimer()
		start = time.Now()
		var all sync.WaitGroup
		for range threads - 1 {
			all.Go(func() { loop(rounds) })
		}
		loop(rounds)
		all.Wait()
		shares = append(shares, 100*float64(time.Since(start))/float64(took))
		b.StartTimer()
	}
	slices.Sort(shares)
	b.ReportMetric(shares[len(shares)/2], "%FMA")
	b.ReportMetric(float64(calls*flops)*float64(b.N)/float64(b.Elapsed()), "GFLOP/s")
}
