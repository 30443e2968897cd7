package golden_test

import (
	"image"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/generated/mwttiny"
)

// The tests of this file are of the committed package mwttiny: shared attention, an
// expert for pairs, and the tasks of a picture and a text.

func openMwt(t testing.TB, level string) *mwttiny.Model {
	t.Helper()
	m, err := mwttiny.New(rt.WithLevel(level))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestMwtIsItsProgram(t *testing.T) {
	atLevels(t, func(t *testing.T, level string) {
		isItsProgram(t, "mwttiny", mwttiny.Package(), openMwt(t, level).Task().Model)
	})
}

// A single modality never reads the expert for pairs, and no function reads an expert
// of another modality.
func TestMwtExperts(t *testing.T) {
	desc, err := compile.Open(filepath.Join(generated, "mwttiny", "mwttiny.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer desc.Close()
	for entry, want := range map[string][]string{
		"vision":   {"l0.ffn.vision", "l1.ffn.vision"},
		"language": {"l0.ffn.language", "l1.ffn.language"},
		"pair":     {"l0.ffn.language", "l0.ffn.vision", "l1.ffn.vl"},
	} {
		p, _, err := desc.Lower([]string{entry})
		if err != nil {
			t.Fatal(err)
		}
		if p, err = desc.Plan(p); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range p.Weights {
			if e, _, ok := strings.Cut(w.Name, "~"); ok && strings.Contains(e, ".ffn.") && !slices.Contains(got, e) {
				got = append(got, e)
			}
		}
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: experts in the blob (-want +got)\n%s", entry, d)
		}
	}
}

func TestMwtAnswers(t *testing.T) {
	a, b, c := picture(30, 20, 1), picture(24, 24, 2), picture(9, 70, 3)
	imgs, questions := []image.Image{a, b, c, a}, []string{"a star", "", "how many", "a red bicycle"}
	atLevels(t, func(t *testing.T, level string) {
		m := openMwt(t, level)
		s := m.NewSession()
		owned, err := m.AnswerLogitsOf(imgs, questions)
		if err != nil {
			t.Fatal(err)
		}
		for i := range imgs {
			alone, err := s.AnswerLogits(imgs[i], questions[i])
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(alone, owned[i]) {
				t.Errorf("pair %d has other logits alone than in a batch", i)
			}
			all, err := m.Answer(imgs[i], questions[i], 0)
			if err != nil {
				t.Fatal(err)
			}
			best, err := s.Answer(imgs[i], questions[i], 1)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(all[:1], best); d != "" || len(all) != len(mwttiny.Answers()) {
				t.Errorf("pair %d, of %d answers (-first of all +best)\n%s", i, len(all), d)
			}
			top := slices.Index(owned[i], slices.Max(owned[i]))
			if best[0].Index != top || best[0].Name != mwttiny.Answers()[top] {
				t.Errorf("pair %d: the answer is %+v, want number %d", i, best[0], top)
			}
		}
		if slices.Equal(owned[0], owned[3]) {
			t.Error("two questions about one picture have the same logits")
		}

		p, err := s.Reason(a, b, "a star")
		if err != nil {
			t.Fatal(err)
		}
		q, err := m.Reason(a, b, "a star")
		if err != nil {
			t.Fatal(err)
		}
		swapped, err := m.Reason(b, a, "a star")
		if err != nil {
			t.Fatal(err)
		}
		if p != q || p == swapped || !(p > 0 && p < 1) {
			t.Errorf("the statement has probability %v in a session, %v by the model, %v of the pictures exchanged", p, q, swapped)
		}
	})
}

// Reason is the head on the features of both pictures: worked out step by step.
func TestMwtReason(t *testing.T) {
	m := openMwt(t, "generic")
	s := m.NewSession()
	a, b := picture(30, 20, 1), picture(24, 24, 2)
	got, err := m.Reason(a, b, "a star")
	if err != nil {
		t.Fatal(err)
	}
	features := m.Task().Func("pair_nlvr2")
	var both []float32
	for _, img := range []image.Image{a, b} {
		rows, err := s.Task().Pairs(features, []image.Image{img}, []string{"a star"})
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, rows[0]...)
	}
	r, err := s.ReasonHead([]rt.Seq{{Image: both}})
	if err != nil {
		t.Fatal(err)
	}
	l := r.Out(0, 0)
	want := 1 / (1 + math.Exp(float64(l[0])-float64(l[1])))
	if math.Abs(float64(got)-want) > 1e-6 {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMwtAllocatesNothing(t *testing.T) {
	a, b := picture(40, 30, 1), picture(9, 50, 2)
	atLevels(t, func(t *testing.T, level string) {
		s := openMwt(t, level).NewSession()
		for name, call := range map[string]func() error{
			"AnswerLogits": func() error { _, err := s.AnswerLogits(a, "a red bicycle"); return err },
			"Reason":       func() error { _, err := s.Reason(a, b, "blue birds"); return err },
		} {
			if err := call(); err != nil { // buffers grow
				t.Fatalf("%s: %v", name, err)
			}
			if n := testing.AllocsPerRun(20, func() {
				if err := call(); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s allocates %v times a call", name, n)
			}
		}
	})
}

func TestMwtHostileInput(t *testing.T) {
	m := openMwt(t, "generic")
	s := m.NewSession()
	img := picture(20, 20, 1)
	for _, row := range []struct {
		name string
		call func() error
		want string
	}{
		{"no picture", func() error { _, err := s.Answer(nil, "why", 1); return err }, "input 0: picture: it is nil"},
		{"pictures and questions", func() error { _, err := m.AnswerLogitsOf([]image.Image{img}, nil); return err }, "1 pictures and 0 texts"},
		{"the second picture", func() error { _, err := s.Reason(img, nil, "a"); return err }, "input 1: picture: it is nil"},
		{"features of one picture", func() error { _, err := s.ReasonHead([]rt.Seq{{Image: make([]float32, 48)}}); return err }, "48 values, want 96"},
	} {
		if err := row.call(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got error %v, want one with %q", row.name, err, row.want)
		}
	}
	if _, err := s.Answer(img, "a star", 0); err != nil {
		t.Error(err)
	}
}
