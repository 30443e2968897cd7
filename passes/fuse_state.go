package passes

import (
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// FuseState fuses keys and values that are stored for a later call into one op, with the norm
// before them if nothing else reads it, and the queries of an attention over stored keys and
// values into another.
//
//	k = linear n, @l0.attn.v~f.k     : f32[2,4]
//	v = linear n, @l0.attn.v~f.v     : f32[2,4]
//	j = hcat k, v                    : f32[2,8]
//	new = store j {slot=0 rows=1}    : f32[1,8]
//
// becomes
//
//	i = qkv n, @l0.attn.v~f {heads=2 parts=kv} : f32[2,8]
//	k = cols i {at=0 len=4}          : f32[2,4]
//	v = cols i {at=4 len=4}          : f32[2,4]
//	new = store i {slot=0 rows=1}    : f32[1,8]
//
// and an attention of q over k and v, or over the join of a state with them, gets q from a
// qkv {parts=q}. The state holds the rows of the qkv with their heads padded, the form that
// attention reads. The bias of the keys stays, because queries of a later call meet it too.
var FuseState = &Pass{
	Name:    "fuse-state",
	Needs:   []*Property{Routed},
	Numeric: Exact,
	Run: func(p *ir.Program, _ Options) error {
		for _, f := range p.Funcs {
			if slices.ContainsFunc(f.Values, func(v *ir.Value) bool { return v.Op == ir.OpStore }) {
				if err := fuseState(&stored{editor: edit(p, f), count: uses(f)}); err != nil {
					return err
				}
			}
		}
		prune(p)
		return nil
	},
}

// stored is the state of rewriting one function.
type stored struct {
	*editor
	rest  []*ir.Value // the old values that are not rewritten yet
	count counts
}

func fuseState(e *stored) error {
	heads := 0
	for _, v := range e.f.Values {
		heads = max(heads, v.Attrs.Int("heads", 0))
	}
	values := slices.Clone(e.f.Values)
	for i, v := range values {
		e.rest = values[i:]
		var err error
		switch v.Op {
		case ir.OpAttention:
			err = e.queries(v)
		case ir.OpHCat:
			var done bool
			if done, err = e.pair(v, heads); done {
				continue
			}
		}
		if err != nil {
			return err
		}
		e.out = append(e.out, v)
	}
	e.f.Values = e.out
	return nil
}

// pair replaces kv, the keys beside the values, if stores are its only readers.
func (e *stored) pair(kv *ir.Value, heads int) (done bool, err error) {
	if len(kv.Args) != 2 || kv.Args[0] == kv.Args[1] || slices.Contains(e.f.Results, kv) {
		return false, nil
	}
	k, v := kv.Args[0], kv.Args[1]
	for _, u := range e.rest {
		if slices.Contains(u.Args, kv) && u.Op != ir.OpStore {
			return false, nil
		}
	}
	for _, x := range kv.Args {
		if slices.Contains(e.f.Results, x) || slices.ContainsFunc(e.out, func(u *ir.Value) bool { return slices.Contains(u.Args, x) }) {
			return false, nil
		}
	}
	ofK, ofV := e.count[k], e.count[v]
	e.count[k], e.count[v] = 1, 1 // all of them are looked at here
	groups := propose(e.editor, e.count, heads, "kv", []*ir.Value{k}, []*ir.Value{v})
	e.count[k], e.count[v] = ofK, ofV
	if groups == nil {
		return false, nil
	}
	i, err := e.joined(groups, k)
	if err != nil {
		return false, err
	}
	e.replace(kv, i)
	cols := k.Type.Cols()
	for n, x := range []*ir.Value{k, v} {
		part, err := e.emit(ir.OpCols, x.Name, "", ir.Attrs{ir.IntAttr("at", n*cols), ir.IntAttr("len", cols)}, i)
		if err != nil {
			return false, err
		}
		e.replace(x, part)
	}
	return true, nil
}

// queries replaces the queries of the attention c by a fused value, if each part of its keys
// and values is half of a fused value or of a state.
func (e *stored) queries(c *ir.Value) error {
	count := e.count
	heads := c.Attrs.Int("heads", 1)
	ks, vs := leaves(c.Args[1], count), leaves(c.Args[2], count)
	if len(ks) != len(vs) {
		return nil
	}
	for i := range ks {
		k, v := follow(ks[i], ir.OpCols, 0), follow(vs[i], ir.OpCols, 0)
		if k == nil || k != v || !k.State && (k.Op != ir.OpQKV || k.Attrs.Int("heads", 1) != heads) {
			return nil
		}
	}
	groups := propose(e.editor, count, heads, "q", []*ir.Value{c.Args[0]})
	if groups == nil {
		return nil
	}
	i, err := e.joined(groups, c.Args[0])
	before := slices.Clone(c.Args)
	c.Args[0] = i
	e.count.moved(c, before)
	return err
}

// replace makes every value that is not rewritten yet read v in place of old.
func (e *stored) replace(old, v *ir.Value) {
	for _, u := range e.rest {
		if slices.Contains(u.Args, old) {
			before := slices.Clone(u.Args)
			for i, a := range u.Args {
				if a == old {
					u.Args[i] = v
				}
			}
			e.count.moved(u, before)
		}
	}
}
