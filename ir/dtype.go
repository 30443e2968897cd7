package ir

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir/half"
)

// DType is the element type of a value or weight. All facts about a type are in its row of the table dtypes;
// precision.Formats lists the formats that a description can ask for.
type DType uint8

// The element types. Values are F32 (activations, pixels) or I32 (token ids); weights have any type but I32.
// The runtime declares the same types in the same order, and weight files store their numbers.
const (
	F32 DType = iota
	F16
	BF16
	I8
	I32
	BF16Dot
	I8X2
	I7
	numDTypes
)

var dtypes = [numDTypes]struct {
	// Name is the Go name; the text form and the names of kernels have it in lower case.
	name string
	size int // bytes of an element
	// Encode rounds a number to the nearest of the type, ties to even, and returns its bits, the low ones of the result;
	// decode is exact. Both are nil for a scaled type: its weights have a scale per row, and their elements are integers
	// from -127 to 127.
	encode func(float32) uint32
	decode func(uint32) float32
	scaled bool
	small  bool // of a scaled type: sums of four elements are bounded too, see asm.ToInt8
	// Rows rounds the rows that a product multiplies by a matrix of the type; nil: they are not rounded.
	rows func(*Tensor) *Tensor
	// Gemm is the family of kernels that multiply by a matrix of the type; "": no kernel does.
	gemm string
	// Table is the type of embedding tables in a model whose matrices have this type; F32, the zero value: the same type.
	table DType
	// Group is the number of consecutive k of one column that are adjacent in a panel [k/group][16][group].
	group int
}{
	F32:     {name: "F32", size: 4, encode: math.Float32bits, decode: math.Float32frombits, gemm: "gemm_f32", group: 1},
	F16:     {name: "F16", size: 2, encode: wide(half.To), decode: narrow(half.From), gemm: "gemm_f32xf16", group: 1},
	BF16:    {name: "BF16", size: 2, encode: wide(ToBF16), decode: narrow(FromBF16), gemm: "gemm_f32xbf16", group: 1},
	I8:      {name: "I8", size: 1, scaled: true, rows: roundOnce, gemm: "gemm_i8", group: 4},
	I32:     {name: "I32", size: 4},
	BF16Dot: {name: "BF16Dot", size: 2, encode: wide(ToBF16), decode: narrow(FromBF16), rows: roundBF16, gemm: "gemm_bf16dot", table: BF16, group: 2},
	I8X2:    {name: "I8X2", size: 1, scaled: true, rows: roundTwice, gemm: "gemm_i8", table: I8, group: 4},
	I7:      {name: "I7", size: 1, scaled: true, small: true, rows: roundOnce, gemm: "gemm_i8", table: I8, group: 4},
}

func wide(to func(float32) uint16) func(float32) uint32 {
	return func(f float32) uint32 { return uint32(to(f)) }
}

func narrow(from func(uint16) float32) func(uint32) float32 {
	return func(h uint32) float32 { return from(uint16(h)) }
}

// DTypes lists the element types in their order.
func DTypes() []DType {
	all := make([]DType, numDTypes)
	for i := range all {
		all[i] = DType(i)
	}
	return all
}

// Ident is the type's name in Go: BF16Dot.
func (d DType) Ident() string {
	if d < numDTypes {
		return dtypes[d].name
	}
	return fmt.Sprintf("DType(%d)", d)
}

// String returns the name the text form uses: bf16dot.
func (d DType) String() string { return strings.ToLower(d.Ident()) }

// Size returns the bytes of one element.
func (d DType) Size() int { return dtypes[d].size }

// Scaled reports whether elements are bytes with a scale a row, which products multiply as such.
func (d DType) Scaled() bool { return dtypes[d].scaled }

// Small reports whether elements of a scaled type are so small that sums of four are bounded, as asm.ToInt8 says.
func (d DType) Small() bool { return dtypes[d].small }

// Gemm names the family of kernels that multiply by matrices of the type, as asm does: gemm_f32xbf16. It is "" where there are
// none.
func (d DType) Gemm() string { return dtypes[d].gemm }

// Rounds reports whether products round the rows that they multiply by matrices of the type.
func (d DType) Rounds() bool { return dtypes[d].rows != nil }

// Table returns the type of embedding tables, which are only read, in a model whose matrices have type d.
func (d DType) Table() DType { return cmp.Or(dtypes[d].table, d) }

// Group returns the number of consecutive k of one column that are adjacent in a panel of the type.
func (d DType) Group() int { return dtypes[d].group }

// Decode returns the number that the low bits encode, exactly. The type must not be scaled.
func (d DType) Decode(bits uint32) float32 { return dtypes[d].decode(bits) }

// Encode rounds f to the nearest number of the type, ties to even, and returns its bits, the low ones of the result. The
// type must not be scaled.
func (d DType) Encode(f float32) uint32 { return dtypes[d].encode(f) }

// Put writes f, rounded by Encode, to the first Size() bytes of b, little-endian. The type must not be scaled.
func (d DType) Put(b []byte, f float32) {
	var bits [4]byte
	binary.LittleEndian.PutUint32(bits[:], d.Encode(f))
	copy(b[:d.Size()], bits[:])
}

// Round rounds f in place to numbers of type d, and returns the index of the first element that overflows it, or -1. If d
// is F32 or scaled, f stays as it is.
func Round(f []float32, d DType) int {
	if d == F32 || d.Scaled() {
		return -1
	}
	for i, v := range f {
		r := d.Decode(d.Encode(v))
		if math.IsInf(float64(r), 0) || r != r && v == v {
			return i
		}
		f[i] = r
	}
	return -1
}

// ParseDType reads the name that String prints.
func ParseDType(s string) (DType, error) {
	if i := slices.IndexFunc(DTypes(), func(d DType) bool { return d.String() == s }); i >= 0 {
		return DType(i), nil
	}
	return 0, fmt.Errorf("unknown element type %q", s)
}

// FromBF16 widens a bfloat16; exact.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBF16 rounds to bfloat16, ties to even. NaN stays NaN; values beyond the
// largest bfloat16 become infinities.
func ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40 // a quiet NaN: a payload of low bits alone would be cut to zero, an infinity
	}
	return uint16((b + 0x7fff + (b>>16)&1) >> 16)
}
