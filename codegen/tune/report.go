package tune

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

// Choice lists the parts of a model that are stored differently from its description. A nil Choice changes nothing.
type Choice struct {
	Precision string     // of modules that are not in Overrides
	Default   string     // default format of Precision, if it differs from the description's
	Level     string     // the CPU level for which costs were compared
	Smoothed  []Smoothed // norms whose readers round their input to int8
	Overrides []Override // in the order of layers

	// Before is the accuracy of the outputs in the interpreter without overrides, Results with
	// them; both are nil if there was nothing to choose.
	Before, Results []Result
}

// Result is the accuracy of an output of a function.
type Result struct {
	Func   string  `json:"func"`
	Output string  `json:"output"`
	Judge  string  `json:"judge"`
	Rows   int     `json:"rows"`
	Cosine float64 `json:"cosine"` // the least cosine of a row
	Mean   float64 `json:"mean_cosine"`
}

// Stored returns the formats of weights: described, with the choice's default and overrides.
func (c *Choice) Stored(described precision.Map) precision.Map {
	if c == nil {
		return described
	}
	described.Default = cmp.Or(c.Default, described.Default)
	var overrides []precision.Override
	for _, k := range c.Overrides {
		overrides = append(overrides, k.Override)
	}
	described.Overrides = slices.Concat(overrides, described.Overrides) // the last override of a module wins
	return described
}

// Smooth returns the norms to smooth in the form of passes.Options.
func (c *Choice) Smooth() map[string]passes.Smoothing {
	if c == nil {
		return nil
	}
	return smoothings(c.Smoothed)
}

// Override is a module that is stored in another format than the model's precision.
type Override struct {
	precision.Override
	Work  map[string]float64 // by function: the module's share of the work of products and attention
	Bytes int64              // bytes that the override adds
}

// Whole lists functions of the planned program in which overrides leave no product below f32.
func (c *Choice) Whole(p *ir.Program) []string {
	var names []string
	for _, f := range p.Funcs {
		kept := c != nil && slices.ContainsFunc(c.Overrides, func(k Override) bool { return k.Work[f.Name] > 0 })
		if kept && !slices.ContainsFunc(f.Values, func(v *ir.Value) bool { return reduced(p, f, v) }) {
			names = append(names, f.Name)
		}
	}
	return names
}

// reduced reports whether v is a product with weights of another type than float32.
func reduced(p *ir.Program, f *ir.Func, v *ir.Value) bool {
	return slices.ContainsFunc(p.Used(f, v), func(w *ir.Weight) bool {
		return w.Type.DType != ir.F32 && w.Layout != "" && w.Layout != asm.RowsLayout
	})
}

// work returns, by function, the overridden modules' share of the work of products and attention.
func (c *Choice) work() map[string]float64 {
	all := map[string]float64{}
	for _, k := range c.Overrides {
		for f, x := range k.Work {
			all[f] += x
		}
	}
	return all
}

// shares formats the shares of work as text.
func shares(work map[string]float64) string {
	var list []string
	for _, f := range slices.Sorted(maps.Keys(work)) {
		list = append(list, fmt.Sprintf("%s %.1f %%", f, 100*work[f]))
	}
	return strings.Join(list, ", ")
}

// Summary returns a line with the number of overridden modules and their share of the work.
func (c *Choice) Summary() string {
	if len(c.Overrides) == 0 {
		return "no module is stored finer than " + c.Precision
	}
	return fmt.Sprintf("%d modules are stored finer than %s: %s of the work", len(c.Overrides), c.Precision, shares(c.work()))
}

// String returns a table of the norms, the modules, and the outputs before and after.
func (c *Choice) String() string {
	var b strings.Builder
	for _, s := range c.Smoothed {
		fmt.Fprintln(&b, s)
	}
	if c.Results == nil {
		return strings.TrimSuffix(b.String(), "\n")
	}
	if c.Default != "" {
		fmt.Fprintf(&b, "%s is faster on CPUs of level %s; weights are stored in it where that is accurate enough\n", c.Default, c.Level)
	}
	if len(c.Overrides) == 0 {
		fmt.Fprintf(&b, "precision %s: every module is stored in it\n", c.Precision)
	} else {
		fmt.Fprintf(&b, "%-28s %-8s %9s  share of the work of\n", "finer than "+c.Precision, "as", "more MB")
	}
	row := func(name, format string, bytes int64, work map[string]float64) {
		fmt.Fprintf(&b, "%-28s %-8s %9.2f  %s\n", name, format, float64(bytes)/1e6, shares(work))
	}
	bytes := int64(0)
	for _, k := range c.Overrides {
		row(k.Module, k.Format, k.Bytes, k.Work)
		bytes += k.Bytes
	}
	if len(c.Overrides) > 1 {
		row(fmt.Sprintf("%d modules", len(c.Overrides)), "", bytes, c.work())
	}
	fmt.Fprintf(&b, "costs of finer modules are compared for CPUs of level %s\n", c.Level)
	for i, r := range c.Results {
		was := ""
		if len(c.Overrides) > 0 {
			was = fmt.Sprintf(", %.6f without finer modules", c.Before[i].Cosine)
		}
		fmt.Fprintf(&b, "%-28s %-14s cosine to %s at least %.6f%s\n", r.Func, r.Output, r.Judge, r.Cosine, was)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// compareNames orders names of modules by layer.
func compareNames(a, b string) int {
	layer := func(s string) int {
		n := -1
		if _, err := fmt.Sscanf(s, "l%d.", &n); err != nil {
			return -1
		}
		return n
	}
	return cmp.Or(cmp.Compare(layer(a), layer(b)), strings.Compare(a, b))
}
