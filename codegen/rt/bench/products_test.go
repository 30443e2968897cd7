package bench

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/generated/kernels"
)

// Every level's tiles of products with rounded activations have loops, all heights of them.
func TestLoopsOfProducts(t *testing.T) {
	tables := slices.Concat(kernels.F32, kernels.BF16, kernels.BF16Dot, kernels.I7, kernels.I8X2)
	for _, level := range kernel.Levels() {
		k, _, err := kernel.Choose(tables, level)
		if err != nil {
			t.Fatal(err)
		}
		loops := products(k)
		if d := cmp.Diff([]blob.DType{blob.I8, blob.BF16Dot, blob.I8X2, blob.I7}, slices.Sorted(maps.Keys(loops))); d != "" {
			t.Errorf("level %s (-want +got)\n%s", level, d)
		}
		for d, all := range loops {
			rows := 0
			for i, p := range all {
				p.begin()(2)
				if i == 0 || p.flops < rows {
					rows = p.flops
				}
				if p.flops <= 0 || p.flops%rows != 0 || p.rate(1, 2) <= 0 {
					t.Errorf("level %s: loop %d of %v counts %d operations", level, i, d, p.flops)
				}
			}
		}
		p := &rt.Package{Kernels: tables}
		m, err := newMachine(effort{memory: 1 << 16, samples: 1}, []Subject{{Package: p}}, []string{level})
		if err != nil {
			t.Fatal(err)
		}
		m.sample(2)
		for d := range loops {
			if m.rates[d][2] <= 0 {
				t.Errorf("level %s: no rate of %v on two threads", level, d)
			}
		}
	}
}

// Products with a rate of their own take the time of that rate in the roofline, all else that of the peak.
func TestRooflineOfProducts(t *testing.T) {
	m := measured(2, [3]float64{1, 100, 12}, [3]float64{2, 200, 20})
	m.rates = map[blob.DType]map[int]float64{blob.I7: {1: 250, 2: 500}, blob.I8: {1: 125, 2: 250}}
	x := Result{Threads: 2, Level: "x", Precision: "int8", Batch: 1, Median: 0.02, flops: 3e6, bytes: 1e3, products: map[blob.DType]int64{blob.I7: 1e6, blob.F16: 5e5, blob.I8: 5e5}}
	r, text := report(t, m, x)
	if got, want := r.Results[0].Roofline, 1e3*(1e6/500e9+5e5/250e9+1.5e6/200e9); math.Abs(got/want-1) > 1e-9 {
		t.Errorf("the roofline is %v ms, want %v", got, want)
	}
	if d := cmp.Diff(map[string]map[string]float64{"i7": {"1": 250, "2": 500}, "i8": {"1": 125, "2": 250}}, r.Products); d != "" {
		t.Errorf("rates (-want +got)\n%s", d)
	}
	if want := "2 threads: FMA peak 200.0 GFLOP/s, i7 500.0, i8 250.0, read 20.0 GB/s\n"; !strings.Contains(text, want) {
		t.Errorf("no %q in\n%s", want, text)
	}
}
