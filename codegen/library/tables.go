package library

import (
	"bytes"
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
			what += " and for ops without weights"
		}
		f.Commentf("%s has the kernels for %s, lowest level first.", dtype.Ident(), what)
		f.Var().Id(dtype.Ident()).Op("=").Index().Op("*").Qual(kernelPath, "Table").ValuesFunc(func(list *jen.Group) {
			for _, l := range asm.Levels {
				if l.Arch != "" && l.Arch != arch {
					continue
				}
				if t := table(l, dtype); t != nil {
					list.Line().Values(t.lines()...)
				}
			}
			list.Line()
		})
	}
	var b bytes.Buffer
	err := f.Render(&b)
	return b.Bytes(), err
}

// literal is the list of fields of a composite literal, in order.
type literal []jen.Code

// add adds a field.
func (l *literal) add(name string, value jen.Code) {
	*l = append(*l, jen.Line().Id(name).Op(":").Add(value))
}

// lines returns the fields with each on a line of its own.
func (l literal) lines() []jen.Code { return append(l[:len(l):len(l)], jen.Line()) }

// table returns the fields of kernel.Table of one level for weights of one type, nil if the level adds no kernels for it. The
// runtime takes kernels that the level lacks from the level below.
func table(level asm.Level, dtype ir.DType) literal {
	var carried []asm.Kernel
	for _, k := range asm.Catalogue {
		if k.ISA == level.ISA {
			carried = append(carried, k)
		}
	}
	var t literal
	t.add("Level", jen.Lit(string(level.ISA)))
	switch {
	case dtype.Scaled():
		i8 := int8s(level.ISA, carried, dtype)
		if i8 == nil {
			return nil
		}
		field := "I8"
		if dtype == ir.I7 {
			field = "I7"
		}
		t.add(field, jen.Qual(kernelPath, "Int8").Values(i8.lines()...))
		return t
	case dtype != ir.F32:
		var part literal
		if !dtype.Rounds() {
			part.add("Type", jen.Lit(dtype.String()))
		}
		all := families(carried, dtype)
		for _, of := range all {
			if r := of[0].Op.Row(); r.Tiled {
				part.add("NR", jen.Lit(of[0].NR))
				part.add("Gemm", tiles(r.Type, of))
			} else {
				part.add(r.Type, jen.Id(of[0].Name()))
			}
		}
		switch {
		case all == nil:
			return nil
		case dtype.Rounds():
			t.add("Dot", jen.Qual(kernelPath, "Dot").Values(part.lines()...))
		default:
			t.add("Widening", jen.Index().Qual(kernelPath, "Widening").Values(jen.Values(part.lines()...)))
		}
		return t
	}
	all := families(carried, ir.F32)
	for _, of := range all {
		last := of[len(of)-1]
		r := last.Op.Row()
		if !r.Tiled {
			t.add(r.Type, jen.Id(last.Name()))
			continue
		}
		switch r.Op {
		case asm.OpGemm:
			t.add("MR", jen.Lit(last.MR))
			t.add("NR", jen.Lit(last.NR))
		case asm.OpGemmNN:
			t.add("NNNR", jen.Lit(last.NR))
		}
		t.add(r.Type, tiles(r.Type, of))
		t.add(r.Type+"16", tiles(r.Type, narrow(last.Family(), level.ISA)))
	}
	if all == nil {
		return nil
	}
	return t
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

// int8s returns the fields of kernel.Int8 of a level that has int8 tiles of its own, otherwise nil, for weights of a scaled type.
func int8s(isa asm.ISA, carried []asm.Kernel, dtype ir.DType) literal {
	own := func(op asm.Op) bool {
		return slices.ContainsFunc(carried, func(k asm.Kernel) bool { return k.Op == op })
	}
	best := func(op asm.Op, dtype string) jen.Code {
		return jen.Id(asm.Best(asm.Kernel{Op: op, DType: dtype}.Family(), isa)[0].Name())
	}
	fields := func(gemm, quant, norm asm.Op) (l literal) {
		ks := asm.Best(asm.Kernel{Op: gemm, DType: gemm.Row().DTypes[0]}.Family(), isa)
		l.add("NR", jen.Lit(ks[0].NR))
		l.add("Gemm", tiles("GemmI8", ks))
		l.add("Gemm16", tiles("GemmI8", narrow(ks[0].Family(), isa)))
		l.add("Quant", best(quant, ir.I8.String()))
		l.add("NormQuant", best(norm, ir.I8.String()))
		if dtype == ir.I8X2 {
			l.add("QuantI8X2", best(quant, ir.I8X2.String()))
			l.add("NormQuantI8X2", best(norm, ir.I8X2.String()))
		}
		return l
	}
	// The runtime's plain Go multiplies int8 directly; the Go twins of the other products are only for tests.
	native := isa != asm.Generic
	var many literal
	switch {
	case native && dtype == ir.I7 && own(asm.OpGemmI7):
		return fields(asm.OpGemmI7, asm.OpQuant, asm.OpNormQuant)
	case native && own(asm.OpGemmI16):
		many = fields(asm.OpGemmI16, asm.OpQuantI16, asm.OpNormQuantI16)
		many.add("Repack", best(asm.OpWiden, ir.I8.String()))
		many.add("Compensate", best(asm.OpRowCompensation, ir.I8.String()))
	case native && own(asm.OpGemmEights):
		many = fields(asm.OpGemmEights, asm.OpQuant, asm.OpNormQuant)
		many.add("Repack", best(asm.OpRegroup, ir.I8.String()))
	case !own(asm.OpGemmI8):
		return nil
	}
	l := fields(asm.OpGemmI8, asm.OpQuant, asm.OpNormQuant)
	if many != nil {
		l.add("Many", jen.Op("&").Qual(kernelPath, "Int8").Values(many.lines()...))
	}
	return l
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
