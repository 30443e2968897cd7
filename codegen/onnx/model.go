package onnx

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
)

// Options are the options of Model.
type Options struct {
	External bool  // write weights to a second file even if one file could hold them
	Inline   int64 // bytes of weights above which they go to a second file; 0: MaxInline
	Mask     bool  // add an input attention_mask, int64 [N,T]: 1 for tokens, 0 for padding after them
}

// The versions of ONNX that File writes.
const (
	Opset     = 17
	irVersion = 8
)

// MaxInline bounds the bytes of weights in one file: a protocol buffer has at most 2 GiB,
// including everything else.
const MaxInline int64 = 1<<31 - 64<<20

// The element types of ONNX.
const (
	typeFloat = 1
	typeInt64 = 7
)

// File is a function in ONNX form. Its weights are loaded when it is written.
type File struct {
	graph
	inputs, outputs []info
	external        bool
}

// info is an input or output. Its dimensions are numbers or names.
type info struct {
	name string
	elem int64
	dims []any
}

// Model returns the file of f, a function of p. An op without an entry in ops.go is an error.
func Model(p *ir.Program, f *ir.Func, o Options) (*File, error) {
	if f.Segments != nil {
		return nil, fmt.Errorf("%s: its experts are not chosen yet; run the passes route and prune first", f.Name)
	}
	m := &File{graph: graph{p: p, f: f, consts: map[string]bool{}}, external: o.External}
	m.doc = "function " + f.Name + " of " + p.Name + ", before any pass that folds or fuses"
	for _, v := range f.Params {
		in := info{name: v.Name, elem: typeFloat, dims: dims(v.Type)}
		if v.Type.DType == ir.I32 {
			in.elem = typeInt64
		}
		m.inputs = append(m.inputs, in)
	}
	if o.Mask {
		m.mask = "attention_mask"
		m.inputs = append(m.inputs, info{m.mask, typeInt64, []any{batchAxis, textAxis}})
	}
	for _, v := range f.Values {
		emit := ops[v.Op]
		if emit == nil {
			return nil, fmt.Errorf("%s: %s: %s cannot be written as ONNX; export the program before it is fused", f.Name, ir.PrintValue(v), v.Op.Name)
		}
		if err := emit(&m.graph, v); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", f.Name, ir.PrintValue(v), err)
		}
	}
	if o.Mask && !m.masked {
		return nil, fmt.Errorf("%s: nothing reads all rows of a text, so a mask of padding has no effect; leave the mask out", f.Name)
	}
	for _, v := range f.Results {
		m.outputs = append(m.outputs, info{v.Name, typeFloat, dims(v.Type)})
	}
	total := int64(0)
	for _, t := range m.tensors {
		total += t.size()
	}
	m.external = m.external || total > cmp.Or(o.Inline, MaxInline)
	return m, nil
}

// The names of the dynamic axes.
const (
	batchAxis = "N"
	textAxis  = "T"
)

// dims returns the axes of a value in ONNX: the batch, then its own.
func dims(t ir.Type) []any {
	out := []any{batchAxis}
	for _, d := range t.Shape {
		if d.T {
			out = append(out, d.String())
		} else {
			out = append(out, d.C)
		}
	}
	return out
}

// External reports whether Write puts the weights in a second file, which has the name of the
// first with .data appended.
func (m *File) External() bool { return m.external }

// align is the alignment of tensors in the second file, in bytes: readers map them page by page.
const align = 4096

// small is the size up to which a tensor stays in the first file.
const small = 1 << 10

// Write adds the file for path, and the second file if there is one, to a set. While the set is
// committed, an old file at path is removed first, so that no file is read with the wrong
// second file. The same program gives the same bytes.
func (m *File) Write(set *file.Set, path string) error {
	place := map[*tensor]int64{}
	var list []*tensor
	end := int64(0)
	for _, t := range m.tensors {
		if m.external && t.size() > small {
			end = (end + align - 1) / align * align
			place[t] = end
			list = append(list, t)
			end += t.size()
		}
	}
	data := filepath.Base(path) + ".data"
	if len(list) > 0 {
		set.Remove(path)
		err := set.Write(path+".data", 0o666, func(to io.Writer) error {
			w := bufio.NewWriter(to)
			at := int64(0)
			for _, t := range list {
				for ; at < place[t]; at++ {
					w.WriteByte(0)
				}
				if err := t.write(w); err != nil {
					return err
				}
				at += t.size()
			}
			return w.Flush()
		})
		if err != nil {
			return err
		}
	}
	model := m.model(func(t *tensor) (string, int64, bool) {
		at, ok := place[t]
		return data, at, ok
	})
	return set.Write(path, 0o666, func(to io.Writer) error {
		w := bufio.NewWriter(to)
		for _, p := range model.parts {
			w.Write(p.bytes)
			if p.late != nil {
				if err := p.late.write(w); err != nil {
					return err
				}
			}
		}
		return w.Flush()
	})
}

// model returns the ModelProto of the file. place returns the name of the data file that has a tensor's elements, and their
// byte offset in it; ok is false if the elements are inside the ModelProto.
func (m *File) model(place func(*tensor) (file string, at int64, ok bool)) *message {
	var g message
	for _, n := range m.nodes {
		g.message(1, n)
	}
	g.text(2, m.f.Name)
	for _, t := range m.tensors {
		var x message
		for _, d := range t.shape {
			x.int(1, int64(d))
		}
		elem := int64(typeFloat)
		if t.load == nil {
			elem = typeInt64
		}
		x.int(2, elem)
		x.text(8, t.name)
		if file, at, ok := place(t); ok {
			for _, kv := range [][2]string{{"location", file}, {"offset", fmt.Sprint(at)}, {"length", fmt.Sprint(t.size())}} {
				var e message
				e.text(1, kv[0])
				e.text(2, kv[1])
				x.message(13, &e)
			}
			x.int(14, 1)
		} else {
			x.late(9, t)
		}
		g.message(5, &x)
	}
	g.text(10, m.doc)
	for i, list := range [][]info{m.inputs, m.outputs} {
		for _, v := range list {
			g.message(11+i, v.proto())
		}
	}

	var out, opset message
	out.int(1, irVersion)
	out.text(2, "multiway")
	out.message(7, &g)
	opset.text(1, "")
	opset.int(2, Opset)
	out.message(8, &opset)
	return &out
}

// proto returns the ValueInfoProto.
func (v *info) proto() *message {
	var shape, tensor, typ, out message
	for _, d := range v.dims {
		var dim message
		switch d := d.(type) {
		case int:
			dim.int(1, int64(d))
		case string:
			dim.text(2, d)
		}
		shape.message(1, &dim)
	}
	tensor.int(1, v.elem)
	tensor.message(2, &shape)
	typ.message(1, &tensor)
	out.text(1, v.name)
	out.message(2, &typ)
	return &out
}

// graph collects nodes and initializers.
type graph struct {
	p       *ir.Program
	f       *ir.Func
	doc     string
	nodes   []*message
	tensors []*tensor
	consts  map[string]bool // names of initializers and shared nodes that exist already
	mask    string          // name of the input that marks padding; "" = none
	masked  bool            // whether a node uses the mask
}

// attr is an attribute of a node: an int64, a float32, or []int64.
type attr struct {
	name  string
	value any
}

// node adds a node with one output.
func (g *graph) node(op, out string, ins []string, attrs ...attr) string {
	var n message
	for _, in := range ins {
		n.text(1, in)
	}
	n.text(2, out)
	n.text(3, out)
	n.text(4, op)
	for _, a := range attrs {
		var x message
		x.text(1, a.name)
		switch v := a.value.(type) {
		case int:
			x.int(3, int64(v))
			x.int(20, 2)
		case float64:
			x.float(2, float32(v))
			x.int(20, 1)
		case []int:
			for _, i := range v {
				x.int(8, int64(i))
			}
			x.int(20, 7)
		}
		n.message(5, &x)
	}
	g.nodes = append(g.nodes, &n)
	return out
}

// once returns name, the name of a constant. The first time it calls make, which has to add the constant to the graph.
func (g *graph) once(name string, make func()) string {
	if !g.consts[name] {
		g.consts[name] = true
		make()
	}
	return name
}

// tensor adds an initializer, unless one of that name exists.
func (g *graph) tensor(t *tensor) string {
	return g.once(t.name, func() { g.tensors = append(g.tensors, t) })
}

// ints returns the name of a constant int64 vector.
func (g *graph) ints(v ...int) string {
	name := "/ints" + strings.ReplaceAll(fmt.Sprint(v), " ", ",")
	t := &tensor{name: name, shape: []int{len(v)}}
	for _, x := range v {
		t.ints = append(t.ints, int64(x))
	}
	return g.tensor(t)
}

// float returns the name of a constant scalar, which broadcasts to any shape.
func (g *graph) float(v float64) string {
	f := float32(v)
	return g.floats(fmt.Sprintf("/float[%v]", f), nil, func() ([]float32, error) { return []float32{f}, nil })
}

func (g *graph) floats(name string, shape []int, load func() ([]float32, error)) string {
	return g.tensor(&tensor{name: name, shape: shape, load: load})
}

// fill returns the name of a constant vector of n equal numbers.
func (g *graph) fill(n int, v float32) string {
	return g.floats(fmt.Sprintf("/fill[%d,%v]", n, v), []int{n}, func() ([]float32, error) { return slices.Repeat([]float32{v}, n), nil })
}

// weight returns the name of an initializer with a weight of the bundle, or "" if there is no such weight.
func (g *graph) weight(bundle, field string) (string, error) {
	w := g.p.Field(bundle, field)
	if bundle == "" || w == nil {
		return "", nil
	}
	if w.Load == nil {
		return "", fmt.Errorf("weight @%s has no data; name a checkpoint or a seed", w.Name)
	}
	return g.floats("@"+w.Name, static(w.Type), w.Load), nil
}

// transposed returns the name of an initializer with the transposed matrix of a bundle's field.
func (g *graph) transposed(bundle, field string) (string, error) {
	w := g.p.Field(bundle, field)
	if w == nil || w.Load == nil {
		return "", fmt.Errorf("weight @%s.%s has no data; name a checkpoint or a seed", bundle, field)
	}
	n, k := w.Type.Shape[0].C, w.Type.Shape[1].C
	return g.floats("@"+w.Name+"/transposed", []int{k, n}, func() ([]float32, error) {
		x, err := w.Load()
		if err != nil {
			return nil, err
		}
		y := make([]float32, len(x))
		for i := range n {
			for j := range k {
				y[j*n+i] = x[i*k+j]
			}
		}
		return y, nil
	}), nil
}

func static(t ir.Type) []int {
	var s []int
	for _, d := range t.Shape {
		s = append(s, d.C)
	}
	return s
}

// batch returns the name of a node with the number of sequences, int64 [1].
func (g *graph) batch() string {
	return g.once("/batch", func() {
		g.node("Shape", "/batch", []string{g.f.Params[0].Name}, attr{"start", 0}, attr{"end", 1})
	})
}

// dim returns the name of a node with a length, int64 [1].
func (g *graph) dim(d ir.Dim) string {
	if !d.T {
		return g.ints(d.C)
	}
	if d.C != 0 {
		return g.once("/dim["+d.String()+"]", func() {
			g.node("Add", "/dim["+d.String()+"]", []string{g.dim(ir.Dim{T: true}), g.ints(d.C)})
		})
	}
	return g.once("/T", func() {
		for _, v := range g.f.Params {
			for i, d := range v.Type.Shape {
				if !d.T {
					continue
				}
				size := g.node("Shape", "/size", []string{v.Name}, attr{"start", i + 1}, attr{"end", i + 2})
				g.node("Sub", "/T", []string{size, g.ints(d.C)})
				return
			}
		}
	})
}

// slice adds a node that takes elements from to from+n-1 of an axis.
func (g *graph) slice(out, x string, axis int, from, n ir.Dim) (string, error) {
	to, ok := from.Plus(n)
	if !ok {
		return "", fmt.Errorf("rows from %v on, %v of them: the end is not a length", from, n)
	}
	return g.node("Slice", out, []string{x, g.dim(from), g.dim(to), g.ints(axis)}), nil
}
