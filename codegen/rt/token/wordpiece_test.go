package token

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

func loadWordPiece(t testing.TB) *WordPiece {
	t.Helper()
	w, err := LoadWordPiece(asmtest.Read(t, "testdata/wordpiece.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWordPieceFixtures compares with ids from the BertTokenizer of transformers 4.57.1,
// over texts in many scripts.
func TestWordPieceFixtures(t *testing.T) {
	w := loadWordPiece(t)
	f, err := os.Open("testdata/wordpiece.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); n++ {
		var c struct {
			Text string
			IDs  []int32
		}
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.IDs, w.Encode(c.Text, 0)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.Text, diff)
		}
		for _, most := range []int{1, 2, 3, 7} {
			got := w.Encode(c.Text, most)
			want := c.IDs
			if keep := max(most, 2); len(want) > keep {
				want = append(want[:keep-1:keep-1], want[len(want)-1])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q, at most %d (-want +got):\n%s", c.Text, most, diff)
			}
		}
	}
	if n < 200 {
		t.Errorf("%d fixtures", n)
	}
}

func TestWordPiece(t *testing.T) {
	const vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\n##a\na\n!\n中\nς\nσ\nα\n##ς\n##σ\n"
	w, err := LoadWordPiece([]byte(strings.ReplaceAll(vocab, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if w.Vocab() != 17 || w.Mask() != 4 {
		t.Errorf("%d ids, mask %d", w.Vocab(), w.Mask())
	}
	for _, tt := range []struct{ text, want string }{
		{"unaffable", "[CLS] un ##aff ##able [SEP]"},
		{"Unáffable!a", "[CLS] un ##aff ##able ! a [SEP]"},
		{"unaffablex a", "[CLS] [UNK] a [SEP]"},
		{"", "[CLS] [SEP]"},
		{"a中a", "[CLS] a 中 a [SEP]"},
		{"a[MASK]a [mask]", "[CLS] a [MASK] a [UNK] [UNK] [UNK] [SEP]"},
		{"a\x00\xffa \u200b", "[CLS] a ##a [SEP]"},
		{"ΑΣ ΑΣΑ Σ", "[CLS] α ##σ [UNK] σ [SEP]"},
		{strings.Repeat("a", 100), "[CLS] a" + strings.Repeat(" ##a", 99) + " [SEP]"},
		{strings.Repeat("a", 101), "[CLS] [UNK] [SEP]"},
	} {
		var got []string
		for _, id := range w.Encode(tt.text, 0) {
			p, ok := w.Piece(id)
			if !ok {
				t.Errorf("%q: no piece %d", tt.text, id)
			}
			got = append(got, p)
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%q\ngot  %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

func TestLoadWordPieceErrors(t *testing.T) {
	const head = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n"
	for _, tt := range []struct{ name, data, want string }{
		{"empty", "", "vocabulary: 0 lines, none of them [CLS]; want the vocab.txt of an uncased BERT model"},
		{"no special token", "[PAD]\n[CLS]\n[SEP]\na\n", "vocabulary: 4 lines, none of them [UNK]; want the vocab.txt of an uncased BERT model"},
		{"twice", head + "a\nb\na\n", `vocabulary: line 7 is "a", as is line 5; want every piece once`},
		{"not UTF-8", head + "\xff\n", "vocabulary: line 5 is not UTF-8; want a text file of one piece per line, such as vocab.txt of bert-base-uncased"},
		{"long line", head + strings.Repeat("a", 2000), "vocabulary: line 5 has 2000 bytes, want at most 1024; want a text file of one piece per line, such as vocab.txt of bert-base-uncased"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := LoadWordPiece([]byte(tt.data)); err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// A form decides where a file does not.
func TestForm(t *testing.T) {
	for _, c := range []struct {
		data []byte
		form Form
		want string
	}{
		{[]byte{0x1f, 0x8b, 8}, "", "LoadCLIP"},
		{[]byte{0x1f, 0x8b, 8}, HF, "LoadCLIPHF"},
		{[]byte("#version: 0.2\na b"), "", "LoadCLIPHF"},
		{[]byte("#version: 0.2\na b"), OpenCLIP, "LoadCLIP"},
		{[]byte("\"bpe_simple_vocab\na b"), "", "LoadCLIP"},
		{[]byte(`{"a": 1}`), OpenCLIP, "LoadCLIP"},
		{asmtest.Read(t, "testdata/tokenizer_siglip/spiece.model"), "", "LoadSigLIPHF"},
		{asmtest.Read(t, "testdata/tokenizer_gemma/tokenizer.model"), OpenCLIP, "LoadSigLIP"},
		{asmtest.Read(t, "testdata/wordpiece.txt"), HF, "LoadWordPiece"},
		{asmtest.Read(t, "testdata/wordpiece.txt"), OpenCLIP, "LoadCLIPA"},
		{read(t, "tokenizer-data/own-small.model"), HF, "Load"},
		{read(t, "tokenizer-data/own-small.model"), OpenCLIP, "LoadOpenCLIP"},
	} {
		if got := Loader(c.data, c.form); got != c.want {
			t.Errorf("%.20q in form %q: %s, want %s", c.data, c.form, got, c.want)
		}
	}
}

// open_clip cleans texts before tokenizers of other libraries split them. CLIPA's have 0 where BERT's have [SEP].
func TestOpenCLIPForms(t *testing.T) {
	const text, clean, long = "  “A&amp;lt;B”&nbsp;\tﬁ\x1b[0m ", `"A<B" fi`, "a b c d e f g"
	pieces := asmtest.Read(t, "testdata/wordpiece.txt")
	sentence := read(t, "tokenizer-data/own-small.model")
	for _, c := range []struct {
		data []byte
		end  int32 // the id in place of the last one; -1: the last one
	}{{pieces, 0}, {sentence, -1}} {
		own, err := Open(c.data, OpenCLIP)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Open(c.data, HF)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			text, clean string
			most        int
		}{{text, clean, 0}, {long, long, 4}, {"", "", 0}} {
			want := plain.Encode(x.clean, x.most)
			if c.end >= 0 {
				want[len(want)-1] = c.end
			}
			if got := own.Encode(x.text, x.most); !slices.Equal(got, want) {
				t.Errorf("%T: %q is %v, want %v", own, x.text, got, want)
			}
		}
	}
	clipa, err := LoadCLIPA(pieces)
	if err != nil {
		t.Fatal(err)
	}
	if got := clipa.Encode("[SEP]", 0); got[1] != 0 {
		t.Errorf("[SEP] in a text is %v, want 0 for it", got)
	}
}

// TestOpen tells the two kinds of files apart.
func TestOpen(t *testing.T) {
	for name, want := range map[string]bool{"WordPiece": true, "SentencePiece": false} {
		data := asmtest.Read(t, "testdata/wordpiece.txt")
		if !want {
			data = read(t, "tokenizer-data/own-small.model")
		}
		if got := isWordPiece(data); got != want {
			t.Errorf("%s: isWordPiece is %v", name, got)
		}
		tok, err := Open(data, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, got := tok.(*WordPiece); got != want {
			t.Errorf("%s: opened as %T", name, tok)
		}
	}
	if isWordPiece([]byte{10, 14, 10, 5}) || isWordPiece(nil) {
		t.Error("binary data and no data are no vocabulary")
	}
	if !isWordPiece([]byte(strings.Repeat("é", 1<<10))) {
		t.Error("a character on the border of what is looked at")
	}
}

func TestWordPieceDoesNotAllocate(t *testing.T) {
	w := loadWordPiece(t)
	dst := make([]int32, 0, 256)
	text := "A Photo of a rëd car, 한국 中文 — " + strings.Repeat("x", 200)
	if n := testing.AllocsPerRun(100, func() { dst = w.AppendEncode(dst[:0], text, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzWordPiece(f *testing.F) {
	w, err := LoadWordPiece(asmtest.Read(f, "testdata/wordpiece.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "a photo", "[SEP][MASK]ΑΣ'Σ", "\xff\x00é\u0301中", strings.Repeat("a!", 50)} {
		f.Add(s, 8)
	}
	f.Fuzz(func(t *testing.T, text string, most int) {
		ids := w.Encode(text, most)
		if len(ids) < 2 || most > 0 && len(ids) > max(most, 2) || ids[0] != w.specials[cls] || ids[len(ids)-1] != w.specials[sep] {
			t.Fatalf("ids %v", ids)
		}
		for _, id := range ids {
			if id < 0 || int(id) >= w.Vocab() {
				t.Fatalf("id %d of %d", id, w.Vocab())
			}
		}
	})
}

func FuzzLoadWordPiece(f *testing.F) {
	f.Add([]byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##a"))
	f.Add([]byte("[CLS]\r\n\n##\n##x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := LoadWordPiece(data)
		if err != nil {
			return
		}
		if n := bytes.Count(data, []byte("\n")); w.Vocab() < n || w.Vocab() > n+1 {
			t.Fatalf("%d pieces of %d lines", w.Vocab(), n)
		}
		w.Encode("a aaé", 0)
	})
}
