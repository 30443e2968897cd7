package token

import (
	"fmt"
	"slices"
)

// Ids with a fixed meaning, the same in every vocabulary of the XLM-RoBERTa
// numbering. The id of <mask> depends on the vocabulary: see [Unigram.Mask].
const (
	BOS int32 = 0 // <s>, the first id of every text
	Pad int32 = 1 // <pad>
	EOS int32 = 2 // </s>, the last id of every text
	Unk int32 = 3 // <unk>, a run of characters that no piece covers
)

// A Tokenizer maps text to ids. Implementations are safe for concurrent use.
type Tokenizer interface {
	// Encode returns the ids of text with the start and end ids around
	// them, at most maxLen in all; maxLen <= 0 means no limit. The text may
	// be any bytes. An empty text gives the start and end ids alone.
	Encode(text string, maxLen int) []int32

	// AppendEncode appends the result of Encode to dst. It does not allocate if dst has room.
	AppendEncode(dst []int32, text string, maxLen int) []int32

	// Vocab returns the number of ids: every id is in [0, Vocab()).
	Vocab() int
}

// Padder is a Tokenizer with an id that fills texts up to the constant length that some models take.
type Padder interface {
	Tokenizer
	Pad() int32
}

// Fit makes what a model takes of the ids that t returned for a text. With n > 0 it appends the id
// of padding until there are n ids; t has to be a [Padder] if there are fewer. With n = 0, which
// stands for any length, ids of a [CLIP] end at the first end id: a text that spells this token
// has several, and CLIP reads the embedding at the first.
func Fit(t Tokenizer, ids []int32, n int) ([]int32, error) {
	if c, ok := t.(*CLIP); ok && n == 0 {
		if i := slices.Index(ids, c.end); i >= 0 {
			ids = ids[:i+1]
		}
	}
	if len(ids) >= n {
		return ids, nil
	}
	p, ok := t.(Padder)
	if !ok {
		return ids, fmt.Errorf("%d ids of a text, the model takes %d, and the tokenizer has none for padding; give all %d", len(ids), n, n)
	}
	for len(ids) < n {
		ids = append(ids, p.Pad())
	}
	return ids, nil
}

var (
	_ Tokenizer = (*Unigram)(nil)
	_ Padder    = (*CLIP)(nil)
	_ Padder    = (*SigLIP)(nil)
	_ Padder    = (*WordPiece)(nil)
)
