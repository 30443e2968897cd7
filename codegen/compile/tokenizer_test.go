package compile_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/ir/checkpoint/torchsave"
)

// tokens is the folder of tokenizers for tests.
const tokens = "../rt/token/testdata/"

// A tokenizer belongs to a model with a row for each of its tokens, and few more. An untrained model accepts a tokenizer with fewer
// tokens.
func TestOpenTokenizer(t *testing.T) {
	dir := t.TempDir()
	writeCheckpoint(t, filepath.Join(dir, "m.pth"), "retrieval", torchsave.Options{})
	for _, c := range []struct {
		vocab       int
		weights     string
		tokenizer   string
		want, error string
	}{
		{150, "seed: 1", "tokenizer_siglip/spiece.model", "", "token ids up to 175, but the model's token table has 150 rows; it belongs to another model"},
		{176, "checkpoint: m.pth", "tokenizer_siglip/spiece.model", "", ""},
		{240, "checkpoint: m.pth", "tokenizer_siglip/spiece.model", "", ""},
		{241, "checkpoint: m.pth", "tokenizer_siglip/spiece.model", "", "token ids up to 175, but the model's token table has 241 rows, of which the tokenizer never uses the last 65; it belongs to another model"},
		{241, "seed: 1", "tokenizer_siglip/spiece.model", "", ""},
	} {
		text := fmt.Sprintf("model: 1\nfamily: beit3\nsizes: {dim: 64, heads: 4, ffn: 96, layers: 2, image: 16, patch: 8, vocab: %d, positions: 12}\n%s\ntokenizer: %s\n",
			c.vocab, c.weights, filepath.Base(c.tokenizer))
		asmtest.Write(t, filepath.Join(dir, "model.yaml"), text)
		asmtest.Write(t, filepath.Join(dir, filepath.Base(c.tokenizer)), string(asmtest.Read(t, tokens+c.tokenizer)))
		m, err := compile.Open(filepath.Join(dir, "model.yaml"))
		if err == nil {
			m.Close()
		}
		if c.error == "" && err != nil || c.error != "" && (err == nil || !strings.Contains(err.Error(), c.error)) {
			t.Errorf("%d rows, %s: %v, want %q", c.vocab, c.weights, err, c.error)
		}
	}
}

// A vocab.json is read with the merges.txt beside it, in the form of the description.
func TestOpenVocabulary(t *testing.T) {
	dir := t.TempDir()
	vocab, merges := faceVocabulary(t)
	asmtest.Write(t, filepath.Join(dir, "vocab.json"), vocab)
	text := "model: 1\nfamily: beit3\nsizes: {dim: 64, heads: 4, ffn: 96, layers: 2, image: 16, patch: 8, vocab: 764, positions: 12}\nseed: 1\ntokenizer: {file: vocab.json, form: open_clip}\n"
	path := filepath.Join(dir, "model.yaml")
	asmtest.Write(t, path, text)
	if _, err := compile.Open(path); err == nil || !strings.Contains(err.Error(), "give merges.txt, which stands beside it") {
		t.Errorf("without merges: %v", err)
	}
	asmtest.Write(t, filepath.Join(dir, "merges.txt"), merges)
	m, err := compile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if in := fmt.Sprint(m.Inputs()); !strings.Contains(in, "vocab.json") || !strings.Contains(in, "merges.txt") {
		t.Errorf("inputs %s", in)
	}
	r, err := m.Reader()
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Read(nil, []string{"it&amp;s"}, nil) // open_clip reads entities
	if err != nil {
		t.Fatal(err)
	}
	entity := s.Texts[0].IDs
	asmtest.Write(t, path, strings.Replace(text, "open_clip", "hf", 1))
	if m, err = compile.Open(path); err != nil {
		t.Fatal(err)
	}
	if r, err = m.Reader(); err != nil {
		t.Fatal(err)
	}
	if s, err = r.Read(nil, []string{"it&amp;s"}, nil); err != nil {
		t.Fatal(err)
	}
	if len(s.Texts[0].IDs) <= len(entity) {
		t.Errorf("transformers gives %v, open_clip %v", s.Texts[0].IDs, entity)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(text, "{file: vocab.json, form: open_clip}", "{form: hf}", 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := compile.Open(path); err == nil || !strings.Contains(err.Error(), "tokenizer.file is missing; want {file: FILE, form: FORM}, or just the file") {
		t.Errorf("without a file: %v", err)
	}
}

// A tokenizer.json of kind Unigram stands for the SentencePiece model that it was made from.
func TestOpenTokenizerUnigram(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.yaml")
	ids := func(change func(whole object), pieces ...string) ([]int32, error) {
		t.Helper()
		vocab := [][2]any{}
		for i, p := range pieces {
			vocab = append(vocab, [2]any{p, -float64(i) / 8})
		}
		whole := object{"normalizer": object{"type": "Sequence", "normalizers": []object{{"type": "Strip"}, {"type": "Replace", "pattern": object{"Regex": " {2,}"}, "content": "▁"}, {"type": "Precompiled", "precompiled_charsmap": ""}}},
			"pre_tokenizer": object{"type": "Metaspace", "prepend_scheme": "always"}, "model": object{"type": "Unigram", "vocab": vocab}}
		if change != nil {
			change(whole)
		}
		asmtest.Write(t, filepath.Join(dir, "tokenizer.json"), asJSON(t, whole))
		asmtest.Write(t, path, "model: 1\nfamily: beit3\nsizes: {dim: 64, heads: 4, ffn: 96, layers: 2, image: 16, patch: 8, vocab: 20, positions: 12}\nseed: 1\ntokenizer: tokenizer.json\n")
		m, err := compile.Open(path)
		if err != nil {
			return nil, err
		}
		defer m.Close()
		r, err := m.Reader()
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Read(nil, []string{"cat  cats x"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Texts[0].IDs, nil
	}
	xlmr := []string{"<s>", "<pad>", "</s>", "<unk>", "▁cat", "s", "▁", "<mask>"}
	for _, c := range []struct {
		pieces []string
		want   []int32
	}{
		{xlmr, []int32{0, 4, 4, 5, 6, 3, 2}},
		{[]string{"<pad>", "</s>", "<unk>", "▁cat", "s", "▁"}, []int32{3, 3, 4, 5, 2, 1}},
	} {
		got, err := ids(nil, c.pieces...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got[:min(len(got), len(c.want))]); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.pieces, diff)
		}
	}
	_, err := ids(nil, "a", "b")
	asmtest.ErrorSays(t, err, "model.vocab starts neither with <s>, <pad>, </s>, <unk>")
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"pre_tokenizer", object{"type": "Whitespace"}, `pre_tokenizer is "Whitespace" with prepend_scheme "", want Metaspace with always`},
		{"normalizer", object{"type": "NFKC"}, `normalizer.type is "NFKC", want Precompiled`},
		{"normalizer", object{"type": "Precompiled", "precompiled_charsmap": "!"}, "normalizer.precompiled_charsmap: "},
		{"model", object{"type": "Unigram", "vocab": []any{[]any{1, 2}}}, "model.vocab[0]: want a text and a number"},
	} {
		_, err := ids(func(whole object) { whole[c.key] = c.value }, xlmr...)
		asmtest.ErrorSays(t, err, c.want)
	}
}

// A tokenizer.json of kind WordPiece stands for its vocabulary; one of another kind says which file to give.
func TestOpenTokenizerJSON(t *testing.T) {
	dir := t.TempDir()
	pieces := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "##s", "猫", "a", "é"}
	whole := func() object {
		ids := object{}
		for i, p := range pieces {
			ids[p] = i
		}
		return object{"version": "1.0", "normalizer": object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
			"model": object{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids}}
	}
	path := filepath.Join(dir, "model.yaml")
	ids := func(tokenizer string) ([]int32, error) {
		t.Helper()
		asmtest.Write(t, path, "model: 1\nfamily: vlmo\nsizes: {dim: 64, heads: 4, ffn: 96, layers: 2, image: 16, patch: 8, vocab: 9}\nseed: 1\ntokenizer: "+tokenizer+"\n")
		m, err := compile.Open(path)
		if err != nil {
			return nil, err
		}
		defer m.Close()
		r, err := m.Reader()
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Read(nil, []string{"A Cats 猫 dog"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Texts[0].IDs, nil
	}
	asmtest.Write(t, filepath.Join(dir, "vocab.txt"), strings.Join(pieces, "\n"))
	asmtest.Write(t, filepath.Join(dir, "tokenizer.json"), asJSON(t, whole()))
	want, err := ids("vocab.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ids("tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 7 {
		t.Errorf("ids (-vocab.txt +tokenizer.json):\n%s", diff)
	}
	for _, c := range []struct {
		in, key string
		value   any
		want    string
	}{
		{"normalizer", "lowercase", false, "normalizer.lowercase is false: WordPiece is built in lower case only"},
		{"normalizer", "type", "NFC", `normalizer.type is "NFC", want BertNormalizer`},
		{"normalizer", "strip_accents", false, "with handle_chinese_chars and strip_accents only"},
		{"model", "continuing_subword_prefix", "", `model: continuing_subword_prefix is "" and max_input_chars_per_word 100, want ## and 100`},
		{"model", "vocab", object{"a": 1}, `model.vocab: "a" has id 1, want ids from 0 to 0`},
		{"model", "vocab", object{"a": 0, "b": 0}, "has id 0, want ids from 0 to 1, each once"},
		{"model", "vocab", []int{1}, "model.vocab is no object of ids"},
		{"model", "type", "Unigram", "model.vocab is no list of texts with numbers"},
		{"model", "byte_fallback", true, `a tokenizer.json of kind "WordPiece" with bytes is not read; give the SentencePiece model`},
		{"model", "type", "BPE", "model.end_of_word_suffix"},
	} {
		x := whole()
		x[c.in].(object)[c.key] = c.value
		asmtest.Write(t, filepath.Join(dir, "tokenizer.json"), asJSON(t, x))
		_, err := ids("tokenizer.json")
		asmtest.ErrorSays(t, err, c.want)
	}
}

// faceVocabulary returns the small vocabulary of CLIP in Hugging Face's form: vocab.json and merges.txt.
func faceVocabulary(t testing.TB) (vocab, merges string) {
	t.Helper()
	lines := strings.Split(unpacked(t, tokens+"tokenizer_clip_tiny/bpe.txt.gz"), "\n")[1:]
	var symbols []string
	other := rune(0x100)
	for b := range 256 {
		if 33 <= b && b <= 126 || 161 <= b && b <= 172 || b >= 174 {
			symbols = append(symbols, string(rune(b)))
		}
	}
	for len(symbols) < 256 {
		symbols = append(symbols, string(other))
		other++
	}
	for _, s := range symbols[:256] {
		symbols = append(symbols, s+"</w>")
	}
	merges = "#version: 0.2\n"
	for _, l := range lines[:250] {
		symbols = append(symbols, strings.Replace(l, " ", "", 1))
		merges += l + "\n"
	}
	symbols = append(symbols, "<|startoftext|>", "<|endoftext|>")
	all := map[string]int{}
	for i, s := range symbols {
		all[s] = i
	}
	return asJSON(t, all), merges
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unpacked reads a gzip file.
func unpacked(t testing.TB, path string) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(asmtest.Read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
