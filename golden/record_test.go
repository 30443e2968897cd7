package golden_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/generated/beit3tiny"
	"github.com/multiway-go/multiway/golden"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/golden/cases/casetest"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/precision"
)

const tinyYAML = "../generated/beit3tiny/beit3tiny.yaml"

func openModel(t *testing.T, path string) *compile.Model {
	t.Helper()
	m, err := compile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// A case recorded from a model can test the package compiled from it, and the compiler.
func TestRecord(t *testing.T) {
	asmtest.Slow(t)
	dir := filepath.Join(t.TempDir(), "case")
	pictures := []string{"testdata/preprocess/sq_down.png", "testdata/preprocess/sq_up.png"}
	texts := []string{"a red bicycle", "", "many words of a long text, more than the model takes, are cut at its limit"}
	var log []string
	err := golden.Record(dir, openModel(t, tinyYAML), golden.RecordOptions{
		Images: pictures, Texts: texts,
		Log: func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cases.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := map[string]int{}
	for _, r := range c.Runs {
		got[r.Function]++
		for name, o := range r.Outputs {
			// The tolerance is measured: neither zero nor larger than float32 errors.
			if o.Atol < 1e-5 || o.Atol > 1e-3 || o.Rtol != 1e-5 || o.F32vsF64 == 0 || o.Atol < 6*o.F32vsF64 {
				t.Errorf("%s %s: measured %g, atol %g, rtol %g", r.Name, name, o.F32vsF64, o.Atol, o.Rtol)
			}
		}
	}
	want := map[string]int{
		"vision": 2, "vision_retrieval": 2, "vision_classification": 2, "language": 3, "language_retrieval": 3, "pair": 3,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("runs by function (-want +got):\n%s", d)
	}
	var pair []string
	for _, r := range c.Runs {
		if r.Function == "pair" {
			pair = append(pair, r.Source...)
		}
	}
	if d := cmp.Diff([]string{"sq_down.png", texts[0], "sq_up.png", texts[1], "sq_down.png", texts[2]}, pair); d != "" {
		t.Errorf("pairs (-want +got):\n%s", d)
	}
	if s := strings.Join(log, "\n"); !strings.Contains(s, "pair 3 of 3: running the float64 interpreter") || !strings.Contains(s, "pair: the package is off by at most encoder_out") ||
		strings.Count(s, "is cut") != 1 || !strings.Contains(s, "text 3 is longer than 12 ids, limits.text of the description, and is cut: many words") {
		t.Errorf("the log says\n%s", s)
	}

	casetest.Run(t, beit3tiny.Package().New, dir)
	sum, _ := runCheck(t, golden.Options{Model: tinyYAML, Level: "generic"}, dir)
	if d := cmp.Diff(golden.Summary{Passed: 2 * len(c.Runs)}, sum, counts); d != "" {
		t.Errorf("check (-want +got):\n%s", d)
	}

	// A recorded case is replaced, a case of PyTorch is not.
	o := golden.RecordOptions{Texts: texts[:1], IDs: [][]int32{{0, 7, 2}}, Entries: []string{"language"}}
	if err := golden.Record(dir, openModel(t, tinyYAML), o); err != nil {
		t.Error(err)
	}
	other := copyCase(t, "encode_d128", func(_ string, data []byte) []byte { return data })
	if err := golden.Record(other, openModel(t, tinyYAML), o); err == nil || !strings.Contains(err.Error(), "is a case of task encode, which is not overwritten") {
		t.Errorf("a case of PyTorch: %v", err)
	}
}

// At a reduced precision the truth is still that of the described model, and tolerances include the
// error of the precision.
func TestRecordReduced(t *testing.T) {
	asmtest.Slow(t)
	o := golden.RecordOptions{Images: []string{"testdata/preprocess/sq_down.png"}, IDs: [][]int32{{0, 7, 2}}}
	var exact map[string]float64
	for _, p := range precision.Formats { // the first is f32
		word := p.Name
		m := openModel(t, tinyYAML)
		if err := m.Desc.SetPrecision(word); err != nil {
			t.Fatal(err)
		}
		if p.Cosine > 0 {
			m.Desc.Cosine = 0.99 // otherwise all of so small a model is kept
		}
		dir := filepath.Join(t.TempDir(), word)
		if err := golden.Record(dir, m, o); err != nil {
			t.Errorf("%s: %v", word, err)
			continue
		}
		c, err := cases.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		truth, off := map[string]float64{}, 0.0
		for _, r := range c.Runs {
			for name, out := range r.Outputs {
				truth[r.Name+" "+name] = out.MaxAbs
				off = max(off, out.F32vsF64)
				if out.Atol < 6*out.F32vsF64 {
					t.Errorf("%s: %s %s: measured %g, atol %g", word, r.Name, name, out.F32vsF64, out.Atol)
				}
			}
		}
		if exact == nil {
			exact = truth
		} else if d := cmp.Diff(exact, truth); d != "" || off < 1e-4 {
			t.Errorf("%s: off by %g; the largest values of the truth (-f32 +%s):\n%s", word, off, word, d)
		}
		c.Close()
	}
}

func TestRecordErrors(t *testing.T) {
	picture := []string{"testdata/preprocess/tiny.png"}
	for _, row := range []struct {
		name string
		o    golden.RecordOptions
		want string
	}{
		{"nothing", golden.RecordOptions{}, "nothing to record: give pictures, texts, or both"},
		{"no file", golden.RecordOptions{Images: []string{"no.png"}}, "no.png"},
		{"no picture", golden.RecordOptions{Images: []string{"record_test.go"}}, "record_test.go"},
		{"one of two", golden.RecordOptions{Images: append([]string{"testdata/preprocess/case.json"}, picture...)}, "case.json"},
		{"only texts for pictures", golden.RecordOptions{Texts: []string{"a"}, Entries: []string{"vision_retrieval"}}, "no function of the model takes the given inputs"},
		{"ids", golden.RecordOptions{IDs: [][]int32{{0, 141}}}, "ids [0 141]: token id 141, want 0 to 140"},
		{"no ids", golden.RecordOptions{IDs: [][]int32{{}}}, "ids []: got 0 token ids, want 1 to 12"},
		{"unknown entry", golden.RecordOptions{Images: picture, Entries: []string{"visio"}}, `unknown entry "visio"; did you mean vision`},
		{"many", golden.RecordOptions{Texts: make([]string, 600)}, "1200 runs (inputs of all functions), want at most 1024"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "case")
			err := golden.Record(dir, openModel(t, tinyYAML), row.o)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error is %v, want it to say %q", err, row.want)
			}
			if _, err := cases.Load(dir); err == nil {
				t.Error("a case was written")
			}
		})
	}
}

// --expect accepts the results of PyTorch in the golden cases, for captions too.
func TestHoldExpectedOfCases(t *testing.T) {
	asmtest.Slow(t)
	for _, c := range []struct{ name, run, output string }{{"captioning", "tf_b1", "logits"}, {"classification", "b3", "logits"}} {
		dir := filepath.Join("testdata", c.name)
		m, err := golden.Model(dir, checkpoint.F32)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		m.Desc.Tasks = m.Desc.Tasks[1:] // without encode
		m.Desc.Entries = nil
		var list []checkpoint.Tensor
		for _, x := range []struct{ file, tensor, as string }{
			{"inputs", c.run + ".image", "image"}, {"inputs", c.run + ".text_ids", "ids"}, {"truth", c.run + "." + c.output, c.output},
		} {
			src, err := checkpoint.OpenFile(filepath.Join(dir, x.file+".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			info, ok := checkpoint.Find(src, x.tensor)
			if !ok {
				continue
			}
			y := checkpoint.Tensor{Name: x.as, DType: info.DType, Shape: info.Shape}
			if info.DType.Float() {
				y.Floats, err = checkpoint.Load(src, x.tensor)
			} else {
				y.Ints, err = checkpoint.LoadInts(src, x.tensor)
			}
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, y)
		}
		path := filepath.Join(t.TempDir(), "expected.safetensors")
		if err := checkpoint.WriteSafetensorsFile(path, list, nil); err != nil {
			t.Fatal(err)
		}
		r, err := m.Write(compile.Options{Dir: filepath.Join(t.TempDir(), "p"), Check: compile.Off, Expect: path})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if len(r.Held) == 0 {
			t.Errorf("%s: nothing was judged", c.name)
		}
		for _, x := range r.Held {
			t.Log(x)
		}
	}
}
