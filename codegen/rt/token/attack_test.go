package token

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// vocabulary is one of n lines, each as short as can be.
func vocabulary(n int) []byte {
	b := []byte("[CLS]\n[SEP]\n[PAD]\n[UNK]\n")
	for i := range n {
		b = append(strconv.AppendInt(b, int64(i), 36), '\n')
	}
	return b
}

// spm is a SentencePiece model with the pieces after the special ones.
func spm(pieces ...string) []byte {
	var b []byte
	add := func(text string, kind byte) {
		body := append(appendUvarint([]byte{0x0a}, len(text)), text...)
		body = append(body, 0x18, kind)
		b = append(appendUvarint(append(b, 0x0a), len(body)), body...)
	}
	add("<unk>", unknown)
	add("<s>", control)
	add("</s>", control)
	for _, p := range pieces {
		add(p, normal)
	}
	return append(b, 0x1a, 0)
}

func appendUvarint(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// A file costs memory in proportion to its size, and errors are short whatever it holds.
func TestHostileTokenizers(t *testing.T) {
	var short []string
	for i := range 200_000 {
		short = append(short, strconv.FormatInt(int64(i), 36))
	}
	long := strings.Repeat("\x1b", maxPiece)
	for _, c := range []struct {
		name string
		data []byte
		what string // of the error; "" is none
	}{
		{"short pieces", spm(short...), ""},
		{"short lines", vocabulary(200_000), ""},
		{"lines", vocabulary(maxVocabPieces), "more than 1048576 lines"},
		{"large vocabulary", bytes.Repeat([]byte("ab\n"), maxVocabulary/3+1), "want at most 16777216"},
		{"pieces", append(spm(), bytes.Repeat([]byte{0x0a, 0}, maxPieces)...), "pieces, want at most"},
		{"long piece twice", spm(long, long), `are both "\x1b`},
		{"long piece with a zero", spm(long[1:] + "\x00"), "holds a zero byte"},
		{"long line twice", []byte(strings.Repeat("a", 1000) + "\n" + strings.Repeat("a", 1000)), "want every piece once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if got, most := asmtest.Allocated(func() { _, err = Open(c.data, "") }), 40*len(c.data)+1<<20; got > most {
				t.Errorf("%d bytes take %d in all, want at most %d", len(c.data), got, most)
			}
			switch {
			case c.what == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.what != "" && (err == nil || len(err.Error()) > 1000 || !strings.Contains(err.Error(), c.what)):
				t.Errorf("error is %.300v, want a short one with %q in it", err, c.what)
			}
		})
	}
}
