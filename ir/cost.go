package ir

// Cost is the work of a value for one sequence of one text length. FLOPs are
// 2*M*N*K of linear ops plus 4*S*S*D of attention; other ops count as 0. Bytes are
// the weights, inputs and outputs, each read or written once; views cost nothing.
type Cost struct {
	FLOPs, WeightBytes, InBytes, OutBytes int64
}

// Plus returns the sum.
func (c Cost) Plus(d Cost) Cost {
	return Cost{c.FLOPs + d.FLOPs, c.WeightBytes + d.WeightBytes, c.InBytes + d.InBytes, c.OutBytes + d.OutBytes}
}

// ValueCost returns the cost of v, a value of f, at text length t. The program
// must verify.
func ValueCost(p *Program, f *Func, v *Value, t int) Cost {
	if v.Op == nil || v.Op.View {
		return Cost{}
	}
	var c Cost
	for _, u := range p.parts(f, v) {
		c = c.Plus(p.costOne(u, t))
	}
	c.InBytes, c.OutBytes = 0, byteSize(v.Type, t)
	for _, a := range v.Args {
		c.InBytes += byteSize(a.Type, t)
	}
	return c
}

// FuncCost returns the sum of the costs of f's values.
func FuncCost(p *Program, f *Func, t int) Cost {
	var c Cost
	for _, v := range f.Values {
		c = c.Plus(ValueCost(p, f, v, t))
	}
	return c
}

// costOne returns FLOPs and weight bytes of a value that holds no pool.
func (p *Program) costOne(v *Value, t int) Cost {
	if !v.Op.Fused() {
		return v.Op.Cost(p, v, t)
	}
	f, err := p.Expand(v)
	if err != nil {
		return Cost{}
	}
	var c Cost
	for _, u := range f.Values {
		c = c.Plus(p.costOne(u, t))
	}
	return c
}

func byteSize(typ Type, t int) int64 { return typ.Elements(t) * int64(typ.DType.Size()) }

// costWeights is the cost of ops that read their weights and do no counted work.
func costWeights(p *Program, v *Value, t int) Cost {
	var c Cost
	for _, f := range v.Op.Fields {
		if w := p.Field(v.Bundle, f.Name); w != nil {
			c.WeightBytes += w.Bytes()
		}
	}
	return c
}

// costGather is the cost of ops that read as many elements of w as they write.
func costGather(p *Program, v *Value, t int) Cost {
	return Cost{WeightBytes: v.Type.Elements(t) * int64(p.Field(v.Bundle, "w").Type.DType.Size())}
}

func costLinear(p *Program, v *Value, t int) Cost {
	c := costWeights(p, v, t)
	c.FLOPs = 2 * v.Type.Elements(t) * int64(v.Args[0].Type.Cols())
	return c
}

func costAttention(p *Program, v *Value, t int) Cost {
	q, k := v.Args[0].Type, v.Args[1].Type
	rows, keys := int64(q.Rows().At(t)), int64(k.Rows().At(t))
	return Cost{FLOPs: 2 * rows * keys * int64(q.Cols()+v.Type.Cols())}
}
