package compile

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/model"
)

// The rows after each layer of a model that is too large for the interpreter are compared in a package compiled at float32.
func TestHoldCompiled(t *testing.T) {
	asmtest.Slow(t)
	weights, err := filepath.Abs("testdata/expect/beit3.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ heads, precision, want string }{
		{"4", "f32", ""},
		{"4", "int8\ntune: off", ""},
		{"2", "f32", "layers.0 of vision_retrieval differs first by 0.29 of its largest value. Usual causes: the number of heads (sizes.heads)"},
	} {
		path := filepath.Join(t.TempDir(), "m.yaml")
		text := "model: 1\nfamily: beit3\nsizes: {dim: 16, heads: " + c.heads + ", ffn: 24, layers: 2, image: 16, patch: 8, vocab: 40, positions: 12}\ntasks: [retrieval]\nprecision: " + c.precision + "\ncheckpoint: " + filepath.ToSlash(weights) + "\n"
		asmtest.Write(t, path, text)
		m, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		m.Quick = 1
		r, err := m.Write(Options{Dir: filepath.Join(t.TempDir(), "p"), Check: Off, Expect: "testdata/expect/beit3-expected.safetensors"})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s heads: %v", c.heads, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.precision, err)
			continue
		}
		layers, rows := 0, 0
		for _, x := range r.Held {
			if x.Level == "interpreter" {
				t.Errorf("it was interpreted: %v", x)
			}
			if strings.HasPrefix(x.Output, "layers.") {
				layers++
			}
			if x.Rows > 0 {
				rows++
			}
		}
		if want := map[string]int{"int8\ntune: off": 2}[c.precision]; layers != 2 || rows != want {
			t.Errorf("%s: %d layers, %d outputs by angles, want 2 and %d: %v", c.precision, layers, rows, want, r.Held)
		}
	}
}

// For a preset, the advice is to write the family and its sizes in place of the preset.
func TestPresetWrittenAsFamily(t *testing.T) {
	d, err := model.Preset("beit3-base-patch16-224")
	if err != nil {
		t.Fatal(err)
	}
	c := epsilons(d)[0]
	if got, want := (&Model{Desc: d}).written(c), "`eps: 1.0e-06` among the `sizes` of the description (and `family: beit3` and all other sizes in place of `preset`)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := model.Parse("m.yaml", []byte("model: 1\npreset: beit3-base-patch16-224\nsizes: {"+c.what+"}\n")); err == nil || !strings.Contains(err.Error(), "use family and sizes") {
		t.Errorf("beside the preset: %v", err)
	}
	after, err := model.Parse("m.yaml", []byte("model: 1\nfamily: beit3\n"+"sizes: {dim: 768, heads: 12, layers: 12, image: 224, patch: 16, vocab: 64010, "+c.what+"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c.edit(d)
	if after.Sizes != d.Sizes {
		t.Errorf("got %+v, want %+v", after.Sizes, d.Sizes)
	}
}
