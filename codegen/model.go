package codegen

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir"
)

const (
	taskPath  = rtPath + "/task"
	tokenPath = rtPath + "/token"
	pixelPath = rtPath + "/pixel"

	captionPath = rtPath + "/caption"
)

func (g *generator) modelFile(layout [32]byte) error {
	f := g.newFile()
	f.PackageComment(lines(g.doc()))
	f.Anon("embed")
	if g.opt.Weights == Embed {
		f.Comment("//go:embed weights.bin")
		f.Var().Id("weights").String()
	}
	if g.opt.Tokenizer != nil {
		f.Line().Comment("//go:embed vocab.bin")
		f.Var().Id("vocab").Index().Byte()
	}
	f.Line().Comment("//go:embed check.json")
	f.Var().Id("vectors").Index().Byte()
	f.Line().Comment("This package was written for the fifth contract between generated code and the runtime: an older or newer runtime lacks the constant.")
	f.Const().Id("_").Op("=").Qual(rtPath, "Contract5")

	var funcs []jen.Code
	vocab := 0
	for _, fn := range g.p.Funcs {
		funcs = append(funcs, jen.Op("&").Id(g.funcName(fn)))
		for _, v := range fn.Values {
			if v.Op == ir.OpEmbed {
				vocab = max(vocab, g.weights[v.Bundle+".tok.w"].Type.Shape[0].C)
			}
		}
	}
	pkg := []field{
		{"Name", g.opt.Package},
		{"Contract", jen.Qual(rtPath, "Contract5")},
		{"Layout", sum(layout)},
		{"Hash", sum(g.opt.Hash)},
		{"Computes", sum(computes(g.p, &g.opt))},
		{"Funcs", jen.Index().Op("*").Qual(execPath, "Func").Values(onLines(funcs)...)},
		{"Kernels", g.kernels()},
		{"Rows", g.opt.Rows},
		{"Text", g.opt.Text},
		{"Vocab", vocab},
		{"Precision", g.opt.Precision},
	}
	if g.opt.Weights == Embed {
		pkg = append(pkg, field{"Blob", jen.Id("weights")})
	}
	f.Line().Comment("compiled describes the compiled model.")
	f.Var().Id("compiled").Op("=").Qual(rtPath, "Package").Values(onLines(fields(pkg...))...)
	f.Line().Comment("Package returns a description of the compiled model: its functions, limits and kernels.")
	f.Func().Id("Package").Params().Op("*").Qual(rtPath, "Package").Block(
		jen.Id("p").Op(":=").Id("compiled"),
		jen.Return(jen.Op("&").Id("p")),
	)

	g.blockingTable(f)
	g.input(f)
	g.constructors(f)
	for _, t := range g.opt.Tasks {
		t.row().write(g, f, t)
	}
	for _, fn := range g.p.Funcs {
		g.tensorMethod(f, fn)
	}
	return g.add(lastFile, f)
}

// sum emits a hash, or nil for the zero hash.
func sum(hash [32]byte) any {
	if hash == [32]byte{} {
		return nil
	}
	return jen.Qual(blobPath, "Sum").Call(jen.Lit(hex.EncodeToString(hash[:])))
}

// kernels emits the list of kernel tables that the package uses; the linker drops the others.
func (g *generator) kernels() jen.Code {
	has := map[ir.DType]bool{ir.F32: true}
	for _, w := range g.p.Weights {
		has[w.Type.DType] = true
	}
	var used []jen.Code
	for _, d := range ir.DTypes() {
		if has[d] && d.Gemm() != "" {
			used = append(used, jen.Qual(kernelsPath, d.Ident()))
		}
	}
	if len(used) == 1 {
		return used[0]
	}
	return jen.Qual("slices", "Concat").Call(used...)
}

func (g *generator) doc() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Package %s is a multiway model compiled from %s.\n\n", g.opt.Package, g.opt.From)
	b.WriteString("Its functions:\n")
	for _, f := range g.p.Funcs {
		var params []string
		for _, p := range f.Params {
			params = append(params, p.Name+": "+p.Type.String())
		}
		fmt.Fprintf(&b, "\n\tfunc %s(%s) -> %s", f.Name, strings.Join(params, ", "), outputs(f))
	}
	b.WriteString("\n\nA Model is immutable and safe to share; a Session serves one goroutine at a time\nand allocates nothing once its buffers have grown.")
	return b.String()
}

// input emits the variable that describes how pictures and texts become tensors and token ids.
func (g *generator) input(f *jen.File) {
	d := jen.Dict{
		jen.Id("MaxText"): jen.Lit(g.opt.Text),
		jen.Id("Vectors"): jen.Id("vectors"),
	}
	if g.opt.MaxPixels > 0 {
		d[jen.Id("MaxPixels")] = jen.Lit(g.opt.MaxPixels)
	}
	for _, t := range g.opt.Tasks {
		if g.labelled(t) {
			d[jen.Id(t.row().labels)] = jen.Id(listName(t.row().labels))
		}
		if add := t.row().input; add != nil {
			add(g, t, d)
		}
	}
	if p := g.opt.Pixels; p != nil {
		three := func(v [3]float32) jen.Code {
			return jen.Index(jen.Lit(3)).Float32().Values(jen.Lit(float32lit(v[0])), jen.Lit(float32lit(v[1])), jen.Lit(float32lit(v[2])))
		}
		constant := func(name string) jen.Code { return jen.Qual(pixelPath, goName(name, true)) }
		values := jen.Dict{
			jen.Id("Size"):   jen.Lit(p.Size),
			jen.Id("Resize"): constant(p.Resize.String()),
			jen.Id("Alpha"):  constant(p.Alpha.String()),
			jen.Id("Mean"):   three(p.Mean),
			jen.Id("Std"):    three(p.Std),
		}
		if p.Filter != 0 {
			values[jen.Id("Filter")] = constant(p.Filter.String())
		}
		if p.Offset != 0 {
			values[jen.Id("Offset")] = constant(p.Offset.String())
		}
		if p.Order != 0 {
			values[jen.Id("Order")] = constant("convert." + p.Order.String())
		}
		if p.Draft {
			values[jen.Id("Draft")] = jen.True()
		}
		d[jen.Id("Pixels")] = jen.Op("&").Qual(pixelPath, "Preprocess").Values(values)
	}
	if g.opt.Tokenizer != nil {
		d[jen.Id("LoadTokens")] = jen.Func().Params().Params(jen.Qual(tokenPath, "Tokenizer"), jen.Error()).Block(
			jen.Return(jen.Qual(tokenPath, token.Loader(g.opt.Tokenizer, g.opt.Form)).Call(jen.Id("vocab"))),
		)
	}
	f.Line().Comment("input describes how pictures and texts become inputs of the model.")
	f.Var().Id("input").Op("=").Qual(taskPath, "Input").Values(d)
}

// float32lit returns the float64 of the shortest decimal that reads back as v.
func float32lit(v float32) float64 {
	x, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64) // formatted numbers parse
	return x
}

// constructors emits Model and Session, with the functions and methods that do not depend on the tasks.
func (g *generator) constructors(f *jen.File) {
	opts := jen.Id("opts").Op("...").Qual(rtPath, "Option")
	results := []jen.Code{jen.Op("*").Id("Model"), jen.Error()}
	f.Comment(lines("Model is the model with its weights open. It is safe for concurrent use, and what its methods return is\nthe caller's.\n\nA call for several inputs computes 64 of them at a time, and ends with ctx's error in between when ctx is\ndone. Where only some inputs have no result, the error is a *rt.BatchError, and their results are nil, NaN or\nzero. task.Each calls such a method on a sequence of any length."))
	f.Type().Id("Model").Struct(jen.Id("m").Op("*").Qual(taskPath, "Model"))
	f.Comment(lines("Session is one arena and one set of threads for one goroutine at a time: another one gets rt.ErrBusy.\nIts methods are those of Model, and vectors that they return are valid until its next call."))
	f.Type().Id("Session").Struct(jen.Id("s").Op("*").Qual(taskPath, "Session"))

	where := map[Placement]string{
		Embed:  "New opens the model with the weights that are in this package.",
		Append: "New opens the model with the weights at the end of the running executable.",
		File:   "New opens the model with weights appended to the running executable, if there are any; see Open.",
	}[g.opt.Weights]
	f.Comment(where)
	f.Func().Id("New").Params(opts).Params(results...).Block(
		jen.Return(jen.Id("wrap").Call(jen.Id("compiled").Dot("New").Call(jen.Id("opts").Op("...")))),
	)
	f.Comment(lines("Open opens the model with the weight file at path, which it maps: replace the file by a\nrename, never in place while it is open."))
	f.Func().Id("Open").Params(jen.Id("path").String(), opts).Params(results...).Block(
		jen.Return(jen.Id("wrap").Call(jen.Id("compiled").Dot("Open").Call(jen.Id("path"), jen.Id("opts").Op("...")))),
	)
	f.Line().Func().Id("wrap").Params(jen.Id("m").Op("*").Qual(rtPath, "Model"), jen.Err().Error()).Params(results...).Block(
		jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
		jen.List(jen.Id("t"), jen.Err()).Op(":=").Id("input").Dot("NewModel").Call(jen.Id("m")),
		jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
		jen.Return(jen.Op("&").Id("Model").Values(jen.Id("t")), jen.Nil()),
	)
	session := jen.Op("*").Id("Session")
	inner := jen.Id("m").Dot("m")
	pass := func(doc, recv, typ, name string, result *jen.Statement) {
		f.Comment(lines(doc))
		methodOn(f, recv, typ, name).Params().Add(result).Block(jen.Return(jen.Id(recv).Dot(recv).Dot(name).Call()))
	}
	pass("Close waits for running calls and gives the weights' memory back. Calls after it get rt.ErrClosed.", "m", "Model", "Close", jen.Error())
	pass("Fingerprint names what the model computes: vectors that are stored can be compared with new ones for\nas long as it is the same.", "m", "Model", "Fingerprint", jen.String())
	pass("Info describes the open model.", "m", "Model", "Info", jen.Qual(rtPath, "Info"))
	pass("Verify reads all weights and compares them with the hash in their file.", "m", "Model", "Verify", jen.Error())
	f.Comment(lines("Do calls do with one of the model's own sessions, and waits for one if all are busy, until ctx is\ndone. do must not keep the session, or vectors that it returns."))
	methodOn(f, "m", "Model", "Do").Params(ctxParam, jen.Id("do").Func().Params(session.Clone()).Error()).Error().Block(
		jen.Return(inner.Clone().Dot("Do").Call(ctx, jen.Func().Params(jen.Id("s").Op("*").Qual(taskPath, "Session")).Error().Block(
			jen.Return(jen.Id("do").Call(jen.Op("&").Id("Session").Values(jen.Id("s")))),
		))),
	)
	f.Comment("NewSession returns a session of its own for one goroutine, with as many threads as the model was opened with.")
	methodOn(f, "m", "Model", "NewSession").Params().Add(session).Block(
		jen.Return(jen.Op("&").Id("Session").Values(inner.Clone().Dot("NewSession").Call())),
	)
	f.Comment("Task returns the model beneath, which takes functions as arguments, as commands do. It is closed with m.")
	methodOn(f, "m", "Model", "Task").Params().Op("*").Qual(taskPath, "Model").Block(jen.Return(inner))
	pass("Close stops the session's threads. Calls after it get rt.ErrClosed.", "s", "Session", "Close", jen.Error())
	f.Comment("Task returns the session beneath, which takes functions as arguments. It is closed with s.")
	methodOn(f, "s", "Session", "Task").Params().Op("*").Qual(taskPath, "Session").Block(jen.Return(jen.Id("s").Dot("s")))
}

// tensorMethod emits the method that runs the function itself: tensors and token ids in, tensors out.
func (g *generator) tensorMethod(f *jen.File, fn *ir.Func) {
	name := goName(fn.Name, true)
	f.Comment(lines(fmt.Sprintf("%s runs function %s on a batch of sequences. The result's outputs are, in order:\n%s.", name, fn.Name, outputs(fn))))
	methodOn(f, "s", "Session", name).Params(ctxParam, jen.Id("batch").Index().Qual(rtPath, "Seq")).
		Params(jen.Op("*").Qual(rtPath, "Result"), jen.Error()).Block(
		jen.Return(jen.Id("s").Dot("s").Dot("Tensors").Call(ctx, jen.Op("&").Id(g.funcName(fn)), jen.Id("batch"))),
	)
}

// lines formats a comment of several lines, with // before each.
func lines(text string) string {
	all := strings.Split(text, "\n")
	for i, l := range all {
		all[i] = strings.TrimSpace("// " + l)
		if strings.HasPrefix(l, "\t") {
			all[i] = "//" + l
		}
	}
	return strings.Join(all, "\n")
}

func outputs(f *ir.Func) string {
	var s []string
	for _, r := range f.Results {
		if r.Op != ir.OpStore {
			s = append(s, r.Name+" "+r.Type.String())
		}
	}
	if s == nil {
		return "none, but its state"
	}
	return strings.Join(s, ", ")
}
