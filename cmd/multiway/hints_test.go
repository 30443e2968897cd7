package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/model"
)

// hinting are the packages whose errors tell people what to do.
var hinting = []string{"../../ir/model", "../../ir/checkpoint", "../../codegen/rt/imagefile", "../../codegen/compile", "../../codegen/engine", "../../codegen/inputs", "../../codegen/tune", "../../golden", "."}

// known reports whether a description may have a field, at the top or in a row of one of its lists.
func known(field string) bool {
	for _, where := range []string{"%s", "tasks: [{classification: {%s}}]", "layers: [{%s}]"} {
		inner := field + ": 1"
		if top, under, ok := strings.Cut(field, "."); ok {
			inner = top + ": {" + under + ": 1}"
		}
		_, err := model.Parse("m.yaml", fmt.Appendf(nil, "model: 1\n"+where+"\n", inner))
		if err == nil || !strings.Contains(err.Error(), "unknown field") && !strings.Contains(err.Error(), ".model is") {
			return true
		}
	}
	return false
}

// Flags and fields that texts name exist.
func TestHintsNameFlagsAndFields(t *testing.T) {
	var commands []*cobra.Command
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		commands = append(commands, c)
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root(io.Discard))
	// --help is every command's, --ids that of binaries that are built.
	isFlag := func(name string) bool {
		return name == "help" || name == "ids" || slices.ContainsFunc(commands, func(c *cobra.Command) bool { return c.Flags().Lookup(name) != nil })
	}
	all := asmtest.Hints(t, hinting...)
	if len(all) < 60 {
		t.Fatalf("%d hints: the walk has lost most", len(all))
	}
	for _, h := range all {
		for _, f := range h.Flags {
			if !isFlag(f) {
				t.Errorf("%s: no command has the flag --%s: %s", h.Place, f, h.Text)
			}
		}
		for _, f := range h.Fields {
			if !known(f) {
				t.Errorf("%s: a description has no field %s: %s", h.Place, f, h.Text)
			}
		}
	}
	if known("nonsense") || known("sizes.nonsense") {
		t.Error("any field is known")
	}
}

const (
	tinySizes  = "model: 1\nfamily: beit3\nsizes: {dim: 16, heads: 2, layers: 1, image: 8, patch: 4, vocab: 20, positions: 12}\n"
	twoInputs  = "modalities: [{name: vision, embedder: patch, size: 8, patch: 4}, {name: language, embedder: token, vocab: 20, positions: 12}]\n"
	longForm   = "model: 1\nsizes: {dim: 16, heads: 2}\n" + twoInputs
	ofTorch    = "model: 1\nfamily: beit3\ntasks: [retrieval]\ncheckpoint: $TORCH/base.safetensors\n"
	torchSizes = "dim: 8, heads: 2, ffn: 8, layers: 1, patch: 2, vocab: 8, positions: 6}\n"
	labels     = "tasks: [{classification: {labels: labels.json}}]\n"
)

// followed does as texts say. Each row is of the text that holds its words: what leads to it, and the same after its advice.
// A command is run; a description is parsed, and if it has weights, built unchecked. elsewhere names the test that follows
// advice which takes more than that.
var followed = []struct {
	words         string
	before, after string
	elsewhere     string
}{
	{"add the line `model: %d`", strings.TrimPrefix(tinySizes, "model: 1\n"), tinySizes, ""},
	{"the description is empty; want at least `model: %d`", "\n", tinySizes, ""},
	{"add `interpolate: true` to resize its position table", "model: 1\npreset: beit3-base-patch16-224\nsizes: {image: 240}\n", "model: 1\npreset: beit3-base-patch16-224\nsizes: {image: 240}\ninterpolate: true\n", ""},
	{"remove it or write `ffn: joint`", longForm + "layers: [{range: 0..1, attn: shared, ffn: pooled, experts: vl}]\n", longForm + "layers: [{range: 0..1, attn: shared, ffn: joint, experts: vl}]\n", ""},
	{"leave sizes.layers out", strings.Replace(longForm, "heads: 2", "heads: 2, layers: 3", 1) + "layers: [{range: 0..1, attn: shared, ffn: pooled}]\n", longForm + "layers: [{range: 0..1, attn: shared, ffn: pooled}]\n", ""},
	{"say which one with `list: NAME`", tinySizes + labels + "seed: 1\n", tinySizes + strings.Replace(labels, "labels.json", "labels.json, list: b", 1) + "seed: 1\n", ""},
	{"add `checkpoint: FILE`, or `seed: NUMBER`", tinySizes + "#build\n", tinySizes + "seed: 1\n#build\n", ""},
	{"or give the picture size it was trained for", ofTorch + "sizes: {image: 6, " + torchSizes, ofTorch + "interpolate: true\nsizes: {image: 6, " + torchSizes, ""},
	{"`checkpoint: {file: FILE, key: %s}` takes one, and --key %[1]s of init", "init -o a.yaml --heads 2 $TORCH/ema-only.pth", "init -o a.yaml --heads 2 --key ema.module $TORCH/ema-only.pth", ""},
	{"open them with --key %s", "init -o b.yaml --heads 2 $TORCH/teacher.safetensors", "init -o b.yaml --heads 2 --key student.backbone $TORCH/teacher.safetensors", ""},
	{"name another file with -o, or overwrite it with --force", "init --heads 2 -o tiny.yaml $TORCH/base.safetensors", "init --heads 2 -o tiny.yaml --force $TORCH/base.safetensors", ""},
	{"give it with --heads", "init -o c.yaml $TORCH/base.safetensors", "init -o c.yaml --heads 2 $TORCH/base.safetensors", ""},
	{"give -o DIR for a package, --binary FILE for a binary", "build seeded.yaml", "build -o d --check off seeded.yaml", ""},
	{"build without --strict if they may be left out", "build -o d --check off --strict surplus.yaml", "build -o d --check off surplus.yaml", ""},
	{"give --preset or a description, not both", "export --onnx o --preset beit3-base-patch16-224 seeded.yaml", "export --onnx o seeded.yaml", ""},
	{"a description has its own, `seed: %d`", "export --onnx o --seed 3 seeded.yaml", "export --onnx o seeded.yaml", ""},
	{"give --preset NAME or a description; `multiway presets`", "export --onnx o", "export --onnx o seeded.yaml", ""},
	{"give --preset NAME and -o FILE", "", "", "cmd/multiway.TestBuildReal"},
	{"give --preset or a file, not both", "dump --preset beit3-base-patch16-224 seeded.yaml", "dump seeded.yaml", ""},
	{"nothing to dump: give --preset NAME", "dump", "dump --preset beit3-base-patch16-224 --entry language --cost", ""},
	{"nothing to write: give --onnx FILE.onnx", "export seeded.yaml", "export --onnx o seeded.yaml", ""},
	{"give --entry, or --onnx a folder", "export --onnx o.onnx seeded.yaml", "export --onnx o.onnx --entry vision seeded.yaml", ""},
	{"or leave --package out", "build -o p --package other --check off seeded.yaml", "build -o p --check off seeded.yaml", ""},
	{"add `tokenizer: FILE`, or give token ids", "", "", "cmd/multiway.TestScripts"},
	{"recorded; build the package with --golden", "", "", "cmd/multiway.TestScripts"},
	{"or build a package unchecked, with --check off", "", "", "cmd/multiway.TestScripts"},
	{"give its description with --model", "", "", "cmd/multiway.TestScripts"},
	{"build with --decoders %s, or import", "", "", "cmd/multiway.TestDecoders"},
	{"`tokenizer: FILE` in the description adds one", "", "", "cmd/multiway.TestScripts"},
	{"or give --expect-bound %.2g", "", "", "codegen/compile.TestHoldExpectedFindsMistakes"},
	{"`family: %s` and all other sizes in place of `preset`", "", "", "codegen/compile.TestPresetWrittenAsFamily"},
	{"`tune: off` in the description, or --tune off, leaves it out", "", "", "codegen/tune.TestTuned"},
	{"`smooth: off` in the description leaves it out", "", "", "codegen/tune.TestSmoothed"},
	{"with `cosine: %v` in the description this is an error", "", "", "codegen/tune.TestTuned"},
	{"`entries: [%s]` in the description compiles that tower alone", "", "", "codegen/compile.TestOneTower"},
	{"remove one", "", "", "cmd/multiway.TestScripts"},
	{"replace family and sizes by `preset: NAME`", "", "", "ir/model.TestSketch"},
}

// Advice works: doing as a text says leads to no error.
func TestHintsCanBeFollowed(t *testing.T) {
	asmtest.Slow(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	all := asmtest.Hints(t, hinting...)
	rowOf := func(text string) int {
		for i, f := range followed {
			if strings.Contains(text, f.words) {
				return i
			}
		}
		return -1
	}
	seen := map[int]bool{}
	for _, h := range all {
		i := rowOf(h.Text)
		if i >= 0 {
			seen[i] = true
		} else if h.Advises() {
			t.Errorf("%s: nothing here does as it says: %s", h.Place, h.Text)
		}
	}
	for i, f := range followed {
		if !seen[i] {
			t.Errorf("no text says %q any more", f.words)
		}
	}
	dir := t.TempDir()
	t.Chdir(dir)
	seeded := tinySizes + "seed: 1\n"
	torch := filepath.ToSlash(filepath.Join(root, "codegen/compile/testdata/torch"))
	if err := os.Mkdir("p", 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"seeded.yaml": seeded, "tiny.yaml": seeded, "surplus.yaml": strings.ReplaceAll(ofTorch+"sizes: {image: 4, "+torchSizes, "$TORCH", torch), "p/gen.go": "package gen\n", "labels.json": `{"a": ["x"], "b": ["y", "z"]}`} {
		asmtest.Write(t, name, text)
	}
	for _, f := range followed {
		if f.elsewhere != "" {
			pkg, name, _ := strings.Cut(f.elsewhere, ".")
			if !slices.ContainsFunc(tests(t, filepath.Join(root, pkg)), func(text string) bool { return strings.Contains(text, "\nfunc "+name+"(t ") }) {
				t.Errorf("%q: there is no test %s", f.words, f.elsewhere)
			}
			continue
		}
		do := func(what string) error {
			what = strings.ReplaceAll(what, "$TORCH", torch)
			if !strings.Contains(what, "\n") {
				return inProcess(t, strings.Fields(what)...)
			}
			asmtest.Write(t, "it.yaml", what)
			if strings.Contains(what, "\nseed:") || strings.Contains(what, "#build") || strings.Contains(what, "\ncheckpoint:") {
				return inProcess(t, "build", "-o", "it", "--check", "off", "it.yaml")
			}
			return inProcess(t, "dump", "--entry", "vision", "it.yaml")
		}
		// The text is a format: its parts are there, one after the other.
		err := do(f.before)
		if err == nil {
			t.Errorf("%q: no error before the advice", f.words)
			continue
		}
		rest := err.Error()
		for _, part := range regexp.MustCompile(`%\[?\d?\]?[a-z]`).Split(f.words, -1) {
			_, after, ok := strings.Cut(rest, part)
			if !ok {
				t.Errorf("%q: the error is %v", f.words, err)
				break
			}
			rest = after
		}
		if err := do(f.after); err != nil {
			t.Errorf("%q: after the advice: %v", f.words, err)
		}
	}
}

// tests returns the test files of a folder.
func tests(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range paths {
		text := asmtest.Read(t, p)
		all = append(all, string(text))
	}
	return all
}

// inProcess runs a command in this process, what it prints aside.
func inProcess(t *testing.T, args ...string) error {
	t.Helper()
	c := root(io.Discard)
	c.SetArgs(args)
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	return c.Execute()
}
