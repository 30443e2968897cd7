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
// of token.Open says what is missing.
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
	return all, nil
}

// maxUnreached bounds the rows of a token table that no token of the tokenizer uses, since tables are often a little longer than
// vocabularies.
const maxUnreached = 64

// fits returns an error if a tokenizer cannot belong to a model whose token table has the given number of rows. An untrained
// model accepts any tokenizer whose token ids are within the table.
func fits(tok token.Tokenizer, rows int, trained bool) error {
	switch n := tok.Vocab(); {
	case n > rows:
		return fmt.Errorf("the tokenizer has token ids up to %d, but the model's token table has %d rows; it belongs to another model", n-1, rows)
	case trained && rows-n > maxUnreached:
		return fmt.Errorf("the tokenizer has token ids up to %d, but the model's token table has %d rows, of which the tokenizer never uses the last %d; it belongs to another model", n-1, rows, rows-n)
	}
	return nil
}
