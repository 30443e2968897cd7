package ir

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Activation is a function of one number that the op gelu applies to every element, and the op ffn between its linears.
type Activation struct {
	Name string // its name in the attribute act, and the name of its kernel
	Doc  string
	Func func(x float64) float64
}

// Activations is the table of activations. An op without the attribute act computes the first one.
var Activations = []Activation{
	{"gelu", "x/2*(1+erf(x/sqrt(2)))", func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }},
	{"gelu_tanh", "x*sigmoid(2*sqrt(2/pi)*(x+0.044715*x^3))", func(x float64) float64 {
		return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+float64(0.044715*x*x*x))))
	}},
	{"quick_gelu", "x*sigmoid(1.702*x)", func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) }},
}

// actSpec is the attribute act of ops with an activation.
var actSpec = AttrSpec{"act", Symbol, false}

// Activation returns the activation that v's attribute act names, GELU without the attribute. It is an error if act names no
// activation, or GELU, which must be left out.
func (v *Value) Activation() (Activation, error) {
	act, ok := v.Attrs.Get(actSpec.Key)
	if !ok {
		return Activations[0], nil
	}
	i := slices.IndexFunc(Activations, func(a Activation) bool { return a.Name == act.Symbol })
	switch i {
	case -1:
		var names []string
		for _, a := range Activations {
			names = append(names, a.Name)
		}
		return Activation{}, fmt.Errorf("unknown activation act=%s; the activations are %s", act.Symbol, strings.Join(names, ", "))
	case 0:
		return Activation{}, fmt.Errorf("act=%s is the default of %s; leave it out", act.Symbol, v.Op.Name)
	}
	return Activations[i], nil
}

// Kernels returns the kernels of v: its op's, with the kernel of its activation in place of gelu's. v must verify.
func (v *Value) Kernels() []string {
	act, ok := v.Attrs.Get(actSpec.Key)
	if !ok {
		return v.Op.Kernels
	}
	names := slices.Clone(v.Op.Kernels)
	names[slices.Index(names, Activations[0].Name)] = act.Symbol
	return names
}

// Gelu is the exact GELU.
func (b *Builder) Gelu(x *Value) *Value { return b.Act(x, Activations[0].Name) }

// Act applies the activation of that name, one of Activations, to x.
func (b *Builder) Act(x *Value, name string) *Value {
	var attrs Attrs
	if name != Activations[0].Name {
		attrs = Attrs{SymbolAttr(actSpec.Key, name)}
	}
	return b.Op(OpGelu, "", "", attrs, x)
}

func inferGelu(c *Infer) (Type, error) {
	if _, err := c.V.Activation(); err != nil {
		return Type{}, err
	}
	return inferSame(c)
}

func evalGelu(c *Eval) (*Tensor, error) {
	act, err := c.V.Activation()
	if err != nil {
		return nil, err
	}
	return c.Args[0].apply(act.Func), nil
}
