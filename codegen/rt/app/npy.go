package app

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// npyWriter writes a float32 array [rows][cols] in NumPy's format, row by row: the
// header at the start of the file gets the number of rows at the end.
type npyWriter struct {
	f    *file
	b    *bufio.Writer
	rows int
	cols int // of the first row; -1 before it
	buf  []byte
}

// npyHeader is the size of the header: room for any shape.
const npyHeader = 128

func newNPY(f *file) *npyWriter {
	w := &npyWriter{f: f, b: bufio.NewWriterSize(f, 1<<16), cols: -1}
	w.b.Write(make([]byte, npyHeader)) // the error stays until Flush
	return w
}

func (w *npyWriter) row(x []float32) error {
	if w.cols < 0 {
		w.cols = len(x)
	}
	if len(x) != w.cols {
		return fmt.Errorf("%s: a row of %d values after rows of %d; write JSON lines, or pictures and texts apart", w.f.path, len(x), w.cols)
	}
	w.buf = w.buf[:0]
	for _, v := range x {
		w.buf = binary.LittleEndian.AppendUint32(w.buf, math.Float32bits(v))
	}
	w.rows++
	_, err := w.b.Write(w.buf)
	return err
}

// close writes the header and puts the file in its place.
func (w *npyWriter) close() error {
	err := w.b.Flush()
	if err == nil {
		_, err = w.f.WriteAt(npyHead(w.rows, max(0, w.cols)), 0)
	}
	if err != nil {
		return err
	}
	return w.f.commit()
}

// npyHead is a version 1.0 header: magic, version, length, a Python literal padded
// with spaces, a newline.
func npyHead(rows, cols int) []byte {
	dict := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, cols)
	h := append([]byte("\x93NUMPY\x01\x00"), npyHeader-10, 0)
	h = append(h, fmt.Sprintf("%-*s\n", npyHeader-11, dict)...)
	return h
}

// file is an output file that appears under its name when it is whole.
type file struct {
	*os.File
	path string
	done bool
}

// create starts a file in the folder of path, which must exist.
func create(path string) (*file, error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is there and is no regular file; give another name", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &file{File: f, path: path}, nil
}

// commit ends the file and gives it its name.
func (f *file) commit() error {
	err := f.Chmod(0o644)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	f.done = err == nil
	return err
}

// abandon removes a file that was not committed; after commit it does nothing.
func (f *file) abandon() {
	if !f.done {
		f.Close()
		os.Remove(f.Name())
	}
}

// writeFile writes a whole file by way of create.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := create(path)
	if err != nil {
		return err
	}
	defer f.abandon()
	b := bufio.NewWriter(f)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.commit()
}
