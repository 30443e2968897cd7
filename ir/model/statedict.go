package model

import (
	"github.com/multiway-go/multiway/ir"
)

// Tensor is one tensor of a checkpoint: its key and shape. A scalar has no dimensions.
type Tensor struct {
	Name  string
	Shape []int
}

// Tensors lists the tensors of the description's official checkpoint in order,
// those that inference never reads included. The description must be complete, as
// the constructors return it.
func Tensors(d *Description) []Tensor { return d.trunk().state.tensors }

// stateDict is a checkpoint's tensors in their official order, and what each becomes.
type stateDict struct {
	tensors []Tensor
	weights map[string]*slot // by weight name
}

// slot is a weight before it is declared: its shape and the tensor it is cut from.
type slot struct {
	shape      []int
	tensor     int // index in tensors
	row, rows  int // of the tensor's first axis; rows 0 = all
	col, cols  int // of a matrix; cols 0 = all
	transposed bool
	grid       *ir.Grid
}

// origin says where a slot's elements are in the checkpoint.
func (s *stateDict) origin(sl *slot) *ir.Origin {
	t := s.tensors[sl.tensor]
	return &ir.Origin{Key: t.Name, Shape: t.Shape, Row: sl.row, Rows: sl.rows, Col: sl.col, Cols: sl.cols, Transposed: sl.transposed, Grid: sl.grid}
}

// branch is one copy of a pooled weight: what keys call its expert, "" if it is shared, and its part in bundles.
type branch struct{ word, part string }

// branches lists the copies of a half of layer r of a tower.
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
