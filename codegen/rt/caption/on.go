package caption

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Limits of the pictures that are captioned together: their number, since each takes memory, and that of their beams, since more
// hardly make a beam cheaper.
const (
	maxPictures = 8
	maxTogether = 16
)

// Together returns the number of pictures that are captioned together, each with so many beams: at most 8, of 16 beams in all, and
// one at least.
func Together(beams int) int { return min(maxPictures, max(1, maxTogether/beams)) }

// Runner captions pictures by a compiled model. The searches for several pictures go on side by side: a call of the step function
// takes the beams of all of them, and a picture whose caption has ended makes room for another. A Runner keeps the memory of a
// state for each picture that it has captioned beside others. It serves one goroutine.
type Runner struct {
	m           *rt.Model
	image, step *exec.Func
	mask        int32
	beams       int           // that each of free can hold
	free        []*exec.State // of no picture
	live        []*search
	seqs        []rt.Seq
	ids         []int32
	failed      []error // of each picture; nil: none
}

// Run runs a function on a batch, in a session of the runner's model, and returns what take makes of the result, which it must not
// keep, and of the error. There is no result after another error than a [*rt.BatchError]; see [rt.Model.Run].
type Run func(f *exec.Func, batch []rt.Seq, take func(*rt.Result, error) error) error

// In returns what runs functions in a session. Once ctx is done it returns ctx's error.
func In(ctx context.Context, s *rt.Session) Run {
	return func(f *exec.Func, batch []rt.Seq, take func(*rt.Result, error) error) error {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		return take(s.Run(f, batch))
	}
}

// On returns a runner. image and step are the functions caption_image and caption_step of the model's package; mask is the id that
// stands at the position of the next word.
func On(m *rt.Model, image, step *exec.Func, mask int32) *Runner {
	return &Runner{m: m, image: image, step: step, mask: mask}
}

// search is the search for the caption of a picture. It waits in Next for logits, in a coroutine.
type search struct {
	state   *exec.State
	picture int
	yield   func([]int32) bool
	next    func() ([]int32, bool)
	stop    func()
	words   []int32     // that it waits for the logits of
	rows    [][]float32 // those logits
	err     error       // why there are none
	found   error       // what find returned
}

// errStopped is the error of a search that is ended since others cannot go on.
var errStopped = errors.New("the search was stopped")

// Next implements [Model].
func (s *search) Next(words []int32) ([][]float32, error) {
	if !s.yield(words) {
		return nil, errStopped
	}
	return s.rows, s.err
}

// Advance implements [Model].
func (s *search) Advance(parents []int) error { return s.state.Advance(parents) }

// Each calls find, which calls [Greedy], [Beam] or [Force], for every picture, with a model of up to beams beams, 1 at least, that is
// at the beginning of the picture's caption. A picture is preprocessed, a tensor [3][Size][Size]. The calls of find take turns, never
// two at a time. What a model returns is the same bits whatever pictures are captioned beside its own, except with weights stored as
// int8x2.
//
// A picture whose logits are not finite fails alone: find gets the error, and Each returns a [*rt.BatchError] if only such
// pictures fail. Any other error, of run or of find, ends all searches.
func (r *Runner) Each(run Run, pictures [][]float32, beams int, find func(picture int, m Model) error) error {
	defer r.stop()
	r.failed = nil
	if beams > r.beams {
		r.beams, r.free = beams, nil
	}
	for begun := 0; begun < len(pictures) || len(r.live) > 0; {
		from := len(r.live)
		r.seqs = r.seqs[:0]
		for ; begun < len(pictures) && len(r.live) < Together(beams); begun++ {
			s, err := r.begin(begun, find)
			if err != nil {
				return err
			}
			r.live = append(r.live, s)
			r.seqs = append(r.seqs, rt.Seq{Image: pictures[begun], State: s.state})
		}
		if err := r.call(run, r.image, r.live[from:], len(pictures)); err != nil {
			in := (*rt.InputError)(nil)
			if errors.As(err, &in) {
				in.Index += begun - len(r.seqs)
			}
			return err
		}
		r.seqs, r.ids = r.seqs[:0], r.ids[:0]
		for _, s := range r.live {
			for _, w := range s.words {
				r.ids = append(r.ids, w, r.mask)
			}
		}
		for _, s := range r.live {
			for beam := range s.words {
				r.seqs = append(r.seqs, rt.Seq{IDs: r.ids[2*len(r.seqs):][:2], State: s.state, Beam: beam})
			}
		}
		if err := r.call(run, r.step, r.live, len(pictures)); err != nil {
			return err
		}
	}
	if r.failed != nil {
		return &rt.BatchError{Errs: r.failed}
	}
	return nil
}

// begin returns the search for the caption of a picture.
func (r *Runner) begin(picture int, find func(int, Model) error) (*search, error) {
	s := &search{picture: picture}
	if n := len(r.free); n > 0 {
		s.state, r.free = r.free[n-1], r.free[:n-1]
	} else {
		var err error
		if s.state, err = r.m.NewState(r.step, r.beams); err != nil {
			return nil, err
		}
	}
	s.next, s.stop = iter.Pull(func(yield func([]int32) bool) {
		s.yield = yield
		if s.found = s.err; s.found == nil {
			s.found = find(picture, s)
		}
	})
	return s, nil
}

// call runs f on r.seqs, which are of searches, and has these go on until they wait for the logits of their next words. Those that
// end are no longer live. pictures is the number of all pictures.
func (r *Runner) call(run Run, f *exec.Func, searches []*search, pictures int) error {
	if len(r.seqs) == 0 {
		return nil
	}
	err := run(f, r.seqs, func(res *rt.Result, err error) error {
		var lost *rt.BatchError
		if err != nil && !errors.As(err, &lost) {
			return err
		}
		seq := 0
		for _, s := range searches {
			s.rows, s.err = s.rows[:0], nil
			for range max(1, len(s.words)) { // one sequence at the beginning
				if len(f.Outputs) > 0 {
					s.rows = append(s.rows, res.Out(0, seq))
				}
				if lost != nil && s.err == nil {
					s.err = lost.Errs[seq]
				}
				seq++
			}
			var waits bool
			if s.words, waits = s.next(); waits || s.found == nil {
				continue
			}
			if s.err == nil {
				return s.found
			}
			if r.failed == nil {
				r.failed = make([]error, pictures)
			}
			r.failed[s.picture] = s.err
		}
		return nil
	})
	clear(r.seqs)
	r.live = slices.DeleteFunc(r.live, func(s *search) bool {
		if s.words == nil {
			r.free = append(r.free, s.state)
		}
		return s.words == nil
	})
	return err
}

// stop ends the searches that are live.
func (r *Runner) stop() {
	for _, s := range r.live {
		s.stop()
		r.free = append(r.free, s.state)
	}
	clear(r.live)
	r.live = r.live[:0]
}
