package passes

import (
	"maps"
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// matcher compares the expansion of a proposed fused op with the values of a function.
// A fusion is correct because its expansion equals the program, however the pass found it.
type matcher struct {
	have map[*ir.Value]*ir.Value // the function's value for each value of the expansion
}

// expand returns the result of the expansion of the proposed value v, and a matcher that
// knows its arguments. ok is false if v does not expand, because the bundle lacks a field
// or a shape does not fit.
func expand(p *ir.Program, v *ir.Value) (result *ir.Value, m *matcher, ok bool) {
	g, err := p.Expand(v)
	if err != nil {
		return nil, nil, false
	}
	m = &matcher{have: map[*ir.Value]*ir.Value{}}
	for i, x := range g.Params {
		m.have[x] = v.Args[i]
	}
	return g.Results[0], m, true
}

// match reports whether have, a value of the function, computes want, a value of the
// expansion: the same op with the same weights and attributes on matching arguments. The
// two arguments of add may be exchanged.
func (m *matcher) match(want, have *ir.Value) bool {
	if known, ok := m.have[want]; ok {
		return known == have
	}
	if want.Op == nil || want.Op != have.Op || want.Bundle != have.Bundle || len(want.Args) != len(have.Args) ||
		!slices.Equal(want.Op.Sort(want.Attrs), have.Op.Sort(have.Attrs)) {
		return false
	}
	before := maps.Clone(m.have)
	ok := m.matchArgs(want.Args, have.Args)
	if !ok && want.Op == ir.OpAdd {
		m.have = before
		ok = m.matchArgs(want.Args, []*ir.Value{have.Args[1], have.Args[0]})
	}
	m.have[want] = have
	return ok
}

func (m *matcher) matchArgs(want, have []*ir.Value) bool {
	for i := range want {
		if !m.match(want[i], have[i]) {
			return false
		}
	}
	return true
}

// private reports whether all values that the fusion removes, which are the matched ones but
// the roots and the arguments, are read by matched values only.
func (m *matcher) private(count map[*ir.Value]int, roots ...*ir.Value) bool {
	seen := map[*ir.Value]int{}
	for want := range m.have {
		for _, a := range want.Args {
			seen[m.have[a]]++
		}
	}
	for want, have := range m.have {
		if want.Op != nil && !slices.Contains(roots, have) && seen[have] != count[have] {
			return false
		}
	}
	return true
}

// fuse turns root into the fused op, under its own name, if the op's expansion equals root
// and the values before it. The replaced values are left for prune.
func (x *fuser) fuse(root *ir.Value, op *ir.Op, bundle string, attrs ir.Attrs, args ...*ir.Value) bool {
	v := &ir.Value{Name: root.Name, Op: op, Args: args, Bundle: bundle, Attrs: attrs, Type: root.Type, Offset: -1}
	result, m, ok := expand(x.p, v)
	if !ok || !m.match(result, root) || !m.private(x.count, root) {
		return false
	}
	before := root.Args
	*root = *v
	x.count.moved(root, before)
	return true
}

// fuser fuses values of one function.
type fuser struct {
	p     *ir.Program
	count counts
}

// fusing returns the Run function of a pass that calls propose for every value, in order, and
// prunes the values that fusions replaced.
func fusing(propose func(x *fuser, v *ir.Value)) func(*ir.Program, Options) error {
	return func(p *ir.Program, _ Options) error {
		for _, f := range p.Funcs {
			x := &fuser{p, uses(f)}
			for _, v := range f.Values {
				propose(x, v)
			}
		}
		prune(p)
		return nil
	}
}

// follow returns argument i of v if v has the given op, else nil. v may be nil.
func follow(v *ir.Value, op *ir.Op, i int) *ir.Value {
	if v == nil || v.Op != op {
		return nil
	}
	return v.Args[i]
}

// under returns the parent of a bundle called parent.field.
func under(bundle, field string) (parent string, ok bool) {
	n := len(bundle) - len(field) - 1
	if n < 1 || bundle[n] != '.' || bundle[n+1:] != field {
		return "", false
	}
	return bundle[:n], true
}
