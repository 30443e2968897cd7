package imagefile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"

	"golang.org/x/image/tiff"
)

// Tags of a TIFF directory.
const (
	tagWidth       = 256
	tagHeight      = 257
	tagCompression = 259
	tagPhotometric = 262
	tagOrientation = 274
	tagStripBytes  = 279
	tagTileBytes   = 325
)

// Kinds of compression. Files without the tag are not compressed.
const (
	uncompressed = 1
	group3       = 3
	group4       = 4
	lzw          = 5
	packBits     = 32773
)

// checkTIFF looks at what the strips or tiles hold. They may lie on the same bytes, so
// that a small file can promise any amount.
func checkTIFF(data []byte, o Options) error {
	d := directory(data)
	raw := 8 * o.maxPixels()
	if w, h := d.number(tagWidth), d.number(tagHeight); h > 0 && w <= o.maxPixels()/h {
		raw = 8 * w * h // of 4 samples of 16 bits
	}
	for _, tag := range []uint16{tagStripBytes, tagTileBytes} {
		e := d.entry(tag)
		if e == nil {
			continue
		}
		sum := int64(0)
		n := e.each(maxBlocks+1, func(v uint32) { sum += int64(v) })
		if n > maxBlocks {
			return fmt.Errorf("the picture is cut into more than %d strips or tiles: %s", maxBlocks, again)
		}
		if err := packed(sum, raw); err != nil {
			return err
		}
		switch d.number(tagCompression) {
		case -1, uncompressed, lzw, packBits: // quick, whatever they hold
		default:
			if err := deflated(sum, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodeTIFF corrects the decoder on fax-compressed pictures whose zeros are black. By
// the TIFF specification, and in libtiff, the compression's white runs are zeros
// whatever zero means; the decoder shows white runs as white.
func decodeTIFF(data []byte) (image.Image, error) {
	const blackIsZero = 1
	img, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	d := directory(data)
	fax := d.number(tagCompression)
	if m, ok := img.(*image.Gray); ok && (fax == group3 || fax == group4) && d.number(tagPhotometric) == blackIsZero {
		for i, v := range m.Pix {
			m.Pix[i] = ^v
		}
	}
	return img, nil
}

// ifd is the first directory of a TIFF.
type ifd struct {
	data    []byte
	order   binary.ByteOrder
	entries []byte
}

// ifdEntry is a tag's values.
type ifdEntry struct {
	kind   uint16 // 3: 16 bits, 4: 32 bits
	count  uint32
	values []byte // what there is of them
	order  binary.ByteOrder
}

const (
	ifdByte  = 1
	ifdShort = 3
	ifdLong  = 4
)

// directory finds the first directory. One that is damaged has the entries that are
// there.
func directory(data []byte) ifd {
	const headerLen = 8
	if len(data) < headerLen {
		return ifd{}
	}
	d := ifd{data: data}
	switch string(data[:4]) {
	case "II*\x00":
		d.order = binary.LittleEndian
	case "MM\x00*":
		d.order = binary.BigEndian
	default:
		return ifd{}
	}
	at := uint64(d.order.Uint32(data[4:]))
	if at+2 > uint64(len(data)) {
		return ifd{}
	}
	n := int(d.order.Uint16(data[at:]))
	d.entries = data[at+2:]
	d.entries = d.entries[:min(n, len(d.entries)/ifdEntryLen)*ifdEntryLen]
	return d
}

const ifdEntryLen = 12

// entry returns the first entry of a tag, nil if there is none.
func (d ifd) entry(tag uint16) *ifdEntry {
	for e := d.entries; len(e) >= ifdEntryLen; e = e[ifdEntryLen:] {
		if d.order.Uint16(e) != tag {
			continue
		}
		x := &ifdEntry{kind: d.order.Uint16(e[2:]), count: d.order.Uint32(e[4:]), values: e[8:12], order: d.order}
		if size := uint64(x.count) * x.size(); size > 4 {
			at := min(uint64(d.order.Uint32(e[8:])), uint64(len(d.data)))
			x.values = d.data[at:][:min(size, uint64(len(d.data))-at)]
		}
		return x
	}
	return nil
}

// size is that of a value, 0 if it is of a kind that is not read.
func (e *ifdEntry) size() uint64 {
	return map[uint16]uint64{ifdByte: 1, ifdShort: 2, ifdLong: 4}[e.kind]
}

// each hands over up to limit of the values that are there and returns how many that
// are.
func (e *ifdEntry) each(limit int, do func(uint32)) int {
	size := int(e.size())
	if size == 0 {
		return 0
	}
	n := min(len(e.values)/size, limit)
	if uint64(e.count) < uint64(n) {
		n = int(e.count)
	}
	for i := range n {
		switch v := e.values[i*size:]; e.kind {
		case ifdByte:
			do(uint32(v[0]))
		case ifdShort:
			do(uint32(e.order.Uint16(v)))
		case ifdLong:
			do(e.order.Uint32(v))
		}
	}
	return n
}

// number returns the first value of a tag, -1 if there is none.
func (d ifd) number(tag uint16) int64 {
	v := int64(-1)
	if e := d.entry(tag); e != nil {
		e.each(1, func(x uint32) { v = int64(x) })
	}
	return v
}
