package tune

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

// module is a unit of storage: the matrices of one product, which have the same format.
type module struct {
	name     string
	weights  []string
	elements int64
	formats  []precision.Format // its format, then the finer ones that it could have
	work     map[string]float64 // by function: its share of the work of products and attention
}

// group holds modules that get the same format: a single module, or modules of one layer.
type group struct {
	name    string
	modules []*module
	errors  []float64   // 1 - cosine of the worst row of each segment, with this group alone rounded
	front   []candidate // the candidates by cost; the first is the format that was asked for
}

// candidate is a format that a group could be stored in.
type candidate struct {
	format    string
	remaining float64 // share of the group's error that is left
	cost      float64 // added time of functions and added bytes, as shares
}

// weigh finds the modules whose weights are rounded, and their shares of the work.
func (t *tuner) weigh() error {
	every := precision.Map{Default: precision.Int8, Classes: map[precision.Class]string{}}
	for _, c := range precision.Classes {
		every.Classes[c] = precision.Int8
	}
	bytes, err := t.quantised(t.full, every)
	if err != nil {
		return err
	}
	described, modules := t.base, map[string]*module{}
	for _, w := range bytes.Weights {
		format := described.Of(w.Name)
		if w.Type.DType != ir.I8 || t.named(w.Name) || format.DType == ir.F32 {
			continue
		}
		t.size += w.Type.Elements(0) * int64(format.DType.Size())
		name := precision.Module(w.Name)
		m := modules[name]
		if m == nil {
			m = &module{name: name, formats: t.formats(format), work: map[string]float64{}}
			modules[name] = m
		}
		m.weights = append(m.weights, w.Name)
		m.elements += w.Type.Elements(0)
	}
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		t.modules = append(t.modules, modules[name])
	}
	routed, err := passes.Run(t.full, passes.Options{Rows: t.Desc.Limits.Rows, Upto: passes.Prune.Name})
	if err != nil {
		return err
	}
	t.time = map[string]float64{}
	for _, f := range routed.Funcs {
		n := min(inputs.TextIDs, routed.MaxT)
		all := float64(max(1, ir.FuncCost(routed, f, n).FLOPs))
		t.time[f.Name] = 1
		for _, v := range f.Values {
			if m := modules[precision.Module(v.Bundle+".w")]; v.Op == ir.OpLinear && m != nil {
				share := float64(ir.ValueCost(routed, f, v, n).FLOPs) / all
				m.work[f.Name] += share
				t.time[f.Name] -= float64(share * (1 - t.speed[m.formats[0].Name]))
			}
		}
	}
	return nil
}

// formats returns the formats that tuning may choose for a matrix whose format is asked: asked first; then, in a large model,
// one format for each other element type that is not coarser; in a small model only float32.
func (t *tuner) formats(asked precision.Format) []precision.Format {
	formats := []precision.Format{asked}
	for _, x := range precision.Formats {
		known := slices.ContainsFunc(formats, func(y precision.Format) bool { return y.DType == x.DType })
		coarser := x.DType.Size() < asked.DType.Size() || x.DType.Small() && !asked.DType.Small()
		if !known && !coarser && (t.large || x.DType == ir.F32) {
			formats = append(formats, x)
		}
	}
	return formats
}

// named reports whether the description gives the format of the weight's module or class.
func (t *tuner) named(weight string) bool {
	if _, ok := t.Desc.Precision.Classes[precision.ClassOf(weight)]; ok {
		return true
	}
	return slices.ContainsFunc(t.Desc.Precision.Overrides, func(k precision.Override) bool { return k.Names(weight) })
}

func (t *tuner) quantised(p *ir.Program, m precision.Map) (*ir.Program, error) {
	return passes.Run(p, passes.Options{Rows: t.Desc.Limits.Rows, Precision: m, Smooth: smoothings(t.smooth), Upto: passes.Narrow.Name})
}

// judge measures the errors with each group alone rounded, and finds the candidates of groups.
func (t *tuner) judge() error {
	runs := t.judged()
	traces := make([]*ir.Trace, len(runs))
	if err := each(len(runs), func(i int) (err error) {
		traces[i], err = t.wide.Trace(runs[i].f.Name, runs[i].T, runs[i].In)
		return err
	}); err != nil {
		return err
	}
	t.meter.did(flops(t.wide.Program, runs))
	segments := t.wide.segments()
	measure := func(groups []*group) error {
		sets := make([]map[string]*ir.Weight, len(groups))
		for i, g := range groups {
			g.errors, sets[i] = make([]float64, len(segments)), map[string]*ir.Weight{}
			for _, m := range g.modules {
				t.rounded(sets[i], m, m.formats[0])
			}
		}
		for j, x := range runs {
			got, err := traces[j].With(sets)
			if err != nil {
				return err
			}
			exact := traces[j].Results()
			for k, p := range segments {
				if p.f != x.f {
					continue
				}
				name := p.out.value.Name
				for i, g := range groups {
					g.errors[k] += worstRow(p.out.part(got[i][name], p.at, x.T), p.out.part(exact[name], p.at, x.T))
				}
			}
		}
		t.meter.did((rerun(len(groups)) - 1) * flops(t.wide.Program, runs))
		return nil
	}
	alone, layers := t.grouped()
	t.groups = alone
	if t.large {
		if err := measure(layers); err != nil {
			return err
		}
		t.groups = apart(alone, layers)
		t.meter.say("judging modules of layers that do much")
	}
	var again []*group
	for _, g := range t.groups {
		if g.errors == nil {
			again = append(again, g)
		}
	}
	if err := measure(again); err != nil {
		return err
	}
	return t.fronts(runs, traces)
}

// grouped returns a group for each module alone, and groups of the modules of each layer.
func (t *tuner) grouped() (alone, layers []*group) {
	groups := map[string]*group{}
	for _, m := range t.modules {
		alone = append(alone, &group{name: m.name, modules: []*module{m}})
		// Modules of a group serve the same functions, so that an expert is not stored finer for the sake of another function's.
		layer, _, _ := strings.Cut(m.name, ".")
		name := layer + " " + m.formats[0].Name + " " + strings.Join(slices.Sorted(maps.Keys(m.work)), " ")
		if groups[name] == nil {
			groups[name] = &group{name: name}
			layers = append(layers, groups[name])
		}
		groups[name].modules = append(groups[name].modules, m)
	}
	return alone, layers
}

// apart keeps a layer as one group if its errors are a small share of the total, and otherwise
// returns a group for each of its modules.
func apart(alone, layers []*group) []*group {
	total := make([]float64, len(layers[0].errors))
	for _, g := range layers {
		for i, x := range g.errors {
			total[i] += x
		}
	}
	var groups, parts []*group
	for _, layer := range layers {
		minor := true
		for i, x := range layer.errors {
			minor = minor && x <= minorShare*total[i]
		}
		if minor || len(layer.modules) == 1 {
			groups = append(groups, layer)
			continue
		}
		for _, g := range alone {
			if slices.Contains(layer.modules, g.modules[0]) {
				parts = append(parts, g)
			}
		}
	}
	return append(groups, parts...)
}

// fronts finds the candidates of all groups: a Pareto front of cost and remaining error.
func (t *tuner) fronts(runs []*sampleRun, traces []*ir.Trace) error {
	left := make([][]float64, len(t.modules)) // error by module and format; NaN: a weight overflows the format
	if err := each(len(t.modules), func(i int) (err error) {
		left[i], err = t.local(t.modules[i], runs, traces)
		return err
	}); err != nil {
		return err
	}
	at := func(m *module) []float64 { return left[slices.Index(t.modules, m)] }
	for _, g := range t.groups {
		all := []candidate{{format: g.modules[0].formats[0].Name, remaining: 1}}
		for k, w := range g.modules[0].formats[1:] {
			r, whole := candidate{format: w.Name}, 0.0
			for _, m := range g.modules {
				r.remaining += at(m)[k+1]
				whole += at(m)[0]
				r.cost += t.cost(m, w)
			}
			if r.remaining /= whole; w.DType == ir.F32 {
				r.remaining = 0
			}
			all = append(all, r)
		}
		g.front = paretoFront(all)
	}
	return nil
}

// paretoFront returns the first candidate and then, in the order of cost, every candidate whose
// remaining error is less than that of all cheaper ones.
func paretoFront(all []candidate) []candidate {
	front := all[:1:1]
	rest := slices.Clone(all[1:])
	slices.SortStableFunc(rest, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.remaining, b.remaining))
	})
	for _, r := range rest {
		if r.remaining < front[len(front)-1].remaining {
			front = append(front, r)
		}
	}
	return front
}

// cost returns the cost of storing the module in the format: the time that it adds to functions,
// on average, and the bytes that it adds, as shares. A format that is faster than the asked one
// adds no time.
func (t *tuner) cost(m *module, to precision.Format) float64 {
	c := 0.0
	for _, f := range slices.Sorted(maps.Keys(m.work)) {
		c += float64(m.work[f]*max(0, t.speed[to.Name]-t.speed[m.formats[0].Name])) / t.time[f] / float64(len(t.time))
	}
	return c + bytesWeight*float64(m.more(to))/float64(t.size) + overrideCost
}

// local returns, for each format of the module, the squared error of its products as a share of
// their squared length, or NaN if a weight overflows the format.
func (t *tuner) local(m *module, runs []*sampleRun, traces []*ir.Trace) ([]float64, error) {
	errors := make([]float64, len(m.formats))
	for _, name := range m.weights {
		var ins []*ir.Tensor // the rows that the matrix is multiplied with; none for a table
		for i, r := range runs {
			for _, v := range r.f.Values {
				if v.Op == ir.OpLinear && v.Bundle+".w" == name {
					ins = append(ins, traces[i].Value(v.Args[0]))
				}
			}
		}
		if ins == nil {
			continue
		}
		w := t.wide.Weight(name)
		x, err := w.Load()
		if err != nil {
			return nil, err
		}
		peak := max(slices.Max(x), -slices.Min(x))
		cols := w.Type.Cols()
		rows := min(localRows, w.Type.Rows().C)
		few := &ir.Weight{Name: name, Type: ir.Of(ir.F32, ir.C(rows), ir.C(cols)), Load: func() ([]float32, error) { return slices.Clone(x[:rows*cols]), nil }}
		for _, in := range ins {
			exact, err := product(few, in)
			if err != nil {
				return nil, err
			}
			for k, format := range m.formats {
				if ir.Round([]float32{peak}, format.DType) >= 0 {
					errors[k] = math.NaN()
					continue
				}
				got, err := product(passes.Narrowed(few, format.DType), in)
				if err != nil {
					return nil, err
				}
				errors[k] += distance(got.F, exact.F)
			}
		}
	}
	return errors, nil
}

// product multiplies rows by a matrix in the interpreter.
func product(w *ir.Weight, x *ir.Tensor) (*ir.Tensor, error) {
	bundle := strings.TrimSuffix(w.Name, ".w")
	in := &ir.Value{Name: "x", Type: ir.Mat(ir.C(x.Shape[0]), w.Type.Cols())}
	out := &ir.Value{Name: "y", Op: ir.OpLinear, Args: []*ir.Value{in}, Bundle: bundle, Type: ir.Mat(ir.C(x.Shape[0]), w.Type.Rows().C)}
	p := &ir.Program{Name: "product", Weights: []*ir.Weight{w}, Funcs: []*ir.Func{{Name: "f", Params: []*ir.Value{in}, Values: []*ir.Value{out}, Results: []*ir.Value{out}}}}
	y, err := p.Run("f", 1, map[string]*ir.Tensor{"x": x})
	if err != nil {
		return nil, err
	}
	return y["y"], nil
}

// distance returns the squared distance of two vectors over the squared length of the second.
func distance(x, y []float64) float64 {
	d, n := 0.0, 0.0
	for i := range x {
		d += float64((x[i] - y[i]) * (x[i] - y[i]))
		n += float64(y[i] * y[i])
	}
	if n == 0 {
		return 0
	}
	return d / n
}

// more returns the bytes that the format adds to the module.
func (m *module) more(to precision.Format) int64 {
	return m.elements * int64(to.DType.Size()-m.formats[0].DType.Size())
}
