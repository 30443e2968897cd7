package codegen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"
)

// exampleFile is the file with an example of a package's methods. It belongs to the package itself, whose import path is not known here.
const exampleFile = "example_multiway_test.go"

// exampleTasks bounds the tasks in the example, so that it fits on a screen.
const exampleTasks = 2

// shown is the example of a task: the call of a method, whose results are name and an error, the arguments of the line that
// prints the result, and the printed text, which is the same on every CPU.
type shown struct {
	name   string
	pic    bool // an argument is the example's picture
	call   *jen.Statement
	print  []jen.Code
	output string
}

// aPicture is the example's picture as an argument of show.
var aPicture jen.Code = jen.Id("pic")

// show returns the example of a call of a method of the model m.
func show(name, method string, args ...jen.Code) shown {
	return shown{name: name, pic: slices.Contains(args, aPicture), call: jen.Id("m").Dot(method).Call(append([]jen.Code{ctx}, args...)...)}
}

// prints adds a line that prints arguments, and its expected output.
func (s shown) prints(output string, args ...jen.Code) *shown {
	s.print, s.output = args, output
	return &s
}

// printsLen adds a line that prints the number of values of the result.
func (s shown) printsLen(n int, what string) *shown {
	return s.prints(fmt.Sprintf("%d %s", n, what), jen.Len(jen.Id(s.name)), jen.Lit(what))
}

// exampleFile emits the example, if the package has methods to show. It runs as a test only if the weights are embedded, since
// otherwise their file may not exist.
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
	if slices.ContainsFunc(all, func(s *shown) bool { return s.pic }) {
		size := jen.Lit(g.opt.Pixels.Size)
		grey := jen.Qual("image", "NewGray").Call(jen.Qual("image", "Rect").Call(jen.Lit(0), jen.Lit(0), size, size))
		lines = append(lines, jen.Add(aPicture).Op(":=").Qual(taskPath, "Image").Call(grey).Comment("or task.File(path)"))
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
