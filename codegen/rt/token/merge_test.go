package token

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// mergeSlowly joins symbols as the definition says: of all pairs the one of lowest rank, the
// leftmost of several, one at a time.
func mergeSlowly(j joiner, text []byte, symbols []symbol) []uint32 {
	s := slices.Clone(symbols)
	for {
		best, at := uint32(0), -1
		for i := 0; i+1 < len(s); i++ {
			if s[i].fixed || s[i+1].fixed {
				continue
			}
			if _, rank, ok := j.join(s[i].id, s[i+1].id, text[s[i+1].from:s[i+1].to]); ok && (at < 0 || rank < best) {
				best, at = rank, i
			}
		}
		if at < 0 {
			break
		}
		r := s[at+1]
		s[at].id, _, _ = j.join(s[at].id, r.id, text[r.from:r.to])
		s[at].to = r.to
		s = slices.Delete(s, at+1, at+2)
	}
	var ids []uint32
	for _, x := range s {
		ids = append(ids, x.id)
	}
	return ids
}

func checkMerge(t *testing.T, j joiner, text []byte, first func([]byte) (int, uint32, bool)) {
	t.Helper()
	var m merger
	for i := 0; i < len(text); {
		n, id, fixed := first(text[i:])
		m.add(i, i+n, id, fixed)
		i += n
	}
	want := mergeSlowly(j, text, m.symbols)
	m.merge(j, text)
	var got []uint32
	for i := int32(0); i >= 0 && len(m.symbols) > 0; i = m.symbols[i].next {
		got = append(got, m.symbols[i].id)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q joins to %v, want %v", text, got, want)
	}
}

// TestMergeEqualsDefinition compares the merge loop with its definition, for byte pairs and for the scores of a BPE model.
func TestMergeEqualsDefinition(t *testing.T) {
	_, data := readCase(t, "tokenizer_clip_tiny")
	clip, err := LoadCLIP(data)
	if err != nil {
		t.Fatal(err)
	}
	_, data = readCase(t, "tokenizer_gemma")
	gemma, err := LoadSigLIPHF(data)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Split("photo standing the café東京 안녕 aaaa nnnn people ▁▁ 😀 in ing re don't colon", " ")
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var text []byte
		for range r.IntN(20) {
			w := words[r.IntN(len(words))]
			if r.IntN(2) == 0 {
				text = append(text, "▁"...)
			}
			text = append(text, w[:r.IntN(len(w)+1)]...)
		}
		checkMerge(t, clip, text, func(b []byte) (int, uint32, bool) {
			if len(b) == 1 {
				return 1, clip.last[b[0]], false
			}
			return 1, clip.inside[b[0]], false
		})
		checkMerge(t, gemma, []byte(strings.ToValidUTF8(string(text), "")), gemma.first)
	}
}

// joins counts the pairs that a merge loop looks up.
type joins struct {
	joiner
	n int
}

func (j *joins) join(l, r uint32, text []byte) (uint32, uint32, bool) {
	j.n++
	return j.joiner.join(l, r, text)
}

// TestTextWithoutSpaces: the work on a text without spaces grows with its length, not with its square.
func TestTextWithoutSpaces(t *testing.T) {
	_, data := readCase(t, "tokenizer_clip")
	clip, err := LoadCLIP(data)
	if err != nil {
		t.Fatal(err)
	}
	_, data = readCase(t, "tokenizer_gemma")
	gemma, err := LoadSigLIPHF(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"a", "photo", "東", "ab", "e\u0301"} {
		text := []byte(strings.Repeat(unit, (1<<20)/len(unit)))
		for _, j := range []joiner{clip, gemma} {
			var m merger
			for i := 0; i < len(text); {
				n, id := 1, clip.inside[text[i]]
				if j == joiner(gemma) {
					n, id, _ = gemma.first(text[i:])
				}
				m.add(i, i+n, id, false)
				i += n
			}
			count := &joins{joiner: j}
			symbols := len(m.symbols)
			if m.merge(count, text); count.n > 5*symbols {
				t.Errorf("%d symbols of %q take %d look-ups", symbols, unit, count.n)
			}
		}
	}
}

// TestHostileMarks: texts made to be slow are split in the end: marks in no order, nested entities, escapes.
func TestHostileMarks(t *testing.T) {
	_, data := readCase(t, "tokenizer_clip_tiny")
	clip, err := LoadCLIP(data)
	if err != nil {
		t.Fatal(err)
	}
	hf, err := LoadCLIPHF(data)
	if err != nil {
		t.Fatal(err)
	}
	const n = 1 << 18
	for _, text := range []string{
		"a" + strings.Repeat("\u0301\u0323", n), strings.Repeat("&amp", n) + ";", "&" + strings.Repeat("amp;", n),
		"&" + strings.Repeat("#xFF06;", n), strings.Repeat("&semi", n) + ";", strings.Repeat("\x1b[1", n), strings.Repeat("Σ.", n), strings.Repeat("<|", n), strings.Repeat("&#1", n),
	} {
		if ids := clip.Encode(text, 77); len(ids) > 77 || ids[len(ids)-1] != clip.end {
			t.Errorf("%.20q: %v", text, ids)
		}
		if ids := hf.Encode(text, 77); len(ids) > 77 || ids[len(ids)-1] != hf.end {
			t.Errorf("transformers: %.20q: %v", text, ids)
		}
	}
}

// TestMergesDoNotAllocate: with buffers of the right size splitting allocates nothing.
func TestMergesDoNotAllocate(t *testing.T) {
	text := "A photo of two dogs, it's ½ Ｆｕｌｌ ﬁ caf\u0065\u0301 \xff " + strings.Repeat("and more ", 30)
	for _, name := range []string{"tokenizer_clip_tiny", "tokenizer_gemma", "tokenizer_siglip"} {
		_, data := readCase(t, name)
		tok, err := Open(data, "")
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]int32, 0, 1000)
		if n := testing.AllocsPerRun(200, func() { dst = tok.AppendEncode(dst[:0], text, 64) }); n > 3 {
			t.Errorf("%s: %v allocations a text", name, n)
		}
		if len(dst) != 64 {
			t.Errorf("%s: %d ids", name, len(dst))
		}
	}
}

func zipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.Bytes()
}

const mergesHead = "#version: 0.2\n"

// TestHostileMerges: vocabularies that are wrong are refused by one line, in memory that is bounded.
func TestHostileMerges(t *testing.T) {
	var many strings.Builder
	many.WriteString(`{"a":0`)
	for i := range 100_000 {
		fmt.Fprintf(&many, `,"x%d":%d`, i, i)
	}
	many.WriteString("}\n")
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"zip bomb", zipped(mergesHead + strings.Repeat("a b\n", 64<<20/4)), "more than 16777216 bytes when unpacked"},
		{"cut gzip", zipped(mergesHead + "a b</w>\n")[:30], "cut off"},
		{"gzip of nothing", zipped(""), "the first line is"},
		{"bad gzip", []byte{0x1f, 0x8b, 8, 0, 1}, "CLIP vocabulary"},
		{"one symbol", []byte(mergesHead + "ab\n"), `merge 1 is "ab", want two symbols`},
		{"from nowhere", []byte(mergesHead + "a b\nabc d</w>\n"), "of which no line before makes one part"},
		{"cycle", []byte(mergesHead + "ab a</w>\na b\n"), "of which no line before makes one part"},
		{"twice", []byte(mergesHead + "a b</w>\na b</w>\n"), "is made a second time"},
		{"two ways", []byte(mergesHead + "a b\nb c\nab c\na bc\n"), "is made a second time"},
		{"past the end", []byte(mergesHead + "a</w> b\n"), "ends a word"},
		{"GPT-2", []byte(mergesHead + "a b\n"), "GPT-2"},
		{"invalid UTF-8", []byte(mergesHead + "\xff\xfe b</w>\n"), "of which no line before makes one part"},
		{"vocab.json", []byte(many.String()), "give merges.txt"},
		{"vocab.json of another", []byte(many.String() + mergesHead + "a b</w>\n"), "the vocabulary lacks"},
		{"huge id", []byte(`{"!":4000000000}` + mergesHead + "a b</w>\n"), "has id 4000000000"},
		{"id beyond", []byte(`{"!":99999999999}`), "vocab.json"},
		{"other JSON", []byte(`{"model":{"type":"Unigram"}}`), "model.type is"},
		{"cut JSON", []byte(`{"model":{"type":`), "CLIP vocabulary"},
		{"deep JSON", []byte(`{"a":` + strings.Repeat("[", 1<<20)), "CLIP vocabulary"},
		{"pair of three", []byte(`{"model":{"type":"BPE","end_of_word_suffix":"</w>","merges":[["a","b","c"]]}}`), "model.merges[0] is no pair"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if got, most := asmtest.Allocated(func() { _, err = Open(c.data, "") }), 60*len(c.data)+100<<20; got > most {
				t.Errorf("%d bytes take %d in all, want at most %d", len(c.data), got, most)
			}
			if err == nil || len(err.Error()) > 1000 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %.300v, want a short one with %q in it", err, c.want)
			}
		})
	}
}

func checkFamily(t *testing.T, tok Tokenizer, text string) {
	t.Helper()
	all := tok.Encode(text, 0)
	for _, id := range all {
		if id < 0 || int(id) >= tok.Vocab() {
			t.Errorf("%q has id %d of %d", text, id, tok.Vocab())
		}
	}
	short := tok.Encode(text, 5)
	if len(short) > 5 || len(short) == 0 || short[len(short)-1] != all[len(all)-1] {
		t.Errorf("%q is %v, cut to 5 %v", text, all, short)
	}
	if n := len(short) - 1; !slices.Equal(short[:n], all[:n]) {
		t.Errorf("%q is %v, cut to 5 %v", text, all, short)
	}
}

func FuzzCLIP(f *testing.F) {
	_, data := readCase(f, "tokenizer_clip_tiny")
	f.Add(data, "a photo")
	f.Add([]byte(mergesHead+"a b</w>\nc d\ncd e</w>\n"), "ab CDE &amp;amp; \u0301 ﬁ")
	f.Add([]byte(`{"model":{"type":"BPE","end_of_word_suffix":"</w>","vocab":{"!":0},"merges":["a b"]}}`), "<|endoftext|>")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		for _, load := range []func([]byte) (*CLIP, error){LoadCLIP, LoadCLIPHF} {
			if tok, err := load(data); err == nil {
				checkFamily(t, tok, text)
			}
		}
	})
}

func FuzzSigLIP(f *testing.F) {
	for _, name := range []string{"tokenizer_siglip", "tokenizer_gemma"} {
		_, data := readCase(f, name)
		f.Add(data, "a photo, 東京 <unk>")
	}
	small := file{pieces: []piece{{[]byte("<pad>"), 0, control}, {[]byte("</s>"), 0, control}, {[]byte("<s>"), 0, control}, {[]byte("<unk>"), 0, unknown},
		norm("ab", -1), norm("a", -3), norm("b", -3), {[]byte("ba"), 0, userDefined}}, trainer: number(nil, 3, 2), normaliser: number(nil, 3, 0)}
	f.Add(small.bytes(), "abba aab")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		for _, load := range []func([]byte) (*SigLIP, error){LoadSigLIP, LoadSigLIPHF} {
			if tok, err := load(data); err == nil {
				checkFamily(t, tok, text)
			}
		}
	})
}
