package token

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// WordPiece is the tokenizer of BERT's uncased models, which VLMo uses: text is split into
// words, and each word into the longest pieces of a vocabulary, from left to right. It is
// immutable and safe for concurrent use.
//
// It agrees with Hugging Face's BertTokenizer (the Python one, lower-casing). Control
// characters and U+FFFD are removed. Every character of a Chinese ideograph block is a word,
// and so is every punctuation mark. Letters are lower-cased one by one (a capital sigma at the
// end of a word becomes σ too) and lose their accents. A word of more than 100 characters, or
// with a part that no piece covers, is [UNK]. The special tokens [CLS], [SEP], [PAD], [UNK] and
// [MASK] are recognised in the text, in capitals.
type WordPiece struct {
	heads, tails map[string]int32 // pieces that begin a word; pieces that continue one, without ##
	pieces       []string         // by id
	longest      int              // longest piece, in bytes
	specials     [numSpecials]int32
	clean        bool // texts are cleaned as open_clip does it

	pool sync.Pool // of *words
}

// The special tokens of a WordPiece vocabulary.
const (
	cls = iota
	sep
	pad
	unk
	mask
	numSpecials
)

var specialNames = [numSpecials]string{"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"}

const (
	maxWordRunes   = 100      // longest word, in characters, that is split into pieces
	maxPieceBytes  = 1 << 10  // longest line of a vocabulary, in bytes
	maxVocabulary  = 16 << 20 // largest vocabulary file, in bytes; the published ones have at most a third of it
	maxVocabPieces = 1 << 20  // most lines of a vocabulary; each takes about 70 bytes of memory besides its text
)

var _ Tokenizer = (*WordPiece)(nil)

// LoadWordPiece reads a vocabulary: UTF-8 text with one piece per line. The id of a piece is
// its line number, from 0; ## marks a piece that continues a word. The special tokens are
// required, except [MASK]. It does not retain data.
func LoadWordPiece(data []byte) (*WordPiece, error) {
	if len(data) > maxVocabulary {
		return nil, fmt.Errorf("vocabulary: %d bytes, want at most %d; want a text file of one piece per line, such as vocab.txt of bert-base-uncased", len(data), maxVocabulary)
	}
	w := &WordPiece{heads: map[string]int32{}, tails: map[string]int32{}}
	all := string(data)
	for len(all) > 0 {
		line, rest, _ := strings.Cut(all, "\n")
		all = rest
		line = strings.TrimSuffix(line, "\r")
		n := len(w.pieces) + 1
		switch {
		case n > maxVocabPieces:
			return nil, fmt.Errorf("vocabulary: more than %d lines", maxVocabPieces)
		case len(line) > maxPieceBytes:
			return nil, fmt.Errorf("vocabulary: line %d has %d bytes, want at most %d; want a text file of one piece per line, such as vocab.txt of bert-base-uncased", n, len(line), maxPieceBytes)
		case !utf8.ValidString(line):
			return nil, fmt.Errorf("vocabulary: line %d is not UTF-8; want a text file of one piece per line, such as vocab.txt of bert-base-uncased", n)
		}
		into, piece := w.heads, line
		if tail, ok := strings.CutPrefix(line, "##"); ok && tail != "" {
			into, piece = w.tails, tail
		}
		if first, twice := into[piece]; twice {
			return nil, fmt.Errorf("vocabulary: line %d is %.40q, as is line %d; want every piece once", n, line, first+1)
		}
		into[piece] = int32(len(w.pieces))
		w.pieces = append(w.pieces, line)
		w.longest = max(w.longest, len(piece))
	}
	for i, name := range specialNames {
		id, ok := w.heads[name]
		switch {
		case ok:
			w.specials[i] = id
		case i == mask:
			w.specials[i] = -1
		default:
			return nil, fmt.Errorf("vocabulary: %d lines, none of them %s; want the vocab.txt of an uncased BERT model", len(w.pieces), name)
		}
	}
	w.pool.New = func() any { return new(words) }
	return w, nil
}

// LoadCLIPA reads a vocabulary as LoadWordPiece does, for the texts of CLIPA. As in open_clip they are first cleaned by ftfy's
// repairs, except the repair of text that was decoded by the wrong encoding, and HTML entities are replaced. The id 0, the padding, stands for
// [SEP].
func LoadCLIPA(data []byte) (*WordPiece, error) {
	w, err := LoadWordPiece(data)
	if err != nil {
		return nil, err
	}
	w.clean, w.specials[sep] = true, 0
	return w, nil
}

// Vocab returns the number of ids.
func (w *WordPiece) Vocab() int { return len(w.pieces) }

// Mask returns the id of [MASK], -1 if the vocabulary has none.
func (w *WordPiece) Mask() int32 { return w.specials[mask] }

// Pad returns the id of [PAD], which fills a text up to a given length.
func (w *WordPiece) Pad() int32 { return w.specials[pad] }

// Piece returns the text of an id, with ## in front if it continues a word, and whether the
// vocabulary has the id.
func (w *WordPiece) Piece(id int32) (string, bool) {
	if id < 0 || int(id) >= len(w.pieces) {
		return "", false
	}
	return w.pieces[id], true
}

// Encode returns the ids of text, between [CLS] and [SEP], for CLIPA between [CLS] and 0. The text may be any bytes; invalid
// UTF-8 is removed.
//
// If maxLen > 0, at most max(maxLen, 2) ids are returned: the first maxLen-2 ids of the text
// are kept.
func (w *WordPiece) Encode(text string, maxLen int) []int32 {
	return w.AppendEncode(nil, text, maxLen)
}

// AppendEncode appends the result of Encode to dst and returns it. It does not allocate if dst
// has room, except to clean texts of CLIPA.
func (w *WordPiece) AppendEncode(dst []int32, text string, maxLen int) []int32 {
	room := math.MaxInt
	if maxLen > 0 {
		room = max(maxLen, 2) - 2
	}
	if w.clean {
		text = cleaned(text)
	}
	s := w.pool.Get().(*words)
	s.w, s.ids, s.room = w, append(dst, w.specials[cls]), room
	s.split(text)
	dst = append(s.ids, w.specials[sep])
	s.ids = nil
	w.pool.Put(s)
	return dst
}

// words is the state of a WordPiece tokenizer within one text.
type words struct {
	w    *WordPiece
	ids  []int32
	room int // ids that may still be emitted

	word   [maxWordRunes * utf8.UTFMax]byte
	n      int                   // bytes of the current word
	starts [maxWordRunes + 1]int // byte offsets of its characters, and of its end
	runes  int                   // number of its characters; more than maxWordRunes: too long
}

func (s *words) emit(id int32) {
	if s.room > 0 {
		s.ids = append(s.ids, id)
		s.room--
	}
}

func (s *words) split(text string) {
	for i := 0; i < len(text) && s.room > 0; {
		if text[i] == '[' {
			if id, n := s.w.special(text[i:]); n > 0 {
				s.end()
				s.emit(id)
				i += n
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		switch {
		case vanishes(r):
		case blank(r):
			s.end()
		case ideograph(r):
			s.end()
			s.put(r)
			s.end()
		case r < utf8.RuneSelf:
			if letter(byte(r)) {
				r |= 0x20
			}
			s.add(r)
		default:
			s.put(unicode.ToLower(r))
		}
	}
	s.end()
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// special returns the special token that text starts with, and its length.
func (w *WordPiece) special(text string) (id int32, n int) {
	for i, name := range specialNames {
		if w.specials[i] >= 0 && strings.HasPrefix(text, name) {
			return w.specials[i], len(name)
		}
	}
	return 0, 0
}

// Hangul syllables decompose by arithmetic (Unicode, section 3.12).
const (
	hangulFirst, hangulLast    = 0xAC00, 0xD7A3
	jamoLead, jamoVowel        = 0x1100, 0x1161
	jamoTail, vowels, trailing = 0x11A7, 21, 28
)

// put adds the letters of r, which is lower case, without combining marks.
func (s *words) put(r rune) {
	if hangulFirst <= r && r <= hangulLast {
		r -= hangulFirst
		s.add(jamoLead + r/(vowels*trailing))
		s.add(jamoVowel + r/trailing%vowels)
		if t := r % trailing; t > 0 {
			s.add(jamoTail + t)
		}
		return
	}
	if d, ok := decompositions()[r]; ok {
		for _, r := range d {
			s.add(r)
		}
		return
	}
	if !unicode.Is(unicode.Mn, r) {
		s.add(r)
	}
}

// add adds a character to the current word. A punctuation mark is a word by itself.
func (s *words) add(r rune) {
	if punctuation(r) {
		s.end()
		s.push(r)
		s.end()
		return
	}
	s.push(r)
}

func (s *words) push(r rune) {
	if s.runes < maxWordRunes {
		s.starts[s.runes] = s.n
		s.n += utf8.EncodeRune(s.word[s.n:], r)
		s.starts[s.runes+1] = s.n
	}
	s.runes = min(s.runes, maxWordRunes) + 1
}

// end splits the current word into pieces. A word with a part that no piece covers is [UNK].
func (s *words) end() {
	runes := s.runes
	s.runes, s.n = 0, 0
	if runes == 0 {
		return
	}
	from, room := len(s.ids), s.room
	for at := 0; at < runes; {
		id, end := int32(0), at
		if runes <= maxWordRunes {
			pieces := s.w.heads
			if at > 0 {
				pieces = s.w.tails
			}
			for end = runes; end > at; end-- {
				part := s.word[s.starts[at]:s.starts[end]]
				if len(part) > s.w.longest {
					continue
				}
				var ok bool
				if id, ok = pieces[string(part)]; ok {
					break
				}
			}
		}
		if end == at {
			s.ids, s.room = s.ids[:from], room
			s.emit(s.w.specials[unk])
			return
		}
		s.emit(id)
		at = end
	}
}

// decompositions maps characters to their decomposition without combining marks.
var decompositions = sync.OnceValue(func() map[rune]string {
	m := make(map[rune]string, 2048)
	for group := range strings.FieldsSeq(decomposed) {
		to, from, _ := strings.Cut(group, ":")
		for _, r := range from {
			m[r] = to
		}
	}
	return m
})

// vanishes reports whether r is removed: U+0000, U+FFFD (which also stands for invalid UTF-8),
// and characters of Unicode category C (other), except tab and line ends.
func vanishes(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return false
	case r < 0x7f:
		return r < ' '
	case r == utf8.RuneError || unicode.Is(unicode.C, r):
		return true
	}
	return !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z)
}

// blank reports whether r is white space, which separates words.
func blank(r rune) bool {
	return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r >= utf8.RuneSelf && unicode.Is(unicode.Z, r)
}

// ideograph reports whether r is in a block of Chinese ideographs.
func ideograph(r rune) bool {
	return r >= 0x3400 && (r <= 0x4DBF || 0x4E00 <= r && r <= 0x9FFF || 0xF900 <= r && r <= 0xFAFF ||
		0x20000 <= r && r <= 0x2A6DF || 0x2A700 <= r && r <= 0x2B73F || 0x2B740 <= r && r <= 0x2B81F ||
		0x2B820 <= r && r <= 0x2CEAF || 0x2F800 <= r && r <= 0x2FA1F)
}

// punctuation reports whether r is a word by itself: all of ASCII except letters, digits and
// space, and Unicode category P.
func punctuation(r rune) bool {
	if r < 0x7f {
		return r > ' ' && !letter(byte(r)) && (r < '0' || r > '9')
	}
	return unicode.Is(unicode.P, r)
}

// isWordPiece reports whether data looks like a vocabulary for LoadWordPiece: it starts
// with text, which a SentencePiece model never does.
func isWordPiece(data []byte) bool {
	head := data[:min(len(data), 1<<10)]
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		switch {
		case r == utf8.RuneError && n == 1:
			return len(head) < utf8.UTFMax && len(data) > 1<<10 // cut in the middle of a character
		case r < ' ' && r != '\n' && r != '\r' && r != '\t':
			return false
		}
		head = head[n:]
	}
	return len(data) > 0
}
