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

// Choice is what of a model is stored otherwise than its description says. A nil one is nothing.
type Choice struct {
	Precision string     // of the model
	Level     string     // of CPUs: finer modules cost what they cost there
	Smoothed  []Smoothed // norms that something which is rounded to bytes reads
	Overrides []Override // by layer

	// Before are outputs in the interpreter with nothing kept, and Results with the choice;
	// nil where there was nothing to choose.
	Before, Results []Result
}

// Result is how near an output of a function is to the judge.
type Result struct {
	Func   string  `json:"func"`
	Output string  `json:"output"`
	Judge  string  `json:"judge"`
	Rows   int     `json:"rows"`
	Cosine float64 `json:"cosine"` // the least of a row
	Mean   float64 `json:"mean_cosine"`
}

// Stored is how weights are stored, where described says so but for the choice.
func (c *Choice) Stored(described precision.Map) precision.Map {
	if c == nil {
		return described
	}
	var overrides []precision.Override
	for _, k := range c.Overrides {
		overrides = append(overrides, k.Override)
	}
	described.Overrides = slices.Concat(overrides, described.Overrides) // a later row wins
	return described
}

// Smooth is the option of passes for the norms.
func (c *Choice) Smooth() map[string]passes.Smoothing {
	if c == nil {
		return nil
	}
	return smoothings(c.Smoothed)
}

// Override is a module that is stored otherwise than the model's precision says.
type Override struct {
	precision.Override
	Work  map[string]float64 // of each function's products and attention, the share that is the module's
	Bytes int64              // more than it had
}

// Whole lists functions of the planned program of which all products are kept at f32.
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

// reduced reports whether v is a product of weights of another type than float32.
func reduced(p *ir.Program, f *ir.Func, v *ir.Value) bool {
	return slices.ContainsFunc(p.Used(f, v), func(w *ir.Weight) bool {
		return w.Type.DType != ir.F32 && w.Layout != "" && w.Layout != asm.RowsLayout
	})
}

// work is, by function, the share of its products and attention that is in overridden modules.
func (c *Choice) work() map[string]float64 {
	all := map[string]float64{}
	for _, k := range c.Overrides {
		for f, x := range k.Work {
			all[f] += x
		}
	}
	return all
}

// shares lists shares of the work of functions.
func shares(work map[string]float64) string {
	var list []string
	for _, f := range slices.Sorted(maps.Keys(work)) {
		list = append(list, fmt.Sprintf("%s %.1f %%", f, 100*work[f]))
	}
	return strings.Join(list, ", ")
}

// Summary is a line: how many modules are kept, and their share of the work.
func (c *Choice) Summary() string {
	if len(c.Overrides) == 0 {
		return "no module is kept from " + c.Precision
	}
	return fmt.Sprintf("%d modules are kept from %s: %s of the work", len(c.Overrides), c.Precision, shares(c.work()))
}

// String is a table: of the norms, of the modules, and of the outputs before and after.
func (c *Choice) String() string {
	var b strings.Builder
	for _, s := range c.Smoothed {
		fmt.Fprintln(&b, s)
	}
	if c.Results == nil {
		return strings.TrimSuffix(b.String(), "\n")
	}
	if len(c.Overrides) == 0 {
		fmt.Fprintf(&b, "precision %s: every module keeps it\n", c.Precision)
	} else {
		fmt.Fprintf(&b, "%-28s %-8s %9s  share of the work of\n", "kept from "+c.Precision, "as", "more MB")
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
	fmt.Fprintf(&b, "what finer modules cost is what they do on %s\n", c.Level)
	for i, r := range c.Results {
		was := ""
		if len(c.Overrides) > 0 {
			was = fmt.Sprintf(", %.6f with nothing kept", c.Before[i].Cosine)
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
