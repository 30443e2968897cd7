package compile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir/file"
)

// tokenizerFiles lists the files that the tokenizer in a file consists of: those of Hugging Face may have their merges beside the
// vocabulary.
func tokenizerFiles(path string) []string {
	if filepath.Base(path) != "vocab.json" {
		return []string{path}
	}
	return []string{path, filepath.Join(filepath.Dir(path), "merges.txt")}
}

// readTokenizer reads the files of a tokenizer as one, which token.Open takes. A vocab.json without its merges is read alone:
// token.Open says what it lacks.
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

// maxUnreached is how many rows of a token table may have ids that the model's own tokenizer never gives: tables are made a little
// longer than vocabularies.
const maxUnreached = 64

// fits refuses a tokenizer of another model than one whose token table has so many rows. A model that was not trained takes
// any whose ids it has rows for.
func fits(tok token.Tokenizer, rows int, trained bool) error {
	switch n := tok.Vocab(); {
	case n > rows:
		return fmt.Errorf("the tokenizer has token ids up to %d, but the model's token table has %d rows; it belongs to another model", n-1, rows)
	case trained && rows-n > maxUnreached:
		return fmt.Errorf("the tokenizer has token ids up to %d, but the model's token table has %d rows, of which it never takes the last %d; it belongs to another model", n-1, rows, rows-n)
	}
	return nil
}
