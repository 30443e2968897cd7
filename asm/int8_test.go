package asm_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
)

// TestPackInt8 checks the values of packed columns, and their scales, compensations and scaled sums.
func TestPackInt8(t *testing.T) {
	for _, small := range []bool{false, true} {
		t.Run(strconv.FormatBool(small), func(t *testing.T) { testPackInt8(t, small) })
	}
}

// TestToInt8 checks that integers have the largest scale that fits, and that values which were quantised stay.
func TestToInt8(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	normal := make([]float32, 770)
	outlier, same := slices.Clone(normal[:30]), slices.Repeat([]float32{0.7}, 24)
	for i := range normal {
		normal[i] = float32(rng.NormFloat64())
	}
	outlier[13] = 20
	for i := range outlier {
		outlier[i] += float32(rng.NormFloat64())
	}
	for _, row := range [][]float32{
		{0.5, -127 * 0.25, 3 * 0.25, 0}, {100, 100, 3, 0, 0, 27.5}, {3e-38, 1e-38}, {1}, make([]float32, 9), normal, outlier, same,
	} {
		for _, small := range []bool{false, true} {
			q := make([]int8, len(row))
			scale := asm.ToInt8(q, row, small)
			most, values, steps, exact := float32(0), make([]float32, len(row)), 0, true
			for i, v := range row {
				most, steps = max(most, max(v, -v)), max(steps, int(q[i]), -int(q[i]))
				values[i] = float32(float32(q[i]) * scale)
				d := math.Abs(float64(v - values[i]))
				if exact = exact && d <= float64(scale)/1000; d > float64(scale)/2*1.001 {
					t.Errorf("%v, small=%v: element %d is off by %v at scale %v", row, small, i, d, scale)
				}
			}
			switch {
			case small && fours(q) > 128:
				t.Errorf("%v: fours of %v add up to %v", row, q, fours(q))
			case !small && scale != most/127:
				t.Errorf("%v has scale %v", row, scale)
			case small && steps < 127 && !exact:
				finer := make([]int8, len(row))
				for i, v := range row {
					finer[i] = int8(math.RoundToEven(float64(v) / float64(most) * float64(steps+1)))
				}
				if fours(finer) <= 128 {
					t.Errorf("%v: %d steps where %d fit", row, steps, steps+1)
				}
			}
			again := make([]int8, len(row))
			to := asm.ToInt8(again, values, small)
			for i := range again {
				if v := float32(float32(again[i]) * to); math.Abs(float64(v-values[i])) > 1e-6*float64(most) {
					t.Fatalf("%v, small=%v: element %d is %v, and %v once quantised again", row, small, i, values[i], v)
				}
			}
		}
	}
}

// fours returns the largest sum of the positive elements of a four, or of the negative ones without their sign.
func fours[T int8 | float32](row []T) (most float32) {
	sums := map[[3]int]float32{}
	for i, v := range row {
		sign := 1
		if v < 0 {
			sign = -1
		}
		four := [3]int{i / 8, i / 2 % 2, sign}
		sums[four] += float32(v) * float32(sign)
		most = max(most, sums[four])
	}
	return most
}

func testPackInt8(t *testing.T, small bool) {
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
	b := l.PackInt8(small, w)
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
			if q == -128 {
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
	b := asm.PackTable(src, k)
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
