package caption

import (
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Runner is a [Model]: a compiled model that captions one picture at a time. It serves one
// goroutine. A step allocates nothing once the buffers have grown.
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

// On returns a runner for at most beams beams. step is the package's function caption_step;
// mask is the id that stands at the position of the next word. The caller keeps ownership of
// the session.
func On(s *rt.Session, step *exec.Func, mask int32, beams int) (*Runner, error) {
	st, err := s.NewState(step, beams)
	if err != nil {
		return nil, err
	}
	return &Runner{s: s, step: step, mask: mask, beams: beams, state: st}, nil
}

// Beams returns the largest number of beams that the runner can hold.
func (r *Runner) Beams() int { return r.beams }

// Use replaces the session by another session of the same model.
func (r *Runner) Use(s *rt.Session) { r.s = s }

// Begin starts a caption: it runs image, the package's function caption_image, on a
// preprocessed picture, a tensor [3][Size][Size].
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

// Advance implements [Model].
func (r *Runner) Advance(parents []int) error { return r.state.Advance(parents) }
