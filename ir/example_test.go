package ir_test

import (
	"fmt"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// A program is read from its text, printed, given weights and evaluated.
func Example() {
	p, err := ir.Parse("tiny.ir", []byte(`
		program tiny T<=4
		weight @scale.vision.w f32[2,2]      // doubles
		weight @scale.language.w f32[2,2]    // negates

		func pair(x: f32[1+T,2]) segments vision=1, language=T {
			h = linear x, @scale.* : f32[1+T,2]
			y = add x, h           : f32[1+T,2]
			return y
		}
	`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(ir.Print(p))

	diagonal := func(a float32) func() ([]float32, error) {
		return func() ([]float32, error) { return []float32{a, 0, 0, a}, nil }
	}
	p.Weight("scale.vision.w").Load = diagonal(2)
	p.Weight("scale.language.w").Load = diagonal(-1)
	out, err := p.Run("pair", 2, map[string]*ir.Tensor{
		"x": {Shape: []int{3, 2}, F: []float64{1, 2, 3, 4, 5, 6}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out["y"].Shape, out["y"].F)

	_, err = ir.Parse("wrong.ir", []byte("program wrong\nfunc f(x: f32[3,4]) {\n  y = gelu x : f32[4,3]\n  return y\n}"))
	fmt.Println(err)
	// Output:
	// program tiny T<=4
	// weight @scale.vision.w f32[2,2]
	// weight @scale.language.w f32[2,2]
	//
	// func pair(x: f32[1+T,2]) segments vision=1, language=T {
	//   h     = linear x, @scale.* : f32[1+T,2]
	//   y     = add x, h : f32[1+T,2]
	//   return y
	// }
	// [3 2] [3 6 0 0 0 0]
	// wrong.ir:3:1: f: y = gelu x: type is f32[4,3], want f32[3,4]
}

// A builder writes a function as a straight line and reports its first error.
func ExampleBuilder() {
	p := &ir.Program{Name: "tiny", MaxT: 4}
	b := ir.NewBuilder(p, "language")
	b.Weight("language.embed.tok.w", ir.Mat(ir.C(100), 8), &ir.Origin{Key: "text_embed.weight", Shape: []int{100, 8}})
	b.Weight("head.w", ir.Mat(ir.C(3), 8), &ir.Origin{Key: "head.weight", Shape: []int{3, 8}})

	ids := b.Param("ids", ir.Of(ir.I32, ir.T))
	x := b.Lookup(ids, "language.embed.tok")
	x = b.LayerNorm(x, "", 1e-5)
	x = b.Linear(b.Select(x, ir.C(0)), "head")
	b.Return(b.Name(x, "logits"))
	f, err := b.Done()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(ir.PrintFunc(f))
	fmt.Printf("%+v\n", ir.FuncCost(p, f, 4))
	// Output:
	// func language(ids: i32[T]) {
	//   e     = lookup ids, @language.embed.tok : f32[T,8]
	//   n     = layernorm e {eps=1e-05} : f32[T,8]
	//   s     = select n {row=0} : f32[1,8]
	//   logits = linear s, @head : f32[1,3]
	//   return logits
	// }
	// {FLOPs:48 WeightBytes:224 InBytes:304 OutBytes:300}
}

// The op table: arguments, weights (? means optional) and attributes of each op.
func Example_opTable() {
	for _, op := range ir.Ops {
		fmt.Println(op.Name)
		fmt.Println("   ", op.Doc)
		var parts []string
		for _, f := range op.Fields {
			name := "@" + f.Name
			if f.Optional {
				name += "?"
			}
			parts = append(parts, name)
		}
		for _, a := range op.Attrs {
			parts = append(parts, a.Key+"=")
		}
		if len(parts) > 0 {
			fmt.Println("   ", strings.Join(parts, " "))
		}
	}
	// Output:
	// attention
	//     q [S,D], k [K,D], v [K,E] -> [S,E]: per head softmax(scale*q*k^T + bias)*v; scale is d^-0.5 unless given, base 2 means 2^x for e^x; the bundle, if any, is a relative position bias; with prefix, query r sees keys 0..max(prefix,at+r+1)-1 only
	//     @text? @image? @cross? heads= scale= base= at= prefix=
	// patches
	//     image f32[C,H,W] -> [N,C*P*P]: patches row by row, inside a patch (channel, row, column)
	//     patch=
	// lookup
	//     ids i32[R], w [V,D] -> [R,D]: row id of w; an id outside of 0..V-1 is an error
	//     @w
	// const
	//     w [R,D] -> [R,D]: the same rows for each sequence
	//     @w
	// addrows
	//     x [R,D], w [M,D] -> [R,D]: row i gets row at+i of w added; at is 0 unless given
	//     @w at=
	// addrow
	//     x [R,D], w [M,D] -> [R,D]: every row gets the same row of w added, 0 unless given
	//     @w row=
	// embed_patches
	//     image f32[C,H,W] -> [1+N,D]: patches through proj, the row cls before them, the rows of pos added
	//     @proj.w @proj.b? @cls.w @pos.w? patch=
	// embed
	//     ids i32[R] -> [R,D]: rows of tok, the rows of pos from row pos on added; pos is 0 unless given
	//     @tok.w @pos.w? pos=
	// qkv
	//     x [R,D] -> [R,Q+K+V]: norm, then the linears q, k and v side by side; parts=q or parts=kv leaves the others out; no eps: no norm; eps but no ln: the bare norm
	//     @ln.g? @ln.b? @q.w? @q.b? @k.w? @k.b? @v.w? @v.b? eps= heads= parts=
	// selfattention
	//     qkv [S,3D] -> [S,D]: attention of its thirds; the bundle, if any, is its relative position bias
	//     @text? @image? @cross? heads= scale= base= at= prefix=
	// crossattention
	//     q [S,D], kv [K,2D], ... -> [S,D]: attention of q and the halves of kv, several of them below each other; the bundle, if any, is its relative position bias
	//     @text? @image? @cross? heads= scale= base= at= prefix=
	// attnout
	//     c [R,E], x [R,D] -> [R,D]: x + out(norm(c)); no eps: no norm; eps but no sub: the bare norm
	//     @sub.g? @sub.b? @out.w @out.b? eps=
	// ffn
	//     x [R,D] -> [R,D]: x + fc2(subnorm(gelu(fc1(norm(x))))); eps is of the norm, sub of the inner norm; without the attribute no such norm, without the weights the bare one
	//     @ln.g? @ln.b? @fc1.w @fc1.b? @sub.g? @sub.b? @fc2.w @fc2.b? eps= sub=
	// gelu
	//     x [R,D] -> [R,D]: x/2*(1+erf(x/sqrt(2)))
	// tanh
	//     x [R,D] -> [R,D]
	// add
	//     x [R,D], y [R,D] -> [R,D]
	// mean
	//     x [R,D] -> [1,D]: the mean of rows from, from+1, ... to the last; from is 0 unless given
	//     from=
	// linear
	//     x [R,K], w [N,K], b? [N] -> [R,N]: x*w^T + b; where w is i8, each row of x is rounded to 255 steps from its least to its largest value; where it is i8x2, what that takes away is rounded to 255 steps of its own; where it is bf16dot, x is rounded to bf16
	//     @w @b?
	// layernorm
	//     x [R,D], g? [D], b? [D], both or neither -> [R,D]: (x-mean)/sqrt(var+eps)*g + b, biased variance
	//     @g? @b? eps=
	// scale
	//     x [R,D], g [D] -> [R,D]: every row multiplied by g, element by element
	//     @g
	// l2norm
	//     x [R,D] -> [R,D]: x / max(|x|, floor) of each row
	//     floor=
	// concat
	//     a [R,D], b [S,D], ... -> [R+S,D]: the rows of the arguments below each other
	// rows
	//     x [R,D] -> [len,D]: rows at, at+1, ... of x
	//     at= len=
	// cols
	//     x [R,D] -> [R,len]: columns at, at+1, ... of x
	//     at= len=
	// hcat
	//     a [R,D], b [R,E], ... -> [R,D+E]: the columns of the arguments side by side
	// select
	//     x [R,D] -> [1,D]: one row of each sequence
	//     row=
	// store
	//     x [R,D] -> [rows,D]: the first rows of x, which the runtime adds to state number slot
	//     slot= rows=
}
