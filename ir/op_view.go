package ir

import "fmt"

var (
	OpConcat = newOp()
	OpRows   = newOp()
	OpCols   = newOp()
	OpHCat   = newOp()
	OpSelect = newOp()
	OpStore  = newOp()
)

func init() {
	*OpConcat = Op{
		Name: "concat", Hint: "j", Args: -1,
		Doc:   "a [R,D], b [S,D], ... -> [R+S,D]: the rows of the arguments below each other",
		Batch: PerSeq, View: true,
		Infer: inferConcat,
		Eval:  evalConcat,
		Cost:  costWeights,
	}
	*OpRows = Op{
		Name: "rows", Hint: "r", Args: 1,
		Doc:   "x [R,D] -> [len,D]: rows at, at+1, ... of x",
		Attrs: []AttrSpec{{"at", Length, true}, {"len", Length, true}},
		Batch: PerSeq, View: true,
		Infer: inferRows,
		Eval:  evalRows,
		Cost:  costWeights,
	}
	*OpCols = Op{
		Name: "cols", Hint: "k", Args: 1,
		Doc:   "x [R,D] -> [R,len]: columns at, at+1, ... of x",
		Attrs: []AttrSpec{{"at", Int, true}, {"len", Int, true}},
		View:  true,
		Infer: inferCols,
		Eval:  evalCols,
		Cost:  costWeights,
	}
	*OpHCat = Op{
		Name: "hcat", Hint: "f", Args: -1,
		Doc:     "a [R,D], b [R,E], ... -> [R,D+E]: the columns of the arguments side by side",
		Infer:   inferHCat,
		Eval:    evalHCat,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
		Step:    Step{Method: "HCat"},
	}
	*OpSelect = Op{
		Name: "select", Hint: "s", Args: 1,
		Doc:     "x [R,D] -> [1,D]: one row of each sequence",
		Attrs:   []AttrSpec{{"row", Length, true}},
		Batch:   Reducing,
		Infer:   inferSelect,
		Eval:    evalSelect,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
	}
	*OpStore = Op{
		Name: "store", Hint: "new", Args: 1,
		Doc:     "x [R,D] -> [rows,D]: the first rows of x, which the runtime adds to state number slot",
		Attrs:   []AttrSpec{{"slot", Int, true}, {"rows", Int, true}},
		Batch:   PerSeq,
		Infer:   inferStore,
		Eval:    evalStore,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
	}
}

// Concat puts the rows of its arguments below each other.
func (b *Builder) Concat(xs ...*Value) *Value { return b.Op(OpConcat, "", "", nil, xs...) }

// Rows returns n rows of x from row at on. Only whole sections of x compile: see [Sections].
func (b *Builder) Rows(x *Value, at, n Dim) *Value {
	return b.Op(OpRows, "", "", Attrs{DimAttr("at", at), DimAttr("len", n)}, x)
}

// Cols returns n columns of x from column at on.
func (b *Builder) Cols(x *Value, at, n int) *Value {
	return b.Op(OpCols, "", "", Attrs{IntAttr("at", at), IntAttr("len", n)}, x)
}

// HCat puts the columns of its arguments side by side.
func (b *Builder) HCat(xs ...*Value) *Value { return b.Op(OpHCat, "", "", nil, xs...) }

// Select returns one row of x, counted from the start of the sequence; row T-1 is the last row of a text. To select many rows, an
// op of its own is cheaper: if more than an eighth of a layer's rows are selected, the whole layer is computed.
func (b *Builder) Select(x *Value, row Dim) *Value {
	return b.Op(OpSelect, "", "", Attrs{DimAttr("row", row)}, x)
}

// Store returns the first n rows of x, which the runtime appends to the state number slot.
func (b *Builder) Store(x *Value, slot, n int) *Value {
	return b.Op(OpStore, "", "", Attrs{IntAttr("slot", slot), IntAttr("rows", n)}, x)
}

func inferStore(c *Infer) (Type, error) {
	rows, cols, err := c.arg(0)
	if err != nil {
		return Type{}, err
	}
	n := C(c.V.Attrs.Int("rows", 0))
	if slot := c.V.Attrs.Int("slot", 0); slot < 0 || slot >= MaxSlots {
		return Type{}, fmt.Errorf("slot is %d, want 0 to %d", slot, MaxSlots-1)
	}
	return Mat(n, cols), c.inside(Dim{}, n, rows)
}

// MaxSlots bounds the states of a function.
const MaxSlots = 1 << 10

func evalStore(c *Eval) (*Tensor, error) { return c.Args[0].slice(0, c.V.Attrs.Int("rows", 0)), nil }

func inferConcat(c *Infer) (Type, error) {
	first := c.V.Args[0]
	rows, cols := Dim{}, 0
	for i, a := range c.V.Args {
		r, n, err := c.arg(i)
		if err != nil {
			return Type{}, err
		}
		if i == 0 {
			cols = n
		}
		if n != cols {
			return Type{}, fmt.Errorf("%s is %v, want %d columns to match %s: %v", a.Name, a.Type, cols, first.Name, first.Type)
		}
		sum, ok := rows.Plus(r)
		if !ok || sum.C > MaxDim {
			return Type{}, fmt.Errorf("%v and %v rows of %s have no sum; want T once and %d rows at most", rows, r, a.Name, MaxDim)
		}
		rows = sum
	}
	return Mat(rows, cols), nil
}

func evalConcat(c *Eval) (*Tensor, error) { return concat(c.Args), nil }

func concat(xs []*Tensor) *Tensor {
	rows := 0
	for _, x := range xs {
		rows += x.rows()
	}
	y := newTensor(rows, xs[0].cols())
	i := 0
	for _, x := range xs {
		i += copy(y.F[i:], x.F)
	}
	return y
}

func inferRows(c *Infer) (Type, error) {
	rows, cols, err := c.arg(0)
	if err != nil {
		return Type{}, err
	}
	at, n := c.V.Attrs.Dim("at"), c.V.Attrs.Dim("len")
	return Mat(n, cols), c.inside(at, n, rows)
}

func evalRows(c *Eval) (*Tensor, error) {
	return c.Args[0].slice(c.V.Attrs.Dim("at").At(c.T), c.V.Attrs.Dim("len").At(c.T)), nil
}

func inferCols(c *Infer) (Type, error) {
	rows, cols, err := c.arg(0)
	if err != nil {
		return Type{}, err
	}
	at, n := c.V.Attrs.Int("at", 0), c.V.Attrs.Int("len", 0)
	if at < 0 || n < 1 || at > cols || n > cols-at {
		return Type{}, fmt.Errorf("columns from %d on, %d of them, are not inside %s: %v", at, n, c.V.Args[0].Name, c.V.Args[0].Type)
	}
	return Mat(rows, n), nil
}

func evalCols(c *Eval) (*Tensor, error) {
	x, at, n := c.Args[0], c.V.Attrs.Int("at", 0), c.V.Attrs.Int("len", 0)
	y := newTensor(x.rows(), n)
	for r := range x.rows() {
		copy(y.row(r), x.row(r)[at:])
	}
	return y, nil
}

func inferHCat(c *Infer) (Type, error) {
	first := c.V.Args[0]
	cols := 0
	for i, a := range c.V.Args {
		rows, n, err := c.arg(i)
		if err != nil {
			return Type{}, err
		}
		if rows != first.Type.Rows() {
			return Type{}, fmt.Errorf("%s is %v, want %v rows to match %s: %v", a.Name, a.Type, first.Type.Rows(), first.Name, first.Type)
		}
		if cols += n; cols > MaxDim {
			return Type{}, fmt.Errorf("%d columns are more than %d", cols, MaxDim)
		}
	}
	return Mat(first.Type.Rows(), cols), nil
}

func evalHCat(c *Eval) (*Tensor, error) {
	cols := 0
	for _, x := range c.Args {
		cols += x.cols()
	}
	y := newTensor(c.Args[0].rows(), cols)
	at := 0
	for _, x := range c.Args {
		for r := range x.rows() {
			copy(y.row(r)[at:], x.row(r))
		}
		at += x.cols()
	}
	return y, nil
}

func inferSelect(c *Infer) (Type, error) {
	rows, cols, err := c.arg(0)
	if err != nil {
		return Type{}, err
	}
	return Mat(C(1), cols), c.inside(c.V.Attrs.Dim("row"), C(1), rows)
}

func evalSelect(c *Eval) (*Tensor, error) {
	return c.Args[0].slice(c.V.Attrs.Dim("row").At(c.T), 1), nil
}
