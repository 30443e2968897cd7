//go:build noasm || !(amd64 || arm64)

package pixel

func vectorHorizontal(dst, src []uint8, a *axis) bool { return false }

func vectorVertical(dst, src []uint8, stride int, parts []int16) (done int) { return 0 }

func vectorPairs(dst []uint32, cb, cr, farCb, farCr []uint8) (done int) { return 0 }

func vectorSpread(dst, src []uint32, right, left uint32, shift int) (done int) { return 0 }

func vectorYCC(dst, luma []uint8, chroma []uint32) (done int) { return 0 }
