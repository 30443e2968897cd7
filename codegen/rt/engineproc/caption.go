package engineproc

import (
	"context"
	"errors"
	"fmt"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
)

// Caption is a request for captions. If Tokens are given, the reply has the logits after each of
// them; otherwise it has a caption, by beam search if Beams > 0, else greedy.
type Caption struct {
	caption.Options
	Mask   int32   `json:"mask"`
	Tokens []int32 `json:"tokens,omitempty"`
}

// Captioned is the reply for a picture: the caption, or the logits of given tokens.
type Captioned struct {
	caption.Caption
	Logits [][]float32
}

// On answers with a model at the beginning of a caption.
func (q *Caption) On(m caption.Model) (c Captioned, err error) {
	switch {
	case q.Tokens != nil:
		c.Logits, err = caption.Force(m, q.Tokens)
	case q.Beams > 0:
		c.Caption, err = caption.Beam(m, q.Options)
	default:
		c.Caption, err = caption.Greedy(m, q.Options)
	}
	return c, err
}

// answer answers with the package's functions of captions.
func (q *Caption) answer(s *rt.Session, pictures [][]float32) ([]Captioned, error) {
	p := s.Model().Package()
	image, step := p.Find("captioning", "begin"), p.Find("captioning", "step")
	if image == nil || step == nil {
		return nil, errors.New("the package has no captions: a function of the task captioning is missing")
	}
	all := make([]Captioned, len(pictures))
	return all, caption.On(s.Model(), image, step, q.Mask).Each(caption.In(context.Background(), s), pictures, max(1, q.Beams), func(i int, m caption.Model) (err error) {
		all[i], err = q.On(m)
		return err
	})
}

// Captions has the process caption pictures, together.
func (c *Client) Captions(pictures [][]float32, q Caption) ([]Captioned, error) {
	r := request{Caption: &q}
	for _, x := range pictures {
		r.Seqs = append(r.Seqs, seq{Image: len(x)})
	}
	if err := send(c.w, r, pictures...); err != nil {
		return nil, c.failed(err)
	}
	var resp response
	if err := receive(c.r, &resp); err != nil {
		return nil, c.failed(err)
	}
	if resp.Error != "" {
		return nil, errors.New(resp.Error)
	}
	if len(resp.Captions) != len(pictures) || len(resp.Outputs) != len(pictures) {
		return nil, c.failed(fmt.Errorf("the process answered something else than a caption of each picture"))
	}
	all := make([]Captioned, len(pictures))
	for i, o := range resp.Outputs {
		all[i].Caption = resp.Captions[i]
		for _, n := range o.Floats {
			x, err := receiveFloats(c.r, n)
			if err != nil {
				return nil, c.failed(err)
			}
			all[i].Logits = append(all[i].Logits, x)
		}
	}
	return all, nil
}
