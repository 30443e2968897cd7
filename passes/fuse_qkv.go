package passes

import (
	"slices"
	"strings"
	"unicode"

	"github.com/multiway-go/multiway/ir"
)

// FuseQKV fuses the linears before an attention, with the norm they share, into one op, so
// that one matrix product computes queries, keys and values.
//
//	n = layernorm x {eps=1e-05}      : f32[3,4]
//	q = linear n, @l0.attn.v~f.q     : f32[3,4]
//	k = linear n, @l0.attn.v~f.k     : f32[3,4]
//	v = linear n, @l0.attn.v~f.v     : f32[3,4]
//	c = attention q, k, v {heads=2 scale=1 base=2} : f32[3,4]
//
// becomes
//
//	i = qkv x, @l0.attn.v~f {eps=1e-05 heads=2} : f32[3,12]
//	q = cols i {at=0 len=4}          : f32[3,4]
//	k = cols i {at=4 len=4}          : f32[3,4]
//	v = cols i {at=8 len=4}          : f32[3,4]
//	c = attention q, k, v {heads=2 scale=1 base=2} : f32[3,4]
//
// which fuse-attention then fuses. If the operands are joined from several segments, each
// segment gets a qkv, and the qkvs are joined instead. If the queries have another input,
// such as one selected row, they get a qkv {parts=q}, and keys and values get a qkv
// {parts=kv}, which several attentions may share.
//
// Only attentions that fuse-attention will accept are changed: a fused qkv pads its heads,
// so no other op could read it.
var FuseQKV = &Pass{
	Name:    "fuse-qkv",
	Needs:   []*Property{Routed},
	Numeric: Exact,
	Run: func(p *ir.Program, _ Options) error {
		for _, f := range p.Funcs {
			if err := fuseQKV(p, f); err != nil {
				return err
			}
		}
		prune(p)
		return nil
	},
}

func fuseQKV(p *ir.Program, f *ir.Func) error {
	e := &attentions{editor: edit(p, f), count: uses(f), readers: map[operandPair][]*ir.Value{}, fused: map[operandPair]*ir.Value{}}
	for _, v := range f.Values {
		if v.Op == ir.OpAttention {
			pair := operandPair{v.Args[1], v.Args[2]}
			e.readers[pair] = append(e.readers[pair], v)
		}
	}
	for _, v := range slices.Clone(f.Values) {
		if v.Op == ir.OpAttention {
			before := slices.Clone(v.Args)
			if err := e.fuse(v); err != nil {
				return err
			}
			e.count.moved(v, before)
		}
		e.out = append(e.out, v)
	}
	f.Values = e.out
	return nil
}

// operandPair is the keys and values of an attention.
type operandPair struct{ k, v *ir.Value }

// attentions is the state of rewriting one function.
type attentions struct {
	*editor
	count   counts
	readers map[operandPair][]*ir.Value // the attentions of each pair, in order
	fused   map[operandPair]*ir.Value   // the kv of a pair that several attentions read
}

// group holds the linears of one segment that become one qkv.
type group struct {
	linears []*ir.Value // q, k and v, or some of them
	qkv     *ir.Value   // the proposed fused value
}

// fuse rewrites the operands of the attention c if they fit. Either all attentions that
// share keys and values are rewritten, or none.
func (e *attentions) fuse(c *ir.Value) error {
	q, k, v := c.Args[0], c.Args[1], c.Args[2]
	pair := operandPair{k, v}
	readers := e.readers[pair]
	cols, heads := k.Type.Cols(), c.Attrs.Int("heads", 1)
	count := e.count
	if kv := e.fused[pair]; kv != nil {
		i, err := e.joined(propose(e.editor, count, heads, "q", []*ir.Value{q}), q)
		if err != nil {
			return err
		}
		c.Args[0] = i
		return e.operands(c, 1, kv, cols, e.fresh(k.Name), e.fresh(v.Name))
	}
	if k == v || count[k] != len(readers) || count[v] != len(readers) {
		return nil
	}
	defer func() { count[k], count[v] = len(readers), len(readers) }()
	count[k], count[v] = 1, 1 // all of them are looked at here
	for _, r := range readers {
		if count[r.Args[0]] != 1 || r.Args[0].Type.Cols() != cols || v.Type.Cols() != cols || r.Attrs.Int("heads", 1) != heads {
			return nil
		}
	}
	qs, ks, vs := leaves(q, count), leaves(k, count), leaves(v, count)
	if len(ks) != len(vs) {
		return nil
	}
	if len(readers) == 1 {
		if groups := propose(e.editor, count, heads, "", qs, ks, vs); groups != nil {
			i, err := e.joined(groups, q)
			if err == nil {
				err = e.operands(c, 0, i, cols, q.Name, k.Name, v.Name)
			}
			return err
		}
	}
	rest := propose(e.editor, count, heads, "kv", ks, vs)
	if rest == nil {
		return nil
	}
	for _, r := range readers {
		if len(propose(e.editor, count, heads, "q", leaves(r.Args[0], count))) != 1 {
			return nil
		}
	}
	i, err := e.joined(propose(e.editor, count, heads, "q", qs), q)
	if err != nil {
		return err
	}
	kv, err := e.joined(rest, k)
	if err != nil {
		return err
	}
	e.fused[pair] = kv
	c.Args[0] = i
	return e.operands(c, 1, kv, cols, k.Name, v.Name)
}

// operands replaces the arguments of c, from number first on, by columns of i: one part of
// cols columns for each name.
func (e *editor) operands(c *ir.Value, first int, i *ir.Value, cols int, names ...string) error {
	for n, old := range c.Args[first:] {
		x, err := e.emit(ir.OpCols, names[n], "", ir.Attrs{ir.IntAttr("at", n*cols), ir.IntAttr("len", cols)}, i)
		if err != nil {
			return err
		}
		// The old operand is removed at once, because the new value has its name.
		e.out = slices.DeleteFunc(e.out, func(v *ir.Value) bool { return v == old })
		c.Args[first+n] = x
	}
	return nil
}

// propose groups the linears of each segment and returns a group with its qkv for each, or
// nil if a segment does not fit. parts is the attribute of the qkvs, "" for all three parts.
func propose(e *editor, count map[*ir.Value]int, heads int, parts string, operands ...[]*ir.Value) []group {
	var groups []group
	for s := range operands[0] {
		var g group
		for _, o := range operands {
			if s >= len(o) || len(o) != len(operands[0]) || o[s].Op != ir.OpLinear || count[o[s]] != 1 {
				return nil
			}
			g.linears = append(g.linears, o[s])
		}
		first := g.linears[0]
		field := "q"
		if parts == "kv" {
			field = "k"
		}
		bundle, ok := under(first.Bundle, field)
		if !ok {
			return nil
		}
		attrs := ir.Attrs{ir.IntAttr("heads", heads)}
		if parts != "" {
			attrs = append(attrs, ir.SymbolAttr("parts", parts))
		}
		x, eps := unnorm(first.Args[0], "eps")
		all := append(eps, attrs...)
		if !g.propose(e.p, count, bundle, all, x) && !g.propose(e.p, count, bundle, attrs, first.Args[0]) {
			// A norm that other values read too, and whose weights fold did not move, is
			// repeated inside the op: without it the op would not apply those weights.
			norm := first.Args[0]
			readers := count[norm]
			count[norm] = len(g.linears)
			ok := g.propose(e.p, count, bundle, all, x)
			count[norm] = readers
			if !ok {
				return nil
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// propose sets g.qkv and returns true if the op on these operands expands to exactly g's linears.
func (g *group) propose(p *ir.Program, count map[*ir.Value]int, bundle string, attrs ir.Attrs, x *ir.Value) bool {
	g.qkv = &ir.Value{Op: ir.OpQKV, Bundle: bundle, Attrs: attrs, Args: []*ir.Value{x}}
	result, m, err := expand(p, g.qkv)
	if err != nil {
		return false
	}
	parts := []*ir.Value{result}
	if result.Op == ir.OpHCat {
		parts = result.Args
	}
	return len(parts) == len(g.linears) && m.matchArgs(parts, g.linears) && m.shared(count, g.linears...) == nil
}

// joined emits the groups' qkvs, and their concat if there are several. They are named after
// the operand and its parts: q2.v gives i2.v.
func (e *editor) joined(groups []group, operand *ir.Value) (*ir.Value, error) {
	var parts []*ir.Value
	for _, g := range groups {
		v, err := e.emit(ir.OpQKV, e.fused(g.linears[0]), g.qkv.Bundle, g.qkv.Attrs, g.qkv.Args...)
		if err != nil {
			return nil, err
		}
		parts = append(parts, v)
		e.out = slices.DeleteFunc(e.out, func(v *ir.Value) bool { return slices.Contains(g.linears, v) })
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return e.emit(ir.OpConcat, e.fused(operand), "", nil, parts...)
}

// fused returns the name of the value that replaces v: v's name with its leading letters replaced by the hint of qkv.
func (e *editor) fused(v *ir.Value) string {
	return e.fresh(ir.OpQKV.Hint + strings.TrimLeftFunc(v.Name, unicode.IsLetter))
}
