package asm_test

import (
	"encoding/binary"
	"math"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
)

// TestPackInt8 checks the values of packed columns, and their scales, compensations and scaled sums.
func TestPackInt8(t *testing.T) {
	for _, limit := range []int{127, 64} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) { testPackInt8(t, limit) })
	}
	// Quantising is exact for values that are multiples of the scale.
	row := []float32{0.5, -127 * 0.25, 3 * 0.25, 0}
	scale := asm.Int8Scale(row, 127)
	if scale != 0.25 || asm.ToInt8(row[1], scale, 127) != -127 || asm.ToInt8(row[2], scale, 127) != 3 || asm.ToInt8(1, 0, 127) != 0 {
		t.Errorf("scale %v", scale)
	}
}

func testPackInt8(t *testing.T, limit int) {
	const n, k = 18, 6
	w := make([]float32, n*k)
	for i := range w {
		w[i] = float32(i%11) - 5
	}
	clear(w[3*k : 4*k])
	l, err := asm.WeightLayout(asm.PanelLayout, 1, n, k)
	if err != nil {
		t.Fatal(err)
	}
	b := l.PackInt8(limit, w)
	if len(b) != l.Int8Size() || len(b) != 2*(16*8+192) {
		t.Fatalf("%d bytes, Int8Size says %d", len(b), l.Int8Size())
	}
	for col := range 32 {
		panel, lane := b[col/16*320:], col%16
		scale := math.Float32frombits(binary.LittleEndian.Uint32(panel[128+4*lane:]))
		var got, want [8]float64
		sum := 0
		for i := range 8 {
			q := int(int8(panel[i/4*64+4*lane+i%4]))
			sum += q
			got[i] = float64(q) * float64(scale)
			if q < -limit || q > limit {
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
		if colSum := math.Float32frombits(binary.LittleEndian.Uint32(panel[256+4*lane:])); colSum != float32(sum)*scale {
			t.Errorf("column %d has sum %v, want %v", col, colSum, float32(sum)*scale)
		}
		if compensation := int32(binary.LittleEndian.Uint32(panel[192+4*lane:])); int(compensation) != -128*sum {
			t.Errorf("column %d has compensation %d, want %d", col, compensation, -128*sum)
		}
	}
}

// TestPackInt8Table checks the values of a table and the scales after them, which start at a multiple of four bytes.
func TestPackInt8Table(t *testing.T) {
	const rows, k = 3, 7
	src := []float32{
		0, 0, 0, 0, 0, 0, 0,
		1, -127, 0.4, 0.6, 2.5, 3.5, 64,
		0.5, 0.25, -0.125, 0, 0.4999, -0.5, 0.1,
	}
	b := asm.PackTable(src, k, 127)
	n, err := asm.StoredBytes(asm.RowsLayout, 1, true, rows, k)
	if err != nil || int64(len(b)) != n || n != 24+12 {
		t.Fatalf("%d bytes, StoredBytes says %d (%v), want 36", len(b), n, err)
	}
	if d := cmp.Diff([]int8{1, -127, 0, 1, 2, 4, 64}, int8s(b[k:2*k])); d != "" {
		t.Errorf("row 1, which has scale 1 (-want +got)\n%s", d)
	}
	for r := range rows {
		scale := math.Float32frombits(binary.LittleEndian.Uint32(b[24+4*r:]))
		for i, q := range int8s(b[r*k:][:k]) {
			if d := math.Abs(float64(src[r*k+i]) - float64(q)*float64(scale)); d > float64(scale)/2*1.001 {
				t.Errorf("row %d column %d is off by %v at scale %v", r, i, d, scale)
			}
		}
	}
	if _, err := asm.StoredBytes(asm.RowsLayout, 1, false, rows, k); err == nil {
		t.Error("a table of 16-bit values has scales")
	}
}

func int8s(b []byte) []int8 {
	out := make([]int8, len(b))
	for i, x := range b {
		out[i] = int8(x)
	}
	return out
}
