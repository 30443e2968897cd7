package ir

import "fmt"

var (
	OpPatches = newOp()
	OpJoin    = newOp()
	OpLookup  = newOp()
	OpConst   = newOp()
	OpAddRows = newOp()
	OpAddRow  = newOp()
)

func init() {
	*OpPatches = Op{
		Name: "patches", Hint: "p", Args: 1,
		Doc:     "image f32[C,H,W] -> [N,C*P*P]: patches row by row, inside a patch (channel, row, column); pixels after the last whole patch of a row or column are not read",
		Attrs:   []AttrSpec{{"patch", Int, true}},
		Batch:   PerSeq,
		Infer:   inferPatches,
		Eval:    evalPatches,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
	}
	*OpJoin = Op{
		Name: "join", Hint: "j", Args: 1,
		Doc:     "x [R,D] -> [R/S,S*D], S = side*side: the rows of x are a grid, width in each of its rows; each side x side square becomes one row, squares row by row, inside a square (column of x, row, column)",
		Attrs:   []AttrSpec{{"side", Int, true}, {"width", Int, true}},
		Batch:   Reducing,
		Infer:   inferJoin,
		Eval:    evalJoin,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
		Step:    Step{Method: "Join", Parts: []Part{{Kind: PartSections}, {Kind: PartAttr, Name: "side"}, {Kind: PartAttr, Name: "width"}}},
	}
	*OpLookup = Op{
		Name: "lookup", Hint: "e", Args: 1,
		Doc:     "ids i32[R], w [V,D] -> [R,D]: row id of w; an id outside of 0..V-1 is an error",
		Fields:  []Field{{"w", false}},
		Infer:   inferLookup,
		Eval:    evalLookup,
		Cost:    costGather,
		Kernels: []string{PlainGo},
	}
	*OpConst = Op{
		Name: "const", Hint: "w",
		Doc:     "w [R,D] -> [R,D]: the same rows for each sequence",
		Fields:  []Field{{"w", false}},
		Batch:   PerSeq,
		Infer:   inferConst,
		Eval:    evalConst,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
	}
	*OpAddRows = Op{
		Name: "addrows", Hint: "x", Args: 1,
		Doc:     "x [R,D], w [M,D] -> [R,D]: row i gets row at+i of w added; at is 0 unless given",
		Fields:  []Field{{"w", false}},
		Attrs:   []AttrSpec{{"at", Length, false}},
		Batch:   PerSeq,
		Infer:   inferAddRows,
		Eval:    evalAddRows,
		Cost:    costGather,
		Kernels: []string{PlainGo},
		InPlace: []int{0},
	}
	*OpAddRow = Op{
		Name: "addrow", Hint: "x", Args: 1,
		Doc:     "x [R,D], w [M,D] -> [R,D]: every row gets the same row of w added, 0 unless given",
		Fields:  []Field{{"w", false}},
		Attrs:   []AttrSpec{{"row", Int, false}},
		Infer:   inferAddRow,
		Eval:    evalAddRow,
		Cost:    costGather,
		Kernels: []string{PlainGo},
		InPlace: []int{0},
	}
}

// Patches cuts an image f32[C,H,W] into rows of patch x patch pixels, f32[N,C*P*P].
func (b *Builder) Patches(img *Value, patch int) *Value {
	return b.Op(OpPatches, "", "", Attrs{IntAttr("patch", patch)}, img)
}

// Join makes one row of each side x side square of x, whose rows are a grid with width rows of x in each row of the grid.
func (b *Builder) Join(x *Value, side, width int) *Value {
	return b.Op(OpJoin, "", "", Attrs{IntAttr("side", side), IntAttr("width", width)}, x)
}

// Lookup returns one row for each token id: row id of bundle.w.
func (b *Builder) Lookup(ids *Value, bundle string) *Value {
	return b.Op(OpLookup, "", bundle, nil, ids)
}

// Const returns the matrix bundle.w.
func (b *Builder) Const(bundle string) *Value { return b.Op(OpConst, "", bundle, nil) }

// AddRows adds rows at, at+1, ... of bundle.w to the rows of x.
func (b *Builder) AddRows(x *Value, bundle string, at Dim) *Value {
	return b.Op(OpAddRows, "", bundle, Attrs{DimAttr("at", at)}, x)
}

// AddRow adds row `row` of bundle.w to every row of x.
func (b *Builder) AddRow(x *Value, bundle string, row int) *Value {
	return b.Op(OpAddRow, "", bundle, Attrs{IntAttr("row", row)}, x)
}

func inferPatches(c *Infer) (Type, error) {
	x, p := c.V.Args[0], c.V.Attrs.Int("patch", 0)
	s := x.Type.Shape
	if x.Type.DType != F32 || len(s) != 3 || s[0].T {
		return Type{}, fmt.Errorf("%s is %v, want an image f32[channels,height,width]", x.Name, x.Type)
	}
	if p < 1 || p > s[1].C || p > s[2].C {
		return Type{}, fmt.Errorf("patch is %d, want 1 to the height and width of %s: %v", p, x.Name, x.Type)
	}
	// Both products are at most the image's elements, so neither overflows.
	return Mat(C(s[1].C/p*(s[2].C/p)), s[0].C*p*p), nil
}

func evalPatches(c *Eval) (*Tensor, error) {
	x, p := c.Args[0], c.V.Attrs.Int("patch", 1)
	channels, height, width := x.Shape[0], x.Shape[1], x.Shape[2]
	y := newTensor(height/p*(width/p), channels*p*p)
	i := 0
	for py := 0; py+p <= height; py += p {
		for px := 0; px+p <= width; px += p {
			for ch := range channels {
				for r := range p {
					i += copy(y.F[i:], x.F[(ch*height+py+r)*width+px:][:p])
				}
			}
		}
	}
	return y, nil
}

func inferJoin(c *Infer) (Type, error) {
	rows, cols, err := c.arg(0)
	if err != nil {
		return Type{}, err
	}
	x, side, width := c.V.Args[0], c.V.Attrs.Int("side", 0), c.V.Attrs.Int("width", 0)
	switch {
	case rows.T:
		return Type{}, fmt.Errorf("%s is %v, want a constant number of rows", x.Name, x.Type)
	case width < 1 || rows.C%width != 0:
		return Type{}, fmt.Errorf("width is %d, want a divisor of the %d rows of %s: %v", width, rows.C, x.Name, x.Type)
	case side < 1 || width%side != 0 || rows.C/width%side != 0:
		return Type{}, fmt.Errorf("side is %d, want a divisor of both sides of the grid of %s, which is %d x %d", side, x.Name, rows.C/width, width)
	}
	square := side * side // at most the number of rows
	if cols > MaxDim/square {
		return Type{}, fmt.Errorf("%d rows of %d columns give more than %d columns", square, cols, MaxDim)
	}
	return Mat(C(rows.C/square), cols*square), nil
}

func evalJoin(c *Eval) (*Tensor, error) {
	x, side, width := c.Args[0], c.V.Attrs.Int("side", 1), c.V.Attrs.Int("width", 1)
	y := newTensor(x.rows()/(side*side), x.cols()*side*side)
	for r := range x.rows() {
		down, across := r/width, r%width
		to := y.row(down/side*(width/side) + across/side)
		for i, v := range x.row(r) {
			to[(i*side+down%side)*side+across%side] = v
		}
	}
	return y, nil
}

func inferLookup(c *Infer) (Type, error) {
	ids := c.V.Args[0]
	if ids.Type.DType != I32 || len(ids.Type.Shape) != 1 {
		return Type{}, fmt.Errorf("%s is %v, want ids i32[rows]", ids.Name, ids.Type)
	}
	w, err := c.field("w", 2)
	if err != nil {
		return Type{}, err
	}
	return Mat(ids.Type.Rows(), w.Type.Cols()), nil
}

func evalLookup(c *Eval) (*Tensor, error) {
	w, err := c.Weight("w")
	if err != nil {
		return nil, err
	}
	shape := c.P.Field(c.V.Bundle, "w").Type
	rows, d := shape.Rows().C, shape.Cols()
	y := newTensor(len(c.Args[0].IDs), d)
	for r, id := range c.Args[0].IDs {
		if id < 0 || int(id) >= rows {
			return nil, fmt.Errorf("token id %d at position %d, want 0 to %d", id, r, rows-1)
		}
		for i, v := range w[int(id)*d:][:d] {
			y.row(r)[i] = float64(v)
		}
	}
	return y, nil
}

func inferConst(c *Infer) (Type, error) {
	w, err := c.field("w", 2)
	if err != nil {
		return Type{}, err
	}
	return Mat(w.Type.Rows(), w.Type.Cols()), nil
}

func evalConst(c *Eval) (*Tensor, error) {
	w, err := c.Weight("w")
	if err != nil {
		return nil, err
	}
	shape := c.P.Field(c.V.Bundle, "w").Type
	y := newTensor(shape.Rows().C, shape.Cols())
	for i, v := range w {
		y.F[i] = float64(v)
	}
	return y, nil
}

func inferAddRows(c *Infer) (Type, error) {
	rows, cols, w, err := c.rowsOf()
	if err != nil {
		return Type{}, err
	}
	if err := c.inside(c.V.Attrs.Dim("at"), rows, w.Type.Rows()); err != nil {
		return Type{}, fmt.Errorf("@%s is %v: %w", w.Name, w.Type, err)
	}
	return Mat(rows, cols), nil
}

func evalAddRows(c *Eval) (*Tensor, error) {
	w, err := c.Weight("w")
	if err != nil {
		return nil, err
	}
	x := c.Args[0]
	y := newTensor(x.rows(), x.cols())
	w = w[c.V.Attrs.Dim("at").At(c.T)*x.cols():]
	for i, v := range x.F {
		y.F[i] = v + float64(w[i])
	}
	return y, nil
}

func inferAddRow(c *Infer) (Type, error) {
	rows, cols, w, err := c.rowsOf()
	if err != nil {
		return Type{}, err
	}
	if r := c.V.Attrs.Int("row", 0); r < 0 || r >= w.Type.Rows().C {
		return Type{}, fmt.Errorf("@%s is %v, it has no row %d", w.Name, w.Type, r)
	}
	return Mat(rows, cols), nil
}

func evalAddRow(c *Eval) (*Tensor, error) {
	w, err := c.Weight("w")
	if err != nil {
		return nil, err
	}
	x := c.Args[0]
	n := x.cols()
	y := newTensor(x.rows(), n)
	w = w[c.V.Attrs.Int("row", 0)*n:][:n]
	for i, v := range x.F {
		y.F[i] = v + float64(w[i%n])
	}
	return y, nil
}
