package file

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// encoded is s as UTF-16 with a byte order mark.
func encoded(s string, big bool) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return out
}

func TestText(t *testing.T) {
	const lines = "rote Äpfel\r\n日本 😀\r\r\n\na\ufeffb\r"
	const s = "rote Äpfel\n日本 😀\n\n\na\ufeffb\n"
	for name, c := range map[string]struct {
		in   []byte
		want string
		err  error
	}{
		"empty":             {nil, "", nil},
		"plain":             {[]byte(lines), s, nil},
		"mark":              {[]byte("\ufeff" + lines), s, nil},
		"more marks":        {[]byte("\ufeff\ufeffx\n\ufeffy\r\ufeffz\n\ufeff"), "x\ny\nz\n", nil},
		"UTF-16, marks":     {encoded("x\n\ufeffy\r\n\ufeff", true), "x\ny\n", nil},
		"not UTF-8":         {[]byte("caf\xe9"), "caf\xe9", nil},
		"UTF-16, little":    {encoded(lines, false), s, nil},
		"UTF-16, big":       {encoded(lines, true), s, nil},
		"half a pair":       {[]byte("\xff\xfea\x00\x3d\xd8b\x00\x3d\xd8"), "a\ufffdb\ufffd", nil},
		"UTF-16, no mark":   {encoded("ab", false)[2:], "a", ErrNotText},
		"UTF-32":            {[]byte("\xff\xfe\x00\x00a\x00\x00\x00"), "", ErrNotText},
		"a zero in UTF-8":   {[]byte("ab\x00c"), "ab", ErrNotText},
		"only a mark":       {[]byte("\xff\xfe"), "", nil},
		"half of UTF-8's":   {[]byte("\xef\xbb"), "\xef\xbb", nil},
		"UTF-16, cut short": {[]byte("\xff\xfea\x00b"), "a", errCut},
	} {
		for reader, r := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "by bytes": iotest.OneByteReader} {
			got, err := io.ReadAll(iotest.OneByteReader(Text(r(bytes.NewReader(c.in)))))
			if string(got) != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s, %s: %q, %v, want %q, %v", name, reader, got, err, c.want, c.err)
			}
		}
	}
}

// TestTextDoesNotWait reads a line of UTF-16 from a pipe that stays open.
func TestTextDoesNotWait(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	text := Text(r)
	go w.Write(encoded("a line\n", false))
	got := make([]byte, 7)
	if _, err := io.ReadFull(text, got); err != nil || string(got) != "a line\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReadText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	for text, want := range map[string]string{"\ufeffone\n": "one\n", "a\x00": ""} {
		asmtest.Write(t, path, text)
		got, err := ReadText(path, 100)
		if string(got) != want || (err != nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%q, %v", got, err)
		}
	}
}
