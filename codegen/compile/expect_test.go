package compile_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

// expect is a folder of weights and PyTorch's results with them, which its make.py and towers.py write.
const expect = "testdata/expect"

// expectations are the descriptions of its models.
var expectations = map[string]string{
	"beit3": "model: 1\nname: b\nfamily: beit3\nsizes: {dim: 16, heads: 4, ffn: 24, layers: 2, image: 16, patch: 8, vocab: 40, positions: 12}\ntasks: [retrieval]\n",
	"vlmo":  "model: 1\nname: v\nfamily: vlmo\nsizes: {dim: 16, heads: 4, ffn: 24, layers: 3, image: 16, patch: 8, vocab: 40, positions: 8, vl_layers: 1, reach: 10, scale: true}\ntasks: [retrieval]\n",

	"clip":   "model: 1\nname: c\nfamily: clip\n" + towerSizes("embed: 12, act: quick_gelu", "act: quick_gelu"),
	"siglip": "model: 1\nname: s\nfamily: siglip\n" + towerSizes("act: gelu_tanh", "act: gelu_tanh"),
	// clip in the long form
	"towers": "model: 1\nname: t\nlayout: clip_hf\n" +
		"modalities: [{name: vision, embedder: patch, size: 16, patch: 8, norm: 1.0e-5}, {name: language, embedder: token, vocab: 40, positions: 8}]\n" +
		"towers:\n" +
		"  - {name: vision, dim: 16, heads: 4, ffn: 24, act: quick_gelu, layers: [{range: 0..2, attn: shared, ffn: shared, norms: pre}], pool: {row: first, norm: after, dim: 12}}\n" +
		"  - {name: language, dim: 16, heads: 2, ffn: 24, act: quick_gelu, causal: true, layers: [{range: 0..2, attn: shared, ffn: shared, norms: pre}], pool: {row: last, dim: 12}}\n" +
		"tasks: [retrieval]\n",
	"open_clip": "model: 1\nname: o\nfamily: clip\n" + towerSizes("embed: 12, act: gelu", "act: gelu"),
}

func towerSizes(see, read string) string {
	return "sizes: {dim: 16, heads: 4, ffn: 24, layers: 2, image: 16, patch: 8, vocab: 40, positions: 8, " + see + ", text: {dim: 16, heads: 2, ffn: 24, layers: 2, " + read + "}}\ntasks: [retrieval]\n"
}

// described opens a description of the weights of a family.
func described(t *testing.T, family, description string) *compile.Model {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(expect, family+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return compile.OpenText(t, description+fmt.Sprintf("checkpoint: %q\n", path))
}

// held builds a model with --expect.
func held(t *testing.T, m *compile.Model, path string, bound float64) ([]compile.Result, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	r, err := m.Write(compile.Options{Dir: dir, Check: compile.Off, Expect: path, Bound: bound})
	if _, at := os.Stat(dir); (err == nil) != (at == nil) {
		t.Errorf("error %v, folder %v", err, at)
	}
	if err != nil {
		return nil, err
	}
	return r.Held, nil
}

func TestHoldExpected(t *testing.T) {
	asmtest.Slow(t)
	const imageNet = "preprocess: {resize: crop, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}\n"
	for _, c := range []struct {
		family, more, file string
		lines              int
	}{
		{"beit3", "", "beit3-expected", 6},
		{"vlmo", "", "vlmo-expected", 7},
		{"clip", "", "clip-expected", 8},
		{"siglip", "", "siglip-expected", 8},
		{"open_clip", "", "open_clip-expected", 8},
		{"beit3", imageNet, "beit3-both", 7},
		{"beit3", imageNet, "beit3-picture", 6},
		{"beit3", "precision: bf16\n", "beit3-expected", 6},
	} {
		m := described(t, c.family, expectations[c.family]+c.more)
		got, err := held(t, m, filepath.Join(expect, c.file+".safetensors"), 0)
		if err != nil || len(got) != c.lines {
			t.Errorf("%s %s: %d lines, want %d: %v", c.file, c.more, len(got), c.lines, err)
		}
		for _, r := range got {
			if !r.OK() || r.Judge != c.file+".safetensors" || r.Rows == 0 && r.Bound > 1e-3 {
				t.Errorf("%s: %v", c.file, r)
			}
		}
	}
}

// An error in a description is found and named, and the advice of the error text corrects it.
func TestHoldExpectedFindsMistakes(t *testing.T) {
	asmtest.Slow(t)
	for _, c := range []struct{ name, family, old, new, file, first, cure string }{
		{"heads", "beit3", "heads: 4", "heads: 2", "beit3-expected", "layers.0 of vision_retrieval differs first by 0.2", "heads: 4"},
		{"eps", "beit3", "positions: 12", "positions: 12, eps: 1.0e-6", "beit3-expected", "layers.0 of vision_retrieval differs first", "eps: 1.0e-05"},
		{"eps that hardly shows", "vlmo", "scale: true", "scale: true, eps: 1.0e-5", "vlmo-expected", "layers.0 is within the bound, but 7 times closer", "eps: 1.0e-06"},
		{"layer scale", "vlmo", ", scale: true", "", "vlmo-expected", "layers.0 of vision_retrieval differs first by 1.5", "scale: true"},
		{"preprocess", "beit3", "", "", "beit3-picture", "layers.0 of vision_retrieval differs first", "preprocess: {resize: crop, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], alpha: drop, filter: bicubic, offset: even, rgb: first}"},
		{"mean and std swapped", "beit3", "tasks:", "preprocess: {resize: crop, mean: [0.229, 0.224, 0.225], std: [0.485, 0.456, 0.406]}\ntasks:", "beit3-picture", "layers.0 of vision_retrieval differs first",
			"preprocess: {resize: crop, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], alpha: drop, filter: bicubic, offset: even, rgb: first}"},
		{"mean and std swapped, seen at once", "beit3", "tasks:", "preprocess: {resize: crop, mean: [0.229, 0.224, 0.225], std: [0.485, 0.456, 0.406]}\ntasks:", "beit3-both", "image of preprocess differs first",
			"preprocess: {resize: crop, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], alpha: drop, filter: bicubic, offset: even, rgb: first}"},
		{"stretched", "beit3", "tasks:", "preprocess: {resize: stretch, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}\ntasks:", "beit3-both", "image of preprocess differs first",
			"preprocess: {resize: crop, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], alpha: drop, filter: bicubic, offset: even, rgb: first}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(expect, c.file+".safetensors")
			text := strings.Replace(expectations[c.family], c.old, c.new, 1)
			where := ", all of it, in the description"
			if !strings.HasPrefix(c.cure, "preprocess") {
				where = " among the `sizes` of the description"
			}
			_, err := held(t, described(t, c.family, text), file, 0)
			if err == nil || !strings.Contains(err.Error(), c.first) || !strings.Contains(err.Error(), "with `"+c.cure+"`"+where) || !strings.Contains(err.Error(), "nothing was written") {
				t.Fatalf("error is %v\nwant it to say %q and `%s`", err, c.first, c.cure)
			}
			field, _, _ := strings.Cut(c.cure, ": ")
			if field != "preprocess" {
				text = regexp.MustCompile(", "+field+": [^,}]*").ReplaceAllString(text, "")
				text = strings.Replace(text, "}", ", "+c.cure+"}", 1)
			} else {
				text = regexp.MustCompile("(?m)^"+field+":.*\n").ReplaceAllString(text, "") + c.cure + "\n"
			}
			if _, err := held(t, described(t, c.family, text), file, 0); err != nil {
				t.Errorf("with %s: %v", c.cure, err)
			}
		})
	}
	// Causes outside of the description are named too.
	const imageNet = "preprocess: {resize: crop, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}\n"
	mean, std := []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
	bgr := func(x tensors) {
		for rgb := range slices.Chunk(x["picture"].Ints, 3) {
			rgb[0], rgb[2] = rgb[2], rgb[0]
		}
	}
	for _, c := range []struct {
		name, file string
		edit       func(x tensors)
		want       string
	}{
		{"a picture of OpenCV", "beit3-picture", bgr, "layers.0 of vision_retrieval differs first by 1.3 of its largest value. It is as expected with red and blue of `picture` exchanged: store it as red, green, blue"},
		{"the same, seen at once", "beit3-both", bgr, "image of preprocess differs first. It is as expected with red and blue of `picture` exchanged"},
		{"code that exchanges colours after mean and std", "beit3-both", func(x tensors) {
			f := x["image"].Floats
			slices.Reverse(f)
			for channel := range slices.Chunk(f, len(f)/3) {
				slices.Reverse(channel)
			}
		}, "image of preprocess differs first. It is as expected with red and blue of `picture` exchanged"},
		{"code that exchanges mean and std", "beit3-both", func(x tensors) {
			f := x["image"].Floats
			for i := range f {
				c := i / (len(f) / 3)
				f[i] = (f[i]*std[c] + mean[c] - std[c]) / mean[c]
			}
		}, "image of preprocess differs first. It is as expected with mean and std exchanged, as your code seems to have them"},
		{"half precision", "beit3-both", func(x tensors) {
			y := x["vision_cls"]
			y.DType = checkpoint.F16
			x["vision_cls"] = y
		}, "Usual causes: vision_cls is f16 in the file, which explains the difference; save tensors that your code computes in float32"},
		{"padding", "beit3-both", func(x tensors) { x["ids"].Ints[9] = 1 }, "ids with padding"},
	} {
		m := described(t, "beit3", expectations["beit3"]+imageNet)
		if _, err := held(t, m, expectedFile(t, c.file, c.edit), 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v\nwant it to say %q", c.name, err, c.want)
		} else if _, bound, ok := strings.Cut(err.Error(), "or give --expect-bound "); ok {
			bound, _, _ = strings.Cut(bound, ";")
			b, err := strconv.ParseFloat(bound, 64)
			if err == nil {
				_, err = held(t, m, expectedFile(t, c.file, c.edit), b)
			}
			if err != nil {
				t.Errorf("%s: with --expect-bound %s: %v", c.name, bound, err)
			}
		}
	}
	// For a model with two errors the text lists the usual causes.
	text := strings.Replace(expectations["beit3"], "heads: 4", "heads: 2, eps: 0.01", 1)
	if _, err := held(t, described(t, "beit3", text), filepath.Join(expect, "beit3-expected.safetensors"), 0); err == nil ||
		!strings.Contains(err.Error(), "Usual causes: the number of heads (sizes.heads), the epsilon of norms (sizes.eps)") {
		t.Errorf("two faults: %v", err)
	}
	// The bound is the user's.
	text = strings.Replace(expectations["beit3"], "positions: 12", "positions: 12, eps: 1.0001e-5", 1)
	if _, err := held(t, described(t, "beit3", text), filepath.Join(expect, "beit3-expected.safetensors"), 1e-9); err == nil || !strings.Contains(err.Error(), "FAIL") {
		t.Errorf("a bound below float32's: %v", err)
	}
}

type tensors = map[string]checkpoint.Tensor

// expectedFile writes the tensors of a file, edited.
func expectedFile(t *testing.T, name string, edit func(tensors)) string {
	t.Helper()
	src, err := checkpoint.OpenFile(filepath.Join(expect, name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	all := tensors{}
	for _, x := range src.Tensors() {
		y := checkpoint.Tensor{Name: x.Name, DType: x.DType, Shape: slices.Clone(x.Shape)}
		if x.DType.Float() {
			y.Floats, err = checkpoint.Load(src, x.Name)
		} else {
			y.Ints, err = checkpoint.LoadInts(src, x.Name)
		}
		if err != nil {
			t.Fatal(err)
		}
		all[x.Name] = y
	}
	edit(all)
	var list []checkpoint.Tensor
	for name, x := range all {
		x.Name = name
		list = append(list, x)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := checkpoint.WriteSafetensorsFile(path, list, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadExpectedErrors(t *testing.T) {
	asmtest.Slow(t)
	twice := func(x checkpoint.Tensor) checkpoint.Tensor {
		x.Shape = append([]int{2}, x.Shape[1:]...)
		x.Floats, x.Ints = append(slices.Clone(x.Floats), x.Floats...), append(slices.Clone(x.Ints), x.Ints...)
		if len(x.Floats) == 0 {
			x.Floats = nil
		}
		return x
	}
	const both = "tasks: [encode, retrieval]"
	for _, c := range []struct {
		name, tasks string
		edit        func(tensors)
		want        string // error, "" = none
	}{
		{"axes of one", "", func(x tensors) {
			y := x["layers.0"]
			y.Shape = y.Shape[1:]
			x["layers.0"] = y
		}, ""},
		{"a batch", "", func(x tensors) {
			for name, y := range x {
				x[name] = twice(y)
			}
		}, ""},
		{"one picture, two texts", "", func(x tensors) {
			x["ids"], x["language_cls"] = twice(x["ids"]), twice(x["language_cls"])
		}, ""},
		{"whole names", both, func(x tensors) {
			x["vision_retrieval.layers.1"], x["vision.layers.0"] = x["layers.1"], x["layers.0"]
			delete(x, "layers.0")
			delete(x, "layers.1")
		}, ""},
		{"another task", both, func(x tensors) {}, ""},
		{"no inputs", "", func(x tensors) { delete(x, "image"); delete(x, "ids") }, "no input; want image (f32, after preprocessing), picture"},
		{"no outputs", "", func(x tensors) { clear2(x, "image", "ids") }, "only inputs; want outputs"},
		{"input that is missing", "", func(x tensors) { delete(x, "image") }, "layers.0 is [1 5 16], want f32[T,16], as in function language_retrieval (with N before it for a batch of N; axes of size 1 do not matter); the file has no image or picture"},
		{"ids that are missing", "", func(x tensors) { delete(x, "ids") }, "another task of the description has other outputs; the file has no ids"},
		{"unknown output", "", func(x tensors) { x["logits"] = x["vision_cls"] }, "got tensor logits, want an output for these inputs (vision_retrieval.vision_cls, language_retrieval.language_cls), embed, or layers.0 to layers.1"},
		{"layer that is not there", "", func(x tensors) { x["layers.2"] = x["layers.1"] }, "got tensor layers.2, want an output"},
		{"shape", "", func(x tensors) {
			y := x["vision_cls"]
			y.Shape = []int{4, 4}
			x["vision_cls"] = y
		}, "vision_cls is [4 4], want f32[1,16], as in function vision_retrieval"},
		{"image", "", func(x tensors) {
			y := x["image"]
			y.Shape = []int{1, 16, 16, 3}
			x["image"] = y
		}, "image is f32[1,16,16,3], want f32[3,16,16]: a picture after preprocessing"},
		{"picture", "", func(x tensors) { x["picture"] = x["image"] }, "picture is f32[1,3,16,16], want u8[height,width,3]"},
		{"ids of floats", "", func(x tensors) {
			x["ids"] = checkpoint.Tensor{DType: checkpoint.F32, Shape: []int{1}, Floats: []float32{1}}
		}, `"ids" is f32[1], want integers`},
		{"ids of true and false", "", func(x tensors) {
			x["ids"] = checkpoint.Tensor{DType: checkpoint.Bool, Shape: []int{1}, Ints: []int64{1}}
		}, "ids is bool[1], want integers"},
		{"ids of another vocabulary", "", func(x tensors) {
			x["ids"] = checkpoint.Tensor{DType: checkpoint.I64, Shape: []int{1}, Ints: []int64{40}}
		}, "token id 40, want 0 to 39"},
		{"too many ids", "", func(x tensors) {
			x["ids"] = checkpoint.Tensor{DType: checkpoint.I64, Shape: []int{1, 11}, Ints: make([]int64, 11)}
		}, "got 11 token ids, want 1 to 10, limits.text of the description"},
		{"ids beyond int32", "", func(x tensors) {
			x["ids"] = checkpoint.Tensor{DType: checkpoint.I64, Shape: []int{1}, Ints: []int64{1 << 40}}
		}, "got 1099511627776, want a token id"},
		{"pairs of two and three", both, func(x tensors) {
			x["image"] = twice(x["image"])
			y := x["ids"]
			y.Shape, y.Ints = []int{3, 1}, []int64{1, 2, 3}
			x["ids"], x["pair.encoder_out"] = y, x["vision_cls"]
		}, "language_cls is [1 16], want 3 times f32[1,16], as in function language_retrieval"},
		{"not a number", "", func(x tensors) { x["vision_cls"].Floats[3] = float32(math.NaN()) }, "want finite numbers"},
		{"of several functions", both, func(x tensors) {
			x["encoder_out"] = checkpoint.Tensor{DType: checkpoint.F32, Shape: []int{1, 15, 16}, Floats: make([]float32, 240)}
		}, "pair"}, // it takes all inputs
	} {
		t.Run(c.name, func(t *testing.T) {
			text := expectations["beit3"]
			if c.tasks != "" {
				text = strings.Replace(text, "tasks: [retrieval]", c.tasks, 1)
			}
			_, err := held(t, described(t, "beit3", text), expectedFile(t, "beit3-expected", c.edit), 0)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
	m := described(t, "beit3", expectations["beit3"])
	for _, bound := range []float64{-1, 1, math.NaN()} {
		if _, err := held(t, m, filepath.Join(expect, "beit3-expected.safetensors"), bound); err == nil || !strings.Contains(err.Error(), "want a number between 0 and 1") {
			t.Errorf("bound %v: %v", bound, err)
		}
	}
	if _, err := held(t, m, "testdata/three.yaml", 0); err == nil || !strings.Contains(err.Error(), "not a checkpoint") {
		t.Errorf("another file: %v", err)
	}
}

// clear2 leaves only the named tensors.
func clear2(x map[string]checkpoint.Tensor, names ...string) {
	for name := range x {
		if !slices.Contains(names, name) {
			delete(x, name)
		}
	}
}

// README's Python code writes the results of PyTorch, which equal the files of the folder.
func TestReadmeWritesExpected(t *testing.T) {
	asmtest.Slow(t)
	dir := t.TempDir()
	runPython(t, filepath.Join(expect, "make.py"), "../../README.md", dir)
	for _, family := range []string{"beit3", "vlmo"} {
		for _, at := range []string{dir, expect} {
			if _, err := held(t, described(t, family, expectations[family]), filepath.Join(at, family+"-expected.safetensors"), 0); err != nil {
				t.Errorf("%s: %v", at, err)
			}
		}
	}
}

// What tensors do not tell of each tower is found and named.
func TestHoldExpectedFindsMistakesOfTowers(t *testing.T) {
	asmtest.Slow(t)
	for _, c := range []struct{ name, family, old, new, want string }{
		{"heads of pictures", "clip", "heads: 4", "heads: 2", "layers.0 of vision_retrieval differs first by X of its largest value. It is as expected with `heads: 4` among the `sizes` of the description"},
		{"heads of texts", "siglip", "heads: 2", "heads: 1", "layers.0 of language_retrieval differs first by X of its largest value. It is as expected with `heads: 2` in `text` among the `sizes` of the description"},
		{"activation of pictures", "open_clip", "act: gelu,", "act: quick_gelu,", "layers.0 of vision_retrieval differs first by X of its largest value. It is as expected with `act: gelu` among the `sizes` of the description"},
		{"activation of texts", "clip", "act: quick_gelu}", "act: gelu}", "layers.0 of language_retrieval differs first by X of its largest value. It is as expected with `act: quick_gelu` in `text` among the `sizes` of the description"},
		{"a tower's heads", "towers", "heads: 2", "heads: 8", "layers.0 of language_retrieval differs first by X of its largest value. It is as expected with `heads: 2` in the tower language of the description"},
		{"a tower's activation", "towers", "heads: 4, ffn: 24, act: quick_gelu", "heads: 4, ffn: 24, act: gelu", "layers.0 of vision_retrieval differs first by X of its largest value. It is as expected with `act: quick_gelu` in the tower vision of the description"},
		{"a family whose padding is seen", "open_clip", "family: clip\n", "family: clipa\n", "ids [38 5 7 9 39]: got 5 token ids, want 8: the model takes texts of that length, padding included"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(expectations[c.family], c.old, c.new, 1)
			weights := strings.Replace(c.family, "towers", "clip", 1)
			_, err := held(t, described(t, weights, text), filepath.Join(expect, weights+"-expected.safetensors"), 0)
			if err == nil {
				t.Fatal("no error")
			}
			if got := regexp.MustCompile(`[0-9.]+ of its`).ReplaceAllString(err.Error(), "X of its"); !strings.Contains(got, c.want) {
				t.Errorf("error is %v\nwant %q", err, c.want)
			}
		})
	}
}

// README's Python for the classes of transformers and open_clip writes what they compute.
func TestReadmeWritesExpectedOfTowers(t *testing.T) {
	asmtest.Slow(t)
	if err := exec.Command(python(t), "-c", "import transformers, open_clip").Run(); err != nil {
		asmtest.Missing(t, "transformers", err.Error())
	}
	dir := t.TempDir()
	runPython(t, filepath.Join(expect, "towers.py"), "../../README.md", dir)
	for _, family := range []string{"clip", "siglip", "open_clip"} {
		if _, err := held(t, described(t, family, expectations[family]), filepath.Join(dir, family+"-expected.safetensors"), 0); err != nil {
			t.Error(err)
		}
	}
}
