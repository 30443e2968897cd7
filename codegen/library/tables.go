package library

import (
	"bytes"
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

// noAssembly returns the build constraint of the files that replace assembly.
func noAssembly() string {
	var archs []string
	for _, e := range emitters {
		archs = append(archs, e.arch)
	}
	return "noasm || !(" + strings.Join(archs, " || ") + ")"
}

// kernelPath is the package that declares the type of a table.
const kernelPath = "github.com/multiway-go/multiway/codegen/rt/kernel"

// tableFile returns the file of package kernels with the tables of one architecture, "" for plain Go: for each type of
// weights a variable that lists the tables of the levels.
func tableFile(constraint, arch string) ([]byte, error) {
	f := jen.NewFile("kernels")
	f.HeaderComment(strings.TrimPrefix(asm.Header, "// "))
	f.HeaderComment("//go:build " + constraint)
	f.ImportName(kernelPath, "kernel")
	for _, dtype := range ir.DTypes() {
		if dtype.Gemm() == "" {
			continue
		}
		what := "weights of type " + dtype.String()
		if dtype == ir.F32 {
			what += " and for what has no weights"
		}
		f.Commentf("%s has the kernels for %s, lowest level first.", dtype.Ident(), what)
		f.Var().Id(dtype.Ident()).Op("=").Index().Op("*").Qual(kernelPath, "Table").ValuesFunc(func(list *jen.Group) {
			for _, l := range asm.Levels {
				if l.Arch != "" && l.Arch != arch {
					continue
				}
				if d := table(l.ISA, dtype); len(d) > 0 {
					d[jen.Id("Level")] = jen.Lit(string(l.ISA))
					list.Line().Values(d)
				}
			}
			list.Line()
		})
	}
	var b bytes.Buffer
	err := f.Render(&b)
	return b.Bytes(), err
}

// table returns the fields of kernel.Table of one level for weights of one type. The runtime takes kernels that the level
// lacks from the level below.
func table(isa asm.ISA, dtype ir.DType) jen.Dict {
	var carried []asm.Kernel
	for _, k := range asm.Catalogue {
		if k.ISA == isa {
			carried = append(carried, k)
		}
	}
	switch {
	case dtype.Scaled():
		if i8 := int8s(isa, carried, dtype == ir.I8X2); len(i8) > 0 {
			return jen.Dict{jen.Id("I8"): jen.Qual(kernelPath, "Int8").Values(i8)}
		}
		return nil
	case dtype != ir.F32:
		part := jen.Dict{}
		for _, of := range families(carried, dtype) {
			if r := of[0].Op.Row(); r.Tiled {
				part[jen.Id("NR")], part[jen.Id("Gemm")] = jen.Lit(of[0].NR), tiles(r.Type, of)
			} else {
				part[jen.Id(r.Type)] = jen.Id(of[0].Name())
			}
		}
		switch {
		case len(part) == 0:
			return nil
		case dtype.Rounds():
			return jen.Dict{jen.Id("Dot"): jen.Qual(kernelPath, "Dot").Values(part)}
		}
		part[jen.Id("Type")] = jen.Lit(dtype.String())
		return jen.Dict{jen.Id("Widening"): jen.Index().Qual(kernelPath, "Widening").Values(jen.Values(part))}
	}
	d := jen.Dict{}
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
		case asm.OpGemmNN:
			d[jen.Id("NNNR")] = jen.Lit(last.NR)
		}
	}
	return d
}

// families returns the kernels of a dtype, grouped by op.
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

// int8s returns the fields of kernel.Int8 of a level with int8 tiles of its own; none for another level. twoTerm is for weights of type I8X2.
func int8s(isa asm.ISA, carried []asm.Kernel, twoTerm bool) jen.Dict {
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
			jen.Id("NR"):        jen.Lit(ks[0].NR),
			jen.Id("Gemm"):      tiles("GemmI8", ks),
			jen.Id("Gemm16"):    tiles("GemmI8", narrow(ks[0].Family(), isa)),
			jen.Id("Quant"):     best(quant, ks[0].DType),
			jen.Id("NormQuant"): best(norm, ks[0].DType),
		}
		if twoTerm {
			d[jen.Id("QuantI8X2")], d[jen.Id("NormQuantI8X2")] = best(quant, ir.I8X2.String()), best(norm, ir.I8X2.String())
		}
		return d
	}
	d := fields(asm.OpGemmI8, asm.OpQuant, asm.OpNormQuant)
	// The runtime's plain Go multiplies int8 directly; the Go twins of the kernels for int16 are only for tests.
	if w := fields(asm.OpGemmI16, asm.OpQuantI16, asm.OpNormQuantI16); w != nil && isa != asm.Generic {
		w[jen.Id("Widen")] = best(asm.OpWiden, of(asm.OpWiden)[0].DType)
		w[jen.Id("Compensate")] = best(asm.OpRowCompensation, of(asm.OpRowCompensation)[0].DType)
		d[jen.Id("Wide")] = jen.Op("&").Qual(kernelPath, "Int8").Values(w)
	}
	return d
}

// narrow returns the tiles as wide as one panel, with which a level computes the last panel: its
// own, or else those of the nearest lower level that has such tiles.
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
