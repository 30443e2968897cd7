package codegen

import "github.com/dave/jennifer/jen"

// goldenTest emits the test that compares the package with recorded cases.
func (g *generator) goldenTest() error {
	f := g.newFile()
	const casetest = "github.com/multiway-go/multiway/golden/cases/casetest"
	f.ImportName(casetest, "casetest")
	var dirs []jen.Code
	for _, d := range g.opt.Golden {
		dirs = append(dirs, jen.Line().Lit(d))
	}
	open := jen.Id("Package").Call().Dot("New")
	if g.opt.Weights != Embed {
		open = jen.Func().Params(jen.Id("opts").Op("...").Qual(rtPath, "Option")).Params(jen.Op("*").Qual(rtPath, "Model"), jen.Error()).Block(
			jen.Return(jen.Id("Package").Call().Dot("Open").Call(jen.Lit("weights.bin"), jen.Id("opts").Op("..."))),
		)
	}
	f.Comment(`// TestGolden runs recorded cases at every CPU level that this machine has: inputs for
// this model, the results of a float64 interpreter, and the accepted error of float32.
// Record them again with: multiway golden record`)
	f.Func().Id("TestGolden").Params(jen.Id("t").Op("*").Qual("testing", "T")).Block(
		jen.Qual(casetest, "Run").Call(append([]jen.Code{jen.Id("t"), open}, append(dirs, jen.Line())...)...),
	)
	return g.add("golden_test.go", f)
}
