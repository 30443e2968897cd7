package golden_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/golden"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/precision"
)

// maxInterp bounds the interpreter's difference from the truth. Both are float64, and the truth
// is rounded to float32. No value of these cases exceeds 16, so the bound is half an ulp of 16
// and a little more for another order of sums.
const maxInterp = 1e-6

// counts compares only the counts of summaries.
var counts = cmpopts.IgnoreFields(golden.Summary{}, "NotRun")

// runCheck runs cases and returns the lines that the check prints.
func runCheck(t *testing.T, opt golden.Options, dirs ...string) (golden.Summary, []golden.Line) {
	t.Helper()
	var out bytes.Buffer
	opt.JSON = true
	sum, err := golden.Check(dirs, opt, &out)
	if err != nil {
		t.Fatal(err)
	}
	var lines []golden.Line
	dec := json.NewDecoder(&out)
	for dec.More() {
		var l struct {
			golden.Line
			golden.Summary
		}
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		if l.Verdict == "" { // the last line
			if d := cmp.Diff(sum, l.Summary); d != "" || dec.More() {
				t.Errorf("the last line is not the summary (-want +got)\n%s", d)
			}
			break
		}
		lines = append(lines, l.Line)
	}
	return sum, lines
}

// committed lists the cases of testdata.
var committed = []struct {
	name    string
	outputs int // of all runs and weight variants
	skipped int
	library bool // the case has no model
	quick   bool // also run with -short
	full    bool // run where that is asked for
}{
	{name: "encode_t1", outputs: 98}, // seven weight variants, every intermediate
	{name: "encode_d128", outputs: 3, quick: true},
	{name: "retrieval", outputs: 8, skipped: 1},
	{name: "classification", outputs: 4, quick: true},
	{name: "vqa", outputs: 12, skipped: 1},
	{name: "nlvr2", outputs: 2, skipped: 1, quick: true},
	{name: "captioning", outputs: 6, skipped: 1}, // logits, and what decoding chose
	{name: "mwt_paper", outputs: 13, skipped: 1}, // with every intermediate
	{name: "vlmo_rel", outputs: 19, skipped: 1},
	{name: "vlmo_plus", outputs: 14},
	{name: "beit", outputs: 1, quick: true},
	{name: "beit_pooled", outputs: 1},
	{name: "clip_hf", outputs: 36, skipped: 3},
	{name: "clip_open_clip", outputs: 24, skipped: 2},
	{name: "siglip_hf", outputs: 34, skipped: 1}, // pixels after the last patch
	{name: "siglip_open_clip", outputs: 23, skipped: 2},
	{name: "cnclip", outputs: 24, skipped: 1},
	{name: "xlmr_clip", outputs: 22, skipped: 1},
	{name: "base", outputs: 5, full: true}, // 222 million parameters
	{name: "posinterp_14_24", outputs: 1, library: true},
	{name: "posinterp_aa_down", outputs: 1, library: true},
	{name: "posinterp_aa_nocls", outputs: 1, library: true},
	{name: "posinterp_aa_up", outputs: 1, library: true},
	{name: "posinterp_up", outputs: 1, library: true},
	{name: "preprocess", outputs: 12, library: true},
	{name: "preprocess_filters", outputs: 47, library: true},
	{name: "tokenizer", outputs: 3, library: true},
}

// The interpreter, with the lowering and the readers of weights, and the compiled package at every
// level of this CPU equal the original models. Everything else is compared with the interpreter, so
// its bound is far smaller than the case's.
func TestCases(t *testing.T) {
	for _, row := range committed {
		t.Run(row.name, func(t *testing.T) {
			if row.full {
				asmtest.Asked(t, asmtest.Full)
			}
			if !row.quick && !row.library {
				asmtest.Slow(t)
			}
			t.Parallel()
			sum, lines := runCheck(t, golden.Options{}, filepath.Join("testdata", row.name))
			by := map[string]int{}
			for _, l := range lines {
				if l.Engine != "" { // else skipped, or a level this CPU lacks
					by[l.Engine+" "+l.Level]++
				}
				if l.Verdict == "FAIL" {
					t.Error(l)
				}
				if l.Engine == "interp" && l.MaxAbs > maxInterp {
					t.Errorf("%v\nthe interpreter may be off by %g", l, maxInterp)
				}
				if l.Verdict == "ok" && (l.MaxAbs > 0 && l.Bound == 0 || math.IsNaN(l.MaxAbs)) {
					t.Errorf("%v\npassed without a bound", l)
				}
			}
			want := map[string]int{"lib ": row.outputs}
			if !row.library {
				want = map[string]int{"interp ": row.outputs}
				for _, level := range builtLevels() {
					want["binary "+level] = row.outputs
				}
			}
			if d := cmp.Diff(want, by); d != "" {
				t.Errorf("lines by engine and level (-want +got)\n%s", d)
			}
			total := 0
			for _, n := range want {
				total += n
			}
			if d := cmp.Diff(golden.Summary{Passed: total, Skipped: row.skipped}, sum, counts); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			left, named := row.skipped-len(builtLevels()), 0
			for _, l := range asm.Levels {
				if l.Only() == "" {
					left++
				}
			}
			for _, n := range sum.NotRun {
				named += len(n.What)
			}
			if named != left {
				t.Errorf("%d are named that did not run, want %d: %v", named, left, sum.NotRun)
			}
		})
	}
}

// Weights stored in 16 bits pass the cases whose weights are rounded to that type; other cases are
// skipped.
func TestCasesIn16Bits(t *testing.T) {
	asmtest.Slow(t)
	for _, p := range precision.Formats {
		if p.Name == precision.F32 || p.Cosine > 0 {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			sum, lines := runCheck(t, golden.Options{Precision: p.Name, Engine: "binary"}, filepath.Join("testdata", "encode_t1"))
			for _, l := range lines {
				if l.Verdict == "FAIL" || l.Verdict == "ok" && !strings.Contains(l.Weights, "."+p.Name) {
					t.Error(l)
				}
			}
			if want := 28 * len(builtLevels()); sum.Passed != want || sum.Failed > 0 {
				t.Errorf("%v, want %d passed", sum, want)
			}
		})
	}
}

// int8 products are exact, so levels differ only by operations between them; tuning stores modules
// finer for which they are too coarse.
func TestCasesInInt8(t *testing.T) {
	asmtest.Slow(t)
	sum, lines := runCheck(t, golden.Options{Precision: "int8"}, filepath.Join("testdata", "classification"))
	if want := 4 * len(builtLevels()); sum.Passed < want || sum.Failed > 0 {
		t.Errorf("%v, want %d passed at least", sum, want)
	}
	if n := slices.IndexFunc(lines, func(l golden.Line) bool { return l.Verdict == "chosen" }); n < 0 || !strings.Contains(lines[n].Note, " modules are stored finer than int8: vision_classification ") {
		t.Errorf("it is not said what was kept:\n%v", lines)
	}
	first := map[string]float64{}
	for _, l := range lines {
		if l.Engine == "" {
			continue
		}
		if l.Bound < 4e-4 || l.Bound > 6e-4 || l.MaxAbs > 1e-4 {
			t.Errorf("%v\nis too far off", l)
		}
		run := l.Weights + l.Run
		if e, ok := first[run]; ok && math.Abs(e-l.MaxAbs) > 1e-4 {
			t.Errorf("%v\nanother level has %g", l, e)
		}
		first[run] = l.MaxAbs
	}
	if _, err := golden.Check([]string{"testdata"}, golden.Options{Precision: "int8", Engine: "interp"}, io.Discard); err == nil {
		t.Error("the interpreter was judged at int8")
	}
	if _, err := golden.Check([]string{"testdata"}, golden.Options{Precision: "f4"}, io.Discard); err == nil || !strings.Contains(err.Error(), "want "+strings.Join(precision.Names(), ", ")) {
		t.Errorf("f4, which there is not: %v", err)
	}
}

// At a coarse precision the rows at every level reach the cosine that the precision aims at.
func TestCasesByCosine(t *testing.T) {
	asmtest.Slow(t)
	for _, p := range precision.Formats {
		if p.Cosine == 0 {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			sum, lines := runCheck(t, golden.Options{Precision: p.Name}, filepath.Join("testdata", "classification"))
			if want := 4 * len(builtLevels()); sum.Passed < want || sum.Failed > 0 {
				t.Errorf("%v, want %d passed at least", sum, want)
			}
			for _, l := range lines {
				if bound := 1 - p.Cosine; l.Engine != "" && math.Abs(l.Bound-bound) > 0.1*bound {
					t.Errorf("%v\nis not held to a cosine of %g", l, p.Cosine)
				}
			}
		})
	}
}

// At every coarse precision scores of pictures and texts pass, and scores of the wrong text or picture do not: those of the next one,
// and two that are swapped.
func TestScoresByCosine(t *testing.T) {
	asmtest.Slow(t)
	next := withScores(t, func(row []float32) []float32 { return append(slices.Clone(row[1:]), row[0]) })
	swapped := withScores(t, func(row []float32) []float32 { return append([]float32{row[1], row[0]}, row[2:]...) })
	for _, p := range precision.Formats {
		if p.Cosine == 0 {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				dir, verdict string
			}{{filepath.Join("testdata", "siglip_hf"), "ok"}, {next, "FAIL"}, {swapped, "FAIL"}} {
				_, lines := runCheck(t, golden.Options{Precision: p.Name, Level: "generic"}, c.dir)
				scores := map[string]bool{}
				for _, l := range lines {
					want := "ok"
					if l.Run == "pair_b3" && strings.Contains(l.Output, "_per_") {
						scores[l.Output], want = true, c.verdict
					}
					if l.Engine != "" && l.Verdict != want {
						t.Errorf("%s: %v\nwant %s", c.dir, l, want)
					}
				}
				if len(scores) != 3 {
					t.Errorf("%s: checked %v, want logits of pictures and texts, and probabilities", c.dir, scores)
				}
			}
		})
	}
}

// withScores returns a copy of the case siglip_hf in which f changed each row of the expected scores.
func withScores(t *testing.T, f func(row []float32) []float32) string {
	t.Helper()
	from, dir := filepath.Join("testdata", "siglip_hf"), filepath.Join(t.TempDir(), "siglip_hf")
	for _, name := range []string{"case.json", "inputs.safetensors"} {
		asmtest.Write(t, filepath.Join(dir, name), asmtest.Read(t, filepath.Join(from, name)))
	}
	src, err := checkpoint.OpenFile(filepath.Join(from, "truth.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var truth []checkpoint.Tensor
	for _, info := range src.Tensors() {
		x, err := checkpoint.Load(src, info.Name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info.Name, "_per_") && info.Shape[1] > 1 {
			changed := make([]float32, 0, len(x))
			for row := range slices.Chunk(x, info.Shape[1]) {
				changed = append(changed, f(row)...)
			}
			x = changed
		}
		truth = append(truth, checkpoint.Tensor{Name: info.Name, DType: info.DType, Shape: info.Shape, Floats: x})
	}
	if err := checkpoint.WriteSafetensorsFile(filepath.Join(dir, "truth.safetensors"), truth, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// builtLevels lists the levels of this CPU with kernels, except levels whose kernels are for only one
// precision.
func builtLevels() []string {
	return slices.DeleteFunc(kernel.Levels(), func(l string) bool {
		level, built := asm.ISA(l).Level()
		return !built || level.Only() != ""
	})
}

// The compiled package without any assembly passes as well.
func TestCaseWithoutAssembly(t *testing.T) {
	asmtest.Slow(t)
	t.Setenv("GOFLAGS", "-tags=noasm")
	sum, _ := runCheck(t, golden.Options{Engine: "binary", Level: "generic"}, filepath.Join("testdata", "encode_d128"))
	if d := cmp.Diff(golden.Summary{Passed: 3}, sum, counts); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// copyCase copies a case to a new folder, with its files changed by edit.
func copyCase(t *testing.T, name string, edit func(file string, data []byte) []byte) string {
	t.Helper()
	from, dir := filepath.Join("testdata", name), filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data := asmtest.Read(t, filepath.Join(from, e.Name()))
		if data = edit(e.Name(), data); data == nil {
			continue
		}
		asmtest.Write(t, filepath.Join(dir, e.Name()), data)
	}
	return dir
}

// A check fails if a case is damaged.
func TestCheckFails(t *testing.T) {
	asmtest.Slow(t)
	replace := func(file, old, new string) func(string, []byte) []byte {
		return func(name string, data []byte) []byte {
			if name == file {
				return bytes.ReplaceAll(data, []byte(old), []byte(new))
			}
			return data
		}
	}
	// tail sets the last float32 of a file, which belongs to the last output.
	tail := func(file string, bits ...byte) func(string, []byte) []byte {
		return func(name string, data []byte) []byte {
			if name == file {
				copy(data[len(data)-4:], bits)
			}
			return data
		}
	}
	for _, row := range []struct {
		name, from string
		edit       func(string, []byte) []byte
		engine     string
		want       golden.Summary
		says       []string // parts of the failed lines
	}{
		{"another expectation", "classification", tail("truth.safetensors", 0, 0, 0x80, 0x40), "interp",
			golden.Summary{Passed: 2, Failed: 2}, []string{"b3 logits", "max abs error", "at [2 20]"}},
		{"another expectation of the package", "encode_d128", tail("truth.safetensors", 0, 0, 0x80, 0x40), "binary",
			golden.Summary{Passed: 2 * len(builtLevels()), Failed: len(builtLevels())}, []string{"max abs error", "binary"}},
		{"NaN is expected", "classification", tail("truth.safetensors", 0, 0, 0xc0, 0x7f), "interp",
			golden.Summary{Passed: 2, Failed: 2}, []string{"NaN"}},
		{"another picture", "preprocess", func(name string, data []byte) []byte {
			if name == "same.png" {
				data, _ = os.ReadFile(filepath.Join("testdata", "preprocess", "tiny.png"))
			}
			return data
		}, "", golden.Summary{Passed: 10, Failed: 2}, []string{"same resized", "same pixels"}},
		{"other texts", "tokenizer", replace("case.json", `"text": "`, `"text": "x`), "",
			golden.Summary{Failed: 3}, []string{"23 texts", "the first text that differs is"}},
		{"an output that nothing computes", "classification", replace("case.json", `"logits": {`, `"loss": {`), "interp",
			golden.Summary{Failed: 4}, []string{"no such output"}},
		{"another seed", "encode_d128", replace("case.json", `"seed": `, `"seed": 1`), "interp",
			golden.Summary{Failed: 3}, []string{"SHA-256"}},
		{"no truth", "encode_d128", func(name string, data []byte) []byte {
			if name == "truth.safetensors" {
				return nil
			}
			return data
		}, "interp", golden.Summary{Failed: 3}, []string{"truth.safetensors", "expected.safetensors"}},
		{"a cut-off input", "encode_d128", func(name string, data []byte) []byte {
			if name == "inputs.safetensors" {
				return data[:len(data)/2]
			}
			return data
		}, "interp", golden.Summary{Failed: 1}, []string{"inputs.safetensors"}},
		{"a case.json that is none", "encode_d128", func(name string, data []byte) []byte {
			if name == "case.json" {
				return []byte("{\"format\": 1,\n\"name\": oops}")
			}
			return data
		}, "interp", golden.Summary{Failed: 1}, []string{"case.json", "line 2"}},
		{"a family that is not built", "encode_d128", replace("case.json", `"family": "beit3"`, `"family": "oscar"`), "",
			golden.Summary{Failed: 1}, []string{"oscar", "beit3"}},
		{"an unknown task", "encode_d128", replace("case.json", `"task": "encode"`, `"task": "detection"`), "",
			golden.Summary{Failed: 1}, []string{"unknown task \"detection\"", "retrieval"}},
		{"a task without a model that is not built", "preprocess", replace("case.json", `"task": "preprocess"`, `"task": "detokenizer"`), "",
			golden.Summary{Failed: 1}, []string{"task detokenizer is not implemented", "preprocess, tokenizer"}},
	} {
		t.Run(strings.ReplaceAll(row.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			sum, lines := runCheck(t, golden.Options{Engine: row.engine}, copyCase(t, row.from, row.edit))
			var failed []string
			for _, l := range lines {
				if l.Verdict == "FAIL" {
					failed = append(failed, strings.Join(strings.Fields(l.String()), " "))
				}
			}
			if d := cmp.Diff(row.want, sum, counts); d != "" {
				t.Errorf("(-want +got)\n%s%s", d, strings.Join(failed, "\n"))
			}
			for _, part := range row.says {
				if !strings.Contains(strings.Join(failed, "\n"), part) {
					t.Errorf("the failed lines lack %q:\n%s", part, strings.Join(failed, "\n"))
				}
			}
		})
	}
}

func TestCheckErrors(t *testing.T) {
	empty := t.TempDir()
	dir := filepath.Join("testdata", "tokenizer")
	for _, row := range []struct {
		name string
		opt  golden.Options
		dir  string
		want []string
	}{
		{"an engine", golden.Options{Engine: "fast"}, dir, []string{`engine "fast"`, "interp, binary, all"}},
		{"a level", golden.Options{Level: "avx9"}, dir, []string{`level "avx9"`, "generic, avx2"}},
		{"no case", golden.Options{}, empty, []string{empty, "case.json"}},
		{"no folder", golden.Options{}, filepath.Join(empty, "no"), []string{"no", "case.json"}},
	} {
		t.Run(strings.ReplaceAll(row.name, " ", "-"), func(t *testing.T) {
			var out bytes.Buffer
			_, err := golden.Check([]string{row.dir}, row.opt, &out)
			for _, part := range row.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("got error %v, want one with %q", err, part)
				}
			}
			if out.Len() > 0 {
				t.Errorf("printed %q", out.String())
			}
		})
	}
}

// foreign returns a level of another architecture.
func foreign() (level, arch string) {
	if runtime.GOARCH == "arm64" {
		return "avx2", "amd64"
	}
	return "neon", "arm64"
}

// A level of another architecture is an error without an emulator.
func TestCheckForeignLevel(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	level, arch := foreign()
	_, err := golden.Check([]string{filepath.Join("testdata", "classification")}, golden.Options{Level: level}, io.Discard)
	if want := "level " + level + " is for " + arch + ": this machine is "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got error %v, want %s...", err, want)
	}
}

// The text has columns, and the summary as the last line.
func TestCheckText(t *testing.T) {
	var out bytes.Buffer
	if _, err := golden.Check([]string{filepath.Join("testdata", "tokenizer")}, golden.Options{Engine: "interp"}, &out); err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Fields(line))
	}
	row := func(output string) []string {
		return []string{"tokenizer", "-", "23", "texts", output, "lib", "-", "0.00e+00", "0.00e+00", "ok"}
	}
	want := [][]string{row("pieces"), row("ids"), row("input_ids"), {"3", "passed,", "0", "failed,", "0", "skipped"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// Tokenizers of other families give the token ids of open_clip and of transformers. Wrongly decoded texts, which ftfy repairs, are
// listed.
func TestCheckTokenizers(t *testing.T) {
	for name, repaired := range map[string]int{"tokenizer_clip": 8, "tokenizer_clip_tiny": 8, "tokenizer_siglip": 9, "tokenizer_gemma": 8} {
		var out bytes.Buffer
		sum, err := golden.Check([]string{filepath.Join("..", "codegen", "rt", "token", "testdata", name)}, golden.Options{Engine: "interp"}, &out)
		if err != nil || sum.Passed != 3 || sum.Failed != 0 || !strings.Contains(out.String(), fmt.Sprintf("ok: %d texts differ, whose encoding ftfy repairs", repaired)) {
			t.Errorf("%s: %v, %v\n%s", name, sum, err, &out)
		}
	}
	dir := t.TempDir()
	text := `{"format":1,"name":"x","family":"onepeace","task":"tokenizer","config":{"bpe":"b","dict":"d"},"runs":[{"text":"a"}]}`
	if err := os.WriteFile(filepath.Join(dir, "case.json"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if sum, _ := golden.Check([]string{dir}, golden.Options{Engine: "interp"}, &out); sum.Failed != 1 || !strings.Contains(out.String(), "not implemented") {
		t.Errorf("%v\n%s", sum, &out)
	}
}

// Every case of testdata is in the list.
func TestEveryCaseIsJudged(t *testing.T) {
	found, err := filepath.Glob(filepath.Join("testdata", "*", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range found {
		names[filepath.Base(filepath.Dir(f))] = true
	}
	var want []string
	for _, c := range committed {
		want = append(want, c.name)
	}
	slices.Sort(want)
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(names))); d != "" {
		t.Errorf("cases in testdata (-want +got)\n%s", d)
	}
}
