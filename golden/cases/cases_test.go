package cases

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

const testdata = "../testdata"

func loadCase(t *testing.T, dir string) *Case {
	t.Helper()
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// In every model case of testdata all variants have the same weights, and every input and
// reference can be read.
func TestCasesOfTestdata(t *testing.T) {
	for _, c := range []struct {
		name     string
		variants []Variant
	}{
		{"encode_t1", []Variant{
			{"model.bf16.safetensors", checkpoint.BF16, "model.bf16.safetensors", false},
			{"model.f16.safetensors", checkpoint.F16, "model.f16.safetensors", false},
			{"model.pth", checkpoint.F32, "model.pth", false},
			{"model.safetensors", checkpoint.F32, "model.safetensors", false},
			{"seed", checkpoint.F32, "", false},
			{"seed.bf16", checkpoint.BF16, "", false},
			{"seed.f16", checkpoint.F16, "", false},
		}},
		{"encode_d128", []Variant{{"seed", checkpoint.F32, "", false}}},
		{"retrieval", []Variant{{"model.safetensors", checkpoint.F32, "model.safetensors", true}, {"seed", checkpoint.F32, "", false}}},
		{"classification", []Variant{{"model.pth", checkpoint.F32, "model.pth", false}, {"seed", checkpoint.F32, "", false}}},
		{"base", []Variant{{"seed", checkpoint.F32, "", false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := loadCase(t, filepath.Join(testdata, c.name))
			if diff := cmp.Diff(c.variants, k.Variants()); diff != "" {
				t.Fatalf("variants (-want +got):\n%s", diff)
			}
			for _, v := range k.Variants() {
				if len(k.RunsOf(v)) == 0 {
					t.Errorf("no runs go with %s", v.Name)
				}
				src, err := k.OpenWeights(v)
				if v.Missing {
					asmtest.ErrorSays(t, err, k.Dir, v.File, "use the seeded weights")
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				defer src.Close()
				if c.name != "base" {
					sameWeights(t, k, v, src)
				}
			}
			for i := range k.Runs {
				checkRun(t, k, &k.Runs[i])
			}
		})
	}
}

func sameWeights(t *testing.T, k *Case, v Variant, src checkpoint.Source) {
	t.Helper()
	seed, err := k.OpenWeights(Variant{DType: v.DType})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range seed.Tensors() {
		want, err1 := checkpoint.Load(seed, x.Name)
		got, err2 := checkpoint.Load(src, x.Name)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if !bitEqual(want, got) {
			t.Errorf("%s: %s differs from the seed", v.Name, x.Name)
		}
	}
}

func bitEqual(a, b []float32) bool {
	for i := range a {
		if len(a) != len(b) || math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

func checkRun(t *testing.T, k *Case, r *Run) {
	t.Helper()
	b, err := k.Batch(r)
	if err != nil {
		t.Error(err)
		return
	}
	for _, name := range r.OutputNames() {
		ref, err := k.Reference(r, name)
		if err != nil {
			t.Error(err)
			continue
		}
		var got [][]float32
		for seq := range b.Size {
			got = append(got, ref.Sequence(seq))
		}
		res, err := ref.Compare(got)
		if err != nil || !res.OK || res.MaxAbs != 0 || res.Compared == 0 {
			t.Errorf("%s %s %s with itself: %v, %v", r.Name, name, ref.File, res, err)
		}
	}
}

// The float32 reference passes against the truth, and errors at padded rows do not count.
func TestExpectedAgainstTruth(t *testing.T) {
	k := loadCase(t, filepath.Join(testdata, "encode_t1"))
	src, err := checkpoint.OpenFile(filepath.Join(k.Dir, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	outputs := 0
	for _, r := range k.RunsOf(Variant{DType: checkpoint.F32}) {
		for _, name := range r.OutputNames() {
			ref, err := k.Reference(r, name)
			if err != nil {
				t.Fatal(err)
			}
			if ref.File != "truth.safetensors" {
				t.Errorf("judged by %s", ref.File)
			}
			got, err := checkpoint.Load(src, ref.Output.Tensor)
			if err != nil {
				t.Fatal(err)
			}
			res, err := ref.CompareAll(got)
			if err != nil || !res.OK || res.MaxAbs == 0 || res.MaxAbs > 3e-5 {
				t.Errorf("%s %s: %v, %v", r.Name, name, res, err)
			}
			outputs++
		}
	}
	if outputs != 14 {
		t.Errorf("compared %d outputs, want 14", outputs)
	}
}

func TestBatch(t *testing.T) {
	k := loadCase(t, filepath.Join(testdata, "encode_t1"))
	for i := range k.Runs {
		r := &k.Runs[i]
		if r.Name != "fusion_pad_b3" || r.WeightsDType != checkpoint.F32 {
			continue
		}
		b, err := k.Batch(r)
		if err != nil {
			t.Fatal(err)
		}
		var lens []int
		for _, ids := range b.IDs {
			lens = append(lens, len(ids))
			if ids[0] != 0 || ids[len(ids)-1] != 2 {
				t.Errorf("ids %v do not go from bos to eos", ids)
			}
		}
		if b.Size != 3 || b.Text != 10 || len(b.Images["image"]) != 3 || len(b.Images["image"][2]) != 3*32*32 {
			t.Errorf("batch of %d, text %d, %d images", b.Size, b.Text, len(b.Images["image"]))
		}
		if diff := cmp.Diff([]int{10, 6, 2}, lens); diff != "" {
			t.Errorf("lengths (-want +got):\n%s", diff)
		}
		img, err := k.Input(r, "image")
		if err != nil || !bitEqual(img.Floats[3*32*32:2*3*32*32], b.Images["image"][1]) {
			t.Errorf("image 1 differs from the input: %v", err)
		}
		_, err = k.Input(r, "sound")
		asmtest.ErrorSays(t, err, k.Dir, "fusion_pad_b3", `no input "sound"`)
		_, err = k.Reference(r, "sound")
		asmtest.ErrorSays(t, err, k.Dir, "fusion_pad_b3", `no output "sound"`)
		return
	}
	t.Error("no run fusion_pad_b3")
}

func TestLengths(t *testing.T) {
	for _, c := range []struct {
		name   string
		mask   []int64
		padded int64
		want   []int
		err    string
	}{
		{"suffix", []int64{0, 0, 1, 0, 0, 0}, 1, []int{2, 3}, ""},
		{"one left", []int64{0, 1, 1, 0, 1, 1}, 1, []int{1, 1}, ""},
		{"valid is 1", []int64{1, 1, 0, 1, 1, 1}, 0, []int{2, 3}, ""},
		{"hole", []int64{0, 0, 0, 0, 1, 0}, 1, nil, "sequence 1: 0 at position 2 after padding at 1"},
		{"all padded", []int64{1, 1, 1, 0, 0, 0}, 1, nil, "sequence 0: every position is padded"},
		{"prefix", []int64{1, 0, 0, 0, 0, 0}, 1, nil, "sequence 0: 0 at position 1 after padding at 0"},
		{"other value", []int64{0, 0, 7, 0, 0, 0}, 1, nil, "7 at position 2"},
		{"short", []int64{0}, 1, nil, "has 1 elements, want 2 x 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Lengths(c.mask, 2, 3, c.padded)
			if c.err != "" {
				asmtest.ErrorSays(t, err, c.err)
				return
			}
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tol := Output{Shape: []int{2, 2}, Atol: 0.25, Rtol: 0.5}
	for _, c := range []struct {
		name string
		o    Output
		got  []float32
		want Result
	}{
		{"equal", tol, []float32{1, 2, 4, 8}, Result{OK: true, Index: []int{0, 0}, Got: 1, Want: 1, Bound: 0.75}},
		// 8 is off by 2 of 4.25, but 1 is off by 0.75 of 0.75, which is worse.
		{"at the bound", tol, []float32{1.75, 2, 4, 10}, Result{OK: true, MaxAbs: 2, Index: []int{0, 0}, Got: 1.75, Want: 1, Error: 0.75, Bound: 0.75}},
		{"beyond", tol, []float32{1, 2, 7, 8}, Result{MaxAbs: 3, Index: []int{1, 0}, Got: 7, Want: 4, Error: 3, Bound: 2.25}},
		{"infinite", tol, []float32{1, 2, 3, inf}, Result{MaxAbs: math.Inf(1), Index: []int{1, 1}, Got: inf, Want: 8, Error: math.Inf(1), Bound: 4.25}},
		{"exact", Output{Shape: []int{2, 2}, Exact: true, Atol: 9}, []float32{1, 2, 4, 8}, Result{OK: true, Index: []int{0, 0}, Got: 1, Want: 1}},
		{"not exact", Output{Shape: []int{2, 2}, Exact: true}, []float32{1, 3, 4, 10}, Result{MaxAbs: 2, Index: []int{1, 1}, Got: 10, Want: 8, Error: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := &Reference{Name: "y", Output: c.o, Data: []float32{1, 2, 4, 8}}
			c.want.Compared = 4
			got, err := ref.CompareAll(c.got)
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			bySeq, err := ref.Compare([][]float32{c.got[:2], c.got[2:]})
			if diff := cmp.Diff(got, bySeq); err != nil || diff != "" {
				t.Errorf("by sequence: %v (-want +got):\n%s", err, diff)
			}
			if verdict := map[bool]string{true: " ok", false: " FAIL"}[c.want.OK]; !strings.HasSuffix(got.String(), verdict) {
				t.Errorf("printed as %q", got)
			}
		})
	}
	ref := &Reference{Name: "y", Output: tol, Data: []float32{1, 2, 4, 8}}
	res, err := ref.CompareAll([]float32{1, nan, 4, 8})
	if err != nil || res.OK || !math.IsInf(res.MaxAbs, 1) || fmt.Sprint(res.Index) != "[0 1]" {
		t.Errorf("NaN passed: %v, %v", res, err)
	}
	_, err = ref.CompareAll([]float32{1})
	asmtest.ErrorSays(t, err, `"y" has 1 elements, want 4`)
	_, err = ref.Compare([][]float32{{1}, {1}})
	asmtest.ErrorSays(t, err, `"y": sequence 0 has 1 elements, want 2`)
	_, err = ref.Compare(nil)
	asmtest.ErrorSays(t, err, `"y" has 0 sequences, want 2`)
}

// writeCase makes a case of one fusion run: 2 sequences, 5 image rows, 3 text
// rows of which 3 and 1 are valid, 1 column.
func writeCase(t *testing.T, family, json string, mask []int64, truth []float32) string {
	t.Helper()
	dir := t.TempDir()
	if json == "" {
		json = fmt.Sprintf(`{"format":1,"name":"x","family":%q,"task":"encode","config":{"image_size":4,"patch_size":2,"vocab_size":9},
			"weights":{"generator":"splitmix64-v1","seed":1,"files":{},"tensors":[{"name":"w","shape":[2],"offset":0,"scale":1}]},
			"runs":[{"name":"r","kind":"encode","weights_dtype":"f32","inputs":{"image":"i","text_ids":"t","padding_mask":"m"},
			"outputs":{"y":{"tensor":"y","shape":[2,8,1],"atol":0.1,"rtol":0}}}]}`, family)
	}
	asmtest.Write(t, filepath.Join(dir, "case.json"), json)
	in := []checkpoint.Tensor{
		{Name: "i", DType: checkpoint.F32, Shape: []int{2, 3, 4, 4}, Floats: make([]float32, 96)},
		{Name: "t", DType: checkpoint.I64, Shape: []int{2, 3}, Ints: []int64{0, 5, 2, 0, 1, 1}},
		{Name: "m", DType: checkpoint.I64, Shape: []int{2, 3}, Ints: mask},
	}
	if err := checkpoint.WriteSafetensorsFile(filepath.Join(dir, "inputs.safetensors"), in, nil); err != nil {
		t.Fatal(err)
	}
	if truth != nil {
		out := []checkpoint.Tensor{{Name: "y", DType: checkpoint.F32, Shape: []int{2, 8, 1}, Floats: truth}}
		if err := checkpoint.WriteSafetensorsFile(filepath.Join(dir, "truth.safetensors"), out, nil); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPaddedRows(t *testing.T) {
	mask := []int64{0, 0, 0, 0, 1, 1}
	nan := float32(math.NaN())
	for _, c := range []struct {
		family string
		truth  []float32 // NaN where padded
	}{
		{"beit3", []float32{0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, nan, nan}},
		{"vlmo", []float32{0, 1, 2, 3, 4, 5, 6, 7, 10, nan, nan, 11, 12, 13, 14, 15}},
	} {
		t.Run(c.family, func(t *testing.T) {
			k := loadCase(t, writeCase(t, c.family, "", mask, c.truth))
			r := &k.Runs[0]
			ref, err := k.Reference(r, "y")
			if err != nil {
				t.Fatal(err)
			}
			got := [][]float32{ref.Sequence(0), ref.Sequence(1)}
			want := [][]float32{{0, 1, 2, 3, 4, 5, 6, 7}, {10, 11, 12, 13, 14, 15}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("valid rows (-want +got):\n%s", diff)
			}
			want[1][5] = 17
			res, err := ref.Compare(want)
			if err != nil || res.OK || res.Compared != 14 || res.Want != 15 || c.truth[8+res.Index[1]] != 15 || res.Index[0] != 1 {
				t.Errorf("%v, %v", res, err)
			}
			all := append([]float32(nil), c.truth...)
			for i, v := range all {
				if v != v {
					all[i] = 99
				}
			}
			res, err = ref.CompareAll(all)
			if err != nil || !res.OK || res.Compared != 14 {
				t.Errorf("padded rows count: %v, %v", res, err)
			}
		})
	}
	t.Run("mask", func(t *testing.T) {
		k := loadCase(t, writeCase(t, "beit3", "", []int64{0, 1, 0, 0, 0, 0}, make([]float32, 16)))
		_, err := k.Reference(&k.Runs[0], "y")
		asmtest.ErrorSays(t, err, "run r", `"padding_mask"`, "must be a suffix")
		_, err = k.Batch(&k.Runs[0])
		asmtest.ErrorSays(t, err, k.Dir, "run r", `"padding_mask"`, "must be a suffix")
	})
	t.Run("not finite", func(t *testing.T) {
		truth := make([]float32, 16)
		truth[13] = nan
		k := loadCase(t, writeCase(t, "beit3", "", mask, truth))
		_, err := k.Reference(&k.Runs[0], "y")
		asmtest.ErrorSays(t, err, "truth.safetensors", `"y"`, "element [1 5 0] is NaN")
	})
	t.Run("no reference", func(t *testing.T) {
		k := loadCase(t, writeCase(t, "beit3", "", mask, nil))
		_, err := k.Reference(&k.Runs[0], "y")
		asmtest.ErrorSays(t, err, k.Dir, "none of the files", "truth.safetensors", "expected.safetensors")
	})
	t.Run("ids", func(t *testing.T) {
		json := `{"format":1,"name":"x","family":"beit3","task":"encode","config":{"image_size":4,"patch_size":2,"vocab_size":4},"weights":{},
			"runs":[{"name":"r","kind":"encode","weights_dtype":"f32","inputs":{"text_ids":"t"},"outputs":{"y":{"tensor":"y","shape":[2,3,1],"exact":true}}}]}`
		k := loadCase(t, writeCase(t, "beit3", json, mask, make([]float32, 16)))
		_, err := k.Batch(&k.Runs[0])
		asmtest.ErrorSays(t, err, k.Dir, "sequence 0 has id 5 at 1, want 0 to 3")
		_, err = k.Reference(&k.Runs[0], "y")
		asmtest.ErrorSays(t, err, "shape [2 8 1], case.json says [2 3 1]")
		if v := k.Variants(); v != nil {
			t.Errorf("variants without a generator: %v", v)
		}
	})
}

// minimal is a case.json that the error tests change in one place.
const minimal = `{
 "format": 1, "name": "x", "family": "beit3", "task": "encode",
 "config": {"dim": 8},
 "weights": {"generator": "splitmix64-v1", "seed": 3, "files": {"model.pth": {"container": "torch", "dtype": "f32"}}, "tensors": [{"name": "w", "shape": [2]}]},
 "expected_files": {"f32": "expected.safetensors"},
 "runs": [{"name": "r", "kind": "encode", "weights_dtype": "f32", "inputs": {"file": "a.png"}, "outputs": {"y": {"tensor": "t", "shape": [2, 3], "atol": 1e-5, "rtol": 0}}}]
}`

func TestParse(t *testing.T) {
	c, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if c.Config.Dim != 8 || string(c.ConfigJSON) != `{"dim": 8}` || c.Weights.Seed != 3 || c.Runs[0].Outputs["y"].Atol != 1e-5 || c.ExpectedFiles["f32"] != "expected.safetensors" {
		t.Errorf("parsed as %+v", c.Runs)
	}
	c, err = Parse([]byte(strings.Replace(minimal, `"weights_dtype": "f32", `, "", 1)))
	if err != nil || c.Runs[0].WeightsDType != checkpoint.F32 {
		t.Errorf("a run without weights_dtype: %v", err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"syntax", `"dim": 8}`, `"dim": 8`, "line 7"},
		{"type", `"dim": 8`, `"dim": "8"`, "config: json: cannot unmarshal string into Go struct field Config.dim"},
		{"type of the name", `"name": "x"`, `"name": 5`, "line 2"},
		{"format", `"format": 1`, `"format": 2`, "format is 2, want 1"},
		{"name", `"x"`, `"../x"`, `name: got "../x", want the name of a file in this folder`},
		{"family", `"beit3"`, `""`, `family is "" and task is "encode"`},
		{"no runs", `"runs": [`, `"runs": [], "was": [`, "has 0 runs"},
		{"negative size", `"dim": 8`, `"dim": -8`, "config: dim is -8"},
		{"huge size", `"dim": 8`, `"dim": 1000000000`, "config: dim is 1000000000"},
		{"weight file", `"model.pth"`, `"../model.pth"`, `weights: files: got "../model.pth", want the name of a file in this folder`},
		{"absolute file", `"model.pth"`, `"/etc/passwd"`, "want the name of a file in this folder"},
		{"backslash", `"model.pth"`, `"..\\model.pth"`, "want the name of a file in this folder"},
		{"weight type", `"dtype": "f32"`, `"dtype": "f64"`, `model.pth: dtype is "f64", want f32, bf16, f16 or mixed`},
		{"generator", `splitmix64-v1`, `mt19937`, `generator is "mt19937", want "splitmix64-v1"`},
		{"huge tensor", `"shape": [2]`, `"shape": [1000000, 1000000]`, `tensor "w"`},
		{"seed", `"seed": 3`, `"seed": -3`, "seed"},
		{"expected file", `"f32": "expected.safetensors"`, `"f32": "a/b"`, "expected_files: f32: "},
		{"run name", `"name": "r"`, `"name": ""`, `runs[0] "": name is ""`},
		{"run type", `"weights_dtype": "f32"`, `"weights_dtype": "f8"`, `runs[0] "r": weights_dtype is "f8"`},
		{"input file", `"a.png"`, `"../a.png"`, `input file: got "../a.png", want the name of a file in this folder`},
		{"no outputs", `{"y"`, `{}, "o": {"y"`, "has 0 outputs"},
		{"no tensor", `"tensor": "t"`, `"tensor": ""`, `output "y": it names no tensor`},
		{"shape", `[2, 3]`, `[2, 0]`, `output "y": shape [2 0] is empty`},
		{"huge shape", `[2, 3]`, `[1000000, 1000000]`, `output "y": shape`},
		{"no tolerance", `"atol": 1e-5, "rtol": 0`, `"a": 1`, `output "y": want either exact, or atol and rtol`},
		{"two tolerances", `"atol": 1e-5`, `"exact": true, "atol": 1e-5`, "want either exact"},
		{"negative tolerance", `"atol": 1e-5`, `"atol": -1`, "atol is -1"},
		{"two runs", `"runs": [`, `"runs": [{"name": "r", "kind": "encode", "weights_dtype": "f32", "outputs": {"y": {"tensor": "t", "exact": true}}}, `, `runs[1] "r": two runs`},
		{"mean", `"inputs"`, `"mean": [1, 2], "inputs"`, "mean has 2 numbers and std has 0"},
		{"tokenizer", `"task": "encode"`, `"task": "tokenizer"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(minimal, c.old, c.new, 1)
			if text == minimal {
				t.Fatalf("%q is not in the case", c.old)
			}
			_, err := Parse([]byte(text))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			asmtest.ErrorSays(t, err, c.want)
		})
	}
	_, err = Parse(bytes.Repeat([]byte(" "), maxJSON+1))
	asmtest.ErrorSays(t, err, "has more than 1048576 bytes")
	_, err = Parse([]byte(`{"format":1,"name":"x","family":"beit3","task":"tokenizer","config":{"max_len":4},"runs":[{"text":"a","input_ids":[0,2],"padding_mask":[0,0]}]}`))
	asmtest.ErrorSays(t, err, "runs[0]: it has 2 input_ids and 2 of padding_mask, want 4 each")
	_, err = Parse([]byte(`{"format":1,"name":"x","family":"siglip","task":"tokenizer","config":{"context":4},"runs":[{"text":"a","input_ids":[0,2]}]}`))
	asmtest.ErrorSays(t, err, "runs[0]: it has 2 input_ids, want 4")
	_, err = Parse([]byte(`{"format":1,"name":"x","family":"siglip","task":"tokenizer","config":{"bpe":"../x"},"runs":[{"text":"a"}]}`))
	asmtest.ErrorSays(t, err, "config: bpe: ")
}

func TestTokenizerCase(t *testing.T) {
	c, err := Parse([]byte(`{"format":1,"name":"x","family":"beit3","task":"tokenizer","config":{"spm":"tiny.spm","max_len":4},
		"runs":[{"text":"a b","pieces":["▁a","▁b"],"ids":[7,8],"input_ids":[0,7,8,2],"padding_mask":[0,0,0,0],"num_tokens":4}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Text{{Text: "a b", Pieces: []string{"▁a", "▁b"}, IDs: []int{7, 8}, InputIDs: []int{0, 7, 8, 2}, Padding: []int{0, 0, 0, 0}, NumTokens: 4}}
	if diff := cmp.Diff(want, c.Texts); diff != "" || c.Runs != nil || c.Config.SPM != "tiny.spm" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(dir)
	asmtest.ErrorSays(t, err, dir, "not a golden case")
	asmtest.Write(t, filepath.Join(dir, "case.json"), "{")
	_, err = Load(dir)
	asmtest.ErrorSays(t, err, filepath.Join(dir, "case.json")+": line 1")
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder", "case.json"), 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = Load(filepath.Join(dir, "folder"))
	asmtest.ErrorSays(t, err, filepath.Join("folder", "case.json")+": it is a folder")
	c := &Case{Dir: dir}
	_, err = c.Path("../x")
	asmtest.ErrorSays(t, err, dir, "want the name of a file in this folder")
	asmtest.Write(t, filepath.Join(dir, "inputs.safetensors"), "<html>")
	_, err = c.Input(&Run{Name: "r", Inputs: map[string]string{"image": "x"}}, "image")
	asmtest.ErrorSays(t, err, "inputs.safetensors", "HTML")
}

func FuzzCase(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(`{"format":1,"name":"x","family":"beit3","task":"tokenizer","config":{},"runs":[{"text":"a","input_ids":[1],"padding_mask":[0]}]}`))
	f.Add([]byte(`{"format":1,"name":"p","family":"beit3","task":"preprocess","config":{},"runs":[{"name":"s","kind":"preprocess_square","size":32,"mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5],"inputs":{"file":"s.png"},"outputs":{"pixels":{"tensor":"p","shape":[3,32,32],"exact":true}}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		c.Dir = t.TempDir()
		for _, v := range c.Variants() {
			if src, err := c.OpenWeights(v); err == nil {
				src.Close()
			}
		}
		for i := range c.Runs {
			c.Batch(&c.Runs[i])
			for name := range c.Runs[i].Outputs {
				if _, err := c.Reference(&c.Runs[i], name); err == nil {
					t.Fatalf("a reference was read from an empty folder")
				}
			}
		}
	})
}
