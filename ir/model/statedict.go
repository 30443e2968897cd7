package model

import (
	"github.com/multiway-go/multiway/ir"
)

// Tensor is one tensor of a checkpoint: its key and shape. A scalar has no dimensions.
type Tensor struct {
	Name  string
	Shape []int
}

// Tensors lists the tensors of the description's checkpoint as the reference implementation
// writes it, in order, with the tensors that inference never reads. The description must be
// complete, as the constructors return it.
func Tensors(d *Description) []Tensor { return d.trunk().state.tensors }

// stateDict has a checkpoint's tensors in the order of the reference implementation, and the weights.
type stateDict struct {
	tensors []Tensor
	weights map[string]*slot // by weight name
}

// slot is a weight before it is declared: its shape, and the part of a tensor that it is read from.
type slot struct {
	shape      []int
	tensor     int // index in tensors
	row, rows  int // range on the tensor's first axis; rows 0 = all
	col, cols  int // range of columns of a matrix; cols 0 = all
	transposed bool
	grid       *ir.Grid
}

// origin returns the place of a slot's elements in the checkpoint.
func (s *stateDict) origin(sl *slot) *ir.Origin {
	t := s.tensors[sl.tensor]
	return &ir.Origin{Key: t.Name, Shape: t.Shape, Row: sl.row, Rows: sl.rows, Col: sl.col, Cols: sl.cols, Transposed: sl.transposed, Grid: sl.grid}
}

// branch is one copy of a pooled weight: its expert's name in keys, "" if it is shared, and its part in names of bundles.
type branch struct{ word, part string }

// branches lists the copies of a half of the layers r of a tower.
func (t *trunk) branches(w *tower, r LayerRange, s Sharing) []branch {
	if s == Shared {
		return []branch{{"", w.part(s)}}
	}
	var bs []branch
	for _, m := range t.modalities {
		if !w.has(m.Name) {
			continue
		}
		bs = append(bs, branch{t.keys.word(m.Name), m.Name})
	}
	if s == Joint {
		for _, e := range r.Experts {
			bs = append(bs, branch{t.keys.word(e.Name), e.Name})
		}
	}
	return bs
}
