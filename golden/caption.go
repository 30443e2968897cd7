package golden

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/engineproc"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir"
)

// captioner writes captions of pictures, each pixels [3,S,S] after preprocessing, in one engine.
type captioner func(pictures [][]float32, q engineproc.Caption) ([]engineproc.Captioned, error)

// interpretedCaptions returns a captioner that runs the program in the float64 interpreter.
func interpretedCaptions(p *ir.Program) captioner {
	return func(pictures [][]float32, q engineproc.Caption) ([]engineproc.Captioned, error) {
		var all []engineproc.Captioned
		for _, pixels := range pictures {
			m, err := inputs.NewInterpreted(p, q.Mask, pixels)
			if err != nil {
				return nil, err
			}
			c, err := q.On(m)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		return all, nil
	}
}

// scoreBound bounds the difference of a caption's score from the case's, which was computed from
// float32 logits.
const scoreBound = 1e-3

// decoded checks the captions of a run, by greedy search and by each beam search of the case. It also checks, within the
// bound of the logits, that decoding step by step gives the same logits as all tokens at once.
func (j *judgement) decoded(x *run) {
	d := x.r.Decode
	c := &j.cs.Config
	options := func(maxLen int) caption.Options {
		return caption.Options{BOS: int32(c.BOS), EOS: int32(c.EOS), MaxLen: maxLen}
	}
	line := func(output string, f func() (cases.Result, error)) {
		l := Line{Case: j.cs.Name, Weights: j.variant.Name, Run: x.r.Name, Output: output, Engine: j.engine, Level: j.level}
		l.judge(nil, f)
		j.c.add(l)
	}
	images := x.batch.Images["image"]
	ids := func(o caption.Options, want [][]int, scores []float64) (cases.Result, error) {
		r := cases.Result{OK: true, Bound: scoreBound}
		if len(want) != len(images) || len(scores) != len(images) {
			return r, fmt.Errorf("the case has %d captions and %d scores for %d pictures", len(want), len(scores), len(images))
		}
		all, err := j.caption(images, engineproc.Caption{Options: o, Mask: int32(c.Mask)})
		if err != nil {
			return r, err
		}
		for i, got := range all {
			if !slices.EqualFunc(got.IDs, want[i], func(a int32, b int) bool { return int(a) == b }) {
				return r, fmt.Errorf("picture %d: ids %v, want %v", i, got.IDs, want[i])
			}
			r.MaxAbs = worse(r.MaxAbs, got.Score-scores[i])
		}
		r.OK = r.MaxAbs <= r.Bound
		return r, nil
	}
	line("greedy", func() (cases.Result, error) {
		return ids(options(c.MaxLen), d.Greedy.Tokens, d.Greedy.LogProb)
	})
	for _, b := range d.Beam {
		line(fmt.Sprintf("beam%d", b.NumBeams), func() (cases.Result, error) {
			o := options(b.MaxLen)
			o.Beams, o.Penalty = b.NumBeams, b.LengthPenalty
			return ids(o, b.Tokens, b.Score)
		})
	}
	line("steps", func() (cases.Result, error) {
		r := cases.Result{Bound: x.r.Outputs["logits"].Atol}
		for i, image := range images {
			var tokens []int32
			if i >= len(d.Greedy.Tokens) {
				return r, errors.New("the case has fewer captions than pictures")
			}
			for _, id := range d.Greedy.Tokens[i] {
				tokens = append(tokens, int32(id))
			}
			steps, err := j.caption(images[i:i+1], engineproc.Caption{Mask: int32(c.Mask), Tokens: tokens})
			if err != nil {
				return r, err
			}
			for n, got := range steps[0].Logits {
				full, err := j.run(x.calls[0].fn, []rt.Seq{{Image: image, IDs: append(slices.Clone(tokens[:n+1]), int32(c.Mask))}})
				if err != nil {
					return r, err
				}
				rows := full["logits"][0]
				for k, want := range rows[len(rows)-len(got):] {
					r.MaxAbs = worse(r.MaxAbs, float64(got[k])-float64(want))
				}
			}
		}
		r.OK = r.MaxAbs <= r.Bound
		return r, nil
	})
}

// worse is the larger of most and the size of a difference; a NaN is infinitely large.
func worse(most, difference float64) float64 {
	if difference != difference {
		return math.Inf(1)
	}
	return max(most, math.Abs(difference))
}
