package codegen

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// computes returns a hash of everything that determines the package's results, except the weights' values: the program
// without notes of passes, the preprocessing of pictures and texts, and the rules of captions. It does not cover names of
// files and of the package, limits of memory, labels, kernels, and addresses in memory.
func computes(p *ir.Program, o *Options) [32]byte {
	var b strings.Builder
	fmt.Fprintf(&b, "text %d\n", o.Text)
	if x := o.Pixels; x != nil {
		fmt.Fprintf(&b, "pixels %d resize %d alpha %d mean %g std %g\n", x.Size, x.Resize, x.Alpha, x.Mean, x.Std)
		if x.Filter > 0 || x.Offset > 0 || x.Order > 0 {
			fmt.Fprintf(&b, "filter %d offset %d order %d\n", x.Filter, x.Offset, x.Order)
		}
		if x.Draft {
			fmt.Fprintln(&b, "draft")
		}
	}
	if o.Tokenizer != nil {
		fmt.Fprintf(&b, "tokenizer %x%s\n", sha256.Sum256(o.Tokenizer), o.Form)
	}
	for _, t := range o.Tasks {
		if t.MaxNew > 0 {
			fmt.Fprintf(&b, "task %s new %d ban %d\n", t.Name, t.MaxNew, t.Ban)
		}
	}
	for _, w := range p.Weights {
		fmt.Fprintf(&b, "weight @%s %v\n", w.Name, w.Type)
	}
	for _, f := range p.Funcs {
		b.WriteString(ir.PrintFunc(bare(f)))
	}
	return sha256.Sum256([]byte(b.String()))
}

// bare returns a copy of the function, for printing, without offsets and attributes that change no result.
func bare(f *ir.Func) *ir.Func {
	c := *f
	c.Arena = 0
	values := func(list []*ir.Value) []*ir.Value {
		list = slices.Clone(list)
		for i, v := range list {
			w := *v
			w.Offset = -1
			w.Attrs = slices.DeleteFunc(slices.Clone(v.Attrs), func(a ir.Attr) bool {
				return slices.ContainsFunc(ir.CommonAttrs, func(s ir.AttrSpec) bool { return s.Key == a.Key })
			})
			list[i] = &w
		}
		return list
	}
	c.Params, c.Values = values(f.Params), values(f.Values)
	return &c
}
