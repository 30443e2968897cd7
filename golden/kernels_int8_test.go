package golden_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

func init() {
	testers[asm.OpGemmI8] = tester{test: testGemmI8}
	testers[asm.OpGemmI7] = tester{test: testGemmI8}
	testers[asm.OpQuant] = tester{test: testQuant}
	testers[asm.OpGemmI16] = tester{test: testGemmI8}
	testers[asm.OpQuantI16] = tester{test: testQuant}
	testers[asm.OpNormQuant] = tester{test: testNormQuant}
	testers[asm.OpNormQuantI16] = tester{test: testNormQuant}
	testers[asm.OpWiden] = tester{test: testRepack}
	testers[asm.OpGemmEights] = tester{test: testGemmI8}
	testers[asm.OpRegroup] = tester{test: testRepack}
	testers[asm.OpRowCompensation] = tester{test: testRowCompensation}
}

// sizeOf returns the bytes of a quantised element.
func sizeOf(k asm.Kernel) int {
	if k.Op == asm.OpGemmI16 || k.Op == asm.OpQuantI16 || k.Op == asm.OpNormQuantI16 {
		return 2
	}
	return 1
}

// testGemmI8 compares tiles with their exact definition, also with values where 16-bit sums nearly overflow.
func testGemmI8(c *check, k asm.Kernel, fn any) {
	f := fn.(kernel.GemmI8)
	panels, limit, run := k.NR/asm.Panel, 127, 7
	if k.Op == asm.OpGemmI7 {
		limit, run = 32, 4 // times four: as large as a four may be, and all of a column have one sign
	}
	for _, groups := range upTo(10, 48, 128, 192) {
		for variant := range 8 {
			acc, withBias, extreme := variant&1, variant&2 != 0, variant&4 != 0
			what := fmt.Sprintf("%d groups, acc=%d bias=%v extreme=%v", groups, acc, withBias, extreme)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			size, zeroPoint, tail := 1, int32(128), 0
			if sizeOf(k) == 2 {
				size, zeroPoint, tail = 2, 0, 4
			}
			depth, lda := 4*groups, size*(4*groups+5)
			stride := asm.Panel*depth + 192
			a := narrow[uint8](c, c.in, (rows-1)*lda+size*depth+tail)
			b := make([]uint8, panels*stride)
			clear(a)
			element := func(i int) int32 { // of A, at a byte
				if size == 2 {
					return int32(int16(binary.NativeEndian.Uint16(a[i:])))
				}
				return int32(a[i])
			}
			for i := 0; i < len(a); i += size {
				if size == 1 {
					if a[i] = uint8(c.rng.Uint32()); extreme {
						a[i] = 255
					}
					continue
				}
				most := 127
				if withBias && groups <= 128 { // then sums fit, whatever there is
					most += 127 * 254
				}
				v := c.rng.IntN(2*most+1) - most
				if extreme {
					v = most - 2*most*(i/14%2)
				}
				binary.NativeEndian.PutUint16(a[i:], uint16(v))
			}
			for r := 0; r < rows && size == 2; r++ {
				compensateRow(a[r*lda:], groups)
			}
			for i := range b {
				if b[i] = uint8(int8(c.rng.IntN(2*limit+1) - limit)); extreme {
					b[i] = uint8(int8(limit - 2*limit*(i/run%2)))
				}
			}
			if k.Op == asm.OpGemmI7 && !extreme {
				unevenFours(c, b[:64*groups])
			}
			at := func(p, i int) []byte { return b[p*stride+asm.Panel*depth+i:] } // into the tail of a panel
			colScale, colSum := make([]float32, k.NR), make([]float32, k.NR)
			for j := range k.NR {
				p, lane := j/asm.Panel, 4*(j%asm.Panel)
				colScale[j], colSum[j] = 1, c.normal()
				if !extreme {
					colScale[j] = c.normal()
				}
				sum := int32(0)
				for i := range depth {
					sum += int32(int8(b[p*stride+i/4*64+lane+i%4]))
				}
				binary.NativeEndian.PutUint32(at(p, lane), math.Float32bits(colScale[j]))
				binary.NativeEndian.PutUint32(at(p, 64+lane), uint32(-128*sum))
				binary.NativeEndian.PutUint32(at(p, 128+lane), math.Float32bits(colSum[j]))
			}
			scale, midpoint := c.newMat(c.vec, 1, rows, rows, c.normal), c.newMat(c.vec2, 1, rows, rows, c.normal)
			if extreme { // then C is the sum
				for r := range rows {
					scale.p[r], midpoint.p[r] = 1, 0
				}
			}
			out := c.newMat(c.out, rows, k.NR, k.NR+5, c.normal)
			start := slices.Clone(out.p)
			var bias []float32
			if withBias {
				bias = make([]float32, k.NR)
				for j := range bias {
					bias[j] = c.normal()
				}
			}
			packed := b
			if repack, room := repackOf(k.Op, groups); repack != nil {
				packed = make([]uint8, room)
				repack(packed, b, groups)
			}
			given := narrow[uint8](c, c.in2, len(packed))
			copy(given, packed)
			// Prefetching may be in protected memory, or turned off.
			pf, step := (*int8)(unsafe.Pointer(&given[0])), 64
			if variant == 3 {
				pf, step = nil, 0
			}
			f(tiles, groups, &a[0], lda, (*int8)(unsafe.Pointer(&given[0])), stride, out.ptr(), out.ld, scale.ptr(), midpoint.ptr(), ptr(bias), acc, pf, step)
			for r := range rows {
				for j := range k.NR {
					sum := int32(0)
					for i := range depth {
						sum += (element(r*lda+size*i) - zeroPoint) * int32(int8(b[j/asm.Panel*stride+i/4*64+j%asm.Panel*4+i%4]))
					}
					want := float32(float32(float32(sum)*scale.p[r])*colScale[j]) + float32(midpoint.p[r]*colSum[j])
					if withBias {
						want += bias[j]
					}
					if acc != 0 {
						want += start[r*out.ld+j]
					}
					c.same(out.row(r)[j], want, what, r, j)
				}
			}
			c.intact(out, what)
		}
	}
}

// repackOf returns what computes the panels of a product or the result of a conversion, and their bytes for a number of groups of
// four; nil for panels that are not converted.
func repackOf(op asm.Op, groups int) (repack func(dst, src []uint8, groups int), room int) {
	switch op {
	case asm.OpGemmI16, asm.OpWiden:
		return widenPanel, 128*groups + 192
	case asm.OpGemmEights, asm.OpRegroup:
		return regroupPanel, (groups+1)/2*128 + 192
	}
	return nil, 0
}

// regroupPanel computes the result of regroup, one value at a time.
func regroupPanel(dst, src []uint8, groups int) {
	room := len(dst) - 192
	clear(dst[:room])
	for i := range 4 * groups {
		for j := range asm.Panel {
			dst[i/8*128+8*j+i%8] = src[i/4*64+4*j+i%4]
		}
	}
	copy(dst[room:], src[64*groups:])
}

// unevenFours moves what some weights of a panel of gemm_i7 have to others of their four.
func unevenFours(c *check, panel []uint8) {
	for i := 0; i+64 < len(panel); i++ {
		if i/64%2 == 1 || c.rng.IntN(2) == 0 {
			continue
		}
		a, b := int(int8(panel[i])), int(int8(panel[i+64]))
		panel[i], panel[i+64] = uint8(a+b), 0
		if i%2 == 0 && c.rng.IntN(2) == 0 && max(a+b, int(int8(panel[i+1]))) < 64 && min(a+b, int(int8(panel[i+1]))) > -64 {
			panel[i], panel[i+1] = 0, uint8(a+b+int(int8(panel[i+1])))
		}
	}
}

// widenPanel computes the result of widen, one value at a time.
func widenPanel(dst, src []uint8, groups int) {
	for i := range 4 * groups {
		for j := range asm.Panel {
			v := uint16(int8(src[i/4*64+4*j+i%4]))
			binary.NativeEndian.PutUint16(dst[i/2*64+4*j+i%2*2:], v)
		}
	}
	copy(dst[128*groups:], src[64*groups:])
	for j := range asm.Panel {
		sum := int32(0)
		for i := range 2 * groups { // the first two of each group of four
			v := src[i/2*64+4*j+i%2:]
			sum -= int32(int8(v[0])) * int32(int8(v[2]))
		}
		binary.NativeEndian.PutUint32(dst[128*groups+64+4*j:], uint32(sum))
	}
}

// compensateRow computes the result of row_compensation, one product at a time.
func compensateRow(row []uint8, groups int) {
	sum := int32(0)
	for i := range 2 * groups {
		v := row[i/2*8+i%2*2:]
		sum -= int32(int16(binary.NativeEndian.Uint16(v))) * int32(int16(binary.NativeEndian.Uint16(v[4:])))
	}
	binary.NativeEndian.PutUint32(row[8*groups:], uint32(sum))
}

// testRowCompensation compares the compensation of rows with its definition.
func testRowCompensation(c *check, _ asm.Kernel, fn any) {
	f := fn.(kernel.RowCompensation)
	for _, groups := range upTo(10, 48, 192) {
		rows, what := 3, fmt.Sprint(groups, " groups")
		dst := c.newMat(c.out, rows, 2*groups+1, 2*groups+3, c.normal)
		want := make([][]uint8, rows)
		for r := range want {
			row := unsafe.Slice((*uint8)(unsafe.Pointer(&dst.row(r)[0])), 4*len(dst.row(r)))
			for i := range row {
				row[i] = uint8(c.rng.Uint32())
			}
			want[r] = slices.Clone(row)
			compensateRow(want[r], groups)
		}
		f(rows, groups, (*uint8)(unsafe.Pointer(dst.ptr())), 4*dst.ld)
		for r := range rows {
			for i, got := range dst.row(r) {
				c.same(got, math.Float32frombits(binary.NativeEndian.Uint32(want[r][4*i:])), what, r, i)
			}
		}
		c.intact(dst, what)
	}
}

// testRepack compares converted panels with their definition.
func testRepack(c *check, k asm.Kernel, fn any) {
	f := fn.(kernel.Repack)
	for _, groups := range upTo(10, 48, 192) {
		repack, room := repackOf(k.Op, groups)
		src, want := narrow[uint8](c, c.in, 64*groups+192), make([]uint8, room)
		for i := range src {
			src[i] = uint8(c.rng.Uint32())
		}
		repack(want, src, groups)
		dst := c.newMat(c.out, 1, len(want)/4, len(want)/4, c.normal)
		f(groups, (*int8)(unsafe.Pointer(dst.ptr())), (*int8)(unsafe.Pointer(&src[0])))
		for i := range dst.p {
			c.same(dst.p[i], math.Float32frombits(binary.NativeEndian.Uint32(want[4*i:])), fmt.Sprint(groups, " groups"), 0, i)
		}
		c.intact(dst, fmt.Sprint(groups, " groups"))
	}
}

// testQuant compares the bytes of a row with their exact definition.
func testQuant(c *check, k asm.Kernel, fn any) {
	f, bytes, parts := fn.(kernel.Quant), sizeOf(k), partsOf(k)
	for _, n := range upTo(70, 768) {
		for _, size := range []float32{1, 1e-20, 1e-31, 1e20, 0} {
			what := fmt.Sprintf("n=%d size=%g", n, size)
			rows, room := 3, (n+31)/32*32
			src := c.newMat(c.in, rows, n, n+3, func() float32 { return size * (c.normal() + 3) })
			dst := c.rounded(rows, bytes*room, parts)
			scale, midpoint := c.newMat(c.vec, 1, rows, rows, c.normal), c.newMat(c.vec2, 1, rows, rows, c.normal)
			f(rows, (*uint8)(unsafe.Pointer(dst.ptr())), 4*parts*dst.ld, src.ptr(), src.ld, n, scale.ptr(), midpoint.ptr())
			for r := range rows {
				lo, hi := slices.Min(src.row(r)), slices.Max(src.row(r))
				z, m, inv := float32(hi+lo)*0.5, float32(hi-lo)*0.5, float32(0)
				if m >= 1e-30 {
					inv = 127 / m
				} else {
					m = 0
				}
				c.same(scale.p[r], m/127, what, r, 0)
				c.same(midpoint.p[r], z, what, r, 1)
				for i := range room {
					v := float32(0)
					if i < n {
						v = float32(src.row(r)[i]-z) * inv
					}
					for part := range parts {
						whole := float32(math.RoundToEven(float64(v)))
						want, at := 128+int(whole), bytes*i
						switch {
						case bytes == 2 && k.DType == "i8x2":
							want = int(uint16(254*int(whole) + int(math.RoundToEven(float64(float32(v-whole)*254)))))
						case bytes == 2:
							want = int(uint16(int(whole)))
						}
						if got := int(math.Float32bits(dst.row(parts*r + part)[at/4]) >> (at % 4 * 8) & (1<<(8*bytes) - 1)); got != want {
							c.Fatalf("%s: part %d of [%d][%d] = %d, want %d", what, part, r, i, got, want)
						}
						v = float32(v-whole) * 254
					}
				}
			}
			c.intact(dst, what)
			c.intact(scale, what)
			c.intact(midpoint, what)
		}
	}
	for _, odd := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for n := range 40 {
			src, dst := c.newMat(c.in, 2, n+1, n+1, c.normal), c.rounded(2, 64*bytes, parts)
			src.p[n/2] = float32(odd)
			var scale, midpoint [2]float32
			f(2, (*uint8)(unsafe.Pointer(dst.ptr())), 4*parts*dst.ld, src.ptr(), src.ld, n+1, &scale[0], &midpoint[0])
			if scale[0] == scale[0] || midpoint[0] == midpoint[0] {
				c.Fatalf("n=%d with %v: scale %v and midpoint %v, want NaN", n+1, odd, scale[0], midpoint[0])
			}
			if scale[1] != scale[1] || midpoint[1] != midpoint[1] {
				c.Fatalf("n=%d with %v in the row before: scale %v and midpoint %v", n+1, odd, scale[1], midpoint[1])
			}
		}
	}
}

// partsOf returns the number of terms that a value is quantised to: two for i8x2, unless both are in one 16-bit number.
func partsOf(k asm.Kernel) int {
	if k.DType == "i8x2" && sizeOf(k) == 1 {
		return 2
	}
	return 1
}

// rounded returns the memory of quantised rows with the given bytes per term; each term is a row of the matrix.
func (c *check) rounded(rows, bytes, parts int) mat {
	return c.newMat(c.out, parts*rows, bytes/4, bytes/4+3, c.normal)
}

// testNormQuant compares with the two kernels of the same level.
func testNormQuant(c *check, k asm.Kernel, fn any) {
	f, bytes, parts := fn.(kernel.LayerNormQuant), sizeOf(k), partsOf(k)
	other := func(op asm.Op, dtype string) any {
		k := asm.Find(asm.Kernel{Op: op, DType: dtype}.Family(), k.ISA)[0]
		compiled, _, why := usable(k)
		if why != "" {
			c.Fatalf("%s: %s", k.Name(), why)
		}
		return compiled.Func
	}
	norm, quant := other(asm.OpLayerNorm, "f32").(kernel.LayerNorm), other(map[int]asm.Op{1: asm.OpQuant, 2: asm.OpQuantI16}[bytes], k.DType).(kernel.Quant)
	const eps = 1e-5
	for _, n := range upTo(70, 768) {
		for _, odd := range []float32{0, float32(math.Inf(1)), float32(math.NaN()), 1e30} {
			what := fmt.Sprintf("n=%d with %v", n, odd)
			rows, room := 3, bytes*((n+31)/32*32)
			src := c.newMat(c.in, rows, n, n+3, func() float32 { return c.normal() + 3 })
			if odd != 0 {
				src.row(1)[n/2] = odd
			}
			want := make([]uint8, parts*rows*room)
			wantScale, wantMidpoint, wide := make([]float32, rows), make([]float32, rows), make([]float32, rows*n)
			norm(rows, &wide[0], n, src.ptr(), src.ld, n, nil, nil, eps)
			quant(rows, &want[0], parts*room, &wide[0], n, n, &wantScale[0], &wantMidpoint[0])
			dst := c.rounded(rows, room, parts)
			scale, midpoint := c.newMat(c.vec, 1, rows, rows, c.normal), c.newMat(c.vec2, 1, rows, rows, c.normal)
			f(rows, (*uint8)(unsafe.Pointer(dst.ptr())), 4*parts*dst.ld, src.ptr(), src.ld, n, eps, scale.ptr(), midpoint.ptr())
			for r := range rows {
				if wantScale[r] != wantScale[r] || wantMidpoint[r] != wantMidpoint[r] {
					if scale.p[r] == scale.p[r] || midpoint.p[r] == midpoint.p[r] {
						c.Fatalf("%s: scale %v and midpoint %v, want NaN", what, scale.p[r], midpoint.p[r])
					}
					continue
				}
				c.same(scale.p[r], wantScale[r], what, r, 0)
				c.same(midpoint.p[r], wantMidpoint[r], what, r, 1)
				for i := range parts * room {
					if got := uint8(math.Float32bits(dst.row(parts*r + i/room)[i%room/4]) >> (i % 4 * 8)); got != want[parts*r*room+i] {
						c.Fatalf("%s: byte [%d][%d] = %d, want %d", what, r, i, got, want[parts*r*room+i])
					}
				}
			}
			c.intact(dst, what)
			c.intact(scale, what)
			c.intact(midpoint, what)
		}
	}
}
