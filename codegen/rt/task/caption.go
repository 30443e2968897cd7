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

// options checks o and completes it.
func (c *Captions) options(o CaptionOptions) (caption.Options, error) {
	d := caption.Options{BOS: token.BOS, EOS: token.EOS, Ban: c.Ban, Beams: o.Beams, Penalty: o.Penalty}
	switch {
	case o.Beams < 0 || o.Beams > caption.MaxBeams:
		return d, fmt.Errorf("%d beams, want 1 to %d, or 0 for a greedy caption", o.Beams, caption.MaxBeams)
	case o.MaxNew < 0 || o.MaxNew > c.MaxNew:
		return d, fmt.Errorf("at most %d new ids are asked for, want 1 to %d, or 0 for %d, the limit of the build (limits.max_new)", o.MaxNew, c.MaxNew, c.MaxNew)
	}
	if o.MaxNew == 0 {
		o.MaxNew = c.MaxNew
	}
	d.MaxLen = o.MaxNew + 1
	if o.Penalty == 0 {
		d.Penalty = defaultPenalty
	}
	return d, nil
}

// Captions is Model.Captions in this session. What it returns is the caller's.
func (s *Session) Captions(ctx context.Context, c *Captions, pics []Picture, o CaptionOptions) ([]Caption, error) {
	d, err := c.options(o)
	if err != nil {
		return nil, err
	}
	words, ok := s.m.tokens.(speller)
	if !ok {
		return nil, fmt.Errorf("%s: this package was built without a tokenizer that spells: add `tokenizer:` to the description", c.Step.Name)
	}
	if err := s.enter(c.Image.Name, len(pics)); err != nil {
		return nil, err
	}
	defer s.leave()
	s.pictures(pics)
	all := make([]Caption, len(pics))
	for i := range pics {
		if err := s.prepare(ctx, c.Image, takesPicture, i, i+1); err != nil {
			return nil, err
		}
		if s.lost(i) {
			continue
		}
		var got caption.Caption
		write := func(r *rt.Session) (err error) {
			got, err = s.write(r, c, d, words.Mask())
			return err
		}
		var err error
		if s.Session != nil {
			err = write(s.Session)
		} else {
			err = s.m.Model.Do(ctx, write)
		}
		if err == nil {
			all[i] = Caption{Text: words.Decode(got.IDs), IDs: got.IDs, Score: got.Score}
		} else if some := partial(err); some != nil {
			s.fail(i, some.Unwrap()[0])
		} else {
			return nil, err
		}
	}
	return all, s.outcome()
}

// write writes the caption of the picture that is prepared.
func (s *Session) write(session *rt.Session, c *Captions, o caption.Options, mask int32) (got caption.Caption, err error) {
	if s.runner == nil || s.runner.Beams() < max(1, o.Beams) {
		if s.runner, err = caption.On(session, c.Step, mask, max(1, o.Beams)); err != nil {
			return got, err
		}
	}
	r := s.runner
	r.Use(session)
	if err := r.Begin(c.Image, s.seqs[0].Image); err != nil {
		return got, err
	}
	if o.Beams > 0 {
		return caption.Beam(r, o)
	}
	return caption.Greedy(r, o)
}

// Captions writes a caption of each picture by the functions of c. The call ends between pictures with ctx's error when
// ctx is done. Where only some pictures have none, the error is a *rt.BatchError.
func (m *Model) Captions(ctx context.Context, c *Captions, pics []Picture, o CaptionOptions) ([]Caption, error) {
	return shared(m, func(s *Session) ([]Caption, error) { return s.Captions(ctx, c, pics, o) })
}

// SampleCaption returns the logits of every step of a package's sample caption: the
// picture and the tokens are Sample's.
func SampleCaption(s *rt.Session, image, step *exec.Func, words, vocab int) ([]float32, error) {
	r, err := caption.On(s, step, int32(vocab-1), 1)
	if err != nil {
		return nil, err
	}
	if err := r.Begin(image, Sample(image.Name, image.Image, 0, vocab).Image); err != nil {
		return nil, err
	}
	steps, err := caption.Force(r, Sample(step.Name, 0, words, vocab).IDs)
	var all []float32
	for _, x := range steps {
		all = append(all, x...)
	}
	return all, err
}
