package passes

import (
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// FuseFFN fuses a feed-forward block with its residual into one op.
//
//	n = layernorm x {eps=1e-05}     : f32[3,4]
//	h = linear n, @l0.ffn.v~f.fc1   : f32[3,8]
//	g = gelu h                      : f32[3,8]
//	s = layernorm g {eps=1e-05}     : f32[3,8]
//	o = linear s, @l0.ffn.v~f.fc2   : f32[3,4]
//	y = add x, o                    : f32[3,4]
//
// becomes
//
//	y = ffn x, @l0.ffn.v~f {eps=1e-05 sub=1e-05} : f32[3,4]
//
// Either norm may be missing, and each norm may have weights (ln, sub) or not. The ffn has the attribute act of its gelu. The
// result of the gelu may be multiplied by a linear of the same rows, @l0.ffn.v~f.gate.
var FuseFFN = &Pass{
	Name:    "fuse-ffn",
	Needs:   []*Property{Routed},
	Numeric: Exact,
	Run: fusing(func(x *fuser, v *ir.Value) {
		if v.Op != ir.OpAdd {
			return
		}
		for i, o := range v.Args {
			bundle, ok := "", false
			if o.Op == ir.OpLinear {
				bundle, ok = under(o.Bundle, "fc2")
			}
			if !ok {
				continue
			}
			h, sub := unnorm(follow(o, ir.OpLinear, 0), "sub")
			if h.Op == ir.OpMul { // the other factor is the gate
				if j := slices.IndexFunc(h.Args, func(a *ir.Value) bool { return a.Op == ir.OpGelu }); j >= 0 {
					h = h.Args[j]
				}
			}
			hidden := follow(h, ir.OpGelu, 0)
			if hidden == nil {
				continue
			}
			if act, ok := h.Attrs.Get("act"); ok {
				sub = append(sub, act)
			}
			// A norm before fc1 is part of the block, unless the residual is the normed value.
			var attrs ir.Attrs
			if in := follow(hidden, ir.OpLinear, 0); in != v.Args[1-i] {
				_, attrs = unnorm(in, "eps")
			}
			if x.fuse(v, ir.OpFFN, bundle, append(attrs, sub...), v.Args[1-i]) {
				return
			}
		}
	}),
}

// unnorm returns the argument of v, a norm, and its epsilon as the attribute key; v itself if it is not a norm.
func unnorm(v *ir.Value, key string) (*ir.Value, ir.Attrs) {
	if x := follow(v, ir.OpLayerNorm, 0); x != nil {
		return x, ir.Attrs{ir.FloatAttr(key, v.Attrs.Float("eps", 0))}
	}
	return v, nil
}
