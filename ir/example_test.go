package ir_test

import (
	"fmt"

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

// A row of the op table says what an op takes and what it means. A fused op expands to others.
func ExampleOp() {
	op, err := ir.OpNamed("ffn")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(op.Name, "takes", op.Args, "argument and", len(op.Fields), "weights; it is fused:", op.Fused())

	p, err := ir.Parse("tiny.ir", []byte(`
		program tiny
		weight @f.fc1.w f32[8,4]
		weight @f.fc2.w f32[4,8]
		func block(x: f32[3,4]) {
			y = ffn x, @f {eps=1e-05} : f32[3,4]
			return y
		}
	`))
	if err != nil {
		fmt.Println(err)
		return
	}
	block, err := p.Expand(p.Func("block").Values[0])
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(ir.PrintFunc(block))
	// Output:
	// ffn takes 1 argument and 10 weights; it is fused: true
	// func ffn(x: f32[3,4]) {
	//   n     = layernorm x {eps=1e-05} : f32[3,4]
	//   h     = linear n, @f.fc1 : f32[3,8]
	//   g     = gelu h : f32[3,8]
	//   h2    = linear g, @f.fc2 : f32[3,4]
	//   a     = add x, h2 : f32[3,4]
	//   return a
	// }
}
