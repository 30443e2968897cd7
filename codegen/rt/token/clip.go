package token

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// CLIP is the tokenizer of CLIP: byte pairs, in lower case, of which the last of each word is
// another symbol than in a word's middle. It is immutable and safe for concurrent use.
//
// There are two, which differ on texts with entities, curly quotes, ligatures, full-width
// letters or a final sigma. [LoadCLIP] gives the one of OpenAI and open_clip: ftfy's
// repairs, except the repair of text that was decoded by the wrong encoding; HTML
// entities; white space; lower case. The texts <start_of_text> and <end_of_text> are those
// tokens. [LoadCLIPHF] gives the one of Hugging Face's transformers: normalisation form
// C, white space, lower case of each character; <|startoftext|> and <|endoftext|> are
// those tokens.
//
// What is a letter is what it is in Go's Unicode tables, 15.0.
type CLIP struct {
	hf         bool
	pairs      map[uint64]uint64 // left<<32 | right: rank<<32 | the id of both together
	inside     [256]uint32       // id of a byte
	last       [256]uint32       // id of the last byte of a word
	start, end int32
	vocab      int

	pool sync.Pool // of *clipper
}

var _ Tokenizer = (*CLIP)(nil)

const (
	clipMerges    = 48894    // a file of merges may have more, of which CLIP takes none
	maxMergesFile = 16 << 20 // bytes of a file of merges or tokenizer.json, unpacked
	maxMergeLine  = 2 * maxPiece
	wordEnd       = "</w>"
)

// LoadCLIP reads a CLIP vocabulary for the tokenizer of OpenAI and open_clip. data is
// bpe_simple_vocab_16e6.txt.gz or what is packed in it, Hugging Face's merges.txt,
// vocab.json with merges.txt appended, or tokenizer.json. It keeps nothing of data.
func LoadCLIP(data []byte) (*CLIP, error) { return loadCLIP(data, false) }

// LoadCLIPHF reads the files that LoadCLIP reads, for the tokenizer of Hugging Face's
// transformers.
func LoadCLIPHF(data []byte) (*CLIP, error) { return loadCLIP(data, true) }

// byteSymbols are the characters that stand for bytes in files of byte pairs, in the
// order of their ids, and the bytes.
func byteSymbols() (symbols [256]rune, of [256]byte) {
	n, other := 0, rune(0x100)
	for pass := range 2 {
		for b := range 256 {
			printed := 33 <= b && b <= 126 || 161 <= b && b <= 172 || b >= 174
			switch {
			case printed && pass == 0:
				symbols[n], of[n] = rune(b), byte(b)
				n++
			case !printed && pass == 1:
				symbols[n], of[n] = other, byte(b)
				n++
				other++
			}
		}
	}
	return symbols, of
}

func loadCLIP(data []byte, hf bool) (*CLIP, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("the file has %d bytes, want a CLIP vocabulary of at most %d", len(data), MaxFile)
	}
	var vocab map[string]uint32
	var merges []string
	var err error
	switch {
	case isGzip(data):
		if data, err = unpack(data); err == nil {
			merges, err = readMerges(string(data))
		}
	case isJSON(data):
		vocab, merges, err = readJSON(data)
	default:
		merges, err = readMerges(string(data))
	}
	if err != nil {
		return nil, err
	}
	return newCLIP(vocab, merges, hf)
}

func isGzip(data []byte) bool { return len(data) > 2 && data[0] == 0x1f && data[1] == 0x8b }

// isJSON reports whether data begins as a JSON object does.
func isJSON(data []byte) bool {
	if rest, ok := bytes.CutPrefix(data, []byte("{")); ok {
		rest = bytes.TrimLeft(rest[:min(len(rest), 1<<10)], " \t\r\n")
		return len(rest) > 0 && (rest[0] == '"' || rest[0] == '}')
	}
	return false
}

// isMerges reports whether data begins as a file of merges does.
func isMerges(data []byte) bool {
	return bytes.HasPrefix(data, []byte("#version")) || bytes.HasPrefix(data, []byte(`"bpe_simple_vocab`))
}

// unpack reads a gzip file, at most maxMergesFile bytes of it.
func unpack(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("CLIP vocabulary: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, maxMergesFile+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("CLIP vocabulary: the gzip file is cut off; copy it again")
	case err != nil:
		return nil, fmt.Errorf("CLIP vocabulary: %w", err)
	case len(out) > maxMergesFile:
		return nil, fmt.Errorf("CLIP vocabulary: more than %d bytes when unpacked", maxMergesFile)
	}
	return out, nil
}

// readMerges reads lines of two symbols each, after a header.
func readMerges(text string) ([]string, error) {
	if len(text) > maxMergesFile {
		return nil, fmt.Errorf("CLIP vocabulary: %d bytes of merges, want at most %d", len(text), maxMergesFile)
	}
	head, rest, _ := strings.Cut(text, "\n")
	if !isMerges([]byte(head)) {
		return nil, fmt.Errorf("CLIP vocabulary: the first line is %.40q, want the header of bpe_simple_vocab_16e6.txt or of merges.txt", head)
	}
	var merges []string
	for rest != "" && len(merges) < clipMerges {
		line := rest
		line, rest, _ = strings.Cut(rest, "\n")
		line = strings.TrimSuffix(line, "\r")
		if line == "" && strings.TrimSpace(rest) == "" {
			break
		}
		merges = append(merges, line)
	}
	return merges, nil
}

// readJSON reads tokenizer.json, or vocab.json with merges.txt behind it.
func readJSON(data []byte) (map[string]uint32, []string, error) {
	if len(data) > maxMergesFile {
		return nil, nil, fmt.Errorf("CLIP vocabulary: %d bytes of JSON, want at most %d", len(data), maxMergesFile)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	var top map[string]json.RawMessage
	if err := d.Decode(&top); err != nil {
		return nil, nil, fmt.Errorf("CLIP vocabulary: %w", err)
	}
	vocab := map[string]uint32{}
	body, whole := top["model"]
	if !whole || len(body) == 0 || body[0] != '{' {
		if err := json.Unmarshal(data[:d.InputOffset()], &vocab); err != nil {
			return nil, nil, fmt.Errorf("vocab.json: %w", err)
		}
		rest := bytes.TrimLeft(data[d.InputOffset():], " \t\r\n")
		if len(rest) == 0 {
			return nil, nil, errors.New("vocab.json alone does not say how its pieces are made; give merges.txt, which stands beside it, or tokenizer.json")
		}
		merges, err := readMerges(string(rest))
		return vocab, merges, err
	}
	var m struct {
		Type   string            `json:"type"`
		Suffix string            `json:"end_of_word_suffix"`
		Vocab  map[string]uint32 `json:"vocab"`
		Merges []json.RawMessage `json:"merges"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	if m.Type != "BPE" && m.Type != "" || m.Suffix != wordEnd {
		return nil, nil, fmt.Errorf("tokenizer.json: model.type is %.20q and model.end_of_word_suffix %.20q, want \"BPE\" and %q, which CLIP's has", m.Type, m.Suffix, wordEnd)
	}
	merges := make([]string, len(m.Merges))
	for i, raw := range m.Merges {
		var pair []string
		if err := json.Unmarshal(raw, &merges[i]); err == nil {
			continue
		}
		if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
			return nil, nil, fmt.Errorf("tokenizer.json: model.merges[%d] is no pair", i)
		}
		merges[i] = pair[0] + " " + pair[1]
	}
	var added []struct {
		ID      uint32 `json:"id"`
		Content string `json:"content"`
	}
	if raw, ok := top["added_tokens"]; ok {
		if err := json.Unmarshal(raw, &added); err != nil {
			return nil, nil, fmt.Errorf("tokenizer.json: added_tokens: %w", err)
		}
	}
	if m.Vocab == nil {
		m.Vocab = vocab
	}
	for _, a := range added {
		if strings.HasPrefix(a.Content, "<|") {
			m.Vocab[a.Content] = a.ID
		}
	}
	return m.Vocab, merges, nil
}

// newCLIP makes the tables. Without a vocabulary ids are CLIP's: bytes, bytes that end a
// word, merges, start and end.
func newCLIP(vocab map[string]uint32, merges []string, hf bool) (*CLIP, error) {
	if len(merges) > maxPieces {
		return nil, fmt.Errorf("CLIP vocabulary: %d merges, want at most %d", len(merges), maxPieces)
	}
	c := &CLIP{hf: hf, pairs: make(map[uint64]uint64, len(merges)), vocab: 512 + len(merges) + 2}
	made := make(map[string]uint32, 512+len(merges))
	if vocab != nil {
		c.vocab = 0
	}
	make := func(text string, id int) error { // makes a symbol known
		n := uint32(id)
		if vocab != nil {
			var ok bool
			if n, ok = vocab[text]; !ok {
				return fmt.Errorf("the vocabulary lacks %.40q", text)
			}
			if n >= maxPieces {
				return fmt.Errorf("%.40q has id %d, want at most %d", text, n, maxPieces)
			}
			c.vocab = max(c.vocab, int(n)+1)
		}
		if _, twice := made[text]; twice {
			return fmt.Errorf("%.40q is made a second time", text)
		}
		made[text] = n
		return nil
	}
	symbols, of := byteSymbols()
	for i, suffix := range [...]string{"", wordEnd} {
		for k, r := range symbols {
			text := string(r) + suffix
			if err := make(text, 256*i+k); err != nil {
				return nil, fmt.Errorf("CLIP vocabulary: %w", err)
			}
			if i == 0 {
				c.inside[of[k]] = made[text]
			} else {
				c.last[of[k]] = made[text]
			}
		}
	}
	ends := false
	for i, m := range merges {
		left, right, ok := strings.Cut(m, " ")
		l, okL := made[left]
		r, okR := made[right]
		switch {
		case len(m) > maxMergeLine:
			return nil, fmt.Errorf("CLIP vocabulary: merge %d has %d bytes, want at most %d", i+1, len(m), maxMergeLine)
		case !ok:
			return nil, fmt.Errorf("CLIP vocabulary: merge %d is %.40q, want two symbols with a space between", i+1, m)
		case !okL || !okR:
			return nil, fmt.Errorf("CLIP vocabulary: merge %d is %.40q, of which no line before makes one part", i+1, m)
		case strings.HasSuffix(left, wordEnd):
			return nil, fmt.Errorf("CLIP vocabulary: merge %d is %.40q: the first part ends a word", i+1, m)
		}
		ends = ends || strings.HasSuffix(right, wordEnd)
		if err := make(left+right, 512+i); err != nil {
			return nil, fmt.Errorf("CLIP vocabulary: merge %d: %w", i+1, err)
		}
		c.pairs[uint64(l)<<32|uint64(r)] = uint64(i)<<32 | uint64(made[left+right])
	}
	if len(merges) > 0 && !ends {
		return nil, errors.New("byte pairs without word ends (</w>), as GPT-2 has them; want CLIP's vocabulary")
	}
	c.start, c.end = int32(c.vocab-2), int32(c.vocab-1)
	if vocab != nil {
		for name, id := range map[string]*int32{"<|startoftext|>": &c.start, "<|endoftext|>": &c.end} {
			if err := make(name, 0); err != nil {
				return nil, fmt.Errorf("CLIP vocabulary: %w", err)
			}
			*id = int32(made[name])
		}
	}
	c.pool.New = func() any { return new(clipper) }
	return c, nil
}

// Vocab returns the number of ids.
func (c *CLIP) Vocab() int { return c.vocab }

// Pad returns the id that fills a text up to a given length: 0, in Hugging Face's
// tokenizer that of the end.
func (c *CLIP) Pad() int32 {
	if c.hf {
		return c.end
	}
	return 0
}

// Encode returns the ids of text, between the start and the end. The text may be any
// bytes; one that is not part of valid UTF-8 counts as U+FFFD.
//
// If maxLen > 0, at most max(maxLen, 2) ids are returned: of the ids of the text the
// first maxLen-2 are kept, so that the last id is always the end. Nothing is padded: of
// CLIP's text only the ids up to the end count.
func (c *CLIP) Encode(text string, maxLen int) []int32 { return c.AppendEncode(nil, text, maxLen) }

// AppendEncode appends to dst what Encode returns, and returns dst. It allocates nothing
// once dst has room, but for HTML entities.
func (c *CLIP) AppendEncode(dst []int32, text string, maxLen int) []int32 {
	s := c.pool.Get().(*clipper)
	s.c, s.ids, s.room = c, append(dst, c.start), math.MaxInt
	if maxLen > 0 {
		s.room = max(maxLen, 2) - 2
	}
	if c.hf {
		s.encodeHF(text)
	} else {
		s.basic(text)
		s.b = appendSquashed(s.b[:0], s.a, pythonSpace, true)
		s.a = appendLower(s.a[:0], s.b, false)
		s.words(s.a)
	}
	dst = append(s.ids, c.end)
	s.ids = nil
	if s.cleaner.small() && s.merger.small() {
		c.pool.Put(s)
	}
	return dst
}

// clipper splits one text.
type clipper struct {
	c *CLIP
	cleaner
	merger
	ids  []int32
	room int
}

func (s *clipper) emit(id int32) {
	if s.room > 0 {
		s.ids = append(s.ids, id)
		s.room--
	}
}

// encodeHF finds the special tokens, and cleans and splits what stands between.
func (s *clipper) encodeHF(text string) {
	const start, end = "<|startoftext|>", "<|endoftext|>"
	for s.room > 0 {
		at, n, id := len(text), 0, int32(0)
		for i := 0; ; i += 2 {
			k := strings.Index(text[i:], "<|")
			if k < 0 {
				break
			}
			i += k
			if strings.HasPrefix(text[i:], start) {
				at, n, id = i, len(start), s.c.start
				break
			}
			if strings.HasPrefix(text[i:], end) {
				at, n, id = i, len(end), s.c.end
				break
			}
		}
		s.b = appendValid(s.b[:0], text[:at])
		s.a = s.appendNFC(s.a[:0], s.b)
		s.b = appendSquashed(s.b[:0], s.a, unicode.IsSpace, false)
		s.a = appendLower(s.a[:0], s.b, true)
		s.words(s.a)
		if n == 0 {
			return
		}
		s.emit(id)
		text = text[at+n:]
	}
}

// appendValid appends text with U+FFFD for every byte that is not part of valid UTF-8.
func appendValid(dst []byte, text string) []byte {
	for _, r := range text {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// words splits clean text into words and those into tokens: a special token, an English
// ending after an apostrophe, letters, one digit, or a run of what is none of these.
func (s *clipper) words(text []byte) {
	for len(text) > 0 && s.room > 0 {
		n, id := s.word(text)
		switch {
		case id >= 0:
			s.emit(id)
		case n > 0:
			s.merge(text[:n])
		default: // white space
			_, n = utf8.DecodeRune(text)
		}
		text = text[n:]
	}
}

// word returns the length of the word that text begins with, 0 for white space, and the
// id if it is a special token, otherwise -1.
func (s *clipper) word(text []byte) (int, int32) {
	if !s.c.hf && text[0] == '<' {
		if n := foldPrefix(text, "<start_of_text>"); n > 0 {
			return n, specialOf(n == len("<start_of_text>"), s.c.start)
		}
		if n := foldPrefix(text, "<end_of_text>"); n > 0 {
			return n, specialOf(n == len("<end_of_text>"), s.c.end)
		}
	}
	if text[0] == '\'' {
		for _, ending := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
			if bytes.HasPrefix(text, []byte(ending)) {
				return len(ending), -1
			}
		}
		if !s.c.hf && bytes.HasPrefix(text, []byte("'ſ")) {
			return len("'ſ"), -1
		}
	}
	kind, n := s.c.classify(text)
	if kind == spaceRune {
		return 0, -1
	}
	if kind == digitRune {
		return n, -1
	}
	for n < len(text) {
		k, size := s.c.classify(text[n:])
		if k != kind {
			break
		}
		n += size
	}
	return n, -1
}

// specialOf returns id if the token is spelled as it is, otherwise -1.
func specialOf(exact bool, id int32) int32 {
	if exact {
		return id
	}
	return -1
}

// foldPrefix returns the length of what text begins with if that is name, where ſ may
// stand for s: other letters that are equal without case are lower case here. 0: not.
func foldPrefix(text []byte, name string) int {
	i := 0
	for _, c := range []byte(name) {
		switch {
		case i < len(text) && text[i] == c:
			i++
		case c == 's' && bytes.HasPrefix(text[i:], []byte("ſ")):
			i += len("ſ")
		default:
			return 0
		}
	}
	return i
}

// ypogegrammeni is a mark that belongs to no word: open_clip's regular expression takes no account of case, and the mark is the
// same as the letter ι without case, so that it is neither a letter nor none.
const ypogegrammeni = '\u0345'

const (
	letterRune = iota
	digitRune
	spaceRune
	otherRune
)

// classify returns the kind of the first character of text and its length.
func (c *CLIP) classify(text []byte) (kind, n int) {
	r, n := rune(text[0]), 1
	if r >= utf8.RuneSelf {
		r, n = utf8.DecodeRune(text)
	}
	switch {
	case unicode.IsLetter(r):
		return letterRune, n
	case unicode.IsNumber(r):
		return digitRune, n
	case unicode.IsSpace(r), r == ypogegrammeni && !c.hf:
		return spaceRune, n
	}
	return otherRune, n
}

// merge gives the tokens of a word.
func (s *clipper) merge(word []byte) {
	s.merger.reset()
	last := len(word) - 1
	for i, b := range word {
		id := s.c.inside[b]
		if i == last {
			id = s.c.last[b]
		}
		s.add(i, i+1, id, false)
	}
	s.merger.merge(s.c, word)
	for i := int32(0); i >= 0 && s.room > 0; i = s.symbols[i].next {
		s.emit(int32(s.symbols[i].id))
	}
}

func (c *CLIP) join(left, right uint32, _ []byte) (id, rank uint32, ok bool) {
	x, ok := c.pairs[uint64(left)<<32|uint64(right)]
	return uint32(x), uint32(x >> 32), ok
}
