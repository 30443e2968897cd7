package file

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxQuoted bounds the bytes of a name that Quote returns.
const maxQuoted = 512

// The joiners that Persian, Indic scripts and emoji need. They neither control a terminal nor change the writing direction.
const zwnj, zwj = '\u200c', '\u200d'

// Quote returns an untrusted name (of a file, a tensor, a label) as text for a terminal or a log: the name itself if all of it
// is printable, else a Go string literal that escapes control characters, line ends, invalid UTF-8 and marks that change the
// writing direction. The middle of a long name is left out.
func Quote(name string) string {
	if len(name) > maxQuoted {
		head, tail := maxQuoted/2, len(name)-maxQuoted/2
		for range utf8.UTFMax { // not within a character
			if !utf8.RuneStart(name[head]) {
				head--
			}
			if !utf8.RuneStart(name[tail]) {
				tail++
			}
		}
		return Quote(name[:head]) + "…" + Quote(name[tail:])
	}
	for i, r := range name {
		if !plain(name[i:], r) {
			return strconv.Quote(name)
		}
	}
	return name
}

// Escape returns a message as text for a terminal or a log. It escapes the characters that Quote escapes, except line ends and
// tabs, which belong to the message. Names in a message should be quoted before.
func Escape(message string) string {
	var b strings.Builder
	for i, r := range message {
		if plain(message[i:], r) || r == '\n' || r == '\t' {
			b.WriteRune(r)
			continue
		}
		_, n := utf8.DecodeRuneInString(message[i:])
		q := strconv.Quote(message[i : i+n])
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// EscapeJSON returns JSON of the same value without characters that control a terminal.
func EscapeJSON(text []byte) []byte {
	if !bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x7f }) { // JSON strings contain no lower control characters
		return text
	}
	var b bytes.Buffer
	for i, r := range string(text) {
		switch {
		case r < 0x7f || plain(string(text[i:min(len(text), i+utf8.UTFMax)]), r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// plain reports whether r, the first character of text, needs no escape.
func plain(text string, r rune) bool {
	if r == utf8.RuneError {
		if _, n := utf8.DecodeRuneInString(text); n < 2 {
			return false
		}
	}
	return strconv.IsPrint(r) || unicode.Is(unicode.Zs, r) || r == zwnj || r == zwj
}
