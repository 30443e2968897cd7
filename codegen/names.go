package codegen

import (
	"fmt"
	"go/token"
	"strings"
	"unicode"
)

// goName turns an IR name or weight path into a Go identifier: the parts between
// punctuation are joined in camel case, so l0.attn.vision~f becomes l0AttnVisionF.
func goName(name string, exported bool) string {
	var b strings.Builder
	up := exported
	for _, r := range name {
		switch {
		case unicode.IsLetter(r) || (unicode.IsDigit(r) && b.Len() > 0):
			if up {
				r = unicode.ToUpper(r)
			}
			b.WriteRune(r)
			up = false
		case unicode.IsDigit(r):
			b.WriteString(initial(exported))
			b.WriteRune(r)
			up = false
		default:
			up = b.Len() > 0 || exported
		}
	}
	if b.Len() == 0 {
		return initial(exported)
	}
	return b.String()
}

// initial begins an identifier that has no letter of its own to begin with.
func initial(exported bool) string {
	if exported {
		return "V"
	}
	return "v"
}

// scope hands out identifiers that are unique in one Go scope and are neither
// keywords nor in the taken set.
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
