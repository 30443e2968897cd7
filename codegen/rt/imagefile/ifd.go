package imagefile

import (
	"encoding/binary"
	"io"
	"math"
)

// Tags of a TIFF directory (TIFF 6.0).
const (
	tagWidth       = 256
	tagHeight      = 257
	tagBits        = 258
	tagCompression = 259
	tagPhotometric = 262
	tagFillOrder   = 266
	tagStrips      = 273
	tagOrientation = 274
	tagSamples     = 277
	tagStripRows   = 278
	tagStripBytes  = 279
	tagPlanar      = 284
	tagT4          = 292
	tagPredictor   = 317
	tagColors      = 320
	tagTileWidth   = 322
	tagTileHeight  = 323
	tagTiles       = 324
	tagTileBytes   = 325
	tagExtra       = 338
	tagFormat      = 339
	tagTables      = 347
	tagLuma        = 529
	tagSubsampling = 530
	tagReference   = 532
	tagXMP         = 700
)

// ifd is the first image file directory of a TIFF or BigTIFF.
type ifd struct {
	data    io.ReaderAt
	order   binary.ByteOrder
	wide    int // bytes per offset: 4, or 8 in BigTIFF
	entries []byte
}

// ifdEntry is an entry of the directory: a tag's values.
type ifdEntry struct {
	ifd
	kind  uint16
	count uint64
	at    uint64 // offset of the values in the file; 0: they are in value
	value []byte
}

// Types of values (TIFF 6.0, BigTIFF).
const (
	ifdByte      = 1
	ifdShort     = 3
	ifdLong      = 4
	ifdRational  = 5
	ifdSByte     = 6
	ifdUndefined = 7 // bytes of unspecified meaning
	ifdSShort    = 8
	ifdSLong     = 9
	ifdSRational = 10
	ifdFloat     = 11
	ifdDouble    = 12
	ifdOffset    = 13
	ifdLong8     = 16
)

// directory reads the first directory of a TIFF or BigTIFF. If the file is damaged, the result has the
// entries that could be read, perhaps none.
func directory(data io.ReaderAt) ifd {
	d := ifd{data: data, wide: 4}
	head := d.read(0, 16)
	if len(head) < 8 {
		return ifd{}
	}
	switch string(head[:2]) {
	case "II":
		d.order = binary.LittleEndian
	case "MM":
		d.order = binary.BigEndian
	default:
		return ifd{}
	}
	at := uint64(d.order.Uint32(head[4:]))
	switch d.order.Uint16(head[2:]) {
	case 42, 42 << 8: // some writers swap the bytes of 42
	case 43:
		if len(head) < 16 {
			return ifd{}
		}
		d.wide, at = 8, d.order.Uint64(head[8:])
	default:
		return ifd{}
	}
	count := d.read(at, 2+6*(d.wide/8))
	if len(count) < 2+6*(d.wide/8) {
		return ifd{}
	}
	n := uint64(d.order.Uint16(count))
	if d.wide == 8 {
		n = d.order.Uint64(count)
	}
	const most = 1 << 16
	d.entries = d.read(at+uint64(len(count)), int(min(n, most))*d.entryLen())
	d.entries = d.entries[:len(d.entries)/d.entryLen()*d.entryLen()]
	return d
}

func (d ifd) entryLen() int { return 4 + 2*d.wide }

// read returns up to n bytes of the file from offset at.
func (d ifd) read(at uint64, n int) []byte {
	if at > math.MaxInt64-1<<32 {
		return nil
	}
	b := make([]byte, n)
	got, _ := d.data.ReadAt(b, int64(at))
	return b[:got]
}

// offset decodes an offset or a count.
func (d ifd) offset(b []byte) uint64 {
	if d.wide == 8 {
		return d.order.Uint64(b)
	}
	return uint64(d.order.Uint32(b))
}

// entry returns the last entry of a tag, nil if there is none.
func (d ifd) entry(tag uint16) (x *ifdEntry) {
	for e := d.entries; len(e) > 0; e = e[d.entryLen():] {
		if d.order.Uint16(e) != tag {
			continue
		}
		x = &ifdEntry{ifd: d, kind: d.order.Uint16(e[2:]), count: d.offset(e[4:]), value: e[4+d.wide:][:d.wide]}
		if size := uint64(x.size()); size > 0 && x.count > uint64(d.wide)/size {
			x.at = d.offset(x.value)
		}
	}
	return x
}

// size returns the bytes per value, 0 for an unsupported type.
func (e *ifdEntry) size() int {
	return map[uint16]int{
		ifdByte: 1, ifdSByte: 1, ifdUndefined: 1, ifdShort: 2, ifdSShort: 2, ifdLong: 4, ifdSLong: 4, ifdOffset: 4, ifdFloat: 4,
		ifdRational: 8, ifdSRational: 8, ifdDouble: 8, ifdLong8: 8,
	}[e.kind]
}

// bytes returns the raw values, at most limit bytes of them.
func (e *ifdEntry) bytes(limit int) []byte {
	size := uint64(e.size())
	if size == 0 {
		return nil
	}
	n := int(min(e.count, uint64(limit)/size) * size)
	if e.at == 0 {
		return e.value[:min(n, len(e.value))]
	}
	return e.read(e.at, n)
}

// each calls do with up to limit values, if they are whole numbers, and returns how many there
// are.
func (e *ifdEntry) each(limit int, do func(uint64)) int {
	size := e.size()
	if size == 0 {
		return 0
	}
	b := e.bytes(limit * size)
	n := len(b) / size
	for i := range n {
		switch v := b[i*size:]; e.kind {
		case ifdByte, ifdUndefined:
			do(uint64(v[0]))
		case ifdShort, ifdSShort:
			do(uint64(e.order.Uint16(v)))
		case ifdLong, ifdSLong, ifdOffset:
			do(uint64(e.order.Uint32(v)))
		case ifdLong8:
			do(e.order.Uint64(v))
		}
	}
	return n
}

// real returns the first value as a number; 0 if the type is not numeric or the value is
// missing.
func (e *ifdEntry) real() float64 {
	v := e.bytes(e.size())
	if len(v) == 0 || len(v) < e.size() {
		return 0
	}
	switch e.kind {
	case ifdSByte:
		return float64(int8(v[0]))
	case ifdShort:
		return float64(e.order.Uint16(v))
	case ifdSShort:
		return float64(int16(e.order.Uint16(v)))
	case ifdLong, ifdOffset:
		return float64(e.order.Uint32(v))
	case ifdSLong:
		return float64(int32(e.order.Uint32(v)))
	case ifdLong8:
		return float64(e.order.Uint64(v))
	case ifdRational:
		return float64(e.order.Uint32(v)) / float64(e.order.Uint32(v[4:]))
	case ifdSRational:
		return float64(int32(e.order.Uint32(v))) / float64(int32(e.order.Uint32(v[4:])))
	case ifdFloat:
		return float64(math.Float32frombits(e.order.Uint32(v)))
	case ifdDouble:
		return math.Float64frombits(e.order.Uint64(v))
	}
	return 0
}

// rationals returns up to limit unsigned fractions; none for a nil entry or another type.
func (e *ifdEntry) rationals(limit int) (list []float32) {
	if e == nil || e.kind != ifdRational {
		return nil
	}
	for b := e.bytes(8 * limit); len(b) >= 8; b = b[8:] {
		list = append(list, float32(float64(e.order.Uint32(b))/max(1, float64(e.order.Uint32(b[4:])))))
	}
	return list
}

// number returns the first value of a tag as a whole number, -1 if there is none.
func (d ifd) number(tag uint16) int64 {
	v := int64(-1)
	if e := d.entry(tag); e != nil {
		e.each(1, func(x uint64) { v = int64(min(x, math.MaxInt64)) })
	}
	return v
}
