package ir

import (
	"slices"
	"strings"
)

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

// At returns the shape when the text has n tokens.
func (t Type) At(n int) []int {
	s := make([]int, len(t.Shape))
	for i, d := range t.Shape {
		s[i] = d.At(n)
	}
	return s
}

// Elements returns the number of elements when the text has n tokens.
func (t Type) Elements(n int) int64 {
	e := int64(1)
	for _, d := range t.Shape {
		e *= int64(d.At(n))
	}
	return e
}

// String prints the type in the text form: f32[197+T,768].
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
