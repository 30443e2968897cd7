package asm_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
)

// A packed column is its integers, four rows side by side, then its scale, then -128 times their sum.
func TestPackBytes(t *testing.T) {
	const n, k = 18, 6
	w := make([]float32, n*k)
	for i := range w {
		w[i] = float32(i%11) - 5
	}
	clear(w[3*k : 4*k])
	l := asm.Stack(k, n)
	b := l.PackBytes(w)
	if len(b) != l.ByteSize() || len(b) != 2*(16*8+128) {
		t.Fatalf("%d bytes, ByteSize says %d", len(b), l.ByteSize())
	}
	for col := range 32 {
		panel, lane := b[col/16*256:], col%16
		scale := math.Float32frombits(binary.LittleEndian.Uint32(panel[128+4*lane:]))
		var got, want [8]float64
		sum := 0
		for i := range 8 {
			q := int(int8(panel[i/4*64+4*lane+i%4]))
			sum += q
			got[i] = float64(q) * float64(scale)
			if q < -asm.MaxByte || q > asm.MaxByte {
				t.Errorf("column %d: %d", col, q)
			}
			if col < n && i < k {
				want[i] = float64(w[col*k+i])
			}
		}
		for i := range got {
			if math.Abs(got[i]-want[i]) > float64(scale)/2*1.001 {
				t.Errorf("column %d (-want +got)\n%s", col, cmp.Diff(want, got))
				break
			}
		}
		if start := int32(binary.LittleEndian.Uint32(panel[192+4*lane:])); int(start) != -128*sum {
			t.Errorf("column %d starts at %d, want %d", col, start, -128*sum)
		}
	}
	// What is rounded already is packed as it is.
	row := []float32{0.5, -63 * 0.25, 3 * 0.25, 0}
	scale := asm.ByteScale(row)
	if scale != 0.25 || asm.ToByte(row[1], scale) != -63 || asm.ToByte(row[2], scale) != 3 || asm.ToByte(1, 0) != 0 {
		t.Errorf("scale %v", scale)
	}
}
