package ir

import (
	"fmt"
	"slices"
	"strings"
)

// DType is the element type of a value or weight.
type DType uint8

// The element types. Values are F32 (activations, pixels) or I32 (token ids);
// weights may be stored in the 16-bit types or as bytes.
const (
	F32 DType = iota
	F16
	BF16
	I8
	I32
	BF16Dot // bf16, and a product rounds what it multiplies to bf16 too
	I8X2    // i8, and a product rounds what it multiplies to bytes twice: the second time what the first took away
	numDTypes
)

var dtypes = [numDTypes]struct {
	name string
	size int
}{F32: {"f32", 4}, F16: {"f16", 2}, BF16: {"bf16", 2}, I8: {"i8", 1}, I32: {"i32", 4}, BF16Dot: {"bf16dot", 2}, I8X2: {"i8x2", 1}}

// String returns the name the text form uses.
func (d DType) String() string {
	if d < numDTypes {
		return dtypes[d].name
	}
	return fmt.Sprintf("dtype(%d)", d)
}

// Size returns the bytes of one element.
func (d DType) Size() int { return dtypes[d].size }

// Bytes reports whether elements are bytes with a scale a row, which products multiply as
// such.
func (d DType) Bytes() bool { return d == I8 || d == I8X2 }

// ParseDType reads the name that String prints.
func ParseDType(s string) (DType, error) {
	for d := range numDTypes {
		if dtypes[d].name == s {
			return d, nil
		}
	}
	return 0, fmt.Errorf("unknown element type %q", s)
}

// Type is an element type and a logical shape. Layout and padding are not part of it.
type Type struct {
	DType DType
	Shape []Dim
}

// Of returns the type with the given dimensions.
func Of(d DType, shape ...Dim) Type { return Type{DType: d, Shape: shape} }

// Mat returns the f32 matrix type [rows, cols].
func Mat(rows Dim, cols int) Type { return Of(F32, rows, C(cols)) }

// Equal reports whether both types are the same.
func (t Type) Equal(u Type) bool { return t.DType == u.DType && slices.Equal(t.Shape, u.Shape) }

// Rows returns the first dimension of a matrix.
func (t Type) Rows() Dim { return t.Shape[0] }

// Cols returns the last dimension, which is constant in every matrix.
func (t Type) Cols() int { return t.Shape[len(t.Shape)-1].C }

// At returns the shape when the text has n rows.
func (t Type) At(n int) []int {
	s := make([]int, len(t.Shape))
	for i, d := range t.Shape {
		s[i] = d.At(n)
	}
	return s
}

// Elements returns the number of elements when the text has n rows.
func (t Type) Elements(n int) int64 {
	e := int64(1)
	for _, d := range t.Shape {
		e *= int64(d.At(n))
	}
	return e
}

// String prints the type as the text form has it: f32[197+T,768].
func (t Type) String() string {
	var b strings.Builder
	b.WriteString(t.DType.String())
	b.WriteByte('[')
	for i, d := range t.Shape {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(d.String())
	}
	b.WriteByte(']')
	return b.String()
}
