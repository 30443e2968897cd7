package model

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// A row is an entry of a layout, the table of the names, order, splits and transpositions of tensors in one kind of
// checkpoint: one tensor, or rows that are repeated or conditional. [reader] reads layouts.
//
// Names of tensors and weights have placeholders: {p} is the prefix of the trunk's keys, {i} the number of the layer,
// {l} the prefix of its weights, {m} the modality, {s} the number of the stage of its stem, {in} its input, image or text,
// {e} the expert's name in keys, {.e} the same with a dot before it, or "" if the weight is shared, {b} the expert in names of
// weights, and {n} what the norm of a half is called there: ln before the half, post after it.
//
// Sizes are expressions of names with + and *: see reader.sizes.
type row struct {
	key   string
	shape string   // the tensor's sizes, with spaces between them; "" = a scalar
	to    []target // the weights that are read from it; none: no function reads it

	more bool   // to are further weights that are read from the tensor of the row before
	each string // what the rows are repeated for: layer, attn, ffn or final (the experts), token, patch or modality, stem (all stages but the last)
	when string // a condition, or with ! before it its negation: see reader.facts
	rows []row
}

// target is a weight that is read from a tensor or from a part of it.
type target struct {
	weight     string
	row, rows  string // of the first axis, "" = all
	col, cols  string // of the second, "" = all
	transposed bool   // the tensor has the matrix's columns as rows
}

func tensor(key, shape string, to ...target) row { return row{key: key, shape: shape, to: to} }

// part returns a row for one more weight that is read from the tensor before.
func part(to target) row { return row{to: []target{to}, more: true} }

// whole returns a target for a weight that is read from all of a tensor.
func whole(weight string) target { return target{weight: weight} }

// cut returns a target for a weight that is read from some rows of a tensor. row is the first row and rows their number, both
// as expressions of sizes.
func cut(weight, row, rows string) target { return target{weight: weight, row: row, rows: rows} }

// thirds returns the targets of a tensor whose rows are dim rows of q, then dim of k, then dim of v.
func thirds(bundle, field string) []target {
	return []target{cut(bundle+"q."+field, "0", "dim"), cut(bundle+"k."+field, "dim", "dim"), cut(bundle+"v."+field, "2*dim", "dim")}
}

func each(what string, rows ...row) row { return row{each: what, rows: rows} }
func when(fact string, rows ...row) row { return row{when: fact, rows: rows} }

// linear returns rows for y = x*W^T + b, where shape is the shape [out,in] of W; bundle "" is a linear that no function uses.
func linear(key, shape, bundle string) row {
	out, _, _ := strings.Cut(shape, " ")
	return row{rows: []row{tensor(key+".weight", shape, into(bundle, "w")...), tensor(key+".bias", out, into(bundle, "b")...)}}
}

// matrix returns rows for y = x*W^T.
func matrix(key, shape, bundle string) row {
	return tensor(key+".weight", shape, into(bundle, "w")...)
}

// norm returns rows for the gain and bias of a layer norm over n columns.
func norm(key, n, bundle string) row {
	return row{rows: []row{tensor(key+".weight", n, into(bundle, "g")...), tensor(key+".bias", n, into(bundle, "b")...)}}
}

func into(bundle, name string) []target {
	if bundle == "" {
		return nil
	}
	return []target{whole(bundle + "." + name)}
}

// layout describes the tensors in the checkpoints of one implementation.
type layout struct {
	name string
	code Code
	key  string // a tensor that only such a checkpoint has
	rows []row
	// heads are the tensors of tasks, if they differ from the code's.
	heads map[string][]row
}

// layouts lists the layouts of checkpoints. The first one whose key a checkpoint has applies.
var layouts = slices.Concat(torchscaleLayouts, vlmoLayouts, beitLayouts, bertLayouts, siglipLayouts, clipLayouts)

// families lists the families whose checkpoints may have the layout: at least one.
func (l *layout) families() (all []*family) {
	for i := range families {
		if slices.Contains(families[i].layouts, l.name) {
			all = append(all, &families[i])
		}
	}
	return all
}

// task returns the task called name of checkpoints with the layout, nil if they have no such task. A task with classes needs the
// tensors of a head.
func (l *layout) task(name string) *task {
	t := taskOf(l.code, name)
	if t != nil && t.has("classes") && t.tensors(l) == nil {
		return nil
	}
	return t
}

// LayoutOf returns the layout of a checkpoint by the names of its tensors without parts of wrapper modules. It is an error if
// none of the names is the key of a layout.
func LayoutOf(names []string) (string, error) {
	have := map[string]bool{}
	for _, n := range names {
		have[n] = true
	}
	var want []string
	for _, l := range layouts {
		if have[l.key] {
			return l.name, nil
		}
		want = append(want, fmt.Sprintf("%s (%s)", l.key, l.name))
	}
	return "", fmt.Errorf("no known layout of checkpoints has these tensors: none of %s is among the %d", strings.Join(want, ", "), len(names))
}

// layout returns the layout of the structure's checkpoint: the one it names, or its code's first.
func (k *Keys) layout() *layout {
	i := slices.IndexFunc(layouts, func(l layout) bool { return l.name == k.Layout || k.Layout == "" && l.code == k.Code })
	return &layouts[i]
}

// reader builds the state dict of a trunk from the rows of a layout. words are the values of the placeholders in names, sizes
// those of the names in shapes, and facts those of the conditions.
type reader struct {
	t      *trunk
	tower  *tower
	stages []int // of the embedding of the current modality
	words  map[string]string
	sizes  map[string]int
	facts  map[string]bool
}

// read adds the tensors of rows to the trunk's state dict.
func (r *reader) read(rows []row) {
	for _, x := range rows {
		if fact, not := strings.CutPrefix(x.when, "!"); x.when != "" && r.fact(fact) == not {
			continue
		}
		switch {
		case x.each != "":
			r.repeat(x.each, x.rows)
		case x.rows != nil:
			r.read(x.rows)
		default:
			r.tensor(x)
		}
	}
}

func (r *reader) fact(name string) bool {
	v, ok := r.facts[name]
	if !ok {
		panic("layout: unknown fact " + name)
	}
	return v
}

// asks reports whether some rows depend on the fact.
func asks(rows []row, fact string) bool {
	return slices.ContainsFunc(rows, func(x row) bool { return strings.TrimPrefix(x.when, "!") == fact || asks(x.rows, fact) })
}

// repeat reads rows once for each layer, expert or modality.
func (r *reader) repeat(what string, rows []row) {
	switch what {
	case "layer":
		for i, l := range r.tower.layers {
			r.words["i"], r.words["l"], r.sizes["i"] = strconv.Itoa(i), layerName(i), i
			if r.words["n"] = "ln"; l.Norms == Post {
				r.words["n"] = "post"
			}
			r.facts["sub"], r.facts["scale"], r.facts["gate"], r.facts["norms_shared"] = l.Norms == Sub, l.Scale, l.Gate, l.NormsOf == Shared
			r.read(rows)
		}
	case "attn", "ffn", "final":
		l, sharing := LayerRange{}, r.tower.Final
		if what != "final" {
			l = r.tower.layers[r.sizes["i"]]
			sharing = map[string]Sharing{"attn": l.Attn, "ffn": l.FFN}[what]
		}
		for _, b := range r.t.branches(r.tower, l, sharing) {
			r.words["b"], r.words["e"], r.words[".e"] = b.part, b.word, dotted(b.word)
			r.read(rows)
		}
	case "stem":
		last := len(r.stages) - 1
		for i, side := range r.stages[:last] {
			r.words["s"], r.sizes["side"] = strconv.Itoa(i), side
			r.read(rows)
			r.sizes["inputs"] = r.sizes["stem_dim"]
		}
		r.sizes["side"] = r.stages[last]
	default:
		for _, m := range r.t.modalities {
			if what == "modality" || what == string(m.Embedder) {
				r.modality(&m)
				r.read(rows)
			}
		}
	}
}

// dotted returns the name of an expert in keys with a dot before it, "" for no expert.
func dotted(word string) string {
	if word == "" {
		return ""
	}
	return "." + word
}

// inputWords are the values of {in}.
var inputWords = map[Embedder]string{Patch: "image", Token: "text"}

// modality sets the placeholders, sizes and facts of a modality.
func (r *reader) modality(m *modality) {
	r.enter(r.t.tower(m.Name))
	r.words["m"], r.words["e"], r.words["in"] = m.Name, r.t.keys.word(m.Name), inputWords[m.Embedder]
	r.facts["anywhere"], r.facts["class"], r.facts["embed_norm"] = m.Anywhere, !m.Classless, m.Norm > 0
	r.sizes["unused"] = m.Unused
	if m.Embedder == Token {
		r.sizes["vocab"], r.sizes["positions"], r.sizes["kept"] = m.Vocab, m.Positions, r.t.text
		return
	}
	r.sizes["channels"], r.sizes["patch"], r.sizes["kept"], r.sizes["positions"] = m.Channels, m.Patch, m.fixed(), m.fixed()+m.Unused
	r.stages, r.facts["stem_norm"] = m.stages(), m.StemNorm > 0
	r.sizes["stem_dim"], r.sizes["inputs"] = m.StemDim, m.Channels // inputs: columns of the stage before
}

// enter sets the sizes and facts to those of a tower.
func (r *reader) enter(t *tower) {
	r.tower = t
	r.sizes["dim"], r.sizes["ffn"], r.sizes["heads"] = t.Dim, t.FFN, t.Heads
	r.sizes["depth"] = t.depth // number of layers in the checkpoint
	r.sizes["types"] = t.Types // rows of the table of types
	r.sizes["reach"] = t.Reach // longest text of the relative position bias
	r.facts["bias"] = t.Relative
	r.sizes["embed"], r.sizes["hidden"], r.sizes["map_ffn"] = t.Pool.Dim, t.Pool.Hidden, t.Pool.FFN
}

// reader returns a reader of the trunk's layout, in the first tower.
func (t *trunk) reader() *reader {
	r := &reader{
		t:     t,
		words: map[string]string{"p": t.keys.Prefix},
		sizes: map[string]int{},
		facts: map[string]bool{"mask": t.keys.Mask, "norm": t.norm && t.towers[0].Final != "", "logit_bias": t.similarity.Bias},
	}
	r.enter(&t.towers[0])
	for _, m := range t.modalities {
		switch m.Embedder {
		case Token:
			r.sizes["vocab"] = m.Vocab // heads of tasks have a row for each token
		case Patch:
			side := m.Height / m.Patch
			r.sizes["image_bias"] = (2*side-1)*(2*side-1) + 3 // rows of the bias within the image
		}
	}
	return r
}

// size evaluates a sum of products of sizes.
func (r *reader) size(expr string) int {
	sum := 0
	for s := range strings.SplitSeq(expr, "+") {
		product := 1
		for f := range strings.SplitSeq(s, "*") {
			n, err := strconv.Atoi(f)
			if v, ok := r.sizes[f]; ok {
				n, err = v, nil
			}
			if err != nil {
				panic(fmt.Sprintf("layout: %q: unknown size %q", expr, f))
			}
			product *= n
		}
		sum += product
	}
	return sum
}

// name replaces the placeholders in a name.
func (r *reader) name(s string) string { return expand(s, r.words) }

// expand replaces the placeholders in a name by words.
func expand(s string, words map[string]string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		word, after, _ := strings.Cut(rest, "}")
		v, ok := words[word]
		if !ok {
			panic(fmt.Sprintf("layout: %q: unknown word %q", s, word))
		}
		b.WriteString(v)
		s = after
	}
}

// tensor adds the tensor of a row to the state dict, with the weights that are read from it. If x.more is set, it adds only
// weights, which are read from the tensor of the row before.
func (r *reader) tensor(x row) {
	st := r.t.state
	if !x.more {
		shape := []int{}
		for f := range strings.FieldsSeq(x.shape) {
			shape = append(shape, r.size(f))
		}
		st.tensors = append(st.tensors, Tensor{r.name(x.key), shape})
	}
	at := len(st.tensors) - 1
	for _, to := range x.to {
		s := &slot{tensor: at, transposed: to.transposed}
		if to.rows != "" {
			s.row, s.rows = r.size(cmp.Or(to.row, "0")), r.size(to.rows)
		}
		if to.cols != "" {
			s.col, s.cols = r.size(cmp.Or(to.col, "0")), r.size(to.cols)
		}
		name := r.name(to.weight)
		s.shape = s.of(st.tensors[at].Shape, strings.HasSuffix(name, ".w"))
		s.grid = r.t.grid(name)
		st.weights[name] = s
	}
}

// of returns the shape of the weight in a slot of a tensor. A vector is a matrix of one row if matrix is set. The kernel axes of
// a convolution become columns of a matrix; the first axis of a table of three axes has size 1.
func (s *slot) of(shape []int, matrix bool) []int {
	switch {
	case len(shape) == 0:
		return []int{1}
	case len(shape) == 1 && matrix:
		return []int{1, shape[0]}
	case len(shape) == 1 && s.rows != 0:
		return []int{s.rows}
	case len(shape) == 1:
		return slices.Clone(shape)
	case len(shape) == 3:
		shape = shape[1:]
	}
	rows, cols := shape[0], 1
	for _, n := range shape[1:] {
		cols *= n
	}
	if s.rows != 0 {
		rows = s.rows
	}
	if s.cols != 0 {
		cols = s.cols
	}
	if s.transposed {
		rows, cols = cols, rows
	}
	return []int{rows, cols}
}

// grid returns the grid of a weight that is the position table of a square image; nil for other weights.
func (t *trunk) grid(weight string) *ir.Grid {
	for _, m := range t.modalities {
		if m.Embedder == Patch && weight == m.Name+".embed.pos.w" && m.Height == m.Width {
			return &ir.Grid{Extra: m.Unused + m.class(), Side: m.Height / m.Patch, Resize: t.resize}
		}
	}
	return nil
}
