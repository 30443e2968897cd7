package codegen

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// Import paths in generated code.
const (
	rtPath      = "github.com/multiway-go/multiway/codegen/rt"
	execPath    = rtPath + "/exec"
	blobPath    = rtPath + "/blob"
	kernelsPath = "github.com/multiway-go/multiway/generated/kernels"
)

// section is the size of one section of a value's packed rows (see the glossary of package ir):
// C rows for each sequence, or T: a row for each token of the texts.
type section = ir.Dim

// entry emits one planned function as straight-line Go.
type entry struct {
	g        *generator
	f        *ir.Func
	scope    *scope
	vars     map[*ir.Value]string
	used     map[*ir.Value]bool
	sections map[*ir.Value][]section
	counts   map[ir.Dim]string // names of variables that hold numbers of packed rows
	declared []jen.Code        // their declarations
	// home maps a value to the value that it is inside of, and the number of packed
	// rows in front of it there.
	home map[*ir.Value]place
}

type place struct {
	in    *ir.Value
	after []section
}

func newEntry(g *generator, f *ir.Func) (*entry, error) {
	sections, err := ir.Sections(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	e := &entry{
		g: g, f: f,
		scope:    newScope("e", "exec"),
		vars:     map[*ir.Value]string{},
		used:     map[*ir.Value]bool{},
		sections: sections,
		counts:   map[ir.Dim]string{},
		home:     map[*ir.Value]place{},
	}
	for _, v := range f.Values {
		switch v.Op {
		case ir.OpConcat:
			var before []section
			for _, a := range v.Args {
				e.home[a] = place{v, before}
				before = append(before[:len(before):len(before)], sections[a]...)
			}
		case ir.OpRows:
			whole := sections[v.Args[0]]
			from, _, _ := ir.FindSections(whole, v.Attrs.Dim("at"), v.Attrs.Dim("len"))
			e.home[v] = place{v.Args[0], whole[:from]}
		}
		for _, a := range v.Args {
			e.used[a] = true
		}
	}
	return e, nil
}

// rows emits the number of packed rows of the sections, a variable of the function.
func (e *entry) rows(secs []section) jen.Code {
	sum := ir.TotalRows(secs)
	if e.counts[sum] == "" {
		id := e.scope.name(goName("rows."+strings.ReplaceAll(sum.String(), "+", "."), false))
		e.counts[sum] = id
		e.declared = append(e.declared, jen.Id(id).Op(":=").Id("e").Dot("Rows").Call(jen.Lit(sum.C), jen.Lit(sum.T)))
	}
	return jen.Id(e.counts[sum])
}

// width returns the number of columns of a value in memory, padded heads included.
func width(v *ir.Value) int {
	if v.Op == ir.OpQKV {
		d := v.Type.Cols() / parts(v) / v.Attrs.Int("heads", 1)
		return v.Type.Cols() / d * asm.Ceil(d)
	}
	if (v.Op == ir.OpConcat || v.Op == ir.OpRows) && len(v.Args) > 0 {
		return width(v.Args[0])
	}
	return v.Type.Cols()
}

// parts returns the number of projections in a qkv value.
func parts(v *ir.Value) int { return partsOf(v.Attrs.Symbol("parts")) }

func partsOf(word string) int {
	if word == "" {
		return 3
	}
	return len(word)
}

// mat emits the matrix of a value: its variable if one is declared already.
func (e *entry) mat(v *ir.Value) jen.Code {
	if n, ok := e.vars[v]; ok {
		return jen.Id(n)
	}
	return e.address(v)
}

// address emits the matrix of a value at its offset in the arena.
func (e *entry) address(v *ir.Value) jen.Code {
	if h, ok := e.home[v]; ok {
		whole := e.mat(h.in)
		if len(h.after) == 0 {
			return jen.Add(whole).Dot("Sub").Call(jen.Lit(0), e.rows(e.sections[v]))
		}
		return jen.Add(whole).Dot("Sub").Call(e.rows(h.after), e.rows(e.sections[v]))
	}
	return e.arena(int(v.Offset), stride(v), e.rows(e.sections[v]), width(v))
}

// stride returns the leading dimension of a value; parameters have no attributes.
func stride(v *ir.Value) int {
	if v.Op == nil {
		return asm.Stride(v.Type.Cols())
	}
	return v.Attrs.Int("ld", 0)
}

// input returns the index of a parameter's first float in the floats of a sequence.
func (e *entry) input(v *ir.Value) int {
	at := 0
	for _, p := range e.f.Params {
		if p == v {
			break
		}
		if p.Type.DType == ir.F32 {
			at += int(p.Type.Elements(0))
		}
	}
	return at
}

// arena emits a matrix at a byte offset of the arena.
func (e *entry) arena(offset, ld int, rows jen.Code, cols int) jen.Code {
	return jen.Id("e").Dot("Mat").Call(jen.Lit(offset), jen.Lit(ld), rows, jen.Lit(cols))
}

// scratch emits the scratch matrices of the value, in their order.
func (e *entry) scratch(v *ir.Value) []jen.Code {
	var mats []jen.Code
	if v.Op.Scratch == nil {
		return nil
	}
	for i, s := range v.Op.Scratch(e.g.p, v) {
		n := e.rows([]section{s.Rows})
		mats = append(mats, e.arena(v.Attrs.Int(ir.ScratchKeys[i], 0), asm.Stride(s.Cols), n, s.Cols))
	}
	return mats
}

// sectionOf emits row, a number of rows per sequence, as a literal of package exec's Section.
func sectionOf(row ir.Dim) jen.Code {
	return jen.Qual(execPath, "Section").Values(fields(field{"C", row.C}, field{"T", row.T})...)
}

func sectionList(secs []section) *jen.Statement {
	return jen.Index().Qual(execPath, "Section").ValuesFunc(func(g *jen.Group) {
		for _, s := range secs {
			if s.C > 0 {
				g.Values(fields(field{"C", s.C})...)
			}
			if s.T {
				g.Values(fields(field{"T", true})...)
			}
		}
	})
}

// emit adds the function to the file.
func (e *entry) emit(file *jen.File) error {
	name := e.g.runName(e.f)
	var body []jen.Code
	for _, v := range e.f.Values {
		body = append(body, jen.Line(), jen.Comment(ir.PrintValue(v)))
		step, ok := stepOf(v.Op)
		if !ok {
			return fmt.Errorf("%s: %s: no call of the runtime computes %s; give its row in ir a Step, add a row to codegen/steps.go, or fuse it into another op", e.f.Name, ir.PrintValue(v), v.Op.Name)
		}
		if e.used[v] {
			id := e.scope.name(goName(v.Name, false))
			body = append(body, jen.Id(id).Op(":=").Add(e.address(v)))
			e.vars[v] = id
		}
		if step != nil {
			call, err := step(e, v)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", e.f.Name, ir.PrintValue(v), err)
			}
			body = append(body, call)
		}
	}
	file.Commentf("%s runs function %s over the packed rows of e's batch, one step a line.", name, e.f.Name)
	file.Func().Id(name).Params(jen.Id("e").Op("*").Qual(execPath, "Exec")).Block(append(e.declared, body...)...)
	return nil
}
