package heif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// reader reads big-endian numbers. Past the end it returns zeros and sets short.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.short, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// number reads an unsigned number of n bytes, 0 to 8.
func (r *reader) number(n int) (v uint64) {
	for _, b := range r.bytes(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *reader) u8() int  { return int(r.number(1)) }
func (r *reader) u16() int { return int(r.number(2)) }

// size reads an unsigned number of n bytes, limited to the largest int32.
func (r *reader) size(n int) int { return int(min(r.number(n), math.MaxInt32)) }

// id reads an item ID of 2 bytes, or of 4 if long.
func (r *reader) id(long bool) uint32 {
	if long {
		return uint32(r.number(4))
	}
	return uint32(r.number(2))
}

// full reads the version and flags of a full box.
func (r *reader) full() (version int, flags uint32) {
	v := r.number(4)
	return int(v >> 24), uint32(v & 0xffffff)
}

// maxBoxes is the largest number of boxes, and of list entries in them, that a file may have.
const maxBoxes = 1 << 18

// counter counts boxes and entries, and refuses more than maxBoxes.
type counter int

func (n *counter) add(k int) error {
	if *n += counter(min(k, maxBoxes+1)); *n > maxBoxes {
		return fmt.Errorf("the file has more than %d boxes and list entries", maxBoxes)
	}
	return nil
}

var errCut = errors.New("the file is cut off or damaged: a box ends before its contents do")

// boxes calls yield with the type and body of each box in b. Unless whole is set, the last box
// may be cut off: its body is then the part that is there.
func (n *counter) boxes(b []byte, whole bool, yield func(kind string, body []byte) error) error {
	for len(b) > 0 {
		if err := n.add(1); err != nil {
			return err
		}
		if len(b) < 8 {
			return errCut
		}
		size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		kind := string(b[4:8])
		switch {
		case size == 1 && len(b) >= 16:
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		case size == 0: // the box extends to the end
			size = uint64(len(b))
		}
		if size < head {
			return errCut
		}
		if size > uint64(len(b)) {
			if whole {
				return errCut
			}
			size = uint64(len(b))
			if size < head {
				return errCut
			}
		}
		if err := yield(kind, b[head:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}
