package passes_test

import (
	"fmt"
	"log"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/passes"
)

// A layer of the released BEiT-3 base for an image and a text, after every pass that
// changes it.
func Example_walkthrough() {
	p := &ir.Program{Name: "walkthrough", MaxT: 64}
	b := ir.NewBuilder(p, "pair")
	b.Segment("vision", ir.C(197))
	b.Segment("language", ir.T)
	for _, expert := range []string{"vision", "language"} {
		linear := func(name string, out, in int) {
			b.Weight(name+".w", ir.Mat(ir.C(out), in), nil)
			b.Weight(name+".b", ir.Of(ir.F32, ir.C(out)), nil)
		}
		norm := func(name string, n int) {
			b.Weight(name+".g", ir.Of(ir.F32, ir.C(n)), nil)
			b.Weight(name+".b", ir.Of(ir.F32, ir.C(n)), nil)
		}
		attn, ffn := "l0.attn."+expert, "l0.ffn."+expert
		norm(attn+".ln", 768)
		linear(attn+".q", 768, 768)
		linear(attn+".k", 768, 768)
		linear(attn+".v", 768, 768)
		norm(attn+".sub", 768)
		linear(attn+".out", 768, 768)
		norm(ffn+".ln", 768)
		linear(ffn+".fc1", 3072, 768)
		norm(ffn+".sub", 3072)
		linear(ffn+".fc2", 768, 3072)
	}
	x := b.Concat(b.Param("image", ir.Mat(ir.C(197), 768)), b.Param("text", ir.Mat(ir.T, 768)))
	n := b.LayerNorm(x, "l0.attn.*.ln", 1e-5)
	q := b.Name(b.Linear(n, "l0.attn.*.q"), "q")
	k := b.Name(b.Linear(n, "l0.attn.*.k"), "k")
	v := b.Name(b.Linear(n, "l0.attn.*.v"), "v")
	c := b.Attention(q, k, v, 12)
	d := b.Name(b.LayerNorm(c, "l0.attn.*.sub", 1e-5), "d")
	a := b.Add(x, b.Name(b.Linear(d, "l0.attn.*.out"), "o"))
	m := b.Name(b.LayerNorm(a, "l0.ffn.*.ln", 1e-5), "m")
	s := b.Name(b.LayerNorm(b.Gelu(b.Linear(m, "l0.ffn.*.fc1")), "l0.ffn.*.sub", 1e-5), "s")
	b.Return(b.Name(b.Add(a, b.Name(b.Linear(s, "l0.ffn.*.fc2"), "p")), "y"))
	if _, err := b.Done(); err != nil {
		log.Fatal(err)
	}

	text := ir.PrintFunc(p.Funcs[0])
	fmt.Printf("As described\n%s", text)
	_, err := passes.Run(p, passes.Options{Rows: 2048, After: func(pass *passes.Pass, p *ir.Program) error {
		if now := ir.PrintFunc(p.Funcs[0]); now != text {
			fmt.Printf("\nAfter %s\n%s", pass.Name, now)
			text = now
		}
		return nil
	}})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// As described
	// func pair(image: f32[197,768], text: f32[T,768]) segments vision=197, language=T {
	//   j     = concat image, text : f32[197+T,768]
	//   n     = layernorm j, @l0.attn.*.ln {eps=1e-05} : f32[197+T,768]
	//   q     = linear n, @l0.attn.*.q : f32[197+T,768]
	//   k     = linear n, @l0.attn.*.k : f32[197+T,768]
	//   v     = linear n, @l0.attn.*.v : f32[197+T,768]
	//   c     = attention q, k, v {heads=12} : f32[197+T,768]
	//   d     = layernorm c, @l0.attn.*.sub {eps=1e-05} : f32[197+T,768]
	//   o     = linear d, @l0.attn.*.out : f32[197+T,768]
	//   a     = add j, o : f32[197+T,768]
	//   m     = layernorm a, @l0.ffn.*.ln {eps=1e-05} : f32[197+T,768]
	//   h     = linear m, @l0.ffn.*.fc1 : f32[197+T,3072]
	//   g     = gelu h : f32[197+T,3072]
	//   s     = layernorm g, @l0.ffn.*.sub {eps=1e-05} : f32[197+T,3072]
	//   p     = linear s, @l0.ffn.*.fc2 : f32[197+T,768]
	//   y     = add a, p : f32[197+T,768]
	//   return y
	// }
	//
	// After route
	// func pair(image: f32[197,768], text: f32[T,768]) {
	//   n.v   = layernorm image, @l0.attn.vision.ln {eps=1e-05} : f32[197,768]
	//   n.l   = layernorm text, @l0.attn.language.ln {eps=1e-05} : f32[T,768]
	//   q.v   = linear n.v, @l0.attn.vision.q : f32[197,768]
	//   q.l   = linear n.l, @l0.attn.language.q : f32[T,768]
	//   k.v   = linear n.v, @l0.attn.vision.k : f32[197,768]
	//   k.l   = linear n.l, @l0.attn.language.k : f32[T,768]
	//   v.v   = linear n.v, @l0.attn.vision.v : f32[197,768]
	//   v.l   = linear n.l, @l0.attn.language.v : f32[T,768]
	//   q     = concat q.v, q.l : f32[197+T,768]
	//   k     = concat k.v, k.l : f32[197+T,768]
	//   v     = concat v.v, v.l : f32[197+T,768]
	//   c     = attention q, k, v {heads=12} : f32[197+T,768]
	//   c.v   = rows c {at=0 len=197} : f32[197,768]
	//   c.l   = rows c {at=197 len=T} : f32[T,768]
	//   d.v   = layernorm c.v, @l0.attn.vision.sub {eps=1e-05} : f32[197,768]
	//   d.l   = layernorm c.l, @l0.attn.language.sub {eps=1e-05} : f32[T,768]
	//   o.v   = linear d.v, @l0.attn.vision.out : f32[197,768]
	//   o.l   = linear d.l, @l0.attn.language.out : f32[T,768]
	//   a.v   = add image, o.v : f32[197,768]
	//   a.l   = add text, o.l : f32[T,768]
	//   m.v   = layernorm a.v, @l0.ffn.vision.ln {eps=1e-05} : f32[197,768]
	//   m.l   = layernorm a.l, @l0.ffn.language.ln {eps=1e-05} : f32[T,768]
	//   h.v   = linear m.v, @l0.ffn.vision.fc1 : f32[197,3072]
	//   h.l   = linear m.l, @l0.ffn.language.fc1 : f32[T,3072]
	//   g.v   = gelu h.v : f32[197,3072]
	//   g.l   = gelu h.l : f32[T,3072]
	//   s.v   = layernorm g.v, @l0.ffn.vision.sub {eps=1e-05} : f32[197,3072]
	//   s.l   = layernorm g.l, @l0.ffn.language.sub {eps=1e-05} : f32[T,3072]
	//   p.v   = linear s.v, @l0.ffn.vision.fc2 : f32[197,768]
	//   p.l   = linear s.l, @l0.ffn.language.fc2 : f32[T,768]
	//   y.v   = add a.v, p.v : f32[197,768]
	//   y.l   = add a.l, p.l : f32[T,768]
	//   y     = concat y.v, y.l : f32[197+T,768]
	//   return y
	// }
	//
	// After fold
	// func pair(image: f32[197,768], text: f32[T,768]) {
	//   n.v   = layernorm image {eps=1e-05} : f32[197,768]
	//   n.l   = layernorm text {eps=1e-05} : f32[T,768]
	//   q.v   = linear n.v, @l0.attn.vision~f.q : f32[197,768]
	//   q.l   = linear n.l, @l0.attn.language~f.q : f32[T,768]
	//   k.v   = linear n.v, @l0.attn.vision~f.k : f32[197,768]
	//   k.l   = linear n.l, @l0.attn.language~f.k : f32[T,768]
	//   v.v   = linear n.v, @l0.attn.vision~f.v : f32[197,768]
	//   v.l   = linear n.l, @l0.attn.language~f.v : f32[T,768]
	//   q     = concat q.v, q.l : f32[197+T,768]
	//   k     = concat k.v, k.l : f32[197+T,768]
	//   v     = concat v.v, v.l : f32[197+T,768]
	//   c     = attention q, k, v {heads=12 scale=1 base=2} : f32[197+T,768]
	//   c.v   = rows c {at=0 len=197} : f32[197,768]
	//   c.l   = rows c {at=197 len=T} : f32[T,768]
	//   d.v   = layernorm c.v {eps=1e-05} : f32[197,768]
	//   d.l   = layernorm c.l {eps=1e-05} : f32[T,768]
	//   o.v   = linear d.v, @l0.attn.vision~f.out : f32[197,768]
	//   o.l   = linear d.l, @l0.attn.language~f.out : f32[T,768]
	//   a.v   = add image, o.v : f32[197,768]
	//   a.l   = add text, o.l : f32[T,768]
	//   m.v   = layernorm a.v {eps=1e-05} : f32[197,768]
	//   m.l   = layernorm a.l {eps=1e-05} : f32[T,768]
	//   h.v   = linear m.v, @l0.ffn.vision~f.fc1 : f32[197,3072]
	//   h.l   = linear m.l, @l0.ffn.language~f.fc1 : f32[T,3072]
	//   g.v   = gelu h.v : f32[197,3072]
	//   g.l   = gelu h.l : f32[T,3072]
	//   s.v   = layernorm g.v {eps=1e-05} : f32[197,3072]
	//   s.l   = layernorm g.l {eps=1e-05} : f32[T,3072]
	//   p.v   = linear s.v, @l0.ffn.vision~f.fc2 : f32[197,768]
	//   p.l   = linear s.l, @l0.ffn.language~f.fc2 : f32[T,768]
	//   y.v   = add a.v, p.v : f32[197,768]
	//   y.l   = add a.l, p.l : f32[T,768]
	//   y     = concat y.v, y.l : f32[197+T,768]
	//   return y
	// }
	//
	// After fuse-qkv
	// func pair(image: f32[197,768], text: f32[T,768]) {
	//   i.v   = qkv image, @l0.attn.vision~f {eps=1e-05 heads=12} : f32[197,2304]
	//   i.l   = qkv text, @l0.attn.language~f {eps=1e-05 heads=12} : f32[T,2304]
	//   i     = concat i.v, i.l : f32[197+T,2304]
	//   q     = cols i {at=0 len=768} : f32[197+T,768]
	//   k     = cols i {at=768 len=768} : f32[197+T,768]
	//   v     = cols i {at=1536 len=768} : f32[197+T,768]
	//   c     = attention q, k, v {heads=12 scale=1 base=2} : f32[197+T,768]
	//   c.v   = rows c {at=0 len=197} : f32[197,768]
	//   c.l   = rows c {at=197 len=T} : f32[T,768]
	//   d.v   = layernorm c.v {eps=1e-05} : f32[197,768]
	//   d.l   = layernorm c.l {eps=1e-05} : f32[T,768]
	//   o.v   = linear d.v, @l0.attn.vision~f.out : f32[197,768]
	//   o.l   = linear d.l, @l0.attn.language~f.out : f32[T,768]
	//   a.v   = add image, o.v : f32[197,768]
	//   a.l   = add text, o.l : f32[T,768]
	//   m.v   = layernorm a.v {eps=1e-05} : f32[197,768]
	//   m.l   = layernorm a.l {eps=1e-05} : f32[T,768]
	//   h.v   = linear m.v, @l0.ffn.vision~f.fc1 : f32[197,3072]
	//   h.l   = linear m.l, @l0.ffn.language~f.fc1 : f32[T,3072]
	//   g.v   = gelu h.v : f32[197,3072]
	//   g.l   = gelu h.l : f32[T,3072]
	//   s.v   = layernorm g.v {eps=1e-05} : f32[197,3072]
	//   s.l   = layernorm g.l {eps=1e-05} : f32[T,3072]
	//   p.v   = linear s.v, @l0.ffn.vision~f.fc2 : f32[197,768]
	//   p.l   = linear s.l, @l0.ffn.language~f.fc2 : f32[T,768]
	//   y.v   = add a.v, p.v : f32[197,768]
	//   y.l   = add a.l, p.l : f32[T,768]
	//   y     = concat y.v, y.l : f32[197+T,768]
	//   return y
	// }
	//
	// After fuse-attention
	// func pair(image: f32[197,768], text: f32[T,768]) {
	//   i.v   = qkv image, @l0.attn.vision~f {eps=1e-05 heads=12} : f32[197,2304]
	//   i.l   = qkv text, @l0.attn.language~f {eps=1e-05 heads=12} : f32[T,2304]
	//   i     = concat i.v, i.l : f32[197+T,2304]
	//   c     = selfattention i {heads=12 scale=1 base=2} : f32[197+T,768]
	//   c.v   = rows c {at=0 len=197} : f32[197,768]
	//   c.l   = rows c {at=197 len=T} : f32[T,768]
	//   a.v   = attnout c.v, image, @l0.attn.vision~f {eps=1e-05} : f32[197,768]
	//   a.l   = attnout c.l, text, @l0.attn.language~f {eps=1e-05} : f32[T,768]
	//   m.v   = layernorm a.v {eps=1e-05} : f32[197,768]
	//   m.l   = layernorm a.l {eps=1e-05} : f32[T,768]
	//   h.v   = linear m.v, @l0.ffn.vision~f.fc1 : f32[197,3072]
	//   h.l   = linear m.l, @l0.ffn.language~f.fc1 : f32[T,3072]
	//   g.v   = gelu h.v : f32[197,3072]
	//   g.l   = gelu h.l : f32[T,3072]
	//   s.v   = layernorm g.v {eps=1e-05} : f32[197,3072]
	//   s.l   = layernorm g.l {eps=1e-05} : f32[T,3072]
	//   p.v   = linear s.v, @l0.ffn.vision~f.fc2 : f32[197,768]
	//   p.l   = linear s.l, @l0.ffn.language~f.fc2 : f32[T,768]
	//   y.v   = add a.v, p.v : f32[197,768]
	//   y.l   = add a.l, p.l : f32[T,768]
	//   y     = concat y.v, y.l : f32[197+T,768]
	//   return y
	// }
	//
	// After fuse-ffn
	// func pair(image: f32[197,768], text: f32[T,768]) {
	//   i.v   = qkv image, @l0.attn.vision~f {eps=1e-05 heads=12} : f32[197,2304]
	//   i.l   = qkv text, @l0.attn.language~f {eps=1e-05 heads=12} : f32[T,2304]
	//   i     = concat i.v, i.l : f32[197+T,2304]
	//   c     = selfattention i {heads=12 scale=1 base=2} : f32[197+T,768]
	//   c.v   = rows c {at=0 len=197} : f32[197,768]
	//   c.l   = rows c {at=197 len=T} : f32[T,768]
	//   a.v   = attnout c.v, image, @l0.attn.vision~f {eps=1e-05} : f32[197,768]
	//   a.l   = attnout c.l, text, @l0.attn.language~f {eps=1e-05} : f32[T,768]
	//   y.v   = ffn a.v, @l0.ffn.vision~f {eps=1e-05 sub=1e-05} : f32[197,768]
	//   y.l   = ffn a.l, @l0.ffn.language~f {eps=1e-05 sub=1e-05} : f32[T,768]
	//   y     = concat y.v, y.l : f32[197+T,768]
	//   return y
	// }
	//
	// After select
	// func pair(image: f32[197,768], text: f32[T,768]) {
	//   i.v   = qkv image, @l0.attn.vision~f {eps=1e-05 heads=12 kernel=gemm_f32} : f32[197,2304]
	//   i.l   = qkv text, @l0.attn.language~f {eps=1e-05 heads=12 kernel=gemm_f32} : f32[T,2304]
	//   i     = concat i.v, i.l : f32[197+T,2304]
	//   c     = selfattention i {heads=12 scale=1 base=2 kernel=gemm_f32} : f32[197+T,768]
	//   c.v   = rows c {at=0 len=197} : f32[197,768]
	//   c.l   = rows c {at=197 len=T} : f32[T,768]
	//   a.v   = attnout c.v, image, @l0.attn.vision~f {eps=1e-05 kernel=gemm_f32} : f32[197,768]
	//   a.l   = attnout c.l, text, @l0.attn.language~f {eps=1e-05 kernel=gemm_f32} : f32[T,768]
	//   y.v   = ffn a.v, @l0.ffn.vision~f {eps=1e-05 sub=1e-05 kernel=gemm_f32} : f32[197,768]
	//   y.l   = ffn a.l, @l0.ffn.language~f {eps=1e-05 sub=1e-05 kernel=gemm_f32} : f32[T,768]
	//   y     = concat y.v, y.l : f32[197+T,768]
	//   return y
	// }
	//
	// After plan
	// func pair(image: f32[197,768] at 56310016, text: f32[T,768] at 49887488) arena=62487936 {
	//   i.v   = qkv image, @l0.attn.vision~f {eps=1e-05 heads=12 kernel=gemm_f32 ld=2320 tmp=37287040} : f32[197,2304] at 0
	//   i.l   = qkv text, @l0.attn.language~f {eps=1e-05 heads=12 kernel=gemm_f32 ld=2320 tmp=37287040} : f32[T,2304] at 0
	//   i     = concat i.v, i.l {ld=2320} : f32[197+T,2304] at 0
	//   c     = selfattention i {heads=12 scale=1 base=2 kernel=gemm_f32 ld=784} : f32[197+T,768] at 37287040
	//   c.v   = rows c {at=0 len=197 ld=784} : f32[197,768] at 37287040
	//   c.l   = rows c {at=197 len=T ld=784} : f32[T,768] at 37287040
	//   a.v   = attnout c.v, image, @l0.attn.vision~f {eps=1e-05 kernel=gemm_f32 ld=784 tmp=0} : f32[197,768] at 56310016
	//   a.l   = attnout c.l, text, @l0.attn.language~f {eps=1e-05 kernel=gemm_f32 ld=784 tmp=0} : f32[T,768] at 49887488
	//   y.v   = ffn a.v, @l0.ffn.vision~f {eps=1e-05 sub=1e-05 kernel=gemm_f32 ld=784 tmp=37897344 hidden=0} : f32[197,768] at 25296896
	//   y.l   = ffn a.l, @l0.ffn.language~f {eps=1e-05 sub=1e-05 kernel=gemm_f32 ld=784 tmp=37897344 hidden=0} : f32[T,768] at 25296896
	//   y     = concat y.v, y.l {ld=784} : f32[197+T,768] at 25296896
	//   return y
	// }
}
