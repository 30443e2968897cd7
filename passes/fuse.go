package passes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// matcher compares the expansion of a proposed fused op with the values of a function.
// A fusion is correct because its expansion equals the program, however the pass found it.
type matcher struct {
	have map[*ir.Value]*ir.Value // the function's value for each value of the expansion

	// depth is the current depth below the results, failed the depth of the deepest difference so far.
	depth, failed int
	want, got     *ir.Value // the values that differ there, of the expansion and of the function
}

// expand returns the result of the expansion of the proposed value v, and a matcher that
// knows its arguments. It is an error if v does not expand, because the bundle lacks a field
// or a shape does not fit.
func expand(p *ir.Program, v *ir.Value) (result *ir.Value, m *matcher, err error) {
	g, err := p.Expand(v)
	if err != nil {
		return nil, nil, err
	}
	m = &matcher{have: map[*ir.Value]*ir.Value{}}
	for i, x := range g.Params {
		m.have[x] = v.Args[i]
	}
	return g.Results[0], m, nil
}

// match reports whether have, a value of the function, computes want, a value of the
// expansion: the same op with the same weights and attributes on matching arguments. The
// two arguments of add and mul may be exchanged.
func (m *matcher) match(want, have *ir.Value) bool {
	if known, ok := m.have[want]; ok {
		return known == have || m.fail(want, have)
	}
	if want.Op == nil || want.Op != have.Op || want.Bundle != have.Bundle || len(want.Args) != len(have.Args) ||
		!slices.Equal(want.Op.Sort(want.Attrs), have.Op.Sort(have.Attrs)) {
		return m.fail(want, have)
	}
	before := maps.Clone(m.have)
	ok := m.matchArgs(want.Args, have.Args)
	if !ok && (want.Op == ir.OpAdd || want.Op == ir.OpMul) {
		m.have = before
		ok = m.matchArgs(want.Args, []*ir.Value{have.Args[1], have.Args[0]})
	}
	m.have[want] = have
	return ok
}

// fail records the values that differ, and returns false.
func (m *matcher) fail(want, got *ir.Value) bool {
	if m.want == nil || m.depth > m.failed {
		m.failed, m.want, m.got = m.depth, want, got
	}
	return false
}

func (m *matcher) matchArgs(want, have []*ir.Value) bool {
	m.depth++
	defer func() { m.depth-- }()
	for i := range want {
		if !m.match(want[i], have[i]) {
			return false
		}
	}
	return true
}

// shared returns a value that the fusion would remove although other than matched values read it, the first by name, or
// nil. The fusion removes the matched values except the roots and the arguments.
func (m *matcher) shared(count map[*ir.Value]int, roots ...*ir.Value) (first *ir.Value) {
	seen := map[*ir.Value]int{}
	for want := range m.have {
		for _, a := range want.Args {
			seen[m.have[a]]++
		}
	}
	for want, have := range m.have {
		if want.Op != nil && !slices.Contains(roots, have) && seen[have] != count[have] && (first == nil || have.Name < first.Name) {
			first = have
		}
	}
	return first
}

// fuse turns root into the fused op, under its own name, if the op's expansion equals root
// and the values before it. The replaced values are left for prune.
func (x *fuser) fuse(root *ir.Value, op *ir.Op, bundle string, attrs ir.Attrs, args ...*ir.Value) bool {
	v := &ir.Value{Name: root.Name, Op: op, Args: args, Bundle: bundle, Attrs: attrs, Type: root.Type, Offset: -1}
	result, m, err := expand(x.p, v)
	switch {
	case err != nil:
		return x.refuse(v, "%s does not expand: %v", op.Name, err)
	case !m.match(result, root):
		return x.refuse(v, "the expansion has %s, the program %s", line(m.want), line(m.got))
	}
	if s := m.shared(x.count, root); s != nil {
		return x.refuse(v, "%s would vanish, and another value or a result reads it", s.Name)
	}
	before := root.Args
	*root = *v
	x.count.moved(root, before)
	return true
}

// refuse reports the reason why the proposal v is refused, if a caller asked for that, and returns false.
func (x *fuser) refuse(v *ir.Value, format string, args ...any) bool {
	if x.refused != nil {
		x.refused(fmt.Sprintf("%s: %s at %s is refused: ", x.f.Name, v.Op.Name, v.Name) + fmt.Sprintf(format, args...))
	}
	return false
}

// line returns the line of v in a program, without its type, or the name of an argument.
func line(v *ir.Value) string {
	if v.Op == nil {
		return v.Name
	}
	text, _, _ := strings.Cut(ir.PrintValue(v), " : ")
	return "`" + strings.Join(strings.Fields(text), " ") + "`"
}

// fuser fuses values of one function.
type fuser struct {
	p       *ir.Program
	f       *ir.Func
	count   counts
	refused func(why string) // see Options
}

// fusing returns the Run function of a pass that calls propose for every value, in order, and
// prunes the values that fusions replaced.
func fusing(propose func(x *fuser, v *ir.Value)) func(*ir.Program, Options) error {
	return func(p *ir.Program, o Options) error {
		for _, f := range p.Funcs {
			x := &fuser{p, f, uses(f), o.Refused}
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
