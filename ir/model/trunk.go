package model

import (
	"strconv"

	"github.com/multiway-go/multiway/ir"
)

// trunk is what a family and its sizes expand to: the general form that lowering
// reads. It says which modalities there are, in sequence order, and what each layer
// shares between them.
type trunk struct {
	dim, heads int
	eps        float64
	modalities []modality
	layers     []layer
	final      sharing // the norm after the last layer
	state      *stateDict
}

// modality is one kind of input and the rows it becomes.
type modality struct {
	name  string // of its segment and its expert
	input string // of its parameter in a function
	embed embedder
	rows  ir.Dim

	image, patch, channels int // a picture: f32[channels,image,image]
	vocab                  int // tokens: i32[T]
}

// embedder says how an input becomes rows.
type embedder uint8

const (
	patches embedder = iota // patch convolution, class row in front, positions
	tokens                  // token table, positions
)

// layer says whose weights the two halves of a layer use.
type layer struct {
	attn, ffn sharing
	sub       bool // a norm before the out projection and before fc2
}

// sharing says how many experts a bundle has.
type sharing uint8

const (
	pooled sharing = iota // one expert a modality
	shared                // one for all
)

// part is the sharing's part in the names of bundles.
func (s sharing) part() string {
	if s == pooled {
		return "*"
	}
	return "shared"
}

// entry is a set of modalities in sequence order. Every modality alone is an entry;
// pair is all of them.
type entry struct {
	name       string
	modalities []modality
}

func (t *trunk) entries() []entry {
	var all []entry
	for _, m := range t.modalities {
		all = append(all, entry{m.name, []modality{m}})
	}
	return append(all, entry{"pair", t.modalities})
}

// Tensor is one tensor of a checkpoint: its key and shape. A scalar has no dimensions.
type Tensor struct {
	Name  string
	Shape []int
}

// stateDict is a checkpoint's tensors in their official order, and what each becomes.
type stateDict struct {
	tensors []Tensor
	weights map[string]*slot // by weight name
}

// slot is a weight before it is declared: its shape and the tensor it is cut from.
type slot struct {
	shape     []int
	tensor    int // index in tensors
	row, rows int // of the tensor's first axis; rows 0 = all
}

// tensor adds a tensor. weight names what it becomes, in shape as; "" = nothing.
func (s *stateDict) tensor(key string, shape []int, weight string, as ...int) {
	s.cut(key, shape, weight, 0, 0, as...)
}

// cut adds a tensor of which only rows of the first axis become a weight.
func (s *stateDict) cut(key string, shape []int, weight string, row, rows int, as ...int) {
	if weight != "" {
		s.weights[weight] = &slot{as, len(s.tensors), row, rows}
	}
	s.tensors = append(s.tensors, Tensor{key, shape})
}

// linear adds y = x W^T + b with W [out,in]; bundle "" adds what nothing uses.
func (s *stateDict) linear(key, bundle string, out, in int, bias bool) {
	s.tensor(key+".weight", []int{out, in}, dot(bundle, "w"), out, in)
	if bias {
		s.tensor(key+".bias", []int{out}, dot(bundle, "b"), out)
	}
}

// norm adds the gain and bias of a layer norm over n columns.
func (s *stateDict) norm(key, bundle string, n int) {
	s.tensor(key+".weight", []int{n}, dot(bundle, "g"), n)
	s.tensor(key+".bias", []int{n}, dot(bundle, "b"), n)
}

func dot(bundle, field string) string {
	if bundle == "" {
		return ""
	}
	return bundle + "." + field
}

// origin says where a slot's elements are in the checkpoint.
func (s *stateDict) origin(sl *slot) *ir.Origin {
	t := s.tensors[sl.tensor]
	return &ir.Origin{Key: t.Name, Shape: t.Shape, Row: sl.row, Rows: sl.rows}
}

// family is a row of the table of families: how its sizes expand and how its
// checkpoints name the weights.
type family struct {
	name string
	// trunk expands the description's sizes; norm says whether the checkpoint has
	// the norm after the last layer. nil: not built yet.
	trunk func(d *Description, norm bool) *trunk
}

var families = []family{
	{"beit3", beit3},
	{"mwt", nil},
	{"vlmo", nil},
}

func familyNamed(name string) *family {
	for i := range families {
		if families[i].name == name {
			return &families[i]
		}
	}
	return nil
}

func familyNames() []string {
	var s []string
	for _, f := range families {
		s = append(s, f.name)
	}
	return s
}

func builtFamilies() []string {
	var s []string
	for _, f := range families {
		if f.trunk != nil {
			s = append(s, f.name)
		}
	}
	return s
}

// trunk expands the description. It must be complete.
func (d *Description) trunk() *trunk {
	norm := false
	for _, t := range d.Tasks {
		norm = norm || taskNamed(t.Name).norm(&t)
	}
	t := familyNamed(d.Family).trunk(d, norm)
	for i := range d.Tasks {
		taskNamed(d.Tasks[i].Name).tensors(t, &d.Tasks[i])
	}
	return t
}

func (d *Description) entryNames() []string {
	var s []string
	for _, e := range familyNamed(d.Family).trunk(d, false).entries() {
		s = append(s, e.name)
	}
	return s
}

// Tensors lists the tensors of the description's official checkpoint in order,
// those that inference never reads included. The description must be complete, as
// the constructors return it.
func Tensors(d *Description) []Tensor { return d.trunk().state.tensors }

func layerName(i int) string { return "l" + strconv.Itoa(i) }
