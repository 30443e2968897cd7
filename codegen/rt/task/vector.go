package task

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// VectorValues is how many values of an output a vector holds at most.
const VectorValues = 512

// Vector is a golden vector that a package carries: every Step-th value of an output
// for the input that Sample makes, as the compiler's judge computed it.
type Vector struct {
	Func   string    `json:"func"`
	Output string    `json:"output"`
	Text   int       `json:"text"` // ids of the sample's text, unless the function takes texts of a constant length
	Step   int       `json:"step"`
	Bound  float64   `json:"bound"` // largest error allowed
	Values []float32 `json:"values"`
}

// Sample makes the input of a function's vectors: the same values on every machine,
// a picture of image uniform values in [-2, 2), and text ids below vocab, 0 first and
// 2 last where there are as many.
func Sample(fn string, image, text, vocab int) rt.Seq {
	state := uint64(0x9e3779b97f4a7c15)
	for _, b := range []byte(fn) {
		state = (state ^ uint64(b)) * 0x100000001b3
	}
	next := func() uint64 {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	var s rt.Seq
	for range image {
		s.Image = append(s.Image, float32(int64(next()>>40)-1<<23)/(1<<22))
	}
	for i := range text {
		id := next()
		switch {
		case i == 0:
			id = 0
		case i == text-1:
			id = 2
		}
		s.IDs = append(s.IDs, int32(id%uint64(vocab)))
	}
	return s
}

// Checked is one vector, run.
type Checked struct {
	Func   string  `json:"func"`
	Output string  `json:"output"`
	MaxAbs float64 `json:"max_abs"`
	Bound  float64 `json:"bound"`
}

// OK reports whether the error is within the bound.
func (c Checked) OK() bool { return c.MaxAbs <= c.Bound }

// Check runs the package's vectors on this machine, at the model's level.
func (m *Model) Check(ctx context.Context) ([]Checked, error) {
	var vs []Vector
	if err := json.Unmarshal(m.in.Vectors, &vs); err != nil {
		return nil, fmt.Errorf("the package's golden vectors: %w", err)
	}
	var all []Checked
	err := m.Model.Do(ctx, func(s *rt.Session) error {
		for _, v := range vs {
			if err := ctx.Err(); err != nil {
				return err
			}
			f := m.Func(v.Func)
			if f == nil {
				return fmt.Errorf("a golden vector of function %s, which the package lacks", v.Func)
			}
			if f.States != nil {
				c, err := v.checkCaption(m, s, f)
				if err != nil {
					return err
				}
				all = append(all, c)
				continue
			}
			text := 0
			if f.Text {
				text = cmp.Or(f.IDs, v.Text)
			}
			r, err := s.Run(f, []rt.Seq{Sample(v.Func, f.Image, text, m.Package().Vocab)})
			if err != nil {
				return err
			}
			c := Checked{Func: v.Func, Output: v.Output, Bound: v.Bound}
			if err := v.compare(f, r, &c); err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

// checkCaption runs the vector of a caption's step: those of all steps of a sample.
func (v *Vector) checkCaption(m *Model, s *rt.Session, f *exec.Func) (Checked, error) {
	c := Checked{Func: v.Func, Output: v.Output, Bound: v.Bound}
	image := m.Package().Find("captioning", "begin")
	if image == nil {
		return c, fmt.Errorf("a golden vector of %s, but the package lacks the function that begins captions", v.Func)
	}
	got, err := SampleCaption(s, image, f, v.Text, m.Package().Vocab)
	if err != nil {
		return c, err
	}
	return c, v.values(got, &c)
}

func (v *Vector) compare(f *exec.Func, r *rt.Result, c *Checked) error {
	for o := range f.Outputs {
		if f.Outputs[o].Name == v.Output {
			return v.values(r.Out(o, 0), c)
		}
	}
	return fmt.Errorf("a golden vector of output %s of %s, which the package lacks", v.Output, v.Func)
}

func (v *Vector) values(got []float32, c *Checked) error {
	if v.Step < 1 || (len(got)+v.Step-1)/v.Step != len(v.Values) {
		return fmt.Errorf("the golden vector of %s %s has %d values a step of %d, the output has %d", v.Func, v.Output, len(v.Values), v.Step, len(got))
	}
	for i, want := range v.Values {
		if d := math.Abs(float64(got[i*v.Step]) - float64(want)); d > c.MaxAbs || d != d {
			c.MaxAbs = d
		}
	}
	return nil
}
