//go:build !js

package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A mark is the head of the file of vectors. It says which index the file belongs to, and whether the records beside it are as
// their last writer left them: clean, with their size and checksum, or in the middle of a change. The two places of marks are
// written in turn, so that the one before stays whole while one is written.
type mark struct {
	id    uint64 // of the index, at random: files of two indexes are not mixed
	dim   uint32 // values of a vector
	count uint64 // of marks written; the larger of the two is valid
	clean bool
	size  int64  // bytes of the file of records, if clean
	sum   uint32 // CRC-32C of that file, if clean
}

const (
	markMagic   = "MWINDEX1"
	markSize    = 56
	markStride  = 512     // a disk writes at least this much at once
	vectorsHead = 1 << 16 // bytes before the first panel: a multiple of every page size, so that panels can be mapped
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (m *mark) bytes() []byte {
	b := make([]byte, 0, markSize)
	b = append(b, markMagic...)
	b = binary.LittleEndian.AppendUint64(b, m.id)
	b = binary.LittleEndian.AppendUint32(b, m.dim)
	clean := uint32(0)
	if m.clean {
		clean = 1
	}
	b = binary.LittleEndian.AppendUint32(b, clean)
	b = binary.LittleEndian.AppendUint64(b, m.count)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.size))
	b = binary.LittleEndian.AppendUint32(b, m.sum)
	b = append(b, make([]byte, markSize-4-len(b))...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func parseMark(b []byte) (m mark, ok bool) {
	if string(b[:8]) != markMagic || binary.LittleEndian.Uint32(b[markSize-4:]) != crc32.Checksum(b[:markSize-4], castagnoli) {
		return m, false
	}
	m.id = binary.LittleEndian.Uint64(b[8:])
	m.dim = binary.LittleEndian.Uint32(b[16:])
	m.clean = binary.LittleEndian.Uint32(b[20:]) == 1
	m.count = binary.LittleEndian.Uint64(b[24:])
	m.size = int64(binary.LittleEndian.Uint64(b[32:]))
	m.sum = binary.LittleEndian.Uint32(b[40:])
	return m, true
}

var errNoMark = errors.New("it does not begin as a file of vectors does")

// readMark returns the valid mark. A place that was written and holds no mark is damage, since the mark of the other place may
// then be an old one.
func readMark(f *os.File) (mark, error) {
	b := make([]byte, markStride+markSize)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(len(b))), b); err != nil {
		return mark{}, errNoMark
	}
	first, ok := parseMark(b)
	other, also := parseMark(b[markStride:])
	switch {
	case !ok || !also:
		return mark{}, errNoMark
	case first.id != other.id || first.dim != other.dim:
		return mark{}, errNoMark
	case other.count > first.count:
		first = other
	}
	return first, nil
}

// write writes the mark that follows m, and makes m that.
func (m *mark) write(f *os.File) error {
	m.count++
	_, err := f.WriteAt(m.bytes(), int64(m.count%2)*markStride)
	return err
}

// sumFile returns the size and the CRC-32C of a file.
func sumFile(path string) (size int64, sum uint32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	h := crc32.New(castagnoli)
	size, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 1<<18))
	return size, h.Sum32(), err
}

// setClean makes m the mark of the records at path as they are.
func (m *mark) setClean(path string) (err error) {
	m.clean = true
	m.size, m.sum, err = sumFile(path)
	return err
}

// check compares the file of records with a clean mark.
func (m *mark) check(path string) error {
	if !m.clean {
		return nil
	}
	size, sum, err := sumFile(path)
	if err != nil {
		return err
	}
	if size != m.size || sum != m.sum {
		return fmt.Errorf("it has %d bytes of checksum %08x, and %d of %08x were written", size, sum, m.size, m.sum)
	}
	return nil
}
