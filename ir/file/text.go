package file

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrNotText is the error of reading a Text with a zero byte, which text files do not contain.
var ErrNotText = errors.New("found a zero byte, want text: save the file as UTF-8 (UTF-16 is read if it begins with a byte order mark)")

var errCut = errors.New("UTF-16 that ends in the middle of a character: the file is cut off")

// Text returns a reader of the text in r as UTF-8 with lines that end in "\n": it converts "\r\n" and a single "\r". It drops
// byte order marks at the beginning of lines, where they are in concatenated files. If the first mark is one of UTF-16, of
// either byte order, it converts the text; halves of surrogate pairs become U+FFFD. All other bytes are passed on, valid UTF-8
// or not, up to the first zero byte: see ErrNotText. It reads some kilobytes ahead in r.
func Text(r io.Reader) io.Reader { return &textReader{r: bufio.NewReader(r)} }

// ReadText reads a text file of at most limit bytes, converted as by Text.
func ReadText(path string, limit int64) ([]byte, error) {
	data, err := Read(path, limit)
	if err != nil {
		return nil, err
	}
	if data, err = io.ReadAll(Text(bytes.NewReader(data))); err != nil {
		return nil, PathError(path, err)
	}
	return data, nil
}

type textReader struct {
	r       *bufio.Reader
	begun   bool
	inside  bool              // inside a line, not at its beginning
	turned  bool              // the last byte was "\r"
	unit    func([]byte) rune // decodes the two bytes of a UTF-16 unit; nil: UTF-8
	pending []byte            // the rest of a character that did not fit into p
}

func (t *textReader) Read(p []byte) (int, error) {
	if !t.begun {
		t.begun = true
		head, _ := t.r.Peek(2)
		switch {
		case bytes.HasPrefix(head, []byte("\xff\xfe")):
			t.unit = func(b []byte) rune { return rune(b[1])<<8 | rune(b[0]) }
		case bytes.HasPrefix(head, []byte("\xfe\xff")):
			t.unit = func(b []byte) rune { return rune(b[0])<<8 | rune(b[1]) }
		}
	}
	n := 0
	for n < len(p) {
		if len(t.pending) == 0 {
			// Return available bytes before waiting for more.
			if n > 0 && t.r.Buffered() < 4 {
				return n, nil
			}
			if err := t.next(); err != nil {
				return n, err
			}
		}
		k := copy(p[n:], t.pending)
		n, t.pending = n+k, t.pending[k:]
	}
	return n, nil
}

// byteOrder is the byte order mark.
const byteOrder = "\ufeff"

// next puts the next character, or the next byte of UTF-8, into pending.
func (t *textReader) next() error {
	for {
		var r rune
		var err error
		t.pending = t.pending[:0]
		if t.unit != nil {
			r, err = t.wide()
			t.pending = utf8.AppendRune(t.pending, r)
		} else {
			var b byte
			b, err = t.r.ReadByte()
			if r = rune(b); err == nil && b == 0 {
				err = ErrNotText
			}
			t.pending = append(t.pending, b)
			if b == byteOrder[0] && !t.inside {
				if rest, _ := t.r.Peek(2); string(rest) == byteOrder[1:] {
					t.r.Discard(2)
					r = '\ufeff'
				}
			}
		}
		if err != nil {
			t.pending = t.pending[:0]
			return err
		}
		if r == '\ufeff' && !t.inside {
			continue
		}
		second := t.turned && r == '\n'
		if t.turned = r == '\r'; t.turned {
			t.pending = append(t.pending[:0], '\n')
		}
		t.inside = t.pending[0] != '\n'
		if !second {
			return nil
		}
	}
}

// wide reads a character of UTF-16.
func (t *textReader) wide() (rune, error) {
	b, err := t.r.Peek(2)
	switch {
	case len(b) == 1 && err == io.EOF:
		return 0, errCut
	case err != nil:
		return 0, err
	}
	r := t.unit(b)
	t.r.Discard(2)
	switch {
	case r == 0:
		return 0, ErrNotText
	case !utf16.IsSurrogate(r):
		return r, nil
	}
	if b, err := t.r.Peek(2); err == nil {
		if pair := utf16.DecodeRune(r, t.unit(b)); pair != utf8.RuneError {
			t.r.Discard(2)
			return pair, nil
		}
	}
	return utf8.RuneError, nil
}
