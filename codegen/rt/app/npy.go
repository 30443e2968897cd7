package app

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/multiway-go/multiway/codegen/rt/file"
)

// npyWriter writes a float32 array [rows][cols] in NumPy's format, row by row: the
// header at the start of the file gets the number of rows at the end.
type npyWriter struct {
	f    *file.File
	b    *bufio.Writer
	rows int
	cols int // of the first row; -1 before it
	buf  []byte
}

// npyHeader is the size of the header: room for any shape.
const npyHeader = 128

func newNPY(f *file.File) *npyWriter {
	w := &npyWriter{f: f, b: bufio.NewWriterSize(f, 1<<16), cols: -1}
	w.b.Write(make([]byte, npyHeader)) // the error stays until Flush
	return w
}

func (w *npyWriter) row(x []float32) error {
	if w.cols < 0 {
		w.cols = len(x)
	}
	if len(x) != w.cols {
		return fmt.Errorf("%s: a row of %d values after rows of %d; write JSON lines, or pictures and texts apart", file.Quote(w.f.Place()), len(x), w.cols)
	}
	w.buf = w.buf[:0]
	for _, v := range x {
		w.buf = binary.LittleEndian.AppendUint32(w.buf, math.Float32bits(v))
	}
	w.rows++
	_, err := w.b.Write(w.buf)
	return err
}

// end writes the header.
func (w *npyWriter) end() error {
	err := w.b.Flush()
	if err == nil {
		_, err = w.f.WriteAt(npyHead(w.rows, max(0, w.cols)), 0)
	}
	return err
}

// npyHead is a version 1.0 header: magic, version, length, a Python literal padded
// with spaces, a newline.
func npyHead(rows, cols int) []byte {
	dict := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, cols)
	h := append([]byte("\x93NUMPY\x01\x00"), npyHeader-10, 0)
	h = append(h, fmt.Sprintf("%-*s\n", npyHeader-11, dict)...)
	return h
}
