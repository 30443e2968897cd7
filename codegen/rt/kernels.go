package rt

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
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
