package token

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestLoadErrors(t *testing.T) {
	tiny := read(t, "tokenizer/tiny.spm")
	good := withPieces(norm("a", -1))
	with := func(change func(f *file)) []byte {
		f := good
		f.pieces = slices.Clone(f.pieces)
		change(&f)
		return f.bytes()
	}
	charsmap := func(blob []byte) []byte {
		return with(func(f *file) { f.normaliser = chunk(nil, 2, blob) })
	}
	small := rules(map[byte]string{'A': "a"})
	patch := func(at int, v uint32) []byte {
		b := slices.Clone(small)
		binary.LittleEndian.PutUint32(b[at:], v)
		return charsmap(b)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "the file is empty"},
		{"text", []byte("<!DOCTYPE html>"), "not a SentencePiece model: the first byte is 0x3c"},
		{"lfs", []byte("version https://git-lfs.github.com/spec/v1\noid"), "Git LFS pointer"},
		{"first piece cut", tiny[:10], "or one cut off in its first piece"},
		{"half", tiny[:len(tiny)/2], "the SentencePiece model is cut off after 139 pieces"},
		{"last byte missing", tiny[:len(tiny)-1], "the SentencePiece model is cut off after 139 pieces"},
		{"cut in a piece", tiny[:300], "the SentencePiece model is cut off after 20 pieces"},
		{"cut between pieces", with(func(f *file) { f.trainer, f.normaliser = nil, nil }), "without a normalizer_spec"},
		{"no normaliser", with(func(f *file) { f.normaliser = nil }), "without a normalizer_spec"},
		{"tail of rubbish", append(good.bytes(), 0x3c, 0x3c), "corrupt after 4 pieces: byte 59: field 7 has wire type 4"},
		{"field zero", append(good.bytes(), 0x02, 0x00), "field number 0"},
		{"endless number", append(good.bytes(), bytesOf(0xff, 12)...), "longer than 64 bits"},
		{"piece is a number", append(good.bytes(), 1<<3, 1), "field 1 has wire type 0, want 2"},
		{"text is a number", append(good.bytes(), chunk(nil, 1, number(nil, 1, 5))...), "pieces[4]: byte 61: field 1 has wire type 0, want 2"},
		{"piece's field too long", append(good.bytes(), chunk(nil, 1, []byte{1<<3 | chunked, 9})...), "pieces[4]: cut off: field 1 at byte 61 needs 9 bytes, 0 are left"},
		{"huge length", append(good.bytes(), 1<<3|chunked, 0xff, 0xff, 0xff, 0xff, 0x7f), "needs 34359738367 bytes, 0 are left"},
		{"BPE", with(func(f *file) { f.trainer = number(nil, 3, 2) }), "is a BPE model, want a Unigram model"},
		{"word", with(func(f *file) { f.trainer = number(nil, 3, 3) }), "is a word model"},
		{"character", with(func(f *file) { f.trainer = number(nil, 3, 4) }), "is a character model"},
		{"type 0", with(func(f *file) { f.trainer = number(nil, 3, 0) }), "is of unknown type 0"},
		{"suffix", with(func(f *file) { f.trainer = number(nil, 24, 1) }), "treat_whitespace_as_suffix"},
		{"byte fallback", with(func(f *file) { f.trainer = number(nil, 35, 1) }), "byte_fallback"},
		{"byte piece", with(func(f *file) { f.pieces[3].kind = byteValue }), "byte fallback"},
		{"trainer corrupt", with(func(f *file) { f.trainer = []byte{0xff} }), "trainer_spec: cut off"},
		{"normaliser corrupt", with(func(f *file) { f.normaliser = []byte{0xff} }), "normalizer_spec: cut off"},
		{"two pieces", file{pieces: good.pieces[:2], normaliser: []byte{}}.bytes(), "has 2 pieces"},
		{"unk not first", with(func(f *file) { f.pieces[0], f.pieces[1] = f.pieces[1], f.pieces[0] }), `pieces[0] "<s>" has type 3, want 2`},
		{"no eos", with(func(f *file) { f.pieces[2] = norm("b", 0) }), `pieces[2] "b" has type 1, want 3`},
		{"two unk", with(func(f *file) { f.pieces[3].kind = unknown }), "second unknown"},
		{"type 7", with(func(f *file) { f.pieces[3].kind = 7 }), "has type 7, want 1 to 6"},
		{"empty piece", with(func(f *file) { f.pieces[3].text = nil }), "pieces[3] at byte 45 is empty"},
		{"long piece", with(func(f *file) { f.pieces[3].text = bytesOf('a', maxPiece+1) }), "257 bytes long, want at most 256"},
		{"long replacement of <unk>", with(func(f *file) { f.trainer = chunk(nil, 44, bytesOf('a', maxSurface+1)) }), "257 bytes long, want at most 256"},
		{"zero byte", with(func(f *file) { f.pieces[3].text = []byte("a\x00") }), "zero byte"},
		{"NaN", with(func(f *file) { f.pieces[3].score = float32(math.NaN()) }), "score NaN"},
		{"infinite", with(func(f *file) { f.pieces[3].score = float32(math.Inf(1)) }), "score +Inf"},
		{"user-defined twice", with(func(f *file) {
			f.pieces = append(f.pieces, piece{[]byte("a"), 0, userDefined})
		}), `pieces[3] and pieces[4] are both "a"`},
		{"twice", with(func(f *file) { f.pieces = append(f.pieces, norm("a", -2)) }), `pieces[3] and pieces[4] are both "a"`},
		{"charsmap short", charsmap([]byte{1, 2, 3}), "has 3 bytes, want at least 4"},
		{"charsmap trie too long", patch(0, 4096), "said to take 4096 bytes"},
		{"charsmap trie empty", patch(0, 0), "want a multiple of 1024"},
		{"charsmap trie odd", patch(0, 1028), "want a multiple of 1024"},
		{"charsmap no zero", charsmap(append(slices.Clone(small), 'x')), "do not end with a zero byte"},
		{"charsmap long replacement", charsmap(rules(map[byte]string{'A': strings.Repeat("a", maxRule+1)})), "is 129 bytes long"},
		{"charsmap leaf outside", patch(4+4*'A', leaf|5), "points at byte 5 of 3"},
		{"charsmap unit outside", patch(4+4*300, 512<<10), "trie unit 300 points at unit 812 of 512"},
		{"charsmap no leaf", patch(4+4*'A', 'A'), "is not a leaf"},
		{"charsmap root leaf", patch(4, leaf), "root of the trie is a leaf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, err := Load(c.data)
			if err == nil || u != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Load = %v, %v, want an error with %q", u, err, c.want)
			}
		})
	}
}

func bytesOf(b byte, n int) []byte { return slices.Repeat([]byte{b}, n) }

func TestLoadTooLarge(t *testing.T) {
	if _, err := Load(make([]byte, MaxFile+1)); err == nil || !strings.Contains(err.Error(), "at most 67108864") {
		t.Errorf("Load of a file above the limit: %v", err)
	}
}

// Every cut of a real file is an error, until all that matters is there.
func TestLoadCut(t *testing.T) {
	data := read(t, "tokenizer/tiny.spm")
	for n := 0; n < len(data); n++ {
		if n > 4000 && n < len(data)-100 && n%1009 != 0 {
			continue
		}
		if _, err := Load(data[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes load", n, len(data))
		}
	}
}

// A damaged file is refused or gives a tokenizer that does not panic.
func TestLoadDamaged(t *testing.T) {
	good := read(t, "tokenizer/tiny.spm")
	random := rand.New(rand.NewPCG(1, 2))
	text := "a photo of two people, Ｆｕｌｌ ½ \xff e\u0301 " + strings.Repeat("x\u0301", 50)
	for range 300 {
		data := slices.Clone(good)
		for range 1 + random.IntN(8) {
			data[random.IntN(len(data))] = byte(random.IntN(256))
		}
		if u, err := Load(data); err == nil {
			checkEncode(t, u, text, 16)
		}
	}
}

func TestDefaults(t *testing.T) {
	f := withPieces(norm("\u2581", -2), norm("\u2581a", -1))
	f.trainer = nil
	u := load(t, f.bytes())
	if got, want := fmt.Sprint(u.Encode(" a  b ", 0)), "[0 5 4 3 2]"; got != want {
		t.Errorf("without trainer_spec: %s, want %s", got, want)
	}
}

// Fields that this package does not know are skipped.
func TestUnknownFields(t *testing.T) {
	f := withPieces(norm("\u2581a", -1))
	f.trainer = chunk(number(nil, 4, 8000), 7, []byte("text"))
	data := chunk(f.bytes(), 4, []byte("self test"))
	data = append(data, 200<<3&0x7f|fixed64|0x80, 200>>4, 1, 2, 3, 4, 5, 6, 7, 8)
	u := load(t, data)
	if got, want := fmt.Sprint(u.Encode("a", 0)), "[0 4 2]"; got != want {
		t.Errorf("Encode = %s, want %s", got, want)
	}
}

func TestTrie(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	pieces, ids, byText := []piece{norm("unused", 0)}, []int32{}, map[string]uint32{}
	for len(pieces) < 500 {
		b := make([]byte, 1+random.IntN(40))
		for i := range b {
			b[i] = byte(1 + random.IntN(2)*random.IntN(255))
		}
		if byText[string(b)] == 0 {
			byText[string(b)] = uint32(len(pieces))
			ids = append(ids, int32(len(pieces)))
			pieces = append(pieces, norm(string(b), 0))
		}
	}
	tr, err := newTrie(pieces, ids)
	if err != nil {
		t.Fatal(err)
	}
	for text := range byText {
		node, longest := uint32(0), 0
		for i := range len(text) {
			node = tr.step(node, text[i])
			want := byText[text[:i+1]]
			if got := node; got == 0 || (want != 0 || got < tr.pieces) && got != want {
				t.Fatalf("the node of %q is %d, want %d", text[:i+1], got, want)
			}
			if want != 0 {
				longest = i + 1
			}
		}
		if got := tr.longest(text + "\x00"); got != longest {
			t.Errorf("longest(%q) = %d, want %d", text, got, longest)
		}
		if got := tr.step(node, 0); got != 0 {
			t.Errorf("%q is followed by a zero byte: node %d", text, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(withPieces(norm("\u2581a", -1), norm("a", -2)).bytes(), "a aa\xff")
	u := withPieces(norm("\u2581a", -1), piece{[]byte("bb"), 0, userDefined}, piece{[]byte("c"), 0, unused})
	u.normaliser = chunk(number(nil, 4, 0), 2, rules(map[byte]string{'A': "a", '\t': " "}))
	f.Add(u.bytes(), "A\tbbc")
	f.Add([]byte("\n\x0e\n\x05<unk>"), "")
	tiny := read(f, "tokenizer/tiny.spm")
	f.Add(tiny[:1000], "a")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		if u, err := Load(data); err == nil {
			checkEncode(t, u, text, 8)
		}
	})
}

// The copy of beit3.spm that circulates is refused by name, wherever its cut falls.
func TestLoadCutCopyOfBEiT3(t *testing.T) {
	data := bigVocabulary(64000).bytes()
	if len(data) <= circulating {
		t.Fatalf("%d bytes are no model to cut", len(data))
	}
	_, err := Load(data[:circulating])
	if err == nil || !strings.Contains(err.Error(), "cut off") || !strings.Contains(err.Error(), "beit3.spm") || !strings.Contains(err.Error(), "768 KiB") {
		t.Errorf("got %v", err)
	}
	if _, err = Load(data[:circulating-1]); err == nil || strings.Contains(err.Error(), "beit3.spm") {
		t.Errorf("a byte less: got %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"pieces=938", read(b, "tokenizer-data/own-small.model")},
		{"pieces=64000", bigVocabulary(64000).bytes()},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Load(c.data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
