package model

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// solver finds the sizes of a model from a checkpoint, the reverse of reader: a size that is an axis of a tensor in the layout is
// read from the shape in the checkpoint.
type solver struct {
	s     shapes
	t     Structure // the modalities and the names of experts in keys
	words map[string]string
	scope string          // the modality or the task whose sizes are found, "" = neither
	sizes map[axis]int    // of the first tensor with the axis that has the rank of its row
	from  map[axis]wanted // that tensor, or, if there is none, the first one of the layout
	has   map[string]bool // whether there is a tensor of rows with a condition, or of a half with a sharing, as in "shared attn"
	joint map[string]bool // layers with experts for sequences of several modalities
	first map[string]bool // first words of the names of the layout's tensors
	parts map[string]int  // names of the layout's tensors in layers, with {i} in place of the number, and how many layers there are
}

// axis is a size or an expression in the shapes of a layout. scope is as in solver.
type axis struct{ scope, name string }

// wanted is a tensor with the shape that its row has.
type wanted struct{ key, shape string }

// solve finds the sizes that the shapes determine. It does not check shapes for contradictions, which Bind does. t is the structure
// of a family with the layout.
func (l *layout) solve(t Structure, s shapes) *solver {
	v := &solver{
		s: s, t: t, words: map[string]string{"p": t.Keys.Prefix},
		sizes: map[axis]int{}, from: map[axis]wanted{}, has: map[string]bool{}, joint: map[string]bool{}, first: map[string]bool{}, parts: map[string]int{},
	}
	v.rows(l.rows)
	return v
}

func (v *solver) rows(rows []row) {
	for _, x := range rows {
		switch {
		case x.each == "layer":
			v.layers(x.rows)
		case x.each == "stem":
			v.words["s"] = "0"
			v.has["stem"] = v.found(x.rows)
		case x.each != "":
			v.repeat(x.each, func(s Sharing) {
				if s != "" && v.found(x.rows) {
					v.has[string(s)+" "+x.each] = true
					if s == Joint {
						v.joint[v.words["i"]] = true
					}
				}
				v.rows(x.rows)
			})
		case x.rows != nil:
			if x.when != "" {
				v.has[x.when] = v.has[x.when] || v.found(x.rows)
			}
			v.rows(x.rows)
		case !x.more:
			v.tensor(x)
		}
	}
}

// layers counts the layers and reads the sizes in each.
func (v *solver) layers(rows []row) {
	n, of := 0, axis{v.scope, "layers"}
	for v.words["i"] = "0"; n < maxLayers && v.found(rows); v.words["i"] = strconv.Itoa(n) {
		v.rows(rows)
		n++
		v.sizes[of] = n
	}
	v.every(rows, func(x row) {
		if v.from[of] == (wanted{}) {
			v.from[of] = wanted{v.key(x), x.shape}
		}
	})
	v.words["i"] = "{i}"
	v.every(rows, func(x row) { v.parts[v.key(x)] = n })
}

// inert are the ends of names of tensors in layers that change nothing: constants, and counters of a profiler.
var inert = []string{"relative_position_index", "position_ids", "total_ops", "total_params"}

// strange returns an error about a tensor of a layer that the layout does not have, or of a layer after a gap; nil if there is none.
func (v *solver) strange(family string) error {
	before := map[string]bool{} // beginnings of names of tensors in layers, up to the number
	for part := range v.parts {
		prefix, _, _ := strings.Cut(part, "{i}")
		before[prefix] = true
	}
	found, gap := "", -1
	for name := range v.s {
		for prefix := range before {
			rest, ok := strings.CutPrefix(name, prefix)
			number, part, _ := strings.Cut(rest, ".")
			i, err := strconv.Atoi(number)
			if !ok || err != nil {
				continue
			}
			n, known := v.parts[prefix+"{i}."+part]
			switch {
			case known && i < n, !known && slices.Contains(inert, part[strings.LastIndex(part, ".")+1:]), found != "" && name > found:
			case known:
				found, gap = name, n
			default:
				found, gap = name, -1
			}
		}
	}
	switch {
	case found == "":
		return nil
	case gap >= 0:
		return fmt.Errorf("it has the tensor %s, but none of layer %d: some are missing; copy or download the file again, or all of its files", quote(found), gap)
	}
	return fmt.Errorf("a layer has the tensor %s, and layers of family %s have no such part; a model with it is not built", quote(found), family)
}

// repeat calls f once for each modality, or for each expert that may be there, and after them for no expert, which is shared weights.
func (v *solver) repeat(what string, f func(s Sharing)) {
	switch what {
	case "attn", "ffn", "final":
		expert := func(s Sharing, word string) {
			v.words["e"], v.words[".e"] = word, dotted(word)
			f(s)
		}
		for _, e := range v.t.Modalities {
			expert(Pooled, v.t.Keys.word(e.Name))
		}
		for _, name := range slices.Sorted(maps.Keys(v.t.Keys.Experts)) {
			if !slices.ContainsFunc(v.t.Modalities, func(m Modality) bool { return m.Name == name }) {
				expert(Joint, v.t.Keys.word(name))
			}
		}
		expert(Shared, "")
	default:
		for _, m := range v.t.Modalities {
			if what == "modality" || what == string(m.Embedder) {
				v.scope, v.words["m"], v.words["e"], v.words["in"] = m.Name, m.Name, v.t.Keys.word(m.Name), inputWords[m.Embedder]
				f("")
				v.scope = ""
			}
		}
	}
}

// every calls f for each tensor of rows, but not for those of layers in them.
func (v *solver) every(rows []row, f func(x row)) {
	for _, x := range rows {
		switch {
		case x.each != "":
			v.repeat(x.each, func(Sharing) { v.every(x.rows, f) })
		case x.rows != nil:
			v.every(x.rows, f)
		case !x.more:
			f(x)
		}
	}
}

// found reports whether the checkpoint has a tensor of rows.
func (v *solver) found(rows []row) (found bool) {
	v.every(rows, func(x row) { found = found || v.s.has(v.key(x)) })
	return found
}

// head reports whether the checkpoint has every matrix of rows, of which there is at least one.
func (v *solver) head(rows []row) bool {
	have, lack := false, false
	v.every(rows, func(x row) {
		if strings.Contains(x.shape, " ") {
			have, lack = true, lack || !v.s.has(v.key(x))
		}
	})
	return have && !lack
}

func (v *solver) key(x row) string { return expand(x.key, v.words) }

func (v *solver) tensor(x row) {
	key, names := v.key(x), strings.Fields(x.shape)
	v.first[firstWord(key)] = true
	shape, ok := v.s[key]
	ok = ok && len(shape) == len(names)
	for i, name := range names {
		side := len(names) == 4 && i > 1 // of a convolution over patches, of which a stem has several
		switch {
		case side && i == 3:
			continue
		case side:
			name = "patch"
		case name == "inputs": // of a stem; of a model without one they are
			name = "channels"
		}
		a := axis{v.scope, name}
		n, known := v.sizes[a]
		if known && !side {
			continue
		}
		if _, asked := v.from[a]; ok || !asked {
			v.from[a] = wanted{key, x.shape}
		}
		if ok && known {
			v.sizes[a] = n * shape[i]
		} else if ok {
			v.sizes[a] = shape[i]
		}
	}
}

// in returns a for sizes of the scope, or of the whole model if the scope has none.
func (v *solver) in(scope, name string) axis {
	if a := (axis{scope, name}); v.from[a] != (wanted{}) {
		return a
	}
	return axis{"", name}
}

func (v *solver) size(scope, name string) int { return v.sizes[v.in(scope, name)] }

// lacks says why a size is not known: its tensor is missing or has another shape.
func (v *solver) lacks(scope, name string) string {
	w := v.from[v.in(scope, name)]
	if !v.s.has(w.key) {
		return w.key + " is missing"
	}
	commas := strings.NewReplacer(" ", ",")
	return fmt.Sprintf("%s is %s, want [%s]", w.key, commas.Replace(fmt.Sprint(v.s[w.key])), commas.Replace(w.shape))
}

// infer sets the family, sizes and tasks of a guess from the tensors of a checkpoint with layout l. Tasks are those whose heads the
// checkpoint has, or else encode or, of towers whose rows are pooled, retrieval.
func (g *Guess) infer(l *layout, s shapes) *solver {
	with := l.families()
	v := l.solve(with[0].structure(&Sizes{}), s)
	i := slices.IndexFunc(with, func(f *family) bool { return f.lacks == "" || !v.has[f.lacks] })
	f := with[i]
	t := f.structure(&Sizes{})
	g.Family, g.Layout = f.name, l.name
	z := &g.Sizes
	const see, read = "vision", "language"
	*z = Sizes{
		Dim: v.size(see, "dim"), FFN: v.size(see, "ffn"), Layers: v.size(see, "layers"), VLLayers: len(v.joint),
		Patch: v.size(see, "patch"), Channels: v.size(see, "channels"), Vocab: v.size(read, "vocab"), Positions: v.size(read, "positions"),
		Scale: v.has["scale"], Absolute: v.has["!anywhere"],
	}
	z.Heads = cmp.Or(v.size(see, "heads"), v.size("", "depth*heads")/max(1, z.Layers))
	side := square(v.size(see, "positions") - t.Image().class() - t.Image().Unused)
	if n := v.size(see, "image_bias"); n > 3 {
		side = (square(n-3) + 1) / 2
	}
	if n := v.size("", "image_bias+2+2*reach"); n != 0 {
		side, z.Reach = offsets(n, z.Positions)
	}
	z.Image = z.Patch * side
	picture := axis{see, "image"}
	for _, name := range []string{"positions", "image_bias", "image_bias+2+2*reach"} {
		if w := v.from[v.in(see, name)]; v.from[picture] == (wanted{}) || v.s.has(w.key) {
			v.from[picture] = w
		}
	}
	if n := v.size("", "types"); n > 2 {
		z.Types = n
	}
	if f.text != "" {
		z.Embed, z.Act = cmp.Or(v.size(see, "embed"), v.size(read, "embed")), f.act
		z.Text = TowerSizes{Dim: v.size(read, "dim"), FFN: v.size(read, "ffn"), Layers: v.size(read, "layers"), Act: f.text}
	}
	for i := range tasks {
		t := l.task(tasks[i].name)
		if t != &tasks[i] || !v.head(t.tensors(l)) {
			continue
		}
		v.scope = t.name
		v.rows(t.tensors(l))
		v.scope = ""
		g.Tasks = append(g.Tasks, Task{Name: t.name, Classes: v.sizes[axis{t.name, "classes"}]})
	}
	if len(g.Tasks) == 1 && l.task(g.Tasks[0].Name).pretrained && v.others(l) {
		g.Tasks = nil
	}
	if g.Tasks == nil {
		t := Task{Name: "encode"}
		if norm, ok := v.has["norm"]; ok {
			t.Norm = &norm
		}
		if l.code == Contrast {
			t.Name = "retrieval"
		}
		g.Tasks = []Task{t}
	}
	return v
}

// others reports whether the checkpoint has tensors that are neither the layout's nor of a task.
func (v *solver) others(l *layout) bool {
	for i := range tasks {
		if t := l.task(tasks[i].name); t != nil {
			v.every(t.tensors(l), func(x row) { v.first[firstWord(v.key(x))] = true })
		}
	}
	for name := range v.s {
		if !v.first[firstWord(name)] {
			return true
		}
	}
	return false
}

// firstWord returns a name up to its first dot.
func firstWord(name string) string {
	first, _, _ := strings.Cut(name, ".")
	return first
}

// square returns the square root of n, 0 if n is not a square.
func square(n int) int {
	if n < 1 || n > 1<<30 {
		return 0
	}
	side := int(math.Sqrt(float64(n)))
	if side*side != n {
		return 0
	}
	return side
}

// offsets returns the patches along a side of the image and the longest text of a table of
// relative positions. The table has (2W-1)^2+3 rows for the image and 2T+2 for the text.
// Released models have T = 196. For other models it assumes the largest image that leaves
// rows for a text.
func offsets(rows, text int) (side, reach int) {
	if rows < 1 || rows > 1<<30 {
		return 0, 0
	}
	const released = 196
	if w := square(rows - 3 - 2*released - 2); w%2 == 1 {
		return (w + 1) / 2, released
	}
	for w := 1 << 14; w > 0; w-- {
		if left := rows - 3 - 2 - (2*w-1)*(2*w-1); left >= 2*text && left%2 == 0 {
			return w, left / 2
		}
	}
	return 0, 0
}
