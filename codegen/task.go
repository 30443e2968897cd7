package codegen

import (
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/ir"
)

// taskAPI is an entry of the table of tasks: the API of a task's packages besides the methods on tensors, which all tasks have.
type taskAPI struct {
	name   string
	labels string   // name of the list of its labels in the package, and of its field in task.Input; "" = no labels
	of     string   // kind of the function whose logits have the labels
	idents []string // further identifiers that it declares in the package

	// input adds fields to the package's task.Input, besides labels; nil: none.
	input func(g *generator, t Task, d jen.Dict)
	// write emits the methods of Session and Model for which the program has functions.
	write func(g *generator, f *jen.File, t Task)
	// example returns the task's part of the package's example, or nil if the package lacks the functions or labels that it needs. nil: the task is not in the example.
	example func(g *generator, t Task) *shown
}

var tasks []taskAPI

func init() { // Go rejects an initial value whose functions read the variable
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

// row returns the task's entry, or an entry that adds nothing.
func (t *Task) row() *taskAPI {
	if i := slices.Index(TaskNames(), t.Name); i >= 0 {
		return &tasks[i]
	}
	return &taskAPI{name: t.Name, write: func(*generator, *jen.File, Task) {}}
}

// find returns the program's function of the given task and kind, or nil.
func (g *generator) find(task, kind string) *ir.Func {
	for _, f := range g.opt.Functions {
		if f.Task == task && f.Kind == kind && g.p.Func(f.Name) != nil {
			return g.p.Func(f.Name)
		}
	}
	return nil
}

// ref emits a pointer to the descriptor of a function.
func (g *generator) ref(f *ir.Func) *jen.Statement { return jen.Op("&").Id(g.funcName(f)) }

// methodsOf reports whether the package has typed methods for a function, which need inputs of pictures, texts or both.
func (g *generator) methodsOf(f *ir.Func) bool {
	if f == nil {
		return false
	}
	for _, p := range f.Params {
		if text := p.Type.DType == ir.I32; text && g.opt.Tokenizer == nil || !text && g.opt.Pixels == nil {
			return false
		}
	}
	return true
}

// labelled reports whether the package has a list of the task's labels.
func (g *generator) labelled(t Task) bool {
	return len(t.Labels) > 0 && t.row().labels != "" && g.find(t.Name, t.row().of) != nil
}

// labels emits the list of a task's labels, if it has any, with the function that returns it, whose doc comment calls the labels
// what. It returns the list's name, or nil.
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

// listName returns the name of the variable whose list of labels the function returns.
func listName(function string) string { return strings.ToLower(function) }

// input describes the input of a typed method.
type input struct {
	params []jen.Code // parameters for one input
	typ    jen.Code   // type of an element of a list of inputs
	value  jen.Code   // the parameters as an element of a list literal
	list   string     // name of a list of inputs
}

var (
	picture = jen.Qual(taskPath, "Picture")
	vector  = jen.Index().Float32()
	ofImage = input{params: []jen.Code{jen.Id("pic").Add(picture)}, typ: picture, value: jen.Id("pic"), list: "pics"}
	ofText  = input{params: []jen.Code{jen.Id("text").String()}, typ: jen.String(), value: jen.Id("text"), list: "texts"}
	ofPair  = pairOf("text", "pairs")
	labels  = jen.Index().Qual(taskPath, "Label")

	ofQuestion = pairOf("question", "questions")
)

// pairOf returns the input of a picture and a text. text is the name of the text's parameter, list of a list of pairs.
func pairOf(text, list string) input {
	return input{params: []jen.Code{jen.Id("pic").Add(picture), jen.Id(text).String()}, typ: jen.Qual(taskPath, "Pair"),
		value: jen.Values(fields(field{"Picture", jen.Id("pic")}, field{"Text", jen.Id(text)})...), list: list}
}

// method is a typed method of Model and Session, with a form for one input and a form for several, whose name is a plural.
type method struct {
	one, many string
	doc       string // comment of the form for one input, after its name
	all       string // comment of the form for several inputs, after its name
	of        input
	options   jen.Code // type of a further parameter o; nil: none
	result    jen.Code
	call      call     // the result of the form for several inputs
	names     jen.Code // names of the classes, if call returns logits; nil: it returns results
}

// call returns the expression of a call with a list of inputs, on a receiver, m or s.
type call func(recv string, list jen.Code) jen.Code

// methodOn begins a method of Session or Model.
func methodOn(f *jen.File, recv, typ, name string) *jen.Statement {
	return f.Func().Params(jen.Id(recv).Op("*").Id(typ)).Id(name)
}

var (
	ctx      = jen.Id("ctx")
	ctxParam = jen.Id("ctx").Qual("context", "Context")
)

// write emits the method's forms for one and several inputs, on Model and on Session.
func (m method) write(f *jen.File) {
	var param, arg []jen.Code
	if m.options != nil {
		param, arg = []jen.Code{jen.Id("o").Add(m.options)}, []jen.Code{jen.Id("o")}
	}
	for _, on := range []struct{ recv, typ string }{{"m", "Model"}, {"s", "Session"}} {
		list := jen.Index().Add(m.of.typ)
		f.Comment(lines(m.one + " " + m.doc))
		methodOn(f, on.recv, on.typ, m.one).Params(slices.Concat([]jen.Code{ctxParam}, m.of.params, param)...).Params(m.result, jen.Error()).Block(
			jen.Return(jen.Qual(taskPath, "One").Call(jen.Id(on.recv).Dot(m.many).Call(
				slices.Concat([]jen.Code{ctx, list.Clone().Values(m.of.value)}, arg)...))),
		)
		f.Comment(lines(m.many + " " + m.all))
		call := m.call(on.recv, jen.Id(m.of.list))
		body := []jen.Code{jen.Return(call)}
		if m.names != nil {
			body = []jen.Code{
				jen.List(jen.Id("logits"), jen.Err()).Op(":=").Add(call),
				jen.Return(jen.Qual(taskPath, "Tops").Call(jen.Id("logits"), m.names), jen.Err()),
			}
		}
		methodOn(f, on.recv, on.typ, m.many).Params(slices.Concat([]jen.Code{ctxParam, jen.Id(m.of.list).Add(list)}, param)...).
			Params(jen.Index().Add(m.result), jen.Error()).Block(body...)
	}
}

// beneath returns a call of a method of rt's Model or Session, in which the list of inputs follows arg.
func beneath(name string, arg jen.Code, options ...jen.Code) call {
	return func(recv string, list jen.Code) jen.Code {
		return jen.Id(recv).Dot(recv).Dot(name).Call(slices.Concat([]jen.Code{ctx, arg, list}, options)...)
	}
}
