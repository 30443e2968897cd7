package task

import (
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/multiway-go/multiway/codegen/rt/rttest"
)

var close4 = cmpopts.EquateApprox(0, 1e-4)

func TestProbs(t *testing.T) {
	nan := float32(math.NaN())
	same := cmp.Options{close4, cmpopts.EquateNaNs()}
	for _, c := range []struct {
		name    string
		l       Logits
		cosines []float32
		want    []float32
	}{
		{"softmax", Logits{Scale: 2}, []float32{0.5, 0, nan, 1}, []float32{0.2447, 0.0900, nan, 0.6652}},
		{"softmax of far logits", Logits{Scale: 2000}, []float32{-1, 1, 1}, []float32{0, 0.5, 0.5}},
		{"sigmoid", Logits{Scale: 2, Bias: -1, Each: true}, []float32{0.5, 0, nan, 1}, []float32{0.5, 0.2689, nan, 0.7311}},
		{"one text", Logits{Scale: 2}, []float32{-0.5}, []float32{1}},
		{"none", Logits{Scale: 2}, nil, []float32{}},
	} {
		if d := cmp.Diff(c.want, c.l.Probs(c.cosines), same); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, d)
		}
	}
}

// embedded gives a prompt the vector of its words: how often x and y are in it.
func embedded(prompts iter.Seq[string], row func([]float32) error) error {
	for p := range prompts {
		v := []float32{float32(strings.Count(p, "x")), float32(strings.Count(p, "y"))}
		if err := row(v); err != nil {
			return err
		}
	}
	return nil
}

func TestClasses(t *testing.T) {
	m := open(t, nil)
	if _, ok := m.Logits(); ok {
		t.Error("a model without a score has logits")
	}
	if _, err := m.ClassesBy([]string{"x"}, nil, embedded); err == nil || !strings.Contains(err.Error(), "does not say how the model scores") {
		t.Errorf("a model without a score: %v", err)
	}
	in := *m.in
	m.in = &in
	scale := math.Exp(rttest.Scale)
	for _, c := range []struct {
		name      string
		each      bool
		templates []string
		want      []Label
	}{
		// The picture is along x. With the second template, b is (0,1) + (3,1) = (3,2).
		{"softmax", false, []string{"{}"}, []Label{{0, "x", 1 / float32(1+math.Exp(-scale))}, {1, "y", 1 / float32(1+math.Exp(scale))}}},
		{"sigmoid", true, []string{"{}"}, []Label{{0, "x", Sigmoid(scale)}, {1, "y", 0.5}}},
		{"mean of templates", true, []string{"{}", "xxx{}"}, []Label{{0, "x", Sigmoid(scale)}, {1, "y", Sigmoid(scale * 3 / math.Sqrt(13))}}},
	} {
		in.Score = &Score{Scale: "scale", Each: c.each}
		classes, err := m.ClassesBy([]string{"x", "y"}, c.templates, embedded)
		if err != nil {
			t.Fatal(err)
		}
		got := classes.Top([]float32{1, 0}, 0)
		if d := cmp.Diff(c.want, got, close4); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, d)
		}
		if d := cmp.Diff(got[:1], classes.Top([]float32{1, 0}, 1)); d != "" {
			t.Errorf("%s: the best class (-want +got)\n%s", c.name, d)
		}
	}
	in.Score = &Score{Scale: "scale", Bias: "scale"}
	if l, _ := m.Logits(); l.Bias != float64(float32(rttest.Scale)) {
		t.Errorf("bias %v, want %v", l.Bias, rttest.Scale)
	}

	var asked []string
	_, err := m.ClassesBy([]string{"a", "b"}, nil, func(prompts iter.Seq[string], row func([]float32) error) error {
		asked = slices.Collect(prompts)
		return nil
	})
	if d := cmp.Diff([]string{"a photo of a a", "a photo of a b"}, asked); d != "" || err == nil || !strings.Contains(err.Error(), "0 of 2 texts about classes") {
		t.Errorf("the default template: %v (-want +got)\n%s", err, d)
	}
	for want, call := range map[string]func() (*Classes, error){
		"no names":  func() (*Classes, error) { return m.ClassesBy(nil, nil, embedded) },
		"has no {}": func() (*Classes, error) { return m.ClassesBy([]string{"x"}, []string{"a photo"}, embedded) },
		"embed fails": func() (*Classes, error) {
			return m.ClassesBy([]string{"x"}, nil, func(iter.Seq[string], func([]float32) error) error { return errors.New("embed fails") })
		},
	} {
		if _, err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// Classes of a model are those of its own function of texts, and rank what its function of pictures gives.
func TestTops(t *testing.T) {
	m := open(t, nil)
	in := *m.in
	in.Score = &Score{Scale: "scale"}
	m.in = &in
	f := m.Func("text")
	classes, err := m.Classes(t.Context(), f, []string{"ab", "c"}, []string{"{}"})
	if err != nil || classes.Len() != 2 {
		t.Fatal(err)
	}
	rows, err := m.Images(t.Context(), m.Func("image"), []Picture{grey(1), {}, grey(2)})
	if rows == nil {
		t.Fatal(err)
	}
	s := m.NewSession()
	defer s.Close()
	for name, call := range map[string]func() ([][]Label, error){
		"model": func() ([][]Label, error) {
			return m.Tops(t.Context(), m.Func("image"), []Picture{grey(1), {}, grey(2)}, classes)
		},
		"session": func() ([][]Label, error) {
			return s.Tops(t.Context(), m.Func("image"), []Picture{grey(1), {}, grey(2)}, classes)
		},
	} {
		got, err := call()
		if err == nil || len(got) != 3 || got[1] != nil {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		want := [][]Label{classes.Top(rows[0], 0), nil, classes.Top(rows[2], 0)}
		if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
}
