package asm

import (
	"fmt"
	"strings"
)

// Op is the name of what a kernel computes, such as gemm. The op's row in Ops has its element types, Go type and contract.
type Op string

// The names of all ops, one for each row of Ops.
const (
	OpGemm            Op = "gemm"
	OpGemmNN          Op = "gemm_nn"
	OpSoftmax         Op = "softmax"
	OpScaleRows       Op = "scalerows"
	OpLayerNorm       Op = "layernorm"
	OpGelu            Op = "gelu"
	OpGeluTanh        Op = "gelu_tanh"
	OpQuickGelu       Op = "quick_gelu"
	OpPackKeys        Op = "pack_keys"
	OpAdd             Op = "add"
	OpMul             Op = "mul"
	OpGemmNarrow      Op = "gemm_f32x"
	OpConvert         Op = "convert"
	OpGemmI8          Op = "gemm_i8"
	OpQuant           Op = "quant"
	OpGemmI16         Op = "gemm_i16"
	OpQuantI16        Op = "quant_i16"
	OpNormQuant       Op = "layernorm_quant"
	OpNormQuantI16    Op = "layernorm_quant_i16"
	OpWiden           Op = "widen"
	OpRowCompensation Op = "row_compensation"
	OpGemmI7          Op = "gemm_i7"
	OpGemmEights      Op = "gemm_eights"
	OpRegroup         Op = "regroup"
	OpGemmBF16        Op = "gemm_bf16"
	OpRound           Op = "round"
	OpIDCT            Op = "idct"
	OpIDCTHalf        Op = "idct_half"
	OpPairs           Op = "pairs"
	OpSpread          Op = "spread"
	OpYCC             Op = "ycc"
	OpHorizontal      Op = "horizontal"
	OpVertical        Op = "vertical"
	OpPeakFMA         Op = "peak_fma"
)

// OpRow is everything the emitters, the generated packages and the tester need to know about an op.
type OpRow struct {
	Op        Op
	DTypes    []string // element types, one kernel for each; nil: one kernel without a type
	Tiled     bool     // one kernel for each number of rows 1..MR; otherwise the number of rows is an argument
	Home      string   // the package of codegen/rt that has its kernels and a Go function for other CPUs; "": models use it, and it has a twin
	From      ISA      // the lowest level with kernels for it, beside generic; "": the lowest of each architecture
	Type      string   // name of the signature in codegen/rt/kernel; "": models do not use the op
	Signature string   // Go type of the op's kernels; no parameter may be named g, which is a register in Go's assembler
	Doc       string   // what the kernels compute and require, as lines
}

// tiled is the part of the contract that all tiled ops share.
const tiled = `The kernel computes tiles >= 1 tiles of C, one below the other; pf keeps advancing from one to the next.`

// Signatures that several rows of Ops share.
const (
	gemmI8Signature    = "func(tiles int, k int, a *uint8, lda int, b *int8, bstride int, c *float32, ldc int, scale *float32, midpoint *float32, bias *float32, acc int, pf *int8, pfstep int)"
	quantSignature     = "func(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, midpoint *float32)"
	repackSignature    = "func(k int, dst *int8, src *int8)"
	normQuantSignature = "func(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, midpoint *float32)"
)

// Ops holds one row for each op, in the order of the catalogue. Ops with the same Type have the same Signature.
var Ops = []OpRow{
	{
		Op: OpGemm, DTypes: []string{"f32"}, Tiled: true,
		Type: "Gemm", Signature: "func(tiles int, k int, a *float32, lda int, b *float32, bstride int, c *float32, ldc int, bias *float32, acc int, pf *float32, pfstep int)",
		Doc: `C[r][j] = start + sum over k of A[r][k]*B[k][j], where start = (acc != 0 ? C[r][j] : 0) + (bias != nil ? bias[j] : 0).
b points at a panel [k][16]; a tile wider than 16 columns reads its panel i at b + i*bstride.
Each k step prefetches the cache line at pf + i*bstride for each panel i and then adds pfstep bytes to pf. k >= 1.`,
	},
	{
		Op: OpGemmNN, DTypes: []string{"f32"}, Tiled: true,
		Type: "GemmNN", Signature: "func(tiles int, k int, a *float32, lda int, b *float32, ldb int, c *float32, ldc int, acc int)",
		Doc: `C[r][j] = (acc != 0 ? C[r][j] : 0) + sum over k of A[r][k]*B[k*ldb+j], B row-major and used in place. k >= 1.`,
	},
	{
		Op: OpSoftmax, DTypes: []string{"f32"},
		Type: "Softmax", Signature: "func(rows int, x *float32, ld int, n int, inv *float32)",
		Doc: `x[r][i] = 2^(x[r][i]-max_r) for i < n and 0 for n <= i < n rounded up to 16; inv[r] = 1/sum over i of x[r][i].
Powers below 2^-125 are 2^-125. n >= 1.`,
	},
	{
		Op: OpScaleRows, DTypes: []string{"f32"},
		Type: "ScaleRows", Signature: "func(rows int, dst *float32, ldd int, src *float32, lds int, n int, s *float32)",
		Doc: `dst[r][i] = src[r][i]*s[r] for i < n; dst may be src.`,
	},
	{
		Op: OpLayerNorm, DTypes: []string{"f32"},
		Type: "LayerNorm", Signature: "func(rows int, dst *float32, ldd int, src *float32, lds int, n int, gain *float32, bias *float32, eps float32)",
		Doc: `dst[r][i] = (src[r][i]-mean_r)/sqrt(var_r+eps), then *gain[i] + bias[i] unless gain is nil, for i < n; dst may be src.
The variance is the biased one, taken in a second pass. n >= 1.`,
	},
	{
		Op: OpGelu, DTypes: []string{"f32"},
		Type: "Gelu", Signature: "func(rows int, dst *float32, ldd int, src *float32, lds int, n int)",
		Doc: `dst[r][i] = x*(1+erf(x/sqrt2))/2 with x = src[r][i], for i < n; dst may be src.`,
	},
	{
		Op: OpGeluTanh, DTypes: []string{"f32"},
		Type: "GeluTanh", Signature: "func(rows int, dst *float32, ldd int, src *float32, lds int, n int)",
		Doc: `dst[r][i] = x*sigmoid(2*sqrt(2/pi)*(x+0.044715*x^3)) with x = src[r][i], for i < n; dst may be src.`,
	},
	{
		Op: OpQuickGelu, DTypes: []string{"f32"},
		Type: "QuickGelu", Signature: "func(rows int, dst *float32, ldd int, src *float32, lds int, n int)",
		Doc: `dst[r][i] = x*sigmoid(1.702*x) with x = src[r][i], for i < n; dst may be src.`,
	},
	{
		Op: OpPackKeys, DTypes: []string{"f32"},
		Type: "PackKeys", Signature: "func(rows int, dst *float32, src *float32, lds int, k int)",
		Doc: `dst[i*16+r] = src[r*lds+i] for r < rows and 0 for rows <= r < 16, for i < k: one panel of keys, transposed. 1 <= rows <= 16, k >= 1.`,
	},
	{
		Op: OpAdd, DTypes: []string{"f32"},
		Type: "Add", Signature: "func(rows int, dst *float32, ldd int, src *float32, lds int, n int)",
		Doc: `dst[r][i] += src[r][i] for i < n.`,
	},
	{
		Op: OpMul, DTypes: []string{"f32"},
		Type: "Mul", Signature: "func(rows int, dst *float32, ldd int, src *float32, lds int, n int)",
		Doc: `dst[r][i] *= src[r][i] for i < n.`,
	},
	{
		Op: OpGemmNarrow, DTypes: []string{"f16", "bf16"}, Tiled: true,
		Type: "GemmNarrow", Signature: "func(tiles int, k int, a *float32, lda int, b *uint8, bstride int, c *float32, ldc int, bias *float32, acc int, pf *uint8, pfstep int)",
		Doc: `C[r][j] = start + sum over k of A[r][k]*B[k][j], where start = (acc != 0 ? C[r][j] : 0) + (bias != nil ? bias[j] : 0).
b points at a panel [k][16] of 16-bit values, each converted to float32 before it is used. bstride counts values: a tile wider
than 16 columns reads its panel i at b + i*bstride. Every second k step prefetches the cache line at pf + i*bstride for each
panel i and then adds pfstep bytes to pf. k >= 1.`,
	},
	{
		Op: OpConvert, DTypes: []string{"f16", "bf16"},
		Type: "Convert", Signature: "func(n int, dst *float32, src *uint8)",
		Doc: `dst[i] = the 16-bit value i of src, converted to float32, exactly, for i < n.`,
	},
	{
		Op: OpGemmI8, DTypes: []string{"i8"}, Tiled: true,
		Type: "GemmI8", Signature: gemmI8Signature,
		Doc: `C[r][j] = sum*scale[r]*colScale[j] + midpoint[r]*colSum[j] (+ bias[j] if bias is not nil) (+ C[r][j] if acc != 0), from left to
right, each step rounded to float32, where sum = sum over i < 4k of (A[r][i]-128)*B[i][j], exactly.
A is unsigned with zero point 128; lda and bstride count bytes, k groups of four. A panel is [k][16 columns][4], then 16 float32
colScale, 16 int32 compensation, which is -128 times the sum of the column, and 16 float32 colSum, which is colScale times that
sum; a wider tile reads its panel i at b + i*bstride. No B is -128.
Each k step prefetches the cache line at pf + i*bstride for each panel i and then adds pfstep bytes to pf. k >= 1.`,
	},
	{
		Op: OpQuant, DTypes: []string{"i8", "i8x2"},
		Type: "Quant", Signature: quantSignature,
		Doc: `Quantises rows to 8 bits: midpoint[r] = (max+min)/2 and scale[r] = m/127 with m = (max-min)/2, of src[r][i] for i < n, and
dst[r][i] = 128 + (src[r][i]-midpoint[r])*(127/m) rounded to nearest, ties to even; each step is rounded to float32.
Where m is below 1e-30 the scale is 0 and dst is 128. If a value is not finite, scale and midpoint are NaN and dst is undefined.
dst is 128 from n up to a multiple of 32. n >= 1.
i8x2 also writes residuals, from byte ldd/2 of each row of dst on: 128 + 254*(v-round(v)), rounded likewise, of each v that was
rounded.`,
	},
	{
		Op: OpGemmI16, DTypes: []string{"i8"}, Tiled: true, From: AVX2,
		Type: "GemmI8", Signature: gemmI8Signature,
		Doc: `Computes what gemm_i8 does, for an A of signed int16 without zero point, little-endian, each row followed by what
row_compensation writes, and for panels that widen wrote; lda counts bytes.
It takes half as many products: a group of four is (A0+B2)*(A2+B0) + (A1+B3)*(A3+B1), from which the compensation of row and
column subtracts A0*A2 + A1*A3 and B0*B2 + B1*B3. Every A+B must fit 16 bits, every sum 32.`,
	},
	{
		Op: OpQuantI16, DTypes: []string{"i8", "i8x2"}, From: AVX2,
		Type: "Quant", Signature: quantSignature,
		Doc: `Computes what quant does, as signed int16 without the 128, little-endian; ldd counts bytes.
i8x2 writes one value for each element: 254 times the quantised value plus the residual.`,
	},
	{
		Op: OpNormQuant, DTypes: []string{"i8", "i8x2"},
		Type: "LayerNormQuant", Signature: normQuantSignature,
		Doc: `Computes what quant does with the rows that layernorm computes of src without a gain.`,
	},
	{
		Op: OpNormQuantI16, DTypes: []string{"i8", "i8x2"}, From: AVX2,
		Type: "LayerNormQuant", Signature: normQuantSignature,
		Doc: `Computes what quant_i16 does with the rows that layernorm computes of src without a gain.`,
	},
	{
		Op: OpWiden, DTypes: []string{"i8"}, From: AVX2,
		Type: "Repack", Signature: repackSignature,
		Doc: `Converts a panel of gemm_i8, src, to one of gemm_i16, dst: to int16 in the order [k][2][16 columns][2], the first two values of
each group of four before the other two. The tail is copied, but for the compensation: that is minus the sum over groups of
B0*B2 + B1*B3, modulo 2^32. k >= 1.`,
	},
	{
		Op: OpRowCompensation, DTypes: []string{"i8"}, From: AVX2,
		Type: "RowCompensation", Signature: "func(rows int, k int, a *uint8, lda int)",
		Doc: `Writes after each row of A, which is k groups of four int16 for gemm_i16, an int32: minus the sum over groups of A0*A2 + A1*A3,
modulo 2^32. lda counts bytes. k >= 1.`,
	},
	{
		Op: OpGemmI7, DTypes: []string{"i7"}, Tiled: true, From: AVX2,
		Type: "GemmI8", Signature: gemmI8Signature,
		Doc: `Computes what gemm_i8 does. Of the elements 0, 1, 4 and 5 of each two groups of a column of B, and of the other four, positive
ones must add up to 128 at most and negative ones to -128 at least, with which the sum of four products fits 16 bits.`,
	},
	{
		Op: OpGemmEights, DTypes: []string{"i8"}, Tiled: true, From: NEONI8MM,
		Type: "GemmI8", Signature: gemmI8Signature,
		Doc: `Computes what gemm_i8 does, for panels that regroup wrote. k still counts groups of four.`,
	},
	{
		Op: OpRegroup, DTypes: []string{"i8"}, From: NEONI8MM,
		Type: "Repack", Signature: repackSignature,
		Doc: `Converts a panel of gemm_i8, src, to one of gemm_eights, dst, in the order [(k+1)/2][16 columns][8]. If k is odd, each column's
last four values are zeros. The tail is copied. k >= 1.`,
	},
	{
		Op: OpGemmBF16, DTypes: []string{"bf16dot"}, Tiled: true,
		Type: "GemmBF16", Signature: "func(tiles int, k int, a *uint16, lda int, b *uint16, bstride int, c *float32, ldc int, bias *float32, acc int, pf *uint16, pfstep int)",
		Doc: `C[r][j] = start + sum over i < 2k of A[r][i]*B[i][j], where start = (acc != 0 ? C[r][j] : 0) + (bias != nil ? bias[j] : 0).
A and B are bfloat16. Of each pair of products the second is added first; each is rounded to float32 as it is added;
values below 2^-126 may count as 0. b points at a panel [k][16 columns][2]; a tile wider than 16 columns reads its panel i at
b + i*bstride. Each k step prefetches the cache line at pf + i*bstride for each panel i
and then adds pfstep bytes to pf. k >= 1.`,
	},
	{
		Op: OpRound, DTypes: []string{"bf16dot"},
		Type: "Round", Signature: "func(rows int, dst *uint16, ldd int, src *float32, lds int, n int)",
		Doc: `dst[r][i] = src[r][i] rounded to bfloat16, ties to even, for i < n, and 0 from n up to a multiple of 32.
A NaN stays a NaN. n >= 1.`,
	},
	{
		Op: OpIDCT, DTypes: []string{"i16"}, Home: "imagefile/jpeg",
		Signature: "func(dst *uint8, stride int, block *int16, quant *uint16)",
		Doc: `dst[y*stride+x] = 128 + the inverse cosine transform of block[i]*quant[i], i < 64, clamped to 0..255, for x, y < 8. It has the
bits of libjpeg's accurate transform, and of libjpeg-turbo's vector code where intermediate values overflow 16 bits.`,
	},
	{
		Op: OpIDCTHalf, DTypes: []string{"i16"}, Home: "imagefile/jpeg",
		Signature: "func(dst *uint8, stride int, block *int16, quant *uint16)",
		Doc: `dst[y*stride+x] = 128 + the mean of samples 2*x and 2*x+1 of rows 2*y and 2*y+1 of the inverse cosine transform of
block[i]*quant[i], i < 64, clamped to 0..255, for x, y < 4. It has the bits of libjpeg's reduced transform, and of
libjpeg-turbo's vector code where intermediate values overflow 16 bits.`,
	},
	{
		Op: OpPairs, DTypes: []string{"u8"}, Home: "pixel", From: AVX2,
		Signature: "func(n int, dst *uint32, a *uint8, b *uint8, fara *uint8, farb *uint8)",
		Doc: `dst[i] = a[i] + b[i]<<16 for i < n; if fara is not nil, three times that plus fara[i] + farb[i]<<16. n is a multiple of 8, at
least 8.`,
	},
	{
		Op: OpSpread, DTypes: []string{"u32"}, Home: "pixel", From: AVX2,
		Signature: "func(n int, dst *uint32, src *uint32, right uint16, left uint16, shift int)",
		Doc: `Each element holds two 16-bit numbers, and for both: dst[2*i] = (3*src[i]+src[i+1]+right)>>shift and
dst[2*i+1] = (3*src[i+1]+src[i]+left)>>shift for i < n, less than 1<<16 before the shift. n is a multiple of 8, at least 8.`,
	},
	{
		Op: OpYCC, DTypes: []string{"u8"}, Home: "pixel", From: AVX2,
		Signature: "func(n int, dst *uint8, luma *uint8, chroma *uint32)",
		Doc: `dst[3*i:][:3] = red, green and blue of luma[i], Cb = chroma[i]&0xffff and Cr = chroma[i]>>16, for i < n, by the JFIF matrix in
fixed point with 16 fractional bits, clamped to 0..255. The four bytes after dst[:3*n] are overwritten. n is a multiple of 8,
at least 8.`,
	},
	{
		Op: OpHorizontal, DTypes: []string{"u8"}, Home: "pixel",
		Signature: "func(n int, dst *uint8, src *uint8, starts *int32, groups int, weights *int16)",
		Doc: `dst[3*i+c] = (1<<21 + sum over j < 4*groups of w[i][j]*src[3*(starts[i]+j)+c])>>22, clamped to 0..255, for i < n and c < 3: a row
of RGB, resized. weights has w in groups of four: the high parts of four w, then their low parts, w = high<<8 + low. The sum is
modulo 2^32 and must fit in int32. The four bytes of src after each group are read, and the byte after dst[:3*n] is
overwritten. n >= 1, groups >= 1.`,
	},
	{
		Op: OpVertical, DTypes: []string{"u8"}, Home: "pixel",
		Signature: "func(n int, dst *uint8, src *uint8, stride int, groups int, weights *int16)",
		Doc: `dst[i] = (1<<21 + sum over j < 4*groups of w[j]*src[j*stride+i])>>22, clamped to 0..255, for i < n. weights has w as for op
horizontal, and the sum is one as there. n is a multiple of 16, at least 16, groups >= 1.`,
	},
	{
		Op: OpPeakFMA, Home: "bench",
		Signature: "func(n int)",
		Doc:       `Runs n rounds of 12 independent vector FMAs in registers, to measure the peak rate. n >= 1.`,
	},
}

// Row returns the op's row in Ops. It panics if there is none, which only a mistake in this package can cause.
func (o Op) Row() OpRow {
	for _, r := range Ops {
		if r.Op == o {
			return r
		}
	}
	panic(fmt.Sprintf("asm: op %q has no row in Ops", o))
}

// Contract returns what the kernels of the op compute and require, as lines.
func (r OpRow) Contract() []string {
	lines := strings.Split(r.Doc, "\n")
	if r.Tiled {
		lines = append(lines, tiled)
	}
	return lines
}

// Param is a parameter in the signature of a kernel.
type Param struct{ Name, Type string }

// Params lists the parameters of the row's signature.
func (r OpRow) Params() []Param {
	var all []Param
	for p := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(r.Signature, "func("), ")"), ", ") {
		name, typ, _ := strings.Cut(p, " ")
		all = append(all, Param{name, typ})
	}
	return all
}

// types returns the element types of the op's kernels: DTypes, or "" alone for an op without types.
func (r OpRow) types() []string {
	if len(r.DTypes) == 0 {
		return []string{""}
	}
	return r.DTypes
}
