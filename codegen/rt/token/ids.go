package token

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// IDs is the tokenizer of models without a vocabulary file: its texts are lists of ids, such as
// "0,17,2" (see ParseIDs). It adds no start and end ids.
type IDs struct{}

var _ Tokenizer = IDs{}

// ParseIDs reads a list of one or more ids, whole numbers from 0 to 1<<31-1, separated by
// commas or spaces.
func ParseIDs(list string) ([]int32, error) {
	var ids []int32
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		id, err := strconv.ParseUint(word, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%.40q is not an id, want whole numbers with commas between them, such as 0,17,2", word)
		}
		ids = append(ids, int32(id))
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("no ids, want whole numbers with commas between them, such as 0,17,2")
	}
	return ids, nil
}

// Encode returns the first maxLen ids of a list, all of them if maxLen <= 0. It returns none
// for a list that ParseIDs refuses.
func (IDs) Encode(list string, maxLen int) []int32 { return IDs{}.AppendEncode(nil, list, maxLen) }

// AppendEncode appends the result of Encode to dst.
func (IDs) AppendEncode(dst []int32, list string, maxLen int) []int32 {
	ids, err := ParseIDs(list)
	if err != nil {
		return dst
	}
	if maxLen > 0 && len(ids) > maxLen {
		ids = ids[:maxLen]
	}
	return append(dst, ids...)
}

// Vocab returns the largest int32: the model checks ids against its own vocabulary.
func (IDs) Vocab() int { return math.MaxInt32 }
