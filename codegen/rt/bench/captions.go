package bench

import (
	"context"
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/codegen/rt/token"
)

// Captions is the entry of whole captions, in packages that write them: pictures are encoded and captioned together, each by a
// search of as many steps as Options.Tokens says. The end of a caption is banned, so that all have this length.
const Captions = "captions"

// captioner returns the functions that write captions, nil if the package has none.
func captioner(p *rt.Package) (image, step *exec.Func) {
	if image, step = p.Find("captioning", "begin"), p.Find("captioning", "step"); image == nil || step == nil {
		return nil, nil
	}
	return image, step
}

// captions returns a function that writes the captions of the point.
func (pt *point) captions(s *rt.Session) func() error {
	p := s.Model().Package()
	image, step := captioner(p)
	var pics [][]float32
	for i := range pt.texts {
		pics = append(pics, task.Sample(fmt.Sprint(image.Name, i), image.Image, 0, 1).Image)
	}
	search, o := caption.Greedy, caption.Options{BOS: token.BOS, EOS: token.EOS, MaxLen: pt.tokens() + 1, Ban: []caption.IDs{{From: token.EOS, To: token.EOS + 1}}}
	if pt.beams > 1 {
		search, o.Beams, o.Penalty = caption.Beam, pt.beams, 0.6
		o.MaxLen++ // a beam search takes no step for its last word
	}
	r := caption.On(s.Model(), image, step, int32(p.Vocab-1))
	return func() error {
		return r.Each(caption.In(context.Background(), s), pics, pt.beams, func(_ int, m caption.Model) error {
			_, err := search(m, o)
			return err
		})
	}
}

// cost returns the FLOPs and the bytes of a call of the point.
func (pt *point) cost() (flops, bytes int64) {
	switch {
	case pt.image != nil:
		flops, bytes = pt.image.Cost.Of(make([]int, len(pt.texts)))
		for together := range slices.Chunk(pt.texts, caption.Together(pt.beams)) {
			for step := range pt.tokens() {
				beams := pt.beams
				if step == 0 { // of the one beam without words
					beams = 1
				}
				f, b := stepCost(pt.f, slices.Repeat([]int{step}, len(together)), beams)
				flops, bytes = flops+f, bytes+b
			}
		}
		return flops, bytes
	case pt.f.States != nil:
		return stepCost(pt.f, pt.texts, pt.beams)
	}
	return pt.f.Cost.Of(pt.texts)
}

// stepCost is the cost of a step of captions with these numbers of words. The beams of a caption read one copy of the picture's keys
// and values.
func stepCost(step *exec.Func, words []int, beams int) (flops, bytes int64) {
	flops, bytes = step.Cost.Of(slices.Repeat(words, beams))
	for _, s := range step.States {
		bytes -= int64((beams - 1) * len(words) * s.Rows * s.Cols * 4)
	}
	return flops, bytes
}
