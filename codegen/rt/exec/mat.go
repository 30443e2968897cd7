package exec

import (
	"fmt"
	"unsafe"
)

// Mat is a row-major float32 matrix in an arena. LD is the distance between rows in
// floats. A matrix that a step writes has room for Cols rounded up to a multiple of
// 16 in every row; the floats after Cols are undefined.
type Mat struct {
	P              *float32
	LD, Rows, Cols int
}

// Sub returns n rows of the matrix, from row on.
func (m Mat) Sub(row, n int) Mat {
	if row < 0 || n < 0 || row+n > m.Rows {
		panic(fmt.Sprintf("exec: rows %d to %d of a matrix with %d rows", row, row+n, m.Rows))
	}
	return Mat{at(m.P, row*m.LD), m.LD, n, m.Cols}
}

// Row returns the address of row i.
func (m Mat) Row(i int) *float32 { return at(m.P, i*m.LD) }

// columns returns n columns of the matrix, from column at on.
func (m Mat) columns(at, n int) Mat {
	want(at >= 0 && at+n <= m.Cols, "columns", m)
	return Mat{(*float32)(unsafe.Add(unsafe.Pointer(m.P), at*4)), m.LD, m.Rows, n}
}

// row returns the floats of row i.
func (m Mat) row(i int) []float32 { return floats(m.Row(i), m.Cols) }

// at returns the address i floats after p.
func at(p *float32, i int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p), i*4))
}

// floats returns the n floats at p.
func floats(p *float32, n int) []float32 { return unsafe.Slice(p, n) }

// ceil16 rounds n up to a multiple of 16.
func ceil16(n int) int { return (n + 15) &^ 15 }

// part splits [0, total) into n nearly equal ranges and returns the i-th.
func part(total, n, i int) (lo, hi int) { return total * i / n, total * (i + 1) / n }
