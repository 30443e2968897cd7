package token

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// runeClass is a character and its canonical combining class.
type runeClass struct {
	r     rune
	class uint8
}

// canonical holds the tables of canonical normalisation as lookups.
type canonical struct {
	split map[rune][2]rune // the second is 0 where one character becomes one
	join  map[[2]rune]rune
	width map[rune]rune
}

var canonicals = sync.OnceValue(func() *canonical {
	t := &canonical{split: map[rune][2]rune{}, join: map[[2]rune]rune{}, width: map[rune]rune{}}
	for g := range groups(compositions, 3) {
		t.split[g[2]], t.join[[2]rune{g[0], g[1]}] = [2]rune{g[0], g[1]}, g[2]
	}
	for g := range groups(singles, 2) {
		t.split[g[0]] = [2]rune{g[1]}
	}
	for g := range groups(excluded, 3) {
		t.split[g[0]] = [2]rune{g[1], g[2]}
	}
	for g := range groups(widths, 2) {
		t.width[g[0]] = g[1]
	}
	return t
})

// groups yields the characters of a table, n at a time.
func groups(table string, n int) func(yield func([3]rune) bool) {
	return func(yield func([3]rune) bool) {
		var g [3]rune
		i := 0
		for _, r := range table {
			g[i] = r
			if i++; i == n {
				if i = 0; !yield(g) {
					return
				}
			}
		}
	}
}

// classOf returns the canonical combining class of r.
func classOf(r rune) uint8 {
	if r < classes[0].first {
		return 0
	}
	i := sort.Search(len(classes), func(i int) bool { return classes[i].last >= r })
	if i == len(classes) || r < classes[i].first {
		return 0
	}
	return classes[i].class
}

// firstNormal is the first character that normalisation to NFC can change: text of
// lower ones only stays as it is.
const firstNormal = 0x300

// appendNFC appends src in normalisation form C. Time grows with n log n, whatever the
// marks; c.runes is its scratch memory.
func (c *cleaner) appendNFC(dst, src []byte) []byte {
	if !hasFrom(src, firstNormal) {
		return append(dst, src...)
	}
	t := canonicals()
	all := c.runes[:0]
	for len(src) > 0 {
		r, n := utf8.DecodeRune(src)
		src = src[n:]
		all = t.decompose(all, r)
	}
	for i := 0; i < len(all); {
		if all[i].class == 0 {
			i++
			continue
		}
		end := i + 1
		for end < len(all) && all[end].class != 0 {
			end++
		}
		if end > i+1 {
			slices.SortStableFunc(all[i:end], func(a, b runeClass) int { return int(a.class) - int(b.class) })
		}
		i = end
	}
	starter, n := -1, 0
	for _, x := range all {
		if starter >= 0 {
			between := all[starter+1 : n] // marks that did not join
			if len(between) == 0 || between[len(between)-1].class != 0 && between[len(between)-1].class < x.class {
				if r := t.compose(all[starter].r, x.r); r != 0 {
					all[starter].r = r
					continue
				}
			}
		}
		if x.class == 0 {
			starter = n
		}
		all[n] = x
		n++
	}
	for _, x := range all[:n] {
		dst = utf8.AppendRune(dst, x.r)
	}
	c.runes = all
	return dst
}

// hasFrom reports whether text has a character from r on, or bytes that are not UTF-8.
func hasFrom(text []byte, r rune) bool {
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			i++
			continue
		}
		x, n := utf8.DecodeRune(text[i:])
		if x >= r {
			return true
		}
		i += n
	}
	return false
}

func (t *canonical) decompose(dst []runeClass, r rune) []runeClass {
	if hangulFirst <= r && r <= hangulLast {
		r -= hangulFirst
		dst = append(dst, runeClass{r: jamoLead + r/(vowels*trailing)}, runeClass{r: jamoVowel + r/trailing%vowels})
		if tail := r % trailing; tail > 0 {
			dst = append(dst, runeClass{r: jamoTail + tail})
		}
		return dst
	}
	if r >= 0xC0 {
		if d, ok := t.split[r]; ok {
			dst = t.decompose(dst, d[0])
			if d[1] != 0 {
				dst = t.decompose(dst, d[1])
			}
			return dst
		}
	}
	return append(dst, runeClass{r, classOf(r)})
}

// compose returns the character that a and b make, or 0.
func (t *canonical) compose(a, b rune) rune {
	const leads, tails = 19, trailing - 1
	switch {
	case jamoLead <= a && a < jamoLead+leads && jamoVowel <= b && b < jamoVowel+vowels:
		return hangulFirst + ((a-jamoLead)*vowels+b-jamoVowel)*trailing
	case hangulFirst <= a && a <= hangulLast && (a-hangulFirst)%trailing == 0 && jamoTail < b && b <= jamoTail+tails:
		return a + b - jamoTail
	}
	return t.join[[2]rune{a, b}]
}

// appendLower appends src in lower case as Python's str.lower does: a capital sigma at
// the end of a word is ς, İ is an i and a dot. each makes every character lower by
// itself: a capital sigma is always σ.
func appendLower(dst, src []byte, each bool) []byte {
	for i := 0; i < len(src); {
		if c := src[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(src[i:])
		switch {
		case r == 'Σ' && !each && finalSigma(src[:i], src[i+n:]):
			dst = append(dst, "ς"...)
		case r == 'İ':
			dst = append(dst, "i\u0307"...)
		default:
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		i += n
	}
	return dst
}

// finalSigma reports whether a sigma between before and after ends a word: a cased
// letter stands before it and none after it, apart from characters that case ignores.
func finalSigma(before, after []byte) bool {
	for {
		r, n := utf8.DecodeLastRune(before)
		if n == 0 {
			return false
		}
		before = before[:len(before)-n]
		if !caseIgnorable(r) {
			if !cased(r) {
				return false
			}
			break
		}
	}
	for {
		r, n := utf8.DecodeRune(after)
		if n == 0 {
			return true
		}
		after = after[n:]
		if !caseIgnorable(r) {
			return !cased(r)
		}
	}
}

func cased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Uppercase, unicode.Other_Lowercase)
}

func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune("'.:\u00b7\u0387\u055f\u05f4‘’․‧︓﹒﹕＇．：", r)
}
