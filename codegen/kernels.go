package codegen

import (
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/amd64"
	"github.com/multiway-go/multiway/asm/arm64"
	"github.com/multiway-go/multiway/ir"
)

// emitter writes the assembly of one architecture.
type emitter struct {
	arch string // GOARCH
	emit func(pkg string, kernels []asm.Kernel) (asmFile, stubFile []byte, err error)
}

var emitters = []emitter{
	{"amd64", amd64.Emit},
	{"arm64", arm64.Emit},
}

// constraint is the build constraint of the architecture's assembly.
func (e emitter) constraint() string { return e.arch + " && !noasm" }

// noAssembly is the build constraint of what stands in where there is no assembly.
func noAssembly() string {
	var archs []string
	for _, e := range emitters {
		archs = append(archs, e.arch)
	}
	return "noasm || !(" + strings.Join(archs, " || ") + ")"
}

// tables are the fields of kernel.Table for weights of another type than float32. Bytes have int8s.
var tables = []struct {
	dtype      ir.DType
	field, typ string
}{
	{ir.F16, "F16", "Half"},
	{ir.BF16, "BF16", "Half"},
	{ir.BF16Dot, "Dot", "Dot"},
}

// kernels returns the kernels of a level that the package carries: those for weights of
// another type than float32 only if there are such.
func (g *generator) kernels(isa asm.ISA) []asm.Kernel {
	has := map[string]bool{ir.F32.String(): true}
	for _, w := range g.p.Weights {
		has[w.Type.DType.String()] = true
		if w.Type.DType.Scaled() {
			has[ir.I8.String()] = true // what multiplies them is the same
		}
	}
	var ks []asm.Kernel
	for _, k := range asm.Catalogue {
		if isa == asm.Generic && k.Op.Row().Arch != "" {
			continue // plain Go multiplies bytes as they are; the twin is for tests
		}
		if k.ISA == isa && has[k.DType] {
			ks = append(ks, k)
		}
	}
	return ks
}

// kernelFiles writes the assembly of each architecture, the Go twins, and the
// table of each level.
func (g *generator) kernelFiles() error {
	twins, err := asm.TwinFile(g.opt.Package, g.kernels(asm.Generic))
	if err != nil {
		return err
	}
	g.files["kernels_generic.go"] = twins
	if err := g.scope.reserve(twins); err != nil {
		return err
	}
	f := g.newFile()
	f.Comment("generic is the table of plain Go, which runs on any CPU.")
	f.Var().Id("generic").Op("=").Add(g.table(asm.Generic))
	if err := g.add("levels.go", f); err != nil {
		return err
	}

	for _, e := range emitters {
		var native []asm.Kernel
		for _, l := range asm.Levels {
			if l.Arch == e.arch {
				native = append(native, g.kernels(l.ISA)...)
			}
		}
		asmFile, stubs, err := e.emit(g.opt.Package, native)
		if err != nil {
			return err
		}
		g.files["kernels_"+e.arch+".s"], g.files["kernels_"+e.arch+".go"] = asmFile, stubs
		if err := g.levels("levels_"+e.arch+".go", e.constraint(), e.arch); err != nil {
			return err
		}
	}
	return g.levels("levels_other.go", noAssembly(), "")
}

// levels writes the file that lists the tables of one architecture, lowest first.
func (g *generator) levels(name, constraint, arch string) error {
	f := g.newFile()
	f.HeaderComment("//go:build " + constraint)
	list := []jen.Code{jen.Op("&").Id("generic")}
	var defs []jen.Code
	for _, l := range asm.Levels {
		if l.Arch != "" && l.Arch == arch && len(g.kernels(l.ISA)) > 0 {
			id := strings.ToLower(string(l.ISA))
			list = append(list, jen.Op("&").Id(id))
			defs = append(defs, jen.Var().Id(id).Op("=").Add(g.table(l.ISA)))
		}
	}
	f.Comment("levels are the kernel tables of this build, lowest level first.")
	f.Var().Id("levels").Op("=").Index().Op("*").Qual(kernelPath, "Table").Values(list...)
	for _, d := range defs {
		f.Line().Add(d)
	}
	return g.add(name, f)
}

// table writes the kernel.Table of one level. What the level lacks stays nil: the
// runtime takes it from the level below.
func (g *generator) table(isa asm.ISA) *jen.Statement {
	carried := g.kernels(isa)
	d := jen.Dict{jen.Id("Level"): jen.Lit(string(isa))}
	for _, of := range families(carried, ir.F32) {
		last := of[len(of)-1]
		r := last.Op.Row()
		if !r.Tiled {
			d[jen.Id(r.Type)] = jen.Id(last.Name())
			continue
		}
		d[jen.Id(r.Type)] = tiles(r.Type, of)
		d[jen.Id(r.Type+"16")] = tiles(r.Type, narrow(last.Family(), isa))
		switch r.Op {
		case asm.OpGemm:
			d[jen.Id("MR")], d[jen.Id("NR")] = jen.Lit(last.MR), jen.Lit(last.NR)
		case asm.OpGemmV:
			d[jen.Id("VNR")] = jen.Lit(last.NR)
		}
	}
	for _, p := range tables {
		part := jen.Dict{}
		for _, of := range families(carried, p.dtype) {
			if r := of[0].Op.Row(); r.Tiled {
				part[jen.Id("NR")], part[jen.Id("Gemm")] = jen.Lit(of[0].NR), tiles(r.Type, of)
			} else {
				part[jen.Id(r.Type)] = jen.Id(of[0].Name())
			}
		}
		if len(part) > 0 {
			d[jen.Id(p.field)] = jen.Qual(kernelPath, p.typ).Values(part)
		}
	}
	if i8 := g.int8s(isa, carried); len(i8) > 0 {
		d[jen.Id("I8")] = jen.Qual(kernelPath, "Int8").Values(i8)
	}
	return jen.Qual(kernelPath, "Table").Values(d)
}

// families returns those of the kernels that are of a type, op by op.
func families(kernels []asm.Kernel, dtype ir.DType) (all [][]asm.Kernel) {
	for _, k := range kernels {
		switch n := len(all); {
		case k.DType != dtype.String():
		case n > 0 && all[n-1][0].Op == k.Op:
			all[n-1] = append(all[n-1], k)
		default:
			all = append(all, []asm.Kernel{k})
		}
	}
	return all
}

// int8s are the fields of kernel.Int8 of a level that carries tiles for bytes of its own.
func (g *generator) int8s(isa asm.ISA, carried []asm.Kernel) jen.Dict {
	twice := slices.ContainsFunc(g.p.Weights, func(w *ir.Weight) bool { return w.Type.DType == ir.I8X2 })
	of := func(op asm.Op) (ks []asm.Kernel) {
		for _, k := range carried {
			if k.Op == op {
				ks = append(ks, k)
			}
		}
		return ks
	}
	best := func(op asm.Op, dtype string) jen.Code {
		return jen.Id(asm.Best(asm.Kernel{Op: op, DType: dtype}.Family(), isa)[0].Name())
	}
	fields := func(gemm, quant, norm asm.Op) jen.Dict {
		ks := of(gemm)
		if len(ks) == 0 {
			return nil
		}
		d := jen.Dict{
			jen.Id("NR"):     jen.Lit(ks[0].NR),
			jen.Id("Gemm"):   tiles("QGemm", ks),
			jen.Id("Gemm16"): tiles("QGemm", narrow(ks[0].Family(), isa)),
			jen.Id("Quant"):  best(quant, ks[0].DType),
			jen.Id("Norm"):   best(norm, ks[0].DType),
		}
		if twice {
			d[jen.Id("Quant2")], d[jen.Id("Norm2")] = best(quant, ir.I8X2.String()), best(norm, ir.I8X2.String())
		}
		return d
	}
	d := fields(asm.OpQGemm, asm.OpQuant, asm.OpNormQ)
	if w := fields(asm.OpQGemmW, asm.OpQuantW, asm.OpNormQW); w != nil {
		w[jen.Id("Widen")] = best(asm.OpWiden, of(asm.OpWiden)[0].DType)
		w[jen.Id("Start")] = best(asm.OpRowStart, of(asm.OpRowStart)[0].DType)
		d[jen.Id("Wide")] = jen.Op("&").Qual(kernelPath, "Int8").Values(w)
	}
	return d
}

// narrow returns the tiles of one panel that a level computes the last panels with: its
// own, or else those of the nearest level below it that has them.
func narrow(family string, isa asm.ISA) []asm.Kernel {
	for {
		of := asm.Best(family, isa)
		if of[0].NR == asm.Panel {
			return of
		}
		l, _ := of[0].ISA.Level()
		isa = l.Base
	}
}

// tiles lists tile kernels by their number of rows.
func tiles(typ string, ks []asm.Kernel) jen.Code {
	return jen.Index().Qual(kernelPath, typ).ValuesFunc(func(g *jen.Group) {
		g.Nil()
		for _, k := range ks {
			g.Id(k.Name())
		}
	})
}
