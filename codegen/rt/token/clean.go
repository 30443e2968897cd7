package token

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cleaner holds the scratch memory of what happens to a text before it is split.
type cleaner struct {
	a, b    []byte
	runes   []runeClass
	pending []rune
}

// large is what a buffer may keep between texts, in bytes.
const large = 1 << 16

// small reports whether c is worth keeping.
func (c *cleaner) small() bool {
	return cap(c.a) <= large && cap(c.b) <= large && cap(c.runes) <= large/8
}

// basic does what open_clip's basic_clean does: ftfy's repairs, except the repair of
// text that was decoded by the wrong encoding, and html.unescape twice. White space stays.
// The result is in c.a.
func (c *cleaner) basic(text string) {
	c.b = c.fix(c.b[:0], text)
	c.a = c.appendNFC(c.a[:0], c.b)
	for range 2 {
		c.b = appendUnescaped(c.b[:0], c.a)
		c.a, c.b = c.b, c.a
	}
}

// cleaned returns text as open_clip cleans it for a tokenizer of transformers: basic, and one space for each white space within.
func cleaned(text string) string {
	var c cleaner
	c.basic(text)
	return string(appendSquashed(nil, c.a, pythonSpace, true))
}

// ligatures maps characters that stand for several letters to these letters, as ftfy replaces them.
var ligatures = map[rune]string{
	'ĳ': "ij", 'Ĳ': "IJ", 'ŉ': "'n", 'Ǳ': "DZ", 'ǲ': "Dz", 'ǳ': "dz", 'Ǆ': "DŽ", 'ǅ': "Dž", 'ǆ': "dž", 'Ǉ': "LJ", 'ǈ': "Lj", 'ǉ': "lj", 'Ǌ': "NJ", 'ǋ': "Nj", 'ǌ': "nj",
	'ﬀ': "ff", 'ﬁ': "fi", 'ﬂ': "fl", 'ﬃ': "ffi", 'ﬄ': "ffl", 'ﬅ': "ſt", 'ﬆ': "st",
}

// windows1252 holds the characters of the bytes 0x80 to 0x9f, 0 where there is none.
var windows1252 = [32]rune{
	'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
}

// fix appends text as ftfy leaves it, before normalisation. ftfy repeats its steps until nothing changes;
// here every character that a step writes goes through the steps again at once, so time
// is linear also where entities are nested. Line ends stay as they are: all are white space.
func (c *cleaner) fix(dst []byte, text string) []byte {
	entities := true  // off from the first line with a < on
	escape := -1      // where in dst a terminal escape may have begun
	inEscape := false // its [ was there
	for text != "" {
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line = text[:i+1]
		}
		text = text[len(line):]
		entities = entities && strings.IndexByte(line, '<') < 0
		for _, r := range line {
			c.pending = append(c.pending[:0], r)
			for len(c.pending) > 0 {
				r := c.pending[len(c.pending)-1]
				c.pending = c.pending[:len(c.pending)-1]
				if r >= 0x80 {
					var more string
					if r, more = fixed(r); more != "" {
						c.push(more)
						continue
					}
				}
				if r == 0x1b {
					escape, inEscape = len(dst), false
					continue
				}
				if vanishesInFix(r) {
					continue
				}
				dst = utf8.AppendRune(dst, r)
				if escape >= 0 {
					switch {
					case !inEscape && r == '[':
						inEscape = true
					case inEscape && (r == ';' || '0' <= r && r <= '9'):
					default:
						if inEscape && r < utf8.RuneSelf && letter(byte(r)) {
							dst = dst[:escape]
						}
						escape = -1
					}
				}
				if r == ';' && entities {
					if n, s := entity(dst); n > 0 {
						dst = dst[:len(dst)-n]
						c.push(s)
					}
				}
			}
		}
	}
	return dst
}

// push makes s what fix reads next.
func (c *cleaner) push(s string) {
	from := len(c.pending)
	for _, r := range s {
		c.pending = append(c.pending, r)
	}
	for i, j := from, len(c.pending)-1; i < j; i, j = i+1, j-1 {
		c.pending[i], c.pending[j] = c.pending[j], c.pending[i]
	}
}

// fixed returns what ftfy writes for r: one character, or else a text.
func fixed(r rune) (rune, string) {
	switch {
	case r < 0xa0:
		if x := windows1252[r-0x80]; x != 0 {
			r = x
		}
	case 0xff01 <= r && r <= 0xffef:
		if r == 0xffe3 {
			return 0, " \u0304"
		}
		if x, ok := canonicals().width[r]; ok {
			r = x
		}
	case r == 0x3000:
		r = ' '
	case r == '\u037e': // these three are other characters in form C
		r = ';'
	case r == '\u1fef':
		r = '`'
	case r == '\u212a':
		r = 'K'
	}
	if 0x132 <= r && r <= 0x1f3 || 0xfb00 <= r && r <= 0xfb06 {
		if s, ok := ligatures[r]; ok {
			return 0, s
		}
	}
	switch {
	case r == 'ʼ' || '\u2018' <= r && r <= '\u201b':
		r = '\''
	case '\u201c' <= r && r <= '\u201f':
		r = '"'
	}
	return r, ""
}

// vanishesInFix reports whether ftfy removes r.
func vanishesInFix(r rune) bool {
	return r < ' ' && (r <= 8 || r == 0xb || r >= 0xe) || r == 0x7f || 0x206a <= r && r <= 0x206f || r == 0xfeff || 0xfff9 <= r && r <= 0xfffc
}

// entity looks for an HTML entity at the end of text, which ends in a semicolon. It
// returns its length, 0 for none, and what it stands for.
func entity(text []byte) (n int, s string) {
	const most = 24
	at := len(text) - 1
	for at > 0 && len(text)-1-at < most && (letter(text[at-1]) || '0' <= text[at-1] && text[at-1] <= '9') {
		at--
	}
	name := text[at : len(text)-1]
	if len(name) == 0 || at == 0 {
		return 0, ""
	}
	if at > 1 && text[at-1] == '#' && text[at-2] == '&' {
		r, used, ok := reference(text[at-1:])
		if used != len(name)+2 || r == ';' {
			return 0, ""
		}
		if !ok {
			return len(name) + 3, ""
		}
		return len(name) + 3, string(r)
	}
	if text[at-1] != '&' {
		return 0, ""
	}
	t := string(text[at-1:])
	u := unescape(t)
	if t == "&semi;" || !strings.HasSuffix(u, ";") {
		return len(t), u
	}
	if u == t && t == strings.ToUpper(t) {
		if low := unescape(strings.ToLower(t)); !strings.HasSuffix(low, ";") {
			switch low {
			case "ß":
				low = "SS"
			case "ŉ":
				low = "ʼN"
			case "ﬀ", "ﬁ", "ﬂ", "ﬃ", "ﬄ":
				low = ligatures[[]rune(low)[0]]
			}
			return len(t), strings.ToUpper(low)
		}
	}
	return 0, ""
}

// unescape returns what a named entity stands for, or entity itself if it has no meaning. Package html lacks two of the names.
func unescape(entity string) string {
	switch entity {
	case "&nLt;":
		return "≪\u20d2"
	case "&nGt;":
		return "≫\u20d2"
	}
	return html.UnescapeString(entity)
}

// reference reads a numeric reference from its # on. It returns the character, how many
// bytes it took, 0 if there is no number, and whether the reference stands for anything.
func reference(text []byte) (r rune, used int, ok bool) {
	base, i := 10, 1
	if i < len(text) && text[i]|0x20 == 'x' {
		base, i = 16, 2
	}
	v, from := 0, i
	for ; i < len(text); i++ {
		d := 99
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			d = int(c - '0')
		case letter(c):
			d = int(c|0x20-'a') + 10
		}
		if d >= base {
			break
		}
		v = min(v*base+d, 1<<24)
	}
	if i == from {
		return 0, 0, false
	}
	if i < len(text) && text[i] == ';' {
		i++
	}
	switch {
	case v == 0 || v >= 0xd800 && v <= 0xdfff || v > unicode.MaxRune:
		return utf8.RuneError, i, true
	case v == '\r':
		return '\r', i, true
	case 0x80 <= v && v < 0xa0:
		if r := windows1252[v-0x80]; r != 0 {
			return r, i, true
		}
		return rune(v), i, true
	case v <= 8 || v == 0xb || 0xe <= v && v < 0x20 || v == 0x7f || 0xfdd0 <= v && v <= 0xfdef || v&0xfffe == 0xfffe:
		return 0, i, false
	}
	return rune(v), i, true
}

// appendUnescaped appends src as Python's html.unescape leaves it.
func appendUnescaped(dst, src []byte) []byte {
	const longest = 32 // bytes of a name with its semicolon
	for i := 0; i < len(src); {
		if src[i] != '&' {
			dst = append(dst, src[i])
			i++
			continue
		}
		if i+1 < len(src) && src[i+1] == '#' {
			r, used, ok := reference(src[i+1:])
			if used > 0 {
				if ok {
					dst = utf8.AppendRune(dst, r)
				}
				i += 1 + used
				continue
			}
		}
		end := i + 1
		for end < len(src) && end-i <= longest && (letter(src[end]) || '0' <= src[end] && src[end] <= '9') {
			end++
		}
		if end < len(src) && src[end] == ';' && end-i <= longest {
			end++
		}
		if end == i+1 {
			dst = append(dst, '&')
		} else {
			dst = append(dst, unescape(string(src[i:end]))...)
		}
		i = end
	}
	return dst
}

// appendSquashed appends src with one space for every run of white space; strip drops what
// leads and trails.
func appendSquashed(dst, src []byte, space func(rune) bool, strip bool) []byte {
	held, from := false, len(dst)
	for i := 0; i < len(src); {
		r, n := rune(src[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(src[i:])
		}
		if space(r) {
			held = true
		} else {
			if held && (!strip || len(dst) > from) {
				dst = append(dst, ' ')
			}
			held = false
			dst = append(dst, src[i:i+n]...)
		}
		i += n
	}
	if held && !strip {
		dst = append(dst, ' ')
	}
	return dst
}

// pythonSpace is str.isspace: Unicode's white space and four separators.
func pythonSpace(r rune) bool { return 0x1c <= r && r <= 0x1f || unicode.IsSpace(r) }
