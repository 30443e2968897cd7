package asm

import (
	"fmt"
	"slices"
	"strings"
)

// Kernel is a row of the catalogue. Kernels are equal if their fields are.
type Kernel struct {
	Op     Op
	DType  string // element type, "" for measuring kernels
	MR, NR int    // rows and columns of C of a tiled op, else 0
	ISA    ISA
}

// Family is the op and the element type, joined by "_", without the level; the select pass chooses families. If the type
// begins with the last part of the op's name, the type replaces that part: gemm_bf16 with bf16dot is gemm_bf16dot. If the
// op's name ends in _f32x, the type follows without "_": gemm_f32xf16 multiplies float32 by f16.
func (k Kernel) Family() string {
	op := string(k.Op)
	if k.DType == "" || strings.HasSuffix(op, "_f32x") {
		return op + k.DType
	}
	if head, end, ok := strings.Cut(op, "_"); ok && strings.HasPrefix(k.DType, end) {
		op = head
	}
	return op + "_" + k.DType
}

// Name is the kernel's Go symbol, its benchmark's name and its name in errors, such as gemm_f32_6x16_avx2.
func (k Kernel) Name() string {
	var b strings.Builder
	b.WriteString(k.Family())
	if k.MR > 0 {
		fmt.Fprintf(&b, "_%dx%d", k.MR, k.NR)
	}
	b.WriteByte('_')
	b.WriteString(string(k.ISA))
	return b.String()
}

// Catalogue holds every kernel there is: level by level, op by op in the order of Ops, fewer rows first. Do not modify it.
var Catalogue = catalogue()

func catalogue() []Kernel {
	var ks []Kernel
	for _, l := range Levels {
		for _, r := range Ops {
			elsewhere := r.Home != "" && l.ISA == Generic || r.From != "" && l.ISA != Generic && !l.ISA.Includes(r.From)
			if elsewhere || l.Ops != nil && !slices.Contains(l.Ops, r.Op) {
				continue
			}
			for _, d := range r.types() {
				k := Kernel{Op: r.Op, DType: d, ISA: l.ISA}
				if !r.Tiled {
					ks = append(ks, k)
					continue
				}
				tile, differs := l.Tiles[r.Op]
				if !differs {
					tile = l.Tile
				}
				k.NR = tile.NR
				for k.MR = 1; k.MR <= tile.MR; k.MR++ {
					ks = append(ks, k)
				}
			}
		}
	}
	return ks
}

// ByName returns the kernel called name, and whether there is one.
func ByName(name string) (Kernel, bool) {
	for _, k := range Catalogue {
		if k.Name() == name {
			return k, true
		}
	}
	return Kernel{}, false
}

// Find returns the kernels of a family at exactly the level isa: for a tiled op one for each number of rows 1..MR, fewer
// first, otherwise one; none if the level has no kernel of its own.
func Find(family string, isa ISA) []Kernel {
	var ks []Kernel
	for _, k := range Catalogue {
		if k.ISA == isa && k.Family() == family {
			ks = append(ks, k)
		}
	}
	return ks
}

// Best returns the kernels of a family that a CPU of level isa runs: those of isa or else of the nearest level below it
// that has any.
func Best(family string, isa ISA) []Kernel {
	for {
		if ks := Find(family, isa); len(ks) > 0 {
			return ks
		}
		l, ok := isa.Level()
		if !ok || l.Base == "" {
			return nil
		}
		isa = l.Base
	}
}

// Writable returns an error if the emitter of the architecture (GOARCH) cannot write one of the kernels.
func Writable(arch string, kernels []Kernel) error {
	for _, k := range kernels {
		if l, _ := k.ISA.Level(); l.Arch != arch || !slices.Contains(Catalogue, k) {
			return fmt.Errorf("%s: no generator", k.Name())
		}
	}
	return nil
}

// Permit returns an error if the kernel's level does not have one of the instruction sets. needs lists those beyond the
// architecture's baseline.
func (k Kernel) Permit(needs []string) error {
	for _, need := range needs {
		if !slices.Contains(k.ISA.Allowed(), need) {
			return fmt.Errorf("%s: uses %s, which level %s does not have", k.Name(), need, k.ISA)
		}
	}
	return nil
}

// Docs returns the doc comment of each kernel's declaration, as lines: for the first of a family the op's contract, for the
// others a reference to the first.
func Docs(kernels []Kernel) [][]string {
	first := map[string]string{}
	var docs [][]string
	for _, k := range kernels {
		id := k.Family() + string(k.ISA)
		if one := first[id]; one != "" {
			docs = append(docs, []string{fmt.Sprintf("%s is %s with %d rows.", k.Name(), one, k.MR)})
			continue
		}
		first[id] = k.Name()
		docs = append(docs, append([]string{k.Name() + " is a kernel of op " + string(k.Op) + ":", ""}, k.Op.Row().Contract()...))
	}
	return docs
}
