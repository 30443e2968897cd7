package compile

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// tokenizerJSON is a tokenizer.json of Hugging Face's tokenizers.
type tokenizerJSON struct {
	Normalizer   normalizerJSON
	PreTokenizer struct {
		Type   string
		Scheme string `json:"prepend_scheme"`
	} `json:"pre_tokenizer"`
	Model struct {
		Type    string
		Vocab   json.RawMessage
		Prefix  string `json:"continuing_subword_prefix"`
		Longest int    `json:"max_input_chars_per_word"`
		Bytes   bool   `json:"byte_fallback"`
	}
}

type normalizerJSON struct {
	Type string
	All  []normalizerJSON `json:"normalizers"` // of a Sequence

	Lowercase    *bool // of a BertNormalizer
	Chinese      *bool `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"`

	Charsmap string                 `json:"precompiled_charsmap"` // of a Precompiled, in base64
	Pattern  struct{ Regex string } // of a Replace
}

// unwrapped returns what a tokenizer.json was made from: of kind WordPiece the vocabulary, one piece a line, and of kind Unigram the
// SentencePiece model. It returns other files as they are. It is an error if texts are cleaned or split in another way than
// package token does.
func unwrapped(data []byte) ([]byte, error) {
	var t tokenizerJSON
	if err := json.Unmarshal(data, &t); err != nil {
		return data, nil // what is wrong with it token.Open says
	}
	switch {
	case t.Model.Bytes:
		return nil, fmt.Errorf("a tokenizer.json of kind %s with bytes is not read; give the SentencePiece model that it was made from, tokenizer.model of the same model", file.Literal(t.Model.Type))
	case t.Model.Type == "WordPiece":
		return t.wordPiece()
	case t.Model.Type == "Unigram":
		return t.unigram()
	}
	return data, nil
}

func (t *tokenizerJSON) wordPiece() ([]byte, error) {
	no := func(p *bool) bool { return p != nil && !*p }
	n := &t.Normalizer
	switch {
	case n.Type != "BertNormalizer":
		return nil, fmt.Errorf("normalizer.type is %s, want BertNormalizer: WordPiece is built as BERT has it", file.Literal(n.Type))
	case no(n.Lowercase):
		return nil, errors.New("normalizer.lowercase is false: WordPiece is built in lower case only")
	case no(n.Chinese), no(n.StripAccents):
		return nil, errors.New("normalizer: WordPiece is built with handle_chinese_chars and strip_accents only")
	case t.Model.Prefix != "##" || t.Model.Longest != 100:
		return nil, fmt.Errorf("model: continuing_subword_prefix is %s and max_input_chars_per_word %d, want ## and 100", file.Literal(t.Model.Prefix), t.Model.Longest)
	}
	var ids map[string]int
	if err := json.Unmarshal(t.Model.Vocab, &ids); err != nil {
		return nil, errors.New("model.vocab is no object of ids, as kind WordPiece has it")
	}
	pieces := make([]string, len(ids))
	for piece, id := range ids {
		if id < 0 || id >= len(pieces) || pieces[id] != "" || piece == "" || strings.ContainsAny(piece, "\r\n") {
			return nil, fmt.Errorf("model.vocab: %s has id %d, want ids from 0 to %d, each once, of pieces of one line", file.Literal(piece), id, len(pieces)-1)
		}
		pieces[id] = piece
	}
	return []byte(strings.Join(pieces, "\n")), nil
}

// Kinds of pieces in a SentencePiece model.
const (
	normalPiece  = 1
	unknownPiece = 2
	controlPiece = 3
)

// unigram returns the SentencePiece model. In XLM-RoBERTa's ids, unlike in its model, the specials <s>, <pad>, </s> and <unk> come
// first and <mask> last.
func (t *tokenizerJSON) unigram() ([]byte, error) {
	var vocab [][2]any
	if err := json.Unmarshal(t.Model.Vocab, &vocab); err != nil {
		return nil, errors.New("model.vocab is no list of texts with numbers, as kind Unigram has it")
	}
	type piece struct {
		text  string
		score float64
		kind  byte
	}
	var pieces []piece
	for i, v := range vocab {
		text, ok := v[0].(string)
		score, ok2 := v[1].(float64)
		if !ok || !ok2 {
			return nil, fmt.Errorf("model.vocab[%d]: want a text and a number", i)
		}
		pieces = append(pieces, piece{text, score, normalPiece})
	}
	starts := func(want ...string) bool {
		return len(pieces) > len(want) && slices.EqualFunc(pieces[:len(want)], want, func(p piece, w string) bool { return p.text == w })
	}
	switch {
	case starts("<s>", "<pad>", "</s>", "<unk>"):
		if last := len(pieces) - 1; pieces[last].text == "<mask>" {
			pieces = pieces[:last]
		}
		pieces = append([]piece{{"<unk>", 0, unknownPiece}, {"<s>", 0, controlPiece}, {"</s>", 0, controlPiece}}, pieces[4:]...)
	case starts("<pad>", "</s>", "<unk>"):
		pieces[0].kind, pieces[1].kind, pieces[2].kind = controlPiece, controlPiece, unknownPiece
	default:
		return nil, errors.New("model.vocab starts neither with <s>, <pad>, </s>, <unk>, as XLM-RoBERTa's does, nor with <pad>, </s>, <unk>, as SigLIP's does; give the SentencePiece model that it was made from")
	}
	if p := &t.PreTokenizer; p.Type != "Metaspace" || p.Scheme != "always" && p.Scheme != "" {
		return nil, fmt.Errorf("pre_tokenizer is %s with prepend_scheme %s, want Metaspace with always", file.Literal(p.Type), file.Literal(p.Scheme))
	}
	charsmap, err := t.Normalizer.charsmap()
	if err != nil {
		return nil, err
	}
	field := func(to []byte, num uint64, data []byte) []byte {
		to = binary.AppendUvarint(to, num<<3|2)
		return append(binary.AppendUvarint(to, uint64(len(data))), data...)
	}
	var out []byte
	for _, p := range pieces {
		one := append(field(nil, 1, []byte(p.text)), 2<<3|5)
		one = binary.LittleEndian.AppendUint32(one, math.Float32bits(float32(p.score)))
		out = field(out, 1, append(one, 3<<3, p.kind))
	}
	out = field(out, 2, []byte{3 << 3, 1}) // the trainer's part: a unigram model
	normaliser := append(field(nil, 2, charsmap), 3<<3, 1, 4<<3, 1, 5<<3, 1)
	return field(out, 3, normaliser), nil
}

// charsmap returns the rules of SentencePiece's normaliser. Other normalisers may only take spaces away, as SentencePiece does.
func (n *normalizerJSON) charsmap() ([]byte, error) {
	switch {
	case n.Type == "Sequence":
		var rules []byte
		for i := range n.All {
			more, err := n.All[i].charsmap()
			if err != nil {
				return nil, err
			}
			rules = append(rules, more...)
		}
		return rules, nil
	case n.Type == "Precompiled":
		rules, err := base64.StdEncoding.DecodeString(n.Charsmap)
		if err != nil {
			return nil, fmt.Errorf("normalizer.precompiled_charsmap: %w", err)
		}
		return rules, nil
	case n.Type == "Strip", n.Type == "Replace" && n.Pattern.Regex == " {2,}":
		return nil, nil
	}
	return nil, fmt.Errorf("normalizer.type is %s, want Precompiled, which SentencePiece models have", file.Literal(n.Type))
}
