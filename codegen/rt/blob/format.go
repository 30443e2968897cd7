package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/multiway-go/multiway/ir/file"
)

// The weight file. All numbers are little-endian, all sizes in bytes.
//
//	0    "MWBLOB"
//	6    uint16  format (1)
//	8    uint32  packing: how tensors are packed (1: matrices in panels of 16 columns)
//	12   uint32  size of the table
//	16   uint64  offset of the payload in the file, a multiple of 4096
//	24   uint64  size of the payload
//	32   SHA-256 of the table
//	64   SHA-256 of the payload
//	96   uint32  number of tensors
//	100  zeros
//	128  table: for each tensor, by ascending offset:
//	       uint16 length of the name, the name (UTF-8)
//	       uint8 dtype, uint8 number of dimensions, uint32 each dimension
//	       uint64 offset in the payload (a multiple of 64), uint64 size
//	     zeros up to the payload
//
// The file ends with the payload. The shape is the tensor's before packing; bytes is the
// size of its packed form, at least elements x element size.
const (
	blobMagic  = "MWBLOB"
	blobFormat = 1
	headerSize = 128
	blobAlign  = 4096 // alignment of the payload
	tensorGrid = 64   // alignment of the tensors in it

	maxTable = 64 << 20
	maxName  = 1 << 10
	maxDims  = 8
	minEntry = 2 + 2 + 16 // smallest entry of the table, in bytes
)

// PackingPanels16 is the packing with matrices in panels of 16 columns.
const PackingPanels16 = 1

// DType is the element type of a tensor in a weight file.
type DType uint8

// Size returns the size of a value in bytes.
func (d DType) Size() int { return dtypes[d].size }

func (d DType) valid() bool { return d >= F32 && int(d) < len(dtypes) }

// String returns the name of the type, such as "f32".
func (d DType) String() string {
	if !d.valid() {
		return "dtype(" + strconv.Itoa(int(d)) + ")"
	}
	return dtypes[d].name
}

// Tensor is an entry of a weight file's table.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int // logical, before packing
	Offset int64 // bytes into the payload, a multiple of 64
	Bytes  int64 // size of the packed data
}

func tensorName(i int, name string) string { return fmt.Sprintf("tensor %d (%s)", i, file.Quote(name)) }

// checkTensors checks a table that is read or to be written; payload is the size of the payload.
func checkTensors(tensors []Tensor, payload int64) error {
	end := int64(0)
	for i, t := range tensors {
		where := tensorName(i, t.Name)
		switch {
		case t.Name == "" || len(t.Name) > maxName || !utf8.ValidString(t.Name):
			return fmt.Errorf("%s: the name must be 1 to %d bytes of UTF-8", where, maxName)
		case !t.DType.valid():
			return fmt.Errorf("%s: unknown %v", where, t.DType)
		case len(t.Shape) > maxDims:
			return fmt.Errorf("%s: %d dimensions, at most %d are allowed", where, len(t.Shape), maxDims)
		case t.Offset%tensorGrid != 0:
			return fmt.Errorf("%s: offset %d is not a multiple of %d", where, t.Offset, tensorGrid)
		case t.Offset < end:
			return fmt.Errorf("%s: offset %d lies before %d, the end of the previous tensor", where, t.Offset, end)
		case t.Bytes < 0 || t.Offset > payload || t.Bytes > payload-t.Offset:
			return fmt.Errorf("%s: %[3]d bytes at offset %[2]d lie outside the payload of %[4]d bytes", where, t.Offset, t.Bytes, payload)
		}
		need := uint64(dtypes[t.DType].size)
		for _, d := range t.Shape {
			hi, lo := bits.Mul64(need, uint64(d))
			if d < 0 || uint64(d) > math.MaxUint32 || hi != 0 {
				return fmt.Errorf("%s: the shape %v is too large or negative", where, t.Shape)
			}
			need = lo
		}
		if need > uint64(t.Bytes) {
			return fmt.Errorf("%s: %d bytes are too few for %v%v", where, t.Bytes, t.DType, t.Shape)
		}
		end = t.Offset + t.Bytes
	}
	return nil
}

// encodeTable returns the table's bytes; checkTensors must have accepted tensors.
func encodeTable(tensors []Tensor) []byte {
	var b []byte
	le := binary.LittleEndian
	for _, t := range tensors {
		b = le.AppendUint16(b, uint16(len(t.Name)))
		b = append(b, t.Name...)
		b = append(b, byte(t.DType), byte(len(t.Shape)))
		for _, d := range t.Shape {
			b = le.AppendUint32(b, uint32(d))
		}
		b = le.AppendUint64(b, uint64(t.Offset))
		b = le.AppendUint64(b, uint64(t.Bytes))
	}
	return b
}

// LayoutHash returns the hash that ties a generated package to its weight file.
func LayoutHash(tensors []Tensor) [32]byte { return sha256.Sum256(encodeTable(tensors)) }

// Sum parses a SHA-256 of 64 hexadecimal digits. It panics on other text, since only generated code calls it.
func Sum(digits string) (sum [32]byte) {
	if n, err := hex.Decode(sum[:], []byte(digits)); err != nil || n != len(sum) {
		panic(fmt.Sprintf("blob: %q is not a SHA-256", digits))
	}
	return sum
}

// payloadSize returns the size of the payload: the end of the last tensor, rounded up to
// tensorGrid.
func payloadSize(tensors []Tensor) int64 {
	if len(tensors) == 0 {
		return 0
	}
	last := tensors[len(tensors)-1]
	return (last.Offset + last.Bytes + tensorGrid - 1) &^ (tensorGrid - 1)
}

// header is the decoded header of a weight file.
type header struct {
	packing      uint32
	table, count int
	start, size  int64
	layout, hash [32]byte
}

// parseHeader checks the first headerSize bytes of a file of total bytes.
func parseHeader(b []byte, total int64) (h header, err error) {
	le := binary.LittleEndian
	if len(b) >= len(blobMagic) && string(b[:len(blobMagic)]) != blobMagic {
		return h, errors.New("this is not a multiway weight file; use the weights.bin that was written beside the generated package")
	}
	if len(b) < headerSize {
		return h, fmt.Errorf("the file is truncated: it has %d bytes, the header alone has %d", total, headerSize)
	}
	if f := le.Uint16(b[6:]); f != blobFormat {
		return h, fmt.Errorf("the weight file has format %d, this program reads format %d; build the model again with the same version of multiway", f, blobFormat)
	}
	h.packing = le.Uint32(b[8:])
	table, start, size := uint64(le.Uint32(b[12:])), le.Uint64(b[16:]), le.Uint64(b[24:])
	copy(h.layout[:], b[32:])
	copy(h.hash[:], b[64:])
	count := uint64(le.Uint32(b[96:]))
	if table > maxTable || count*minEntry > table || start != (headerSize+table+blobAlign-1)&^uint64(blobAlign-1) ||
		!bytes.Equal(b[100:headerSize], make([]byte, headerSize-100)) {
		return h, errors.New("the header is corrupt; copy the weight file again")
	}
	if size > math.MaxInt64-start || start+size != uint64(total) {
		return h, fmt.Errorf("the file has %d bytes, its header says %d; it is truncated or corrupt, copy it again", total, start+size)
	}
	if size > math.MaxInt {
		return h, fmt.Errorf("%d bytes of weights do not fit the address space of this %d-bit program", size, bits.UintSize)
	}
	h.table, h.count, h.start, h.size = int(table), int(count), int64(start), int64(size)
	return h, nil
}

// parseTable checks and decodes the table.
func parseTable(b []byte, h header) ([]Tensor, error) {
	if sha256.Sum256(b) != h.layout {
		return nil, errors.New("the table does not match its hash; copy the weight file again")
	}
	corrupt := errors.New("the table is corrupt; copy the weight file again")
	le := binary.LittleEndian
	tensors := make([]Tensor, 0, h.count)
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, corrupt
		}
		n := int(le.Uint16(b))
		if len(b) < 4+n {
			return nil, corrupt
		}
		t := Tensor{Name: string(b[2 : 2+n]), DType: DType(b[2+n])}
		dims := int(b[3+n])
		b = b[4+n:]
		if dims > maxDims || len(b) < 4*dims+16 || len(tensors) == h.count {
			return nil, corrupt
		}
		for i := range dims {
			d := le.Uint32(b[4*i:])
			if uint64(d) > math.MaxInt {
				return nil, corrupt
			}
			t.Shape = append(t.Shape, int(d))
		}
		b = b[4*dims:]
		off, size := le.Uint64(b), le.Uint64(b[8:])
		if off > math.MaxInt64 || size > math.MaxInt64 {
			return nil, corrupt
		}
		t.Offset, t.Bytes = int64(off), int64(size)
		b = b[16:]
		tensors = append(tensors, t)
	}
	if len(tensors) != h.count {
		return nil, corrupt
	}
	if err := checkTensors(tensors, h.size); err != nil {
		return nil, err
	}
	if payloadSize(tensors) != h.size {
		return nil, corrupt
	}
	return tensors, nil
}
