package file

import (
	"strconv"
	"strings"
)

// MaxError bounds the text of an error, in bytes. Longer lists in it are cut.
const MaxError = 8 << 10

// maxLiteral bounds the bytes of a text that Literal returns.
const maxLiteral = 128

// Literal returns an untrusted text as a Go string literal, without characters that control a terminal. The middle of a
// long text is left out.
func Literal(text string) string {
	if len(text) > maxLiteral {
		head := strings.ToValidUTF8(text[:maxLiteral/2], "")
		tail := strings.ToValidUTF8(text[len(text)-maxLiteral/2:], "")
		return strconv.Quote(head + "…" + tail)
	}
	return strconv.Quote(text)
}

// Brief returns a message escaped as by Escape and shortened to MaxError.
func Brief(message string) string { return Shorten(Escape(Shorten(message, MaxError)), MaxError) }

// Shorten returns a message without its middle if it is longer than limit bytes. limit is at least 32.
func Shorten(message string, limit int) string {
	if len(message) <= limit {
		return message
	}
	head := strings.ToValidUTF8(message[:limit/2], "")
	tail := strings.ToValidUTF8(message[len(message)-limit/4:], "")
	return head + " … " + tail
}

// List returns a heading, the items that fit into MaxError bytes (at least one), and the number of further items.
func List(heading string, n int, item func(i int) string) string {
	var b strings.Builder
	b.WriteString(heading)
	for i := range n {
		s := item(i)
		if i > 0 && b.Len()+len(s) > MaxError-64 {
			b.WriteString("\n  and " + strconv.Itoa(n-i) + " more")
			break
		}
		b.WriteString(s)
	}
	return b.String()
}
