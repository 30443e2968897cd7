package jpeg

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// plainSequential is sequential, a code and a number at a time.
func plainSequential(b *bits, block *[64]int16, dc, ac *huffman, before *int32) {
	b.fill()
	if s := b.longCode(dc, 0); s != 0 {
		*before += b.number(s)
	}
	block[0] = int16(*before)
	for k := 1; k < 64; k++ {
		b.fill()
		rs := b.longCode(ac, 0)
		run, size := rs>>4, rs&15
		if size == 0 {
			if run != 15 {
				return
			}
			k += 15
			continue
		}
		k += run
		block[zigzag[k]] = int16(b.number(size))
	}
}

// FuzzSequential compares sequential with plainSequential on any data, valid or not.
func FuzzSequential(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data, uint8(rng.Uint32()))
	}
	f.Add(bytes.Repeat([]byte{0xff, 0}, 100), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, table uint8) {
		dc, ac := standard[0][table&1], standard[1][table&1]
		if table >= 128 { // long codes of every symbol
			symbols := make([]byte, 256)
			for i := range symbols {
				symbols[i] = byte(i) ^ table
			}
			var err error
			if ac, err = newHuffman([]byte{0, 1, 1, 2, 2, 4, 4, 8, 8, 10, 16, 20, 30, 40, 50, 60}, symbols); err != nil {
				t.Fatal(err)
			}
		}
		fast, plain := &bits{data: data}, &bits{data: data}
		var before, want int32
		for i := range 20 {
			var block, expected [64]int16
			fast.sequential(&block, dc, ac, &before)
			plainSequential(plain, &expected, dc, ac, &want)
			if block != expected || fast.over() != plain.over() {
				t.Fatalf("block %d: got %v, over %v, want %v, over %v", i, block, fast.over(), expected, plain.over())
			}
			if fast.over() {
				return
			}
		}
	})
}
