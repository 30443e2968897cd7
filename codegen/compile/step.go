package compile

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/passes"
)

// wrongStep returns a line that names the first step whose result differs from the interpreter's, in the first function that
// has one, or "" if there is none.
func (m *Model) wrongStep(c *checker, functions []string, opt Options) string {
	for _, f := range functions {
		if v, err := m.firstWrong(c, f, opt); err == nil && v != nil {
			text, _, _ := strings.Cut(ir.PrintValue(v), " : ")
			return fmt.Sprintf("the first step of %s that differs is `%s`\n", f, strings.Join(strings.Fields(text), " "))
		}
	}
	return ""
}

// firstWrong returns the first value of a function that differs from the interpreter's, or nil. It compiles the function again,
// with the value of each step as a result. No value is then overwritten, so it cannot find a step that is wrong only because
// it overwrites another value.
func (m *Model) firstWrong(c *checker, function string, opt Options) (*ir.Value, error) {
	if c.rounds.Coarse {
		return nil, nil // rounding hides errors of single steps
	}
	p, _, err := m.Lower([]string{function})
	if err != nil {
		return nil, err
	}
	lastFusion := passes.All[slices.Index(passes.All, passes.Narrow)-1]
	if p, err = passes.Run(p, m.passes(lastFusion.Name)); err != nil {
		return nil, err
	}
	f := p.Funcs[0]
	if len(p.Funcs) > 1 || f.Stores() {
		return nil, nil // it runs with others
	}
	f.Results = everyValue(f)
	stored, err := m.Stored(p)
	if err != nil {
		return nil, err
	}
	planned, err := m.Plan(p)
	if err != nil {
		return nil, err
	}
	code, err := m.CodeOptions()
	if err != nil {
		return nil, err
	}
	e, err := engine.New(planned, code, "", opt.log)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	each := &checker{text: c.text, vocab: c.vocab, salt: c.salt, rounds: c.rounds}
	got, err := each.outputs(e, planned, "")
	if err != nil {
		return nil, err
	}
	want, err := each.interpret(stored)
	if err != nil {
		return nil, err
	}
	each.compare(got, want, "interpreter")
	for i, r := range each.results {
		for k, x := range got[i].values {
			if !(math.Abs(x-want[i].values[k]) <= r.Bound) {
				return part(f.Results[i], k/want[i].cols, c.text), nil
			}
		}
	}
	return nil, nil
}

// everyValue lists the values of f that can be results, in their order. Parts of a concat cannot; the concat takes the position
// of its first part. Nor can a qkv, whose heads are padded.
func everyValue(f *ir.Func) []*ir.Value {
	whole := map[*ir.Value]*ir.Value{}
	padded := map[*ir.Value]bool{}
	for _, v := range f.Values {
		padded[v] = v.Op == ir.OpQKV
		if v.Op == ir.OpConcat {
			for _, a := range v.Args {
				whole[a] = v
				padded[v] = padded[v] || padded[a]
			}
		}
	}
	var all []*ir.Value
	for _, v := range f.Values {
		for whole[v] != nil {
			v = whole[v]
		}
		view := v.Op.View && v.Op != ir.OpConcat
		if !slices.Contains(all, v) && (slices.Contains(f.Results, v) || v.Packed() && !view && !padded[v]) {
			all = append(all, v)
		}
	}
	return all
}

// part returns the part of v that contains its row number row, for a text of the given number of tokens; v itself if it is not a concat.
func part(v *ir.Value, row, text int) *ir.Value {
	if v.Op != ir.OpConcat {
		return v
	}
	for _, a := range v.Args {
		rows := a.Type.Rows().C
		if a.Type.Rows().T {
			rows += text
		}
		if row < rows {
			return part(a, row, text)
		}
		row -= rows
	}
	return v
}
