package codegen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/ir"
)

// taskAPI is a row of the table of tasks: what a package has of one besides functions of tensors. A task without a row has those alone.
type taskAPI struct {
	name   string
	labels string   // what the list of its labels is called, in the package and in its input; "" = it has none
	of     string   // kind of the function whose logits the labels are of
	idents []string // further identifiers that it declares in the package

	// input adds to what the package's input says; nil: labels alone.
	input func(g *generator, t Task, d jen.Dict)
	// write writes the methods of Session and Model that the program has the functions for.
	write func(g *generator, f *jen.File, t Task)
}

var tasks []taskAPI

func init() { // not an initial value: the functions in it read the table
	tasks = []taskAPI{
		retrieval, retrievalVL,
		classification,
		vqa,
		itm,
		nlvr2,
		captioning,
	}
}

// TaskNames lists the tasks that have typed methods, or labels.
func TaskNames() []string {
	var names []string
	for _, t := range tasks {
		names = append(names, t.name)
	}
	return names
}

// row returns the task's row, or a row that adds nothing.
func (t *Task) row() *taskAPI {
	if i := slices.Index(TaskNames(), t.Name); i >= 0 {
		return &tasks[i]
	}
	return &taskAPI{name: t.Name, write: func(*generator, *jen.File, Task) {}}
}

// find returns the program's function of a task that is of a kind, nil if there is none.
func (g *generator) find(task, kind string) *ir.Func {
	for _, f := range g.opt.Functions {
		if f.Task == task && f.Kind == kind && g.p.Func(f.Name) != nil {
			return g.p.Func(f.Name)
		}
	}
	return nil
}

// ref is a pointer to what describes a function.
func (g *generator) ref(f *ir.Func) *jen.Statement { return jen.Op("&").Id(g.funcName(f)) }

// labelled reports whether the package has a list of the task's labels.
func (g *generator) labelled(t Task) bool {
	return len(t.Labels) > 0 && t.row().labels != "" && g.find(t.Name, t.row().of) != nil
}

// labels writes the list of a task's labels, if it has any, with the function that returns it, and returns the list's name, or nil.
func (g *generator) labels(f *jen.File, t Task, what string) jen.Code {
	if !g.labelled(t) {
		return jen.Nil()
	}
	name := t.row().labels
	list := listName(name)
	f.Commentf("%s returns %s, in the order of the logits.", name, what)
	f.Func().Id(name).Params().Index().String().Block(jen.Return(jen.Qual("slices", "Clone").Call(jen.Id(list))))
	f.Line().Var().Id(list).Op("=").Index().String().ValuesFunc(func(v *jen.Group) {
		for _, l := range t.Labels {
			v.Line().Lit(l)
		}
		v.Line()
	})
	return jen.Id(list)
}

// listName is the variable of a list of labels that is returned by a function of that name.
func listName(function string) string { return strings.ToLower(function) }

var (
	picture  = jen.Qual("image", "Image")
	pictures = jen.Index().Add(picture)
	vector   = jen.Index().Float32()
	vectors  = jen.Index().Index().Float32()
)

// methodOn begins a method of Session or Model.
func methodOn(f *jen.File, recv, typ, name string) *jen.Statement {
	return f.Func().Params(jen.Id(recv).Op("*").Id(typ)).Id(name)
}

// rowMethods writes the methods name and many, for one and for several inputs, of a function of pictures or of texts: on a
// Session they return memory that the next call reuses, on a Model memory of the caller's own. what is what they return.
func (g *generator) rowMethods(f *jen.File, fn *ir.Func, name, many, what string) {
	run, one, typ, noun := "Images", "img", picture, "picture"
	if fn.Params[0].Type.DType == ir.I32 {
		run, one, typ, noun = "Texts", "text", jen.String(), "text"
	}
	several := jen.Id(one + "s").Index().Add(typ)
	f.Commentf("%s returns %s of a %s, %d values, valid until the session's next call.", name, what, noun, fn.Results[0].Type.Cols())
	methodOn(f, "s", "Session", name).Params(jen.Id(one).Add(typ)).Params(vector, jen.Error()).Block(
		jen.Return(jen.Qual(taskPath, "One").Call(jen.Id("s").Dot("s").Dot(run).Call(g.ref(fn), jen.Id(one)))),
	)
	f.Comment(lines(fmt.Sprintf("%s returns %s of each %s, in one packed batch; where only some have\nnone, the error is a *rt.BatchError and their rows are nil.", many, what, noun)))
	methodOn(f, "s", "Session", many).Params(several).Params(vectors, jen.Error()).Block(
		jen.Return(jen.Id("s").Dot("s").Dot(run).Call(g.ref(fn), jen.Id(one+"s").Op("..."))),
	)
	f.Commentf("%s returns %s of a %s.", name, what, noun)
	methodOn(f, "m", "Model", name).Params(jen.Id(one).Add(typ)).Params(vector, jen.Error()).Block(
		jen.Return(jen.Qual(taskPath, "One").Call(jen.Id("m").Dot(many).Call(jen.Index().Add(typ).Values(jen.Id(one))))),
	)
	f.Comment(lines(fmt.Sprintf("%s returns %s of each %s; where only some have none, the error is a\n*rt.BatchError and their rows are nil.", many, what, noun)))
	methodOn(f, "m", "Model", many).Params(several).Params(vectors, jen.Error()).Block(
		jen.Return(jen.Id("m").Dot("m").Dot(run).Call(g.ref(fn), jen.Id(one+"s"))),
	)
}
