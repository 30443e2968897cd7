package golden_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/generated/kernels"
	"github.com/multiway-go/multiway/ir"
)

// usable returns the kernel of that name, or why it cannot run here and which of asmtest.Features it lacks.
func usable(k asm.Kernel) (c kernels.Kernel, lacks, why string) {
	all := kernels.All()
	i := slices.IndexFunc(all, func(c kernels.Kernel) bool { return c.Name == k.Name() })
	if i < 0 {
		if l, _ := k.ISA.Level(); l.Arch != runtime.GOARCH {
			return c, string(k.ISA), "is for " + l.Arch
		}
		return c, string(k.ISA), "left out of this build by -tags noasm"
	}
	if !slices.Contains(rt.Levels(), string(k.ISA)) {
		return c, string(k.ISA), fmt.Sprintf("this CPU has the levels %v", rt.Levels())
	}
	return all[i], "", ""
}

// testers holds the test of each op. It is given a kernel that this CPU can run.
var testers = map[asm.Op]func(c *check, k asm.Kernel, f any){
	asm.OpGemm:      testGemm,
	asm.OpGemmV:     testGemmV,
	asm.OpSoftmax:   testSoftmax,
	asm.OpScaleRows: testScaleRows,
	asm.OpLayerNorm: testLayerNorm,
	asm.OpGelu:      testGelu,
	asm.OpPackK:     testPackK,
	asm.OpAdd:       testAdd,
	asm.OpWGemm:     testWGemm,
	asm.OpExpand:    testExpand,
	asm.OpQGemm:     testQGemm,
	asm.OpQuant:     testQuant,
	asm.OpQGemmW:    testQGemm,
	asm.OpQuantW:    testQuant,
	asm.OpNormQ:     testNormQuant,
	asm.OpNormQW:    testNormQuant,
	asm.OpWiden:     testWiden,
	asm.OpRowStart:  testRowStart,
	asm.OpDGemm:     testDGemm,
	asm.OpRound:     testRound,
	asm.OpIDCT:      testIDCT,
	asm.OpPairs:     testPairs,
	asm.OpSpread:    testSpread,
	asm.OpYCC:       testYCC,
	asm.OpPeakFMA:   func(_ *check, _ asm.Kernel, f any) { f.(func(int))(1) },
}

// TestKernels runs every kernel of the catalogue that this CPU has against float64, at every size that may be special,
// in memory that ends, and in memory that starts, where it must not go on.
func TestKernels(t *testing.T) {
	c := &check{in: newFence(t, 1<<19), in2: newFence(t, 1<<16), out: newFence(t, 1<<19), vec: newFence(t, 1<<14), vec2: newFence(t, 1<<14)}
	for _, k := range asm.Catalogue {
		t.Run(k.Name(), func(t *testing.T) {
			test := testers[k.Op]
			if test == nil {
				t.Fatalf("op %s has no tester", k.Op)
			}
			f, lacks, why := usable(k)
			if lacks != "" {
				asmtest.Missing(t, lacks, why)
			}
			for _, c.front = range []bool{false, true} {
				c.T, c.rng = t, rand.New(rand.NewPCG(1, 2))
				test(c, k, f.Func)
			}
		})
	}
}

// TestKernelTable checks that the compiled kernels are those of the catalogue.
func TestKernelTable(t *testing.T) {
	for _, c := range kernels.All() {
		k, ok := asm.ByName(c.Name)
		if !ok || string(k.ISA) != c.Level {
			t.Errorf("%s of level %s is not in the catalogue", c.Name, c.Level)
			continue
		}
		if got, want := fmt.Sprintf("%T", c.Func), signature(k.Op); got != want {
			t.Errorf("%s is a %s, want %s", c.Name, got, want)
		}
	}
}

// signature is the op's Go type without the names of its parameters.
func signature(op asm.Op) string {
	var params []string
	for _, p := range op.Row().Params() {
		params = append(params, p.Type)
	}
	return "func(" + strings.Join(params, ", ") + ")"
}

// check is a test at work: its memory and its random numbers.
type check struct {
	*testing.T
	rng                     *rand.Rand
	in, in2, out, vec, vec2 []float32 // fenced
	front                   bool      // matrices stand at the start of their fence, else at its end
}

// unit is the unit roundoff of float32.
const unit = 0x1p-24

// canary fills what no kernel may write; as an input that no kernel may use, it is a NaN.
const canary = 0x7fc0dead

// mat is a matrix in a fence: rows of n floats, ld apart. It touches one end of the fence; on its other side stand canaries.
type mat struct {
	p           []float32
	rows, n, ld int
	canaries    []float32
}

func (m mat) row(r int) []float32 { return m.p[r*m.ld:][:m.n] }
func (m mat) ptr() *float32       { return &m.p[0] }

// newMat puts a matrix at the end or the start of the fence, with canaries around it, and fills it with fill.
func (c *check) newMat(fence []float32, rows, n, ld int, fill func() float32) mat {
	const around = 64
	size := (rows-1)*ld + n
	m := mat{rows: rows, n: n, ld: ld}
	if at := len(fence) - size; c.front {
		m.p, m.canaries = fence[:size], fence[size:min(len(fence), size+around)]
	} else {
		m.p, m.canaries = fence[at:], fence[max(0, at-around):at]
	}
	for i := range m.p {
		m.p[i] = math.Float32frombits(canary)
	}
	for i := range m.canaries {
		m.canaries[i] = math.Float32frombits(canary)
	}
	for r := range rows {
		for i := range n {
			m.p[r*ld+i] = fill()
		}
	}
	return m
}

// intact reports writes outside the matrix.
func (c *check) intact(m mat, what string) {
	c.Helper()
	for i, v := range m.canaries {
		if math.Float32bits(v) != canary {
			c.Fatalf("%s: wrote %v outside the output, %d floats before or after it", what, v, i)
		}
	}
	for i, v := range m.p {
		if i%m.ld >= m.n && math.Float32bits(v) != canary {
			c.Fatalf("%s: wrote %v past row %d, at column %d of %d", what, v, i/m.ld, i%m.ld, m.n)
		}
	}
}

// near reports a value that is further than bound from want, or no number.
func (c *check) near(got float32, want, bound float64, what string, r, i int) {
	if e := math.Abs(float64(got) - want); !(e <= bound) {
		c.Helper()
		c.Fatalf("%s: [%d][%d] = %v, want %v: error %.3g, bound %.3g", what, r, i, got, want, e, bound)
	}
}

// same reports a value whose bits are not those of want.
func (c *check) same(got, want float32, what string, r, i int) {
	if math.Float32bits(got) != math.Float32bits(want) {
		c.Helper()
		c.Fatalf("%s: [%d][%d] = %v, want exactly %v", what, r, i, got, want)
	}
}

func (c *check) normal() float32 { return float32(c.rng.NormFloat64()) }

// scores are numbers as softmax sees them: some far below the largest.
func (c *check) scores() float32 { return float32(c.rng.NormFloat64() * 20) }

// upTo is 1..n and then more.
func upTo(n int, more ...int) []int {
	var s []int
	for i := 1; i <= n; i++ {
		s = append(s, i)
	}
	return append(s, more...)
}

func ptr(s []float32) *float32 {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

// A sum of k products has an error of at most (k+2)*unit*sum|a||b|, the start among the terms: one rounding for each
// addition, one for each product unless it is fused, one to add the bias.
func gemmBound(k int, abs float64) float64 { return float64(k+2) * unit * abs }

// startOf is what an element of C is before the sum, and its terms' absolute values.
func startOf(c float32, acc int, bias []float32, j int) (start, abs float64) {
	if acc != 0 {
		start, abs = float64(c), math.Abs(float64(c))
	}
	if bias != nil {
		start, abs = start+float64(bias[j]), abs+math.Abs(float64(bias[j]))
	}
	return start, abs
}

func testGemm(c *check, k asm.Kernel, fn any) {
	f := fn.(rt.Gemm)
	panels := k.NR / asm.Panel
	for _, depth := range upTo(40, 63, 64, 65, 768) {
		for variant := range 4 {
			acc, withBias := variant&1, variant&2 != 0
			what := fmt.Sprintf("k=%d acc=%d bias=%v", depth, acc, withBias)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			a := c.newMat(c.in, rows, depth, depth+3, c.normal)
			b := c.newMat(c.in2, panels, depth*asm.Panel, depth*asm.Panel, c.normal)
			out := c.newMat(c.out, rows, k.NR, k.NR+5, c.normal)
			start := slices.Clone(out.p)
			var bias []float32
			if withBias {
				bias = c.newMat(c.vec, 1, k.NR, k.NR, c.normal).p
			}
			// Prefetching may run past the panel, off into protected memory, or be turned off.
			pf, step := &b.p[0], 64
			if variant == 3 {
				pf, step = nil, 0
			}
			f(tiles, depth, a.ptr(), a.ld, b.ptr(), b.ld, out.ptr(), out.ld, ptr(bias), acc, pf, step)
			for r := range rows {
				for j := range k.NR {
					want, abs := startOf(start[r*out.ld+j], acc, bias, j)
					for i, x := range a.row(r) {
						p := float64(x) * float64(b.row(j / asm.Panel)[i*asm.Panel+j%asm.Panel])
						want, abs = want+p, abs+math.Abs(p)
					}
					c.near(out.row(r)[j], want, gemmBound(depth, abs), what, r, j)
				}
			}
			c.intact(out, what)
		}
	}
}

// halfOf returns the 16-bit value nearest to x, and that value.
func halfOf(dtype string, x float32) (uint16, float32) {
	if dtype == "f16" {
		h := ir.ToF16(x)
		return h, ir.FromF16(h)
	}
	h := ir.ToBF16(x)
	return h, ir.FromBF16(h)
}

// halves is n 16-bit values of the second input.
func (c *check) halves(n int) []uint16 { return c.halvesOf(c.in2, n) }

// halvesOf is the memory of a fenced row of floats as n 16-bit values, which end where it ends.
func (c *check) halvesOf(fence []float32, n int) []uint16 {
	words := c.newMat(fence, 1, (n+1)/2, (n+1)/2, c.normal).p
	h := unsafe.Slice((*uint16)(unsafe.Pointer(&words[0])), 2*len(words))
	return h[len(h)-n:]
}

func testWGemm(c *check, k asm.Kernel, fn any) {
	f := fn.(rt.WGemm)
	panels := k.NR / asm.Panel
	for _, depth := range upTo(40, 63, 64, 65, 768) {
		for variant := range 4 {
			acc, withBias := variant&1, variant&2 != 0
			what := fmt.Sprintf("k=%d acc=%d bias=%v", depth, acc, withBias)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			a := c.newMat(c.in, rows, depth, depth+3, c.normal)
			stride := depth*asm.Panel + variant
			b, wide := c.halves((panels-1)*stride+depth*asm.Panel), make([]float32, panels*stride)
			for i := range b {
				b[i], wide[i] = halfOf(k.DType, c.normal())
			}
			out := c.newMat(c.out, rows, k.NR, k.NR+5, c.normal)
			start := slices.Clone(out.p)
			var bias []float32
			if withBias {
				bias = c.newMat(c.vec, 1, k.NR, k.NR, c.normal).p
			}
			// Prefetching may run past the panel, off into protected memory, or be turned off.
			pf, step := &b[0], 64
			if variant == 3 {
				pf, step = nil, 0
			}
			f(tiles, depth, a.ptr(), a.ld, &b[0], stride, out.ptr(), out.ld, ptr(bias), acc, pf, step)
			for r := range rows {
				for j := range k.NR {
					want, abs := startOf(start[r*out.ld+j], acc, bias, j)
					for i, x := range a.row(r) {
						p := float64(x) * float64(wide[j/asm.Panel*stride+i*asm.Panel+j%asm.Panel])
						want, abs = want+p, abs+math.Abs(p)
					}
					c.near(out.row(r)[j], want, gemmBound(depth, abs), what, r, j)
				}
			}
			c.intact(out, what)
		}
	}
}

// testExpand widens every 16-bit value there is, and runs of every length.
func testExpand(c *check, k asm.Kernel, fn any) {
	f := fn.(rt.Expand)
	widen := ir.FromBF16
	if k.DType == "f16" {
		widen = ir.FromF16
	}
	for _, n := range append(upTo(70), 1<<16) {
		src := c.halves(n)
		for i := range src {
			src[i] = uint16(i * (1<<16/n | 1))
		}
		dst := c.newMat(c.out, 1, n, n, c.normal)
		f(n, dst.ptr(), &src[0])
		for i, h := range src {
			want, got := widen(h), dst.p[i]
			if want != want && got != got {
				continue // a NaN stays one, of whatever kind
			}
			c.same(got, want, fmt.Sprintf("n=%d, %#04x", n, h), 0, i)
		}
		c.intact(dst, fmt.Sprint("n=", n))
	}
}

// The types of kernels that no model calls.
type (
	idctFunc   = func(dst *uint8, stride int, block *int16, quant *uint16)
	pairsFunc  = func(n int, dst *uint32, a *uint8, b *uint8, fara *uint8, farb *uint8)
	spreadFunc = func(n int, dst *uint32, src *uint32, right uint16, left uint16, shift int)
	yccFunc    = func(n int, dst *uint8, luma *uint8, chroma *uint32)
)

// words is the memory of a fenced row of floats as n 32-bit values, which end where it ends.
func words(fence []float32) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(&fence[0])), len(fence))
}

func testPairs(c *check, _ asm.Kernel, fn any) {
	f := fn.(pairsFunc)
	for _, n := range []int{8, 16, 40} {
		in := c.bytesOf(c.in, 4*n)
		for i := range in {
			in[i] = uint8(c.rng.Uint32())
		}
		a, b, fara, farb := in[:n], in[n:2*n], in[2*n:3*n], in[3*n:]
		for _, far := range []bool{false, true} {
			dst := c.newMat(c.out, 1, n, n, c.normal)
			if far {
				f(n, &words(dst.p)[0], &a[0], &b[0], &fara[0], &farb[0])
			} else {
				f(n, &words(dst.p)[0], &a[0], &b[0], nil, nil)
			}
			for i, got := range words(dst.p) {
				want := uint32(a[i]) | uint32(b[i])<<16
				if far {
					want = 3*want + (uint32(fara[i]) | uint32(farb[i])<<16)
				}
				c.same(math.Float32frombits(got), math.Float32frombits(want), fmt.Sprint("n=", n, " far ", far), 0, i)
			}
			c.intact(dst, fmt.Sprint("n=", n))
		}
	}
}

func testSpread(c *check, _ asm.Kernel, fn any) {
	f := fn.(spreadFunc)
	for _, n := range []int{8, 16, 40} {
		src := words(c.newMat(c.in, 1, n+1, n+1, c.normal).p)
		for i := range src {
			src[i] = c.rng.Uint32() & 0x03fc03fc
		}
		dst := c.newMat(c.out, 1, 2*n, 2*n, c.normal)
		f(n, &words(dst.p)[0], &src[0], 7, 8, 4)
		for i, got := range words(dst.p) {
			want := uint32(0)
			for at := 0; at < 32; at += 16 {
				this, next, round := src[i/2]>>at&0xffff, src[i/2+1]>>at&0xffff, uint32(7)
				if i%2 == 1 {
					this, next, round = next, this, 8
				}
				want |= (3*this + next + round) >> 4 << at
			}
			c.same(math.Float32frombits(got), math.Float32frombits(want), fmt.Sprint("n=", n), 0, i)
		}
		c.intact(dst, fmt.Sprint("n=", n))
	}
}

func testYCC(c *check, _ asm.Kernel, fn any) {
	f := fn.(yccFunc)
	for _, n := range []int{8, 16, 40} {
		chroma, luma := words(c.newMat(c.in, 1, n, n, c.normal).p), c.bytesOf(c.in2, n)
		for i := range chroma {
			chroma[i], luma[i] = c.rng.Uint32()&0x00ff00ff, uint8(c.rng.Uint32())
		}
		dst := c.newMat(c.out, 1, 3*n/4+1, 3*n/4+1, c.normal)
		rgb := unsafe.Slice((*uint8)(unsafe.Pointer(dst.ptr())), 3*n)
		f(n, &rgb[0], &luma[0], &chroma[0])
		for i := range n {
			l, cb, cr := float64(luma[i]), float64(chroma[i]&0xffff)-128, float64(chroma[i]>>16)-128
			for j, want := range []float64{l + 1.402*cr, l - 0.344136*cb - 0.714136*cr, l + 1.772*cb} {
				c.near(float32(rgb[3*i+j]), min(max(want, 0), 255), 0.51, fmt.Sprint("n=", n), i, j)
			}
		}
		c.intact(dst, fmt.Sprint("n=", n))
	}
}

// testIDCT compares with the transform of the JPEG standard. Its twin, which it equals bit for bit, stands with its user.
func testIDCT(c *check, _ asm.Kernel, fn any) {
	f := fn.(idctFunc)
	var basis [8][8]float64 // of frequency u at sample x
	for u := range 8 {
		for x := range 8 {
			basis[u][x] = math.Cos(float64((2*x+1)*u)*math.Pi/16) / 2
			if u == 0 {
				basis[u][x] = math.Sqrt2 / 4
			}
		}
	}
	for _, floats := range []int{2, 3, 16} { // of a row
		for _, known := range []int{1, 8, 9, 64} {
			block, quant := c.halves(64), c.halvesOf(c.in, 64)
			for i := range block {
				block[i], quant[i] = 0, uint16(1+c.rng.IntN(9))
				if i < known {
					block[i] = uint16(int16(c.rng.IntN(15) - 7))
				}
			}
			dst := c.newMat(c.out, 8, 2, floats, c.normal)
			f((*uint8)(unsafe.Pointer(dst.ptr())), 4*floats, (*int16)(unsafe.Pointer(&block[0])), &quant[0])
			for y := range 8 {
				row := unsafe.Slice((*uint8)(unsafe.Pointer(&dst.row(y)[0])), 8)
				for x, got := range row {
					want := 128.0
					for i, v := range block {
						want += float64(int16(v)) * float64(quant[i]) * basis[i/8][y] * basis[i%8][x]
					}
					c.near(float32(got), min(max(want, 0), 255), 1, fmt.Sprint("coefficients ", known), y, x)
				}
			}
			c.intact(dst, fmt.Sprint("coefficients ", known))
		}
	}
}

// bytesOf is the memory of a fenced row of floats as n bytes, which end where it ends.
func (c *check) bytesOf(fence []float32, n int) []uint8 {
	words := c.newMat(fence, 1, (n+3)/4, (n+3)/4, c.normal).p
	b := unsafe.Slice((*uint8)(unsafe.Pointer(&words[0])), 4*len(words))
	return b[len(b)-n:]
}

// sizeOf is the bytes of a rounded element.
func sizeOf(k asm.Kernel) int {
	if k.Op == asm.OpQGemmW || k.Op == asm.OpQuantW || k.Op == asm.OpNormQW {
		return 2
	}
	return 1
}

// testQGemm holds tiles to their definition, which leaves no room, also where 16 bits nearly overflow.
func testQGemm(c *check, k asm.Kernel, fn any) {
	f := fn.(rt.QGemm)
	panels := k.NR / asm.Panel
	for _, groups := range upTo(10, 48, 128, 192) {
		for variant := range 8 {
			acc, withBias, extreme := variant&1, variant&2 != 0, variant&4 != 0
			what := fmt.Sprintf("%d groups, acc=%d bias=%v extreme=%v", groups, acc, withBias, extreme)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			size, middle, tail := 1, int32(128), 0
			if sizeOf(k) == 2 {
				size, middle, tail = 2, 0, 4
			}
			depth, lda := 4*groups, size*(4*groups+5)
			stride := asm.Panel*depth + 192
			a := c.bytesOf(c.in, (rows-1)*lda+size*depth+tail)
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
				startRow(a[r*lda:], groups)
			}
			for i := range b {
				if b[i] = uint8(int8(c.rng.IntN(255) - 127)); extreme {
					b[i] = uint8(int8(127 - 254*(i/7%2)))
				}
			}
			at := func(p, i int) []byte { return b[p*stride+asm.Panel*depth+i:] } // into the tail of a panel
			column, shift := make([]float32, k.NR), make([]float32, k.NR)
			for j := range k.NR {
				p, lane := j/asm.Panel, 4*(j%asm.Panel)
				column[j], shift[j] = 1, c.normal()
				if !extreme {
					column[j] = c.normal()
				}
				sum := int32(0)
				for i := range depth {
					sum += int32(int8(b[p*stride+i/4*64+lane+i%4]))
				}
				binary.NativeEndian.PutUint32(at(p, lane), math.Float32bits(column[j]))
				binary.NativeEndian.PutUint32(at(p, 64+lane), uint32(-128*sum))
				binary.NativeEndian.PutUint32(at(p, 128+lane), math.Float32bits(shift[j]))
			}
			scale, zero := c.newMat(c.vec, 1, rows, rows, c.normal), c.newMat(c.vec2, 1, rows, rows, c.normal)
			if extreme { // then C is the sum
				for r := range rows {
					scale.p[r], zero.p[r] = 1, 0
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
			given := c.bytesOf(c.in2, panels*(stride+(size-1)*asm.Panel*depth))
			if copy(given, b); size > 1 {
				widenPanel(given, b, groups)
			}
			// Prefetching may run off into protected memory, or be turned off.
			pf, step := (*int8)(unsafe.Pointer(&given[0])), 64
			if variant == 3 {
				pf, step = nil, 0
			}
			f(tiles, groups, &a[0], lda, (*int8)(unsafe.Pointer(&given[0])), stride, out.ptr(), out.ld, scale.ptr(), zero.ptr(), ptr(bias), acc, pf, step)
			for r := range rows {
				for j := range k.NR {
					sum := int32(0)
					for i := range depth {
						sum += (element(r*lda+size*i) - middle) * int32(int8(b[j/asm.Panel*stride+i/4*64+j%asm.Panel*4+i%4]))
					}
					want := float32(float32(float32(sum)*scale.p[r])*column[j]) + float32(zero.p[r]*shift[j])
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

// widenPanel is what widen does, a value at a time.
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

// startRow is what rowstart does of a row, a product at a time.
func startRow(row []uint8, groups int) {
	sum := int32(0)
	for i := range 2 * groups {
		v := row[i/2*8+i%2*2:]
		sum -= int32(int16(binary.NativeEndian.Uint16(v))) * int32(int16(binary.NativeEndian.Uint16(v[4:])))
	}
	binary.NativeEndian.PutUint32(row[8*groups:], uint32(sum))
}

// testRowStart holds the starts of rows to their definition.
func testRowStart(c *check, _ asm.Kernel, fn any) {
	f := fn.(rt.RowStart)
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
			startRow(want[r], groups)
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

// testWiden holds widened panels to their definition.
func testWiden(c *check, _ asm.Kernel, fn any) {
	f := fn.(rt.Widen)
	for _, groups := range upTo(10, 48, 192) {
		src, want := c.bytesOf(c.in, 64*groups+192), make([]uint8, 128*groups+192)
		for i := range src {
			src[i] = uint8(c.rng.Uint32())
		}
		widenPanel(want, src, groups)
		dst := c.newMat(c.out, 1, len(want)/4, len(want)/4, c.normal)
		f(groups, (*int8)(unsafe.Pointer(dst.ptr())), (*int8)(unsafe.Pointer(&src[0])))
		for i := range dst.p {
			c.same(dst.p[i], math.Float32frombits(binary.NativeEndian.Uint32(want[4*i:])), fmt.Sprint(groups, " groups"), 0, i)
		}
		c.intact(dst, fmt.Sprint(groups, " groups"))
	}
}

// testQuant holds the bytes of a row to their definition, which leaves no room.
func testQuant(c *check, k asm.Kernel, fn any) {
	f, bytes, parts := fn.(rt.Quant), sizeOf(k), partsOf(k)
	for _, n := range upTo(70, 768) {
		for _, size := range []float32{1, 1e-20, 1e-31, 1e20, 0} {
			what := fmt.Sprintf("n=%d size=%g", n, size)
			rows, room := 3, (n+31)/32*32
			src := c.newMat(c.in, rows, n, n+3, func() float32 { return size * (c.normal() + 3) })
			dst := c.rounded(rows, bytes*room, parts)
			scale, zero := c.newMat(c.vec, 1, rows, rows, c.normal), c.newMat(c.vec2, 1, rows, rows, c.normal)
			f(rows, (*uint8)(unsafe.Pointer(dst.ptr())), 4*parts*dst.ld, src.ptr(), src.ld, n, scale.ptr(), zero.ptr())
			for r := range rows {
				lo, hi := slices.Min(src.row(r)), slices.Max(src.row(r))
				z, m, inv := float32(hi+lo)*0.5, float32(hi-lo)*0.5, float32(0)
				if m >= 1e-30 {
					inv = 127 / m
				} else {
					m = 0
				}
				c.same(scale.p[r], m/127, what, r, 0)
				c.same(zero.p[r], z, what, r, 1)
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
			c.intact(zero, what)
		}
	}
	for _, odd := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for n := range 40 {
			src, dst := c.newMat(c.in, 2, n+1, n+1, c.normal), c.rounded(2, 64*bytes, parts)
			src.p[n/2] = float32(odd)
			var scale, zero [2]float32
			f(2, (*uint8)(unsafe.Pointer(dst.ptr())), 4*parts*dst.ld, src.ptr(), src.ld, n+1, &scale[0], &zero[0])
			if scale[0] == scale[0] || zero[0] == zero[0] {
				c.Fatalf("n=%d with %v: scale %v and middle %v, want NaN", n+1, odd, scale[0], zero[0])
			}
			if scale[1] != scale[1] || zero[1] != zero[1] {
				c.Fatalf("n=%d with %v in the row before: scale %v and middle %v", n+1, odd, scale[1], zero[1])
			}
		}
	}
}

// partsOf is how many numbers a value is rounded to: with i8x2 what that takes away is another, unless they have 16 bits and
// are one.
func partsOf(k asm.Kernel) int {
	if k.DType == "i8x2" && sizeOf(k) == 1 {
		return 2
	}
	return 1
}

// rounded is the memory of rows of so many bytes a part, each part a row of the matrix.
func (c *check) rounded(rows, bytes, parts int) mat {
	return c.newMat(c.out, parts*rows, bytes/4, bytes/4+3, c.normal)
}

// testNormQuant compares with the two kernels of the same level.
func testNormQuant(c *check, k asm.Kernel, fn any) {
	f, bytes, parts := fn.(rt.QuantNorm), sizeOf(k), partsOf(k)
	other := func(op asm.Op, dtype string) any {
		k := asm.Find(asm.Kernel{Op: op, DType: dtype}.Family(), k.ISA)[0]
		compiled, _, why := usable(k)
		if why != "" {
			c.Fatalf("%s: %s", k.Name(), why)
		}
		return compiled.Func
	}
	norm, quant := other(asm.OpLayerNorm, "f32").(rt.LayerNorm), other(map[int]asm.Op{1: asm.OpQuant, 2: asm.OpQuantW}[bytes], k.DType).(rt.Quant)
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
			wantScale, wantZero, wide := make([]float32, rows), make([]float32, rows), make([]float32, rows*n)
			norm(rows, &wide[0], n, src.ptr(), src.ld, n, nil, nil, eps)
			quant(rows, &want[0], parts*room, &wide[0], n, n, &wantScale[0], &wantZero[0])
			dst := c.rounded(rows, room, parts)
			scale, zero := c.newMat(c.vec, 1, rows, rows, c.normal), c.newMat(c.vec2, 1, rows, rows, c.normal)
			f(rows, (*uint8)(unsafe.Pointer(dst.ptr())), 4*parts*dst.ld, src.ptr(), src.ld, n, eps, scale.ptr(), zero.ptr())
			for r := range rows {
				if wantScale[r] != wantScale[r] || wantZero[r] != wantZero[r] {
					if scale.p[r] == scale.p[r] || zero.p[r] == zero.p[r] {
						c.Fatalf("%s: scale %v and middle %v, want NaN", what, scale.p[r], zero.p[r])
					}
					continue
				}
				c.same(scale.p[r], wantScale[r], what, r, 0)
				c.same(zero.p[r], wantZero[r], what, r, 1)
				for i := range parts * room {
					if got := uint8(math.Float32bits(dst.row(parts*r + i/room)[i%room/4]) >> (i % 4 * 8)); got != want[parts*r*room+i] {
						c.Fatalf("%s: byte [%d][%d] = %d, want %d", what, r, i, got, want[parts*r*room+i])
					}
				}
			}
			c.intact(dst, what)
			c.intact(scale, what)
			c.intact(zero, what)
		}
	}
}

func testGemmV(c *check, k asm.Kernel, fn any) {
	f := fn.(rt.GemmV)
	for _, depth := range upTo(40, 63, 64, 65, 197) {
		for variant := range 4 {
			acc, ldb := variant&1, k.NR+7*(variant>>1)
			what := fmt.Sprintf("k=%d acc=%d ldb=%d", depth, acc, ldb)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			a := c.newMat(c.in, rows, depth, depth+3, c.normal)
			b := c.newMat(c.in2, depth, k.NR, ldb, c.normal)
			out := c.newMat(c.out, rows, k.NR, k.NR+5, c.normal)
			start := slices.Clone(out.p)
			f(tiles, depth, a.ptr(), a.ld, b.ptr(), b.ld, out.ptr(), out.ld, acc)
			for r := range rows {
				for j := range k.NR {
					want, abs := startOf(start[r*out.ld+j], acc, nil, j)
					for i, x := range a.row(r) {
						p := float64(x) * float64(b.row(i)[j])
						want, abs = want+p, abs+math.Abs(p)
					}
					c.near(out.row(r)[j], want, gemmBound(depth, abs), what, r, j)
				}
			}
			c.intact(out, what)
		}
	}
}

// A power 2^d has three relative errors: that of d, a difference rounded once (d*ln2*unit), that of the polynomial (9.2e-8)
// and those of its evaluation (less than 4*unit). Below 2^-125 it is 2^-125.
func powerBound(d, want float64) float64 {
	return want*(9.2e-8+(4-d)*unit) + 0x1p-125
}

func testSoftmax(c *check, _ asm.Kernel, fn any) {
	f := fn.(rt.Softmax)
	for _, n := range upTo(70, 197, 261, 1000) {
		for _, rows := range []int{0, 1, 3} {
			what := fmt.Sprintf("rows=%d n=%d", rows, n)
			room := asm.Ceil(n)
			x := c.newMat(c.out, max(rows, 1), room, room+16, c.scores)
			for r := range rows {
				for i := n; i < room; i++ {
					x.row(r)[i] = math.Float32frombits(canary) // must not count, must become 0
				}
			}
			src := slices.Clone(x.p)
			inv := c.newMat(c.vec, 1, max(rows, 1), max(rows, 1), c.normal)
			first := inv.p[0]
			f(rows, x.ptr(), x.ld, n, inv.ptr())
			if rows == 0 {
				c.same(inv.p[0], first, what, 0, 0)
				c.same(x.p[0], src[0], what, 0, 0)
			}
			for r := range rows {
				in := src[r*x.ld:][:n]
				top := float64(slices.Max(in))
				sum, bound := 0.0, 0.0
				for i, v := range in {
					d := float64(v) - top
					want := math.Exp2(d)
					c.near(x.row(r)[i], want, powerBound(d, want), what, r, i)
					sum, bound = sum+want, bound+powerBound(d, want)
				}
				for i := n; i < room; i++ {
					c.same(x.row(r)[i], 0, what, r, i)
				}
				// n/32 additions a lane, five across lanes and three across vectors; then one division.
				rel := bound/sum + float64(n/32+10)*unit
				c.near(inv.p[r], 1/sum, rel*(1+rel)/sum, what+" inv", r, 0)
			}
			c.intact(x, what)
			c.intact(inv, what+" inv")
		}
	}
	for n := 1; n < 70; n++ {
		x := c.newMat(c.out, 1, asm.Ceil(n), asm.Ceil(n), c.scores)
		x.p[n/2] = float32(math.NaN())
		inv := c.newMat(c.vec, 1, 1, 1, c.normal)
		f(1, x.ptr(), x.ld, n, inv.ptr())
		if v := inv.p[0]; v == v {
			c.Fatalf("n=%d: a NaN among the scores gives inv = %v, want NaN", n, v)
		}
	}
}

func testScaleRows(c *check, _ asm.Kernel, fn any) {
	f := fn.(rt.ScaleRows)
	c.rowwise(upTo(70, 768), c.normal, func(rows int, dst, src mat) func(r, i int, x float32) (float64, float64) {
		s := c.newMat(c.vec, 1, max(rows, 1), max(rows, 1), c.normal)
		f(rows, dst.ptr(), dst.ld, src.ptr(), src.ld, src.n, s.ptr())
		return func(r, _ int, x float32) (float64, float64) { return float64(x * s.p[r]), 0 }
	})
}

func testAdd(c *check, _ asm.Kernel, fn any) {
	f := fn.(rt.Add)
	for _, n := range upTo(70, 768) {
		for _, rows := range []int{0, 1, 3} {
			what := fmt.Sprintf("rows=%d n=%d", rows, n)
			src := c.newMat(c.in, max(rows, 1), n, n+1, c.normal)
			dst := c.newMat(c.out, max(rows, 1), n, n+3, c.normal)
			start := slices.Clone(dst.p)
			f(rows, dst.ptr(), dst.ld, src.ptr(), src.ld, n)
			for r := range dst.rows {
				for i, got := range dst.row(r) {
					want := start[r*dst.ld+i]
					if rows > 0 {
						want += src.row(r)[i]
					}
					c.same(got, want, what, r, i)
				}
			}
			c.intact(dst, what)
		}
	}
}

// rowwise tests a kernel that takes the rows of src to those of dst, in place too. run calls it and returns what element
// [r][i] should be, given the source's, and how far it may be from that.
func (c *check) rowwise(ns []int, fill func() float32, run func(rows int, dst, src mat) func(r, i int, x float32) (want, bound float64)) {
	c.Helper()
	for _, n := range ns {
		for _, rows := range []int{0, 1, 3} {
			for _, inPlace := range []bool{false, true} {
				what := fmt.Sprintf("rows=%d n=%d in place=%v", rows, n, inPlace)
				src := c.newMat(c.in, max(rows, 1), n, n+1, fill)
				dst := src
				if !inPlace {
					dst = c.newMat(c.out, max(rows, 1), n, n+3, c.normal)
				}
				start, in := slices.Clone(dst.p), mat{p: slices.Clone(src.p), rows: src.rows, n: src.n, ld: src.ld}
				expect := run(rows, dst, src)
				for r := range dst.rows {
					for i, got := range dst.row(r) {
						if rows == 0 {
							c.same(got, start[r*dst.ld+i], what, r, i)
							continue
						}
						want, bound := expect(r, i, in.row(r)[i])
						c.near(got, want, bound, what, r, i)
					}
				}
				c.intact(dst, what)
			}
		}
	}
}

// The error of layer normalisation, to first order: the mean is a sum of n/32 terms a lane; its error and that of the
// difference are scaled like the result. The variance's relative error counts half; the square of the mean's error, which
// matters for rows that are almost constant, counts too.
func layerNormBound(n int, x, mean, meanAbs, scale float64) float64 {
	terms := float64(n/32 + 10)
	dm := terms * unit * meanAbs
	y := math.Abs(x-mean) * scale
	return scale*(dm+2*unit*(math.Abs(x)+math.Abs(mean))) + y*(terms*unit+dm*dm*scale*scale)
}

func testLayerNorm(c *check, _ asm.Kernel, fn any) {
	f := fn.(rt.LayerNorm)
	const eps = 1e-5
	for _, affine := range []bool{false, true} {
		for _, shift := range []float32{0, 30} {
			c.rowwise(upTo(70, 128, 768, 3072), func() float32 { return c.normal() + shift }, func(rows int, dst, src mat) func(r, i int, x float32) (float64, float64) {
				in := mat{p: slices.Clone(src.p), rows: src.rows, n: src.n, ld: src.ld}
				var g, b []float32
				if affine {
					g = c.newMat(c.vec, 1, src.n, src.n, c.normal).p
					b = c.newMat(c.vec2, 1, src.n, src.n, c.normal).p
				}
				f(rows, dst.ptr(), dst.ld, src.ptr(), src.ld, src.n, ptr(g), ptr(b), eps)
				mean, abs, scale := make([]float64, src.rows), make([]float64, src.rows), make([]float64, src.rows)
				for r := range src.rows {
					for _, v := range in.row(r) {
						mean[r] += float64(v) / float64(src.n)
						abs[r] += math.Abs(float64(v)) / float64(src.n)
					}
					for _, v := range in.row(r) {
						scale[r] += (float64(v) - mean[r]) * (float64(v) - mean[r]) / float64(src.n)
					}
					scale[r] = 1 / math.Sqrt(scale[r]+eps)
				}
				return func(r, i int, _ float32) (float64, float64) {
					x := float64(in.row(r)[i])
					want, bound := (x-mean[r])*scale[r], layerNormBound(src.n, x, mean[r], abs[r], scale[r])
					if affine {
						gain, bias := float64(g[i]), float64(b[i])
						want = want*gain + bias
						bound = bound*math.Abs(gain) + 2*unit*(math.Abs(want)+math.Abs(bias))
					}
					return want, bound
				}
			})
		}
	}
}

// geluBound is absolute, because erfc's argument, up to 28 in base 2, is a float32, and then that of one rounding.
func geluBound(want float64) float64 { return 3e-7 + unit*math.Abs(want) }

func geluOf(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }

func testGelu(c *check, _ asm.Kernel, fn any) {
	f := fn.(rt.Gelu)
	c.rowwise(upTo(70, 3072), c.normal, func(rows int, dst, src mat) func(r, i int, x float32) (float64, float64) {
		f(rows, dst.ptr(), dst.ld, src.ptr(), src.ld, src.n)
		return func(_, _ int, x float32) (float64, float64) {
			want := geluOf(float64(x))
			return want, geluBound(want)
		}
	})
	const n = 1 << 16
	at := 0
	x := c.newMat(c.in, 1, n, n, func() float32 { at++; return float32(at-n/2) * (24.0 / n) })
	out := c.newMat(c.out, 1, n, n, c.normal)
	f(1, out.ptr(), 0, x.ptr(), 0, n)
	for i, v := range x.p {
		want := geluOf(float64(v))
		c.near(out.p[i], want, geluBound(want), "[-12,12]", 0, i)
	}
	inf := float32(math.Inf(1))
	for i, s := range []struct{ in, want float32 }{{0, 0}, {inf, inf}, {1e30, 1e30}, {-1e30, 0}, {-inf, 0}, {float32(math.NaN()), float32(math.NaN())}} {
		f(1, &out.p[0], 0, &s.in, 0, 1)
		got := out.p[0]
		if got != s.want && !(got != got && s.want != s.want) && !(math.Abs(float64(got-s.want)) < 1e-7) {
			c.Errorf("special %d: gelu(%v) = %v, want %v", i, s.in, got, s.want)
		}
	}
}

func testPackK(c *check, _ asm.Kernel, fn any) {
	f := fn.(rt.PackK)
	for rows := 1; rows <= asm.Panel; rows++ {
		for _, k := range upTo(40, 64, 100) {
			what := fmt.Sprintf("rows=%d k=%d", rows, k)
			src := c.newMat(c.in, rows, k, k+5, c.normal)
			dst := c.newMat(c.out, k, asm.Panel, asm.Panel, c.normal)
			f(rows, dst.ptr(), src.ptr(), src.ld, k)
			for i := range k {
				for r, got := range dst.row(i) {
					want := float32(0)
					if r < rows {
						want = src.row(r)[i]
					}
					c.same(got, want, what, i, r)
				}
			}
			c.intact(dst, what)
		}
	}
}

// testDGemm holds sums of products of bfloat16 to their definition, to the bit: it says in which order they are rounded.
func testDGemm(c *check, k asm.Kernel, fn any) {
	f := fn.(rt.DGemm)
	panels := k.NR / asm.Panel
	for _, pairs := range upTo(10, 31, 32, 33, 384) {
		for variant := range 4 {
			acc, withBias := variant&1, variant&2 != 0
			what := fmt.Sprintf("%d pairs acc=%d bias=%v", pairs, acc, withBias)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			depth, lda, stride := 2*pairs, 2*pairs+3, 2*pairs*asm.Panel+variant
			a, b := c.halvesOf(c.in, (rows-1)*lda+depth), c.halves((panels-1)*stride+depth*asm.Panel)
			for _, h := range [][]uint16{a, b} {
				for i := range h {
					h[i] = ir.ToBF16(c.normal())
				}
			}
			out := c.newMat(c.out, rows, k.NR, k.NR+5, c.normal)
			start := slices.Clone(out.p)
			bias := make([]float32, k.NR)
			var biasPtr *float32
			if withBias {
				bias = c.newMat(c.vec, 1, k.NR, k.NR, c.normal).p
				biasPtr = &bias[0]
			}
			pf, step := &b[0], 64
			if variant == 3 {
				pf, step = nil, 0
			}
			f(tiles, pairs, &a[0], lda, &b[0], stride, out.ptr(), out.ld, biasPtr, acc, pf, step)
			for r := range rows {
				for j := range k.NR {
					want := bias[j]
					if acc != 0 {
						want += start[r*out.ld+j]
					}
					for i := range pairs {
						x, y := a[r*lda+2*i:], b[j/asm.Panel*stride+i*2*asm.Panel+j%asm.Panel*2:]
						for _, n := range []int{1, 0} {
							want += float32(ir.FromBF16(x[n]) * ir.FromBF16(y[n])) // 16 bits: exact
						}
					}
					c.same(out.row(r)[j], want, what, r, j)
				}
			}
			c.intact(out, what)
		}
	}
}

// testRound rounds numbers between all neighbours, and rows of every length.
func testRound(c *check, _ asm.Kernel, fn any) {
	f := fn.(rt.Round)
	for _, n := range upTo(70, 768, 1<<16) {
		what := fmt.Sprint("n=", n)
		rows, room := 3, (n+31)/32*32
		if n == 1<<16 {
			rows = 1
		}
		at := uint32(0)
		src := c.newMat(c.in, rows, n, n+3, func() float32 {
			at++
			return math.Float32frombits(at<<16 + []uint32{0x7fff, 0x8000, 0x8001, 0, 1, 0xffff}[at%6])
		})
		dst := c.newMat(c.out, rows, room/2, room/2+3, c.normal)
		f(rows, (*uint16)(unsafe.Pointer(dst.ptr())), 2*dst.ld, src.ptr(), src.ld, n)
		for r := range rows {
			got := unsafe.Slice((*uint16)(unsafe.Pointer(&dst.row(r)[0])), room)
			for i, h := range got {
				want := uint16(0)
				if i < n {
					want = ir.ToBF16(src.row(r)[i])
				}
				if h != want {
					c.Fatalf("%s: [%d][%d] = %#04x, want %#04x", what, r, i, h, want)
				}
			}
		}
		c.intact(dst, what)
	}
}

// TestSameBits checks what callers rely on when they choose tiles and blocks freely: tiles of any number of rows, and of
// any ISA but generic, give the same bits, whether k is taken at once or in blocks.
func TestSameBits(t *testing.T) {
	const depth, split, n = 100, 37, asm.Panel
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(rng.NormFloat64())
		}
		return s
	}
	most := 16
	a, bias := random(most*depth), random(n)
	b := random(depth*n + 64)[:depth*n]
	for i := range b {
		_, b[i] = halfOf("bf16", b[i]) // so that 16-bit tiles see the same values
	}
	type result struct {
		name string
		c    []float32
	}
	first := map[string]result{}
	for _, k := range asm.Catalogue {
		compiled, lacks, _ := usable(k)
		if k.Op != asm.OpGemm && k.Op != asm.OpGemmV && k.Op != asm.OpWGemm || lacks != "" {
			continue
		}
		var narrow []uint16
		if k.Op == asm.OpWGemm {
			narrow = make([]uint16, len(b))
			for i := range b {
				narrow[i], _ = halfOf(k.DType, b[i])
			}
		}
		for _, blocks := range [][]int{{depth}, {split, depth - split}} {
			out := make([]float32, (most/k.MR+1)*k.MR*k.NR)
			rows := most / k.MR * k.MR
			for r := 0; r < rows; r += k.MR {
				k0 := 0
				for i, kb := range blocks {
					acc, start := min(i, 1), &bias[0]
					if i > 0 {
						start = nil
					}
					switch f := compiled.Func.(type) {
					case rt.Gemm:
						f(1, kb, &a[r*depth+k0], depth, &b[k0*n], len(b), &out[r*n], n, start, acc, nil, 0)
					case rt.WGemm:
						f(1, kb, &a[r*depth+k0], depth, &narrow[k0*n], len(b), &out[r*n], n, start, acc, nil, 0)
					case rt.GemmV:
						f(1, kb, &a[r*depth+k0], depth, &b[k0*n], n, &out[r*n], n, acc)
					}
					k0 += kb
				}
			}
			out = out[:rows*n]
			class := k.Family()
			if k.Op == asm.OpWGemm {
				class = asm.Kernel{Op: asm.OpGemm, DType: "f32"}.Family()
			}
			if k.ISA == asm.Generic {
				class += "_generic"
			}
			got := result{fmt.Sprintf("%s with blocks %v", k.Name(), blocks), out}
			want, ok := first[class]
			if !ok {
				first[class] = got
				continue
			}
			for i := range min(len(out), len(want.c)) {
				if math.Float32bits(out[i]) != math.Float32bits(want.c[i]) {
					t.Fatalf("%s: [%d][%d] = %v, but %s has %v", got.name, i/n, i%n, out[i], want.name, want.c[i])
				}
			}
		}
	}
}

// sums identifies what the kernels of each family compute of the same numbers, whatever the CPU. Twins have no fused
// multiply-add and compute in float64: theirs are other bits, but where an element takes at most one rounding.
var sums = map[string]uint64{
	"gemm_f32":      0x49a0d0a84c20e288,
	"gemmv_f32":     0x241e272a2f7ddc51,
	"softmax_f32":   0x2130d219c366f945,
	"scalerows_f32": 0x55a725226c7561b7,
	"layernorm_f32": 0x3724c46d59e4497,
	"gelu_f32":      0x82589cc427d97f73,
	"packk_f32":     0x58d60a57a69eb9ab,
	"add_f32":       0x57a5a83c48a7143c,
}

// roundOnce are the ops that round an element at most once.
var roundOnce = map[asm.Op]bool{asm.OpScaleRows: true, asm.OpPackK: true, asm.OpAdd: true}

// TestSameBitsEverywhere checks that a family's kernels in assembly give the same bits on every CPU.
func TestSameBitsEverywhere(t *testing.T) {
	const rows, n, ld = 6, 197, 208
	for _, k := range asm.Catalogue {
		want, ok := sums[k.Family()]
		compiled, lacks, _ := usable(k)
		if lacks != "" || k.ISA == asm.Generic && !roundOnce[k.Op] || k.Op.Row().Tiled && k.MR != rows || k.NR > asm.Panel {
			continue
		}
		rng := rand.New(rand.NewPCG(7, 8))
		in, out := make([]float32, 32*ld), make([]float32, 32*ld)
		for i := range in {
			in[i] = rng.Float32()*8 - 4
		}
		copy(out, in[16*ld:])
		switch f := compiled.Func.(type) {
		case rt.Gemm:
			f(1, n, &in[0], ld, &in[8*ld], 0, &out[0], ld, &in[31*ld], 1, nil, 0)
		case rt.GemmV:
			f(1, 20, &in[0], ld, &in[8*ld], ld, &out[0], ld, 1)
		case rt.Softmax:
			f(rows, &out[0], ld, n, &out[16*ld])
		case rt.ScaleRows:
			f(rows, &out[0], ld, &in[0], ld, n, &in[8*ld])
		case rt.LayerNorm:
			f(rows, &out[0], ld, &in[0], ld, n, &in[8*ld], &in[9*ld], 1e-5)
		case rt.Gelu: // add too
			f(rows, &out[0], ld, &in[0], ld, n)
		case rt.PackK:
			f(rows, &out[0], &in[0], ld, 64)
		default:
			continue
		}
		h := fnv.New64a()
		for _, v := range out {
			h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
		}
		if got := h.Sum64(); !ok || got != want {
			t.Errorf("%s: sum %#x, want %#x", k.Name(), got, want)
		}
	}
}

// peak measures the multiply-add ceiling of this core, in GFLOP/s: the better of the peak kernels, best of several runs.
func peak() float64 {
	best := 0.0
	for _, k := range asm.Catalogue {
		compiled, lacks, _ := usable(k)
		if k.Op != asm.OpPeakFMA || lacks != "" {
			continue
		}
		l, _ := k.ISA.Level()
		const rounds = 200_000
		for range 20 {
			start := time.Now()
			compiled.Func.(func(int))(rounds)
			best = max(best, float64(rounds*12*2*l.Vector)/float64(time.Since(start).Nanoseconds()))
		}
	}
	return best
}

// BenchmarkKernels times every kernel at the shapes of BEiT-3 base. For products it reports GFLOP/s and the percentage of
// this core's multiply-add ceiling; for the others ns for each element.
func BenchmarkKernels(b *testing.B) {
	ceiling := peak()
	rng := rand.New(rand.NewPCG(5, 6))
	const rows, d, ld, hidden = 197, 768, 784, 3072
	src, dst := make([]float32, 200*(hidden+16)), make([]float32, 200*(hidden+16))
	for i := range src {
		src[i] = float32(rng.NormFloat64())
	}
	work := src[:len(src):len(src)]
	flops := func(b *testing.B, n int) {
		g := float64(n) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
		b.ReportMetric(g, "GFLOP/s")
		if ceiling > 0 {
			b.ReportMetric(100*g/ceiling, "%peak")
		}
	}
	elems := func(b *testing.B, n int) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/elem")
	}
	for _, k := range asm.Catalogue {
		b.Run(k.Name(), func(b *testing.B) {
			compiled, lacks, why := usable(k)
			if lacks != "" {
				b.Skip(why)
			}
			switch f := compiled.Func.(type) {
			case rt.Gemm: // one tile, everything in cache
				for b.Loop() {
					f(1, d, &work[0], ld, &work[8*ld], d*asm.Panel, &dst[0], ld, &work[0], 0, &work[8*ld+128], 64)
				}
				flops(b, 2*d*k.MR*k.NR)
			case rt.GemmV: // a tile of one head's P*V
				for b.Loop() {
					f(1, rows, &work[0], 208, &work[8*ld], 3*d, &dst[0], ld, 0)
				}
				flops(b, 2*rows*k.MR*k.NR)
			case rt.Softmax: // a block of 24 queries
				for b.Loop() {
					copy(dst, work[:24*208])
					f(24, &dst[0], 208, rows, &dst[24*208])
				}
				elems(b, 24*rows)
			case rt.ScaleRows:
				for b.Loop() {
					f(24, &dst[0], ld, &work[0], 64, 64, &work[0])
				}
				elems(b, 24*64)
			case rt.LayerNorm:
				for b.Loop() {
					f(rows, &dst[0], ld, &work[0], ld, d, nil, nil, 1e-5)
				}
				elems(b, rows*d)
			case rt.Gelu:
				if k.Op == asm.OpAdd {
					for b.Loop() {
						f(rows, &dst[0], ld, &work[0], ld, d)
					}
					elems(b, rows*d)
					return
				}
				for b.Loop() {
					f(rows, &dst[0], hidden+16, &work[0], hidden+16, hidden)
				}
				elems(b, rows*hidden)
			case rt.PackK:
				for b.Loop() {
					for r := 0; r < rows; r += asm.Panel {
						f(min(asm.Panel, rows-r), &dst[r*64], &work[r*ld], ld, 64)
					}
				}
				elems(b, rows*64)
			case rt.WGemm: // one tile, everything in cache
				panels := make([]uint16, k.NR*d)
				for b.Loop() {
					f(1, d, &work[0], ld, &panels[0], d*asm.Panel, &dst[0], ld, &work[0], 0, &panels[256], 64)
				}
				flops(b, 2*d*k.MR*k.NR)
			case rt.Expand:
				panel := make([]uint16, d*asm.Panel+1024)
				for b.Loop() {
					f(d*asm.Panel, &dst[0], &panel[0])
				}
				elems(b, d*asm.Panel)
			case rt.DGemm: // one tile, everything in cache
				rows, panels := make([]uint16, k.MR*(d+32)), make([]uint16, k.NR*d)
				for b.Loop() {
					f(1, d/2, &rows[0], d+32, &panels[0], d*asm.Panel, &dst[0], ld, &work[0], 0, &panels[256], 64)
				}
				flops(b, 2*d*k.MR*k.NR)
			case rt.Round:
				halves := make([]uint16, rows*(d+32))
				for b.Loop() {
					f(rows, &halves[0], d+32, &work[0], ld, d)
				}
				elems(b, rows*d)
			case rt.QGemm: // one tile, everything in cache
				panels := make([]int8, sizeOf(k)*k.NR/asm.Panel*(d*asm.Panel+192)+1024)
				bytes := make([]uint8, 16*2*(d+64))
				for b.Loop() {
					f(1, d/4, &bytes[0], 2*(d+64), &panels[0], d*asm.Panel+192, &dst[0], ld, &work[0], &work[0], &work[0], 1, &panels[0], 64)
				}
				flops(b, 2*d*k.MR*k.NR)
			case rt.Widen:
				panels := make([]int8, 3*(d*asm.Panel+192))
				for b.Loop() {
					f(d/4, &panels[0], &panels[2*(d*asm.Panel+192)])
				}
				elems(b, d*asm.Panel)
			case rt.RowStart:
				bytes := make([]uint8, rows*2*(d+64))
				for b.Loop() {
					f(rows, d/4, &bytes[0], 2*(d+64))
				}
				elems(b, rows*d)
			case rt.Quant:
				bytes := make([]uint8, rows*2*(d+64))
				for b.Loop() {
					f(rows, &bytes[0], 2*(d+64), &work[0], ld, d, &dst[0], &dst[rows])
				}
				elems(b, rows*d)
			case rt.QuantNorm:
				bytes := make([]uint8, rows*2*(d+64))
				for b.Loop() {
					f(rows, &bytes[0], 2*(d+64), &work[0], ld, d, 1e-5, &dst[0], &dst[rows])
				}
				elems(b, rows*d)
			case pairsFunc:
				samples, sums := make([]uint8, 4*d), make([]uint32, d)
				for b.Loop() {
					f(d, &sums[0], &samples[0], &samples[d], &samples[2*d], &samples[3*d])
				}
				elems(b, d)
			case spreadFunc:
				sums, spread := make([]uint32, d+1), make([]uint32, 2*d)
				for b.Loop() {
					f(d, &spread[0], &sums[0], 7, 8, 4)
				}
				elems(b, d)
			case yccFunc:
				samples, chroma, rgb := make([]uint8, d), make([]uint32, d), make([]uint8, 3*d+4)
				for b.Loop() {
					f(d, &rgb[0], &samples[0], &chroma[0])
				}
				elems(b, d)
			case idctFunc:
				var block [64]int16
				var quant [64]uint16
				for i := range block {
					block[i], quant[i] = int16(rng.IntN(15)-7), uint16(1+rng.IntN(9))
				}
				var samples [64]uint8
				for b.Loop() {
					f(&samples[0], 8, &block[0], &quant[0])
				}
				elems(b, len(block))
			case func(int):
				for b.Loop() {
					f(1000)
				}
				l, _ := k.ISA.Level()
				flops(b, 1000*12*2*l.Vector)
			default:
				b.Fatalf("no benchmark for a %T", f)
			}
		})
	}
}

// BenchmarkGemm times whole products, driven as codegen/rt does: blocks of k, then panels, then row tiles of equal height.
func BenchmarkGemm(b *testing.B) {
	ceiling := peak()
	for _, l := range asm.Levels {
		tiles := asm.Find("gemm_f32", l.ISA)
		if len(tiles) == 0 {
			continue
		}
		var fs []rt.Gemm
		for _, k := range tiles {
			if compiled, lacks, _ := usable(k); lacks == "" {
				fs = append(fs, compiled.Func.(rt.Gemm))
			}
		}
		for _, s := range [][3]int{{197, 768, 768}, {197, 768, 3072}, {197, 3072, 768}, {64, 768, 3072}, {16, 768, 3072}, {1, 768, 3072}} {
			m, k, n := s[0], s[1], s[2]
			b.Run(fmt.Sprintf("%s/%dx%dx%d", l.ISA, m, k, n), func(b *testing.B) {
				if len(fs) < len(tiles) {
					b.Skip("not on this CPU or not in this build")
				}
				lda, ldc := k+16, n+16
				x, w, c, bias := make([]float32, m*lda), make([]float32, k*n), make([]float32, m*ldc), make([]float32, n)
				for i := range x {
					x[i] = float32(i%13) - 6
				}
				for i := range w {
					w[i] = float32(i%11) - 5
				}
				for b.Loop() {
					product(fs, m, k, n, x, lda, w, c, ldc, bias)
				}
				g := float64(2*m*k*n) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
				b.ReportMetric(g, "GFLOP/s")
				if ceiling > 0 {
					b.ReportMetric(100*g/ceiling, "%peak")
				}
			})
		}
	}
}

// product computes c = x*w + bias for one panel width of columns at a time.
func product(fs []rt.Gemm, m, k, n int, x []float32, lda int, w, c []float32, ldc int, bias []float32) {
	const block = 768
	for k0 := 0; k0 < k; k0 += block {
		kb := min(block, k-k0)
		for p := range n / asm.Panel {
			b := &w[p*k*asm.Panel+k0*asm.Panel]
			start, acc := &bias[p*asm.Panel], 0
			if k0 > 0 {
				start, acc = nil, 1
			}
			count := (m + len(fs) - 1) / len(fs)
			lines := kb
			for t := range count {
				r0, r1 := t*m/count, (t+1)*m/count
				// The tiles of this panel fetch the next one between them, or for few rows the rest of their own.
				pf, step := &w[min(p*k*asm.Panel+k0*asm.Panel+128, len(w)-1)], 64
				if m >= 16 {
					pf = &w[min((p+1)*k*asm.Panel+k0*asm.Panel+t*lines/count*asm.Panel, len(w)-1)]
					step = 64 / count
				}
				fs[r1-r0-1](1, kb, &x[r0*lda+k0], lda, b, k*asm.Panel, &c[r0*ldc+p*asm.Panel], ldc, start, acc, pf, step)
			}
		}
	}
}
