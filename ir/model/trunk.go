package model

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// trunk is the expanded description that lowering reads.
type trunk struct {
	towers     []tower
	modalities []modality // modalities of all towers, in sequence order
	keys       Keys
	similarity Similarity
	norm       bool // the checkpoint has the norm after the last layer
	text       int  // tokens of the longest text
	resize     bool // position tables of images may be resized
	state      *stateDict
}

// tower is a Tower with an entry for each of its layers.
type tower struct {
	Tower
	layers []LayerRange
	depth  int // number of layers in the checkpoint
}

// tower returns the tower of a modality.
func (t *trunk) tower(modality string) *tower {
	i := slices.IndexFunc(t.towers, func(w tower) bool { return w.has(modality) })
	return &t.towers[i]
}

// modality is a Modality with the number of its rows.
type modality struct {
	Modality
	input string // name of its parameter in functions
	rows  ir.Dim
}

// entry is a set of modalities in sequence order.
type entry struct {
	name       string
	modalities []modality
}

// modalities lists the modalities, in sequence order, with their rows.
func (s *Structure) modalities() []modality {
	var ms []modality
	for i, m := range s.Modalities {
		x := modality{Modality: m, input: "ids", rows: ir.T}
		switch {
		case m.Embedder == Patch:
			x.input, x.rows = "image", ir.C(m.fixed())
			if slices.ContainsFunc(s.Modalities[:i], func(m Modality) bool { return m.Embedder == Patch }) {
				x.input = m.Name + ".input"
			}
		case m.Rows > 0:
			x.rows = ir.C(m.Rows)
		}
		ms = append(ms, x)
	}
	return ms
}

// entries lists every set of modalities of a tower, small ones first. An entry of one modality has
// its name, an entry of both modalities of a model is called pair, and in other entries the names
// are joined by _.
func (s *Structure) entries() []entry {
	ms := s.modalities()
	var all []entry
	for set := 1; set < 1<<len(ms); set++ {
		var e entry
		var names []string
		for i, m := range ms {
			if set>>i&1 != 0 {
				e.modalities = append(e.modalities, m)
				names = append(names, m.Name)
			}
		}
		if !slices.ContainsFunc(s.towers(), func(t Tower) bool { return !slices.ContainsFunc(names, func(n string) bool { return !t.has(n) }) }) {
			continue
		}
		e.name = strings.Join(names, "_")
		if len(ms) == 2 && len(names) == 2 {
			e.name = "pair"
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return len(a.modalities) - len(b.modalities) })
	return all
}

// kind returns the kind of a task's only function for the entry: image, text, pair, or "" for other inputs.
func (e *entry) kind() string {
	var inputs []string
	for _, m := range e.modalities {
		inputs = append(inputs, m.input)
	}
	slices.Sort(inputs)
	return map[string]string{"image": "image", "ids": "text", "ids image": "pair"}[strings.Join(inputs, " ")]
}

// has reports whether the entry consists of one modality for each of the embedders.
func (e *entry) has(want ...Embedder) bool {
	var have []Embedder
	for _, m := range e.modalities {
		have = append(have, m.Embedder)
	}
	slices.Sort(have)
	slices.Sort(want)
	return slices.Equal(have, want)
}

// expert returns the expert of the entry's whole sequence in layer r, "" if every
// modality has its own.
func (e *entry) expert(r LayerRange) string {
	if len(e.modalities) < 2 {
		return ""
	}
	var names []string
	for _, m := range e.modalities {
		names = append(names, m.Name)
	}
	any := ""
	for _, x := range r.Experts {
		if x.Modalities == nil {
			any = x.Name
		} else if slices.Equal(sorted(x.Modalities), sorted(names)) {
			return x.Name
		}
	}
	return any
}

// trunk expands the description. It must be complete.
func (d *Description) trunk() *trunk {
	s := d.Structure()
	t := &trunk{keys: s.Keys, similarity: s.Similarity, resize: d.Interpolate, text: d.Limits.Text, state: &stateDict{weights: map[string]*slot{}}}
	t.modalities = s.modalities()
	for _, w := range s.towers() {
		x := tower{Tower: w}
		for _, r := range w.Layers {
			for range r.To - r.From {
				x.layers = append(x.layers, r)
			}
		}
		x.depth = cmp.Or(s.Keys.Layers, len(x.layers))
		t.towers = append(t.towers, x)
	}
	for _, o := range d.Tasks {
		t.norm = t.norm || d.task(o.Name).normed(&o)
	}
	if d.Captions() { // the last token of the longest text and the mask
		t.text += captionRows
	}
	r := t.reader()
	r.read(s.Keys.layout().rows)
	for i := range d.Tasks {
		r.sizes["classes"] = d.Tasks[i].Classes
		r.read(d.task(d.Tasks[i].Name).tensors(s.Keys.layout()))
	}
	return t
}

func (d *Description) entries() []entry {
	s := d.Structure()
	return s.entries()
}

// entry returns the entry called name, nil if there is none.
func (d *Description) entry(name string) *entry {
	for _, e := range d.entries() {
		if e.name == name {
			return &e
		}
	}
	return nil
}

func (d *Description) entryNames() []string {
	var s []string
	for _, e := range d.entries() {
		s = append(s, e.name)
	}
	return s
}

func layerName(i int) string { return "l" + strconv.Itoa(i) }
