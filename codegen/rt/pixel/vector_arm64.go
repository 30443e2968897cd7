//go:build !noasm

package pixel

// vectorHorizontal processes whole rows by the NEON kernel: every arm64 CPU has NEON.
func vectorHorizontal(dst, src []uint8, a *axis) bool {
	n := len(a.starts)
	_, _ = dst[3*n], src[3*(int(a.starts[n-1])+4*a.groups)+3]
	horizontal_u8_neon(n, &dst[0], &src[0], &a.starts[0], a.groups, &a.parts[0])
	return true
}

// vectorVertical processes a prefix of dst and returns its length.
func vectorVertical(dst, src []uint8, stride int, parts []int16) (done int) {
	n := len(dst) &^ 15
	if n == 0 {
		return 0
	}
	_ = src[(len(parts)/2-1)*stride+n-1]
	vertical_u8_neon(n, &dst[0], &src[0], stride, len(parts)/8, &parts[0])
	return n
}

func vectorPairs(dst []uint32, cb, cr, farCb, farCr []uint8) (done int) { return 0 }

func vectorSpread(dst, src []uint32, right, left uint32, shift int) (done int) { return 0 }

func vectorYCC(dst, luma []uint8, chroma []uint32) (done int) { return 0 }
