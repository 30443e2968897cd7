package compile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/ir/checkpoint/checkpointtest"
)

// standing is the model of a description in which some columns of the residual have a large constant.
func standing(t *testing.T, description string) *compile.Model {
	t.Helper()
	m := compile.OpenText(t, description)
	p, _, err := m.Lower(nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Source = checkpointtest.Changed(t, p, *m.Desc.Seed, func(name string, _, col int, x float32) float32 {
		switch {
		case col%31 != 7:
		case strings.Contains(name, ".layers.") && strings.Contains(name, "norm") && strings.HasSuffix(name, ".weight"):
			return x / 20
		case strings.HasSuffix(name, "layers.0.ffn.A.fc2.bias"), strings.HasSuffix(name, "embed_positions.A.weight"):
			return x + 30*float32(col%2*2-1)
		}
		return x
	})
	return m
}

const outlying = `model: 1
name: outlying
family: beit3
sizes: {dim: 96, heads: 3, ffn: 192, layers: 3, image: 32, patch: 8, vocab: 50, positions: 24}
seed: 7
tasks: [encode]
entries: [vision]
precision: int8
`

// The package of a smoothed model equals the interpreter, with and without overrides.
func TestSmoothedBuild(t *testing.T) {
	asmtest.Slow(t)
	for _, word := range []string{"int8\ntune: off", "int8x2"} {
		t.Run(word, func(t *testing.T) {
			m := standing(t, strings.Replace(outlying, "int8", word, 1))
			r, err := m.Write(compile.Options{Dir: t.TempDir(), Weights: codegen.File, Check: compile.Full})
			if err != nil {
				t.Fatal(err)
			}
			if r.Choice == nil || r.Choice.Smoothed == nil {
				t.Error("nothing is smoothed")
			}
			for _, x := range r.Results {
				if x.Rows > 0 && x.Cosine < 0.9999 {
					t.Errorf("%v", x)
				}
			}
		})
	}
}

// A build checks the package on the samples, and fails if it is not accurate enough on them.
func TestWriteOnSamples(t *testing.T) {
	asmtest.Slow(t)
	golden, err := filepath.Abs("../../golden/testdata")
	if err != nil {
		t.Fatal(err)
	}
	own := t.TempDir()
	picture := asmtest.Read(t, filepath.Join(golden, "preprocess/sq_up.png"))
	if err := os.CopyFS(own, fstest.MapFS{"a.png": {Data: picture}, "t.txt": {Data: []byte("one\ntwo\nthree words here")}}); err != nil {
		t.Fatal(err)
	}
	m := compile.OpenText(t, fmt.Sprintf("model: 1\nname: s\nfamily: beit3\nsizes: {dim: 16, heads: 2, layers: 1, image: 16, patch: 8, vocab: 300}\nseed: 1\ntasks: [encode]\nprecision: bf16\nsamples: %q\ntokenizer: %q\n",
		filepath.ToSlash(own), filepath.ToSlash(filepath.Join(golden, "tokenizer/tiny.spm"))))
	dir := filepath.Join(t.TempDir(), "out")
	r, err := m.Write(compile.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, x := range r.Results {
		if strings.HasSuffix(x.Judge, ", samples") {
			rows[x.Func] = x.Rows
			if !(x.Cosine > 0.999 && x.Cosine < 1) {
				t.Errorf("%v", x)
			}
		}
	}
	// A picture has five rows, a text a row per token.
	if rows["vision"] != 5 || rows["language"] < 9 || rows["pair"] != 15+rows["language"] {
		t.Errorf("rows: %v", rows)
	}
	m.Desc.Cosine = 0.9999999
	if _, err := m.Write(compile.Options{Dir: dir + "2"}); err == nil || !strings.Contains(err.Error(), "samples") || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("got %v", err)
	}
}
