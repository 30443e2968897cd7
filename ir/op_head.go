package ir

import (
	"fmt"
	"math"
)

var (
	OpGelu = newOp()
	OpTanh = newOp()
	OpAdd  = newOp()
	OpMul  = newOp()
	OpMean = newOp()
)

func init() {
	*OpGelu = Op{
		Name: "gelu", Hint: "g", Args: 1,
		Doc:     "x [R,D] -> [R,D]: the activation act, x/2*(1+erf(x/sqrt(2))) unless given",
		Attrs:   []AttrSpec{actSpec},
		Infer:   inferGelu,
		Eval:    evalGelu,
		Cost:    costWeights,
		Kernels: []string{"gelu"},
		InPlace: []int{0},
		Step:    Step{Method: "Gelu", Parts: []Part{{Kind: PartAct}}},
	}
	*OpTanh = Op{
		Name: "tanh", Hint: "t", Args: 1,
		Doc:     "x [R,D] -> [R,D]",
		Infer:   inferSame,
		Eval:    evalTanh,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
		InPlace: []int{0},
		Step:    Step{Method: "Tanh"},
	}
	*OpAdd = Op{
		Name: "add", Hint: "a", Args: 2,
		Doc:     "x [R,D], y [R,D] -> [R,D]",
		Infer:   inferSame,
		Eval:    evalAdd,
		Cost:    costWeights,
		Kernels: []string{"add"},
		InPlace: []int{0, 1},
		Step:    Step{Method: "Add"},
	}
	*OpMul = Op{
		Name: "mul", Hint: "u", Args: 2,
		Doc:     "x [R,D], y [R,D] -> [R,D]: the product, element by element",
		Infer:   inferSame,
		Eval:    evalMul,
		Cost:    costWeights,
		Kernels: []string{"mul"},
		InPlace: []int{0, 1},
		Step:    Step{Method: "Mul"},
	}
	*OpMean = Op{
		Name: "mean", Hint: "m", Args: 1,
		Doc:     "x [R,D] -> [1,D]: the mean of rows from, from+1, ... to the last; from is 0 unless given",
		Attrs:   []AttrSpec{{"from", Int, false}},
		Batch:   Reducing,
		Infer:   inferMean,
		Eval:    evalMean,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
		Step:    Step{Method: "Mean", Parts: []Part{{Kind: PartSections}, {Kind: PartAttr, Name: "from"}}},
	}
}

// Tanh is the hyperbolic tangent.
func (b *Builder) Tanh(x *Value) *Value { return b.Op(OpTanh, "", "", nil, x) }

// Add is x + y.
func (b *Builder) Add(x, y *Value) *Value { return b.Op(OpAdd, "", "", nil, x, y) }

// Mul is x times y, element by element.
func (b *Builder) Mul(x, y *Value) *Value { return b.Op(OpMul, "", "", nil, x, y) }

// Mean is the mean of the rows of x from row from on.
func (b *Builder) Mean(x *Value, from int) *Value {
	return b.Op(OpMean, "", "", Attrs{IntAttr("from", from)}, x)
}

// inferSame is the Infer function of ops whose arguments and result have the same type.
func inferSame(c *Infer) (Type, error) { return c.V.Args[0].Type, c.sameArgs() }

func evalTanh(c *Eval) (*Tensor, error) { return c.Args[0].apply(math.Tanh), nil }

func evalAdd(c *Eval) (*Tensor, error) {
	x, y := c.Args[0], c.Args[1]
	z := newTensor(x.rows(), x.cols())
	for i := range z.F {
		z.F[i] = x.F[i] + y.F[i]
	}
	return z, nil
}

func evalMul(c *Eval) (*Tensor, error) {
	x, y := c.Args[0], c.Args[1]
	z := newTensor(x.rows(), x.cols())
	for i := range z.F {
		z.F[i] = x.F[i] * y.F[i]
	}
	return z, nil
}

func inferMean(c *Infer) (Type, error) {
	rows, cols, err := c.arg(0)
	if err != nil {
		return Type{}, err
	}
	if from := c.V.Attrs.Int("from", 0); from < 0 || from >= rows.At(c.minT()) {
		return Type{}, fmt.Errorf("no row of %s: %v is at or after row %d", c.V.Args[0].Name, c.V.Args[0].Type, from)
	}
	return Mat(C(1), cols), nil
}

func evalMean(c *Eval) (*Tensor, error) {
	x, from := c.Args[0], c.V.Attrs.Int("from", 0)
	y := newTensor(1, x.cols())
	for r := from; r < x.rows(); r++ {
		for i, v := range x.row(r) {
			y.F[i] += v
		}
	}
	for i := range y.F {
		y.F[i] /= float64(x.rows() - from)
	}
	return y, nil
}
