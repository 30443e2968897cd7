package caption

import (
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Runner is a compiled model at work on one picture. It serves one goroutine; once its
// buffers have grown a caption's steps allocate nothing.
type Runner struct {
	s     *rt.Session
	step  *exec.Func
	mask  int32
	beams int
	state *exec.State
	seqs  []rt.Seq
	ids   []int32
	rows  [][]float32
}

// On returns a runner for at most beams beams. step is the package's caption_step, mask
// the id of the place of the next word. The session stays the caller's.
func On(s *rt.Session, step *exec.Func, mask int32, beams int) (*Runner, error) {
	st, err := s.NewState(step, beams)
	if err != nil {
		return nil, err
	}
	return &Runner{s: s, step: step, mask: mask, beams: beams, state: st}, nil
}

// Beams returns the most beams there can be.
func (r *Runner) Beams() int { return r.beams }

// Use goes on with another session of the same model.
func (r *Runner) Use(s *rt.Session) { r.s = s }

// Begin runs image, the package's caption_image, on a picture, whose caption begins.
func (r *Runner) Begin(image *exec.Func, pixels []float32) error {
	r.seqs = append(r.seqs[:0], rt.Seq{Image: pixels, State: r.state})
	_, err := r.s.Run(image, r.seqs)
	clear(r.seqs)
	return err
}

// Next implements [Model].
func (r *Runner) Next(words []int32) ([][]float32, error) {
	r.seqs, r.ids, r.rows = r.seqs[:0], r.ids[:0], r.rows[:0]
	for _, w := range words {
		r.ids = append(r.ids, w, r.mask)
	}
	for i := range words {
		r.seqs = append(r.seqs, rt.Seq{IDs: r.ids[2*i:][:2], State: r.state, Beam: i})
	}
	res, err := r.s.Run(r.step, r.seqs)
	if err != nil {
		return nil, err
	}
	for i := range words {
		r.rows = append(r.rows, res.Out(0, i))
	}
	return r.rows, nil
}

// Keep implements [Model].
func (r *Runner) Keep(parents []int) error { return r.state.Keep(parents) }
