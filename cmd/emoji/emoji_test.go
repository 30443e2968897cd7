package main

import (
	compare "cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/emoji"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

const answers = "../../golden/testdata/emoji"

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"emoji": main}) }

func TestScripts(t *testing.T) {
	dir, err := filepath.Abs(answers)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: func(e *testscript.Env) error { e.Setenv("IMAGES", filepath.Join(dir, "images")); return nil },
		Condition: func(cond string) (bool, error) {
			if cond == "fast" {
				return assembly(t), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		RequireExplicitExec: true,
	})
}

// assembly reports whether the model runs on assembly here: in plain Go a run over all
// held-out drawings takes a minute of work.
func assembly(t testing.TB) bool {
	m, err := emoji.New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return !strings.HasSuffix(m.Info().Kernels[0].Kernel, "_generic")
}

// expected is what PyTorch gives, see the README beside it.
type expected struct {
	Images []struct {
		File, Hex, Name string
		IDs             []int32 `json:"name_ids"`
		Classes         []struct {
			Label string
			Prob  float64
		} `json:"class_top5"`
	}
	Queries []struct {
		Text string
		IDs  []int32
		Top  []struct {
			Name  string
			Score float64
		} `json:"image_top5"`
	}
	Tokenizer []struct {
		Text string
		IDs  []int32
	}
}

func loadExpected(t testing.TB) (*expected, func(name string) []float32) {
	t.Helper()
	text := asmtest.Read(t, filepath.Join(answers, "expected.json"))
	want := &expected{}
	if err := json.Unmarshal(text, want); err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.OpenFile(filepath.Join(answers, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return want, func(name string) []float32 {
		x, err := checkpoint.Load(src, name)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// near compares rows with those of an expected tensor [rows][len(got[0])].
func near(t *testing.T, what string, got [][]float32, want []float32, rows []int) {
	t.Helper()
	worst, at := 0.0, 0
	for i, g := range got {
		for j, x := range g {
			if d := math.Abs(float64(x) - float64(want[rows[i]*len(g)+j])); !(d <= worst) {
				worst, at = d, rows[i]
			}
		}
	}
	if !(worst <= 1e-4) {
		t.Errorf("%s: max abs error %g, in row %d; want at most 1e-4", what, worst, at)
	}
	t.Logf("%s: max abs error %.2g", what, worst)
}

// The compiled package agrees with PyTorch at every level of this CPU.
func TestAgreesWithPyTorch(t *testing.T) {
	want, tensor := loadExpected(t)
	h, err := loadHeldOut()
	if err != nil {
		t.Fatal(err)
	}
	number := map[string]int{}
	for i, d := range h.Items {
		number[d.Hex] = i
	}
	for _, level := range kernel.Levels() {
		t.Run(level, func(t *testing.T) {
			m, err := emoji.New(rt.WithLevel(level))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			step := 1
			if strings.HasSuffix(m.Info().Kernels[0].Kernel, "_generic") {
				step = 8 // plain Go is slow
			}
			var rows []int
			var imgs []task.Picture
			var names []string
			for i := 0; i < len(want.Images); i += step {
				img, err := h.cut(number[want.Images[i].Hex])
				if err != nil {
					t.Fatal(err)
				}
				rows, imgs, names = append(rows, i), append(imgs, task.Image(img)), append(names, want.Images[i].Name)
			}
			got, err := m.EmbedImages(t.Context(), imgs)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "image_embeddings", got, tensor("image_embeddings"), rows)
			if got, err = m.LogitsOfImages(t.Context(), imgs); err != nil {
				t.Fatal(err)
			}
			near(t, "class_logits", got, tensor("class_logits"), rows)
			if got, err = m.EmbedTexts(t.Context(), names); err != nil {
				t.Fatal(err)
			}
			near(t, "text_embeddings", got, tensor("text_embeddings"), rows)
			var queries []string
			rows = rows[:0]
			for i, q := range want.Queries {
				queries, rows = append(queries, q.Text), append(rows, i)
			}
			if got, err = m.EmbedTexts(t.Context(), queries); err != nil {
				t.Fatal(err)
			}
			near(t, "query_embeddings", got, tensor("query_embeddings"), rows)

			for i := 0; i < len(imgs); i += 8 {
				w := want.Images[i*step]
				top, err := m.ClassifyImage(t.Context(), imgs[i])
				if err != nil {
					t.Fatal(err)
				}
				for j, c := range w.Classes {
					if top[j].Name != c.Label || math.Abs(float64(top[j].Prob)-c.Prob) > 2e-5 {
						t.Errorf("%s: class %d is %v, want %v", w.Name, j, top[j], c)
					}
				}
			}
		})
	}
}

func TestTokenizerOfCheckpoint(t *testing.T) {
	want, _ := loadExpected(t)
	m, err := emoji.New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	check := func(text string, ids []int32) {
		if d := cmp.Diff(ids, m.Task().Tokens().Encode(text, 24)); d != "" {
			t.Errorf("%q (-want +got)\n%s", text, d)
		}
	}
	for _, x := range want.Images {
		check(x.Name, x.IDs)
	}
	for _, x := range want.Queries {
		check(x.Text, x.IDs)
	}
	for _, x := range want.Tokenizer {
		check(x.Text, x.IDs)
	}
}

// A drawing cut from the sheet is the drawing's file.
func TestDrawingsOfSheet(t *testing.T) {
	h, err := loadHeldOut()
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Items) != 1914 {
		t.Fatalf("%d drawings", len(h.Items))
	}
	files, err := filepath.Glob(filepath.Join(answers, "images", "*.png"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		want, _, err := imagefile.File(path, imagefile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		hex := strings.TrimSuffix(filepath.Base(path), ".png")
		got, err := h.cut(slices.IndexFunc(h.Items, func(d drawing) bool { return d.Hex == hex }))
		if err != nil {
			t.Fatal(err)
		}
		at := got.Bounds().Min
		for y := range h.Tile {
			for x := range h.Tile {
				r, g, b, a := want.At(x, y).RGBA()
				r2, g2, b2, a2 := got.At(at.X+x, at.Y+y).RGBA()
				if r != r2 || g != g2 || b != b2 || a != a2 {
					t.Fatalf("%s: pixel %d,%d differs", hex, x, y)
				}
			}
		}
	}
	for _, i := range []int{-1, 44 * 44} {
		if _, err := h.cut(i); err == nil {
			t.Errorf("drawing %d is no error", i)
		}
	}
}

// command runs f inside a run of the binary.
func command(t *testing.T, f func(*cli.App) error) {
	t.Helper()
	b := binary
	b.Extra = func(a *cli.App) []*cobra.Command {
		return []*cobra.Command{{Use: "test", RunE: func(*cobra.Command, []string) error { return f(a) }}}
	}
	var errs strings.Builder
	if cli.Run(b, []string{"test"}, strings.NewReader(""), io.Discard, &errs) != 0 {
		t.Fatal(errs.String())
	}
}

// eval gives the numbers of the training run, and each query finds what it finds in PyTorch.
func TestEval(t *testing.T) {
	asmtest.Slow(t)
	t.Run("without captions", func(t *testing.T) { evalAll(t, false) })
	t.Run("with captions", func(t *testing.T) {
		asmtest.Asked(t, asmtest.Full)
		evalAll(t, true)
	})
}

func evalAll(t *testing.T, captions bool) {
	if !assembly(t) {
		t.Skip("no kernels in assembly here; in plain Go this takes minutes")
	}
	want, _ := loadExpected(t)
	text := asmtest.Read(t, filepath.Join(answers, "metrics.json"))
	var file struct{ Metrics map[string]metrics }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	command(t, func(a *cli.App) error {
		m, err := a.Open()
		if err != nil {
			return err
		}
		defer m.Close()
		e, err := evaluate(t.Context(), a, m, captions, 1)
		if err != nil {
			return err
		}
		// The file is rounded to 4 digits; identical drawings tie, which PyTorch's rounding
		// errors broke one way or the other.
		near := cmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) <= 1e-3 })
		file := file.Metrics[e.vendor]
		// The names that are asked for are drawn anew.
		for _, v := range []struct {
			got, want *float64
			most      float64
		}{
			{&e.VQAAll.Name, &file.VQAAll.Name, 0.03}, {&e.VQASeen.Name, &file.VQASeen.Name, 0.03}, {&e.VQAUnseen.Name, &file.VQAUnseen.Name, 0.15},
		} {
			if math.Abs(*v.got-*v.want) > v.most {
				t.Errorf("is this NAME? is right for %v, training measured %v", *v.got, *v.want)
			}
			*v.got = *v.want
		}
		if !captions {
			file.CaptioningAll, file.CaptioningSeen, file.CaptioningUnseen = nil, nil, nil
		}
		if d := cmp.Diff(file, e.metrics, near); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		h, err := loadHeldOut()
		if err != nil {
			return err
		}
		for _, q := range want.Queries {
			x, err := m.Texts(t.Context(), m.Func("language_retrieval"), []string{q.Text})
			if err != nil {
				return err
			}
			score := func(i int) float64 { return dot(x[0], e.images[i]) }
			order := make([]int, len(h.Items))
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(i, j int) int { return compare.Compare(score(j), score(i)) })
			for j, w := range q.Top {
				if i := order[j]; h.Items[i].Name != w.Name || math.Abs(score(i)-w.Score) > 2e-5 {
					t.Errorf("%s: number %d is %s %.5f, want %s %.5f", q.Text, j+1, h.Items[i].Name, score(i), w.Name, w.Score)
				}
			}
		}
		return nil
	})
}

func TestRanks(t *testing.T) {
	q := [][]float32{{1, 0}, {1, 0}, {0, 1}, {.6, .8}}
	c := [][]float32{{1, 0}, {1, 0}, {.8, .6}, {0, 1}}
	got := ranks(q, c, []int{0, 1, 2, 3})
	want := map[int]float64{0: .5, 1: .5, 2: 1, 3: 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := cmp.Diff(map[int]float64{2: 1, 3: 1}, ranks(q, c, []int{2, 3})); d != "" {
		t.Errorf("subset (-want +got)\n%s", d)
	}
	if d := cmp.Diff(recall{.5, 1, 1, 0, .5, 1}, recallOf(map[int]float64{0: 0, 1: 1}, map[int]float64{0: 4, 1: 9}, []int{0, 1})); d != "" {
		t.Errorf("recall (-want +got)\n%s", d)
	}
}

// The group's probability is the sum of its subgroups', so it can win without the best.
func TestJudge(t *testing.T) {
	l := &labels{Subgroups: []string{"cat", "dog", "car"}, Groups: []string{"animals", "things"},
		GroupOf: map[string]string{"cat": "animals", "dog": "animals", "car": "things"}}
	logits := []float32{1, 1, 1.2}
	for name, want := range map[string]hit{"car": {true, true, false}, "dog": {false, true, true}} {
		got, err := l.judge(&drawing{Subgroup: name}, logits)
		if err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", name, got, err, want)
		}
	}
	if _, err := l.judge(&drawing{Subgroup: "cat"}, logits[:2]); err == nil {
		t.Error("two logits for three subgroups are no error")
	}
}

// Similarity is the cosine of the embeddings, and allocates nothing in a session.
func TestSimilarity(t *testing.T) {
	m, err := emoji.New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h, err := loadHeldOut()
	if err != nil {
		t.Fatal(err)
	}
	img, err := h.cut(7)
	if err != nil {
		t.Fatal(err)
	}
	pic, ctx := task.Image(img), t.Context()
	image, err := m.EmbedImage(ctx, pic)
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.EmbedText(ctx, "red apple")
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession()
	defer s.Close()
	for name, match := range map[string]func() (float32, error){
		"model":   func() (float32, error) { return m.Similarity(ctx, pic, "red apple") },
		"session": func() (float32, error) { return s.Similarity(ctx, pic, "red apple") },
	} {
		got, err := match()
		if want := dot(image, text); err != nil || math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("%s: Similarity is %v, %v, want %v", name, got, err, want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { s.Similarity(ctx, pic, "red apple") }); n != 0 {
		t.Errorf("a session's Similarity allocates %v times", n)
	}
}
