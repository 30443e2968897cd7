package passes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// Pack gives every weight a layout and an offset in the weight file (blob). It moves no
// data: package codegen packs each weight into its layout when it writes the file.
//
//	weight @l0.attn.v~f.q.w f32[4,4]
//
// becomes
//
//	weight @l0.attn.v~f.q.w f32[4,4] layout=panel16 at 4096
//
// Matrices of linears and their biases have the layout panel16 (see asm.WeightLayout), or
// panel16-heads2x10 if the heads of a qkv are not whole panels. The tables of a relative
// position bias are stored column by column, the image's table from its last row to its
// first (asm.PackColumns), so that the biases of a query for neighbouring keys are
// adjacent. An int8 table is rows-scaled, with a scale per row. Everything else is
// row-major. The weights q, k and v of a bundle are neighbours in that order, and so are
// their biases, so that one product reads all three, or k and v. If only some of them have
// a bias, the others get a bias of zeros.
//
// Weights that are used by the same functions form a group; groups of more functions come
// first. A group starts on a page, so that experts which are not used are never read into
// memory. A weight starts on a multiple of 64 bytes. If two ops need a weight in different
// layouts, it is stored twice, the second time in a bundle whose name ends in ~2.
var Pack = &Pass{
	Name:    "pack",
	Needs:   []*Property{Selected},
	Sets:    []*Property{Packed},
	Numeric: Exact,
	Run:     pack,
}

const (
	groupAlign  = 4096
	weightAlign = 64
)

// Packed is the property that every weight has an offset and the layout that its readers
// need, and that weights are aligned, do not overlap and leave no holes.
var Packed = &Property{Name: "packed", Check: checkPacked}

func pack(p *ir.Program, _ Options) error {
	prune(p)
	if err := separate(p); err != nil {
		return err
	}
	if err := fillBiases(p); err != nil {
		return err
	}
	prune(p)
	layout := layouts(p)
	for _, w := range p.Weights {
		w.Layout, w.Offset = layout[w], -1
	}
	at := int64(0)
	var placed []*ir.Weight
	for _, group := range groups(p) {
		at = align(at, groupAlign)
		for _, w := range group {
			size, err := storedBytes(w)
			if err != nil {
				return err
			}
			at = align(at, weightAlign)
			w.Offset = at
			at += size
			placed = append(placed, w)
		}
	}
	p.SetWeights(placed)
	return nil
}

func align(n, to int64) int64 { return (n + to - 1) / to * to }

// storedBytes returns the size of a weight in the weight file.
func storedBytes(w *ir.Weight) (int64, error) {
	n, err := asm.StoredBytes(w.Layout, w.Type.DType.Size(), w.Type.DType.Scaled(), w.Type.At(0)...)
	if err != nil {
		return 0, fmt.Errorf("weight @%s: %w", w.Name, err)
	}
	return n, nil
}

// want is a weight of an op with the layout that the op needs.
type want struct {
	w      *ir.Weight
	layout string
	op     *ir.Op // the primitive that reads it
}

// product reports whether the weight is the matrix of a linear.
func (x want) product() bool { return x.op == ir.OpLinear && len(x.w.Type.Shape) == 2 }

// table reports whether the weight is the table of a lookup.
func (x want) table() bool { return x.op == ir.OpLookup }

// wants lists the weights of v with their layouts.
func wants(p *ir.Program, f *ir.Func, v *ir.Value) []want {
	steps := []*ir.Value{v}
	if v.Op.Fused() {
		g, err := p.Expand(v)
		if err != nil {
			panic(fmt.Sprintf("passes: %s does not expand after it was verified: %v", where(f, v), err))
		}
		steps = g.Values
	}
	var out []want
	for _, s := range steps {
		layout := ""
		switch s.Op {
		case ir.OpLinear:
			layout = asm.PanelLayout
			if heads, d := headsOf(v, s); d%asm.Panel != 0 {
				layout = asm.HeadsLayout(heads, d)
			}
		case ir.OpAttention:
			layout = asm.ColumnsLayout
		}
		for _, w := range p.Used(f, s) {
			layout := layout
			switch {
			case layout == asm.ColumnsLayout && strings.HasSuffix(w.Name, ".image"):
				layout = asm.ReversedLayout
			case s.Op == ir.OpLookup && w.Type.DType.Scaled():
				layout = asm.RowsLayout
			}
			out = append(out, want{w, layout, s.Op})
		}
	}
	return out
}

// headsOf returns the number of heads of the linear s that a fused qkv v computes, and the number of columns of each head.
// For any other v it returns 0 columns, which need no layout of their own.
func headsOf(v, s *ir.Value) (heads, d int) {
	heads = v.Attrs.Int("heads", 1)
	if v.Op != ir.OpQKV {
		return heads, 0
	}
	return heads, s.Type.Cols() / heads
}

// separate gives a value a copy of its bundle if it needs a weight in another layout than an
// earlier value does.
func separate(p *ir.Program) error {
	layouts := map[string]string{} // the layout of each weight that a value so far uses
	for _, f := range p.Funcs {
		for _, v := range f.Values {
			ws := wants(p, f, v)
			rename := func(w *ir.Weight, n int) string {
				if n < 2 {
					return w.Name
				}
				return fmt.Sprintf("%s~%d%s", v.Bundle, n, strings.TrimPrefix(w.Name, v.Bundle))
			}
			n := 1
			for slices.ContainsFunc(ws, func(x want) bool {
				layout, ok := layouts[rename(x.w, n)]
				return ok && layout != x.layout || !ok && n > 1 && p.Weight(rename(x.w, n)) != nil
			}) {
				n++
			}
			for _, x := range ws {
				name := rename(x.w, n)
				layouts[name] = x.layout
				if p.Weight(name) == nil {
					c := *x.w
					c.Name, c.Export = name, false
					if err := p.AddWeight(&c); err != nil {
						return err
					}
				}
			}
			if n > 1 {
				v.Bundle = fmt.Sprintf("%s~%d", v.Bundle, n)
			}
		}
	}
	return nil
}

// fillBiases adds biases of zeros to q, k and v of a bundle if one of them has a bias.
func fillBiases(p *ir.Program) error {
	for _, f := range p.Funcs {
		for _, v := range f.Values {
			if v.Op != ir.OpQKV {
				continue
			}
			var missing []*ir.Weight
			some := false
			for _, part := range operands {
				w, b := p.Field(v.Bundle, part+".w"), p.Field(v.Bundle, part+".b")
				some = some || b != nil
				if w != nil && b == nil {
					missing = append(missing, zeros(v.Bundle+"."+part+".b", w.Type.Rows()))
				}
			}
			if !some {
				continue
			}
			for _, w := range missing {
				if err := p.AddWeight(w); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// operands are the parts of a qkv, in the order of their panels.
var operands = []string{"q", "k", "v"}

func zeros(name string, n ir.Dim) *ir.Weight {
	return &ir.Weight{Name: name, Type: ir.Of(ir.F32, n), Offset: -1, Load: func() ([]float32, error) {
		return make([]float32, n.C), nil
	}}
}

// layouts returns the layout of every weight that some value uses.
func layouts(p *ir.Program) map[*ir.Weight]string {
	m := map[*ir.Weight]string{}
	for _, f := range p.Funcs {
		for _, v := range f.Values {
			for _, x := range wants(p, f, v) {
				m[x.w] = x.layout
			}
		}
	}
	return m
}

// groups returns all weights, grouped by the set of functions that use them. A group lists its
// weights in the order of first use, with neighbours together.
func groups(p *ir.Program) [][]*ir.Weight {
	type unit struct {
		weights []*ir.Weight
		used    []bool // whether each function uses it
	}
	var units []*unit
	home := map[*ir.Weight]*unit{}
	row := neighbours(p)
	for i, f := range p.Funcs {
		for _, v := range f.Values {
			for _, w := range p.Used(f, v) {
				u := home[w]
				if u == nil {
					u = &unit{weights: row[w], used: make([]bool, len(p.Funcs))}
					if u.weights == nil {
						u.weights = []*ir.Weight{w}
					}
					units = append(units, u)
					for _, n := range u.weights {
						home[n] = u
					}
				}
				u.used[i] = true
			}
		}
	}
	for _, w := range p.Weights { // exported weights that no function uses
		if home[w] == nil {
			units = append(units, &unit{weights: []*ir.Weight{w}, used: make([]bool, len(p.Funcs))})
		}
	}
	// Weights of more functions come first, then weights of earlier functions.
	rank := func(u *unit) (users int, set string) {
		for _, used := range u.used {
			if used {
				users++
				set += "0"
			} else {
				set += "1"
			}
		}
		return users, set
	}
	slices.SortStableFunc(units, func(a, b *unit) int {
		an, as := rank(a)
		bn, bs := rank(b)
		if an != bn {
			return bn - an
		}
		return strings.Compare(as, bs)
	})
	var out [][]*ir.Weight
	for i, u := range units {
		if i == 0 || !slices.Equal(u.used, units[i-1].used) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], u.weights...)
	}
	return out
}

// neighbours returns, for each weight that must be adjacent to others in the weight file, the
// list of all of them in order.
func neighbours(p *ir.Program) map[*ir.Weight][]*ir.Weight {
	m := map[*ir.Weight][]*ir.Weight{}
	for _, f := range p.Funcs {
		for _, v := range f.Values {
			if v.Op != ir.OpQKV {
				continue
			}
			for _, field := range []string{".w", ".b"} {
				var row []*ir.Weight
				for _, part := range operands {
					if w := p.Weight(v.Bundle + "." + part + field); w != nil {
						row = append(row, w)
					}
				}
				for _, w := range row {
					m[w] = row
				}
			}
		}
	}
	return m
}

func checkPacked(p *ir.Program, _ Options) error {
	layouts := layouts(p)
	end := int64(0)
	pages := 0
	ws := slices.Clone(p.Weights)
	slices.SortStableFunc(ws, func(a, b *ir.Weight) int { return cmp.Compare(a.Offset, b.Offset) })
	for _, w := range ws {
		size, err := storedBytes(w)
		if err != nil {
			return err
		}
		layout, used := layouts[w]
		switch {
		case w.Offset < 0:
			return fmt.Errorf("weight @%s has no offset", w.Name)
		case w.Offset%weightAlign != 0:
			return fmt.Errorf("weight @%s is at %d, want a multiple of %d", w.Name, w.Offset, weightAlign)
		case w.Offset < end:
			return fmt.Errorf("weight @%s is at %d, inside the weight before it, which ends at %d", w.Name, w.Offset, end)
		case w.Offset-end >= groupAlign:
			return fmt.Errorf("weight @%s at %d leaves a hole after %d", w.Name, w.Offset, end)
		case !used && !w.Export:
			return fmt.Errorf("weight @%s is packed, but nothing uses it", w.Name)
		case layout != w.Layout:
			return fmt.Errorf("weight @%s has layout %q, its readers want %q", w.Name, w.Layout, layout)
		}
		if w.Offset-end >= weightAlign {
			pages++
		}
		end = w.Offset + size
	}
	if n := len(groups(p)); pages > n {
		return fmt.Errorf("%d weights begin a page, want at most %d, one per group", pages, n)
	}
	row := neighbours(p)
	for _, w := range ws {
		for i, n := range row[w] {
			if i == 0 {
				continue
			}
			before := row[w][i-1]
			size, err := storedBytes(before)
			if err != nil {
				return err
			}
			if n.Offset != before.Offset+size {
				return fmt.Errorf("weights @%s and @%s are not neighbours", before.Name, n.Name)
			}
		}
	}
	return nil
}
