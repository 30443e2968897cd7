package token

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// IDs takes texts that are lists of ids already, such as "0,17,2" (see ParseIDs), for models
// without a tokenizer. It adds no start and end ids.
type IDs struct{}

var _ Tokenizer = IDs{}

// ParseIDs reads a list of ids: whole numbers from 0 on, at least one, with commas or spaces
// between them.
func ParseIDs(list string) ([]int32, error) {
	var ids []int32
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		id, err := strconv.ParseUint(word, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%.40q is no id, want whole numbers with commas between them, such as 0,17,2", word)
		}
		ids = append(ids, int32(id))
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("no ids, want whole numbers with commas between them, such as 0,17,2")
	}
	return ids, nil
}

// Encode returns the first maxLen ids of a list, all if maxLen <= 0, and none of what
// ParseIDs refuses.
func (IDs) Encode(list string, maxLen int) []int32 { return IDs{}.AppendEncode(nil, list, maxLen) }

// AppendEncode appends to dst what Encode returns.
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

// Vocab returns the number of ids there can be: the model says which of them it has.
func (IDs) Vocab() int { return math.MaxInt32 }
