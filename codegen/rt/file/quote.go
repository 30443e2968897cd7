package file

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// maxQuoted is how many bytes of a name Quote gives.
const maxQuoted = 512

// The joiners that Persian, Indic scripts and emoji are spelt with: neither control the terminal nor turn the writing.
const zwnj, zwj = '\u200c', '\u200d'

// Quote returns a name from outside (of a file, a tensor, a label) as text for a terminal or a log: the name itself if
// everything in it can be printed, else a Go string literal, in which control characters, line ends, invalid UTF-8 and
// marks that turn the direction of writing are escaped. A long name loses its middle.
func Quote(name string) string {
	if len(name) > maxQuoted {
		head, tail := name[:maxQuoted/2], name[len(name)-maxQuoted/2:]
		return Quote(head) + "…" + Quote(tail)
	}
	for i, r := range name {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(name[i:]); n < 2 {
				return strconv.Quote(name)
			}
		}
		if !strconv.IsPrint(r) && !unicode.Is(unicode.Zs, r) && r != zwnj && r != zwj {
			return strconv.Quote(name)
		}
	}
	return name
}
