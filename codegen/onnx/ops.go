package onnx

import (
	"fmt"
	"math"

	"github.com/multiway-go/multiway/ir"
)

// ops has a function for each primitive op that adds its nodes. The last node has the name of
// the value. Fused ops have no entry.
var ops = map[*ir.Op]func(g *graph, v *ir.Value) error{
	ir.OpPatches:   patches,
	ir.OpJoin:      join,
	ir.OpLookup:    lookup,
	ir.OpConst:     constant,
	ir.OpAddRows:   addRows,
	ir.OpAddRow:    addRow,
	ir.OpLinear:    linear,
	ir.OpLayerNorm: layerNorm,
	ir.OpScale:     scale,
	ir.OpL2Norm:    l2Norm,
	ir.OpGelu:      gelu,
	ir.OpMean:      mean,
	ir.OpSelect:    selectRow,
	ir.OpAttention: attention,

	ir.OpTanh:   func(g *graph, v *ir.Value) error { return g.same("Tanh", v) },
	ir.OpAdd:    func(g *graph, v *ir.Value) error { return g.same("Add", v) },
	ir.OpMul:    func(g *graph, v *ir.Value) error { return g.same("Mul", v) },
	ir.OpConcat: func(g *graph, v *ir.Value) error { return g.same("Concat", v, attr{"axis", 1}) },
	ir.OpHCat:   func(g *graph, v *ir.Value) error { return g.same("Concat", v, attr{"axis", 2}) },
	ir.OpRows: func(g *graph, v *ir.Value) error {
		_, err := g.slice(v.Name, v.Args[0].Name, 1, v.Attrs.Dim("at"), v.Attrs.Dim("len"))
		return err
	},
	ir.OpStore: func(g *graph, v *ir.Value) error {
		_, err := g.slice(v.Name, v.Args[0].Name, 1, ir.Dim{}, ir.C(v.Attrs.Int("rows", 0)))
		return err
	},
	ir.OpCols: func(g *graph, v *ir.Value) error {
		_, err := g.slice(v.Name, v.Args[0].Name, 2, ir.C(v.Attrs.Int("at", 0)), ir.C(v.Attrs.Int("len", 0)))
		return err
	},
}

// Writes reports whether Model can write functions with the op.
func Writes(op *ir.Op) bool { return ops[op] != nil }

// same adds the ONNX node op with v's arguments.
func (g *graph) same(op string, v *ir.Value, attrs ...attr) error {
	var ins []string
	for _, a := range v.Args {
		ins = append(ins, a.Name)
	}
	g.node(op, v.Name, ins, attrs...)
	return nil
}

// patches: [N,C,H,W] to [N,C,h,P,w,P] to [N,h,w,C,P,P] to [N,h*w,C*P*P].
func patches(g *graph, v *ir.Value) error {
	s, p := v.Args[0].Type.Shape, v.Attrs.Int("patch", 1)
	c, h, w := s[0].C, s[1].C/p, s[2].C/p
	x := v.Args[0].Name
	for axis, n := range []int{2: h * p, 3: w * p} { // drop pixels outside of all patches
		if axis >= 2 && n != s[axis-1].C {
			x = g.node("Slice", fmt.Sprint(v.Name, "/whole", axis), []string{x, g.ints(0), g.ints(n), g.ints(axis)})
		}
	}
	x = g.node("Reshape", v.Name+"/split", []string{x, g.ints(0, c, h, p, w, p)})
	x = g.node("Transpose", v.Name+"/order", []string{x}, attr{"perm", []int{0, 2, 4, 1, 3, 5}})
	g.node("Reshape", v.Name, []string{x, g.ints(0, h*w, c*p*p)})
	return nil
}

// join: [N,h*w,C] to [N,h/S,S,w/S,S,C] to [N,h/S,w/S,C,S,S] to [N,h/S*w/S,C*S*S].
func join(g *graph, v *ir.Value) error {
	x, side, w := v.Args[0], v.Attrs.Int("side", 1), v.Attrs.Int("width", 1)
	c, h := x.Type.Cols(), x.Type.Rows().C/w
	y := g.node("Reshape", v.Name+"/split", []string{x.Name, g.ints(0, h/side, side, w/side, side, c)})
	y = g.node("Transpose", v.Name+"/order", []string{y}, attr{"perm", []int{0, 1, 3, 5, 2, 4}})
	g.node("Reshape", v.Name, []string{y, g.ints(0, v.Type.Rows().C, v.Type.Cols())})
	return nil
}

func lookup(g *graph, v *ir.Value) error {
	w, err := g.weight(v.Bundle, "w")
	g.node("Gather", v.Name, []string{w, v.Args[0].Name}, attr{"axis", 0})
	return err
}

func constant(g *graph, v *ir.Value) error {
	w, err := g.weight(v.Bundle, "w")
	shape := g.node("Concat", v.Name+"/shape", []string{g.batch(), g.ints(v.Type.Rows().C, v.Type.Cols())}, attr{"axis", 0})
	g.node("Expand", v.Name, []string{w, shape})
	return err
}

func addRows(g *graph, v *ir.Value) error {
	w, err := g.weight(v.Bundle, "w")
	if err != nil {
		return err
	}
	at, n := v.Attrs.Dim("at"), v.Type.Rows()
	if at != (ir.Dim{}) || n != g.p.Field(v.Bundle, "w").Type.Rows() {
		if w, err = g.slice(v.Name+"/table", w, 0, at, n); err != nil {
			return err
		}
	}
	g.node("Add", v.Name, []string{v.Args[0].Name, w})
	return nil
}

func addRow(g *graph, v *ir.Value) error {
	w, err := g.weight(v.Bundle, "w")
	if err != nil {
		return err
	}
	row, err := g.slice(v.Name+"/row", w, 0, ir.C(v.Attrs.Int("row", 0)), ir.C(1))
	g.node("Add", v.Name, []string{v.Args[0].Name, row})
	return err
}

func linear(g *graph, v *ir.Value) error {
	w, err := g.transposed(v.Bundle, "w")
	if err != nil {
		return err
	}
	b, err := g.weight(v.Bundle, "b")
	if err != nil || b == "" {
		g.node("MatMul", v.Name, []string{v.Args[0].Name, w})
		return err
	}
	x := g.node("MatMul", v.Name+"/product", []string{v.Args[0].Name, w})
	g.node("Add", v.Name, []string{x, b})
	return nil
}

func layerNorm(g *graph, v *ir.Value) error {
	s, err := g.weight(v.Bundle, "g")
	if err != nil {
		return err
	}
	b, err := g.weight(v.Bundle, "b")
	if s == "" {
		s, b = g.fill(v.Type.Cols(), 1), g.fill(v.Type.Cols(), 0)
	}
	g.node("LayerNormalization", v.Name, []string{v.Args[0].Name, s, b}, attr{"axis", -1}, attr{"epsilon", v.Attrs.Float("eps", 0)})
	return err
}

func scale(g *graph, v *ir.Value) error {
	w, err := g.weight(v.Bundle, "g")
	g.node("Mul", v.Name, []string{v.Args[0].Name, w})
	return err
}

func l2Norm(g *graph, v *ir.Value) error {
	n := g.node("ReduceL2", v.Name+"/length", []string{v.Args[0].Name}, attr{"axes", []int{-1}}, attr{"keepdims", 1})
	n = g.node("Max", v.Name+"/floor", []string{n, g.float(v.Attrs.Float("floor", 0))})
	g.node("Div", v.Name, []string{v.Args[0].Name, n})
	return nil
}

// gelu adds the nodes of v's activation, in the form that engines recognise and fuse.
func gelu(g *graph, v *ir.Value) error {
	act, err := v.Activation()
	if err != nil {
		return err
	}
	write := activations[act.Name]
	if write == nil {
		return fmt.Errorf("activation %s cannot be written as ONNX", act.Name)
	}
	write(g, v, v.Args[0].Name)
	return nil
}

// activations has a function for each activation of ir that adds the nodes of v, the activation of x.
var activations = map[string]func(g *graph, v *ir.Value, x string){
	// x * (1 + erf(x/sqrt 2)) * 1/2
	"gelu": func(g *graph, v *ir.Value, x string) {
		y := g.node("Div", v.Name+"/scaled", []string{x, g.float(math.Sqrt2)})
		y = g.node("Erf", v.Name+"/erf", []string{y})
		y = g.node("Add", v.Name+"/one", []string{y, g.float(1)})
		y = g.node("Mul", v.Name+"/double", []string{x, y})
		g.node("Mul", v.Name, []string{y, g.float(0.5)})
	},
	// x * 1/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715*x^3)))
	"gelu_tanh": func(g *graph, v *ir.Value, x string) {
		y := g.node("Pow", v.Name+"/cube", []string{x, g.float(3)})
		y = g.node("Mul", v.Name+"/small", []string{y, g.float(0.044715)})
		y = g.node("Add", v.Name+"/sum", []string{x, y})
		y = g.node("Mul", v.Name+"/scaled", []string{y, g.float(math.Sqrt(2 / math.Pi))})
		y = g.node("Tanh", v.Name+"/tanh", []string{y})
		y = g.node("Add", v.Name+"/one", []string{y, g.float(1)})
		half := g.node("Mul", v.Name+"/half", []string{x, g.float(0.5)})
		g.node("Mul", v.Name, []string{half, y})
	},
	// x * sigmoid(1.702*x)
	"quick_gelu": func(g *graph, v *ir.Value, x string) {
		y := g.node("Mul", v.Name+"/scaled", []string{x, g.float(1.702)})
		y = g.node("Sigmoid", v.Name+"/sigmoid", []string{y})
		g.node("Mul", v.Name, []string{x, y})
	},
}

func mean(g *graph, v *ir.Value) error {
	rows := v.Args[0].Type.Rows()
	from := func(x, out string) string {
		if from := v.Attrs.Int("from", 0); from > 0 {
			return g.node("Slice", out, []string{x, g.ints(from), g.dim(rows), g.ints(1)})
		}
		return x
	}
	x := from(v.Args[0].Name, v.Name+"/rows")
	if g.mask == "" || !rows.T {
		g.node("ReduceMean", v.Name, []string{x}, attr{"axes", []int{1}}, attr{"keepdims", 1})
		return nil
	}
	keep, err := g.unpadded(v.Args[0])
	if err != nil {
		return err
	}
	keep = g.node("Unsqueeze", v.Name+"/keep", []string{from(keep, v.Name+"/unpadded"), g.ints(2)})
	x = g.node("Mul", v.Name+"/kept", []string{x, keep})
	x = g.node("ReduceSum", v.Name+"/sum", []string{x, g.ints(1)}, attr{"keepdims", 1})
	n := g.node("ReduceSum", v.Name+"/count", []string{keep, g.ints(1)}, attr{"keepdims", 1})
	g.node("Div", v.Name, []string{x, n})
	return nil
}

// selectRow selects a row of each sequence: the same index for all, unless it is counted from the end of padded texts.
func selectRow(g *graph, v *ir.Value) error {
	x, row := v.Args[0], v.Attrs.Dim("row")
	before, known := textStart(x)
	switch {
	case g.mask == "" || !row.T || known && row.C >= before: // a row after the text comes after the padding too
		_, err := g.slice(v.Name, x.Name, 1, row, ir.C(1))
		return err
	case !known:
		return unknown(x)
	}
	g.masked = true
	at := g.node("ReduceSum", v.Name+"/length", []string{g.mask, g.ints(1)}, attr{"keepdims", 1})
	at = g.node("Add", v.Name+"/row", []string{at, g.ints(row.C)})
	at = g.node("Unsqueeze", v.Name+"/at", []string{at, g.ints(2)})
	g.node("GatherND", v.Name, []string{x.Name, at}, attr{"batch_dims", 1})
	return nil
}

// attention adds the nodes of an attention over [N,heads,rows,d].
func attention(g *graph, v *ir.Value) error {
	q, k, val := v.Args[0], v.Args[1], v.Args[2]
	heads := v.Attrs.Int("heads", 1)
	d := q.Type.Cols() / heads
	split := func(x *ir.Value, what string, perm []int) string {
		y := g.node("Reshape", v.Name+"/"+what+"/heads", []string{x.Name, g.ints(0, -1, heads, x.Type.Cols()/heads)})
		return g.node("Transpose", v.Name+"/"+what, []string{y}, attr{"perm", perm})
	}
	qs := split(q, "q", []int{0, 2, 1, 3})
	ks := split(k, "k", []int{0, 2, 3, 1})
	vs := split(val, "v", []int{0, 2, 1, 3})
	s := g.node("MatMul", v.Name+"/product", []string{qs, ks})
	s = g.node("Mul", v.Name+"/scores", []string{s, g.float(v.Attrs.Float("scale", 1/math.Sqrt(float64(d))))})
	if v.Bundle != "" {
		bias, err := g.relBias(v, heads)
		if err != nil {
			return err
		}
		s = g.node("Add", v.Name+"/biased", []string{s, bias})
	}
	if v.Attrs.Int("base", 0) == 2 {
		s = g.node("Mul", v.Name+"/base", []string{s, g.float(math.Ln2)})
	}
	if _, ok := v.Attrs.Get("prefix"); ok {
		s = g.node("Where", v.Name+"/visible", []string{g.visible(v), s, g.float(math.Inf(-1))})
	}
	if g.mask != "" && k.Type.Rows().T {
		pad, err := g.padding(k)
		if err != nil {
			return err
		}
		s = g.node("Add", v.Name+"/unpadded", []string{s, pad})
	}
	p := g.node("Softmax", v.Name+"/shares", []string{s}, attr{"axis", -1})
	o := g.node("MatMul", v.Name+"/sum", []string{p, vs})
	o = g.node("Transpose", v.Name+"/rows", []string{o}, attr{"perm", []int{0, 2, 1, 3}})
	g.node("Reshape", v.Name, []string{o, g.ints(0, -1, v.Type.Cols())})
	return nil
}

// visible returns the name of a mask [queries,keys]: query r sees key j if j < max(prefix, at+r+1).
func (g *graph) visible(v *ir.Value) string {
	scalar := func(out string, d ir.Dim) string { return g.node("Squeeze", out, []string{g.dim(d)}) }
	count := func(what string, d ir.Dim) string {
		return g.node("Range", v.Name+"/"+what, []string{scalar(v.Name+"/"+what+"/zero", ir.Dim{}), scalar(v.Name+"/"+what+"/n", d), scalar(v.Name+"/"+what+"/one", ir.C(1))})
	}
	first, _ := v.Attrs.Dim("at").Plus(ir.C(1))
	r := g.node("Add", v.Name+"/causal", []string{count("queries", v.Type.Rows()), g.dim(first)})
	r = g.node("Max", v.Name+"/limit", []string{r, g.dim(v.Attrs.Dim("prefix"))})
	r = g.node("Unsqueeze", v.Name+"/limits", []string{r, g.ints(1)})
	return g.node("Less", v.Name+"/sees", []string{count("keys", v.Args[1].Type.Rows()), r})
}

// relBias returns the name of the bias of all queries and keys, [heads,rows,rows]: the table
// for the longest text, without the rows and columns beyond the actual text.
func (g *graph) relBias(v *ir.Value, heads int) (string, error) {
	keys := v.Args[1].Type.Rows()
	if v.Type.Rows() != keys {
		return "", fmt.Errorf("a relative position bias for a part of the queries cannot be written as ONNX")
	}
	most := g.p.MaxT
	n := keys.At(most)
	x := g.floats("@"+v.Bundle+"/bias["+keys.String()+"]", []int{heads, n, n}, func() ([]float32, error) { return ir.BiasTable(g.p, v, most) })
	if !keys.T {
		return x, nil
	}
	for axis := 1; axis <= 2; axis++ {
		out := fmt.Sprintf("%s/bias%d", v.Name, axis)
		text := g.node("Slice", out+"/text", []string{x, g.ints(0), g.dim(ir.Dim{T: true}), g.ints(axis)})
		if keys.C == 0 {
			x = text
			continue
		}
		rest := g.node("Slice", out+"/rest", []string{x, g.ints(most), g.ints(n), g.ints(axis)})
		x = g.node("Concat", out, []string{text, rest}, attr{"axis", axis})
	}
	return x, nil
}

// padding returns the name of a term [N,1,1,keys] that is added to scores: 0, or a very
// negative number for keys that are padding.
func (g *graph) padding(k *ir.Value) (string, error) {
	keep, err := g.unpadded(k)
	if err != nil {
		return "", err
	}
	name := keep + "/padding"
	return g.once(name, func() {
		x := g.node("Sub", name+"/minus", []string{keep, g.float(1)})
		x = g.node("Mul", name+"/text", []string{x, g.float(1e9)})
		g.node("Unsqueeze", name, []string{x, g.ints(1, 2)})
	}), nil
}

// unknown returns the error about a mask for x, whose text rows have an unknown position.
func unknown(x *ir.Value) error {
	return fmt.Errorf("the position of the text among the rows of %s is not known, so padding cannot be masked; leave the mask out", x.Name)
}

// unpadded returns the name of a node [N,rows] that is 1 for the rows of x and 0 for padding.
func (g *graph) unpadded(x *ir.Value) (string, error) {
	before, ok := textStart(x)
	if !ok {
		return "", unknown(x)
	}
	g.masked = true
	after := x.Type.Rows().C - before
	name := fmt.Sprintf("/rows[%d,T,%d]", before, after)
	return g.once(name, func() {
		ones := func(what string, n int) string {
			shape := g.node("Concat", name+"/"+what+"/shape", []string{g.batch(), g.ints(n)}, attr{"axis", 0})
			return g.node("Expand", name+"/"+what, []string{g.float(1), shape})
		}
		parts := []string{g.node("Cast", name+"/text", []string{g.mask}, attr{"to", typeFloat})}
		if before > 0 {
			parts = append([]string{ones("before", before)}, parts...)
		}
		if after > 0 {
			parts = append(parts, ones("after", after))
		}
		g.node("Concat", name, parts, attr{"axis", 1})
	}), nil
}

// textStart returns the number of rows of v before the rows of the text.
func textStart(v *ir.Value) (rows int, ok bool) {
	if d := v.Type.Rows(); !d.T || d.C == 0 {
		return 0, d.T
	}
	if v.Op == ir.OpConcat {
		for _, a := range v.Args {
			if d := a.Type.Rows(); d.T {
				n, ok := textStart(a)
				return rows + n, ok
			}
			rows += a.Type.Rows().C
		}
	}
	if v.Op != nil {
		for _, a := range v.Args {
			if a.Type.Rows() == v.Type.Rows() {
				return textStart(a)
			}
		}
	}
	return 0, false
}
