package cases

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/multiway-go/multiway/ir/checkpoint"
)

// Reference is the expected value of an output of a run.
type Reference struct {
	Name   string // name of the output
	File   string // the file it was read from
	Output Output
	Data   []float32 // row-major, of Output.Shape; arbitrary at padded text rows

	lens []int // tokens of each sequence; nil: there is no padding
	at   int   // index of the first text row on axis 1
	text int   // text rows, with padding
}

// Reference reads the expected value of an output of a run: from the truth file of the run's
// weights_dtype if the folder has it, else from the expected file.
func (c *Case) Reference(r *Run, output string) (*Reference, error) {
	o, ok := r.Outputs[output]
	if !ok {
		return nil, fmt.Errorf("%s: run %s has no output %q", c.Dir, r.Name, output)
	}
	ref, err := c.reference(r, output, o)
	if err != nil {
		return nil, fmt.Errorf("run %s: output %q: %w", r.Name, output, err)
	}
	return ref, nil
}

func (c *Case) reference(r *Run, output string, o Output) (*Reference, error) {
	files := []string{c.file("truth", c.TruthFiles, r.WeightsDType), c.file("expected", c.ExpectedFiles, r.WeightsDType)}
	for _, file := range files {
		src, err := c.source(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t, err := load(src, o.Tensor)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(t.Shape, o.Shape) {
			return nil, fmt.Errorf("%s: tensor %q has shape %v, case.json says %v", src, o.Tensor, t.Shape, o.Shape)
		}
		if t.Floats == nil {
			t.Floats = make([]float32, len(t.Ints))
			for i, v := range t.Ints {
				if t.Floats[i] = float32(v); int64(t.Floats[i]) != v {
					return nil, fmt.Errorf("%s: tensor %q: element %v is %d, which does not fit float32", src, o.Tensor, index(o.Shape, i), v)
				}
			}
		}
		ref := &Reference{Name: output, File: file, Output: o, Data: t.Floats}
		lens, text, err := c.lengths(r)
		if err != nil {
			return nil, err
		}
		if at := c.textRows(r, output, o.Shape, text); at >= 0 {
			if len(lens) != o.Shape[0] {
				return nil, fmt.Errorf("has %d sequences, text_ids has %d", o.Shape[0], len(lens))
			}
			ref.lens, ref.at, ref.text = lens, at, text
		}
		for i, v := range ref.Data {
			if (v != v || math.IsInf(float64(v), 0)) && ref.counts(i) {
				return nil, fmt.Errorf("%s: tensor %q: element %v is %v", src, o.Tensor, index(o.Shape, i), v)
			}
		}
		return ref, nil
	}
	return nil, fmt.Errorf("%s has none of the files %q", c.Dir, files)
}

// file returns the name of the file with the outputs for weights of type d: the listed name,
// or else the default name.
func (c *Case) file(kind string, listed map[string]string, d checkpoint.DType) string {
	if name := listed[string(d)]; name != "" {
		return name
	}
	if d == "" || d == checkpoint.F32 {
		return kind + ".safetensors"
	}
	return kind + "." + string(d) + ".safetensors"
}

// width returns the number of elements of a row: the product of the shape's dimensions from axis 2 on.
func (f *Reference) width() int {
	n := 1
	for _, d := range f.Output.Shape[min(2, len(f.Output.Shape)):] {
		n *= d
	}
	return n
}

// counts reports whether element i is compared. Elements of padded text rows are not.
func (f *Reference) counts(i int) bool {
	if f.lens == nil {
		return true
	}
	row := i / f.width()
	seq, row := row/f.Output.Shape[1], row%f.Output.Shape[1]-f.at
	return row < f.lens[seq] || row >= f.text
}

// Sequences returns the number of sequences in a model's output, the length of axis 0; 1 for a scalar.
func (f *Reference) Sequences() int {
	if len(f.Output.Shape) == 0 {
		return 1
	}
	return f.Output.Shape[0]
}

// Sequence returns the expected elements of sequence seq without padded rows, as engines return them. The result may share
// memory with Data.
func (f *Reference) Sequence(seq int) []float32 {
	n := len(f.Data) / f.Sequences()
	all := f.Data[seq*n : (seq+1)*n]
	if f.lens == nil || f.lens[seq] == f.text {
		return all
	}
	w := f.width()
	end := (f.at + f.lens[seq]) * w
	return append(slices.Clone(all[:end]), all[(f.at+f.text)*w:]...)
}

// position returns the index in Data of element i of sequence seq, where i does not count padded rows.
func (f *Reference) position(seq, i int) int {
	if f.lens != nil {
		if w := f.width(); i >= (f.at+f.lens[seq])*w {
			i += (f.text - f.lens[seq]) * w
		}
	}
	return seq*(len(f.Data)/f.Sequences()) + i
}

// Result is the outcome of comparing an output with the expected values.
type Result struct {
	OK       bool
	MaxAbs   float64 // the largest |got - want|; infinite if it is NaN
	Compared int     // number of compared elements

	// Index, Got, Want, Error and Bound describe the worst element, which has the largest |got - want| / bound.
	Index     []int // index on each axis of the output
	Got, Want float32
	Error     float64 // |got - want|
	Bound     float64 // for Compare and CompareAll, Output.Bound(Want)
}

// String returns the result as one line.
func (r Result) String() string {
	verdict := "ok"
	if !r.OK {
		verdict = "FAIL"
	}
	return fmt.Sprintf("max abs error %.3g, worst %.3g of bound %.3g at %v (got %v, want %v) %s", r.MaxAbs, r.Error, r.Bound, r.Index, r.Got, r.Want, verdict)
}

// Bound returns how much an element may differ from the expected value want.
func (o *Output) Bound(want float64) float64 {
	if o.Exact {
		return 0
	}
	return o.Atol + float64(o.Rtol*math.Abs(want))
}

// judge adds up a Result, element by element.
type judge struct {
	r  Result
	at int // position of the worst element
}

func (j *judge) add(at int, got, want float32, bound float64) {
	e := math.Abs(float64(got) - float64(want))
	if got != got {
		e = math.Inf(1)
	}
	r := &j.r
	r.Compared++
	r.MaxAbs = max(r.MaxAbs, e)
	ratio, worst := excess(e, bound), excess(r.Error, r.Bound)
	if r.Compared == 1 || ratio > worst || ratio == worst && e > r.Error {
		j.at, r.Got, r.Want, r.Error, r.Bound = at, got, want, e, bound
	}
}

// excess returns the error e relative to its bound, e/bound; 0 if e is 0.
func excess(e, bound float64) float64 {
	if e == 0 {
		return 0
	}
	return e / bound
}

func (j *judge) result(shape []int) Result {
	j.r.OK = j.r.Error <= j.r.Bound
	j.r.Index = index(shape, j.at)
	return j.r
}

// Compare compares the output of an engine, one slice for each sequence, without padded rows as [Reference.Sequence]
// returns them, element by element. A wrong number of sequences or elements is an error.
func (f *Reference) Compare(got [][]float32) (Result, error) {
	return f.Within(got, func(_, _ int, want float64) float64 { return f.Output.Bound(want) })
}

// Within is Compare with other bounds: bound returns how much element i of sequence seq may differ from the expected value want.
func (f *Reference) Within(got [][]float32, bound func(seq, i int, want float64) float64) (Result, error) {
	var j judge
	if len(got) != f.Sequences() {
		return Result{}, fmt.Errorf("output %q has %d sequences, want %d", f.Name, len(got), f.Sequences())
	}
	for seq, g := range got {
		want := f.Sequence(seq)
		if len(g) != len(want) {
			return Result{}, fmt.Errorf("output %q: sequence %d has %d elements, want %d", f.Name, seq, len(g), len(want))
		}
		for i, w := range want {
			j.add(f.position(seq, i), g[i], w, bound(seq, i, float64(w)))
		}
	}
	return j.result(f.Output.Shape), nil
}

// Cosine compares each row, along the last axis, of an engine's output with the expected row: their cosine must be at least
// least. In the result, errors are 1 - cosine, and Got and Want are the Euclidean norms of the worst row.
func (f *Reference) Cosine(got [][]float32, least float64) (Result, error) {
	var j judge
	if len(got) != f.Sequences() {
		return Result{}, fmt.Errorf("output %q has %d sequences, want %d", f.Name, len(got), f.Sequences())
	}
	for seq, g := range got {
		want := f.Sequence(seq)
		if len(g) != len(want) {
			return Result{}, fmt.Errorf("output %q: sequence %d has %d elements, want %d", f.Name, seq, len(g), len(want))
		}
		n := 1
		if s := f.Output.Shape; len(s) > 1 {
			n = s[len(s)-1]
		}
		for i := 0; i+n <= len(want); i += n {
			dot, a, b := 0.0, 0.0, 0.0
			for k, w := range want[i : i+n] {
				x, y := float64(g[i+k]), float64(w)
				dot, a, b = dot+float64(x*y), a+float64(x*x), b+float64(y*y)
			}
			e := 0.0
			if a != b || dot != a {
				e = max(0, 1-dot/math.Sqrt(a*b))
			}
			if e != e {
				e = math.Inf(1)
			}
			r := &j.r
			r.Compared++
			r.MaxAbs = max(r.MaxAbs, e)
			if r.Compared == 1 || e > r.Error {
				j.at, r.Got, r.Want, r.Error, r.Bound = f.position(seq, i), float32(math.Sqrt(a)), float32(math.Sqrt(b)), e, 1-least
			}
		}
	}
	return j.result(f.Output.Shape), nil
}

// CompareAll compares an output that has the shape of the case, padded text rows included; it ignores these rows.
func (f *Reference) CompareAll(got []float32) (Result, error) {
	var j judge
	if len(got) != len(f.Data) {
		return Result{}, fmt.Errorf("output %q has %d elements, want %d of shape %v", f.Name, len(got), len(f.Data), f.Output.Shape)
	}
	for i, w := range f.Data {
		if f.counts(i) {
			j.add(i, got[i], w, f.Output.Bound(float64(w)))
		}
	}
	return j.result(f.Output.Shape), nil
}

// index returns the index on each axis of shape for the element at a row-major position.
func index(shape []int, at int) []int {
	idx := make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		idx[i] = at % shape[i]
		at /= shape[i]
	}
	return idx
}
