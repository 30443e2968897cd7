package model

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
)

// Options are the options of Lower.
type Options struct {
	// Entries lists what to lower. An item is the name of a function, or of an entry, which stands for all its functions; an
	// entry without a task stands for its encode function. nil: the description's entries.
	Entries []string
	// Taps adds the results embed, layers.N.attn and layers.N.ffn to every function.
	Taps bool
	// DType returns the type of the tensor called key in the checkpoint: F32, F16 or BF16. The
	// weight is declared in that type. nil: F32.
	DType func(key string) ir.DType
}

// Function is a function of a program: an entry and a task.
type Function struct {
	Name  string // ENTRY for task encode, else ENTRY_TASK or a name that the task defines
	Entry string
	Task  string
	Kind  string // image, text or pair: the input of the task's only function; else which of the task's functions it is

	aside bool // lowered only if it is asked for by name
}

// functionsOf lists the functions of a task and an entry it takes.
func functionsOf(e entry, t *task) []Function {
	var fs []Function
	for _, f := range t.functions {
		x := Function{Name: f.name, Entry: e.name, Task: t.name, Kind: cmp.Or(f.kind, e.kind()), aside: f.aside}
		switch {
		case f.name != "":
		case t.name == "encode":
			x.Name = e.name
		default:
			x.Name = e.name + "_" + t.name
		}
		fs = append(fs, x)
	}
	return fs
}

// AllFunctions lists the functions of all entries and tasks, in the order of entries and then tasks, with the functions that
// Lower writes only if they are asked for by name.
func (d *Description) AllFunctions() []Function {
	var all []Function
	named := map[string]bool{}
	for _, e := range d.entries() {
		for _, t := range d.Tasks {
			if row := d.task(t.Name); row.takes(e) {
				// A function with a name that the task defines is listed once.
				all = append(all, slices.DeleteFunc(functionsOf(e, row), func(f Function) bool { return named[f.Name] })...)
			}
		}
		for _, f := range all {
			named[f.Name] = true
		}
	}
	return all
}

// Whole lists the functions of entries. In place of a task's functions with a state it lists the function
// that computes the same for all rows at once, which Lower writes only if it is asked for.
func (d *Description) Whole(entries []string) ([]Function, error) {
	picked, err := d.Functions(entries)
	var whole []Function
	for _, f := range picked {
		for _, g := range d.AllFunctions() {
			if g.Task == f.Task && g.aside {
				f = g
			}
		}
		if !slices.Contains(whole, f) {
			whole = append(whole, f)
		}
	}
	return whole, err
}

// Functions lists the functions that Lower writes for the given entries, in order:
// by entry, then by task. See Options.Entries.
func (d *Description) Functions(entries []string) ([]Function, error) {
	d = d.clone()
	if p := d.complete(); p != nil {
		return nil, p
	}
	all := d.AllFunctions()
	encode := func(name string) (f Function) {
		if e := d.entry(name); e != nil {
			f = functionsOf(*e, d.task("encode"))[0]
		}
		return f
	}
	if entries == nil {
		return slices.DeleteFunc(all, func(f Function) bool { return f.aside || !slices.Contains(d.Entries, f.Entry) }), nil
	}
	var picked []Function
	for _, name := range entries {
		n := len(picked)
		for _, f := range all {
			// An entry's plain name is its encode function, if there is one.
			if f.Name == name || f.Entry == name && !f.aside && !slices.Contains(all, encode(name)) {
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
		picked = append(picked, encode(name))
	}
	for i, f := range picked {
		if slices.Index(picked, f) < i {
			return nil, fmt.Errorf("function %s is given twice; remove one", f.Name)
		}
	}
	return picked, nil
}

// Lower writes the program of a description: the functions of its entries and
// tasks over shared weights, which carry their origins but are not bound to a
// checkpoint. The program verifies.
func Lower(d *Description, opt Options) (*ir.Program, error) {
	d = d.clone()
	problem := d.complete()
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
	values := 0
	for i, f := range functions {
		w := &writer{d: d, trunk: t, opt: opt, b: ir.NewBuilder(p, f.Name)}
		w.function(f)
		if _, err := w.b.Done(); err != nil {
			return nil, fmt.Errorf("%s: %w", d.title(), err)
		}
		if values += len(w.b.F.Values); values+len(p.Weights) > maxProgram {
			return nil, fmt.Errorf("%s: the program has more than %d weights and values after %d of its %d functions; ask for fewer entries or tasks, or give it fewer layers",
				d.title(), maxProgram, i+1, len(functions))
		}
	}
	if err := ir.Verify(p); err != nil {
		return nil, fmt.Errorf("%s: %w", d.title(), err)
	}
	return p, nil
}

// maxProgram bounds the weights and values of all functions of a program. Released models have a hundredth of it.
const maxProgram = 1 << 17

// title returns the name of the description in errors.
func (d *Description) title() string {
	if d.File != "" {
		return file.Quote(d.File)
	}
	if d.Preset != "" {
		return d.Preset
	}
	return "the description"
}

// clone returns a copy of the description, with copies of everything that complete may change.
func (d *Description) clone() *Description {
	c := *d
	c.Tasks = slices.Clone(d.Tasks)
	return &c
}

// uncounted returns an error about a task whose number of classes is not known, if there is one.
func (d *Description) uncounted() *problem {
	for i, t := range d.Tasks {
		if d.task(t.Name).has("classes") && t.Classes == 0 {
			return wrong(fmt.Sprintf("tasks[%d].%s.classes", i, t.Name), " is not known; give it, or read the description with Load, which counts the labels in %s", t.Labels)
		}
	}
	return nil
}

// writer lowers one function of a description to IR.
type writer struct {
	d      *Description
	trunk  *trunk
	tower  *tower // of the entry
	opt    Options
	b      *ir.Builder
	entry  entry
	task   string
	expert string // the expert of the whole sequence in the current half, "" = each modality's own
	joint  bool   // a single modality takes the joint experts too
	second bool   // the image is the second of two
	taps   []*ir.Value

	// For functions of a part of a sequence, see task_caption.go.
	fusion *entry                                   // the sequence that contains the entry's modalities; nil: they are the whole sequence
	past   ir.Dim                                   // number of text tokens before the first
	attend func(i int, q, k, v *ir.Value) *ir.Value // the attention of layer i; nil: every row sees every row
}

func (w *writer) function(f Function) {
	w.entry = *w.d.entry(f.Entry)
	w.tower = w.trunk.tower(w.entry.modalities[0].Name)
	w.task = f.Task
	row := w.d.task(f.Task)
	for i, g := range functionsOf(w.entry, row) {
		if g == f {
			w.b.Return(append(row.functions[i].lower(w), w.taps...)...)
		}
	}
}

// rows lowers the trunk. It returns the rows of the entry's modalities after the last layer, or
// after the final norm if the task reads that.
func (w *writer) rows() *ir.Value {
	for _, m := range w.entry.modalities {
		w.b.Segment(m.Name, m.rows)
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
	for i := range w.tower.layers {
		x = w.layer(i, x)
	}
	if w.tower.Final != "" && w.normed(w.task) {
		x = w.finalNorm(x)
	}
	return x
}

// finalNorm lowers the norm after the last layer.
func (w *writer) finalNorm(x *ir.Value) *ir.Value {
	return w.b.Name(w.norm(x, "final."+w.tower.part(w.tower.Final), w.tower.Eps), "final")
}

// normed reports whether the task reads rows after the encoder's final norm. An encode
// function that the description does not list has the norm if the checkpoint has it.
func (w *writer) normed(name string) bool {
	has := false
	for i := range w.d.Tasks {
		t := &w.d.Tasks[i]
		norm := w.d.task(t.Name).normed(t)
		if t.Name == name {
			return norm
		}
		has = has || norm
	}
	return has
}

// param declares the function's input for a modality: token ids i32[rows], or an image f32[Channels,Height,Width].
func (w *writer) param(m modality) *ir.Value {
	if m.Embedder == Token {
		return w.b.Param(m.input, ir.Of(ir.I32, m.rows))
	}
	return w.b.Param(m.input, ir.Of(ir.F32, ir.C(m.Channels), ir.C(m.Height), ir.C(m.Width)))
}

// embed turns the modality's input into rows.
func (w *writer) embed(m modality, in *ir.Value) *ir.Value {
	bundle := m.Name + ".embed."
	name := func(v *ir.Value, part string) *ir.Value { return w.b.Name(v, m.Name+"."+part) }
	var x *ir.Value
	var first ir.Dim // row of the position table
	at := slices.IndexFunc(w.trunk.modalities, func(n modality) bool { return n.Name == m.Name })
	switch m.Embedder {
	case Patch:
		x = name(w.linear(w.stem(m, in), bundle+"proj"), "proj")
		if !m.Classless {
			w.declare(bundle + "cls")
			x = name(w.b.Concat(name(w.b.Const(bundle+"cls"), "cls"), x), "rows")
		}
		if w.second { // the type of a second image follows the modalities' types
			at = len(w.trunk.modalities)
		}
	case Token:
		w.declare(bundle + "tok")
		first = w.past
		x = name(w.b.Lookup(in, bundle+"tok"), "tok")
	}
	w.declare(bundle + "pos")
	if !m.Anywhere {
		x = name(w.b.AddRows(x, bundle+"pos", first), "pos")
	}
	if w.trunk.state.weights[bundle+"type.w"] != nil {
		w.declare(bundle + "type")
		x = name(w.b.AddRow(x, bundle+"type", 0), "type")
	}
	if m.Norm > 0 {
		x = name(w.norm(x, bundle+"ln", m.Norm), "norm")
	}
	if w.tower.Types > 0 {
		w.declare("types")
		x = w.b.AddRow(x, "types", at)
	}
	return w.b.Name(x, m.Name)
}

// stem lowers the stages of a patch modality's embedding up to the last linear: the patches of a picture or, after the first
// stage of a stem, squares of the rows of the stage before.
func (w *writer) stem(m modality, in *ir.Value) *ir.Value {
	name := func(v *ir.Value, part string) *ir.Value { return w.b.Name(v, m.Name+"."+part) }
	stages := m.stages()
	x := name(w.b.Patches(in, stages[0]), "patches")
	width := m.Width / stages[0]
	for i, side := range stages[1:] {
		part := "stem" + strconv.Itoa(i)
		bundle := m.Name + ".embed." + part + "."
		x = name(w.linear(x, bundle+"proj"), part+".proj")
		if m.StemNorm > 0 {
			x = name(w.norm(x, bundle+"ln", m.StemNorm), part+".norm")
		}
		x = name(w.act(x), part+".act")
		x = name(w.b.Join(x, side, width), part+".join")
		width /= side
	}
	return x
}

// layer lowers one Transformer layer. Its values are called n q k v c d o a in the half with
// attention and m h g f u s p y in the other, each with the layer's number.
func (w *writer) layer(i int, x *ir.Value) *ir.Value {
	l, eps := w.tower.layers[i], w.tower.Eps
	name := func(v *ir.Value, letter string) *ir.Value { return w.b.Name(v, letter+strconv.Itoa(i)) }

	q, k, v := w.qkv(i, x, true)
	attn := w.half(l, i, "attn", l.Attn)
	c := name(w.attention(i, q, k, v), "c")
	if l.Norms == Sub {
		c = name(w.norm(c, attn+"sub", eps), "d")
	}
	o := name(w.linear(c, attn+"out"), "o")
	if l.Scale {
		o = name(w.scale(o, attn+"gamma"), "r")
	}
	a := w.b.Add(x, o)
	if l.Norms == Post {
		a = w.norm(name(a, "n"), attn+"post", eps)
	}
	name(a, "a")
	w.tap(a, fmt.Sprintf("layers.%d.attn", i))

	ffn := w.half(l, i, "ffn", l.FFN)
	h := a
	if l.Norms != Post {
		h = name(w.norm(a, ffn+"ln", eps), "m")
	}
	n := h
	h = name(w.linear(n, ffn+"fc1"), "h")
	h = name(w.act(h), "g")
	if l.Gate {
		h = name(w.b.Mul(h, name(w.linear(n, ffn+"gate"), "f")), "u")
	}
	if l.Norms == Sub {
		h = name(w.norm(h, ffn+"sub", eps), "s")
	}
	h = name(w.linear(h, ffn+"fc2"), "p")
	if l.Scale {
		h = name(w.scale(h, ffn+"gamma"), "z")
	}
	y := w.b.Add(a, h)
	if l.Norms == Post {
		y = w.norm(name(y, "m"), ffn+"post", eps)
	}
	name(y, "y")
	w.tap(y, fmt.Sprintf("layers.%d.ffn", i))
	w.expert = ""
	return y
}

// act lowers the activation of the tower.
func (w *writer) act(x *ir.Value) *ir.Value {
	return w.b.Act(x, cmp.Or(w.tower.Act, ir.Activations[0].Name))
}

// attention lowers the attention of layer i, with its relative position bias if there is one.
func (w *writer) attention(i int, q, k, v *ir.Value) *ir.Value {
	switch {
	case w.attend != nil:
		return w.attend(i, q, k, v)
	case w.tower.Causal:
		return w.b.PrefixAttention(q, k, v, w.tower.Heads, ir.Dim{}, ir.C(1))
	case !w.tower.Relative:
		return w.b.Attention(q, k, v, w.tower.Heads)
	}
	bundle := layerName(i) + ".relbias"
	for _, m := range w.entry.modalities {
		w.weight(bundle + "." + biasField[m.Embedder])
	}
	if len(w.entry.modalities) > 1 {
		w.weight(bundle + ".cross")
	}
	return w.b.BiasedAttention(q, k, v, w.tower.Heads, bundle)
}

// biasField is the table of the relative position bias within a modality.
var biasField = map[Embedder]string{Token: "text", Patch: "image"}

// qkv lowers the norm before the attention of layer i, with its keys and values, and its
// queries if queries is set.
func (w *writer) qkv(i int, x *ir.Value, queries bool) (q, k, v *ir.Value) {
	l := w.tower.layers[i]
	name := func(v *ir.Value, letter string) *ir.Value { return w.b.Name(v, letter+strconv.Itoa(i)) }
	attn := w.half(l, i, "attn", l.Attn)
	n := x
	if l.Norms != Post {
		n = name(w.norm(x, attn+"ln", w.tower.Eps), "n")
	}
	if queries {
		q = name(w.linear(n, attn+"q"), "q")
	}
	return q, name(w.linear(n, attn+"k"), "k"), name(w.linear(n, attn+"v"), "v")
}

// half begins a half of layer i and returns the prefix of its bundles.
func (w *writer) half(l LayerRange, i int, name string, s Sharing) string {
	w.expert = ""
	if s == Joint {
		if w.joint && len(w.entry.modalities) == 1 {
			return layerName(i) + "." + name + "." + l.Experts[0].Name + "."
		}
		if w.fusion != nil {
			if e := w.fusion.expert(l); e != "" {
				return layerName(i) + "." + name + "." + e + "."
			}
		}
		w.expert = w.entry.expert(l)
	}
	return layerName(i) + "." + name + "." + w.tower.part(s) + "."
}

func (w *writer) linear(x *ir.Value, bundle string) *ir.Value {
	w.declare(bundle)
	return w.b.Op(ir.OpLinear, "", bundle, w.route(bundle), x)
}

func (w *writer) scale(x *ir.Value, bundle string) *ir.Value {
	w.declare(bundle)
	return w.b.Op(ir.OpScale, "", bundle, w.route(bundle), x)
}

func (w *writer) norm(x *ir.Value, bundle string, eps float64) *ir.Value {
	w.declare(bundle)
	return w.b.Op(ir.OpLayerNorm, "", bundle, append(w.route(bundle), ir.FloatAttr("eps", eps)), x)
}

// route returns the attribute with the pool's expert for the whole sequence, if there is one.
func (w *writer) route(bundle string) ir.Attrs {
	if w.expert == "" || !ir.Pool(bundle) {
		return nil
	}
	return ir.Attrs{ir.SymbolAttr("route", w.expert)}
}

// declare declares the weights of a bundle. For a pool these are the weights of the whole
// sequence's expert, or of every modality's expert.
func (w *writer) declare(bundle string) {
	experts := []string{bundle}
	switch {
	case !ir.Pool(bundle):
	case w.expert != "":
		experts = []string{ir.Expert(bundle, w.expert)}
	default:
		experts = nil
		for _, m := range w.entry.modalities {
			experts = append(experts, ir.Expert(bundle, m.Name))
		}
	}
	for _, e := range experts {
		for _, f := range []string{"w", "g", "b"} {
			w.weight(e + "." + f)
		}
	}
}

// weight declares a weight if the state dict has it.
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

// keep declares a weight that the Go API reads and no function uses.
func (w *writer) keep(name string) {
	w.weight(name)
	if x := w.b.P.Weight(name); x != nil {
		x.Export = true
	}
}

// output gives a result its name. If the value is already another result, output adds a view,
// since a value has only one name.
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
