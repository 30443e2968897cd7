package file

import (
	"strconv"
	"strings"
)

// MaxError bounds an error's text, in bytes, whatever the input: lists in it stop there.
const MaxError = 8 << 10

// maxLiteral is how many bytes of a text Literal gives.
const maxLiteral = 128

// Literal returns a text from outside as a Go string literal, in which nothing is left that a terminal acts on. A long
// text loses its middle.
func Literal(text string) string {
	if len(text) > maxLiteral {
		head := strings.ToValidUTF8(text[:maxLiteral/2], "")
		tail := strings.ToValidUTF8(text[len(text)-maxLiteral/2:], "")
		return strconv.Quote(head + "…" + tail)
	}
	return strconv.Quote(text)
}

// Brief returns a message as Escape does. One that is longer than MaxError, before or after, loses its middle.
func Brief(message string) string { return Shorten(Escape(Shorten(message, MaxError)), MaxError) }

// Shorten returns a message without its middle if it is longer than limit bytes, of which there are 32 at least.
func Shorten(message string, limit int) string {
	if len(message) <= limit {
		return message
	}
	head := strings.ToValidUTF8(message[:limit/2], "")
	tail := strings.ToValidUTF8(message[len(message)-limit/4:], "")
	return head + " … " + tail
}

// List writes after a heading the items that fit into MaxError bytes, but one at least, and then how many more there are.
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
