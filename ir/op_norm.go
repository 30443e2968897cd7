package ir

import (
	"fmt"
	"math"
)

var (
	OpLayerNorm = newOp()
	OpScale     = newOp()
	OpL2Norm    = newOp()
)

func init() {
	*OpLayerNorm = Op{
		Name: "layernorm", Hint: "n", Args: 1,
		Doc:     "x [R,D], g? [D], b? [D], both or neither -> [R,D]: (x-mean)/sqrt(var+eps)*g + b, biased variance",
		Fields:  []Field{{"g", true}, {"b", true}},
		Attrs:   []AttrSpec{{"eps", Float, true}},
		Infer:   inferLayerNorm,
		Eval:    evalLayerNorm,
		Cost:    costWeights,
		Kernels: []string{"layernorm"},
		InPlace: []int{0},
		Step:    Step{Method: "LayerNorm", Parts: []Part{{Kind: PartNorm, Eps: "eps"}}},
	}
	*OpScale = Op{
		Name: "scale", Hint: "z", Args: 1,
		Doc:     "x [R,D], g [D] -> [R,D]: every row multiplied by g, element by element",
		Fields:  []Field{{"g", false}},
		Infer:   inferScale,
		Eval:    evalScale,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
		InPlace: []int{0},
		Step:    Step{Method: "Scale", Parts: []Part{{Kind: PartWeight, Name: "g"}}},
	}
	*OpL2Norm = Op{
		Name: "l2norm", Hint: "u", Args: 1,
		Doc:     "x [R,D] -> [R,D]: x / max(|x|, floor) of each row",
		Attrs:   []AttrSpec{{"floor", Float, true}},
		Infer:   inferL2Norm,
		Eval:    evalL2Norm,
		Cost:    costWeights,
		Kernels: []string{PlainGo},
		InPlace: []int{0},
		Step:    Step{Method: "L2Norm", Parts: []Part{{Kind: PartAttr, Name: "floor"}}},
	}
}

// LayerNorm normalises each row of x; with bundle "" it has no gain g and no bias b.
func (b *Builder) LayerNorm(x *Value, bundle string, eps float64) *Value {
	return b.Op(OpLayerNorm, "", bundle, Attrs{FloatAttr("eps", eps)}, x)
}

// Scale multiplies every row of x by bundle.g, element by element.
func (b *Builder) Scale(x *Value, bundle string) *Value { return b.Op(OpScale, "", bundle, nil, x) }

// L2Norm divides each row of x by the larger of its length and floor.
func (b *Builder) L2Norm(x *Value, floor float64) *Value {
	return b.Op(OpL2Norm, "", "", Attrs{FloatAttr("floor", floor)}, x)
}

func inferLayerNorm(c *Infer) (Type, error) {
	rows, cols, err := c.arg(0)
	if err != nil {
		return Type{}, err
	}
	if eps := c.V.Attrs.Float("eps", 0); eps < 0 {
		return Type{}, fmt.Errorf("eps is %g, want 0 or more", eps)
	}
	g, b := c.P.Field(c.V.Bundle, "g"), c.P.Field(c.V.Bundle, "b")
	if (g == nil) != (b == nil) {
		return Type{}, fmt.Errorf("@%s has one of g and b, want both or neither", c.V.Bundle)
	}
	if err := c.vector("g", cols); err != nil {
		return Type{}, err
	}
	return Mat(rows, cols), c.vector("b", cols)
}

func evalLayerNorm(c *Eval) (*Tensor, error) {
	g, err := c.Weight("g")
	if err != nil {
		return nil, err
	}
	b, err := c.Weight("b")
	if err != nil {
		return nil, err
	}
	x, eps := c.Args[0], c.V.Attrs.Float("eps", 0)
	y := newTensor(x.rows(), x.cols())
	for r := range x.rows() {
		src, dst := x.row(r), y.row(r)
		n := float64(len(src))
		mean, variance := 0.0, 0.0
		for _, v := range src {
			mean += v
		}
		mean /= n
		for _, v := range src {
			variance += (v - mean) * (v - mean)
		}
		scale := 1 / math.Sqrt(variance/n+eps)
		for i, v := range src {
			dst[i] = (v - mean) * scale
			if g != nil {
				dst[i] = dst[i]*float64(g[i]) + float64(b[i])
			}
		}
	}
	return y, nil
}

func inferL2Norm(c *Infer) (Type, error) {
	rows, cols, err := c.arg(0)
	if floor := c.V.Attrs.Float("floor", 0); err == nil && floor <= 0 {
		err = fmt.Errorf("floor is %g, want more than 0", floor)
	}
	return Mat(rows, cols), err
}

func evalL2Norm(c *Eval) (*Tensor, error) {
	x, floor := c.Args[0], c.V.Attrs.Float("floor", 0)
	y := newTensor(x.rows(), x.cols())
	for r := range x.rows() {
		sum := 0.0
		for _, v := range x.row(r) {
			sum += v * v
		}
		length := max(math.Sqrt(sum), floor)
		for i, v := range x.row(r) {
			y.row(r)[i] = v / length
		}
	}
	return y, nil
}

func inferScale(c *Infer) (Type, error) {
	rows, cols, err := c.arg(0)
	if err != nil {
		return Type{}, err
	}
	return Mat(rows, cols), c.vector("g", cols)
}

func evalScale(c *Eval) (*Tensor, error) {
	g, err := c.Weight("g")
	if err != nil {
		return nil, err
	}
	x := c.Args[0]
	y := newTensor(x.rows(), x.cols())
	for i, v := range x.F {
		y.F[i] = v * float64(g[i%len(g)])
	}
	return y, nil
}
