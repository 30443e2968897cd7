//go:build noasm || !amd64

package pixel

func vectorPairs(dst []uint32, cb, cr, farCb, farCr []uint8) (done int) { return 0 }

func vectorSpread(dst, src []uint32, right, left uint32, shift int) (done int) { return 0 }

func vectorYCC(dst, luma []uint8, chroma []uint32) (done int) { return 0 }
