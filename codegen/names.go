package codegen

import (
	"fmt"
	"go/token"
	"strings"
	"unicode"
	"unicode/utf8"
)

// initialisms maps parts of names that Go writes in capitals.
var initialisms = map[string]string{"ffn": "FFN", "id": "ID", "ids": "IDs", "itm": "ITM", "kv": "KV", "ln": "LN",
	"nlvr2": "NLVR2", "qk": "QK", "qkv": "QKV", "vl": "VL", "vqa": "VQA"}

// goName turns an IR name or weight path into a Go identifier: the parts between
// punctuation are joined in camel case, so l0.ffn.vision~f becomes l0FFNVisionF.
func goName(name string, exported bool) string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		first, size := utf8.DecodeRuneInString(part)
		switch capital := exported || b.Len() > 0; {
		case b.Len() == 0 && unicode.IsDigit(first):
			b.WriteString(initial(exported) + part)
		case capital && initialisms[part] != "":
			b.WriteString(initialisms[part])
		case capital:
			b.WriteRune(unicode.ToUpper(first))
			b.WriteString(part[size:])
		default:
			b.WriteString(part)
		}
	}
	if b.Len() == 0 {
		return initial(exported)
	}
	return b.String()
}

// initial returns the first letter of an identifier whose name begins with no letter.
func initial(exported bool) string {
	if exported {
		return "V"
	}
	return "v"
}

// scope returns identifiers that are unique in one Go scope and are neither keywords nor
// in the taken set.
type scope struct{ taken map[string]bool }

func newScope(taken ...string) *scope {
	s := &scope{taken: map[string]bool{}}
	for _, t := range taken {
		s.taken[t] = true
	}
	return s
}

func (s *scope) name(want string) string {
	n := want
	for i := 2; s.taken[n] || token.IsKeyword(n); i++ {
		n = fmt.Sprintf("%s%d", want, i)
	}
	s.taken[n] = true
	return n
}
