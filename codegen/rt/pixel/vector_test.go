package pixel

import (
	"bytes"
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// TestResizeVectorsEqualGo compares the vector passes of a resize with the Go loops, at sizes that leave
// each remainder of a group and of a vector.
func TestResizeVectorsEqualGo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	ran := false
	for range 300 {
		w, h, toW, toH := 1+r.IntN(90), 1+r.IntN(90), 1+r.IntN(90), 1+r.IntN(90)
		m := noise(r, w, h)
		var s resizer
		left, top := r.IntN(toW), r.IntN(toH)
		window := image.Rect(left, top, left+1+r.IntN(toW-left), top+1+r.IntN(toH-top))
		s.start(w, h, toW, toH, window, Filter(r.IntN(2)))
		want, got := make([]uint8, s.stride()), make([]uint8, s.stride())
		for y := s.y.lo; y < s.y.hi; y++ {
			copy(s.next(), m.Pix[3*(y*w+s.x.lo):])
			if !s.x.same && vectorHorizontal(got, s.in, &s.x) {
				ran = true
				if s.horizontal(want); !bytes.Equal(got[:s.row], want[:s.row]) {
					t.Fatalf("%d to %d, window %v, row %d:\n%v, want\n%v", w, toW, window, y, got[:s.row], want[:s.row])
				}
			}
			s.push()
			for s.pop(got) {
				if s.y.same {
					continue
				}
				i := s.out - 1
				rows := s.ring[(int(s.y.starts[i])-s.first)*s.stride():]
				if vertical(want[:s.row], rows, s.stride(), s.y.of(i)); !bytes.Equal(got[:s.row], want[:s.row]) {
					t.Fatalf("%d to %d, window %v, output row %d:\n%v, want\n%v", h, toH, window, i, got[:s.row], want[:s.row])
				}
			}
		}
		if s.out != window.Dy() {
			t.Fatalf("%d to %d, window %v: got %d rows", h, toH, window, s.out)
		}
	}
	if !ran {
		asmtest.Missing(t, "avx2", "there are no such kernels for this CPU")
	}
}

// FuzzResize compares windows of a resize with the definition.
func FuzzResize(f *testing.F) {
	f.Add(uint8(30), uint8(20), uint8(7), uint8(9), uint8(0), uint8(0), uint8(6), uint8(8), false, uint64(1))
	f.Add(uint8(3), uint8(1), uint8(90), uint8(80), uint8(50), uint8(3), uint8(29), uint8(0), true, uint64(2))
	f.Add(uint8(5), uint8(90), uint8(5), uint8(16), uint8(1), uint8(2), uint8(1), uint8(13), true, uint64(3))
	f.Fuzz(func(t *testing.T, w, h, toW, toH, left, top, width, height uint8, linear bool, seed uint64) {
		w, h, toW, toH = max(w, 1), max(h, 1), max(toW, 1), max(toH, 1)
		left, top = left%toW, top%toH
		width, height = 1+width%(toW-left), 1+height%(toH-top)
		filter := Bicubic
		if linear {
			filter = Bilinear
		}
		m := noise(rand.New(rand.NewPCG(seed, 0)), int(w), int(h))
		want := naiveResize(m, int(toW), int(toH), filter)
		var s resizer
		s.start(m.W, m.H, want.W, want.H, image.Rect(int(left), int(top), int(left)+int(width), int(top)+int(height)), filter)
		dst, out := make([]uint8, s.row), int(top)
		for y := s.y.lo; y < s.y.hi; y++ {
			copy(s.next(), m.Pix[3*(y*m.W+s.x.lo):])
			for s.push(); s.pop(dst); out++ {
				if line := want.Pix[3*(out*want.W+int(left)):][:len(dst)]; !bytes.Equal(dst, line) {
					t.Fatalf("row %d is\n%v, want\n%v", out, dst, line)
				}
			}
		}
		if out != int(top)+int(height) {
			t.Fatalf("got rows %d to %d, want up to %d", top, out, int(top)+int(height))
		}
	})
}

// The two parts of every weight fit what vectors multiply, and the sums fit in 32 bits.
func TestWeightsFit(t *testing.T) {
	for _, f := range []Filter{Bicubic, Bilinear} {
		for n := 1; n < 90; n++ {
			for _, out := range []int{1, 2, 3, 5, 16, 64, 224} {
				var a axis
				a.set(n, out, 0, out, f)
				if a.same {
					continue
				}
				for i := range a.starts {
					sum, size := int64(half), int64(half)
					for j, w := range a.of(i) {
						high, low := a.partsOf(i)[j/4*8+j%4], a.partsOf(i)[j/4*8+j%4+4]
						if got := int32(high)<<8 + int32(low); got != w {
							t.Fatalf("%v, %d to %d: weight %d of output %d is %d, and its parts are %d and %d", f, n, out, j, i, w, high, low)
						}
						sum += int64(w)
						size += 255 * max(int64(w), -int64(w))
					}
					if size > math.MaxInt32 || sum>>precision != 1 {
						t.Fatalf("%v, %d to %d: the weights of output %d add up to %d, their products to %d", f, n, out, i, sum, size)
					}
				}
			}
		}
	}
}

// TestVectorsEqualGo compares the vector functions with the Go loops that continue them, and checks
// that they write nothing beyond the bytes that the next element overwrites.
func TestVectorsEqualGo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []uint8 {
		b := make([]uint8, n)
		for i := range b {
			b[i] = uint8(r.Uint32())
			if i%5 == 0 {
				b[i] = uint8(255 * (i / 5 % 2))
			}
		}
		return b
	}
	ran := 0
	for n := range 70 {
		for range 20 {
			cb, cr, farCb, farCr, luma := random(n), random(n), random(n), random(n), random(n)
			sum := make([]uint32, n)
			done := vectorPairs(sum, cb, cr, nil, nil)
			for i := range n {
				if want := chroma(cb[i], cr[i]); sum[i] != want && (i < done || sum[i] != 0) {
					t.Fatalf("%d pairs: element %d is %#x, want %#x", n, i, sum[i], want)
				}
			}
			ran += done
			rgb := make([]uint8, 3*n)
			done = vectorYCC(rgb, luma, sum[:n])
			for i := range done {
				l, b, r := int32(luma[i]), int32(sum[i]&0xffff)-128, int32(sum[i]>>16)-128
				want := [3]uint8{clamp(l + (91881*r+int32(1)<<15)>>16), clamp(l + (-22554*b-46802*r+int32(1)<<15)>>16), clamp(l + (116130*b+int32(1)<<15)>>16)}
				if got := [3]uint8(rgb[3*i:]); got != want {
					t.Fatalf("%d pixels: pixel %d of %d, %d, %d is %v, want %v", n, i, l, b, r, got, want)
				}
			}
			ran += done
			clear(sum)
			done = vectorPairs(sum, cb, cr, farCb, farCr)
			for i := range n {
				if want := 3*chroma(cb[i], cr[i]) + chroma(farCb[i], farCr[i]); sum[i] != want && (i < done || sum[i] != 0) {
					t.Fatalf("%d sums: element %d is %#x, want %#x", n, i, sum[i], want)
				}
				sum[i] = 3*chroma(cb[i], cr[i]) + chroma(farCb[i], farCr[i])
			}
			ran += done
			if n == 0 {
				continue
			}
			out := make([]uint32, 2*n)
			done = vectorSpread(out, sum, 7*bothOnes, 8*bothOnes, 4)
			for i := range 2 * n {
				want := uint32(0)
				if i < 2*done {
					this, next, round := sum[i/2], sum[i/2+1], uint32(7*bothOnes)
					if i%2 == 1 {
						this, next, round = next, this, 8*bothOnes
					}
					want = (3*this + next + round) >> 4 & bothBytes
				}
				if out[i] != want {
					t.Fatalf("%d spread: element %d is %#x, want %#x", n, i, out[i], want)
				}
			}
			ran += done
		}
	}
	if ran == 0 {
		asmtest.Missing(t, "avx2", "there are no such kernels for this CPU")
	}
}
