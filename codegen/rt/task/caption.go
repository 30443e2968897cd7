package task

import (
	"context"
	"fmt"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/token"
)

// Captions are the rules of a package's captions.
type Captions struct {
	Image, Step *exec.Func
	MaxNew      int           // most ids after <s>, </s> included
	Ban         []caption.IDs // ids that no caption has
}

// CaptionOptions change how a caption is written.
type CaptionOptions struct {
	Beams   int     // captions kept side by side by the official beam search; 0: greedy, the likeliest word each time
	MaxNew  int     // most ids after <s>, </s> included; 0: the package's limit, which is the most
	Penalty float64 // exponent of the length that a beam's score is divided by; 0: 0.6, as the official code has it
}

// Caption is what a model says about a picture.
type Caption struct {
	Text  string  `json:"caption"`
	IDs   []int32 `json:"ids"` // from <s> on; </s> only if a greedy caption ends by itself
	Score float64 `json:"score"`
}

// defaultPenalty is the default of CaptionOptions.Penalty, as in the official BEiT-3 code.
const defaultPenalty = 0.6

// speller turns ids back into text.
type speller interface {
	Decode(ids []int32) string
	Mask() int32
}

// options checks o and completes it. It also returns what turns ids into text.
func (s *Session) options(c *Captions, o CaptionOptions) (caption.Options, speller, error) {
	d := caption.Options{BOS: token.BOS, EOS: token.EOS, Ban: c.Ban, Beams: o.Beams, Penalty: o.Penalty}
	words, ok := s.m.tokens.(speller)
	switch {
	case o.Beams < 0 || o.Beams > caption.MaxBeams:
		return d, nil, fmt.Errorf("%d beams, want 1 to %d, or 0 for a greedy caption", o.Beams, caption.MaxBeams)
	case o.MaxNew < 0 || o.MaxNew > c.MaxNew:
		return d, nil, fmt.Errorf("at most %d new ids are asked for, want 1 to %d, or 0 for %d, the limit of the build (limits.max_new)", o.MaxNew, c.MaxNew, c.MaxNew)
	case !ok:
		return d, nil, fmt.Errorf("%s: this package was built without a tokenizer that spells: add `tokenizer:` to the description", c.Step.Name)
	}
	if o.MaxNew == 0 {
		o.MaxNew = c.MaxNew
	}
	d.MaxLen = o.MaxNew + 1
	if o.Penalty == 0 {
		d.Penalty = defaultPenalty
	}
	return d, words, nil
}

// Captions is Model.Captions in this session. What it returns is the caller's.
func (s *Session) Captions(ctx context.Context, c *Captions, pics []Picture, o CaptionOptions) ([]Caption, error) {
	d, words, err := s.options(c, o)
	if err != nil {
		return nil, err
	}
	if err := s.enter(c.Image.Name, len(pics)); err != nil {
		return nil, err
	}
	defer s.leave()
	s.pictures(pics)
	all := make([]Caption, len(pics))
	for from := 0; from < len(pics); from += batch {
		if err := s.prepare(ctx, c.Image, takesPicture, from, min(from+batch, len(pics))); err != nil {
			return nil, err
		}
		var tensors [][]float32
		for i := range s.seqs {
			tensors = append(tensors, s.seqs[i].Image)
		}
		got, err := s.write(ctx, c, d, words, tensors)
		some := partial(err)
		if err != nil && some == nil {
			return nil, err
		}
		for i, at := range s.which {
			if all[at] = got[i]; some != nil && some.Errs[i] != nil {
				s.fail(at, some.Errs[i])
			}
		}
	}
	return all, s.outcome()
}

// CaptionTensors is Captions for pictures that are tensors, normalised, channel by channel.
func (s *Session) CaptionTensors(ctx context.Context, c *Captions, pics [][]float32, o CaptionOptions) ([]Caption, error) {
	d, words, err := s.options(c, o)
	if err != nil {
		return nil, err
	}
	if err := s.enter(c.Image.Name, 0); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.write(ctx, c, d, words, pics)
}

// write writes captions of tensors. If only some have none, the error is a *rt.BatchError.
func (s *Session) write(ctx context.Context, c *Captions, o caption.Options, words speller, pics [][]float32) ([]Caption, error) {
	if s.runner == nil {
		s.runner = caption.On(s.m.Model, c.Image, c.Step, words.Mask())
	}
	run := caption.In(ctx, s.Session)
	if s.Session == nil { // a session of the model's for each step
		run = func(f *exec.Func, batch []rt.Seq, take func(*rt.Result, error) error) error {
			return s.m.Run(ctx, f, batch, take)
		}
	}
	search := caption.Greedy
	if o.Beams > 0 {
		search = caption.Beam
	}
	all := make([]Caption, len(pics))
	err := s.runner.Each(run, pics, max(1, o.Beams), func(i int, m caption.Model) error {
		got, err := search(m, o)
		if err == nil {
			all[i] = Caption{Text: words.Decode(got.IDs), IDs: got.IDs, Score: got.Score}
		}
		return err
	})
	return all, err
}

// Captions writes a caption of each picture by the functions of c, [caption.Together] of them side by side: a step of the model
// takes a word of each. A picture's caption and score are the same as without the others, except with weights stored as int8x2.
// The call holds the keys and values of these pictures. It ends between steps with ctx's error when ctx is done. Where only some
// pictures have no caption, the error is a *rt.BatchError.
func (m *Model) Captions(ctx context.Context, c *Captions, pics []Picture, o CaptionOptions) ([]Caption, error) {
	return shared(m, func(s *Session) ([]Caption, error) { return s.Captions(ctx, c, pics, o) })
}

// SampleCaption returns the logits of every step of a package's sample caption: the
// picture and the tokens are Sample's.
func SampleCaption(s *rt.Session, image, step *exec.Func, words, vocab int) ([]float32, error) {
	var all []float32
	pixels := Sample(image.Name, image.Image, 0, vocab).Image
	err := caption.On(s.Model(), image, step, int32(vocab-1)).Each(caption.In(context.Background(), s), [][]float32{pixels}, 1, func(_ int, m caption.Model) error {
		steps, err := caption.Force(m, Sample(step.Name, 0, words, vocab).IDs)
		for _, x := range steps {
			all = append(all, x...)
		}
		return err
	})
	return all, err
}
