package compile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

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
// of token.Open says what is missing. A tokenizer.json of kind WordPiece or Unigram becomes the vocabulary or the
// SentencePiece model that it was made from.
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
