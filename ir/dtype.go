package ir

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
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
	F16:     {name: "F16", size: 2, encode: wide(ToF16), decode: narrow(FromF16), gemm: "gemm_f32xf16", group: 1},
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

// FromF16 widens an IEEE half; exact.
func FromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, man := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0: // zero or subnormal: man * 2^-24, exact in float32
		return math.Float32frombits(math.Float32bits(float32(man)*(1.0/(1<<24))) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// ToF16 rounds to an IEEE half, ties to even. NaN stays NaN; values of 65520
// and more become infinities.
func ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00 | uint16(b>>13)&0x1ff
	case b >= 0x477ff000: // 65520, half way from the largest half to 65536
		return sign | 0x7c00
	case b >= 0x38800000: // 2^-14, the smallest normal half
		b -= 112 << 23
		return sign | uint16((b+0xfff+(b>>13)&1)>>13)
	}
	// Adding 0.5 makes the unit in the last place 2^-24, the step of subnormal
	// halves, so the addition does the rounding.
	return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
}
