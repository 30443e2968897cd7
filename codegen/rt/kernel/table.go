package kernel

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// Widening holds the kernels for weights of one type whose values are widened to float32
// before they are multiplied. Gemm[mr] computes mr rows and NR columns, Gemm16 are the tiles
// of the last panels; there may be none.
type Widening struct {
	Type    string // such as bf16
	NR      int
	Gemm    []GemmNarrow
	Gemm16  []GemmNarrow
	Convert Convert

	// Once says that widening in a tile is slow: more rows than a tile has, and all of
	// them if there is none, are multiplied by panels that were widened before.
	Once bool
}

// Dot holds the kernels for products of bf16; all nil in a package without. Gemm[mr]
// computes mr rows and NR columns, Gemm16 are the tiles of the last panels.
type Dot struct {
	NR     int
	Gemm   []GemmBF16
	Gemm16 []GemmBF16
	Round  Round
}

// Int8 holds the kernels for products of bytes; all nil in a package without. Gemm[mr]
// computes mr rows and NR columns, Gemm16 are the tiles of the last panels.
type Int8 struct {
	NR     int
	Gemm   []GemmI8
	Gemm16 []GemmI8
	Quant  Quant
	Norm   LayerNormQuant

	// For weights of I8X2; nil in a package without such.
	Quant2 Quant
	Norm2  LayerNormQuant

	// Wide, if it is not nil, holds faster kernels for many rows: its Quant and Norm write
	// elements of 16 bits, little-endian and without the 128, its tiles, of 16 columns, read
	// rows of such with what Compensate writes behind them, and panels as its Widen makes them;
	// no sum of an element and a weight may exceed 16 bits. Widen and Compensate are nil elsewhere.
	Wide       *Int8
	Widen      Widen
	Compensate RowCompensation
}

// whole reports whether no kernel is missing.
func (i *Int8) whole() bool {
	return i.NR >= 16 && i.NR%16 == 0 && len(i.Gemm) > 1 && len(i.Gemm16) > 1 && i.Quant != nil && i.Norm != nil && (i.Quant2 == nil) == (i.Norm2 == nil) &&
		(i.Wide == nil || i.Wide.whole() && i.Wide.NR == 16 && i.Wide.Widen != nil && i.Wide.Compensate != nil && (i.Quant2 == nil) == (i.Wide.Quant2 == nil))
}

// Table has kernels of one CPU level: package generated/kernels has one for each level and type of
// weights. A nil field (for Gemm: a nil slice) is taken from another of the level, or else from the
// next lower level that has it; the tables of the generic level together have no nil field of float32.
type Table struct {
	Level string // "generic", "avx2", ... (see Levels)

	// Gemm[mr], 1 <= mr <= MR, computes mr rows and NR columns; NR is a multiple
	// of 16. Gemm16 are the 16-wide tiles of the last panels, any MR of their own;
	// the same slice when NR is 16.
	MR, NR int
	Gemm   []Gemm
	Gemm16 []Gemm

	// GemmNN[mr], 1 <= mr < len, computes mr rows and NNNR columns, a multiple of 16;
	// GemmNN16 are the 16-wide tiles of the last columns, the same slice when NNNR is 16.
	NNNR     int
	GemmNN   []GemmNN
	GemmNN16 []GemmNN

	Softmax   Softmax
	ScaleRows ScaleRows
	LayerNorm LayerNorm
	Gelu      Gelu
	PackKeys  PackKeys
	Add       Add

	Widening []Widening // one a type
	Dot      Dot
	I8       Int8
}

// Widens returns the kernels for weights of a type that is widened, nil if there are none.
func (k *Table) Widens(dtype string) *Widening {
	for i := range k.Widening {
		if k.Widening[i].Type == dtype {
			return &k.Widening[i]
		}
	}
	return nil
}

// Info names the kernel that runs an operation.
type Info struct {
	Op     string `json:"op"`
	Kernel string `json:"kernel"`
}

// byteOps are the operations of the kernels of an Int8, wideOps those of its Wide.
var (
	byteOps = []string{"gemm_i8", "quant_i8", "layernorm_quant_i8", "quant_i8x2", "layernorm_quant_i8x2"}
	wideOps = []string{"gemm_i16_i8", "quant_i16_i8", "layernorm_quant_i16_i8", "quant_i16_i8x2", "layernorm_quant_i16_i8x2", "widen_i8", "row_compensation_i8"}
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

// row is where the kernels of a family stand in a table.
type row struct {
	family  string
	kernels any  // pointer to a function, or to the tiles of a tiled op
	nr      *int // columns of such tiles
	last    any  // pointer to the tiles of the last panels
}

// rows lists the families, but for those of products of bytes, of which a level has all or none.
func (k *Table) rows() []row {
	rows := []row{
		{"gemm_f32", &k.Gemm, &k.NR, &k.Gemm16},
		{"gemm_nn_f32", &k.GemmNN, &k.NNNR, &k.GemmNN16},
		{"softmax_f32", &k.Softmax, nil, nil},
		{"scalerows_f32", &k.ScaleRows, nil, nil},
		{"layernorm_f32", &k.LayerNorm, nil, nil},
		{"gelu_f32", &k.Gelu, nil, nil},
		{"pack_keys_f32", &k.PackKeys, nil, nil},
		{"add_f32", &k.Add, nil, nil},
	}
	for i := range k.Widening {
		w := &k.Widening[i]
		rows = append(rows, row{"gemm_f32x" + w.Type, &w.Gemm, &w.NR, &w.Gemm16}, row{"convert_" + w.Type, &w.Convert, nil, nil})
	}
	return append(rows, row{"gemm_bf16dot", &k.Dot.Gemm, &k.Dot.NR, &k.Dot.Gemm16}, row{"round_bf16dot", &k.Dot.Round, nil, nil})
}

// resolve lays the tables, lowest level first, over each other. It reports what
// is missing when even the lowest table leaves a field of float32 nil.
func resolve(tables []*Table) (*Table, []Info, error) {
	out, name := &Table{}, map[string]string{}
	for _, t := range tables {
		for _, w := range t.Widening {
			if out.Widens(w.Type) == nil {
				out.Widening = append(out.Widening, Widening{Type: w.Type})
			}
		}
	}
	rows := out.rows()
	for _, t := range tables {
		out.Level = t.Level
		for _, from := range t.rows() {
			to := rows[slices.IndexFunc(rows, func(r row) bool { return r.family == from.family })]
			kernels := reflect.ValueOf(from.kernels).Elem()
			if kernels.IsNil() {
				continue
			}
			reflect.ValueOf(to.kernels).Elem().Set(kernels)
			name[to.family] = to.family + "_" + t.Level
			if to.nr == nil {
				continue
			}
			*to.nr = *from.nr
			tiles, last := kernels.Len(), reflect.ValueOf(to.last).Elem()
			if own := reflect.ValueOf(from.last).Elem(); !own.IsNil() {
				last.Set(own)
			} else if *to.nr == 16 {
				last.Set(kernels)
			}
			if *to.nr < 16 || *to.nr%16 != 0 || tiles < 2 || last.Len() < 2 {
				return nil, nil, fmt.Errorf("kernels of level %s: %s tiles of %d columns with %d and %d functions do not fit together; generate the package again", t.Level, to.family, *to.nr, tiles, last.Len())
			}
			name[to.family] = fmt.Sprintf("%s_%dx%d_%s", to.family, tiles-1, *to.nr, t.Level)
		}
		out.MR = len(out.Gemm) - 1
		for i := range out.Widening {
			to := &out.Widening[i]
			switch from := t.Widens(to.Type); {
			case from != nil && from.Gemm != nil:
				to.Once = t.Level == levels[0].name
			case t.Gemm != nil && (to.Once || to.Gemm == nil):
				// Plain Go is no match for this level's tiles: weights are widened for those.
				to.Once, to.Gemm, name["gemm_f32x"+to.Type] = true, nil, name["gemm_f32"]
			}
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
				for i, f := range append(w.kernels(), w.Widen, w.Compensate) {
					name[wideOps[i]] = symbol(f)
				}
			}
		}
	}
	var info []Info
	add := func(family string) {
		if name[family] != "" {
			info = append(info, Info{strings.TrimSuffix(family, "_f32"), name[family]})
		}
	}
	for _, r := range rows {
		if op, f32 := strings.CutSuffix(r.family, "_f32"); f32 && name[r.family] == "" {
			return nil, nil, fmt.Errorf("kernels of level %s: no %s kernel at this level or below; generate the package again", out.Level, op)
		}
		add(r.family)
	}
	for _, family := range slices.Concat(byteOps, wideOps) {
		add(family)
	}
	return out, info, nil
}
