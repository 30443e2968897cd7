package token

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// normalise is what Encode does to text before it looks for pieces, all at
// once.
func normalise(u *Unigram, text string) string {
	out, squeeze := "", u.squeeze
	if text == "" {
		return ""
	}
	if u.dummyPrefix {
		out = u.space
	}
	for text != "" {
		rep, n := u.prefix(text)
		text = text[n:]
		if squeeze {
			rep = strings.TrimLeft(rep, " ")
		}
		if rep != "" {
			squeeze = u.squeeze && strings.HasSuffix(rep, " ")
			if u.escape {
				rep = strings.ReplaceAll(rep, " ", "\u2581")
			}
			out += rep
		}
	}
	for u.squeeze && strings.HasSuffix(out, u.space) {
		out = strings.TrimSuffix(out, u.space)
	}
	return out
}

// simple is Encode(text, 0) and Pieces(text) in the plainest way.
func simple(u *Unigram, text string) ([]int32, []string) {
	text = normalise(u, text)
	type arc struct {
		score    float32
		from, id int
	}
	best := make([]arc, len(text)+1)
	for i := range best {
		best[i].from = -1
	}
	for at := 0; at < len(text); {
		char := min(at+charLen(text[at]), len(text))
		single := false
		for id, kind := range u.kinds {
			p, _ := u.Piece(int32(id) + 1)
			if kind != normal && kind != userDefined || !strings.HasPrefix(text[at:], p) {
				continue
			}
			end := at + len(p)
			single = single || end == char
			if sum := u.score[id] + float64(best[at].score); best[end].from < 0 || sum > float64(best[end].score) {
				best[end] = arc{float32(sum), at, id}
			}
		}
		if !single {
			if sum := u.unkScore + best[at].score; best[char].from < 0 || sum > best[char].score {
				best[char] = arc{sum, at, 0}
			}
		}
		at = char
	}
	// Backwards, then turned round.
	ids, pieces := []int32{EOS}, []string{}
	for end := len(text); end > 0; end = best[end].from {
		p, id := text[best[end].from:end], int32(best[end].id)+1
		if id == 1 {
			id = Unk
		}
		if last := len(pieces) - 1; id == Unk && ids[last+1] == Unk {
			pieces[last] = p + pieces[last]
			continue
		}
		ids, pieces = append(ids, id), append(pieces, p)
	}
	ids = append(ids, BOS)
	slices.Reverse(ids)
	slices.Reverse(pieces)
	return ids, pieces
}

// checkEncode compares all ways to encode text with each other and with
// simple.
func checkEncode(t *testing.T, u *Unigram, text string, maxLen int) {
	t.Helper()
	all := u.Plain().Encode(text, 0)
	pieces := u.Pieces(text)
	if len(u.kinds)*len(text) < 1<<22 {
		ids, want := simple(u, text)
		if diff := cmp.Diff(ids, all); diff != "" {
			t.Fatalf("Encode(%.100q) of %d bytes (-want +got):\n%s", text, len(text), diff)
		}
		if diff := cmp.Diff(want, pieces); diff != "" {
			t.Fatalf("Pieces(%.100q) of %d bytes (-want +got):\n%s", text, len(text), diff)
		}
	}
	for _, id := range all {
		if id < 0 || int(id) >= u.Vocab()-1 {
			t.Fatalf("Encode(%q): id %d of %d", text, id, u.Vocab())
		}
	}
	if len(pieces) != len(all)-2 {
		t.Fatalf("%d pieces, %d ids: %q", len(pieces), len(all), text)
	}
	want := all
	if len(all) > maxLen {
		want = append(all[:maxLen-1:maxLen-1], EOS)
	}
	if diff := cmp.Diff(want, u.Plain().Encode(text, maxLen)); diff != "" {
		t.Fatalf("Encode(%.100q, %d) (-want +got):\n%s", text, maxLen, diff)
	}
	u.Decode(all)
}

func TestMaxLen(t *testing.T) {
	u := load(t, read(t, "tokenizer/tiny.spm"))
	const text = "a photo of a red car" // 70 42 23 70 82 65
	for _, c := range []struct {
		maxLen int
		want   []int32
	}{
		{-1, []int32{0, 70, 42, 23, 70, 82, 65, 2}},
		{0, []int32{0, 70, 42, 23, 70, 82, 65, 2}},
		{1, []int32{0, 2}},
		{2, []int32{0, 2}},
		{3, []int32{0, 70, 2}},
		{7, []int32{0, 70, 42, 23, 70, 82, 2}},
		{8, []int32{0, 70, 42, 23, 70, 82, 65, 2}},
		{math.MaxInt, []int32{0, 70, 42, 23, 70, 82, 65, 2}},
	} {
		if diff := cmp.Diff(c.want, u.Encode(text, c.maxLen)); diff != "" {
			t.Errorf("Encode(%q, %d) (-want +got):\n%s", text, c.maxLen, diff)
		}
	}
	if got := u.AppendEncode([]int32{7, 8}, "", 5); cmp.Diff([]int32{7, 8, 0, 2}, got) != "" {
		t.Errorf("AppendEncode of nothing to [7 8] = %v, want [7 8 0 2]", got)
	}
}

func TestPieceTypes(t *testing.T) {
	f := withPieces(
		norm("\u2581", -3), norm("a", -4), norm("b", -4), norm("ab", -5),
		piece{[]byte("abc"), -50, userDefined},
		piece{[]byte("ba"), 0, unused},
		piece{[]byte("<x>"), 0, control},
	)
	f.normaliser = chunk(nil, 2, rules(map[byte]string{'a': "b", 'z': "", '\t': " "}))
	u := load(t, f.bytes())
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"user-defined text is not normalised and wins", "abc", []string{"\u2581", "abc"}},
		{"user-defined text in a word", "babcb", []string{"\u2581", "b", "abc", "b"}},
		{"the rules apply elsewhere", "ab", []string{"\u2581", "b", "b"}},
		{"unused pieces are not", "b\u2581", []string{"\u2581", "b"}},
		{"control pieces are not found in text", "<x>", []string{"\u2581", "<x>"}},
		{"special ids are not found in text", "</s>", []string{"\u2581", "</s>"}},
		{"unknown characters join", "bxyb", []string{"\u2581", "b", "xy", "b"}},
		{"removed characters", "zz", []string{}},
		{"removed characters between spaces", " z z ", []string{}},
		{"a rule that writes a space", "b\t\tb\t", []string{"\u2581", "b", "\u2581", "b"}},
		{"literal U+2581 at the end", "b\u2581\u2581", []string{"\u2581", "b"}},
		{"literal U+2581 inside", "b\u2581\u2581b", []string{"\u2581", "b", "\u2581", "\u2581", "b"}},
		{"invalid bytes", "b\xe2\x96", []string{"\u2581", "b", "\ufffd\ufffd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, u.Pieces(c.text)); diff != "" {
				t.Errorf("Pieces(%q) (-want +got):\n%s", c.text, diff)
			}
			checkEncode(t, u, c.text, 4)
		})
	}
}

func TestNormaliserOptions(t *testing.T) {
	const dummy, squeeze, escape = 3, 4, 5
	for _, c := range []struct {
		name string
		off  []uint64
		text string
		want string // normalised
	}{
		{"all on", nil, "  b  b ", "\u2581b\u2581b"},
		{"no dummy prefix", []uint64{dummy}, "  b  b ", "b\u2581b"},
		{"no squeezing", []uint64{squeeze}, "  b  b ", "\u2581\u2581\u2581b\u2581\u2581b\u2581"},
		{"no squeezing, empty", []uint64{squeeze}, "", ""},
		{"no escaping", []uint64{escape}, "  b  b ", " b b"},
		{"no escaping, literal", []uint64{escape}, "b\u2581", " b\u2581"},
		{"all off", []uint64{dummy, squeeze, escape}, " b  \u2581", " b  \u2581"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := withPieces(norm("b", -1))
			for _, num := range c.off {
				f.normaliser = number(f.normaliser, num, 0)
			}
			u := load(t, f.bytes())
			if got := strings.Join(u.Pieces(c.text), ""); got != c.want {
				t.Errorf("normalised %q is %q, want %q", c.text, got, c.want)
			}
			checkEncode(t, u, c.text, 4)
		})
	}
}

func TestDecode(t *testing.T) {
	u := load(t, read(t, "tokenizer/tiny.spm"))
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"a photo of a red car", "a photo of a red car"},
		{" two  dogs ", "two dogs"},
		{"a \U0001f600 car", "a  \u2047  car"},
	} {
		if got := u.Decode(u.Encode(c.text, 0)); got != c.want {
			t.Errorf("Decode(Encode(%q)) = %q, want %q", c.text, got, c.want)
		}
	}
	if got := u.Decode([]int32{-5, 0, 1, u.Mask(), u.Mask() + 1, math.MaxInt32, 70, 2}); got != "a" {
		t.Errorf("Decode with ids that spell nothing = %q, want %q", got, "a")
	}
}

func TestPiece(t *testing.T) {
	u := load(t, withPieces(norm("\u2581a", -1)).bytes())
	want := []string{"<s>", "<pad>", "</s>", "<unk>", "\u2581a", "<mask>"}
	var got []string
	for id := range int32(u.Vocab()) {
		p, ok := u.Piece(id)
		if !ok {
			t.Errorf("Piece(%d) is missing", id)
		}
		got = append(got, p)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pieces by id (-want +got):\n%s", diff)
	}
	for _, id := range []int32{-1, 6, math.MaxInt32, math.MinInt32} {
		if p, ok := u.Piece(id); ok {
			t.Errorf("Piece(%d) = %q, want none", id, p)
		}
	}
}

// Long texts are split block by block; the result must not show it.
func TestBlocksDoNotShow(t *testing.T) {
	asmtest.Slow(t)
	words := withPieces(norm("\u2581", -2), norm("a", -2), norm("b", -2.5), norm("ab", -3.5), norm("\u2581ab", -3),
		norm("aab", -4.25), norm("baab", -5), norm("bbbbbbbbbbbb", -9), piece{[]byte("aba"), 0, userDefined})
	ties := withPieces(norm("a", -1), norm("aa", -2), norm("aaa", -3), norm("aaaa", -4))
	wide := withPieces(norm("\u65e5", -1), norm("\u65e5\u65e5", -2), norm("\u65e5\u65e5\u65e5", -3))
	models := []*Unigram{load(t, words.bytes()), load(t, ties.bytes()), load(t, wide.bytes()), load(t, read(t, "tokenizer/tiny.spm"))}
	alphabets := []string{"a", "ab", "aab ", "ab\u2581", "\u65e5", "ab\u65e5\U0001f600 \xff", "aeirst  "}
	random := rand.New(rand.NewPCG(3, 4))
	for _, u := range models {
		for _, alphabet := range alphabets {
			letters := strings.Split(alphabet, "") // invalid bytes stay single
			for _, n := range []int{900, 1023, 1024, 1025, 2100, 9000} {
				text := make([]byte, 0, n)
				for len(text) < n {
					text = append(text, letters[random.IntN(len(letters))]...)
				}
				checkEncode(t, u, string(text), 64)
			}
		}
	}
}

// A text of megabytes takes bounded memory, and next to no time when few ids
// are wanted, unless nothing about them is certain before the end.
func TestLongText(t *testing.T) {
	u := load(t, read(t, "tokenizer-data/own-small.model"))
	const n = 4 << 20
	for _, c := range []struct{ name, text string }{
		{"words", strings.Repeat("a photo of a cat ", n/17)},
		{"one letter", strings.Repeat("a", n)},
		{"unknown characters", strings.Repeat("\u4e2d\u2603", n/6)},
		{"spaces", strings.Repeat(" ", n)},
		{"literal spaces", strings.Repeat("\u2581", n/3)},
		{"literal spaces and a letter", strings.Repeat("\u2581", n/3) + "a"},
		{"invalid", strings.Repeat("\xff", n)},
		{"zeros", strings.Repeat("\x00", n)},
		{"longest expansion", strings.Repeat("\ufdfa", n/3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &splitter{ids: []int32{}, room: 62}
			s.split(u, c.text)
			if m := s.memory(); m > 8<<20 {
				t.Errorf("%d bytes of text took %d bytes of memory, want at most 8 MiB", len(c.text), m)
			}
			if len(s.ids) > 62 {
				t.Errorf("%d ids, want at most 62", len(s.ids))
			}
			ids := u.Encode(c.text, 64)
			if diff := cmp.Diff(s.ids, ids[1:len(ids)-1]); diff != "" {
				t.Errorf("ids (-split +Encode):\n%s", diff)
			}
		})
	}
}

// Where nothing is certain for maxUndecided bytes, the text is split all the
// same, into pieces that cover it.
func TestSplitWhereNothingIsDecided(t *testing.T) {
	u := load(t, withPieces(norm("a", -1), norm("aa", -2), norm("aaa", -3)).bytes())
	const n = 2*maxUndecided + 5
	text := strings.Repeat("a", n)
	pieces := u.Pieces(text)
	if got := strings.Join(pieces, ""); got != "\u2581"+text {
		t.Errorf("the pieces cover %d bytes, want %d", len(got), n+3)
	}
	s := &splitter{room: math.MaxInt}
	s.split(u, text)
	if m := s.memory(); m > 8<<20 {
		t.Errorf("%d bytes of text took %d bytes of memory, want at most 8 MiB", n, m)
	}
}

// memory is what s holds apart from its results, in bytes.
func (s *splitter) memory() int { return cap(s.norm) + 12*cap(s.best) + 4*cap(s.path) }

// TestSpecials spells special tokens in texts: what Hugging Face's XLM-R tokenizer does
// with them, and what Plain does.
func TestSpecials(t *testing.T) {
	u := load(t, read(t, "tokenizer-data/own-small.model"))
	ids := func(text string) []int32 {
		x := u.Plain().Encode(text, 0)
		return x[1 : len(x)-1]
	}
	join := func(parts ...[]int32) []int32 {
		return append(slices.Concat(append([][]int32{{BOS}}, parts...)...), EOS)
	}
	mask := []int32{u.Mask()}
	for _, c := range []struct {
		text string
		want []int32
	}{
		{"<s></s><pad><unk><mask>", join([]int32{BOS, EOS, Pad, Unk}, mask)},
		{"a photo <mask> a car", join(ids("a photo"), mask, ids("a car"))},
		{"a photo<mask>a car", join(ids("a photo"), mask, ids("a car"))},
		{"a \t\u00a0<mask>", join(ids("a"), mask)},
		{" <mask> ", join(mask)},
		{"red</s>car", join(ids("red"), []int32{EOS}, ids("car"))},
		{"\u4e9c<unk>\u4e9c", join(ids("\u4e9c"), []int32{Unk}, ids("\u4e9c"))},
		{"<MASK> <s < s> </ s>", join(ids("<MASK> <s < s> </ s>"))},
		{"<<s>>", join(ids("<"), []int32{BOS}, ids(">"))},
	} {
		if diff := cmp.Diff(c.want, u.Encode(c.text, 0)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
		for n := 1; n <= len(c.want); n++ {
			want := c.want
			if keep := max(n, 2); len(want) > keep {
				want = append(want[:keep-1:keep-1], EOS)
			}
			if diff := cmp.Diff(want, u.Encode(c.text, n)); diff != "" {
				t.Errorf("%q, at most %d (-want +got):\n%s", c.text, n, diff)
			}
		}
	}
	if v := u.Plain().Vocab(); v != u.Vocab() {
		t.Errorf("Plain has %d ids, want %d", v, u.Vocab())
	}
}

func TestConcurrent(t *testing.T) {
	u := load(t, read(t, "tokenizer-data/own-small.model"))
	cases := spCases(t, read(t, "tokenizer-data/own-small.jsonl"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, c := range cases {
				if diff := cmp.Diff(c.XLMR, u.Plain().Encode(string(c.Text), 0)); diff != "" {
					t.Errorf("Encode(%q) (-want +got):\n%s", c.Text, diff)
				}
			}
		})
	}
	wg.Wait()
}

// The splitter and not AppendEncode is measured, since a sync.Pool may drop
// what it was given.
func TestSplitDoesNotAllocate(t *testing.T) {
	u := load(t, read(t, "tokenizer-data/own-small.model"))
	text := "A photo of two dogs, ½ Ｆｕｌｌ \xff " + strings.Repeat("and more ", 300)
	s := new(splitter)
	n := testing.AllocsPerRun(100, func() {
		s.ids, s.room = s.ids[:0], 62
		s.split(u, text)
	})
	if n != 0 || len(s.ids) != 62 {
		t.Errorf("splitting into %d ids with buffers of the right size allocates %v times", len(s.ids), n)
	}
}

func FuzzEncode(f *testing.F) {
	for _, s := range []string{"", " ", "a photo", "ﬁ½①", "\xff\xe2\x96", "\u2581\u2581a", "e\u0301", "a\x00b", strings.Repeat("ab", 700)} {
		f.Add(s, 8)
	}
	u := load(f, read(f, "tokenizer/tiny.spm"))
	f.Fuzz(func(t *testing.T, text string, maxLen int) {
		checkEncode(t, u, text, max(maxLen%64, 2))
	})
}

func BenchmarkEncode(b *testing.B) {
	small := load(b, read(b, "tokenizer-data/own-small.model"))
	big := load(b, bigVocabulary(64000).bytes())
	caption := "Two dogs play in the snow near a red barn."
	for _, c := range []struct {
		name   string
		u      *Unigram
		text   string
		maxLen int
	}{
		{"caption", small, caption, 64},
		{"caption/pieces=64000", big, caption, 64},
		{"1MB", small, strings.Repeat(caption+" ", 1<<20/len(caption)), 0},
		{"1MB/keep=64", small, strings.Repeat(caption+" ", 1<<20/len(caption)), 64},
		{"1MB/one letter", small, strings.Repeat("a", 1<<20), 64},
	} {
		b.Run(c.name, func(b *testing.B) {
			var ids []int32
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				ids = c.u.AppendEncode(ids[:0], c.text, c.maxLen)
			}
		})
	}
}
