package passes

import (
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// FuseAttention fuses an attention whose operands are columns of a fused qkv into one op,
// and the output projection with its norm and residual into another.
//
//	q = cols i {at=0 len=4}               : f32[3,4]
//	k = cols i {at=4 len=4}               : f32[3,4]
//	v = cols i {at=8 len=4}               : f32[3,4]
//	c = attention q, k, v {heads=2 scale=1 base=2} : f32[3,4]
//	d = layernorm c {eps=1e-05}           : f32[3,4]
//	o = linear d, @l0.attn.v~f.out        : f32[3,4]
//	a = add x, o                          : f32[3,4]
//
// becomes
//
//	c = selfattention i {heads=2 scale=1 base=2}        : f32[3,4]
//	a = attnout c, x, @l0.attn.v~f {eps=1e-05} : f32[3,4]
//
// If the queries are in another value than keys and values, the op is crossattention q, kv,
// or crossattention q, kv, kv2, ... if keys and values are joined from several values.
var FuseAttention = &Pass{
	Name:    "fuse-attention",
	Needs:   []*Property{Routed},
	Numeric: Exact,
	Run: fusing(func(x *fuser, v *ir.Value) {
		switch v.Op {
		case ir.OpAttention:
			q, k := follow(v.Args[0], ir.OpCols, 0), follow(v.Args[1], ir.OpCols, 0)
			args := []*ir.Value{v.Args[0], k}
			if joined := v.Args[1]; joined.Op == ir.OpConcat {
				args = args[:1]
				for _, part := range joined.Args {
					k = follow(part, ir.OpCols, 0)
					args = append(args, k)
				}
			}
			switch {
			case q != nil && q == k:
				x.fuse(v, ir.OpSelfAttention, v.Bundle, v.Attrs, q)
			case !slices.Contains(args, nil):
				x.fuse(v, ir.OpCrossAttention, v.Bundle, v.Attrs, args...)
			}
		case ir.OpAdd:
			for i, o := range v.Args {
				if o.Op != ir.OpLinear {
					continue
				}
				if bundle, ok := under(o.Bundle, "out"); ok {
					c, eps := unnorm(o.Args[0], "eps")
					if x.fuse(v, ir.OpAttnOut, bundle, eps, c, v.Args[1-i]) {
						return
					}
				}
			}
		}
	}),
}
