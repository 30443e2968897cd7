package asm

import "slices"

// ISA is a CPU level: the instructions a kernel may use.
type ISA string

// The names of all CPU levels, one for each row of Levels.
const (
	Generic ISA = "generic" // plain Go: any CPU, and every CPU under -tags noasm
	AVX2    ISA = "avx2"
	AVX512  ISA = "avx512"
	NEON    ISA = "neon"

	AVXVNNI    ISA = "avxvnni"
	AVX512VNNI ISA = "avx512vnni"
	AVX512BF16 ISA = "avx512bf16"
	NEONDot    ISA = "neondot"
	NEONI8MM   ISA = "neoni8mm"
)

// Level describes a CPU level: its instruction sets and the kernels it has.
type Level struct {
	ISA      ISA
	Base     ISA         // the level it includes, whose kernels fill its gaps; "" for generic
	Arch     string      // GOARCH; "" for any
	Vector   int         // floats in a vector register, 1 for generic
	Features []string    // instruction sets that it adds to its base, by the emitter's names; codegen/rt/kernel asks the CPU for them
	Ops      []Op        // the ops that it has its own kernels for; nil: all of its architecture that do not begin with a later level
	Tile     Tile        // the largest tile
	Tiles    map[Op]Tile // of the ops that differ
}

// Tile is a block of C that a kernel of a tiled op computes.
type Tile struct{ MR, NR int }

// Levels holds every level, each after its base. The table by which codegen/rt/kernel chooses a level is generated from it.
var Levels = []Level{
	{
		ISA: Generic, Vector: 1,
		Tile: Tile{4, 16}, // more rows would not stay in registers
	},
	{
		ISA: AVX2, Base: Generic, Arch: "amd64", Vector: 8, Features: []string{"AVX", "AVX2", "FMA3", "F16C"},
		Tile: Tile{6, 16}, Tiles: map[Op]Tile{OpGemmI8: {5, 16}, OpGemmI7: {4, 16}, OpGemmI16: {4, 16}},
	},
	{
		ISA: AVXVNNI, Base: AVX2, Arch: "amd64", Vector: 8, Features: []string{"AVXVNNI"},
		Ops: []Op{OpGemmI8}, Tile: Tile{6, 16},
	},
	{
		ISA: AVX512, Base: AVX2, Arch: "amd64", Vector: 16, Features: []string{"AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL"},
		Ops:  []Op{OpGemm, OpGemmNN, OpGemmNarrow, OpSoftmax, OpGelu, OpGeluTanh, OpQuickGelu, OpGemmBF16, OpPeakFMA},
		Tile: Tile{8, 48}, Tiles: map[Op]Tile{OpGemmNN: {6, 64}},
	},
	{
		ISA: AVX512VNNI, Base: AVX512, Arch: "amd64", Vector: 16, Features: []string{"AVX512VNNI"},
		Ops: []Op{OpGemmI8}, Tile: Tile{12, 32},
	},
	{
		ISA: AVX512BF16, Base: AVX512VNNI, Arch: "amd64", Vector: 16, Features: []string{"AVX512BF16"},
		Ops: []Op{OpGemmBF16}, Tile: Tile{8, 48},
	},
	{
		ISA: NEON, Base: Generic, Arch: "arm64", Vector: 4, Features: []string{"ASIMD"},
		Tile: Tile{6, 16}, Tiles: map[Op]Tile{OpGemmI8: {2, 16}},
	},
	{
		ISA: NEONDot, Base: NEON, Arch: "arm64", Vector: 4, Features: []string{"ASIMDDP"},
		Ops: []Op{OpGemmI8}, Tile: Tile{6, 16},
	},
	{
		ISA: NEONI8MM, Base: NEONDot, Arch: "arm64", Vector: 4, Features: []string{"I8MM"},
		Ops: []Op{OpGemmEights, OpRegroup}, Tile: Tile{6, 16},
	},
}

// Only returns the family of a matrix product if that product is all that the level has kernels of its own for, with the
// conversion of panels for it, otherwise "". A product of another layout counts as the one that it computes.
func (l Level) Only() string {
	var only string
	for _, op := range l.Ops {
		r := op.Row()
		switch {
		case r.Tiled && only == "":
			r = Ops[slices.IndexFunc(Ops, func(o OpRow) bool { return o.Type == r.Type })]
			only = Kernel{Op: r.Op, DType: r.DTypes[0]}.Family()
		case r.Type != "Repack":
			return ""
		}
	}
	return only
}

// Includes reports whether level i is other or has it below it.
func (i ISA) Includes(other ISA) bool {
	l, ok := i.Level()
	return ok && (i == other || l.Base.Includes(other))
}

// Level returns the row of Levels for i, and whether there is one.
func (i ISA) Level() (Level, bool) {
	for _, l := range Levels {
		if l.ISA == i {
			return l, true
		}
	}
	return Level{}, false
}

// Allowed returns the instruction sets, beyond the baseline of Go's architecture, that a kernel of level i may use: the
// level's own and those of all levels below it.
func (i ISA) Allowed() []string {
	var all []string
	for l, ok := i.Level(); ok; l, ok = l.Base.Level() {
		all = append(all, l.Features...)
	}
	return all
}
