package engineproc

import (
	"errors"
	"fmt"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
)

// Caption is a request for a caption. If Tokens are given, the reply has the logits after each of
// them; otherwise it has a caption, by beam search if Beams > 0, else greedy.
type Caption struct {
	caption.Options
	Mask   int32   `json:"mask"`
	Tokens []int32 `json:"tokens,omitempty"`
}

// Captioned is the reply to a request for a caption: the caption, or the logits of given tokens.
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
func (q *Caption) answer(s *rt.Session, pixels []float32) (Captioned, error) {
	p := s.Model().Package()
	image, step := p.Find("captioning", "begin"), p.Find("captioning", "step")
	if image == nil || step == nil {
		return Captioned{}, errors.New("the package has no captions: a function of the task captioning is missing")
	}
	r, err := caption.On(s, step, q.Mask, max(1, q.Beams))
	if err != nil {
		return Captioned{}, err
	}
	if err := r.Begin(image, pixels); err != nil {
		return Captioned{}, err
	}
	return q.On(r)
}

// Caption has the process caption a picture.
func (c *Client) Caption(pixels []float32, q Caption) (Captioned, error) {
	if err := send(c.w, request{Seqs: []seq{{Image: len(pixels)}}, Caption: &q}, pixels); err != nil {
		return Captioned{}, c.failed(err)
	}
	var resp response
	if err := receive(c.r, &resp); err != nil {
		return Captioned{}, c.failed(err)
	}
	if resp.Error != "" {
		return Captioned{}, errors.New(resp.Error)
	}
	if resp.Caption == nil || len(resp.Outputs) > 1 {
		return Captioned{}, c.failed(fmt.Errorf("the process answered something else than a caption"))
	}
	got := Captioned{Caption: *resp.Caption}
	for _, o := range resp.Outputs {
		for _, n := range o.Floats {
			x, err := receiveFloats(c.r, n)
			if err != nil {
				return Captioned{}, c.failed(err)
			}
			got.Logits = append(got.Logits, x)
		}
	}
	return got, nil
}
