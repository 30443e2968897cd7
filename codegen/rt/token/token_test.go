package token

import (
	"bufio"
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

const testdata = "../../../golden/testdata"

func read(t testing.TB, name string) []byte {
	t.Helper()
	return asmtest.Read(t, filepath.Join(testdata, name))
}

func load(t testing.TB, data []byte) *Unigram {
	t.Helper()
	u, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// spCase is one line of a .jsonl of expected ids, as Google's library gave
// them.
type spCase struct {
	Text []byte  `json:"text_b64"`
	IDs  []int32 `json:"ids"`
	XLMR []int32 `json:"xlmr_ids"`
}

func spCases(t testing.TB, data []byte) []spCase {
	t.Helper()
	var cases []spCase
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c spCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	return cases
}

// spID turns an id of Encode into one of SentencePiece.
func spID(id int32) int32 {
	if id == Unk {
		return 0
	}
	return id - 1
}

func checkSPCases(t *testing.T, u *Unigram, cases []spCase) {
	for _, c := range cases {
		got := u.Plain().Encode(string(c.Text), 0)
		if diff := cmp.Diff(c.XLMR, got); diff != "" {
			t.Errorf("Encode(%q) (-want +got):\n%s", c.Text, diff)
		}
		sp := []int32{}
		for _, id := range got[1 : len(got)-1] {
			sp = append(sp, spID(id))
		}
		if diff := cmp.Diff(c.IDs, sp); diff != "" {
			t.Errorf("SentencePiece ids of %q (-want +got):\n%s", c.Text, diff)
		}
	}
}

func TestSentencePiece(t *testing.T) {
	u := load(t, read(t, "tokenizer-data/own-small.model"))
	checkSPCases(t, u, spCases(t, read(t, "tokenizer-data/own-small.jsonl")))
}

func TestGoldenCase(t *testing.T) {
	var golden struct {
		Config struct {
			SPM    string `json:"spm"`
			Pieces int    `json:"spm_pieces"`
			Mask   int32  `json:"mask_id"`
			Vocab  int    `json:"tokenizer_vocab_size"`
			MaxLen int    `json:"max_len"`
		}
		Runs []struct {
			Text      string
			Pieces    []string
			IDs       []int32
			InputIDs  []int32 `json:"input_ids"`
			NumTokens int     `json:"num_tokens"`
		}
	}
	if err := json.Unmarshal(read(t, "tokenizer/case.json"), &golden); err != nil {
		t.Fatal(err)
	}
	c := golden.Config
	u := load(t, read(t, "tokenizer/"+c.SPM))
	if u.Vocab() != c.Vocab || u.Mask() != c.Mask || u.Vocab() != c.Pieces+2 {
		t.Errorf("Vocab, Mask = %d, %d, want %d, %d", u.Vocab(), u.Mask(), c.Vocab, c.Mask)
	}
	for _, r := range golden.Runs {
		if diff := cmp.Diff(r.Pieces, u.Pieces(r.Text)); diff != "" {
			t.Errorf("Pieces(%q) (-want +got):\n%s", r.Text, diff)
		}
		all := u.Encode(r.Text, 0)
		if diff := cmp.Diff(r.IDs, all[1:len(all)-1]); diff != "" {
			t.Errorf("Encode(%q, 0) (-want +got):\n%s", r.Text, diff)
		}
		ids := u.Encode(r.Text, c.MaxLen)
		if len(ids) != r.NumTokens {
			t.Errorf("Encode(%q, %d) gave %d ids, want %d", r.Text, c.MaxLen, len(ids), r.NumTokens)
		}
		for len(ids) < c.MaxLen {
			ids = append(ids, Pad)
		}
		if diff := cmp.Diff(r.InputIDs, ids); diff != "" {
			t.Errorf("Encode(%q, %d), padded (-want +got):\n%s", r.Text, c.MaxLen, diff)
		}
	}
}
