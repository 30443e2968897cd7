package model

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// A caption is generated one token at a time. Image rows attend to the image only, a text row
// to the image and the text up to itself, so the keys and values of the image and of the
// tokens so far never change. caption_image computes those of the image; caption_step reads
// both. Its inputs are the last token and the mask token, whose row predicts the next token;
// the state gets the keys and values of the last token, but not of the mask.
//
// caption_full computes the same without a state, for all rows of a text at once (teacher
// forcing). It is compiled only if it is asked for by name.
var captionFunctions = []function{
	{name: "caption_image", kind: "begin", lower: captionImage},
	{name: "caption_step", kind: "step", lower: captionStep},
	{name: "caption_full", kind: "full", lower: captionFull, aside: true},
}

// captionRows is the number of rows of a step: the last token and the mask.
const captionRows = 2

// Captions reports whether the description has the task captioning.
func (d *Description) Captions() bool {
	return slices.ContainsFunc(d.Tasks, func(t Task) bool { return t.Name == "captioning" })
}

// takesCaption reports whether the entry is an image followed by a text.
func takesCaption(e entry) bool {
	return e.has(Patch, Token) && e.modalities[0].Embedder == Patch
}

// part narrows the function to one modality of the fusion.
func (w *writer) part(i int) modality {
	whole := w.entry
	w.fusion = &whole
	w.entry.modalities = whole.modalities[i : i+1]
	return w.entry.modalities[0]
}

// state returns the type of a layer's state: keys and values side by side.
func (w *writer) state(rows ir.Dim) ir.Type { return ir.Mat(rows, 2*w.tower.Dim) }

func stateName(layer int) string { return fmt.Sprint("kv", layer) }

// captionImage returns the keys and values of the image's rows in every layer. The rest of
// the last layer is not needed.
func captionImage(w *writer) []*ir.Value {
	m := w.part(0)
	w.b.Segment(m.Name, m.rows)
	x := w.embed(m, w.param(m))
	var out []*ir.Value
	keep := func(i int, k, v *ir.Value) {
		kv := w.b.Name(w.b.HCat(k, v), fmt.Sprint("j", i))
		out = append(out, w.b.Name(w.b.Store(kv, i, m.rows.C), stateName(i)))
	}
	w.attend = func(i int, q, k, v *ir.Value) *ir.Value {
		keep(i, k, v)
		return w.b.Attention(q, k, v, w.tower.Heads)
	}
	last := len(w.tower.layers) - 1
	for i := range last {
		x = w.layer(i, x)
	}
	_, k, v := w.qkv(last, x, false)
	keep(last, k, v)
	return out
}

// captionStep returns the logits of the mask's row, and the keys and values of the last
// token's row. T is the number of tokens before it.
func captionStep(w *writer) []*ir.Value {
	prefix, ok := w.entry.modalities[0].rows.Plus(ir.T)
	m := w.part(1)
	m.rows = ir.C(captionRows)
	w.b.Segment(m.Name, m.rows)
	in := w.param(m)
	var states []*ir.Value
	for i := range w.tower.layers {
		states = append(states, w.b.State(stateName(i), w.state(prefix)))
	}
	if !ok {
		return []*ir.Value{in} // an image has a fixed length
	}
	w.past = ir.T
	x := w.embed(m, in)
	var kept []*ir.Value
	w.attend = func(i int, q, k, v *ir.Value) *ir.Value {
		name := func(x *ir.Value, what string) *ir.Value { return w.b.Name(x, fmt.Sprint(what, i)) }
		dim := w.tower.Dim
		new := name(w.b.HCat(k, v), "j")
		kept = append(kept, w.b.Name(w.b.Store(new, i, 1), stateName(i)+".new"))
		ks := name(w.b.Concat(name(w.b.Cols(states[i], 0, dim), "kc"), k), "ks")
		vs := name(w.b.Concat(name(w.b.Cols(states[i], dim, dim), "vc"), v), "vs")
		return w.b.PrefixAttention(q, ks, vs, w.tower.Heads, prefix, prefix)
	}
	for i := range w.tower.layers {
		x = w.layer(i, x)
	}
	mask := w.b.Name(w.b.Select(w.finalNorm(x), ir.C(captionRows-1)), "mask")
	return append([]*ir.Value{w.b.Name(w.linear(mask, captionHead), "logits")}, kept...)
}

// captionFull returns the logits of every text row.
func captionFull(w *writer) []*ir.Value {
	n := w.entry.modalities[0].rows
	w.attend = func(i int, q, k, v *ir.Value) *ir.Value {
		return w.b.PrefixAttention(q, k, v, w.tower.Heads, ir.Dim{}, n)
	}
	text := w.b.Name(w.b.Rows(w.rows(), n, w.entry.modalities[1].rows), "text")
	return []*ir.Value{w.output(w.linear(text, captionHead), "logits")}
}

const captionHead = "captioning.head"
