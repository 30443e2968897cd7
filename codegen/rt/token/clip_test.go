package token

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// goldenCase is a case of a tokenizer of another family.
type goldenCase struct {
	Config struct {
		BPE, SPM string
		Context  int
	}
	Runs []struct {
		Text                         string
		IDs, Full, HF, HFFull, Clean []int32
		FtfyPlain                    bool
	}
}

func readCase(t testing.TB, name string) (c goldenCase, vocabulary []byte) {
	t.Helper()
	dir := "testdata/" + name + "/"
	data, err := os.ReadFile(dir + "case.json")
	if err != nil {
		t.Fatal(err)
	}
	var raw struct {
		Config struct {
			BPE     string `json:"bpe"`
			SPM     string `json:"spm"`
			Context int    `json:"context"`
		} `json:"config"`
		Runs []struct {
			Text   string  `json:"text"`
			IDs    []int32 `json:"ids"`
			Full   []int32 `json:"input_ids"`
			HF     []int32 `json:"hf_ids"`
			HFFull []int32 `json:"hf_input_ids"`
			Clean  []int32 `json:"clean_input_ids"`
			Plain  bool    `json:"ftfy_plain"`
		} `json:"runs"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	c.Config.BPE, c.Config.SPM, c.Config.Context = raw.Config.BPE, raw.Config.SPM, raw.Config.Context
	for _, r := range raw.Runs {
		c.Runs = append(c.Runs, struct {
			Text                         string
			IDs, Full, HF, HFFull, Clean []int32
			FtfyPlain                    bool
		}{r.Text, r.IDs, r.Full, r.HF, r.HFFull, r.Clean, r.Plain})
	}
	if vocabulary, err = os.ReadFile(dir + raw.Config.BPE + raw.Config.SPM); err != nil {
		t.Fatal(err)
	}
	return c, vocabulary
}

// padded fills ids up to n.
func padded(ids []int32, n int, pad int32) []int32 {
	for len(ids) < n {
		ids = append(ids, pad)
	}
	return ids
}

// TestCLIPGolden: ids are those of open_clip and of transformers. Texts that were decoded
// by the wrong encoding, which ftfy repairs, are listed.
func TestCLIPGolden(t *testing.T) {
	for name, skipped := range map[string]int{"tokenizer_clip": 8, "tokenizer_clip_tiny": 8} {
		t.Run(name, func(t *testing.T) {
			c, data := readCase(t, name)
			tok, err := LoadCLIP(data)
			if err != nil {
				t.Fatal(err)
			}
			hf, err := LoadCLIPHF(data)
			if err != nil {
				t.Fatal(err)
			}
			repaired := 0
			for _, r := range c.Runs {
				ids := hf.Encode(r.Text, 0)
				if got := ids[1 : len(ids)-1]; !slices.Equal(got, r.HF) {
					t.Errorf("transformers: %q is %v, want %v", r.Text, got, r.HF)
				}
				if !r.FtfyPlain {
					t.Logf("not compared, ftfy repairs its encoding: %q", r.Text)
					repaired++
					continue
				}
				if got := padded(tok.Encode(r.Text, c.Config.Context), c.Config.Context, tok.Pad()); !slices.Equal(got, r.Full) {
					t.Errorf("%q is %v, want %v", r.Text, got, r.Full)
				}
				ids = tok.Encode(r.Text, 0)
				if got := ids[1 : len(ids)-1]; !slices.Equal(got, r.IDs) {
					t.Errorf("%q is %v, want %v", r.Text, got, r.IDs)
				}
			}
			if repaired != skipped {
				t.Errorf("%d texts were not compared, want %d", repaired, skipped)
			}
		})
	}
}

// TestSameIDs: open_clip and transformers read some texts of special characters as they read simpler ones.
func TestSameIDs(t *testing.T) {
	_, clip := readCase(t, "tokenizer_clip_tiny")
	_, unigram := readCase(t, "tokenizer_siglip")
	for _, c := range []struct {
		load       func([]byte) (Tokenizer, error)
		data       []byte
		text, same string
	}{
		{opened(LoadCLIP), clip, "a\u0345b!\u0345? \u0345", "a b ! ?"}, // the mark belongs to no word
		{opened(LoadCLIP), clip, "&nLt;&nGt;", "≪\u20d2≫\u20d2"},
		{opened(LoadSigLIP), unigram, "a &nGt;", "a ≫\u20d2"},
		{opened(LoadSigLIPHF), unigram, "a\u2af4\x1fb\x1e?", "a\u2af4 b"}, // separators are white space
	} {
		tok, err := c.load(c.data)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tok.Encode(c.text, 0), tok.Encode(c.same, 0); !slices.Equal(got, want) {
			t.Errorf("%T: %+q is %v, want %v, the ids of %+q", tok, c.text, got, want, c.same)
		}
	}
}

// opened returns load with its result as a Tokenizer.
func opened[T Tokenizer](load func([]byte) (T, error)) func([]byte) (Tokenizer, error) {
	return func(data []byte) (Tokenizer, error) { return keep(load(data)) }
}
