package passes

import (
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

// Smooth gives norms without weights the gains and biases of Options.Smooth, and changes the
// linears that read them to give the same result. The rows that products round then have a
// smaller range, and the columns of weights a larger one (as in SmoothQuant).
//
//	n = layernorm x {eps=1e-05}                 : f32[3,4]
//	h = linear n, @l0.ffn.v~f.fc1               : f32[3,8]
//
// becomes, with a gain g and a bias b for l0.ffn.v.ln,
//
//	n = layernorm x, @l0.ffn.v~f.ln {eps=1e-05} : f32[3,4]
//	h = linear n, @l0.ffn.v~f.fc1               : f32[3,8]
//
// with ln.g = g, ln.b = b, fc1.w' = fc1.w/diag(g) and fc1.b' = fc1.b - fc1.w'*b, summed in
// float64 and rounded once, when the weight is loaded. The weights keep their names and are
// changed for all functions at once. Only norms that [Smoothable] lists are changed.
var Smooth = &Pass{
	Name:    "smooth",
	Needs:   []*Property{Routed},
	Numeric: Rounded,
	Run: func(p *ir.Program, o Options) error {
		if len(o.Smooth) == 0 {
			return nil
		}
		for _, n := range Smoothable(p, o.Precision) {
			if s, ok := o.Smooth[n.Name]; ok && len(s.Gain) == n.Cols() && len(s.Bias) == n.Cols() {
				if err := n.smooth(p, s); err != nil {
					return err
				}
			}
		}
		return nil
	},
}

// Smoothing is a gain and a bias for each column of a norm. Gains are finite and above 0,
// biases finite.
type Smoothing struct {
	Gain, Bias []float32
}

// Norm is one norm in all functions, with the linears that read it.
type Norm struct {
	Name    string   // such as l0.ffn.vision.ln, without suffixes of passes
	Linears []string // their bundles, once each

	bundle string
	values []*ir.Value
	closed bool // another op reads the norm or the weights, so they cannot change
}

// Has reports whether v computes the norm.
func (n *Norm) Has(v *ir.Value) bool { return slices.Contains(n.values, v) }

// Cols returns the number of columns of the norm.
func (n *Norm) Cols() int { return n.values[0].Type.Cols() }

// Smoothable lists the norms of a folded program, stored in the formats of m, that can get a
// gain and a bias. Such a norm has no weights, its only readers are linears of one module, and
// their weights may be changed and have no other readers.
func Smoothable(p *ir.Program, m precision.Map) []*Norm {
	open := foldable(p, m)
	var all []*Norm
	byBundle := map[string]*Norm{}
	elsewhere := map[*ir.Weight]bool{} // weights that other ops than linears read
	for _, f := range p.Funcs {
		readers := users(f)
		for _, v := range f.Values {
			if v.Op != ir.OpLinear {
				for _, w := range p.Used(f, v) {
					elsewhere[w] = true
				}
				continue
			}
			bundle := normBefore(v.Bundle)
			n := byBundle[bundle]
			if n == nil {
				n = &Norm{Name: precision.Module(bundle + ".g"), bundle: bundle}
				byBundle[bundle] = n
				all = append(all, n)
			}
			if !slices.Contains(n.Linears, v.Bundle) {
				n.Linears = append(n.Linears, v.Bundle)
			}
			x := v.Args[0]
			if x.Op != ir.OpLayerNorm || x.Bundle != "" || slices.Contains(f.Results, x) || !open(v) ||
				slices.ContainsFunc(readers[x], func(u *ir.Value) bool { return u.Op != ir.OpLinear || normBefore(u.Bundle) != bundle }) {
				n.closed = true
			} else if !n.Has(x) {
				n.values = append(n.values, x)
			}
		}
	}
	return slices.DeleteFunc(all, func(n *Norm) bool {
		if n.closed || p.Field(n.bundle, "g") != nil || p.Field(n.bundle, "b") != nil {
			return true
		}
		for _, v := range n.values {
			n.closed = n.closed || v.Type.Cols() != n.Cols()
		}
		for _, bundle := range n.Linears {
			for _, field := range ir.OpLinear.Fields {
				if w := p.Field(bundle, field.Name); w != nil {
					n.closed = n.closed || w.Export || elsewhere[w]
				}
			}
		}
		return n.closed
	})
}

// normBefore returns the bundle of the norm before the linear of a bundle: the field name that
// a fused op has for it, or else one inside the linear's own bundle.
func normBefore(linear string) string {
	parent, last := cutLast(linear)
	for _, op := range ir.Ops {
		norm := ""
		for _, f := range op.Fields {
			if name, ok := strings.CutSuffix(f.Name, ".g"); ok {
				norm = name
			}
			if op.Fused() && norm != "" && parent != "" && f.Name == last+".w" {
				return parent + "." + norm
			}
		}
	}
	return linear + ".ln"
}

// smooth adds the norm's weights and changes the linears' weights.
func (n *Norm) smooth(p *ir.Program, s Smoothing) error {
	for _, v := range n.values {
		v.Bundle = n.bundle
	}
	for i, x := range [][]float32{s.Gain, s.Bias} {
		if err := p.AddWeight(&ir.Weight{Name: n.bundle + "." + ir.OpLayerNorm.Fields[i].Name, Type: ir.Of(ir.F32, ir.C(len(x))), Offset: -1,
			Load: func() ([]float32, error) { return slices.Clone(x), nil }}); err != nil {
			return err
		}
	}
	for _, bundle := range n.Linears {
		w, b := p.Field(bundle, "w"), p.Field(bundle, "b")
		oldW, oldB := *w, b
		if b != nil {
			c := *b
			oldB = &c
		}
		newW, newB := s.Linear(bundle, &oldW, oldB)
		*w = *newW
		switch {
		case b != nil:
			*b = *newB
		case newB != nil:
			if err := p.AddWeight(newB); err != nil {
				return err
			}
		}
	}
	return nil
}

// Linear returns new weights for a linear after the norm that undo the gain and the bias; the
// linear has the given bundle, matrix w and bias b, which may be nil. w and b are not changed.
func (s Smoothing) Linear(bundle string, w, b *ir.Weight) (newW, newB *ir.Weight) {
	c := *w
	c.Origin, c.Load = nil, func() ([]float32, error) {
		ws, err := load(w)
		if err != nil {
			return nil, err
		}
		out := make([]float32, len(ws))
		for i, x := range ws {
			out[i] = float32(float64(x) / float64(s.Gain[i%len(s.Gain)]))
		}
		return out, nil
	}
	if !slices.ContainsFunc(s.Bias, func(x float32) bool { return x != 0 }) {
		return &c, b
	}
	newB = &ir.Weight{Name: bundle + ".b", Type: ir.Of(ir.F32, w.Type.Rows()), Offset: -1}
	newB.Load = func() ([]float32, error) {
		bs, err := load(b)
		if err != nil {
			return nil, err
		}
		ws, err := load(w)
		if err != nil {
			return nil, err
		}
		out, k := make([]float32, w.Type.Rows().C), len(s.Gain)
		copy(out, bs)
		for i := range out {
			sum := float64(out[i])
			for j, x := range ws[i*k:][:k] {
				sum -= float64(float64(x) / float64(s.Gain[j]) * float64(s.Bias[j])) // converted: no fused multiply-add, on any CPU
			}
			out[i] = float32(sum)
		}
		return out, nil
	}
	return &c, newB
}
