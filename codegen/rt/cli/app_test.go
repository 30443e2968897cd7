package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/kernel/kerneltest"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir/file"
)

// The package of these tests sees colours: a picture's embedding is its mean colour, a
// text's the colour it names, each of length 1; the logits are the mean colour.

const side = 4

var colours = []string{"red", "green", "blue"}

func row(m exec.Mat, i int) []float32 { return unsafe.Slice(m.Row(i), m.Cols) }

func see(e *exec.Exec) exec.Mat {
	m := e.Mat(0, 16, e.B, 3)
	for i, img := range e.Images {
		for c := range 3 {
			sum := float32(0)
			for _, x := range img[c*side*side:][:side*side] {
				sum += (x + 1) / 2
			}
			row(m, i)[c] = sum / (side * side)
		}
	}
	return m
}

var colourFuncs = []*exec.Func{
	{Name: "vision_retrieval", Task: "retrieval", Kind: "image", Image: 3 * side * side, Fixed: 1, Arena: 4 * 16 * 64, Run: func(e *exec.Exec) { m := see(e); e.L2Norm(m, m, 1e-9) },
		Outputs: []exec.Output{{Name: "vision_cls", LD: 16, Cols: 3, Sections: []exec.Section{{C: 1}}}}},
	{Name: "language_retrieval", Task: "retrieval", Kind: "text", Text: true, Fixed: 0, Arena: 4 * 16 * 64, Run: func(e *exec.Exec) {
		m := e.Mat(0, 16, e.B, 3)
		for i := range e.B {
			clear(row(m, i))
			for _, id := range e.IDs[e.Start[i]:][:e.Len[i]] {
				if id >= 4 {
					row(m, i)[id-4] = 1
				}
			}
		}
		e.L2Norm(m, m, 1e-9)
	}, Outputs: []exec.Output{{Name: "language_cls", LD: 16, Cols: 3, Sections: []exec.Section{{C: 1}}}}},
	{Name: "vision_classification", Task: "classification", Kind: "image", Image: 3 * side * side, Fixed: 1, Arena: 4 * 16 * 64, Run: func(e *exec.Exec) { see(e) },
		Outputs: []exec.Output{{Name: "logits", LD: 16, Cols: 3, Sections: []exec.Section{{C: 1}}}}},
}

// The answer to a question about a picture is the colour of both; a statement is true
// of two pictures that have its colour.
var pairFuncs = []*exec.Func{
	{Name: "pair_vqa", Task: "vqa", Kind: "pair", Image: 3 * side * side, Text: true, Fixed: 1, Arena: 4 * 16 * 64, Run: func(e *exec.Exec) {
		m := see(e)
		for i := range e.B {
			for c := range row(m, i) {
				if !slices.Contains(e.IDs[e.Start[i]:][:e.Len[i]], int32(4+c)) {
					row(m, i)[c] = 0
				}
			}
		}
	}, Outputs: []exec.Output{{Name: "logits", LD: 16, Cols: 3, Sections: []exec.Section{{C: 1}}}}},
	{Name: "pair_nlvr2", Task: "nlvr2", Kind: "pair", Image: 3 * side * side, Text: true, Fixed: 1, Arena: 4 * 16 * 64, Run: func(e *exec.Exec) {
		m := see(e)
		for i := range e.B {
			sum := float32(0)
			for c, x := range row(m, i) {
				if slices.Contains(e.IDs[e.Start[i]:][:e.Len[i]], int32(4+c)) {
					sum += x
				}
			}
			row(m, i)[0] = sum
		}
	}, Outputs: []exec.Output{{Name: "features", LD: 16, Cols: 1, Sections: []exec.Section{{C: 1}}}}},
	{Name: "reason_head", Task: "nlvr2", Kind: "head", Image: 2, Fixed: 1, Arena: 4 * 16 * 64, Inputs: []exec.Input{{LD: 16, Rows: 1, Cols: 2}}, Run: func(e *exec.Exec) {
		m := e.Mat(0, 16, e.B, 2)
		for i := range e.B {
			x := row(m, i)
			x[0], x[1] = 0, 10*(min(x[0], x[1])-0.5)
		}
	}, Outputs: []exec.Output{{Name: "logits", LD: 16, Cols: 2, Sections: []exec.Section{{C: 1}}}}},
}

// words is the tokenizer: a colour's id is 4 plus its index.
type words struct{}

func (words) Encode(text string, n int) []int32 { return words{}.AppendEncode(nil, text, n) }
func (words) Vocab() int                        { return 4 + len(colours) }
func (words) AppendEncode(ids []int32, text string, limit int) []int32 {
	first := len(ids)
	ids = append(ids, 0)
	for i, c := range colours {
		if strings.Contains(text, c) {
			ids = append(ids, int32(4+i))
		}
	}
	for range strings.Count(text, "long") {
		ids = append(ids, 3)
	}
	return append(ids[:min(len(ids), first+limit-1)], 2)
}

func colourPackage(t testing.TB, funcs ...*exec.Func) *rt.Package {
	t.Helper()
	p, err := newColours(funcs)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newColours(funcs []*exec.Func) (*rt.Package, error) {
	tensors := []blob.Tensor{{Name: "@w", DType: blob.F32, Shape: []int{16}, Bytes: 64}}
	f, err := os.CreateTemp("", "colours")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	err = blob.Write(f, blob.PackingPanels16, tensors, func(_ int, w io.Writer) error { _, err := w.Write(make([]byte, 64)); return err })
	if err != nil {
		return nil, err
	}
	weights, err := os.ReadFile(f.Name())
	if err != nil {
		return nil, err
	}
	return &rt.Package{Name: "colours", Contract: rt.Contract5, Layout: blob.LayoutHash(tensors), Funcs: funcs, Kernels: []*kernel.Table{kerneltest.Naive("generic", 1, 16)},
		Rows: 64, Text: 8, Vocab: words{}.Vocab(), Blob: string(weights)}, nil
}

// vector is a golden vector of the logits on the sample.
func vector(off float64) []byte {
	seq := task.Sample("vision_classification", 3*side*side, 0, 7)
	v := task.Vector{Func: "vision_classification", Output: "logits", Step: 1, Bound: 1e-5}
	for c := range 3 {
		sum := 0.0
		for _, x := range seq.Image[c*side*side:][:side*side] {
			sum += (float64(x) + 1) / 2
		}
		v.Values = append(v.Values, float32(sum/(side*side)+off))
	}
	b, err := json.Marshal([]task.Vector{v})
	if err != nil {
		panic(err)
	}
	return b
}

func colourBinary(t testing.TB, funcs ...*exec.Func) Binary {
	if funcs == nil {
		funcs = colourFuncs
	}
	return binaryOf(colourPackage(t, funcs...))
}

func binaryOf(p *rt.Package) Binary {
	in := &task.Input{MaxText: 8, Labels: colours, Answers: colours, Vectors: vector(0),
		Pixels:     &pixel.Preprocess{Size: side, Mean: [3]float32{.5, .5, .5}, Std: [3]float32{.5, .5, .5}},
		LoadTokens: func() (token.Tokenizer, error) { return words{}, nil }}
	return Binary{Name: "colours", Short: "Find colours", Package: p, Open: func(weights string, opts ...rt.Option) (*task.Model, error) {
		m, err := p.New(opts...)
		if weights != "" {
			m, err = p.Open(weights, opts...)
		}
		if err != nil {
			return nil, err
		}
		return in.NewModel(m)
	}}
}

// scored is a binary that compares texts only, whose logits are its cosines.
func scored(t testing.TB, each bool) Binary {
	b := colourBinary(t, colourFuncs[:2]...)
	open := b.Open
	b.Open = func(weights string, opts ...rt.Option) (*task.Model, error) {
		m, err := open(weights, opts...)
		if err == nil {
			m.Input().Score = &task.Score{Scale: "@w", Each: each}
		}
		return m, err
	}
	return b
}

func plain(c color.NRGBA, w, h int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := 0; i < len(m.Pix); i += 4 {
		copy(m.Pix[i:], []byte{c.R, c.G, c.B, c.A})
	}
	return m
}

var red, green, blue = color.NRGBA{200, 10, 10, 255}, color.NRGBA{10, 200, 10, 255}, color.NRGBA{10, 10, 200, 255}

// folderOf makes a folder of pictures, one of which is not a valid picture.
func folderOf(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, img image.Image) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		asmtest.Write(t, path, b.Bytes())
	}
	write("apple.png", plain(red, 8, 8))
	write("in/leaf.png", plain(green, 300, 5))
	write("in/sea.PNG", plain(blue, 4, 4))
	write(".hidden/sea.png", plain(blue, 4, 4))
	for name, text := range map[string]string{"broken.png": "no picture", "notes.txt": "red"} {
		asmtest.Write(t, filepath.Join(dir, name), text)
	}
	return dir
}

// What a folder leaves out is counted at the end by kind.
func TestLeftOutIsCounted(t *testing.T) {
	b := colourBinary(t)
	dir := folderOf(t)
	touch := func(names ...string) {
		for _, name := range names {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			asmtest.Write(t, path, "junk")
		}
	}
	touch("._apple.png", ".trash.jpg", ".hidden/b.heic", "in/._leaf.png")
	if r := run(b, "", "classify", dir); r.status != 0 || !strings.Contains(r.errs, "1 of 4 could not be read, left out: .png\n") || strings.Contains(r.errs, "._") {
		t.Errorf("hidden files: status %d, %s", r.status, r.errs)
	}
	touch("one.heic", "in/two.HEIC", "in/leaf.heic", "sea.heic", "clip.MOV", "a.cr2", "apple.dng", "broken.jpg", "notes.aae")
	r := run(b, "", "classify", dir)
	for _, want := range []string{
		"2 of 5 could not be read, left out: 1 .jpg, 1 .png\n",
		"7 files of kinds that are not read were left out: 4 .heic, 1 .cr2, 1 .dng, 1 .mov; a program that is built with `decoders: [heic]` reads HEIC\n",
		"of 1 picture that is there as .dng and as .png, the .png was read\n",
		"of 1 picture that is there as .heic and as .png, the .png was read\n",
	} {
		if !strings.Contains(r.errs, want) {
			t.Errorf("want %q in\n%s", want, r.errs)
		}
	}
	if r.status != 0 {
		t.Errorf("status %d, want 0: pictures were read", r.status)
	}
	if r := run(b, "", "bench", "--folder", dir); r.status != 0 || !strings.Contains(r.errs, "7 files of kinds that are not read were left out") {
		t.Errorf("bench: status %d, want 0 and what is left out: %s", r.status, r.errs)
	}
	alone := t.TempDir()
	dir = alone
	for _, c := range []struct{ name, want string }{
		{"one.nef", "1 file of a kind that is not read was left out: .nef\n"},
		{"two.nef", "2 files of kinds that are not read were left out: .nef\n"},
	} {
		touch(c.name)
		if r := run(b, "", "classify", alone); r.status != 1 || !strings.Contains(r.errs, c.want) || !strings.Contains(r.errs, "no pictures of supported formats in this folder") {
			t.Errorf("only such files: status %d, want 1 and %q:\n%s", r.status, c.want, r.errs)
		}
	}
	twins := t.TempDir()
	dir = twins
	var picture bytes.Buffer
	if err := png.Encode(&picture, plain(red, 4, 4)); err != nil {
		t.Fatal(err)
	}
	asmtest.Write(t, filepath.Join(twins, "a.png"), picture.Bytes())
	touch("a.arw")
	if r := run(b, "", "classify", "--strict", twins, alone); r.status != 1 {
		t.Errorf("--strict: status %d, want 1: files were left out", r.status)
	}
	if r := run(b, "", "classify", twins, alone); r.status != 0 {
		t.Errorf("a folder of such files beside one of pictures: status %d, want 0: %s", r.status, r.errs)
	}
	if r := run(b, "", "classify", "--strict", twins); r.status != 0 || !strings.Contains(r.errs, "the .png was read") {
		t.Errorf("--strict, of twins: status %d, want 0: %s", r.status, r.errs)
	}
}

type ran struct {
	status    int
	out, errs string
}

func run(b Binary, stdin string, args ...string) ran { return runApp(&App{Binary: b}, stdin, args...) }

func runApp(a *App, stdin string, args ...string) ran {
	var out, errs bytes.Buffer
	status := a.run(args, strings.NewReader(stdin), &out, &errs)
	return ran{status, out.String(), errs.String()}
}

func TestCommandLine(t *testing.T) {
	dir := folderOf(t)
	apple, leaf, broken := filepath.Join(dir, "apple.png"), filepath.Join(dir, "in", "leaf.png"), filepath.Join(dir, "broken.png")
	list := filepath.Join(dir, "list.txt")
	asmtest.Write(t, list, "a green one\r\na red one\nnothing")
	names, lines := filepath.Join(dir, "names.json"), filepath.Join(dir, "lines.txt")
	for path, text := range map[string]string{
		names: `["rot", "gr\u00fcn", "blau"]`, filepath.Join(dir, "list2.txt"): "a\nb\n",
		lines: "{\"answer\": \"rouge\", \"label\": 0}\n{\"answer\": \"vert\", \"label\": 1}\n{\"answer\": \"bleu\", \"label\": 2}\n",
	} {
		asmtest.Write(t, path, text)
	}
	all := colourBinary(t)
	pairs := colourBinary(t, pairFuncs...)
	only := colourBinary(t, colourFuncs[2])
	prompts, each := scored(t, false), scored(t, true)
	mute := colourBinary(t, colourFuncs[:2]...)
	open := mute.Open
	mute.Open = func(weights string, opts ...rt.Option) (*task.Model, error) {
		m, err := open(weights, opts...)
		m.SetTokens(nil)
		return m, err
	}
	templates := filepath.Join(dir, "templates.txt")
	asmtest.Write(t, templates, "a {} thing\n\nmy {}\n")
	colourNames := filepath.Join(dir, "colours.txt")
	asmtest.Write(t, colourNames, strings.Join(colours, "\n"))
	bundled := all
	bundled.Bundled = func() ([]Picture, error) {
		return []Picture{
			{Name: "red square", Read: func() (image.Image, error) { return plain(red, 4, 4), nil }},
			{Name: "green square", Sign: "🟩", Read: func() (image.Image, error) { return plain(green, 4, 4), nil }},
		}, nil
	}
	tests := []struct {
		name   string
		b      Binary
		stdin  string
		args   []string
		status int
		out    []string // in this order
		errs   []string
	}{
		{"help", all, "", nil, 0, []string{"Find colours", "bench", "check", "classify", "embed", "info", "search", "--level"}, nil},
		{"unknown command", all, "", []string{"fly"}, 2, nil, []string{`unknown command "fly"`, "--help"}},
		{"unknown flag", all, "", []string{"info", "--fly"}, 2, nil, []string{"unknown flag: --fly", "Run 'colours info --help'"}},
		{"bad number", all, "", []string{"info", "--threads", "two"}, 2, nil, []string{`invalid argument "two" for "--threads" flag: want a whole number` + "\n"}},
		{"bad numbers", all, "", []string{"bench", "--batch", "1,x"}, 2, nil, []string{`invalid argument "1,x" for "--batch" flag: want a whole number` + "\n"}},
		{"large number", all, "", []string{"bench", "--tokens", "99999999999999999999"}, 2, nil, []string{`flag: the number is too large` + "\n"}},
		{"bad time", all, "", []string{"bench", "--time", "5"}, 2, nil, []string{`invalid argument "5" for "--time" flag: want a time with its unit, such as 500ms or 2s` + "\n"}},
		{"bad switch", all, "", []string{"bench", "--cold=maybe"}, 2, nil, []string{`"--cold" flag: want true or false` + "\n"}},
		{"bad level", all, "", []string{"info", "--level", "sse9"}, 1, nil, []string{`unknown level "sse9"`, "generic"}},
		{"bad threads", all, "", []string{"info", "--threads", "-3"}, 1, nil, []string{"-3 threads, want 1 to 1024"}},
		{"missing weights", all, "", []string{"info", "--weights", filepath.Join(dir, "none")}, 1, nil, []string{"none"}},
		{"wrong weights", all, "", []string{"info", "--weights", apple}, 1, nil, []string{"apple.png"}},
		{"bad pixels", all, "", []string{"classify", apple, "--max-pixels", "-1"}, 2, nil, []string{"--max-pixels is -1"}},

		{"version", all, "", []string{"--version"}, 0, []string{"colours ", "go1.", "model colours, fingerprint "}, nil},
		{"version of other weights", all, "", []string{"--version", "--weights", apple}, 1, nil, []string{"apple.png"}},
		{"verified", all, "", []string{"--verify", "embed", "red"}, 0, []string{`"embedding":[1,0,0]`}, nil},
		{"info", all, "", []string{"info"}, 0, []string{"model", "colours", "fingerprint", "level", "generic", "classes", "3", "vision_retrieval", "picture", "vision_cls [1,3]", "gemm"}, nil},
		{"check", all, "", []string{"check", "--level", "generic"}, 0, []string{"hash ok", "vision_classification", "logits", "ok"}, nil},
		{"bench", all, "", []string{"bench", "--time", "0", "--batch", "2"}, 0, []string{"vision_retrieval", "2", "language_retrieval"}, nil},
		{"bench once", all, "", []string{"bench", "--once", "--entry", "language", "--tokens", "3", "--threads", "1", "--level", "generic"}, 0, []string{"language_retrieval: first result after", "ms, peak memory"}, nil},
		{"bench of nothing", all, "", []string{"bench", "--entry", "fly"}, 2, nil, []string{"no such function"}},
		{"bench of too much", all, "", []string{"bench", "--batch", "100000"}, 2, nil, []string{"batch has 100000"}},
		{"bench long text", all, "", []string{"bench", "--tokens", "9"}, 2, nil, []string{"want 1 to 8"}},

		{"match", all, "", []string{"match", apple, "green", "red"}, 0, []string{"0.9975  red", "0.0499  green"}, nil},
		{"match as JSON", all, "", []string{"match", "--json", leaf, "green"}, 0, []string{`"text":"green"`, `"score":0.99`, `"kind":"cosine"`}, nil},
		{"match without a text", all, "", []string{"match", apple}, 2, nil, []string{"1 argument, want PICTURE TEXT..."}},
		{"match a broken picture", all, "", []string{"match", broken, "red"}, 1, nil, []string{"broken.png"}},

		{"classify", all, "", []string{"classify", "--top", "1", apple, leaf}, 0, []string{apple, "%  red", leaf, "%  green"}, nil},
		{"classify with labels", all, "", []string{"classify", "--labels", names, "--top", "1", apple}, 0, []string{"%  rot"}, nil},
		{"classify with labels of another model", all, "", []string{"classify", "--labels", list[:len(list)-4] + "2.txt", apple}, 1, nil, []string{"list2.txt: 2 labels, but vision_classification has 3 classes"}},
		{"classify by texts", prompts, "", []string{"classify", "--labels", colourNames, "--top", "2", apple, leaf}, 0, []string{apple, "56.3 %  red\n", leaf, "56.3 %  green\n"}, nil},
		{"classify by texts, each for itself", each, "", []string{"classify", "--labels", colourNames, apple}, 0, []string{"73.1 %  red\n", "51", " %  green\n", "51", " %  blue\n"}, nil},
		{"classify by templates", prompts, "", []string{"classify", "--json", "-k", "1", "--labels", colourNames, "--template", templates, "--template", "{} or red", apple}, 0, []string{`"classes":[{"index":0,"label":"red","prob":0.`}, nil},
		{"classify by one text for all", prompts, "", []string{"classify", "--labels", colourNames, "--template", "red, not a {}thing", "--template", "red, long long long long long long {}", apple}, 0, nil, []string{"3 of 6 texts are longer"}},
		{"classify by texts that are cut", prompts, "", []string{"classify", "--strict", "--labels", colourNames, "--template", "long long long long long long long {}", apple}, 1, nil, []string{"longer than the 8 tokens", " classify: 3 of 3 prompts have no embedding"}},
		{"classify by no texts", prompts, "", []string{"classify", apple}, 2, nil, []string{"--labels is missing, want a file"}},
		{"classify by a missing template", prompts, "", []string{"classify", "--labels", colourNames, "--template", "a photo", apple}, 1, nil, []string{`template "a photo" is no file and has no {}; want a text with {}`}},
		{"classify by an empty template", prompts, "", []string{"classify", "--labels", colourNames, "--template", "", apple}, 1, nil, []string{`template "" is no file and has no {}; want a text with {}`}},
		{"classify nothing", prompts, "", []string{"classify", "--labels", colourNames}, 2, nil, []string{"no arguments, want --labels FILE PICTURE..."}},
		{"classify by wrong templates", prompts, "", []string{"classify", "--labels", colourNames, "--template", colourNames, apple}, 1, nil, []string{"colours.txt: line 1 is red, want a text with {}"}},
		{"classify by texts of an older package", colourBinary(t, colourFuncs[:2]...), "", []string{"classify", "--labels", colourNames, apple}, 1, nil, []string{"does not say how the model scores texts"}},
		{"classify by texts without a tokenizer", mute, "", []string{"classify", "--labels", colourNames, apple}, 1, nil, []string{"colours was built without a tokenizer"}},
		{"match with probabilities", prompts, "", []string{"match", apple, "green", "red"}, 0, []string{" 72.", " %  red\n", " 27.", " %  green\n"}, nil},
		{"match one text", prompts, "", []string{"match", "--json", apple, "red"}, 0, []string{`"kind":"cosine"}`}, nil},
		{"match one text for itself", each, "", []string{"match", "--json", apple, "red"}, 0, []string{`"kind":"cosine","prob":0.73`}, nil},
		{"search with probabilities", prompts, "", []string{"search", "--image", apple, "red", "green", "-k", "1"}, 0, []string{"72.", " %  red\n"}, nil},
		{"search pictures without", prompts, "", []string{"search", "red", "--json", "-k", "1", "--folder", dir}, 0, []string{`"score":0.99`, "}]}"}, nil},
		{"search pictures with each", each, "", []string{"search", "red", "--json", "-k", "1", "--folder", dir}, 0, []string{`"prob":0.73`}, nil},
		{"classify nothing", all, "", []string{"classify"}, 2, nil, []string{"no arguments, want PICTURE..."}},
		{"classify a folder", all, "", []string{"classify", "--top", "1", dir}, 0, []string{"apple.png", "red", "leaf.png", "green", "sea.PNG", "blue"}, []string{"broken.png", "1 of 4 could not be read"}},
		{"classify strictly", all, "", []string{"classify", "--strict", dir}, 1, []string{"apple.png"}, []string{"1 of 4 could not be read"}},
		{"classify a named broken one", all, "", []string{"classify", apple, broken}, 1, []string{"red"}, []string{"broken.png", "1 of 2"}},
		{"classify a missing one", all, "", []string{"classify", filepath.Join(dir, "no.png")}, 1, nil, []string{"no.png", "no such file"}},
		{"classify a folder without any", all, "", []string{"classify", t.TempDir()}, 1, nil, []string{"no pictures in this folder"}},
		{"classify a list", all, apple + "\n" + leaf + "\n" + broken + "\n", []string{"classify", "-"}, 0, []string{"red", "green"}, []string{"1 of 3"}},
		{"classify too large", all, "", []string{"classify", "--max-pixels", "10", apple}, 1, nil, []string{"apple.png", "the limit is 10 pixels: scale it down or raise the limit (--max-pixels)"}},

		{"help of pairs", pairs, "", nil, 0, []string{"answer", "reason"}, nil},
		{"answer", pairs, "", []string{"answer", "--top", "1", apple, "is it red or blue", "is it green"}, 0, []string{"is it red or blue", "%  red", "is it green", "%  green"}, nil},
		{"answer with labels", pairs, "", []string{"answer", "--labels", names, "--top", "1", apple, "red?"}, 0, []string{"%  rot"}, nil},
		{"answer with labels as the original code writes them", pairs, "", []string{"answer", "--json", "--labels", lines, "--top", "1", apple, "red?"}, 0, []string{`"question":"red?","answers":[{"index":0,"label":"rouge"`}, nil},
		{"answer with labels of another model", pairs, "", []string{"answer", "--labels", list[:len(list)-4] + "2.txt", apple, "red?"}, 1, nil, []string{"list2.txt: 2 labels, but pair_vqa has 3 classes"}},
		{"answer with labels of none", pairs, "", []string{"answer", "--labels", apple, apple, "red?"}, 1, nil, []string{"apple.png: found a zero byte"}},
		{"answer without labels", pairs, "", []string{"answer", "--labels", filepath.Join(dir, "no.txt"), apple, "red?"}, 1, nil, []string{"no.txt"}},
		{"answer questions of a list", pairs, "red?\ngreen?\n", []string{"answer", "-k", "1", apple, "-"}, 0, []string{"red?\n", "green?\n"}, nil},
		{"answer an empty list", pairs, "", []string{"answer", apple, "-"}, 1, nil, []string{"standard input is empty"}},
		{"reason of a list", pairs, "both are red\n", []string{"reason", apple, apple, "-"}, 0, []string{"both are red\n  true, 9"}, nil},
		{"match texts of a list", all, "red\ngreen\n", []string{"match", apple, "-"}, 0, []string{"  red\n", "  green\n"}, nil},
		{"match a list of pictures", all, "", []string{"match", "-", "red"}, 2, nil, []string{"- is a list, want one picture"}},
		{"match the name of a file", all, "", []string{"match", apple, "in/leaf.pngg", "red"}, 1, nil, []string{"in/leaf.pngg is the name of a file or a folder, or looks like one; want a text, or - for a list on standard input"}},
		{"match such a text", all, "in/leaf.pngg\nred\n", []string{"match", apple, "-"}, 0, []string{"  red\n", "in/leaf.pngg\n"}, nil},
		{"search for a folder", all, "", []string{"search", filepath.Join(dir, "in"), "--folder", dir}, 1, nil, []string{"in is the name of a file or a folder, or looks like one"}},
		{"search among the names of files", all, "", []string{"search", "--image", apple, names}, 1, nil, []string{"is the name of a file"}},
		{"search for the name of a picture", all, "", []string{"search", apple, "--folder", dir, "-k", "1"}, 1, nil, []string{"apple.png is the name of a file"}},
		{"match a text that is cut", all, "", []string{"match", apple, strings.Repeat("long ", 9)}, 0, []string{"long"}, []string{"1 of 1 texts are longer than the 8"}},
		{"refuse to match a text that is cut", all, "", []string{"match", "--strict", apple, strings.Repeat("long ", 9)}, 1, nil, []string{"1 of 1 texts are longer than the 8 tokens"}},
		{"bench a folder", all, "", []string{"bench", "--folder", dir}, 0, []string{"3 pictures of", "megapixels in the mean", "read", "decode", "resize", "vision_retrieval", "100 %", "pictures a second", "bound by"}, []string{"broken.png"}},
		{"bench a folder as JSON", all, "", []string{"bench", "--json", "--folder", dir}, 0, []string{`"pictures":3`, `"failed":1`, `"decode_ms":`, `"entry":"vision_retrieval"`, `"bound_by":`}, nil},
		{"bench no folder", all, "", []string{"bench", "--folder", filepath.Join(dir, "no")}, 1, nil, []string{"none of 1 pictures"}},
		{"bench a folder without pictures' functions", pairs, "", []string{"bench", "--folder", dir}, 2, nil, []string{"unknown flag"}},
		{"answer a question of ids", pairs, "", []string{"answer", apple, "--ids", "0,4,2"}, 0, []string{"0,4,2\n"}, nil},
		{"answer nothing, of ids", pairs, "", []string{"answer", "--ids", "0,4,2"}, 2, nil, []string{"no arguments, want PICTURE QUESTION..."}},
		{"reason of ids", pairs, "", []string{"reason", apple, apple, "--ids", "0,4,2"}, 0, []string{"0,4,2\n  true, 9"}, nil},
		{"match ids", all, "", []string{"match", apple, "--ids", "0,4,2", "--ids", "0,5,2"}, 0, []string{"  0,4,2\n", "  0,5,2\n"}, nil},
		{"embed ids", all, "", []string{"embed", apple, "--ids", "0,4,2"}, 0, []string{`"kind":"image"`, `"input":"0,4,2","kind":"text","embedding":[1,0,0]`}, nil},
		{"embed an empty list", all, "", []string{"embed"}, 1, nil, []string{"standard input is empty, want a list, one per line"}},
		{"classify an empty list", all, "\ufeff", []string{"classify", "-"}, 1, nil, []string{"standard input is empty"}},
		{"search in an empty list", all, "", []string{"search", "red", "--folder", "-"}, 1, nil, []string{"standard input is empty"}},
		{"search among texts of an empty list", all, "", []string{"search", "--image", apple, "--texts", "-"}, 1, nil, []string{"standard input is empty"}},
		{"embed a list of ids", all, "0,5,2\nred\n", []string{"embed", "--ids", "0,4,2", "--text", "-"}, 0, []string{`"0,5,2","kind":"text","embedding":[0,1,0]`, `"0,4,2"`}, []string{"red: \"red\" is not an id, want whole numbers", "1 of 3"}},
		{"embed no ids", all, "", []string{"embed", "--ids", "4;5"}, 1, nil, []string{"4;5"}},
		{"embed an id of another model", all, "", []string{"embed", "--ids", "0,2147483647,2", "--ids", "0,5,2"}, 1, []string{`"0,5,2"`}, []string{"0,2147483647,2: the id 2147483647 is outside the vocabulary", "1 of 2"}},
		{"answer an id of another model", pairs, "", []string{"answer", apple, "--ids", "0,2147483647,2"}, 1, nil, []string{"the id 2147483647 is outside the vocabulary"}},
		{"embed too many ids", all, "", []string{"embed", "--strict", "--ids", "1,2,3,4,5,6,1,2,3"}, 1, nil, []string{"longer than the 8 tokens"}},
		{"search ids", all, "", []string{"search", "--ids", "0,4,2", "--folder", dir, "-k", "1"}, 0, []string{"0,4,2\n", "apple.png"}, nil},
		{"answer nothing", pairs, "", []string{"answer", apple}, 2, nil, []string{"1 argument, want PICTURE QUESTION..."}},
		{"answer of a broken picture", pairs, "", []string{"answer", broken, "red?"}, 1, nil, []string{"broken.png"}},
		{"answer of a missing picture", pairs, "", []string{"answer", filepath.Join(dir, "no.png"), "red?"}, 1, nil, []string{"no.png"}},
		{"answer too long a question", pairs, "", []string{"answer", apple, "red?", strings.Repeat("long ", 9)}, 0, []string{"red?\n", "long long"}, []string{"1 of 2 texts are longer than the 8 tokens that this model takes, and were truncated"}},
		{"refuse too long a question", pairs, "", []string{"answer", "--strict", apple, "red?", strings.Repeat("long ", 9)}, 1, nil, []string{"1 of 2 texts are longer than the 8 tokens"}},
		{"answer how often", pairs, "", []string{"answer", "--top", "-1", apple, "red?"}, 2, nil, []string{"--top is -1"}},
		{"no function to answer", only, "", []string{"answer", apple, "red?"}, 2, nil, []string{`unknown command "answer"`}},
		{"reason", pairs, "", []string{"reason", apple, apple, "both are red", "both are green"}, 0, []string{"both are red\n  true, 9", "both are green\n  false, "}, nil},
		{"reason for machines", pairs, "", []string{"reason", "--json", apple, leaf, "both are red"}, 0, []string{`"statement":"both are red","true":false,"prob":0.0`}, nil},
		{"reason of one picture", pairs, "", []string{"reason", apple, "it is red"}, 2, nil, []string{"2 arguments, want PICTURE_A PICTURE_B STATEMENT..."}},
		{"reason of a broken picture", pairs, "", []string{"reason", apple, broken, "both are red"}, 1, nil, []string{"broken.png"}},
		{"reason of too much", pairs, "", []string{"reason", apple, leaf, strings.Repeat("long ", 9)}, 0, []string{"long long"}, []string{"1 of 1 texts are longer than the 8 tokens that this model takes, and were truncated"}},
		{"refuse to reason of too much", pairs, "", []string{"reason", "--strict", apple, leaf, strings.Repeat("long ", 9)}, 1, nil, []string{"1 of 1 texts are longer than the 8 tokens"}},

		{"embed", all, "", []string{"embed", "a red thing", apple}, 0, []string{`{"input":"a red thing","kind":"text","embedding":[1,0,0]}`, `apple.png","kind":"image","embedding":[0.99`}, nil},
		{"embed a list", all, "blue\n\n" + leaf + "\n", []string{"embed"}, 0, []string{`"embedding":[0,0,1]`, `"input":"","kind":"text","embedding":[0,0,0]`, `"kind":"image"`}, nil},
		{"embed names as texts", all, "", []string{"embed", "--text", "red.png"}, 0, []string{`"kind":"text","embedding":[1,0,0]`}, nil},
		{"embed a name that is no file", all, "", []string{"embed", "red.png"}, 1, nil, []string{"red.png"}},
		{"embed a missing name with a space", all, "", []string{"embed", "a red.png"}, 1, nil, []string{"a red.png: no such file"}},
		{"embed a missing name of no picture", all, "", []string{"embed", "red", "in/leaf.pngg"}, 1, []string{`"input":"red","kind":"text"`}, []string{"in/leaf.pngg: no such file or folder; if it is a text, use --text", "1 of 2"}},
		{"embed a missing name in a folder", all, "", []string{"embed", filepath.Join(dir, "leaf")}, 1, nil, []string{"leaf: no such file"}},
		{"embed a missing name as text", all, "", []string{"embed", "--text", "in/leaf.pngg"}, 0, []string{`"kind":"text"`}, nil},
		{"embed texts that are no paths", all, "", []string{"embed", "and/or", "24/7", "1.5", "e.g.", "etc..."}, 0, []string{`"kind":"text"`, `"kind":"text"`, `"kind":"text"`, `"kind":"text"`, `"kind":"text"`}, nil},
		{"embed a folder of a list", all, dir + "\n", []string{"embed"}, 0, []string{"leaf.png", `"kind":"image"`}, []string{"broken.png", "1 of 4"}},
		{"embed lists of Windows", all, "\xff\xfer\x00e\x00d\x00\r\x00\n\x00", []string{"embed"}, 0, []string{`"input":"red","kind":"text","embedding":[1,0,0]`}, nil},
		{"embed a list with a mark", all, "\ufeff" + apple + "\r\n", []string{"embed"}, 0, []string{`"kind":"image"`}, nil},
		{"embed a list of zeros", all, "r\x00e\x00d\x00\n\x00", []string{"embed"}, 1, nil, []string{"standard input: line 1: found a zero byte"}},
		{"embed a text that is cut", all, "", []string{"embed", "red", strings.Repeat("long ", 9)}, 0, []string{`"kind":"text"`}, []string{"1 of 2 texts are longer than the 8 tokens that this model takes, and were truncated"}},
		{"refuse a text that is cut", all, "", []string{"embed", "--strict", "red", strings.Repeat("long ", 9)}, 1, []string{`"red"`}, []string{"longer than the 8 tokens", "1 of 2"}},
		{"embed both", all, "", []string{"embed", "--text", "--image", "x"}, 2, nil, []string{"exclude each other"}},
		{"embed to what", all, "", []string{"embed", "x", "-o", "x.csv"}, 2, nil, []string{".npy or .jsonl"}},
		{"embed a long line", all, strings.Repeat("x", maxLine+1), []string{"embed"}, 1, nil, []string{"line 1 is longer than"}},
		{"no function to embed", only, "", []string{"embed", "x"}, 2, nil, []string{`unknown command "embed"`}},

		{"search", all, "", []string{"search", "red", "blue", "--folder", dir, "-k", "1"}, 0, []string{"red\n", "1  0.99", "apple.png", "blue\n", "sea.PNG"}, []string{"1 of 4"}},
		{"search from a list", all, "green\n", []string{"search", "-", "--folder", dir, "-k", "1"}, 0, []string{"green\n", "leaf.png"}, nil},
		{"search for too much", all, strings.Repeat("a\n", maxTexts+1), []string{"search", "-", "--folder", dir}, 1, nil, []string{"standard input: more than 65536 texts"}},
		{"search for too long texts", all, strings.Repeat(strings.Repeat("a", maxLine-1)+"\n", 17), []string{"search", "-", "--folder", dir}, 1, nil, []string{"or 16777216 bytes"}},
		{"search for nothing at all", all, "", []string{"search", "-", "--folder", dir}, 1, nil, []string{"standard input is empty"}},
		{"search in a list", all, apple + "\n" + filepath.Join(dir, "in") + "\n", []string{"search", "red", "--folder", "-", "-k", "0"}, 0, []string{"1  0.99", "apple.png", "2  ", "3  "}, nil},
		{"search for a list of pictures", all, apple + "\n", []string{"search", "--image", "-", "red", "green"}, 0, []string{"apple.png", "red"}, nil},
		{"search in two lists", all, "red\n", []string{"search", "-", "--folder", "-"}, 2, nil, []string{"give - once"}},
		{"search nowhere", all, "", []string{"search", "red"}, 2, nil, []string{"--folder"}},
		{"search for nothing", all, "", []string{"search"}, 2, nil, []string{"nothing to search for"}},
		{"search with no results", all, "", []string{"search", "x", "-k", "-1", "--folder", dir}, 2, nil, []string{"--top is -1"}},
		{"search for all", all, "", []string{"search", "red", "-k", "0", "--folder", dir}, 0, []string{"1  0.99", "2  ", "3  "}, []string{"1 of 4"}},
		{"search texts of a list", all, "green\n", []string{"search", "--image", leaf, "-k", "1", "--texts", "-"}, 0, []string{"leaf.png", "green\n"}, nil},
		{"search in a missing folder", all, "", []string{"search", "x", "--folder", filepath.Join(dir, "no")}, 1, nil, []string{"no such file"}},
		{"search for pictures by pictures", all, "", []string{"search", "--image", apple, "--folder", dir}, 2, nil, []string{"not searched by pictures"}},
		{"search texts", all, "", []string{"search", "--image", leaf, "-k", "2", "red", "green"}, 0, []string{"leaf.png", "green", "red"}, nil},
		{"search texts of a file", all, "", []string{"search", "--image", leaf, "-k", "1", "--texts", list}, 0, []string{"leaf.png", "a green one\n"}, nil},
		{"search texts of a missing file", all, "", []string{"search", "--image", leaf, "red", "--texts", list + "x"}, 1, []string{"red"}, []string{"list.txtx"}},
		{"search no texts", all, "", []string{"search", "--image", leaf}, 2, nil, []string{"--texts"}},
		{"search texts without a picture", all, "", []string{"search", "red", "--texts", list}, 2, nil, []string{"--texts goes with --image"}},
		{"search texts for no picture", all, "", []string{"search", "--image", broken, "red"}, 1, nil, []string{"broken.png", "no result"}},
		{"search bundled", bundled, "", []string{"search", "green", "-k", "1"}, 0, []string{"green\n  1  ", "  🟩 green square\n"}, nil},
		{"search bundled names", bundled, "", []string{"search", "--image", apple, "-k", "1"}, 0, []string{"red square"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "bench" { // every kind of call, timed
				asmtest.Slow(t)
			}
			got := run(tt.b, tt.stdin, tt.args...)
			if got.status != tt.status {
				t.Errorf("exit status %d, want %d", got.status, tt.status)
			}
			follows(t, "standard output", got.out, tt.out)
			follows(t, "standard error", got.errs, tt.errs)
			if t.Failed() {
				t.Logf("standard output:\n%s\nstandard error:\n%s", got.out, got.errs)
			}
		})
	}
}

func follows(t *testing.T, what, text string, want []string) {
	t.Helper()
	for _, w := range want {
		_, rest, ok := strings.Cut(text, w)
		if !ok {
			t.Errorf("%s: no %q after what was wanted before it", what, w)
		}
		text = rest
	}
}

// everyFunc is functions that give a binary all commands. The last two are as packages have them that were made before functions
// had a task.
var everyFunc = slices.Concat(colourFuncs, pairFuncs, []*exec.Func{{Name: "caption_step", Task: "captioning", Kind: "step"}, {Name: "pair_itm", Task: "itm", Kind: "pair"}})

// The help of every command fits a terminal.
func TestHelpFits(t *testing.T) {
	b := colourBinary(t, everyFunc...)
	b.Bundled = func() ([]Picture, error) { return nil, nil }
	a := &App{Binary: b}
	commands := a.root().Commands()
	if len(commands) < 10 {
		t.Errorf("%d commands", len(commands))
	}
	prompted := colourBinary(t, colourFuncs[:2]...)
	for _, c := range slices.Concat(commands, []*cobra.Command{a.root()}, (&App{Binary: prompted}).root().Commands()) {
		b := b
		if c.Name() == "classify" && c.Flags().Lookup("template") != nil {
			b = prompted
		}
		r := run(b, "", strings.Fields(strings.TrimPrefix(c.CommandPath(), a.Name)+" --help")...)
		if r.status != 0 || r.out == "" {
			t.Errorf("%s --help: %+v", c.CommandPath(), r)
		}
		for line := range strings.Lines(r.out) {
			if n := len(line) - 1; n > 100 {
				t.Errorf("%s --help has a line of %d columns, want 100 at most: %s", c.CommandPath(), n, line)
			}
		}
	}
}

// Numbers of a column end in the same place, whatever their signs and lengths.
func TestResultsAreAligned(t *testing.T) {
	var out bytes.Buffer
	prob := func(p float32) *float32 { return &p }
	a := &App{Out: NewOutput(&out)}
	hits := []Hit{{Picture: Picture{Name: "a cat"}, Score: 0.141, Prob: prob(0.905)}, {Picture: Picture{Name: "a dog"}, Score: -0.017, Prob: prob(0.095)}}
	for range 8 {
		hits = append(hits, Hit{Picture: Picture{Name: "x"}, Score: -0.5})
	}
	if err := a.PrintResults([]Result{{Query: Hit{Picture: Picture{Name: "p.png"}}, Hits: hits[:2]}, {Query: Hit{Picture: Picture{Name: "q"}}, Hits: hits[2:]}}); err != nil {
		t.Fatal(err)
	}
	want := "p.png\n  1   0.141  90.5 %  a cat\n  2  -0.017   9.5 %  a dog\nq\n  1  -0.500  x\n"
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// Every line that --json prints is JSON, and says the same.
func TestJSON(t *testing.T) {
	asmtest.Slow(t)
	dir := folderOf(t)
	apple := filepath.Join(dir, "apple.png")
	b := colourBinary(t)
	for _, args := range [][]string{
		{"info"}, {"--version"}, {"check"}, {"bench", "--time", "0"}, {"bench", "--once"}, {"classify", apple}, {"embed", "red"}, {"embed", "red", "-o", filepath.Join(dir, "x.npy")},
		{"search", "red", "--folder", dir}, {"search", "--image", apple, "red", "blue"},
	} {
		got := run(b, "", append(args, "--json")...)
		if got.status != 0 || got.out == "" {
			t.Errorf("%v: status %d: %s", args, got.status, got.errs)
		}
		for line := range strings.Lines(got.out) {
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Errorf("%v: %v: %s", args, err, line)
			}
		}
	}
	got := run(b, "", "search", "green", "--folder", dir, "-k", "1", "--json")
	want := fmt.Sprintf(`{"query":"green","results":[{"rank":1,"image":%q,"score":`, filepath.Join(dir, "in", "leaf.png"))
	if !strings.HasPrefix(got.out, want) {
		t.Errorf("got %s, want it to begin %s", got.out, want)
	}
}

// A binary whose weights are elsewhere says how to name them, and says so of no other
// mistake.
func TestNoWeights(t *testing.T) {
	b := colourBinary(t)
	b.Package.Blob = ""
	for _, row := range []struct {
		args []string
		hint bool
	}{{[]string{"info"}, true}, {[]string{"info", "--weights", "none"}, false}} {
		got := run(b, "", row.args...)
		if got.status != exitFailure || strings.Contains(got.errs, "(here: --weights FILE)") != row.hint {
			t.Errorf("%q: status %d, %s", row.args, got.status, got.errs)
		}
	}
}

func TestCheckFails(t *testing.T) {
	b := colourBinary(t)
	open := b.Open
	b.Open = func(weights string, opts ...rt.Option) (*task.Model, error) {
		m, err := open(weights, opts...)
		if err == nil {
			m.Input().Vectors = vector(1e-3)
		}
		return m, err
	}
	got := run(b, "", "check")
	if got.status != exitFailure || !strings.Contains(got.out, "FAIL") || !strings.Contains(got.errs, "wrong on this CPU") {
		t.Errorf("status %d\n%s%s", got.status, got.out, got.errs)
	}
}

// The array has a row an input, the list names them, and nothing else is left behind.
func TestEmbedArray(t *testing.T) {
	dir := folderOf(t)
	to := t.TempDir()
	b := colourBinary(t)
	got := run(b, "", "embed", "red", dir, "-o", filepath.Join(to, "x.npy"))
	if got.status != 0 {
		t.Fatal(got.errs)
	}
	data := asmtest.Read(t, filepath.Join(to, "x.npy"))
	head := string(data[:128])
	if want := "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), }"; !strings.HasPrefix(head, want) || head[127] != '\n' {
		t.Errorf("header %q", head)
	}
	var rows []float32
	for i := 128; i < len(data); i += 4 {
		rows = append(rows, math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
	}
	if len(rows) != 12 || rows[0] != 1 || rows[3] < 0.99 || rows[7] < 0.99 || rows[11] < 0.99 {
		t.Errorf("rows %v", rows)
	}
	list := asmtest.Read(t, filepath.Join(to, "x.inputs.jsonl"))
	follows(t, "the list", string(list), []string{`{"input":"red","kind":"text"}`, "apple.png", "leaf.png", "sea.PNG"})

	// What fails leaves no file.
	if got := run(b, "", "embed", filepath.Join(dir, "broken.png"), "-o", filepath.Join(to, "y.jsonl")); got.status != exitFailure {
		t.Errorf("status %d", got.status)
	}
	if got := run(b, "", "embed", "red", "-o", filepath.Join(to, "no", "y.npy")); got.status != exitFailure {
		t.Errorf("status %d", got.status)
	}
	var names []string
	entries, err := os.ReadDir(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if d := cmp.Diff([]string{"x.inputs.jsonl", "x.model.json", "x.npy"}, names); d != "" {
		t.Errorf("files (-want +got)\n%s", d)
	}
}

// TestResume goes on with what is left of an output that was cut off anywhere, and ends with
// the same bytes.
func TestResume(t *testing.T) {
	b := colourBinary(t)
	var inputs strings.Builder
	for i := range 150 {
		fmt.Fprintf(&inputs, "%s number %d\n", colours[i%3], i%100) // some twice
	}
	list := inputs.String()
	for _, out := range []string{"x.npy", "x.jsonl"} {
		dir := t.TempDir()
		path := filepath.Join(dir, out)
		embed := func(in string, args ...string) ran {
			return run(b, in, append([]string{"embed", "--text", "-o", path}, args...)...)
		}
		if got := embed(list, "--resume"); got.status != 0 { // nothing to go on with: a run like any
			t.Fatal(got.errs)
		}
		want := map[string]string{}
		for _, p := range outputs(path) {
			data := asmtest.Read(t, p)
			want[p] = string(data)
		}
		if got := embed(list, "--resume"); got.status != exitFailure || !strings.Contains(got.errs, "is whole") {
			t.Errorf("%s: going on with what is whole: status %d, %s", out, got.status, got.errs)
		}
		// cut leaves of each file a share, and of an array no header yet.
		cut := func(share func(name string) float64) {
			for p, data := range want {
				os.Remove(p)
				part := []byte(data[:int(share(filepath.Base(p))*float64(len(data)))])
				if strings.HasSuffix(p, ".npy") {
					clear(part[:min(len(part), npyHeader)])
				}
				asmtest.Write(t, p+file.PartSuffix, part)
			}
		}
		same := func(what string) {
			t.Helper()
			for p, data := range want {
				if got, err := os.ReadFile(p); err != nil || string(got) != data {
					t.Errorf("%s, %s: %s has %d bytes, not the %d of a run without interruption: %v", out, what, filepath.Base(p), len(got), len(data), err)
				}
				if _, err := os.Lstat(p + file.PartSuffix); err == nil {
					t.Errorf("%s, %s: %s stays", out, what, p+file.PartSuffix)
				}
			}
		}
		model := "x.model.json"
		for _, at := range []float64{0, 0.01, 0.5, 0.75, 1} {
			cut(func(name string) float64 {
				if name == model {
					return 1
				}
				return at
			})
			if at > 0 {
				if got := embed(list); got.status != exitFailure || !strings.Contains(got.errs, "x"+filepath.Ext(out)+".part is the unfinished file of an earlier run: --resume goes on with it") {
					t.Errorf("%s: beginning anew beside a part: status %d, %s", out, got.status, got.errs)
				}
			}
			if got := embed(list, "--resume"); got.status != 0 {
				t.Errorf("%s: %s", out, got.errs)
			}
			same(fmt.Sprint("cut at ", at))
		}
		cut(func(name string) float64 {
			return map[string]float64{model: 1, "x.npy": 0.4, "x.inputs.jsonl": 0.7, "x.jsonl": 0.3}[name]
		})
		if got := embed(list, "--resume"); got.status != 0 {
			t.Errorf("%s: %s", out, got.errs)
		}
		same("cut at different places")
		// A run ended while it put its files in place, or a later one while it took them back, beside vectors of the same model.
		sibling := filepath.Join(dir, map[string]string{"x.npy": "x.jsonl", "x.jsonl": "x.npy"}[out])
		if got := run(b, list, "embed", "--text", "-o", sibling); got.status != 0 {
			t.Fatal(got.errs)
		}
		beside := asmtest.Tree(t, dir)
		for placed := range len(want) {
			for back := range min(placed, len(want)-1) + 1 {
				what := fmt.Sprintf("%d files in place, %d taken back", placed, back)
				cut(func(string) float64 { return 1 })
				for name, data := range beside { // the list of an old run, or that of the sibling
					if p := filepath.Join(dir, name); p != path {
						asmtest.Write(t, p, data)
					}
				}
				for i, p := range outputs(path)[:placed] {
					var err error
					switch {
					case i >= placed-back && i > 0:
						err = os.Remove(p)
					case back > 0 && i == 0:
						err = os.Truncate(p+file.PartSuffix, 0)
					default:
						err = os.Rename(p+file.PartSuffix, p)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				first, _, _ := strings.Cut(list, "\n")
				if got := embed(first, "--resume", "--strict"); got.status != exitFailure || !strings.Contains(got.errs, "150 vectors, going on behind them") {
					t.Errorf("%s, %s: %s", out, what, got.errs)
				}
				for _, p := range outputs(sibling) {
					if data, err := os.ReadFile(p); err != nil || string(data) != beside[filepath.Base(p)] {
						t.Errorf("%s, %s: %s beside it has changed: %v", out, what, p, err)
					}
				}
				if got := embed(list, "--resume"); got.status != 0 {
					t.Errorf("%s, %s: %s", out, what, got.errs)
				}
				same(what)
			}
		}
		os.Remove(sibling)
		// Unfinished vectors do not lose their model file to others.
		cut(func(string) float64 { return 1 })
		if got := run(b, list, "embed", "--text", "-o", sibling); got.status != exitFailure || !strings.Contains(got.errs, path+".part is the unfinished file of an earlier run and shares "+filepath.Join(dir, model)+": go on with it by -o "+path+" --resume, remove it, or give another name") {
			t.Errorf("%s beside unfinished vectors: status %d, %s", sibling, got.status, got.errs)
		}
		if got := embed(list, "--resume"); got.status != 0 {
			t.Errorf("%s: %s", out, got.errs)
		}
		same("after vectors that would share the model file")
		cut(func(string) float64 { return 0.2 })
		if got := embed(list, "--resume"); got.status != exitFailure || !strings.Contains(got.errs, out+".part: no run of embed left it, as ") {
			t.Errorf("%s: going on with what no model made: status %d, %s", out, got.status, got.errs)
		}
		cut(func(string) float64 { return 1 })
		if got := embed("red\n", "--resume"); got.status != 0 || !strings.Contains(got.errs, "150 vectors in "+path+".part are of inputs that were not given this time, and stay") {
			t.Errorf("%s: going on with another list: status %d, %s", out, got.status, got.errs)
		}
		cut(func(string) float64 { return 1 })
		os.WriteFile(filepath.Join(dir, model+file.PartSuffix), []byte(`{"model": "other", "fingerprint": "00"}`), 0o666)
		if got := embed(list, "--resume"); got.status != exitFailure || !strings.Contains(got.errs, "of model other") {
			t.Errorf("%s: going on with another model: status %d, %s", out, got.status, got.errs)
		}
		os.Remove(path + file.PartSuffix) // as the message says
		if got := embed(list); got.status != 0 {
			t.Errorf("%s: %s", out, got.errs)
		}
		same("anew")
		os.WriteFile(filepath.Join(dir, model), []byte(`{"model": "other", "fingerprint": "00"}`), 0o666)
		if got := run(b, list, "embed", "--text", "-o", sibling); got.status != exitFailure || !strings.Contains(got.errs, "says so of "+path+" too, so give another name") {
			t.Errorf("%s beside vectors of another model: status %d, %s", sibling, got.status, got.errs)
		}
	}
	if got := run(b, "", "embed", "red", "--resume"); got.status != exitUsage || !strings.Contains(got.errs, "-o FILE") {
		t.Errorf("going on with standard output: status %d, %s", got.status, got.errs)
	}
}

// TestSearchStored gets the same results from the output of embed as from the inputs.
func TestSearchStored(t *testing.T) {
	dir := folderOf(t)
	os.Remove(filepath.Join(dir, "broken.png"))
	b := colourBinary(t)
	to := t.TempDir()
	for _, out := range []string{"x.npy", "x.jsonl"} {
		path := filepath.Join(to, out)
		if got := run(b, "", "embed", "red", "a green one", dir, "-o", path); got.status != 0 {
			t.Fatal(got.errs)
		}
		for _, c := range [][2][]string{
			{{"search", "green", "blue", "-k", "0", "--folder", dir}, {"search", "green", "blue", "-k", "0", "--embeddings", path}},
			{{"search", "--json", "--image", dir, "red", "a green one"}, {"search", "--json", "--image", dir, "--embeddings", path}},
		} {
			want, got := run(b, "", c[0]...), run(b, "", c[1]...)
			if got.status != 0 || got.out != want.out || got.out == "" {
				t.Errorf("%v: status %d, %s\n%s, want\n%s", c[1], got.status, got.errs, got.out, want.out)
			}
		}
		page := filepath.Join(to, "found.html")
		if got := run(b, "", "search", "green", "--embeddings", path, "--html", page); got.status != 0 {
			t.Errorf("%s: %s", out, got.errs)
		}
		refused := func(what, want string, change func()) {
			t.Helper()
			saved := map[string][]byte{}
			for _, p := range outputs(path) {
				saved[p], _ = os.ReadFile(p)
			}
			change()
			if got := run(b, "", "search", "green", "--embeddings", path); got.status != exitFailure || !strings.Contains(got.errs, want) {
				t.Errorf("%s, %s: status %d, %q, want %q", out, what, got.status, got.errs, want)
			}
			for p, data := range saved {
				asmtest.Write(t, p, data)
			}
		}
		list := outputs(path)[1]
		refused("another model", "of model other", func() {
			os.WriteFile(filepath.Join(to, "x.model.json"), []byte(`{"model": "other", "fingerprint": "00"}`), 0o666)
		})
		refused("no model", "x.model.json: no such file or directory; embed -o wrote it beside ", func() { os.Remove(filepath.Join(to, "x.model.json")) })
		refused("no embeddings", filepath.Base(path)+": no such file", func() { os.Remove(path) })
		refused("texts only", "no embedding of kind image", func() {
			if got := run(b, "", "embed", "--text", "red", "-o", path); got.status != 0 {
				t.Fatal(got.errs)
			}
		})
		refused("a line of something else", "line 2 does not hold an input", func() {
			os.WriteFile(list, []byte(`{"input":"red","kind":"text","embedding":[1,0,0]}`+"\n[]\n"), 0o666)
		})
		if out == "x.npy" {
			refused("a list of others", "x.npy has 5", func() {
				os.WriteFile(list, []byte(strings.Repeat(`{"input":"red","kind":"text"}`+"\n", 6)), 0o666)
			})
			refused("a short list", "1 lines for the 5 rows", func() { os.WriteFile(list, []byte(`{"input":"red","kind":"text"}`+"\n"), 0o666) })
			refused("a cut array", "not an array of rows of 3 float32", func() { os.Truncate(path, 140) })
			refused("no number", "row 1: value 0 is NaN", func() {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				f.WriteAt([]byte{0xff, 0xff, 0xff, 0xff}, npyHeader)
			})
		} else {
			refused("a vector of another size", "has a vector of 2 values, not 3", func() {
				os.WriteFile(list, []byte(`{"input":"red.png","kind":"image","embedding":[1,0]}`+"\n"), 0o666)
			})
		}
	}
	for _, args := range [][]string{{"search", "x", "--embeddings", "x.npy", "--folder", dir}, {"search", "x", "--embeddings", "x.csv"}, {"search", "--image", "x.png", "red", "--embeddings", "x.npy"}} {
		if got := run(b, "", args...); got.status != exitUsage {
			t.Errorf("%v: status %d, %s", args, got.status, got.errs)
		}
	}
}

func TestPage(t *testing.T) {
	dir := folderOf(t)
	path := filepath.Join(t.TempDir(), "found.html")
	got := run(colourBinary(t), "", "search", "<b>green</b>", "\x1b[2J\u202e", "--folder", dir, "--html", path)
	if got.status != 0 {
		t.Fatal(got.errs)
	}
	text := asmtest.Read(t, path)
	follows(t, "the page", string(text), []string{"<!DOCTYPE html>", "<title>", "&lt;b&gt;green", "Find colours.", "&lt;b&gt;green", `<a href="../`, `leaf.png"><img src="data:image/png;base64,`, "leaf.png</a>"})
	for _, bad := range []string{"ZgotmplZ", "<b>green", "http", "\x1b", "\u202e"} {
		if strings.Contains(string(text), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	got = run(colourBinary(t), "", "search", "green", "--folder", dir, "--html", filepath.Join(dir, "no", "x.html"))
	if got.status != exitFailure || got.out != "" {
		t.Errorf("a page that cannot be written: status %d, %s%s", got.status, got.out, got.errs)
	}
}

// TestPageLinks leads from a page to its pictures, whatever they are called.
func TestPageLinks(t *testing.T) {
	p := &Page{folder: filepath.Join("pages", "of")}
	for name, want := range map[string]string{
		filepath.Join("pages", "of", "a cat?#%.png"):     "a%20cat%3F%23%25.png",
		filepath.Join("photos", "ä.png"):                 "../../photos/%C3%A4.png",
		filepath.Join("pages", "of", "javascript:x.png"): "./javascript:x.png",
		"": "",
	} {
		if got, err := p.Link(Picture{File: name}); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}

// Batching, order and reading ahead do not affect the results.
func TestManyInOrder(t *testing.T) {
	const n = 3*batchItems + 5
	b := colourBinary(t)
	var app *App
	b.Extra = func(a *App) []*cobra.Command { app = a; return nil }
	run(b, "", "info")
	m, err := app.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var list []Picture
	var names []string
	for i := range n {
		list = append(list, Picture{Name: fmt.Sprint(i), Read: func() (image.Image, error) { return plain([]color.NRGBA{red, green, blue}[i%3], 5, 3), nil }})
		names = append(names, colours[i%3])
	}
	check := func(what string) func(i int, out []float32) error {
		next := 0
		return func(i int, out []float32) error {
			if i != next || len(out) != 3 || out[i%3] < 0.9 {
				return fmt.Errorf("%s %d: %v, want number %d", what, i, out, next)
			}
			next++
			return nil
		}
	}
	if err := app.Images(t.Context(), m, m.Func("vision_retrieval"), list, check("picture")); err != nil {
		t.Error(err)
	}
	if err := app.Texts(t.Context(), m, m.Func("language_retrieval"), names, check("text")); err != nil {
		t.Error(err)
	}
	rs, err := app.Search(t.Context(), m, []string{"green"}, list, 3)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range rs[0].Hits {
		got = append(got, h.Name)
	}
	if d := cmp.Diff([]string{"1", "4", "7"}, got); d != "" {
		t.Errorf("the best, equals in order (-want +got)\n%s", d)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := app.Images(stopped, m, m.Func("vision_retrieval"), list, func(int, []float32) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	list[70].Read = func() (image.Image, error) { return nil, io.ErrUnexpectedEOF }
	if err := app.Images(t.Context(), m, m.Func("vision_retrieval"), list, func(int, []float32) error { return nil }); err == nil {
		t.Error("a picture that cannot be read is no error")
	}
}

// However many inputs cannot be read, their names fit a page, and the last line counts all of them.
func TestManyLeftOutFitAPage(t *testing.T) {
	const n = 2000
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, "no such picture %d.png\n", i)
	}
	for _, args := range [][]string{{"embed", "--image"}, {"classify", "-"}} {
		got := run(colourBinary(t, colourFuncs...), list.String(), args...)
		if got.status != 1 || len(got.errs) > 10_000 {
			t.Errorf("%v: status %d and %d bytes, want 1 and a page:\n%.300s", args, got.status, len(got.errs), got.errs)
		}
		for _, want := range []string{"picture 0.png: no such file", "picture 9.png: no such file", "further ones are left out without their names\n", fmt.Sprintf("none of %d could be read\n", n)} {
			if strings.Count(got.errs, want) != 1 {
				t.Errorf("%v: want %q once:\n%s", args, want, got.errs)
			}
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a\r\nb\n\nc")
	f.Add("\n\n")
	f.Add("\xffx\x00y")
	f.Add("\ufeffa\r\nb")
	f.Add("\xff\xfea\x00\n\x00b\x00")
	f.Add("a\x00\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		var got []string
		var failed error
		for line, err := range lines(strings.NewReader(text), "list") {
			if err != nil {
				failed = err
				break
			}
			got = append(got, line)
		}
		plain, err := io.ReadAll(file.Text(strings.NewReader(text)))
		if text = string(plain); err != nil {
			text = text[:strings.LastIndexByte(text, '\n')+1]
		}
		if !errors.Is(failed, err) && len(text) < maxLine {
			t.Fatalf("%v, want %v", failed, err)
		}
		want := strings.Split(text, "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		for i := range want {
			want[i] = strings.TrimSuffix(want[i], "\r")
		}
		if len(want) == 0 {
			want = nil
		}
		if d := cmp.Diff(want, got); d != "" && len(text) < maxLine {
			t.Errorf("(-want +got)\n%s", d)
		}
	})
}

// TestPictureOrText tells pictures and folders from texts by what is there and what a name looks
// like.
func TestPictureOrText(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"red", "in/leaf.png"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		asmtest.Write(t, name, "")
	}
	const text, picture, none = "text", "picture", "neither"
	for _, c := range []struct{ in, argument, line string }{
		{"red", picture, picture},
		{"in", picture, text},
		{"./in", picture, picture},
		{"in/", picture, picture},
		{"leaf", text, text},
		{"in/leaf", none, none},
		{"./leaf", none, none},
		{"on/leaf", text, text},
		{"leaf.pngg", none, none},
		{"leaf.heic", none, none},
		{"a leaf.pngg", text, text},
		{"a leaf.png", picture, picture},
		{".", picture, text},
		{"...", text, text},
		{"e.g.", text, text},
		{"3.14", text, text},
		{"mp3.mp3", none, none},
		{"", text, text},
	} {
		for _, line := range []bool{false, true} {
			want := c.argument
			if line {
				want = c.line
			}
			got := picture
			switch it := new(App).sniffed(c.in, line, imagefile.Options{})[0]; {
			case it.text:
				got = text
			case it.err != nil:
				got = none
			}
			if got != want {
				t.Errorf("%q, line %t: %s, want %s", c.in, line, got, want)
			}
		}
	}
}

// A range of --scale ends at its last number, however large.
func TestThreadList(t *testing.T) {
	for text, want := range map[string]string{
		"1,2,8":  "1,2,8",
		"1..64":  "1,2,4,8,16,32,64",
		"3..20":  "3,6,12,20",
		"5..5,7": "5,7",
		fmt.Sprintf("%d..%d", math.MaxInt/2, math.MaxInt): fmt.Sprintf("%d,%d,%d", math.MaxInt/2, math.MaxInt/2*2, math.MaxInt),
	} {
		var l threadList
		if err := l.Set(text); err != nil || l.String() != want {
			t.Errorf("%s: got %s, %v, want %s", text, &l, err, want)
		}
	}
	for _, text := range []string{"", "0", "8..1", "1..", "a", "-1..4", "1..9223372036854775808"} {
		var l threadList
		if err := l.Set(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, &l)
		}
	}
}
