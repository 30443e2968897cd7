package codegen

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"
)

// exampleFile is the example of a package's methods. It is in the package itself: its import path is not known here.
const exampleFile = "example_multiway_test.go"

// exampleTasks is the most tasks that the example shows, so that it fits on a screen.
const exampleTasks = 2

// shown is what the example shows of a task: the call of a method, which gives name and an error, what is printed of it, and what
// that prints on every CPU.
type shown struct {
	name   string
	call   *jen.Statement
	print  []jen.Code
	output string
}

// show is a call of a method of the model m.
func show(name, method string, args ...jen.Code) shown {
	return shown{name: name, call: jen.Id("m").Dot(method).Call(append([]jen.Code{ctx}, args...)...)}
}

// prints has the example print something of the result, the output.
func (s shown) prints(output string, args ...jen.Code) *shown {
	s.print, s.output = args, output
	return &s
}

// printsLen has the example print how many values the result has.
func (s shown) printsLen(n int, what string) *shown {
	return s.prints(fmt.Sprintf("%d %s", n, what), jen.Len(jen.Id(s.name)), jen.Lit(what))
}

// exampleFile writes the example, if the package has methods to show. It is run as a test where the weights are embedded, else
// only compiled: they may not be there.
func (g *generator) exampleFile() error {
	var all []*shown
	for _, t := range g.opt.Tasks {
		if row := t.row(); row.example != nil && len(all) < exampleTasks {
			if s := row.example(g, t); s != nil {
				all = append(all, s)
			}
		}
	}
	if all == nil {
		return nil
	}
	fail := jen.If(jen.Err().Op("!=").Nil()).Block(jen.Qual("log", "Fatal").Call(jen.Err()))
	open := jen.Id("New").Call()
	if g.opt.Weights != Embed {
		open = jen.Id("Open").Call(jen.Lit("weights.bin"))
	}
	lines := []jen.Code{
		jen.List(jen.Id("m"), jen.Err()).Op(":=").Add(open), fail,
		jen.Defer().Id("m").Dot("Close").Call(),
		jen.Id("ctx").Op(":=").Qual("context", "Background").Call(),
	}
	if g.opt.Pixels != nil {
		size := jen.Lit(g.opt.Pixels.Size)
		grey := jen.Qual("image", "NewGray").Call(jen.Qual("image", "Rect").Call(jen.Lit(0), jen.Lit(0), size, size))
		lines = append(lines, jen.Id("pic").Op(":=").Qual(taskPath, "Image").Call(grey).Comment("or task.File(path)"))
	}
	var output strings.Builder
	for _, s := range all {
		lines = append(lines, jen.List(jen.Id(s.name), jen.Err()).Op(":=").Add(s.call), fail, jen.Qual("fmt", "Println").Call(s.print...))
		output.WriteString("\n// " + s.output)
	}
	if g.opt.Weights == Embed {
		lines = append(lines, jen.Comment("// Output:"+output.String()))
	}
	f := g.newFile()
	f.Comment("Opening the model, and some of its methods.")
	f.Func().Id("Example_multiway").Params().Block(lines...)
	return g.add(exampleFile, f)
}
