package jpeg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// transforms lists the transforms that have kernels, to side x side samples, and their twins in plain Go.
var transforms = []struct {
	name        string
	side        int
	fast, plain func(dst []byte, stride int, block *[64]int16, quant *[64]uint16)
}{
	{"whole", 8, idct, plainIDCT},
	{"half", 4, idctHalf, plainIDCTHalf},
}

// TestIDCTEqualsTwin holds transforms to their twins, bit for bit: of blocks as pictures have them, of few coefficients, and of
// numbers that outgrow 16 bits.
func TestIDCTEqualsTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, most := range []int{3, 60, 1 << 10, 1 << 11, 1 << 14, 1 << 16} {
		for _, known := range []int{0, 1, 2, 8, 9, 20, 64} {
			for n := range 2000 {
				var block [64]int16
				var quant [64]uint16
				for i := range known {
					block[zigzag[i]] = int16(r.IntN(2*most) - most)
				}
				if n%3 == 0 { // the transform to a half does not use row 4 and column 4
					block[8*4+r.IntN(8)] = int16(r.IntN(2*most) - most)
				}
				if n%5 == 0 {
					block[8*r.IntN(8)+4] = 1
				}
				if n%8 == 0 && known > 0 {
					block[zigzag[r.IntN(known)]] = math.MinInt16
				}
				for i := range quant {
					quant[i] = 1
					if n%2 == 0 {
						quant[i] = uint16(r.IntN(1 << (1 + n%16)))
					}
				}
				for _, f := range transforms {
					got, want := [100]byte{}, [100]byte{}
					stride := f.side + n%5
					size := (f.side-1)*stride + f.side
					f.fast(got[:size], stride, &block, &quant)
					f.plain(want[:size], stride, &block, &quant)
					if got != want {
						t.Fatalf("%s, up to %d, %d coefficients: block %v, quant %v:\n%v, want\n%v", f.name, most, known, block, quant, got, want)
					}
				}
			}
		}
	}
}

func BenchmarkIDCT(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	var quant [64]uint16
	for i := range quant {
		quant[i] = uint16(1 + r.IntN(20))
	}
	for _, known := range []int{1, 10, 64} {
		var block [64]int16
		for i := range known {
			block[zigzag[i]] = int16(r.IntN(20) - 10)
		}
		var dst [64]byte
		for _, f := range transforms {
			for name, f := range map[string]func([]byte, int, *[64]int16, *[64]uint16){f.name: f.fast, f.name + ", plain": f.plain} {
				b.Run(fmt.Sprintf("%s/%d", name, known), func(b *testing.B) {
					for b.Loop() {
						f(dst[:], 8, &block, &quant)
					}
				})
			}
		}
	}
}
