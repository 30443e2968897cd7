package cli

import (
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// poisoned are functions whose outputs are NaN for texts that say long and for pictures
// whose first value is that of white.
func poisoned(funcs []*exec.Func) []*exec.Func {
	var all []*exec.Func
	for _, f := range funcs {
		g := *f
		g.Run = func(e *exec.Exec) {
			f.Run(e)
			for i := range e.B {
				if f.Text && slices.Contains(e.IDs[e.Start[i]:][:e.Len[i]], 3) || f.Image > 2 && e.Images[i][0] == 1 {
					row(e.Mat(0, 16, e.B, 3), i)[0] = float32(math.NaN())
				}
			}
		}
		all = append(all, &g)
	}
	return all
}

// What the model makes no numbers of is an error with status 1 in every command; the rest
// of a batch is printed, and nothing is ever NaN.
func TestNotFinite(t *testing.T) {
	dir := folderOf(t)
	if err := os.Remove(filepath.Join(dir, "broken.png")); err != nil {
		t.Fatal(err)
	}
	apple, white := filepath.Join(dir, "apple.png"), filepath.Join(dir, "in", "white.png")
	f, err := os.Create(white)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, plain(color.NRGBA{255, 255, 255, 255}, 4, 4)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	all, pairs := colourBinary(t, poisoned(colourFuncs)...), colourBinary(t, poisoned(pairFuncs)...)
	npy := filepath.Join(dir, "x.npy")
	for _, c := range []struct {
		name string
		b    Binary
		args []string
		out  []string // each a part of its line
		errs []string // likewise
	}{
		{"a text", all, []string{"embed", "long"}, nil, []string{"language_retrieval: output language_cls: not all numbers are finite"}},
		{"a picture", all, []string{"embed", white}, nil, []string{"vision_retrieval: output vision_cls"}},
		{"texts", all, []string{"embed", "long", "red", "long blue", "green"}, []string{`"red"`, `"green"`}, []string{"long: colours:", "long blue: colours:", "2 of 4 have no result"}},
		{"both", all, []string{"embed", "long", white, apple}, []string{"apple.png"}, []string{"long: colours:", "white.png: colours:", "2 of 3"}},
		{"all", all, []string{"embed", "-o", npy, "long", white, "longer"}, nil, []string{"not all numbers are finite"}},
		{"a folder", all, []string{"classify", "--top", "1", dir}, []string{"apple.png", "red", "leaf.png", "green", "sea.PNG", "blue"}, []string{"white.png: colours: vision_classification: output logits", "1 of 4 have no result"}},
		{"a search", all, []string{"search", "red", "--top", "1", "--folder", dir}, []string{"red", "apple.png"}, []string{"white.png", "1 of 4"}},
		{"a query", all, []string{"search", "long", "--folder", dir}, nil, []string{"language_retrieval"}},
		{"a match", all, []string{"match", apple, "long red", "green"}, []string{"0.0499  green"}, []string{"1 of 2 items have no result, the first of them item 0"}},
		{"a picture's match", all, []string{"match", white, "red"}, nil, []string{"vision_retrieval"}},
		{"an answer", pairs, []string{"answer", "--top", "1", apple, "long?", "red?"}, []string{"red?", "red"}, []string{"1 of 2 items"}},
		{"a statement", pairs, []string{"reason", apple, apple, "long red", "both are red"}, []string{"both are red", "true"}, []string{"long red: colours: pair_nlvr2: output features"}},
		{"statements", pairs, []string{"reason", apple, apple, "long red", "both are red", "long blue"}, []string{"both are red", "true"}, []string{"long red: colours: pair_nlvr2:", "long blue: colours: pair_nlvr2:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := run(c.b, "", c.args...)
			if got.status != 1 || strings.Contains(got.out, "NaN") {
				t.Errorf("status %d, want 1:\n%s%s", got.status, got.out, got.errs)
			}
			for _, s := range []struct {
				text string
				want []string
			}{{got.out, c.out}, {got.errs, c.errs}} {
				lines := strings.Split(strings.TrimSuffix(s.text, "\n"), "\n")
				if s.text == "" {
					lines = nil
				}
				if len(lines) != len(s.want) {
					t.Fatalf("%d lines, want %d:\n%s", len(lines), len(s.want), s.text)
				}
				for i, w := range s.want {
					if !strings.Contains(lines[i], w) {
						t.Errorf("line %q, want %q in it", lines[i], w)
					}
				}
			}
		})
	}
	if _, err := os.Stat(npy); err == nil {
		t.Errorf("%s is written, without a vector", npy)
	}
}
