package irtest

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// Seed is the seed of all random numbers of this package; failures print it.
const Seed = 1

// source returns the random generator for a name.
func source(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(Seed, h.Sum64()))
}

// RandomWeights gives every weight of p without a loader random values, which depend only
// on its name and type and are numbers of its element type. Their sizes are those of
// trained models: gains near 1, matrices that keep the variance of a row.
func RandomWeights(p *ir.Program) {
	for _, w := range p.Weights {
		if w.Load == nil {
			w.Load = func() ([]float32, error) { return values(w), nil }
		}
	}
}

func values(w *ir.Weight) []float32 {
	r := source(w.Name)
	x := make([]float32, w.Type.Elements(0))
	mean, scale := 0.0, 0.3
	switch {
	case strings.HasSuffix(w.Name, ".g"):
		mean = 1
	case len(w.Type.Shape) == 2:
		scale = 1 / math.Sqrt(float64(w.Type.Cols()))
	}
	for i := range x {
		x[i] = float32(mean + scale*r.NormFloat64())
	}
	ir.Round(x, w.Type.DType)
	return x
}

// Inputs returns random inputs of function f at text length t, which depend only on the
// parameters' names and shapes. Token ids are within the tables that they index.
func Inputs(p *ir.Program, f *ir.Func, t int) map[string]*ir.Tensor {
	in := map[string]*ir.Tensor{}
	for _, v := range f.Params {
		r := source("input " + v.Name)
		n := v.Type.Elements(t)
		x := &ir.Tensor{Shape: v.Type.At(t)}
		if v.Type.DType == ir.I32 {
			x.IDs = make([]int32, n)
			rows := vocabulary(p, f, v)
			for i := range x.IDs {
				x.IDs[i] = r.Int32N(rows)
			}
		} else {
			x.F = make([]float64, n)
			for i := range x.F {
				x.F[i] = r.NormFloat64()
			}
		}
		in[v.Name] = x
	}
	return in
}

// vocabulary returns the number of rows of the smallest table that the token ids index.
func vocabulary(p *ir.Program, f *ir.Func, ids *ir.Value) int32 {
	rows := int32(math.MaxInt32)
	for _, v := range f.Values {
		for i, a := range v.Args {
			if a != ids {
				continue
			}
			if v.Op == ir.OpLookup {
				for _, w := range p.Used(f, v) {
					rows = min(rows, int32(w.Type.Rows().C))
				}
			} else if g, err := p.Expand(v); err == nil {
				rows = min(rows, vocabulary(p, g, g.Params[i]))
			}
		}
	}
	return rows
}

// Lengths returns the text lengths to test f with: all if they are few, else both ends, their
// neighbours and the middle; only 1 if f does not depend on the length.
func Lengths(p *ir.Program, f *ir.Func) []int {
	if !f.UsesT() {
		return []int{1}
	}
	var ts []int
	for t := f.MinT(); t <= p.MaxT; t++ {
		if p.MaxT <= 5 || t <= 2 || t >= p.MaxT-1 || t == p.MaxT/2 {
			ts = append(ts, t)
		}
	}
	return ts
}
