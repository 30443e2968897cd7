package model

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/multiway-go/multiway/ir"
)

// Options say what Lower writes beyond the description.
type Options struct {
	// Entries limits the program: each is an entry, which means all its functions, or a
	// function's name. An entry that no task has is lowered as its encode function. nil:
	// the description's entries.
	Entries []string
	// Taps adds the results embed, layers.N.attn and layers.N.ffn to every function.
	Taps bool
	// DType says how the checkpoint stores the tensor called key, so that the weight is
	// declared in that type: F32, F16 or BF16. nil: F32.
	DType func(key string) ir.DType
}

// Function is one function of a program: an entry and what is made of it.
type Function struct {
	Name  string // ENTRY for task encode, else ENTRY_TASK
	Entry string
	Task  string
}

func functionOf(entry, task string) Function {
	f := Function{entry + "_" + task, entry, task}
	if task == "encode" {
		f.Name = entry
	}
	return f
}

// Functions lists the functions that Lower writes for the given entries, in order:
// by entry, then by task. See Options.Entries.
func (d *Description) Functions(entries []string) ([]Function, error) {
	d = d.clone()
	if p := d.complete(false); p != nil {
		return nil, p
	}
	var all []Function
	for _, e := range d.entryNames() {
		for _, t := range d.Tasks {
			if slices.Contains(taskNamed(t.Name).entries, e) {
				all = append(all, functionOf(e, t.Name))
			}
		}
	}
	if entries == nil {
		return slices.DeleteFunc(all, func(f Function) bool { return !slices.Contains(d.Entries, f.Entry) }), nil
	}
	var picked []Function
	for _, name := range entries {
		n := len(picked)
		for _, f := range all {
			// An entry's plain name is its encode function, if there is one.
			if f.Name == name || f.Entry == name && !slices.Contains(all, functionOf(name, "encode")) {
				picked = append(picked, f)
			}
		}
		if len(picked) > n {
			continue
		}
		known := d.entryNames()
		if !slices.Contains(known, name) {
			for _, f := range all {
				if !slices.Contains(known, f.Name) {
					known = append(known, f.Name)
				}
			}
			return nil, errors.New(unknown("entry", name, known))
		}
		picked = append(picked, functionOf(name, "encode"))
	}
	for i, f := range picked {
		if slices.Index(picked, f) < i {
			return nil, fmt.Errorf("function %s is asked for twice; remove one", f.Name)
		}
	}
	return picked, nil
}

// Lower writes the program of a description: the functions of its entries and
// tasks over shared weights, which carry their origins but are not bound to a
// checkpoint. The program verifies.
func Lower(d *Description, opt Options) (*ir.Program, error) {
	d = d.clone()
	problem := d.complete(true)
	if problem == nil {
		problem = d.uncounted()
	}
	if problem != nil {
		return nil, fmt.Errorf("%s: %s", d.title(), problem.text)
	}
	functions, err := d.Functions(opt.Entries)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.title(), err)
	}
	p := &ir.Program{Name: d.Name, MaxT: d.Limits.Text}
	t := d.trunk()
	for _, f := range functions {
		w := &writer{d: d, trunk: t, opt: opt, b: ir.NewBuilder(p, f.Name)}
		w.function(f)
		if _, err := w.b.Done(); err != nil {
			return nil, fmt.Errorf("%s: %w", d.title(), err)
		}
	}
	if err := ir.Verify(p); err != nil {
		return nil, fmt.Errorf("%s: %w", d.title(), err)
	}
	return p, nil
}

// title is how errors call the description.
func (d *Description) title() string {
	if d.File != "" {
		return d.File
	}
	if d.Preset != "" {
		return d.Preset
	}
	return "the description"
}

// clone copies what complete may change.
func (d *Description) clone() *Description {
	c := *d
	c.Tasks = slices.Clone(d.Tasks)
	return &c
}

// uncounted names a task whose number of classes is not known.
func (d *Description) uncounted() *problem {
	for i, t := range d.Tasks {
		if slices.Contains(taskNamed(t.Name).options, "classes") && t.Classes == 0 {
			return wrong(fmt.Sprintf("tasks[%d].%s.classes", i, t.Name), " is not known; give it, or read the description with Load, which counts the labels in %s", t.Labels)
		}
	}
	return nil
}

// writer lowers one function.
type writer struct {
	d     *Description
	trunk *trunk
	opt   Options
	b     *ir.Builder
	entry entry
	taps  []*ir.Value
}

func (w *writer) function(f Function) {
	for _, e := range w.trunk.entries() {
		if e.name == f.Entry {
			w.entry = e
		}
	}
	for _, m := range w.entry.modalities {
		w.b.Segment(m.name, m.rows)
	}
	var rows []*ir.Value
	params := make([]*ir.Value, len(w.entry.modalities))
	for i, m := range w.entry.modalities {
		params[i] = w.param(m)
	}
	for i, m := range w.entry.modalities {
		rows = append(rows, w.embed(m, params[i]))
	}
	x := rows[0]
	if len(rows) > 1 {
		x = w.b.Name(w.b.Concat(rows...), "x")
	}
	w.tap(x, "embed")
	for i := range w.trunk.layers {
		x = w.layer(i, x)
	}
	if w.normed(f.Task) {
		x = w.b.Name(w.norm(x, "final."+w.trunk.final.part()), "final")
	}
	w.b.Return(append(taskNamed(f.Task).lower(w, w.entry, x), w.taps...)...)
}

// normed reports whether the task reads rows after the encoder's final norm. An
// encode function that the description does not list has the norm if the
// checkpoint does.
func (w *writer) normed(name string) bool {
	has := false
	for i := range w.d.Tasks {
		t := &w.d.Tasks[i]
		norm := taskNamed(t.Name).norm(t)
		if t.Name == name {
			return norm
		}
		has = has || norm
	}
	return has
}

// param declares the modality's input.
func (w *writer) param(m modality) *ir.Value {
	if m.embed == tokens {
		return w.b.Param(m.input, ir.Of(ir.I32, m.rows))
	}
	return w.b.Param(m.input, ir.Of(ir.F32, ir.C(m.channels), ir.C(m.image), ir.C(m.image)))
}

// embed turns the modality's input into rows.
func (w *writer) embed(m modality, in *ir.Value) *ir.Value {
	bundle := m.name + ".embed."
	name := func(v *ir.Value, part string) *ir.Value { return w.b.Name(v, m.name+"."+part) }
	var x *ir.Value
	switch m.embed {
	case patches:
		x = name(w.b.Patches(in, m.patch), "patches")
		x = name(w.linear(x, bundle+"proj"), "proj")
		w.declare(bundle + "cls")
		x = name(w.b.Concat(name(w.b.Const(bundle+"cls"), "cls"), x), "rows")
	case tokens:
		w.declare(bundle + "tok")
		x = name(w.b.Lookup(in, bundle+"tok"), "tok")
	}
	w.declare(bundle + "pos")
	return w.b.Name(w.b.AddRows(x, bundle+"pos", ir.C(0)), m.name)
}

// layer is one pre-norm Transformer layer. Its values are named n q k v c d o a, for
// the half with attention, and m h g s p y, each with the layer's number.
func (w *writer) layer(i int, x *ir.Value) *ir.Value {
	l := w.trunk.layers[i]
	name := func(v *ir.Value, letter string) *ir.Value { return w.b.Name(v, letter+strconv.Itoa(i)) }

	attn := layerName(i) + ".attn." + l.attn.part() + "."
	n := name(w.norm(x, attn+"ln"), "n")
	q := name(w.linear(n, attn+"q"), "q")
	k := name(w.linear(n, attn+"k"), "k")
	v := name(w.linear(n, attn+"v"), "v")
	c := name(w.b.Attention(q, k, v, w.trunk.heads), "c")
	if l.sub {
		c = name(w.norm(c, attn+"sub"), "d")
	}
	a := name(w.b.Add(x, name(w.linear(c, attn+"out"), "o")), "a")
	w.tap(a, fmt.Sprintf("layers.%d.attn", i))

	ffn := layerName(i) + ".ffn." + l.ffn.part() + "."
	h := name(w.linear(name(w.norm(a, ffn+"ln"), "m"), ffn+"fc1"), "h")
	h = name(w.b.Gelu(h), "g")
	if l.sub {
		h = name(w.norm(h, ffn+"sub"), "s")
	}
	y := name(w.b.Add(a, name(w.linear(h, ffn+"fc2"), "p")), "y")
	w.tap(y, fmt.Sprintf("layers.%d.ffn", i))
	return y
}

func (w *writer) linear(x *ir.Value, bundle string) *ir.Value {
	w.declare(bundle)
	return w.b.Linear(x, bundle)
}

func (w *writer) norm(x *ir.Value, bundle string) *ir.Value {
	w.declare(bundle)
	return w.b.LayerNorm(x, bundle, w.trunk.eps)
}

// declare declares the weights of a bundle: those of every expert that the entry's
// modalities take from a pool.
func (w *writer) declare(bundle string) {
	experts := []string{bundle}
	if ir.Pool(bundle) {
		experts = nil
		for _, m := range w.entry.modalities {
			experts = append(experts, ir.Expert(bundle, m.name))
		}
	}
	for _, e := range experts {
		for _, f := range []string{"w", "g", "b"} {
			w.weight(e + "." + f)
		}
	}
}

// weight declares one weight if the state dict has it.
func (w *writer) weight(name string) {
	s := w.trunk.state.weights[name]
	if s == nil {
		return
	}
	o := w.trunk.state.origin(s)
	typ := ir.Type{DType: ir.F32}
	if w.opt.DType != nil {
		typ.DType = w.opt.DType(o.Key)
	}
	for _, n := range s.shape {
		typ.Shape = append(typ.Shape, ir.C(n))
	}
	w.b.Weight(name, typ, o)
}

// keep declares a weight that no function uses and the Go API reads.
func (w *writer) keep(name string) {
	w.weight(name)
	if x := w.b.P.Weight(name); x != nil {
		x.Keep = true
	}
}

// output gives a result its name. A value that already is a tap gets a view, since
// a value has one name.
func (w *writer) output(x *ir.Value, name string) *ir.Value {
	if slices.Contains(w.taps, x) {
		x = w.b.Rows(x, ir.Dim{}, x.Type.Rows())
	}
	return w.b.Name(x, name)
}

func (w *writer) tap(x *ir.Value, name string) {
	if w.opt.Taps {
		w.taps = append(w.taps, w.b.Name(x, name))
	}
}
