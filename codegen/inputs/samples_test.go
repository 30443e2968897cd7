package inputs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir/model"
)

// folder makes a folder of files. A content that begins with @ is the name of a golden file to copy.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "own")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if from, ok := strings.CutPrefix(text, "@"); ok {
			text = string(asmtest.Read(t, filepath.Join("../../golden/testdata", from)))
		}
		asmtest.Write(t, path, text)
	}
	return dir
}

// reader returns the reader of a model for images of 16 pixels and texts.
func reader(t *testing.T) Reader {
	t.Helper()
	tokenizer := asmtest.Read(t, "../../golden/testdata/tokenizer/tiny.spm")
	return Reader{Pixels: &pixel.Preprocess{Size: 16, Std: [3]float32{1, 1, 1}}, Tokenizer: tokenizer, Limit: 16, Vocab: 300}
}

const image = "@preprocess/sq_up.png"

func TestSamples(t *testing.T) {
	many := strings.Repeat("a dog\n", 20) + "last one"
	s, err := reader(t).Folder(folder(t, map[string]string{"b/2.PNG": image, "a.png": image, ".hidden/c.png": "no picture", "t.txt": "\n  two words \n\n", "u.TXT": many, "note.md": "no text"}))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range s.Images {
		if len(p.Pixels) != 3*16*16 {
			t.Errorf("%s has %d values", p.Name, len(p.Pixels))
		}
		names = append(names, p.Name)
	}
	if d := cmp.Diff([]string{"a.png", "2.PNG"}, names); d != "" {
		t.Errorf("pictures (-want +got):\n%s", d)
	}
	if len(s.Texts) != folderSamples || s.Texts[0].Name != "two words" || s.Texts[1].Name != "a dog" || len(s.Texts[0].IDs) < 3 {
		t.Errorf("texts %+v", s.Texts)
	}
	d, err := model.Parse("model.yaml", []byte("model: 1\nname: s\nfamily: beit3\nsizes: {dim: 16, heads: 2, layers: 1, image: 16, patch: 8, vocab: 300}\nseed: 1\ntasks: [encode]\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Lower(d, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][3]int{"vision": {2, 1, -1}, "language": {folderSamples, -1, 1}, "pair": {folderSamples, 1, 1}}
	for _, f := range p.Funcs {
		list, why := s.Of(f)
		if why != "" || len(list) == 0 {
			t.Errorf("%s: %s", f.Name, why)
			continue
		}
		if got := [3]int{len(list), list[1].Image, list[1].Text}; got != want[f.Name] {
			t.Errorf("%s: inputs, picture and text of the second: %v, want %v", f.Name, got, want[f.Name])
		}
	}
	if _, why := (&Samples{Texts: s.Texts}).Of(p.Func("pair")); why != "no pictures were given" {
		t.Errorf("without pictures: %q", why)
	}
	if _, why := (&Samples{Images: s.Images}).Of(p.Func("pair")); why != "no texts were given" {
		t.Errorf("without texts: %q", why)
	}
}

func TestSamplesErrors(t *testing.T) {
	for _, c := range []struct {
		name, want string
		files      map[string]string
	}{
		{"nothing", "has no input for the model", map[string]string{"a.md": "x"}},
		{"no folder", "own: no such file", nil},
		{"no picture", "a.png", map[string]string{"a.png": "this is text"}},
		{"long line", "t.txt: line 3 has 1048577 bytes, want at most 1048576", map[string]string{"t.txt": "short\n\n" + strings.Repeat("x", maxLine+1)}},
		{"much text", "may have 16777216 bytes in all", map[string]string{"a.txt": strings.Repeat("words\n", maxTexts/6), "b.txt": "and on"}},
	} {
		if _, err := reader(t).Folder(folder(t, c.files)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	texts := folder(t, map[string]string{"t.txt": "words"})
	if _, err := reader(t).Folder(filepath.Join(texts, "t.txt")); err == nil || !strings.Contains(err.Error(), "t.txt is a file, want a folder") {
		t.Errorf("a file for a folder: got %v", err)
	}
	few := reader(t)
	few.MaxPixels = 10
	if _, err := few.Folder(folder(t, map[string]string{"a.png": image})); err == nil || !strings.Contains(err.Error(), "the limit is 10 pixels: scale it down or raise the limit (limits.pixels in the description)") {
		t.Errorf("a large picture: got %v", err)
	}
	for _, name := range []string{"\u202et.txt", "no\u202ene"} {
		dir := folder(t, map[string]string{"\u202et.txt": "words"})
		if _, err := reader(t).Folder(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), `\u202e`) {
			t.Errorf("a strange name: got %v, want it quoted", err)
		}
	}
}

func TestSpread(t *testing.T) {
	if d := cmp.Diff([]int{0, 2, 5}, Spread([]int{0, 1, 2, 3, 4, 5, 6, 7}, 3)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Ids of CLIP's texts end at the first end token, as texts do that spell it.
func TestSamplesEndToken(t *testing.T) {
	data := asmtest.Read(t, "../rt/token/testdata/tokenizer_clip_tiny/bpe.txt.gz")
	clip, err := token.LoadCLIP(data)
	if err != nil {
		t.Fatal(err)
	}
	n := clip.Vocab()
	start, end := int32(n-2), int32(n-1)
	r := Reader{Tokenizer: data, Limit: 16, Vocab: n}
	got, err := r.Read(nil, []string{"<end_of_text> a"}, [][]int32{{start, 5, end}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int32{start, end}, got.Texts[0].IDs); diff != "" {
		t.Errorf("a text that spells the end token (-want +got):\n%s", diff)
	}
	padded := [][]int32{{start, 5, end, end, end}}
	if _, err := r.Read(nil, nil, padded); err == nil || !strings.HasSuffix(err.Error(), ", the end token; leave out the 2 ids after it") {
		t.Errorf("padded ids: got %v, want an error", err)
	}
	r.IDs = 5
	if _, err := r.Read(nil, nil, padded); err != nil {
		t.Errorf("a model of padded texts: %v", err)
	}
}
