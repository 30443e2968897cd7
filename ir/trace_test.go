package ir_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
)

const traced = `program traced T<=4
weight @a.w f32[3,2]
weight @b.w f32[2,3]
weight @c.w f32[2,2]
func f(x: f32[T,2]) {
  a = linear x, @a : f32[T,3]
  b = linear a, @b : f32[T,2]
  c = linear x, @c : f32[T,2]
  y = add b, c : f32[T,2]
  return a, y
}
`

// A run with other weights gives what the program with these weights gives.
func TestTraceWith(t *testing.T) {
	weights := map[string][]float32{"a.w": {1, 2, 3, 4, 5, 6}, "b.w": {1, -1, 2, 0.5, 3, -2}, "c.w": {1, 0, 2, 1}}
	in := map[string]*ir.Tensor{"x": matrix(3, 1, 2, 3, 4, -1, 0.5)}
	tr, err := program(t, traced, weights).Trace("f", 3, in)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var sets []map[string]*ir.Weight
	var wants []map[string]*ir.Tensor
	for name := range weights {
		other := map[string][]float32{}
		for k, x := range weights {
			other[k] = x
		}
		other[name] = []float32{7, -1, 0.25, 3, 2, 1}[:len(weights[name])]
		q := program(t, traced, other)
		want, err := q.Run("f", 3, in)
		if err != nil {
			t.Fatal(err)
		}
		names, wants, sets = append(names, name), append(wants, want), append(sets, map[string]*ir.Weight{name: q.Weight(name)})
	}
	got, err := tr.With(append(sets, nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if d := cmp.Diff(wants[i], got[i]); d != "" {
			t.Errorf("another @%s (-want +got)\n%s", name, d)
		}
		if cmp.Equal(tr.Results()["y"], got[i]["y"]) {
			t.Errorf("another @%s changes nothing", name)
		}
	}
	if d := cmp.Diff(tr.Results(), got[len(names)]); d != "" {
		t.Errorf("no other weight (-want +got)\n%s", d)
	}
	if _, err := program(t, traced, weights).Trace("g", 3, in); err == nil {
		t.Error("traced a function that is not there")
	}
}

// A run on several inputs gives what runs on each of them give, loads each weight once, and shows every value once, in
// order.
func TestRunAll(t *testing.T) {
	weights := map[string][]float32{"a.w": {1, 2, 3, 4, 5, 6}, "b.w": {1, -1, 2, 0.5, 3, -2}, "c.w": {1, 0, 2, 1}}
	p := program(t, traced, weights)
	loads := 0
	for _, w := range p.Weights {
		load := w.Load
		w.Load = func() ([]float32, error) { loads++; return load() }
	}
	inputs := []ir.Input{
		{T: 3, In: map[string]*ir.Tensor{"x": matrix(3, 1, 2, 3, 4, -1, 0.5)}},
		{T: 1, In: map[string]*ir.Tensor{"x": matrix(1, 7, -2)}},
		{T: 4, In: map[string]*ir.Tensor{"x": matrix(4, 1, 0, 0, 1, 2, 2, 5, 3)}},
	}
	var names []string
	seen := map[string][]*ir.Tensor{}
	got, err := p.RunAll("f", inputs, func(v *ir.Value, x []*ir.Tensor) {
		names, seen[v.Name] = append(names, v.Name), x
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b", "c", "y"}, names); d != "" {
		t.Errorf("values (-want +got)\n%s", d)
	}
	if loads != len(p.Weights) {
		t.Errorf("%d weights are loaded %d times", len(p.Weights), loads)
	}
	for i, x := range inputs {
		want, err := p.Run("f", x.T, x.In)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got[i]); d != "" {
			t.Errorf("input %d (-want +got)\n%s", i, d)
		}
		if !cmp.Equal(seen["a"][i], want["a"]) || !cmp.Equal(seen["y"][i], want["y"]) {
			t.Errorf("input %d: saw %v", i, seen)
		}
	}
	p.Weights[1].Load = func() ([]float32, error) { return nil, errors.New("gone") }
	if _, err := p.RunAll("f", inputs, nil); err == nil || !strings.Contains(err.Error(), "@b.w: gone") {
		t.Errorf("got %v", err)
	}
	if got, err := p.RunAll("f", nil, nil); err != nil || len(got) != 0 {
		t.Errorf("no inputs give %v, %v", got, err)
	}
}

// An int8 product quantises each row to 255 values, from its least to its largest.
func TestInt8Linear(t *testing.T) {
	const text = `program bytes T<=2
weight @a.w i8[1,3]
func f(x: f32[2,3]) {
  y = linear x, @a : f32[2,1]
  return y
}
`
	in := map[string]*ir.Tensor{"x": matrix(2, -1, 253, 10.4, 7, 7, 7)}
	for i, want := range [][]float64{{-1, 7}, {253, 7}, {10, 7}} {
		w := make([]float32, 3)
		w[i] = 1
		out, err := program(t, text, map[string][]float32{"a.w": w}).Run("f", 1, in)
		if err != nil {
			t.Fatal(err)
		}
		for r, x := range out["y"].F {
			if math.Abs(x-want[r]) > 1e-12 {
				t.Errorf("element %d of row %d is %v, want %v", i, r, x, want[r])
			}
		}
	}
}
