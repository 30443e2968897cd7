package passes

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// Fold multiplies constants into the weights of neighbouring ops: the gain and bias of a
// norm into every linear that reads it, a layer scale into the linear before it, a row
// that is added to all rows into the tables, biases and constants that made these rows, and
// an attention's scale into the queries' linear, together with log2(e), with which the
// softmax computes powers of two. A relative position bias is multiplied by log2(e) too.
//
//	n = layernorm x, @l0.attn.v.ln {eps=1e-05} : f32[3,4]
//	q = linear n, @l0.attn.v.q                 : f32[3,4]
//	k = linear n, @l0.attn.v.k                 : f32[3,4]
//	v = linear n, @l0.attn.v.v                 : f32[3,4]
//	c = attention q, k, v {heads=2}            : f32[3,4]
//
// becomes
//
//	n = layernorm x {eps=1e-05}                : f32[3,4]
//	q = linear n, @l0.attn.v~f.q               : f32[3,4]
//	k = linear n, @l0.attn.v~f.k               : f32[3,4]
//	v = linear n, @l0.attn.v~f.v               : f32[3,4]
//	c = attention q, k, v {heads=2 scale=1 base=2} : f32[3,4]
//
// with q.w' = s*q.w*diag(ln.g) and q.b' = s*(q.b + q.w*ln.b), summed in float64 and
// rounded once, when the weight is loaded. Functions that fold the same weights in the same
// way share the result. The new bundle is complete: weights that were not folded are in it
// under a new name, so that a fused op finds all its fields.
//
// A norm is folded only if all its readers are linears. Weights that Narrow will round to a
// type that checkpoints can have stay as they are: then the norm keeps its gain, and the
// attention its scale.
var Fold = &Pass{
	Name:    "fold",
	Needs:   []*Property{Routed},
	Numeric: Rounded,
	Run: func(p *ir.Program, o Options) error {
		open, made := foldable(p, o.Precision), map[string]string{}
		for _, f := range p.Funcs {
			if err := fold(p, f, open, made); err != nil {
				return err
			}
		}
		prune(p)
		return nil
	},
}

// rule lists the constants that are folded into the weights of a value. A linear becomes
// scale*gamma*(w*diag(g)*x + w*beta + b) + row, any other op scale*w + row. The zero rule
// changes nothing.
type rule struct {
	norm  string  // bundle of the norm before a linear, with g and beta; "" = none
	scale float64 // factor of the result
	gamma string  // bundle of a factor g for every column; "" = none
	row   string  // bundle of a row that is added to the result; "" = none
	index int     // which row
}

// fold rewrites one function. open reports whether a value's weights may be changed; made maps
// every folded bundle so far to its key.
func fold(p *ir.Program, f *ir.Func, open func(*ir.Value) bool, made map[string]string) error {
	rules := map[*ir.Value]rule{}
	absorb(f, open, rules)
	set := func(v *ir.Value, edit func(r *rule)) {
		r, ok := rules[v]
		if !ok {
			r.scale = 1
		}
		edit(&r)
		rules[v] = r
	}
	readers := users(f)
	for _, v := range f.Values {
		if v.Op != ir.OpLayerNorm || !open(v) || v.Bundle == "" || slices.Contains(f.Results, v) || rules[v] != (rule{}) {
			continue
		}
		if slices.ContainsFunc(readers[v], func(u *ir.Value) bool { return u.Op != ir.OpLinear || !open(u) }) {
			continue
		}
		for _, u := range readers[v] {
			set(u, func(r *rule) { r.norm = v.Bundle })
		}
		v.Bundle = ""
	}
	count := uses(f)
	for _, v := range f.Values {
		if v.Op != ir.OpAttention || v.Attrs.Int("base", 0) == 2 || !open(v) {
			continue
		}
		heads := v.Attrs.Int("heads", 1)
		scale := v.Attrs.Float("scale", 1/math.Sqrt(float64(v.Args[0].Type.Cols()/heads))) * math.Log2E
		queries := leaves(v.Args[0], count)
		if !slices.ContainsFunc(queries, func(q *ir.Value) bool {
			return q.Op != ir.OpLinear || count[q] != 1 || !open(q) || rules[q].row != ""
		}) {
			for _, q := range queries {
				set(q, func(r *rule) { r.scale *= scale })
			}
			scale = 1
		}
		if v.Bundle != "" {
			set(v, func(r *rule) { r.scale = math.Log2E })
		}
		v.Attrs = v.Op.Sort(v.Attrs.With(ir.FloatAttr("scale", scale)).With(ir.IntAttr("base", 2)))
	}
	return rename(p, f, rules, made)
}

// absorb removes each scale, and each addrow, which adds one row to all rows, whose weights may be changed, and makes rules
// that fold it into the ops that compute its argument. These ops must have no other reader. The argument takes the name of
// the removed value.
func absorb(f *ir.Func, open func(*ir.Value) bool, rules map[*ir.Value]rule) {
	count := uses(f)
	now := map[*ir.Value]*ir.Value{} // the replacement of each removed value
	var kept []*ir.Value
	for _, v := range f.Values {
		for i, a := range v.Args {
			v.Args[i] = cmp.Or(now[a], a)
		}
		kept = append(kept, v)
		if v.Op != ir.OpScale && v.Op != ir.OpAddRow || !open(v) {
			continue
		}
		x := v.Args[0]
		var takers []*ir.Value
		var ok bool
		if v.Op == ir.OpScale {
			takers = []*ir.Value{x}
			ok = x.Op == ir.OpLinear && count[x] == 1 && open(x) && rules[x] == (rule{})
		} else {
			takers, ok = movers(x, open, count, rules)
		}
		if !ok {
			continue
		}
		for _, t := range takers {
			r := rules[t]
			r.scale = 1
			if v.Op == ir.OpScale {
				r.gamma = v.Bundle
			} else {
				r.row, r.index = v.Bundle, v.Attrs.Int("row", 0)
			}
			rules[t] = r
		}
		now[v], kept = x, kept[:len(kept)-1]
		count[x] = count[v]
		x.Name = v.Name
	}
	f.Values = kept
	for i, r := range f.Results {
		f.Results[i] = cmp.Or(now[r], r)
	}
}

// movers returns the values whose weights can be changed to add a row to all rows of x:
// x itself or, if x is a concat, its parts.
func movers(x *ir.Value, open func(*ir.Value) bool, count map[*ir.Value]int, rules map[*ir.Value]rule) (vs []*ir.Value, ok bool) {
	if x.Op == nil || count[x] != 1 || rules[x].row != "" {
		return nil, false
	}
	switch x.Op {
	case ir.OpConcat:
		for _, a := range x.Args {
			parts, ok := movers(a, open, count, rules)
			if !ok {
				return nil, false
			}
			vs = append(vs, parts...)
		}
		return vs, true
	case ir.OpLayerNorm, ir.OpLinear, ir.OpLookup, ir.OpConst, ir.OpAddRows:
		return []*ir.Value{x}, x.Bundle != "" && open(x)
	}
	return nil, false
}

// leaves returns the parts of v, a concat, recursively, or v itself. A concat with several readers counts as one part.
func leaves(v *ir.Value, count map[*ir.Value]int) []*ir.Value {
	if v.Op != ir.OpConcat || count[v] != 1 {
		return []*ir.Value{v}
	}
	return v.Args
}

// renamed lists the ops whose bundles a rule may change, or that a fused op reads together
// with a changed bundle.
var renamed = []*ir.Op{ir.OpLinear, ir.OpLayerNorm, ir.OpLookup, ir.OpConst, ir.OpAddRows, ir.OpAttention}

// maxFolded bounds the folded versions of a bundle, because each new one is compared with all others. Released models need two.
const maxFolded = 64

var errFolded = fmt.Errorf("folding would make more than %d versions of it; have values share norms and scales", maxFolded)

// rename gives every value with a rule its folded bundle, and renames the other bundles of
// the same parent with it.
func rename(p *ir.Program, f *ir.Func, rules map[*ir.Value]rule, made map[string]string) error {
	family := map[string][]*ir.Value{} // by parent
	var parents []string
	for _, v := range f.Values {
		if v.Bundle == "" || !slices.Contains(renamed, v.Op) {
			continue
		}
		parent, _ := cutLast(v.Bundle)
		if parent == "" { // no fused op reads it together with other bundles
			parent = v.Bundle
		}
		if family[parent] == nil {
			parents = append(parents, parent)
		}
		family[parent] = append(family[parent], v)
	}
	for _, parent := range parents {
		groups, err := agreeing(family[parent], rules)
		if err != nil {
			return fmt.Errorf("%s: @%s: %w", f.Name, parent, err)
		}
		for _, vs := range groups {
			if !slices.ContainsFunc(vs, func(v *ir.Value) bool { _, ok := rules[v]; return ok }) {
				continue
			}
			suffix := "~f"
			for n := 2; !free(p, vs, suffix, rules, made); n++ {
				if n > maxFolded {
					return fmt.Errorf("%s: @%s: %w", f.Name, parent, errFolded)
				}
				suffix = fmt.Sprint("~f", n)
			}
			for _, v := range vs {
				to, r := refold(v.Bundle, suffix), key(v, rules)
				if made[to] == "" {
					made[to] = r
					if err := declare(p, v, to, rules[v]); err != nil {
						return fmt.Errorf("%s: %w", where(f, v), err)
					}
				}
				v.Bundle = to
			}
		}
	}
	return nil
}

// agreeing splits values into groups, the first as large as possible, so that no two values of a
// group fold different constants into the same bundle: they cannot share a suffix.
func agreeing(vs []*ir.Value, rules map[*ir.Value]rule) (groups [][]*ir.Value, err error) {
	var made []map[string]string // the keys of each group, by bundle
	for _, v := range vs {
		k := key(v, rules)
		n := slices.IndexFunc(made, func(m map[string]string) bool { return m[v.Bundle] == "" || m[v.Bundle] == k })
		if n < 0 {
			if n = len(made); n == maxFolded {
				return nil, errFolded
			}
			groups, made = append(groups, nil), append(made, map[string]string{})
		}
		groups[n] = append(groups[n], v)
		made[n][v.Bundle] = k
	}
	return groups, nil
}

// cutLast splits l0.attn.vision.q into l0.attn.vision and q, and q into "" and q.
func cutLast(bundle string) (parent, last string) {
	i := strings.LastIndexByte(bundle, '.')
	return bundle[:max(i, 0)], bundle[i+1:]
}

// refold returns the name of the folded bundle.
func refold(bundle, suffix string) string {
	parent, last := cutLast(bundle)
	if parent == "" {
		return last + suffix
	}
	return parent + suffix + "." + last
}

// key identifies the sources of v's folded bundle: the bundle and its rule.
func key(v *ir.Value, rules map[*ir.Value]rule) string {
	r, ok := rules[v]
	if !ok {
		return v.Bundle
	}
	return fmt.Sprintf("%s norm=%s scale=%x gamma=%s row=%s:%d", v.Bundle, r.norm, r.scale, r.gamma, r.row, r.index)
}

// free reports whether the suffix serves every value: its bundle with the suffix does not
// exist yet, or has the same key.
func free(p *ir.Program, vs []*ir.Value, suffix string, rules map[*ir.Value]rule, made map[string]string) bool {
	want := map[string]string{}
	for _, v := range vs {
		to, k := refold(v.Bundle, suffix), key(v, rules)
		if want[to] != "" && want[to] != k || made[to] != "" && made[to] != k {
			return false
		}
		want[to] = k
		if made[to] == "" && slices.ContainsFunc(v.Op.Fields, func(f ir.Field) bool { return p.Field(to, f.Name) != nil }) {
			return false
		}
	}
	return true
}

// declare adds the weights of the bundle to: the weights of v, folded by the rule.
// The zero rule only renames them.
func declare(p *ir.Program, v *ir.Value, to string, r rule) error {
	keep := func(field string) error {
		w := p.Field(v.Bundle, field)
		if w == nil {
			return nil
		}
		c := *w
		c.Name, c.Export, c.Origin = to+"."+field, false, nil
		c.Load = func() ([]float32, error) { return load(w) }
		return p.AddWeight(&c)
	}
	add := func(field string, t ir.Type, f func() ([]float32, error)) error {
		return p.AddWeight(&ir.Weight{Name: to + "." + field, Type: t, Offset: -1, Load: f})
	}
	row := addend{p.Field(r.row, "w"), r.index}
	switch {
	case r == (rule{}):
		for _, f := range v.Op.Fields {
			if err := keep(f.Name); err != nil {
				return err
			}
		}
		return nil
	case v.Op == ir.OpLayerNorm:
		b := p.Field(v.Bundle, "b")
		if err := keep("g"); err != nil {
			return err
		}
		return add("b", b.Type, func() ([]float32, error) { return foldedTable(b, r.scale, row) })
	case v.Op != ir.OpLinear:
		for _, f := range v.Op.Fields {
			w := p.Field(v.Bundle, f.Name)
			if w == nil {
				continue
			}
			if err := add(f.Name, w.Type, func() ([]float32, error) { return foldedTable(w, r.scale, row) }); err != nil {
				return err
			}
		}
		return nil
	}
	w, b := p.Field(v.Bundle, "w"), p.Field(v.Bundle, "b")
	g, beta, gamma := p.Field(r.norm, "g"), p.Field(r.norm, "b"), p.Field(r.gamma, "g")
	err := add("w", w.Type, func() ([]float32, error) { return foldedWeight(w, g, gamma, r.scale) })
	if err == nil && (b != nil || beta != nil || row.w != nil) {
		err = add("b", ir.Of(ir.F32, w.Type.Rows()), func() ([]float32, error) { return foldedBias(w, b, beta, gamma, r.scale, row) })
	}
	return err
}

// load reads a weight, which may be nil.
func load(w *ir.Weight) ([]float32, error) {
	switch {
	case w == nil:
		return nil, nil
	case w.Load == nil:
		return nil, fmt.Errorf("weight @%s has no data; bind a checkpoint first", w.Name)
	}
	return w.Load()
}

// addend is a row of a table; without w it is no row.
type addend struct {
	w     *ir.Weight
	index int
}

// row returns the row, or nil if there is none.
func (a addend) row() ([]float32, error) {
	if a.w == nil {
		return nil, nil
	}
	x, err := load(a.w)
	if err != nil {
		return nil, err
	}
	n := a.w.Type.Cols()
	return x[a.index*n:][:n], nil
}

// foldedTable returns scale*w + row for every row of w.
func foldedTable(w *ir.Weight, scale float64, a addend) ([]float32, error) {
	ws, err := load(w)
	if err != nil {
		return nil, err
	}
	row, err := a.row()
	if err != nil {
		return nil, err
	}
	for to := range slices.Chunk(ws, w.Type.Cols()) {
		for j, x := range to {
			y := scale * float64(x)
			if row != nil {
				y = float64(y) + float64(row[j]) // the conversion keeps the compiler from fusing multiply and add on some CPUs
			}
			to[j] = float32(y)
		}
	}
	return ws, nil
}

// foldedWeight returns scale * diag(gamma) * w * diag(g).
func foldedWeight(w, g, gamma *ir.Weight, scale float64) ([]float32, error) {
	ws, err := load(w)
	if err != nil {
		return nil, err
	}
	gs, err := load(g)
	if err != nil {
		return nil, err
	}
	gammas, err := load(gamma)
	if err != nil {
		return nil, err
	}
	k := w.Type.Cols()
	for i := range w.Type.Rows().C {
		for j, x := range ws[i*k:][:k] {
			y := scale * float64(x)
			if gs != nil {
				y *= float64(gs[j])
			}
			if gammas != nil {
				y *= float64(gammas[i])
			}
			ws[i*k+j] = float32(y)
		}
	}
	return ws, nil
}

// foldedBias returns scale * gamma * (b + w*beta) + row.
func foldedBias(w, b, beta, gamma *ir.Weight, scale float64, a addend) ([]float32, error) {
	bs, err := load(b)
	if err != nil {
		return nil, err
	}
	if bs == nil {
		bs = make([]float32, w.Type.Rows().C)
	}
	var ws, betas []float32
	if beta != nil {
		if ws, err = load(w); err != nil {
			return nil, err
		}
		if betas, err = load(beta); err != nil {
			return nil, err
		}
	}
	gammas, err := load(gamma)
	if err != nil {
		return nil, err
	}
	row, err := a.row()
	if err != nil {
		return nil, err
	}
	for i := range bs {
		sum := float64(bs[i])
		for j, x := range betas {
			sum += float64(float64(ws[i*len(betas)+j]) * float64(x)) // the conversion keeps the compiler from fusing multiply and add on some CPUs
		}
		sum = float64(scale * sum)
		if gammas != nil {
			sum = float64(sum * float64(gammas[i]))
		}
		if row != nil {
			sum += float64(row[i])
		}
		bs[i] = float32(sum)
	}
	return bs, nil
}
