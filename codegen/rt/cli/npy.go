package cli

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/multiway-go/multiway/ir/file"
)

// npyWriter writes a float32 array [rows][cols] in NumPy's .npy format, row by row. The header
// at the start of the file is written last, when the number of rows is known.
type npyWriter struct {
	f    *file.File
	b    *bufio.Writer
	rows int
	cols int
	buf  []byte
}

// npyHeader is the size of the header in bytes, enough for any shape.
const npyHeader = 128

// openNPY opens an array of rows of cols values in f, new or left by an earlier run, and counts
// the complete rows in it. A call of begin must follow.
func openNPY(f *file.File, cols int) (*npyWriter, error) {
	w := &npyWriter{f: f, b: bufio.NewWriterSize(f, 1<<16), cols: cols}
	r := bufio.NewReaderSize(f, 1<<16)
	if _, err := r.Discard(npyHeader); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", file.Quote(f.Name()), err)
	}
	for row := make([]byte, 4*cols); ; w.rows++ {
		switch _, err := io.ReadFull(r, row); {
		case err == io.EOF || err == io.ErrUnexpectedEOF || err == nil && zeros(row): // a power failure can leave zeros
			return w, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", file.Quote(f.Name()), err)
		}
	}
}

func zeros(b []byte) bool { return !slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) }

// begin cuts the array off after its first rows rows, where the next row is written. With 0 rows it
// starts the file anew, with a blank header.
func (w *npyWriter) begin(rows int) error {
	w.rows = rows
	if rows > 0 {
		return cut(w.f, int64(npyHeader)+4*int64(rows)*int64(w.cols))
	}
	if err := cut(w.f, 0); err != nil {
		return err
	}
	_, err := w.b.Write(make([]byte, npyHeader))
	return err
}

func (w *npyWriter) row(x []float32) error {
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

// end flushes the rows and writes the header.
func (w *npyWriter) end() error {
	err := w.b.Flush()
	if err == nil {
		_, err = w.f.WriteAt(npyHead(w.rows, w.cols), 0)
	}
	return err
}

// npyHead returns a version 1.0 header: magic, version, length, a Python literal padded with
// spaces, a newline.
func npyHead(rows, cols int) []byte {
	dict := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, cols)
	h := append([]byte("\x93NUMPY\x01\x00"), npyHeader-10, 0)
	h = append(h, fmt.Sprintf("%-*s\n", npyHeader-11, dict)...)
	return h
}

// npyReader reads an array that npyWriter wrote, row by row.
type npyReader struct {
	r          *bufio.Reader
	rows, left int
	raw        []byte
	row        []float32
}

// newNPYReader reads the header and checks it against the size of the file.
func newNPYReader(f *os.File, cols int) (*npyReader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	head := make([]byte, npyHeader)
	if _, err := io.ReadFull(f, head); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	rows := int((st.Size() - npyHeader) / (4 * int64(cols)))
	if st.Size() != npyHeader+4*int64(rows)*int64(cols) || !bytes.Equal(head, npyHead(rows, cols)) {
		return nil, fmt.Errorf("not an array of rows of %d float32 values as embed -o writes it; the file has %d bytes", cols, st.Size())
	}
	return &npyReader{bufio.NewReaderSize(f, 1<<16), rows, rows, make([]byte, 4*cols), make([]float32, cols)}, nil
}

// next returns the next row, which is valid until the following call; io.EOF marks the end.
func (r *npyReader) next() ([]float32, error) {
	if r.left == 0 {
		return nil, io.EOF
	}
	r.left--
	if _, err := io.ReadFull(r.r, r.raw); err != nil {
		return nil, fmt.Errorf("the file was cut while it was read: %w", err)
	}
	for i := range r.row {
		x := math.Float32frombits(binary.LittleEndian.Uint32(r.raw[4*i:]))
		if x-x != 0 {
			return nil, fmt.Errorf("value %d is %v; want finite numbers", i, x)
		}
		r.row[i] = x
	}
	return r.row, nil
}
