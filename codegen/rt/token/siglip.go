package token

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// SigLIP is the tokenizer of SigLIP 1 and 2: a SentencePiece model, whose numbers of pieces are
// the ids, and a way to clean texts before it. It is immutable and safe for concurrent use.
//
// SigLIP 1 has a Unigram model, without case and ASCII punctuation. [LoadSigLIP] gives the
// tokenizer of big_vision and open_clip: ftfy's repairs and entities as in [CLIP], an
// underscore is a space. [LoadSigLIPHF] gives the one of Hugging Face's transformers, where an
// underscore goes with the punctuation.
//
// SigLIP 2 has Gemma's BPE model, in which a character without a piece becomes its bytes.
// LoadSigLIP cleans texts as for SigLIP 1; with LoadSigLIPHF they are in lower case, no more.
type SigLIP struct {
	u    *Unigram // normaliser; for SigLIP 1 the model
	bpe  bool
	hf   bool
	pad  int32
	rank []uint32   // of the pieces of a BPE model: the order in which pairs are joined
	low  [256]int32 // ids of bytes, -1: none

	pool sync.Pool // of *siglipper
}

var _ Tokenizer = (*SigLIP)(nil)

// siglipEnd is the id of the end in both models.
const siglipEnd int32 = 1

// LoadSigLIP reads a SentencePiece model file: a Unigram model with the padding, the end
// and the unknown piece as its pieces 0, 1 and 2, as SigLIP 1 has; or a BPE model with the
// padding, the end, the start and the unknown piece as 0 to 3, as Gemma and SigLIP 2 have. The tokenizer is
// that of big_vision and open_clip. It keeps nothing of data.
func LoadSigLIP(data []byte) (*SigLIP, error) { return loadSigLIP(data, false) }

// LoadSigLIPHF reads the files that LoadSigLIP reads, for the tokenizers of Hugging Face's
// transformers.
func LoadSigLIPHF(data []byte) (*SigLIP, error) { return loadSigLIP(data, true) }

func loadSigLIP(data []byte, hf bool) (*SigLIP, error) {
	m, err := parseModel(data)
	if err != nil {
		return nil, err
	}
	return newSigLIP(m, hf)
}

func newSigLIP(m *model, hf bool) (*SigLIP, error) {
	kinds := []uint8{control, control, unknown}
	if m.bpe {
		kinds = []uint8{control, control, control, unknown}
	}
	if len(m.pieces) < len(kinds) {
		return nil, fmt.Errorf("the SentencePiece model has %d pieces, want at least <pad>, </s> and <unk>", len(m.pieces))
	}
	for i, p := range m.pieces {
		switch {
		case i < len(kinds) && p.kind != kinds[i]:
			return nil, fmt.Errorf("pieces[%d] %.40q has type %d, want %d: SigLIP's ids need the padding, the end and the unknown piece first", i, p.text, p.kind, kinds[i])
		case i >= len(kinds) && p.kind == unknown:
			return nil, fmt.Errorf("pieces[%d] %.40q is a second unknown piece", i, p.text)
		case p.kind == byteValue && !m.bpe:
			return nil, fmt.Errorf("pieces[%d] %.40q is a byte piece; Unigram models with byte fallback are not supported", i, p.text)
		}
	}
	s := &SigLIP{bpe: m.bpe, hf: hf}
	var err error
	if s.u, err = newUnigram(m); err != nil {
		return nil, err
	}
	s.u.shift, s.u.unk, s.u.single = 0, int32(len(kinds)-1), true
	if !m.bpe {
		s.pad = siglipEnd
		if hf { // transformers has SentencePiece split the text after <unk>, and drops the tokens of that
			x := splitter{room: math.MaxInt, inner: true}
			x.split(s.u, "<unk>")
			s.u.start = x.best[len(x.norm)].score
		}
	} else if err := s.rankPieces(m); err != nil {
		return nil, err
	}
	s.pool.New = func() any { return new(siglipper) }
	return s, nil
}

// rankPieces orders the pieces of a BPE model by score and finds those of bytes.
func (s *SigLIP) rankPieces(m *model) error {
	order := make([]int32, len(m.pieces))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(m.pieces[b].score, m.pieces[a].score) })
	s.rank = make([]uint32, len(m.pieces))
	for k, id := range order {
		s.rank[id] = uint32(k)
		if k > 0 && m.pieces[order[k-1]].score == m.pieces[id].score {
			s.rank[id] = s.rank[order[k-1]]
		}
	}
	for b := range s.low {
		s.low[b] = -1
	}
	if !m.byteFallback {
		return nil
	}
	names := map[string]int32{}
	for i, p := range m.pieces {
		if p.kind == byteValue {
			names[string(p.text)] = int32(i)
		}
	}
	for b := range s.low {
		name := fmt.Sprintf("<0x%02X>", b)
		id, ok := names[name]
		if !ok {
			return fmt.Errorf("the SentencePiece model has byte_fallback on and no piece %s", name)
		}
		s.low[b] = id
	}
	return nil
}

// Vocab returns the number of ids, which is that of the pieces.
func (s *SigLIP) Vocab() int { return len(s.u.ends) }

// Pad returns the id that fills a text up to the length that the model takes. SigLIP's
// model attends the padding, so it is part of the text.
func (s *SigLIP) Pad() int32 { return s.pad }

// Encode returns the ids of text and the end. The text may be any bytes; one that is not
// part of valid UTF-8 counts as U+FFFD. Nothing is padded, see [SigLIP.Pad].
//
// If maxLen > 0, at most maxLen ids are returned: of the ids of the text the first
// maxLen-1 are kept, so that the last id is always the end.
func (s *SigLIP) Encode(text string, maxLen int) []int32 { return s.AppendEncode(nil, text, maxLen) }

// AppendEncode appends to dst what Encode returns, and returns dst. It allocates nothing
// once dst has room, but for HTML entities.
func (s *SigLIP) AppendEncode(dst []int32, text string, maxLen int) []int32 {
	room := math.MaxInt
	if maxLen > 0 {
		room = maxLen - 1
	}
	x := s.pool.Get().(*siglipper)
	x.ids, x.room, x.keep, x.inner = dst, room, false, false
	for x.room > 0 {
		before, after, id := s.special(text)
		if clean := x.clean(s, before); len(clean) == 0 {
		} else if s.bpe {
			x.join(s, clean)
		} else {
			x.split(s.u, string(clean))
		}
		if id < 0 {
			break
		}
		x.give1(id)
		text, x.inner = after, true
	}
	dst = append(x.ids, siglipEnd)
	x.ids = nil
	if x.cleaner.small() && x.merger.small() && cap(x.best) <= 1<<14 {
		s.pool.Put(x)
	}
	return dst
}

// special cuts text at the first name of a special token, which transformers' tokenizer of SigLIP 1 takes
// for that token. The id is -1 if there is none.
func (s *SigLIP) special(text string) (before, after string, id int32) {
	const end, unknown = "</s>", "<unk>"
	for at := 0; s.hf && !s.bpe; at++ {
		i := strings.IndexByte(text[at:], '<')
		if i < 0 {
			break
		}
		at += i
		if strings.HasPrefix(text[at:], end) {
			return text[:at], text[at+len(end):], siglipEnd
		}
		if strings.HasPrefix(text[at:], unknown) {
			return text[:at], text[at+len(unknown):], s.u.unk
		}
	}
	return text, "", -1
}

// siglipper splits one text.
type siglipper struct {
	cleaner
	merger
	splitter
}

// clean returns what of text the model sees. It is valid until the next call.
func (x *siglipper) clean(s *SigLIP, text string) []byte {
	switch {
	case s.hf && s.bpe:
		x.b = appendValid(x.b[:0], text)
		x.a = appendLower(x.a[:0], x.b, false)
	case s.hf:
		x.b = appendValid(x.b[:0], strings.ReplaceAll(text, "\u2581", " "))
		x.a = appendLower(x.a[:0], x.b, false)
		x.b = appendUnpunctuated(x.b[:0], x.a, false)
		x.a = appendSquashed(x.a[:0], x.b, pythonSpace, true)
	default:
		x.basic(text)
		x.b = appendUnpunctuated(x.b[:0], x.a, true)
		x.a = appendLower(x.a[:0], x.b, false)
		x.b = appendSquashed(x.b[:0], x.a, pythonSpace, true)
		x.a, x.b = x.b, x.a
	}
	return x.a
}

// appendUnpunctuated appends src without ASCII punctuation.
func appendUnpunctuated(dst, src []byte, underscoreIsSpace bool) []byte {
	for _, c := range src {
		switch {
		case c == '_' && underscoreIsSpace:
			dst = append(dst, ' ')
		case c >= utf8.RuneSelf || c == 0x7f || !punctuation(rune(c)):
			dst = append(dst, c)
		}
	}
	return dst
}

// join gives the tokens of text by a BPE model.
func (x *siglipper) join(s *SigLIP, text []byte) {
	x.norm, x.held, x.space, x.next = x.norm[:0], 0, s.u.squeeze, math.MaxInt
	room := x.room
	x.room = math.MaxInt
	x.normalise(s.u, string(text))
	x.room = room
	x.merger.reset()
	for i := 0; i < len(x.norm); {
		n, id, fixed := s.first(x.norm[i:])
		x.add(i, i+n, id, fixed)
		i += n
	}
	x.merge(s, x.norm)
	for i := int32(0); i >= 0 && int(i) < len(x.symbols) && x.room > 0; i = x.symbols[i].next {
		sym := x.symbols[i]
		if sym.id != 0 && sym.id < s.u.trie.pieces {
			x.give1(int32(sym.id))
			continue
		}
		for _, b := range x.norm[sym.from:sym.to] {
			if s.low[b] < 0 {
				x.give1(s.u.unk)
				break
			}
			x.give1(s.low[b])
		}
	}
}

func (x *siglipper) give1(id int32) {
	if x.room > 0 {
		x.ids = append(x.ids, id)
		x.room--
	}
}

// first returns the symbol that text begins with: a user-defined piece, which stays as it
// is, or a character. Its id is its node in the trie, 0 if no piece begins so.
func (s *SigLIP) first(text []byte) (n int, id uint32, fixed bool) {
	if s.u.user != nil {
		if n, id := match(s.u.user, text); n > 0 {
			return n, id, true
		}
	}
	n = min(charLen(text[0]), len(text))
	for _, b := range text[:n] {
		if id = s.u.trie.step(id, b); id == 0 {
			break
		}
	}
	return n, id, false
}

func (s *SigLIP) join(left, _ uint32, text []byte) (id, rank uint32, ok bool) {
	if left == 0 {
		return 0, 0, false
	}
	for _, b := range text {
		if left = s.u.trie.step(left, b); left == 0 {
			return 0, 0, false
		}
	}
	if left >= s.u.trie.pieces {
		return 0, 0, false
	}
	return left, s.rank[left], true
}
