package golden_test

import (
	"math"
	"slices"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/generated/vlmotiny"
)

// Tests of the committed package vlmotiny: a relative position bias, the text first, a WordPiece
// tokenizer, and two pictures of different modality types.

func TestVLMoEqualsInterpreter(t *testing.T) {
	atLevels(t, func(t *testing.T, level string) {
		equalsInterpreter(t, "vlmotiny", vlmotiny.Package(), opened(t, vlmotiny.New, level).Task().Model)
	})
}

// A sequence's results are the same bits alone and beside texts of other lengths.
func TestVLMoBatches(t *testing.T) {
	atLevels(t, func(t *testing.T, level string) {
		s := opened(t, vlmotiny.New, level, rt.WithThreads(2)).NewSession().Task()
		for _, f := range vlmotiny.Package().Funcs {
			var batch []rt.Seq
			for i := range 9 {
				batch = append(batch, sequence(f, 1+i*5%vlmotiny.Package().Text, uint64(i)))
			}
			var want [][]float32
			for _, q := range batch {
				r, err := s.Run(f, []rt.Seq{q})
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, slices.Clone(r.Out(0, 0)))
			}
			r, err := s.Run(f, batch)
			if err != nil {
				t.Fatal(err)
			}
			for i := range batch {
				if !slices.Equal(r.Out(0, i), want[i]) {
					t.Errorf("%s: sequence %d has other results alone than in a batch", f.Name, i)
				}
			}
		}
	})
}

func TestVLMoTasks(t *testing.T) {
	a, b := task.Image(picture(30, 20, 1)), task.Image(picture(24, 24, 2))
	const text = "a red car"
	m := opened(t, vlmotiny.New, "generic")
	s := m.NewSession()
	if _, ok := m.Task().Tokens().(*token.WordPiece); !ok {
		t.Errorf("the tokenizer is a %T", m.Task().Tokens())
	}

	p, err := m.MatchProbability(t.Context(), a, text)
	if err != nil {
		t.Fatal(err)
	}
	q, err := s.MatchProbability(t.Context(), a, text)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := m.Task().Pairs(t.Context(), m.Task().Func("pair_itm"), []task.Pair{{Picture: a, Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	if want := task.Prob(rows[0], 1); p != want || q != want || !(p > 0 && p < 1) {
		t.Errorf("MatchProbability is %v by the model, %v in a session, want %v", p, q, want)
	}

	answers, err := m.AnswerQuestion(t.Context(), a, text)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(vlmotiny.Answers()) || answers[0].Prob < answers[1].Prob || answers[0].Name != vlmotiny.Answers()[answers[0].Index] {
		t.Errorf("answers are %+v", answers)
	}

	// The second picture has another modality type, so exchanged pictures do not give exchanged features.
	p, err = m.TruthProbability(t.Context(), a, b, text)
	if err != nil {
		t.Fatal(err)
	}
	var both []float32
	for i, f := range []string{"pair_nlvr2", "pair_nlvr2_second"} {
		rows, err := m.Task().Pairs(t.Context(), m.Task().Func(f), []task.Pair{{Picture: []task.Picture{a, b}[i], Text: text}})
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, rows[0]...)
	}
	r, err := s.Task().Run(m.Task().Func("reason_head"), []rt.Seq{{Image: both}})
	if err != nil {
		t.Fatal(err)
	}
	if want := task.Prob(r.Out(0, 0), 1); p != want {
		t.Errorf("TruthProbability is %v, want %v", p, want)
	}
	first, err := m.Task().Pairs(t.Context(), m.Task().Func("pair_nlvr2"), []task.Pair{{Picture: a, Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := m.Task().Pairs(t.Context(), m.Task().Func("pair_nlvr2_second"), []task.Pair{{Picture: a, Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(first[0], second[0]) {
		t.Error("a picture has the same features as first and as second")
	}

	v, err := m.EmbedText(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if math.Abs(sum-1) > 1e-5 || !(m.LogitScale() > 1) {
		t.Errorf("an embedding has length %v, the scale is %v", math.Sqrt(sum), m.LogitScale())
	}
}
