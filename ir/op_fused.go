package ir

var (
	OpEmbedPatches   = newOp()
	OpEmbedRows      = newOp()
	OpEmbed          = newOp()
	OpQKV            = newOp()
	OpSelfAttention  = newOp()
	OpCrossAttention = newOp()
	OpAttnOut        = newOp()
	OpFFN            = newOp()
)

func init() {
	*OpEmbedPatches = Op{
		Name: "embed_patches", Hint: "x", Args: 1,
		Doc:     "image f32[C,H,W] -> [N,D] or, with a row cls, [1+N,D]: patches through proj, the row cls before them, the rows of pos added",
		Fields:  []Field{{"proj.w", false}, {"proj.b", true}, {"cls.w", true}, {"pos.w", true}},
		Attrs:   []AttrSpec{{"patch", Int, true}},
		Batch:   PerSeq,
		Expand:  expandEmbedPatches,
		Kernels: []string{"gemm"},
		Scratch: scratchPatches,
	}
	*OpEmbedRows = Op{
		Name: "embed_rows", Hint: "x", Args: 1,
		Doc:     "x [N,K] -> [N,D] or, with a row cls, [1+N,D]: rows through proj, the row cls before them, the rows of pos added",
		Fields:  []Field{{"proj.w", false}, {"proj.b", true}, {"cls.w", true}, {"pos.w", true}},
		Batch:   Reducing,
		Expand:  expandEmbedRows,
		Kernels: []string{"gemm"},
	}
	*OpEmbed = Op{
		Name: "embed", Hint: "x", Args: 1,
		Doc:     "ids i32[R] -> [R,D]: rows of tok, the rows of pos from row pos on added; pos is 0 unless given",
		Fields:  []Field{{"tok.w", false}, {"pos.w", true}},
		Attrs:   []AttrSpec{{"pos", Length, false}},
		Batch:   PerSeq,
		Expand:  expandEmbed,
		Kernels: []string{PlainGo},
	}
	*OpQKV = Op{
		Name: "qkv", Hint: "i", Args: 1,
		Doc: "x [R,D] -> [R,Q+K+V]: norm, then the linears q, k and v side by side; parts=q or parts=kv leaves the others out; no eps: no norm; eps but no ln: the bare norm",
		// The attribute parts decides which of q, k and v are needed, so all are optional here and the linears check them.
		Fields:  []Field{{"ln.g", true}, {"ln.b", true}, {"q.w", true}, {"q.b", true}, {"k.w", true}, {"k.b", true}, {"v.w", true}, {"v.b", true}},
		Attrs:   []AttrSpec{{"eps", Float, false}, {"heads", Int, false}, {"parts", Symbol, false}},
		Expand:  expandQKV,
		Kernels: []string{"gemm", "layernorm"},
		Scratch: scratchNorm,
	}
	*OpSelfAttention = Op{
		Name: "selfattention", Hint: "c", Args: 1,
		Doc:     "qkv [S,3D] -> [S,D]: attention of its thirds; the bundle, if any, is its relative position bias",
		Fields:  relBiasFields,
		Attrs:   attentionAttrs,
		Batch:   PerSeq,
		Expand:  expandSelfAttention,
		Kernels: attentionKernels,
	}
	*OpCrossAttention = Op{
		Name: "crossattention", Hint: "c", Args: -1,
		Doc:     "q [S,D], kv [K,2D], ... -> [S,D]: attention of q and the halves of kv, several of them below each other; the bundle, if any, is its relative position bias",
		Fields:  relBiasFields,
		Attrs:   attentionAttrs,
		Batch:   PerSeq,
		Expand:  expandCrossAttention,
		Kernels: attentionKernels,
	}
	*OpAttnOut = Op{
		Name: "attnout", Hint: "a", Args: 2,
		Doc:     "c [R,E], x [R,D] -> [R,D]: x + out(norm(c)); no eps: no norm; eps but no sub: the bare norm",
		Fields:  []Field{{"sub.g", true}, {"sub.b", true}, {"out.w", false}, {"out.b", true}},
		Attrs:   []AttrSpec{{"eps", Float, false}},
		Expand:  expandAttnOut,
		Kernels: []string{"gemm", "layernorm"},
		InPlace: []int{1},
		Scratch: scratchNorm,
		Step:    Step{Method: "AttnOut", Parts: []Part{{Kind: PartNorm, Name: "sub", Eps: "eps"}, {Kind: PartLinear, Name: "out"}}},
	}
	*OpFFN = Op{
		Name: "ffn", Hint: "y", Args: 1,
		Doc: "x [R,D] -> [R,D]: x + fc2(subnorm(act(fc1(norm(x))) * gate(norm(x)))), act as of gelu; no gate.w: no factor; eps is of the norm, sub of the inner norm; without the attribute no such norm, without the weights the bare one",
		Fields: []Field{{"ln.g", true}, {"ln.b", true}, {"fc1.w", false}, {"fc1.b", true}, {"gate.w", true}, {"gate.b", true},
			{"sub.g", true}, {"sub.b", true}, {"fc2.w", false}, {"fc2.b", true}},
		Attrs:   []AttrSpec{{"eps", Float, false}, {"sub", Float, false}, actSpec},
		Expand:  expandFFN,
		Kernels: []string{"gemm", "layernorm", "gelu", "mul"},
		InPlace: []int{0},
		Scratch: scratchFFN,
	}
}

func expandEmbedPatches(b *Builder, v *Value) *Value {
	return project(b, b.Patches(v.Args[0], v.Attrs.Int("patch", 0)), v.Bundle)
}

func expandEmbedRows(b *Builder, v *Value) *Value {
	x := v.Args[0]
	if len(x.Type.Shape) == 2 && x.Type.Rows().T {
		b.fail("%s is %v, want a constant number of rows", x.Name, x.Type)
		return x
	}
	return project(b, x, v.Bundle)
}

// project is proj of x with the row cls before it, if the bundle has one, and the rows of pos added.
func project(b *Builder, x *Value, bundle string) *Value {
	x = b.Linear(x, bundle+".proj")
	if b.P.Field(bundle, "cls.w") != nil {
		x = b.Concat(b.Const(bundle+".cls"), x)
	}
	return position(b, x, bundle+".pos", Dim{})
}

func expandEmbed(b *Builder, v *Value) *Value {
	return position(b, b.Lookup(v.Args[0], v.Bundle+".tok"), v.Bundle+".pos", v.Attrs.Dim("pos"))
}

func expandQKV(b *Builder, v *Value) *Value {
	x := norm(b, v.Args[0], v.Bundle+".ln", v.Attrs, "eps")
	var parts []*Value
	switch which := v.Attrs.Symbol("parts"); which {
	case "q":
		parts = append(parts, b.Linear(x, v.Bundle+".q"))
	case "kv", "":
		if which == "" {
			parts = append(parts, b.Linear(x, v.Bundle+".q"))
		}
		parts = append(parts, b.Linear(x, v.Bundle+".k"), b.Linear(x, v.Bundle+".v"))
	default:
		b.fail("parts=%s, want parts=q, parts=kv, or no attribute parts for all three", which)
		return x
	}
	heads, ok := v.Attrs.Get("heads")
	for _, p := range parts {
		if ok && (heads.Int < 1 || p.Type.Cols()%heads.Int != 0) {
			b.fail("heads is %d, want a divisor of %d columns", heads.Int, p.Type.Cols())
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return b.HCat(parts...)
}

func expandSelfAttention(b *Builder, v *Value) *Value {
	x := v.Args[0]
	d, ok := split(b, x, 3)
	if !ok {
		return x
	}
	return b.Op(OpAttention, "", v.Bundle, own(OpAttention, v.Attrs), b.Cols(x, 0, d), b.Cols(x, d, d), b.Cols(x, 2*d, d))
}

func expandCrossAttention(b *Builder, v *Value) *Value {
	var ks, vs []*Value
	for _, kv := range v.Args[1:] {
		d, ok := split(b, kv, 2)
		if !ok {
			return v.Args[0]
		}
		ks, vs = append(ks, b.Cols(kv, 0, d)), append(vs, b.Cols(kv, d, d))
	}
	below := func(xs []*Value) *Value {
		if len(xs) == 1 {
			return xs[0]
		}
		return b.Concat(xs...)
	}
	return b.Op(OpAttention, "", v.Bundle, own(OpAttention, v.Attrs), v.Args[0], below(ks), below(vs))
}

func expandAttnOut(b *Builder, v *Value) *Value {
	c := norm(b, v.Args[0], v.Bundle+".sub", v.Attrs, "eps")
	return b.Add(v.Args[1], b.Linear(c, v.Bundle+".out"))
}

func expandFFN(b *Builder, v *Value) *Value {
	x := v.Args[0]
	n := norm(b, x, v.Bundle+".ln", v.Attrs, "eps")
	h := b.Op(OpGelu, "", "", own(OpGelu, v.Attrs), b.Linear(n, v.Bundle+".fc1"))
	if gate := v.Bundle + ".gate"; b.P.Field(gate, "w") != nil {
		h = b.Mul(h, b.Linear(n, gate))
	}
	h = norm(b, h, v.Bundle+".sub", v.Attrs, "sub")
	return b.Add(x, b.Linear(h, v.Bundle+".fc2"))
}

// norm is the layernorm whose epsilon is the attribute key. Without the attribute it is x
// itself; without the weights it only normalises.
func norm(b *Builder, x *Value, bundle string, attrs Attrs, key string) *Value {
	affine := b.P.Field(bundle, "g") != nil || b.P.Field(bundle, "b") != nil
	eps, ok := attrs.Get(key)
	switch {
	case !ok && affine:
		b.fail("@%s has norm weights, but there is no attribute %q", bundle, key)
		return x
	case !ok:
		return x
	case !affine:
		bundle = ""
	}
	return b.LayerNorm(x, bundle, eps.Float)
}

// position adds the rows of the bundle from row at on to x, or returns x if there is no such bundle.
func position(b *Builder, x *Value, bundle string, at Dim) *Value {
	if b.P.Field(bundle, "w") == nil {
		return x
	}
	return b.AddRows(x, bundle, at)
}

// split returns the columns of one of n equal parts of x.
func split(b *Builder, x *Value, n int) (cols int, ok bool) {
	if x.Type.DType != F32 || len(x.Type.Shape) != 2 || x.Type.Cols()%n != 0 {
		b.fail("%s is %v, want an f32 matrix whose columns divide into %d equal parts", x.Name, x.Type, n)
		return 0, false
	}
	return x.Type.Cols() / n, true
}

// own returns the attributes that op declares itself, without the common ones.
func own(op *Op, attrs Attrs) Attrs {
	var out Attrs
	for _, a := range attrs {
		for _, s := range op.Attrs {
			if s.Key == a.Key {
				out = append(out, a)
			}
		}
	}
	return out
}

// scratchPatches returns one matrix for the patches of the image, a row of C*patch*patch floats for each.
func scratchPatches(_ *Program, v *Value) []Scratch {
	image, patch := v.Args[0].Type.Shape, v.Attrs.Int("patch", 1)
	return []Scratch{{Rows: C(image[1].C / patch * (image[2].C / patch)), Cols: image[0].C * patch * patch}}
}

// scratchNorm returns one matrix of the first argument's shape for the norm of that argument.
func scratchNorm(_ *Program, v *Value) []Scratch {
	x := v.Args[0].Type
	return []Scratch{{Rows: x.Rows(), Cols: x.Cols()}}
}

// scratchFFN returns matrices for the norm of the argument, the rows of the hidden layer and, if there is a gate, the factors
// of these rows.
func scratchFFN(p *Program, v *Value) []Scratch {
	x := v.Args[0].Type
	all := []Scratch{
		{Rows: x.Rows(), Cols: x.Cols()},
		{Rows: x.Rows(), Cols: p.Field(v.Bundle, "fc1.w").Type.Rows().C},
	}
	if p.Field(v.Bundle, "gate.w") != nil {
		all = append(all, all[1])
	}
	return all
}
