package rt

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// The kernel types. All strides and leading dimensions count floats, all
// pointers may be unaligned, and no kernel keeps a pointer. Assembly kernels and
// their Go twins have exactly these types.
type (
	// Gemm computes tiles >= 1 tiles of MR rows and NR columns, one under the other, as all
	// kernels do that take tiles:
	//
	//	C[r][j] = start + sum over k of A[r][k] * B[k][j]
	//	start   = (acc != 0 ? C[r][j] : 0) + (bias != nil ? bias[j] : 0)
	//
	// b points at a weight panel [k][16]; a tile wider than 16 columns reads its
	// i-th panel at b + i*bstride. k >= 1. Each step of k prefetches the cache line
	// at pf, of the i-th panel at pf + i*bstride, and then moves pf by pfstep bytes,
	// through all tiles; pf may leave the panel.
	Gemm func(tiles int, k int, a *float32, lda int, b *float32, bstride int, c *float32, ldc int, bias *float32, acc int, pf *float32, pfstep int)

	// GemmV is a tile of MR rows and VNR columns over a row-major B used in place:
	// C[r][j] (+)= sum over k of A[r][k] * B[k*ldb+j], added to C when acc != 0.
	GemmV func(tiles int, k int, a *float32, lda int, b *float32, ldb int, c *float32, ldc int, acc int)

	// Softmax replaces x[r][i] by 2^(x[r][i] - max_r) for i < n and by 0 for n <= i <
	// n rounded up to 16, and stores inv[r] = 1 / sum of row r. n >= 1.
	Softmax func(rows int, x *float32, ld int, n int, inv *float32)

	// ScaleRows computes dst[r][i] = src[r][i] * s[r], i < n. dst may be src.
	ScaleRows func(rows int, dst *float32, ldd int, src *float32, lds int, n int, s *float32)

	// LayerNorm computes dst[r] = (src[r]-mean) / sqrt(var+eps), times g plus b when
	// g is not nil, over i < n; var is biased, in two passes. dst may be src.
	LayerNorm func(rows int, dst *float32, ldd int, src *float32, lds int, n int, g *float32, b *float32, eps float32)

	// Gelu computes dst[r][i] = x/2 * (1 + erf(x/sqrt 2)), i < n. dst may be src.
	Gelu func(rows int, dst *float32, ldd int, src *float32, lds int, n int)

	// PackK transposes rows (1..16) keys of k floats into one panel:
	// dst[kk*16+r] = src[r*lds+kk], and 0 for rows <= r < 16.
	PackK func(rows int, dst *float32, src *float32, lds int, k int)

	// Add computes dst[r][i] += src[r][i], i < n.
	Add func(rows int, dst *float32, ldd int, src *float32, lds int, n int)

	// WGemm is a tile of MR rows and NR columns of 16-bit weights in panels [k][16], each
	// widened to float32 before it is used; bstride counts them. Every other step of k
	// prefetches a line. The rest is as in Gemm.
	WGemm func(tiles int, k int, a *float32, lda int, b *uint16, bstride int, c *float32, ldc int, bias *float32, acc int, pf *uint16, pfstep int)

	// QGemm computes C[r][j] = sum * scale[r] * column[j] + zero[r] * shift[j], plus
	// bias[j] when bias is not nil, plus C[r][j] when acc != 0, where sum is the exact sum
	// over i < 4k of (A[r][i]-128) * B[i][j]. A panel of B is [k][16][4] bytes, then 16
	// float32 of column, -128 times the sum of each column as int32 and 16 float32 of
	// shift; panel i is at b + i*bstride. lda and bstride count bytes. pf and pfstep are as
	// in Gemm.
	QGemm func(tiles int, k int, a *uint8, lda int, b *int8, bstride int, c *float32, ldc int, scale *float32, zero *float32, bias *float32, acc int, pf *int8, pfstep int)

	// Quant rounds rows of n floats to bytes: dst[r][i] = 128 + (src[r][i]-zero[r])/scale[r],
	// with zero[r] midway between the least and the largest value and scale[r] half of
	// their distance over 127. Bytes past n, up to a multiple of 32, become 128.
	Quant func(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, zero *float32)

	// QuantNorm is Quant of what LayerNorm without g makes of the rows.
	QuantNorm func(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, zero *float32)

	// The kernels Quant2 and Norm2 of Int8, which are a Quant and a QuantNorm, write what that
	// takes away too: from ldd/2 bytes on each row of dst has 128 + 254*(v-round(v)), rounded,
	// of each v that was rounded. Elements of 16 bits have both instead: 254 times what is
	// rounded, plus what that takes away, without an offset.

	// Widen makes of a panel of QGemm, of k groups of four, one of 16 bits a value: of each
	// group first all columns' first two values, then their others, [k][2][16][2], and
	// then what follows the values of src. Only the starts are others: minus the sum over
	// groups of a column's value 0 times 2 plus 1 times 3, modulo 2^32.
	Widen func(k int, dst *int8, src *int8)

	// RowStart writes the same of a row behind its k groups of elements of 16 bits, lda
	// bytes apart, as int32. A sum over products of such rows and panels starts from both.
	RowStart func(rows int, k int, a *uint8, lda int)

	// DGemm is a tile of MR rows and NR columns of products of bf16, 2k of them a sum, in
	// panels [k][16][2]; lda and bstride count bf16. Each step of k adds the second product
	// of a pair, then the first, and prefetches a line. The rest is as in Gemm.
	DGemm func(tiles int, k int, a *uint16, lda int, b *uint16, bstride int, c *float32, ldc int, bias *float32, acc int, pf *uint16, pfstep int)

	// Round rounds rows of n floats to bf16, ties to even. Past n, up to a multiple of 32,
	// it writes zeros.
	Round func(rows int, dst *uint16, ldd int, src *float32, lds int, n int)

	// Expand widens n 16-bit values to float32, exactly.
	Expand func(n int, dst *float32, src *uint16)
)

// Half holds the kernels for weights of one 16-bit type; all nil in a package without.
// Gemm[mr] computes mr rows and NR columns, Gemm16 are the tiles of the last panels.
type Half struct {
	NR     int
	Gemm   []WGemm
	Gemm16 []WGemm
	Expand Expand

	// Once says that widening in a tile is slow: more rows than a tile has, and all of
	// them if there is none, are multiplied by panels that were widened before.
	Once bool
}

// Dot holds the kernels for products of bf16; all nil in a package without. Gemm[mr]
// computes mr rows and NR columns, Gemm16 are the tiles of the last panels.
type Dot struct {
	NR     int
	Gemm   []DGemm
	Gemm16 []DGemm
	Round  Round
}

// Int8 holds the kernels for products of bytes; all nil in a package without. Gemm[mr]
// computes mr rows and NR columns, Gemm16 are the tiles of the last panels.
type Int8 struct {
	NR     int
	Gemm   []QGemm
	Gemm16 []QGemm
	Quant  Quant
	Norm   QuantNorm

	// For weights of I8X2; nil in a package without such.
	Quant2 Quant
	Norm2  QuantNorm

	// Wide, if it is not nil, holds faster kernels for many rows: its Quant and Norm write
	// elements of 16 bits, little-endian and without the 128, its tiles, of 16 columns, read
	// rows of such with what Start writes behind them, and panels as its Widen makes them;
	// no sum of an element and a weight may exceed 16 bits. Widen and Start are nil elsewhere.
	Wide  *Int8
	Widen Widen
	Start RowStart
}

// whole reports whether no kernel is missing.
func (i *Int8) whole() bool {
	return i.NR >= 16 && i.NR%16 == 0 && len(i.Gemm) > 1 && len(i.Gemm16) > 1 && i.Quant != nil && i.Norm != nil && (i.Quant2 == nil) == (i.Norm2 == nil) &&
		(i.Wide == nil || i.Wide.whole() && i.Wide.NR == 16 && i.Wide.Widen != nil && i.Wide.Start != nil && (i.Quant2 == nil) == (i.Wide.Quant2 == nil))
}

// Kernels is the table of one CPU level. A generated package has one for each
// level it was built for. A nil field (for Gemm: a nil slice) is taken from the
// next lower level of the package; the generic table has no nil field.
type Kernels struct {
	Level string // "generic", "avx2", ... (see Levels)

	// Gemm[mr], 1 <= mr <= MR, computes mr rows and NR columns; NR is a multiple
	// of 16. Gemm16 are the 16-wide tiles of the last panels, any MR of their own;
	// the same slice when NR is 16.
	MR, NR int
	Gemm   []Gemm
	Gemm16 []Gemm

	// GemmV[mr], 1 <= mr < len, computes mr rows and VNR columns, a multiple of 16;
	// GemmV16 are the 16-wide tiles of the last columns, the same slice when VNR is 16.
	VNR     int
	GemmV   []GemmV
	GemmV16 []GemmV

	Softmax   Softmax
	ScaleRows ScaleRows
	LayerNorm LayerNorm
	Gelu      Gelu
	PackK     PackK
	Add       Add

	F16, BF16 Half
	Dot       Dot
	I8        Int8
}

// half returns the kernels for weights of type d, nil for float32.
func (k *Kernels) half(d DType) *Half {
	switch d {
	case F16:
		return &k.F16
	case BF16:
		return &k.BF16
	}
	return nil
}

// KernelInfo names the kernel that runs an operation.
type KernelInfo struct {
	Op     string `json:"op"`
	Kernel string `json:"kernel"`
}

// byteOps are the operations of the kernels of an Int8, wideOps those of its Wide.
var (
	byteOps = []string{"qgemm_i8", "quant_i8", "normq_i8", "quant_i8x2", "normq_i8x2"}
	wideOps = []string{"qgemmw_i8", "quantw_i8", "normqw_i8", "quantw_i8x2", "normqw_i8x2", "widen_i8", "rowstart_i8"}
)

// kernels returns the kernels of byteOps, in that order.
func (i *Int8) kernels() []any {
	return []any{i.Gemm[len(i.Gemm)-1], i.Quant, i.Norm, i.Quant2, i.Norm2}
}

// symbol is the name of a kernel, which may be that of a level below its table's; "" if
// there is none.
func symbol(kernel any) string {
	f := reflect.ValueOf(kernel)
	if f.IsNil() {
		return ""
	}
	name := runtime.FuncForPC(f.Pointer()).Name()
	return name[strings.LastIndexByte(name, '.')+1:]
}

// resolve lays the tables, lowest level first, over each other. It reports what
// is missing when even the lowest table leaves a field nil.
func resolve(tables []*Kernels) (*Kernels, []KernelInfo, error) {
	out := &Kernels{}
	name := map[string]string{}
	for _, t := range tables {
		out.Level = t.Level
		if t.Gemm != nil {
			if t.MR < 1 || t.NR < 16 || t.NR%16 != 0 || len(t.Gemm) != t.MR+1 || len(t.Gemm16) < 2 {
				return nil, nil, fmt.Errorf("kernels of level %s: gemm tiles %dx%d with %d and %d functions do not fit together; generate the package again", t.Level, t.MR, t.NR, len(t.Gemm), len(t.Gemm16))
			}
			out.MR, out.NR, out.Gemm, out.Gemm16 = t.MR, t.NR, t.Gemm, t.Gemm16
			name["gemm"] = fmt.Sprintf("gemm_f32_%dx%d_%s", t.MR, t.NR, t.Level)
		}
		if len(t.GemmV) > 1 {
			if t.VNR < 16 || t.VNR%16 != 0 || t.VNR > 16 && len(t.GemmV16) < 2 {
				return nil, nil, fmt.Errorf("kernels of level %s: gemmv tiles of %d columns with %d and %d functions do not fit together; generate the package again", t.Level, t.VNR, len(t.GemmV), len(t.GemmV16))
			}
			out.VNR, out.GemmV, out.GemmV16 = t.VNR, t.GemmV, t.GemmV16
			if t.VNR == 16 {
				out.GemmV16 = t.GemmV
			}
			name["gemmv"] = fmt.Sprintf("gemmv_f32_%dx%d_%s", len(t.GemmV)-1, t.VNR, t.Level)
		}
		set := func(op string, present bool, assign func()) {
			if present {
				assign()
				name[op] = op + "_f32_" + t.Level
			}
		}
		set("softmax", t.Softmax != nil, func() { out.Softmax = t.Softmax })
		set("scalerows", t.ScaleRows != nil, func() { out.ScaleRows = t.ScaleRows })
		set("layernorm", t.LayerNorm != nil, func() { out.LayerNorm = t.LayerNorm })
		set("gelu", t.Gelu != nil, func() { out.Gelu = t.Gelu })
		set("packk", t.PackK != nil, func() { out.PackK = t.PackK })
		set("add", t.Add != nil, func() { out.Add = t.Add })
		for _, d := range []DType{F16, BF16} {
			from, to := t.half(d), out.half(d)
			op := "wgemm_" + d.String()
			switch {
			case len(from.Gemm) > 1:
				to.NR, to.Gemm, to.Once = from.NR, from.Gemm, t.Level == levels[0].name
				if from.NR == 16 {
					to.Gemm16 = from.Gemm
				}
				if len(from.Gemm16) > 1 {
					to.Gemm16 = from.Gemm16
				}
				name[op] = fmt.Sprintf("%s_%dx%d_%s", op, len(from.Gemm)-1, from.NR, t.Level)
			case t.Gemm != nil && to.Once:
				// Plain Go is no match for this level's tiles: weights are widened for those.
				to.Gemm, name[op] = nil, name["gemm"]
			}
			if from.Expand != nil {
				to.Expand = from.Expand
				name["expand_"+d.String()] = "expand_" + d.String() + "_" + t.Level
			}
		}
	}
	for _, t := range tables {
		if from := t.Dot; len(from.Gemm) > 1 {
			out.Dot.NR, out.Dot.Gemm = from.NR, from.Gemm
			if from.NR == 16 {
				out.Dot.Gemm16 = from.Gemm
			}
			if len(from.Gemm16) > 1 {
				out.Dot.Gemm16 = from.Gemm16
			}
			name["dgemm_bf16dot"] = fmt.Sprintf("dgemm_bf16dot_%dx%d_%s", len(from.Gemm)-1, from.NR, t.Level)
		}
		if t.Dot.Round != nil {
			out.Dot.Round, name["round_bf16dot"] = t.Dot.Round, "round_bf16dot_"+t.Level
		}
		if from := t.I8; len(from.Gemm) > 1 {
			if !from.whole() {
				return nil, nil, fmt.Errorf("kernels of level %s: tiles of bytes of %d columns with %d and %d functions do not fit together; generate the package again", t.Level, from.NR, len(from.Gemm), len(from.Gemm16))
			}
			out.I8 = from
			for i, f := range from.kernels() {
				name[byteOps[i]] = symbol(f)
			}
			for _, op := range wideOps {
				delete(name, op)
			}
			if w := from.Wide; w != nil {
				for i, f := range append(w.kernels(), w.Widen, w.Start) {
					name[wideOps[i]] = symbol(f)
				}
			}
		}
	}
	var info []KernelInfo
	for _, op := range []string{"gemm", "gemmv", "softmax", "scalerows", "layernorm", "gelu", "packk", "add"} {
		if name[op] == "" {
			return nil, nil, fmt.Errorf("kernels of level %s: no %s kernel at this level or below; generate the package again", out.Level, op)
		}
		info = append(info, KernelInfo{op, name[op]})
	}
	for _, op := range slices.Concat([]string{"wgemm_f16", "expand_f16", "wgemm_bf16", "expand_bf16", "dgemm_bf16dot", "round_bf16dot"}, byteOps, wideOps) {
		if name[op] != "" {
			info = append(info, KernelInfo{op, name[op]})
		}
	}
	return out, info, nil
}
