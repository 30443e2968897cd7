package token

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"unicode"
)

// Unigram is a SentencePiece Unigram model. It is immutable and safe for
// concurrent use.
type Unigram struct {
	chars *charsmap // nil: no normalisation rules
	user  *trie     // user-defined pieces, which are exempt from normalisation; nil: none
	space string    // replacement of a space

	dummyPrefix, squeeze, escape bool

	trie     *trie
	score    []float64 // score by piece id
	unkScore float32   // score of a character that no piece covers
	shift    int32     // from a piece\'s number to its id
	unk      int32     // id of a run of characters without a piece
	longest  int       // longest piece or character, in bytes

	text       string   // the texts of all pieces, concatenated
	ends       []uint32 // piece i is text[ends[i-1]:ends[i]]
	kinds      []uint8
	unkSurface string
	start      float32 // score of what comes before every text, since sums are rounded
	single     bool    // sums are rounded to float32 before they are compared
	clean      bool    // texts are cleaned as open_clip does it

	pool sync.Pool // of *splitter
}

// Load reads a SentencePiece model file (a serialised ModelProto). It does not retain data. The
// model must be a Unigram model with <unk>, <s> and </s> as its pieces 0, 1 and 2, as in
// XLM-RoBERTa and BEiT-3. A file that is cut off, corrupt or of another kind gives an error
// that says so.
func Load(data []byte) (*Unigram, error) {
	m, err := parseModel(data)
	if err != nil {
		return nil, err
	}
	if err := m.checkIDs(); err != nil {
		return nil, err
	}
	return newUnigram(m)
}

// LoadOpenCLIP reads a model as Load does, for texts that open_clip cleans first: by ftfy's repairs, except the repair of text that was
// decoded by the wrong encoding, and by replacing HTML entities.
func LoadOpenCLIP(data []byte) (*Unigram, error) {
	u, err := Load(data)
	if err != nil {
		return nil, err
	}
	u.clean = true
	return u, nil
}

// newUnigram makes a Unigram with XLM-RoBERTa's numbering.
func newUnigram(m *model) (*Unigram, error) {
	var err error
	u := &Unigram{
		shift:       1,
		unk:         Unk,
		space:       " ",
		dummyPrefix: m.dummyPrefix,
		squeeze:     m.squeeze,
		escape:      m.escape,
		longest:     len("\U0010ffff"),
		score:       make([]float64, len(m.pieces)),
		ends:        make([]uint32, len(m.pieces)),
		kinds:       make([]uint8, len(m.pieces)),
		unkSurface:  string(m.unkSurface),
	}
	if m.escape {
		u.space = "\u2581"
	}
	if len(m.charsmap) > 0 {
		if u.chars, err = newCharsmap(m.charsmap); err != nil {
			return nil, err
		}
	}

	// The initial extremes are SentencePiece's: the largest and the smallest positive normal
	// float32.
	lo, hi := float32(math.MaxFloat32), float32(0x1p-126)
	var inText, user []int32
	var text strings.Builder
	for i, p := range m.pieces {
		text.Write(p.text)
		u.ends[i], u.kinds[i] = uint32(text.Len()), p.kind
		switch p.kind {
		case userDefined:
			user = append(user, int32(i))
			fallthrough
		case normal:
			inText = append(inText, int32(i))
			u.longest = max(u.longest, len(p.text))
		}
		if p.kind == normal {
			lo, hi = min(lo, p.score), max(hi, p.score)
		}
	}
	u.text = text.String()
	u.unkScore = lo - 10
	for _, id := range inText {
		p := m.pieces[id]
		u.score[id] = float64(p.score)
		if p.kind == userDefined {
			// SentencePiece's bonus, by which user-defined pieces win over normal ones.
			u.score[id] = float64(float32(len(p.text))*hi) - 0.1
		}
	}
	if u.trie, err = newTrie(m.pieces, inText); err != nil {
		return nil, err
	}
	if len(user) > 0 {
		if u.user, err = newTrie(m.pieces, user); err != nil {
			return nil, err
		}
	}
	u.pool.New = func() any { return new(splitter) }
	return u, nil
}

// checkIDs checks that the model can have the ids of BEiT-3: pieces 0 to 2 are <unk>, <s> and </s>,
// whose ids are Unk, BOS and EOS; the id of any other piece is its index plus one.
func (m *model) checkIDs() error {
	switch {
	case m.bpe:
		return fmt.Errorf("the SentencePiece model is a BPE model, want a Unigram model (trainer_spec.model_type)")
	case m.byteFallback:
		return fmt.Errorf("the SentencePiece model has byte_fallback on, which is not supported in Unigram models")
	}
	if len(m.pieces) < 3 {
		return fmt.Errorf("the SentencePiece model has %d pieces, want at least <unk>, <s> and </s>", len(m.pieces))
	}
	for i, p := range m.pieces {
		switch {
		case i == 0 && p.kind != unknown:
			return fmt.Errorf("pieces[0] %.40q has type %d, want %d (unknown): BEiT-3 ids need <unk>, <s>, </s> first", p.text, p.kind, unknown)
		case (i == 1 || i == 2) && p.kind != control:
			return fmt.Errorf("pieces[%d] %.40q has type %d, want %d (control): BEiT-3 ids need <unk>, <s>, </s> first", i, p.text, p.kind, control)
		case i > 0 && p.kind == unknown:
			return fmt.Errorf("pieces[%d] %.40q is a second unknown piece", i, p.text)
		case p.kind == byteValue:
			return fmt.Errorf("pieces[%d] %.40q is a byte piece; models with byte fallback are not supported", i, p.text)
		}
	}
	return nil
}

// Vocab returns the number of ids: the pieces, <pad> and <mask>.
func (u *Unigram) Vocab() int { return len(u.ends) + 2 }

// Mask returns the id of <mask>, the last one.
func (u *Unigram) Mask() int32 { return int32(len(u.ends)) + 1 }

// Encode returns the ids of text, between [BOS] and [EOS]. The text may be any bytes; a byte
// that is not part of valid UTF-8 counts as U+FFFD. The ids of an empty text are [0 2].
//
// As in Hugging Face's XLM-R tokenizer, <s>, <pad>, </s>, <unk> and <mask> in the text give the
// id of that token, and the text before and after it is split on its own; spaces before <mask>
// are dropped. For texts from untrusted sources use [Unigram.Plain], which treats them as
// ordinary text.
//
// If maxLen > 0, at most max(maxLen, 2) ids are returned: the first maxLen-2 ids of the text
// are kept, as in BEiT-3.
//
// The pieces are the best ones for the whole text, even if only the first are kept, with one
// exception that bounds memory: 256 KiB of normalised text without a single certain piece
// boundary is split as if the text ended there. This takes a text without any space, such as
// one letter repeated 256 Ki times.
func (u *Unigram) Encode(text string, maxLen int) []int32 {
	return u.AppendEncode(nil, text, maxLen)
}

// AppendEncode appends the result of Encode to dst and returns it. Except to clean texts, it does not allocate if dst
// has room.
func (u *Unigram) AppendEncode(dst []int32, text string, maxLen int) []int32 {
	room := math.MaxInt
	if maxLen > 0 {
		room = max(maxLen, 2) - 2
	}
	if u.clean {
		text = cleaned(text)
	}
	return u.appendEncode(dst, text, room, true)
}

// Plain returns the tokenizer that treats the names of special tokens in a text as ordinary
// text, as SentencePiece does.
func (u *Unigram) Plain() Tokenizer { return plain{u} }

type plain struct{ u *Unigram }

func (p plain) Vocab() int { return p.u.Vocab() }

func (p plain) Encode(text string, maxLen int) []int32 { return p.AppendEncode(nil, text, maxLen) }

func (p plain) AppendEncode(dst []int32, text string, maxLen int) []int32 {
	room := math.MaxInt
	if maxLen > 0 {
		room = max(maxLen, 2) - 2
	}
	return p.u.appendEncode(dst, text, room, false)
}

// appendEncode appends BOS, at most room ids of text, and EOS. special selects whether names of
// special tokens in the text give those tokens.
func (u *Unigram) appendEncode(dst []int32, text string, room int, special bool) []int32 {
	s := u.pool.Get().(*splitter)
	s.ids, s.room, s.keep = append(dst, BOS), room, false
	for special && s.room > 0 {
		at, n, id := u.special(text)
		if n == 0 {
			break
		}
		before := text[:at]
		if id == u.Mask() {
			before = strings.TrimRightFunc(before, unicode.IsSpace)
		}
		if before != "" {
			s.split(u, before)
		}
		if s.room > 0 {
			s.ids = append(s.ids, id)
			s.room--
		}
		text = text[at+n:]
	}
	if text != "" && s.room > 0 {
		s.split(u, text)
	}
	dst = append(s.ids, EOS)
	u.release(s)
	return dst
}

// special finds the first name of a special token in text. It returns its offset, its length (0
// if there is none) and its id.
func (u *Unigram) special(text string) (at, n int, id int32) {
	for {
		i := strings.IndexByte(text[at:], '<')
		if i < 0 {
			return 0, 0, 0
		}
		at += i
		for id, name := range [...]string{BOS: "<s>", Pad: "<pad>", EOS: "</s>", Unk: "<unk>"} {
			if strings.HasPrefix(text[at:], name) {
				return at, len(name), int32(id)
			}
		}
		if strings.HasPrefix(text[at:], "<mask>") {
			return at, len("<mask>"), u.Mask()
		}
		at++
	}
}

// Pieces returns the pieces of text, without BOS and EOS. A run of characters that no piece
// covers is one piece, with its normalised text.
func (u *Unigram) Pieces(text string) []string {
	s := u.pool.Get().(*splitter)
	s.ids, s.room, s.keep = nil, math.MaxInt, true
	s.split(u, text)
	all, from := string(s.kept), 0
	pieces := make([]string, len(s.keptEnds))
	for i, end := range s.keptEnds {
		pieces[i], from = all[from:end], end
	}
	u.release(s)
	return pieces
}

// Piece returns the text of an id, with "▁" for a space, and whether the vocabulary has the id.
func (u *Unigram) Piece(id int32) (string, bool) {
	switch {
	case id == BOS:
		return "<s>", true
	case id == Pad:
		return "<pad>", true
	case id == EOS:
		return "</s>", true
	case id == Unk:
		return "<unk>", true
	case id == u.Mask():
		return "<mask>", true
	case id < 0 || id > u.Mask():
		return "", false
	}
	return u.text[u.ends[id-2]:u.ends[id-1]], true
}

// Decode returns the text of ids, as SentencePiece does: the leading space that normalisation
// inserted is dropped, <unk> gives the model's replacement (" ⁇ " by default), and control
// pieces, BOS, Pad, EOS, <mask> and ids outside the vocabulary give nothing.
func (u *Unigram) Decode(ids []int32) string {
	var out strings.Builder
	first := true // still at the start of the text, where a leading space is dropped
	for _, id := range ids {
		if id == Unk {
			out.WriteString(u.unkSurface)
			first = first && out.Len() == 0
			continue
		}
		if id < 4 || id >= u.Mask() || u.kinds[id-1] == control {
			continue
		}
		p, _ := u.Piece(id)
		if first && (u.dummyPrefix || u.squeeze) {
			rest, cut := strings.CutPrefix(p, "\u2581")
			p, first = rest, !cut || u.squeeze
		}
		out.WriteString(strings.ReplaceAll(p, "\u2581", " "))
		first = first && out.Len() == 0
	}
	return out.String()
}

// release returns s to the pool, unless a long text made it large.
func (u *Unigram) release(s *splitter) {
	s.ids = nil
	if cap(s.best) <= 1<<14 && cap(s.kept) <= 1<<16 {
		u.pool.Put(s)
	}
}

// prefix normalises the beginning of text, which must not be empty. It returns the normalised
// text and the number of bytes of text that it replaces.
func (u *Unigram) prefix(text string) (string, int) {
	if u.user != nil {
		if n := u.user.longest(text); n > 0 {
			return text[:n], n
		}
	}
	if u.chars != nil {
		if rep, n := u.chars.longest(text); n > 0 {
			return rep, n
		}
	}
	return character(text)
}
