package passes

import "github.com/multiway-go/multiway/ir"

// FuseEmbed fuses the embedding of an image into one op, and the embedding of a text into another.
//
//	p = patches image {patch=2}       : f32[4,12]
//	h = linear p, @vision.embed.proj  : f32[4,8]
//	w = const @vision.embed.cls       : f32[1,8]
//	j = concat w, h                   : f32[5,8]
//	x = addrows j, @vision.embed.pos {at=0} : f32[5,8]
//
// becomes
//
//	x = embed_patches image, @vision.embed {patch=2} : f32[5,8]
//
// with or without a class row before the patches. If the linear's argument is no patches op, they become
// embed_rows of that argument, as after the joins of a stem. A lookup in tok with rows of pos added, from any row
// on, becomes embed. All three ops may lack position embeddings.
var FuseEmbed = &Pass{
	Name:    "fuse-embed",
	Needs:   []*Property{Routed},
	Numeric: Exact,
	Run: fusing(func(x *fuser, v *ir.Value) {
		tok := v // the value before positions are added
		if v.Op == ir.OpAddRows {
			tok = v.Args[0]
		}
		switch tok.Op {
		case ir.OpLookup:
			if bundle, ok := under(tok.Bundle, "tok"); ok {
				var attrs ir.Attrs
				if at := v.Attrs.Dim("at"); at != (ir.Dim{}) {
					attrs = ir.Attrs{ir.DimAttr("pos", at)}
				}
				x.fuse(v, ir.OpEmbed, bundle, attrs, tok.Args[0])
			}
		case ir.OpConcat, ir.OpLinear:
			proj := tok
			if tok.Op == ir.OpConcat {
				proj = tok.Args[1]
			}
			rows := follow(proj, ir.OpLinear, 0)
			bundle, ok := under(proj.Bundle, "proj")
			if image := follow(rows, ir.OpPatches, 0); ok && image != nil {
				x.fuse(v, ir.OpEmbedPatches, bundle, rows.Attrs, image)
			} else if ok && rows != nil && v != proj {
				x.fuse(v, ir.OpEmbedRows, bundle, nil, rows)
			}
		}
	}),
}
