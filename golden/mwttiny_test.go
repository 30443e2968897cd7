package golden_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/mwttiny"
)

// Tests of the committed package mwttiny: shared attention, an expert for pairs, and tasks of a
// picture and a text.

func TestMwtEqualsInterpreter(t *testing.T) {
	atLevels(t, func(t *testing.T, level string) {
		equalsInterpreter(t, "mwttiny", mwttiny.Package(), opened(t, mwttiny.New, level).Task().Model)
	})
}

// A single modality never reads the expert for pairs, and no function reads an expert
// of another modality.
func TestMwtHoldsItsExperts(t *testing.T) {
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
	a, b, c := task.Image(picture(30, 20, 1)), task.Image(picture(24, 24, 2)), task.Image(picture(9, 70, 3))
	questions := []task.Pair{{Picture: a, Text: "a star"}, {Picture: b, Text: ""}, {Picture: c, Text: "how many"}, {Picture: a, Text: "a red bicycle"}}
	atLevels(t, func(t *testing.T, level string) {
		m := opened(t, mwttiny.New, level)
		s := m.NewSession()
		owned, err := m.LogitsOfQuestions(t.Context(), questions)
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range questions {
			alone, err := s.LogitsOfQuestion(t.Context(), q.Picture, q.Text)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(alone, owned[i]) {
				t.Errorf("pair %d has other logits alone than in a batch", i)
			}
			all, err := m.AnswerQuestion(t.Context(), q.Picture, q.Text)
			if err != nil {
				t.Fatal(err)
			}
			best, err := s.AnswerQuestion(t.Context(), q.Picture, q.Text)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(all, best); d != "" || len(all) != len(mwttiny.Answers()) {
				t.Errorf("pair %d, of %d answers (-model +session)\n%s", i, len(all), d)
			}
			top := slices.Index(owned[i], slices.Max(owned[i]))
			if best[0].Index != top || best[0].Name != mwttiny.Answers()[top] {
				t.Errorf("pair %d: the answer is %+v, want number %d", i, best[0], top)
			}
		}
		if slices.Equal(owned[0], owned[3]) {
			t.Error("two questions about one picture have the same logits")
		}

		p, err := s.TruthProbability(t.Context(), a, b, "a star")
		if err != nil {
			t.Fatal(err)
		}
		q, err := m.TruthProbability(t.Context(), a, b, "a star")
		if err != nil {
			t.Fatal(err)
		}
		swapped, err := m.TruthProbability(t.Context(), b, a, "a star")
		if err != nil {
			t.Fatal(err)
		}
		if p != q || p == swapped || !(p > 0 && p < 1) {
			t.Errorf("the statement has probability %v in a session, %v by the model, %v of the pictures exchanged", p, q, swapped)
		}
	})
}

// TruthProbability equals the head on the features of both pictures, computed step by step.
func TestMwtReason(t *testing.T) {
	m := opened(t, mwttiny.New, "generic")
	s := m.NewSession()
	a, b := task.Image(picture(30, 20, 1)), task.Image(picture(24, 24, 2))
	got, err := m.TruthProbability(t.Context(), a, b, "a star")
	if err != nil {
		t.Fatal(err)
	}
	features := m.Task().Func("pair_nlvr2")
	var both []float32
	for _, pic := range []task.Picture{a, b} {
		rows, err := s.Task().Pairs(t.Context(), features, []task.Pair{{Picture: pic, Text: "a star"}})
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, rows[0]...)
	}
	r, err := s.ReasonHead(t.Context(), []rt.Seq{{Image: both}})
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
	a, b, ctx := task.Image(picture(40, 30, 1)), task.Image(picture(9, 50, 2)), t.Context()
	atLevels(t, func(t *testing.T, level string) {
		s := opened(t, mwttiny.New, level).NewSession()
		for name, call := range map[string]func() error{
			"LogitsOfQuestion": func() error { _, err := s.LogitsOfQuestion(ctx, a, "a red bicycle"); return err },
			"TruthProbability": func() error { _, err := s.TruthProbability(ctx, a, b, "blue birds"); return err },
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
	m := opened(t, mwttiny.New, "generic")
	s := m.NewSession()
	img := task.Image(picture(20, 20, 1))
	for _, row := range []struct {
		name string
		call func() error
		want string
	}{
		{"no picture", func() error { _, err := s.AnswerQuestion(t.Context(), task.Picture{}, "why"); return err }, "input 0: picture: it is nil"},
		{"the second picture", func() error { _, err := s.TruthProbability(t.Context(), img, task.Image(nil), "a"); return err }, "input 0: picture B: it is nil"},
		{"features of one picture", func() error { _, err := s.ReasonHead(t.Context(), []rt.Seq{{Image: make([]float32, 48)}}); return err }, "48 values, want 96"},
	} {
		if err := row.call(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got error %v, want one with %q", row.name, err, row.want)
		}
	}
	if _, err := s.AnswerQuestion(t.Context(), img, "a star"); err != nil {
		t.Error(err)
	}
}
