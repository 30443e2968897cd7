package model

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

func TestHostileDescriptions(t *testing.T) {
	const head = "model: 1\nfamily: beit3\n"
	bad := `"\u001b]0;x\u202e` + strings.Repeat("k", 10_000) + `"`
	six := "modalities: ["
	for i := range 6 {
		six += fmt.Sprintf("{name: %c, embedder: patch, size: 8, patch: 4}, ", 'a'+i)
	}
	six += "]\nlayers: [{range: 0..512, attn: pooled, ffn: pooled}]\nsizes: {dim: 8, heads: 1}\n"
	for _, c := range []struct{ name, text, what string }{
		{"field", head + bad + ": 1\n", "unknown field"},
		{"field twice", head + "precision: {keep: {" + bad + ": f32, " + bad + ": f32}}\n", "is given twice"},
		{"module", head + "sizes: {dim: 4, heads: 1, layers: 1, image: 4, patch: 4, vocab: 8}\nprecision: {keep: {" + bad + ": f32}}\n", "precision.keep"},
		{"expert", "model: 1\nmodalities: [{name: v, embedder: patch, size: 8, patch: 4}, {name: w, embedder: patch, size: 8, patch: 4}]\nlayers: [{range: 0..1, attn: shared, ffn: joint, experts: {" + bad + ": [v, w]}}]\nsizes: {dim: 8, heads: 1}\n", "want a word"},
		{"family", "model: 1\nfamily: " + bad + "\n", "bytes of text, want 1 to 4096"},
		{"number", head + "sizes: {dim: " + strings.Repeat("9", 20_000) + "}\n", "sizes.dim"},
		{"brackets", "model: " + strings.Repeat("[", 30_000), "nested brackets"},
		{"braces", "model: " + strings.Repeat("{a: ", 7_000), "nested brackets"},
		{"dashes", strings.Repeat("- ", 15_000), "nested values on one line"},
		{"indents", strings.Repeat(" ", 1000) + "a: 1", "begins at column"},
		{"tag", "model: !" + strings.Repeat("x", 20_000) + " 1\n", "tags are not allowed"},
		{"modality called as values are", "model: 1\nmodalities: [{name: m0, embedder: patch, size: 8, patch: 4}]\nlayers: [{range: 0..1, attn: shared, ffn: shared}]\nsizes: {dim: 8, heads: 1}\n", "a letter and a number"},
		{"functions", "model: 1\n" + six, "the program has more than 131072 weights and values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if got := asmtest.Allocated(func() {
				var d *Description
				if d, err = Parse("\x1b[2J"+strings.Repeat("p", 4000), []byte(c.text)); err == nil {
					_, err = Lower(d, Options{})
				}
			}); got > 256<<20 {
				t.Errorf("it takes %d MB", got>>20)
			}
			asmtest.Harmless(t, err, c.what)
		})
	}
}

func TestHostileLabels(t *testing.T) {
	// As many labels as there may be take 16 bytes each, and twice that again while the list doubled. A string costs
	// encoding/json about 100 bytes, and takes three of the text at least.
	const labels, perByte = 3 * 16 * maxClasses, 40
	list := func(n int, item string) string { return strings.Repeat(item+",", n) + item }
	for _, c := range []struct{ name, list, text, what string }{
		{"lines", "", strings.Repeat("a\n", maxClasses+1), "1048577 labels"},
		{"items", "", "[" + list(maxClasses+10, `""`) + "]", "1048577 labels"},
		{"items of a list", "x", `{"x":[` + list(maxClasses+10, `""`) + "]}", "1048577 labels"},
		{"lists", "", "{" + list(500_000, `"\u001b":[]`) + "}", "it holds the lists"},
		{"lists and another", "abc", "{" + list(500_000, `"\u202ebc":[]`) + "}", "unknown list"},
		{"long list", "abc", `{"` + strings.Repeat("b", 4<<20) + `":[]}`, "unknown list"},
		{"brackets", "x", `{"y":` + strings.Repeat("[", 4<<20), "exceeded max depth"},
		{"brackets alone", "", strings.Repeat("[", 4<<20), "item 0 is not a string"},
		{"number", "", "[" + strings.Repeat("9", 4<<20) + "]", "item 0 is not a string"},
		{"answer", "", `{"answer": "` + strings.Repeat("\x1b", 1<<20) + `", "label": 7}`, "label 0 is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if got, most := asmtest.Allocated(func() { _, err = parseLabels([]byte(c.text), c.list) }), perByte*len(c.text)+labels; got > most {
				t.Errorf("%d bytes take %d MB in all, want at most %d", len(c.text), got>>20, most>>20)
			}
			asmtest.Harmless(t, err, c.what)
		})
	}
}

// Labels are read as they stand, whichever way the file has them.
func TestLabelsOfManyLists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.json")
	asmtest.Write(t, path, `{"a": [1, {"b": []}], "b": ["x", "y\n"], "c": null}`)
	d := &Description{}
	got, err := d.Labels(Task{Labels: path, List: "b"})
	if err != nil || fmt.Sprint(got) != "[x y\n]" {
		t.Errorf("got %q, %v", got, err)
	}
}
