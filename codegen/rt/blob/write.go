package blob

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
)

// Write writes a weight file from the start of w. Tensors are in order of their offsets;
// data(i, w) writes the packed data of tensor i, exactly Bytes. Gaps are filled with zeros.
// The same input gives the same bytes.
func Write(w io.WriteSeeker, packing uint32, tensors []Tensor, data func(i int, w io.Writer) error) error {
	size := payloadSize(tensors)
	if err := checkTensors(tensors, size); err != nil {
		return err
	}
	table := encodeTable(tensors)
	if len(table) > maxTable {
		return fmt.Errorf("a table of %d tensors has %d bytes, at most %d are allowed", len(tensors), len(table), maxTable)
	}
	start := int64(headerSize+len(table)+blobAlign-1) &^ (blobAlign - 1)
	if _, err := w.Seek(start, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	chunks := &chunks{w: w, at: start}
	out := &counter{w: io.MultiWriter(chunks, sum)}
	for i, t := range tensors {
		if err := out.zeros(t.Offset - out.n); err != nil {
			return err
		}
		if err := data(i, out); err != nil {
			return fmt.Errorf("%s: %w", tensorName(i, t.Name), err)
		}
		if got := out.n - t.Offset; got != t.Bytes {
			return fmt.Errorf("%s: got %d bytes of data, want %d", tensorName(i, t.Name), got, t.Bytes)
		}
	}
	if err := out.zeros(size - out.n); err != nil {
		return err
	}
	if err := chunks.flush(); err != nil {
		return err
	}

	le := binary.LittleEndian
	head := make([]byte, start)
	copy(head, blobMagic)
	le.PutUint16(head[6:], blobFormat)
	le.PutUint32(head[8:], packing)
	le.PutUint32(head[12:], uint32(len(table)))
	le.PutUint64(head[16:], uint64(start))
	le.PutUint64(head[24:], uint64(size))
	hash := sha256.Sum256(table)
	copy(head[32:], hash[:])
	copy(head[64:], sum.Sum(nil))
	le.PutUint32(head[96:], uint32(len(tensors)))
	copy(head[headerSize:], table)
	if _, err := w.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Seek(start+size, io.SeekStart)
	return err
}

// hugePage is the size of huge pages of systems with pages of 4 KiB.
const hugePage = 2 << 20

// chunks writes a file in whole huge pages, so that the system can cache it in such and map them. The end
// is written by flush.
type chunks struct {
	w   io.Writer
	at  int64 // offset in the file of the start of buf
	buf []byte
}

func (c *chunks) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		end := c.at + int64(len(c.buf))
		n := int(min(int64(len(rest)), hugePage-end%hugePage))
		c.buf, rest = append(c.buf, rest[:n]...), rest[n:]
		if (end+int64(n))%hugePage == 0 {
			if err := c.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

func (c *chunks) flush() error {
	n, err := c.w.Write(c.buf)
	c.at, c.buf = c.at+int64(n), c.buf[:0]
	return err
}

// counter counts the bytes that are written to w.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) zeros(n int64) error {
	var page [blobAlign]byte
	for n > 0 {
		k, err := c.Write(page[:min(n, blobAlign)])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}
