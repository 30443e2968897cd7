package kernel

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// Widening holds the kernels for weights of a 16-bit type whose values are converted to float32
// before they are multiplied. Gemm[mr] computes mr rows and NR columns; it may be nil. Gemm16 are
// the 16-wide tiles of the last panels.
type Widening struct {
	Type    string // such as bf16
	NR      int
	Gemm    []GemmNarrow
	Gemm16  []GemmNarrow
	Convert Convert

	// Preconvert says that tiles convert slowly: if there are more rows than Gemm's largest tile
	// has, a panel is converted once and multiplied by float32 tiles.
	Preconvert bool
}

// Dot holds the kernels for products of bf16 by bf16; all nil in a package that has none. Gemm[mr]
// computes mr rows and NR columns, Gemm16 are the 16-wide tiles of the last panels.
type Dot struct {
	NR     int
	Gemm   []GemmBF16
	Gemm16 []GemmBF16
	Round  Round
}

// Int8 holds the kernels for int8 products; all nil in a package that has none. Gemm[mr] computes
// mr rows and NR columns, Gemm16 are the 16-wide tiles of the last panels.
type Int8 struct {
	NR        int
	Gemm      []GemmI8
	Gemm16    []GemmI8
	Quant     Quant
	NormQuant LayerNormQuant

	// QuantI8X2 and NormQuantI8X2 quantise activations for weights of I8X2; both are nil in a package
	// without such weights.
	QuantI8X2     Quant
	NormQuantI8X2 LayerNormQuant

	// Many, if it is not nil, holds kernels that are faster for many rows: its Repack converts panels
	// for its tiles, which have 16 columns. If it has a Compensate, they multiply int16: its Quant and
	// NormQuant write int16 without zero point, and Compensate completes the rows. Repack and
	// Compensate are nil elsewhere.
	Many       *Int8
	Repack     Repack
	Compensate RowCompensation
}

// complete reports whether the kernels that belong together are there and fit together.
func (i *Int8) complete() bool {
	return i.NR >= 16 && i.NR%16 == 0 && len(i.Gemm) > 1 && len(i.Gemm16) > 1 && i.Quant != nil && i.NormQuant != nil && (i.QuantI8X2 == nil) == (i.NormQuantI8X2 == nil) &&
		(i.Many == nil || i.Many.complete() && i.Many.NR == 16 && i.Many.Repack != nil && (i.QuantI8X2 == nil) == (i.Many.QuantI8X2 == nil))
}

// Table has kernels of one CPU level. Package generated/kernels has one for each level and type of
// weights. For a nil field Choose takes the kernels of another table of the level, or else of the
// next lower level that has them; the tables of the generic level together have all of float32.
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
	GeluTanh  GeluTanh
	QuickGelu QuickGelu
	PackKeys  PackKeys
	Add       Add
	Mul       Mul

	Widening []Widening // one per type
	Dot      Dot
	I8       Int8
	I7       Int8 // for weights that are small enough for gemm_i7
}

// Widens returns the kernels for weights of a type that is converted to float32, nil if there are none.
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

// int8Ops names the operations of the kernels of an Int8, in the order of Int8.kernels, int7Ops the first
// ones of I7. int16Ops names those of a Many that multiplies int16, then Repack and Compensate, eightsOps
// the tiles and Repack of another Many.
var (
	int8Ops  = []string{"gemm_i8", "quant_i8", "layernorm_quant_i8", "quant_i8x2", "layernorm_quant_i8x2"}
	int7Ops  = []string{"gemm_i7", "quant_i8", "layernorm_quant_i8"}
	int16Ops = []string{"gemm_i16_i8", "quant_i16_i8", "layernorm_quant_i16_i8", "quant_i16_i8x2", "layernorm_quant_i16_i8x2", "widen_i8", "row_compensation_i8"}

	eightsOps = []string{"gemm_eights_i8", "regroup_i8"}
)

// kernels returns the kernels of int8Ops, in that order.
func (i *Int8) kernels() []any {
	return []any{i.Gemm[len(i.Gemm)-1], i.Quant, i.NormQuant, i.QuantI8X2, i.NormQuantI8X2}
}

// symbol returns the name of a kernel, which may belong to a lower level than its table; "" if the
// kernel is nil.
func symbol(kernel any) string {
	f := reflect.ValueOf(kernel)
	if f.IsNil() {
		return ""
	}
	name := runtime.FuncForPC(f.Pointer()).Name()
	return name[strings.LastIndexByte(name, '.')+1:]
}

// row is a kernel family and the fields of a table that hold its kernels.
type row struct {
	family  string
	kernels any  // pointer to a function, or to the tiles of a tiled op
	nr      *int // columns of the tiles; nil for a function
	last    any  // pointer to the 16-wide tiles of the last panels
}

// rows lists the families except int8 products, of which a level has all or none.
func (k *Table) rows() []row {
	rows := []row{
		{"gemm_f32", &k.Gemm, &k.NR, &k.Gemm16},
		{"gemm_nn_f32", &k.GemmNN, &k.NNNR, &k.GemmNN16},
		{"softmax_f32", &k.Softmax, nil, nil},
		{"scalerows_f32", &k.ScaleRows, nil, nil},
		{"layernorm_f32", &k.LayerNorm, nil, nil},
		{"gelu_f32", &k.Gelu, nil, nil},
		{"gelu_tanh_f32", &k.GeluTanh, nil, nil},
		{"quick_gelu_f32", &k.QuickGelu, nil, nil},
		{"pack_keys_f32", &k.PackKeys, nil, nil},
		{"add_f32", &k.Add, nil, nil},
		{"mul_f32", &k.Mul, nil, nil},
	}
	for i := range k.Widening {
		w := &k.Widening[i]
		rows = append(rows, row{"gemm_f32x" + w.Type, &w.Gemm, &w.NR, &w.Gemm16}, row{"convert_" + w.Type, &w.Convert, nil, nil})
	}
	return append(rows, row{"gemm_bf16dot", &k.Dot.Gemm, &k.Dot.NR, &k.Dot.Gemm16}, row{"round_bf16dot", &k.Dot.Round, nil, nil})
}

// resolve merges tables, lowest level first: a kernel of a later table replaces the one before. It
// returns an error if no table has one of the float32 kernels.
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
				to.Preconvert = t.Level == levels[0].name
			case t.Gemm != nil && (to.Preconvert || to.Gemm == nil):
				// This level has no tiles for the type, and its float32 tiles are faster than plain Go:
				// weights are converted for those.
				to.Preconvert, to.Gemm, name["gemm_f32x"+to.Type] = true, nil, name["gemm_f32"]
			}
		}
		for _, of := range []struct {
			from, to *Int8
			ops      []string
		}{{&t.I8, &out.I8, int8Ops}, {&t.I7, &out.I7, int7Ops}} {
			from := of.from
			if len(from.Gemm) < 2 {
				continue
			}
			if !from.complete() {
				return nil, nil, fmt.Errorf("kernels of level %s: int8 tiles of %d columns with %d and %d functions do not fit together; generate the package again", t.Level, from.NR, len(from.Gemm), len(from.Gemm16))
			}
			*of.to = *from
			for i, op := range of.ops {
				name[op] = symbol(from.kernels()[i])
			}
			if of.to == &out.I7 {
				continue
			}
			for _, op := range slices.Concat(int16Ops, eightsOps) {
				delete(name, op)
			}
			if m := from.Many; m != nil {
				ops, kernels := eightsOps, []any{m.kernels()[0], m.Repack}
				if m.Compensate != nil {
					ops, kernels = int16Ops, append(m.kernels(), m.Repack, m.Compensate)
				}
				for i, f := range kernels {
					name[ops[i]] = symbol(f)
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
	for _, family := range slices.Concat(int8Ops, int7Ops[:1], int16Ops, eightsOps) {
		add(family)
	}
	return out, info, nil
}
