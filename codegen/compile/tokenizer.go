package compile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir/file"
)

// tokenizerFiles lists the files of a tokenizer, given one of them: Hugging Face's may have the merges in a file beside the
// vocabulary.
func tokenizerFiles(path string) []string {
	if filepath.Base(path) != "vocab.json" {
		return []string{path}
	}
	return []string{path, filepath.Join(filepath.Dir(path), "merges.txt")}
}

// readTokenizer reads the files of a tokenizer into one text for token.Open. A vocab.json without merges is read alone; the error
// of token.Open says what is missing. A tokenizer.json of kind WordPiece becomes the vocabulary that it holds.
func readTokenizer(path string) ([]byte, error) {
	var all []byte
	for i, p := range tokenizerFiles(path) {
		data, err := file.Read(p, token.MaxFile)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, '\n')
		}
		all = append(all, data...)
	}
	if filepath.Ext(path) != ".json" {
		return all, nil
	}
	all, err := unwrapped(all)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	return all, nil
}

// unwrapped returns the vocabulary, one piece a line, of a tokenizer.json of kind WordPiece, and other files as they are. It is an
// error if texts are cleaned or split in another way than token.WordPiece does, or if the tokenizer is a SentencePiece model.
func unwrapped(data []byte) ([]byte, error) {
	var t struct {
		Normalizer struct {
			Type         string
			Lowercase    *bool
			Chinese      *bool `json:"handle_chinese_chars"`
			StripAccents *bool `json:"strip_accents"`
		}
		Model struct {
			Type    string
			Vocab   json.RawMessage
			Prefix  string `json:"continuing_subword_prefix"`
			Longest int    `json:"max_input_chars_per_word"`
			Bytes   bool   `json:"byte_fallback"`
		}
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return data, nil // what is wrong with it token.Open says
	}
	switch {
	case t.Model.Type == "Unigram" || t.Model.Bytes:
		return nil, fmt.Errorf("a tokenizer.json of kind %s is not read; give the SentencePiece model that it was made from: spiece.model, sentencepiece.bpe.model or tokenizer.model of the same model", t.Model.Type)
	case t.Model.Type != "WordPiece":
		return data, nil
	}
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
		return nil, fmt.Errorf("model.vocab: %w", err)
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

// fits returns an error if a tokenizer cannot belong to a model whose token table has the given number of rows, of which the tokenizer
// may leave the last ones unreached.
func fits(tok token.Tokenizer, rows, unreached int) error {
	switch n := tok.Vocab(); {
	case n > rows:
		return fmt.Errorf("the tokenizer has token ids up to %d, but the model's token table has %d rows; it belongs to another model", n-1, rows)
	case rows-n > unreached:
		return fmt.Errorf("the tokenizer has token ids up to %d, but the model's token table has %d rows, of which the tokenizer never uses the last %d; it belongs to another model", n-1, rows, rows-n)
	}
	return nil
}
