package codegen

import (
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/amd64"
)

// tables says which field of rt.Kernels each kernel op fills.
var tables = []struct {
	op    asm.Op
	field string
}{
	{asm.OpGemm, "Gemm"},
	{asm.OpGemmV, "GemmV"},
	{asm.OpSoftmax, "Softmax"},
	{asm.OpScaleRows, "ScaleRows"},
	{asm.OpLayerNorm, "LayerNorm"},
	{asm.OpGelu, "Gelu"},
	{asm.OpPackK, "PackK"},
	{asm.OpAdd, "Add"},
}

// kernels returns the kernels of a level that a package carries.
func kernels(isa asm.ISA) []asm.Kernel {
	var ks []asm.Kernel
	for _, k := range asm.Catalogue {
		if k.ISA == isa && !k.Op.Row().Measuring {
			ks = append(ks, k)
		}
	}
	return ks
}

// kernelFiles writes the assembly of each architecture, the Go twins, and the
// table of each level.
func (g *generator) kernelFiles() error {
	twins, err := asm.TwinFile(g.opt.Package, kernels(asm.Generic))
	if err != nil {
		return err
	}
	g.files["kernels_generic.go"] = twins
	if err := g.scope.reserve(twins); err != nil {
		return err
	}
	f := g.newFile()
	f.Comment("generic is the table of plain Go, which runs on any CPU.")
	f.Var().Id("generic").Op("=").Add(table(asm.Generic))
	if err := g.add("levels.go", f); err != nil {
		return err
	}

	var amd []asm.Kernel
	for _, l := range asm.Levels {
		if l.Arch == "amd64" {
			amd = append(amd, kernels(l.ISA)...)
		}
	}
	asmFile, stubs, err := amd64.Emit(g.opt.Package, amd)
	if err != nil {
		return err
	}
	g.files["kernels_amd64.s"], g.files["kernels_amd64.go"] = asmFile, stubs

	if err := g.levels("levels_amd64.go", "amd64 && !noasm", "amd64"); err != nil {
		return err
	}
	return g.levels("levels_other.go", "!amd64 || noasm", "")
}

// levels writes the file that lists the tables of one architecture, lowest first.
func (g *generator) levels(name, constraint, arch string) error {
	f := g.newFile()
	f.HeaderComment("//go:build " + constraint)
	list := []jen.Code{jen.Op("&").Id("generic")}
	var defs []jen.Code
	for _, l := range asm.Levels {
		if l.Arch != "" && l.Arch == arch {
			id := strings.ToLower(string(l.ISA))
			list = append(list, jen.Op("&").Id(id))
			defs = append(defs, jen.Var().Id(id).Op("=").Add(table(l.ISA)))
		}
	}
	f.Comment("levels are the kernel tables of this build, lowest level first.")
	f.Var().Id("levels").Op("=").Index().Op("*").Qual(rtPath, "Kernels").Values(list...)
	for _, d := range defs {
		f.Line().Add(d)
	}
	return g.add(name, f)
}

// table writes the rt.Kernels of one level. What the level lacks stays nil: the
// runtime takes it from the level below.
func table(isa asm.ISA) *jen.Statement {
	d := jen.Dict{jen.Id("Level"): jen.Lit(string(isa))}
	for _, t := range tables {
		var of []asm.Kernel
		for _, k := range kernels(isa) {
			if k.Op == t.op {
				of = append(of, k)
			}
		}
		if len(of) == 0 {
			continue
		}
		if !t.op.Row().Tiled {
			d[jen.Id(t.field)] = jen.Id(of[0].Name())
			continue
		}
		last := of[len(of)-1]
		d[jen.Id(t.field)] = tiles(t.field, of)
		if t.op == asm.OpGemm {
			d[jen.Id("MR")], d[jen.Id("NR")] = jen.Lit(last.MR), jen.Lit(last.NR)
			d[jen.Id("Gemm16")] = tiles(t.field, narrow(isa))
		}
	}
	return jen.Qual(rtPath, "Kernels").Values(d)
}

// narrow returns the tiles of one panel that a level computes the last panels with: its
// own, or else those of the nearest level below it that has them.
func narrow(isa asm.ISA) []asm.Kernel {
	for {
		of := asm.Best(asm.Kernel{Op: asm.OpGemm, DType: asm.OpGemm.Row().DType}.Family(), isa)
		if of[0].NR == asm.Panel {
			return of
		}
		l, _ := of[0].ISA.Level()
		isa = l.Base
	}
}

// tiles lists tile kernels by their number of rows.
func tiles(typ string, ks []asm.Kernel) jen.Code {
	return jen.Index().Qual(rtPath, typ).ValuesFunc(func(g *jen.Group) {
		g.Nil()
		for _, k := range ks {
			g.Id(k.Name())
		}
	})
}
