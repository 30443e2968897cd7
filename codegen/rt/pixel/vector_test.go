package pixel

import (
	"math/rand/v2"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// TestVectorsEqualGo compares the vector functions with the Go loops that continue them, and checks
// that they write nothing beyond the bytes that the next element overwrites.
func TestVectorsEqualGo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	bytes := func(n int) []uint8 {
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
			cb, cr, farCb, farCr, luma := bytes(n), bytes(n), bytes(n), bytes(n), bytes(n)
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
