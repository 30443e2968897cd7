package inputs

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/ir"
)

// Interpreted is a captioning model that runs in the float64 interpreter, slowly and exactly.
type Interpreted struct {
	p      *ir.Program
	step   *ir.Func
	mask   int32
	fixed  []*ir.Tensor   // the image's keys and values in each state
	cached [][]*ir.Tensor // by beam and state: the rows of its tokens so far; nil: none
	next   [][]*ir.Tensor // by beam and state: the row that the last step added
	t      int
}

var _ caption.Model = (*Interpreted)(nil)

// Stateful returns the captioning functions of a program: begin creates the state that is kept between calls, and step
// extends it. It is an error if one of them is missing.
func Stateful(p *ir.Program) (begin, step *ir.Func, err error) {
	for _, f := range p.Funcs {
		switch {
		case !f.Stores():
		case len(f.States()) == 0:
			begin = f
		default:
			step = f
		}
	}
	switch {
	case begin == nil && step == nil:
		err = fmt.Errorf("program %s has no function with a state; want a program with captioning", p.Name)
	case begin == nil:
		err = fmt.Errorf("%s extends a state that another function creates, which is missing; build both", step.Name)
	case step == nil:
		err = fmt.Errorf("%s creates a state that another function extends, which is missing; build both", begin.Name)
	}
	return begin, step, err
}

// NewInterpreted starts a caption of an image. mask is the id of the mask token, which stands for the next token.
func NewInterpreted(p *ir.Program, mask int32, pixels []float32) (*Interpreted, error) {
	image, step, err := Stateful(p)
	if err != nil {
		return nil, err
	}
	in, t := Tensors(image, rt.Seq{Image: pixels})
	out, err := p.Run(image.Name, t, in)
	if err != nil {
		return nil, err
	}
	x := &Interpreted{p: p, step: step, mask: mask}
	for _, r := range image.Results {
		x.fixed = append(x.fixed, out[r.Name])
	}
	if len(x.fixed) != len(step.States()) {
		return nil, fmt.Errorf("%s creates %d states, %s has %d", image.Name, len(x.fixed), step.Name, len(step.States()))
	}
	x.cached = [][]*ir.Tensor{make([]*ir.Tensor, len(x.fixed))}
	return x, nil
}

// Next implements [caption.Model].
func (x *Interpreted) Next(tokens []int32) ([][]float32, error) {
	x.next = x.next[:0]
	var all [][]float32
	for beam, w := range tokens {
		in := map[string]*ir.Tensor{}
		for _, v := range x.step.Params {
			if !v.State {
				in[v.Name] = &ir.Tensor{Shape: v.Type.At(x.t), IDs: []int32{w, x.mask}}
			}
		}
		for i, v := range x.step.States() {
			in[v.Name] = below(x.fixed[i], x.cached[beam][i])
		}
		out, err := x.p.Run(x.step.Name, x.t, in)
		if err != nil {
			return nil, err
		}
		var rows []*ir.Tensor
		for _, v := range x.step.Results {
			if v.Op == ir.OpStore {
				rows = append(rows, out[v.Name])
				continue
			}
			logits := make([]float32, len(out[v.Name].F))
			for i, y := range out[v.Name].F {
				logits[i] = float32(y)
			}
			all = append(all, logits)
		}
		x.next = append(x.next, rows)
	}
	return all, nil
}

// Advance implements [caption.Model].
func (x *Interpreted) Advance(parents []int) error {
	var cached [][]*ir.Tensor
	for _, p := range parents {
		var rows []*ir.Tensor
		for i, row := range x.next[p] {
			rows = append(rows, below(x.cached[p][i], row))
		}
		cached = append(cached, rows)
	}
	x.cached = cached
	x.t++
	return nil
}

// below returns the rows of a followed by the rows of b; either may be nil.
func below(a, b *ir.Tensor) *ir.Tensor {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &ir.Tensor{Shape: []int{a.Shape[0] + b.Shape[0], a.Shape[1]}, F: slices.Concat(a.F, b.F)}
}
