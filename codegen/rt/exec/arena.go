package exec

import "unsafe"

// at returns the address i floats after p.
func at(p *float32, i int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p), i*4))
}

// floats returns the n floats at p.
func floats(p *float32, n int) []float32 { return unsafe.Slice(p, n) }

// ceil16 rounds n up to a multiple of 16.
func ceil16(n int) int { return (n + 15) &^ 15 }

// part returns the i-th of n nearly equal ranges of [0, total).
func part(total, n, i int) (lo, hi int) { return total * i / n, total * (i + 1) / n }
