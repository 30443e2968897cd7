package bench

import (
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// loop is a loop whose rate is a limit of the machine. begin returns a function that runs the loop for n rounds; each thread
// needs one of its own.
type loop struct {
	level string
	begin func() func(n int)
	flops int // per round
}

// loop returns the loop of p.
func (p peak) loop() loop { return loop{p.level, func() func(n int) { return p.run }, p.flops} }

// panelBytes is the size of the panels that a loop of products multiplies: they stay in the first-level cache.
const panelBytes = 16 << 10

// products returns the loops that bound products with weights of a type whose activations are rounded too, by the type: tiles of a
// level's kernels, with their operands in the first-level cache. A type has a loop for every height of a tile.
func products(k *kernel.Table) map[blob.DType][]loop {
	all := map[blob.DType][]loop{}
	if i := &k.I8; i.Gemm != nil {
		all[blob.I8] = int8Tiles(k.Level, i, 1)
		if i.QuantI8X2 != nil {
			all[blob.I8X2] = int8Tiles(k.Level, i, 2)
		}
		if m := i.Many; m != nil {
			all[blob.I8] = append(all[blob.I8], int8Tiles(k.Level, m, 1)...)
			if terms := 2; m.QuantI8X2 != nil {
				if m.Compensate != nil { // int16 are both terms
					terms = 1
				}
				all[blob.I8X2] = append(all[blob.I8X2], int8Tiles(k.Level, m, terms)...)
			}
		}
	}
	if k.I7.Gemm != nil {
		all[blob.I7] = int8Tiles(k.Level, &k.I7, 1)
	}
	if d := &k.Dot; d.Gemm != nil {
		pairs := panelBytes / (4 * d.NR)
		for mr := 1; mr < len(d.Gemm); mr++ {
			all[blob.BF16Dot] = append(all[blob.BF16Dot], loop{k.Level, func() func(n int) {
				a, b := make([]uint16, 2*pairs*mr), make([]uint16, 2*pairs*d.NR)
				c := make([]float32, mr*d.NR)
				return func(n int) {
					for range n {
						d.Gemm[mr](1, pairs, &a[0], 2*pairs, &b[0], 2*pairs*16, &c[0], d.NR, nil, 0, &b[0], 0)
					}
				}
			}, 2 * 2 * pairs * mr * d.NR})
		}
	}
	return all
}

// int8Tiles returns a loop for each height of i's tiles, for weights that are multiplied by that many terms of an activation.
func int8Tiles(level string, i *kernel.Int8, terms int) []loop {
	size, tail := 1, 12*16 // bytes of a value, and of a panel's tail
	if i.Compensate != nil {
		size = 2
	}
	groups := panelBytes / (4 * size * i.NR)
	lda, panel := 4*size*groups+64, 64*size*groups+tail
	var all []loop
	for mr := 1; mr < len(i.Gemm); mr++ {
		all = append(all, loop{level, func() func(n int) {
			a, b := make([]uint8, mr*lda), make([]int8, panel*i.NR/16)
			c, rows := make([]float32, mr*i.NR), make([]float32, mr)
			return func(n int) {
				for range n {
					i.Gemm[mr](1, groups, &a[0], lda, &b[0], panel, &c[0], i.NR, &rows[0], &rows[0], nil, 0, &b[0], 0)
				}
			}
		}, 2 * 4 * groups * mr * i.NR / terms})
	}
	return all
}
