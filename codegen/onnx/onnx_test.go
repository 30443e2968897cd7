package onnx_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/onnx"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	place "github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/irtest"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/passes"
)

// program is a small model of two layers with its seeded weights, after a pass.
func program(t *testing.T, upto string) *ir.Program {
	t.Helper()
	d, err := model.Parse("tiny.yaml", []byte(`
model: 1
family: beit3
sizes: {dim: 8, heads: 2, ffn: 12, layers: 2, image: 8, patch: 4, vocab: 20, positions: 12}
seed: 1
tasks: [encode, retrieval, {classification: {classes: 3}}]
limits: {text: 8}
`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Lower(d, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.SeededFor(p, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkpoint.Bind(p, src); err != nil {
		t.Fatal(err)
	}
	if p, err = passes.Run(p, passes.Options{Upto: upto}); err != nil {
		t.Fatal(err)
	}
	return p
}

// field is a field of a protocol buffer: a number, or bytes.
type field struct {
	n     int
	v     uint64
	bytes []byte
}

// fields reads a message.
func fields(t *testing.T, b []byte) []field {
	t.Helper()
	var out []field
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatalf("a field begins % x", b[:min(8, len(b))])
		}
		b = b[n:]
		f := field{n: int(key >> 3)}
		switch key & 7 {
		case 0:
			if f.v, n = binary.Uvarint(b); n <= 0 {
				t.Fatalf("field %d is cut off", f.n)
			}
			b = b[n:]
		case 2:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				t.Fatalf("field %d is cut off", f.n)
			}
			f.bytes, b = b[n:n+int(size)], b[n+int(size):]
		case 5:
			f.v, b = uint64(binary.LittleEndian.Uint32(b)), b[4:]
		default:
			t.Fatalf("field %d has wire type %d", f.n, key&7)
		}
		out = append(out, f)
	}
	return out
}

func all(fs []field, n int) (out []field) {
	for _, f := range fs {
		if f.n == n {
			out = append(out, f)
		}
	}
	return out
}

func texts(fs []field, n int) (out []string) {
	for _, f := range all(fs, n) {
		out = append(out, string(f.bytes))
	}
	return out
}

// write writes an ONNX file, and its second file.
func write(t *testing.T, m *onnx.File, path string) {
	t.Helper()
	var set place.Set
	defer set.Abandon()
	if err := m.Write(&set, path); err != nil {
		t.Fatal(err)
	}
	if err := set.Commit(); err != nil {
		t.Fatal(err)
	}
}

// file is the content of a written file.
type file struct {
	tensors         map[string][]byte // elements
	shapes          map[string][]int
	floats          map[string]bool
	inputs, outputs []string // name type[axes]
	nodes           map[string]int
}

// read reads a file and its second file. It checks that tensors have the size of their shapes, and that
// every input of a node is defined before it.
func read(t *testing.T, path string) *file {
	t.Helper()
	b := asmtest.Read(t, path)
	top := fields(t, b)
	if v := all(top, 1); len(v) != 1 || v[0].v != 8 {
		t.Errorf("IR version %v", v)
	}
	opset := fields(t, all(top, 8)[0].bytes)
	if all(opset, 2)[0].v != onnx.Opset {
		t.Errorf("opset %v", opset)
	}
	g := fields(t, all(top, 7)[0].bytes)
	out := &file{tensors: map[string][]byte{}, shapes: map[string][]int{}, floats: map[string]bool{}, nodes: map[string]int{}}
	known := map[string]bool{}
	define := func(name string) {
		if name == "" || known[name] {
			t.Errorf("%q is defined twice, or has no name", name)
		}
		known[name] = true
	}
	for _, x := range all(g, 5) {
		fs := fields(t, x.bytes)
		name := texts(fs, 8)[0]
		define(name)
		size := 8
		if out.floats[name] = all(fs, 2)[0].v == 1; out.floats[name] {
			size = 4
		}
		for _, d := range all(fs, 1) {
			out.shapes[name] = append(out.shapes[name], int(d.v))
			size *= int(d.v)
		}
		if ext := all(fs, 13); ext != nil {
			kv := map[string]string{}
			for _, e := range ext {
				kv[texts(fields(t, e.bytes), 1)[0]] = texts(fields(t, e.bytes), 2)[0]
			}
			data := asmtest.Read(t, filepath.Join(filepath.Dir(path), kv["location"]))
			at, _ := strconv.Atoi(kv["offset"])
			n, _ := strconv.Atoi(kv["length"])
			if at%4096 != 0 || at+n > len(data) {
				t.Fatalf("%s: %v of %d bytes", name, kv, len(data))
			}
			out.tensors[name] = data[at : at+n]
		} else {
			out.tensors[name] = all(fs, 9)[0].bytes
		}
		if len(out.tensors[name]) != size {
			t.Errorf("%s has %d bytes, want %d of shape %v", name, len(out.tensors[name]), size, out.shapes[name])
		}
	}
	info := func(b []byte) string {
		fs := fields(t, b)
		typ := fields(t, all(fields(t, all(fs, 2)[0].bytes), 1)[0].bytes)
		var axes []string
		for _, d := range all(fields(t, all(typ, 2)[0].bytes), 1) {
			switch x := fields(t, d.bytes)[0]; x.n {
			case 1:
				axes = append(axes, fmt.Sprint(x.v))
			case 2:
				axes = append(axes, string(x.bytes))
			}
		}
		kind := map[uint64]string{1: "float", 7: "int64"}[all(typ, 1)[0].v]
		return texts(fs, 1)[0] + " " + kind + "[" + strings.Join(axes, ",") + "]"
	}
	for _, x := range all(g, 11) {
		define(texts(fields(t, x.bytes), 1)[0])
		out.inputs = append(out.inputs, info(x.bytes))
	}
	for _, x := range all(g, 1) {
		n := fields(t, x.bytes)
		for _, in := range texts(n, 1) {
			if !known[in] {
				t.Errorf("node %s reads %q, which is not there yet", texts(n, 3)[0], in)
			}
		}
		define(texts(n, 2)[0])
		out.nodes[texts(n, 4)[0]]++
	}
	for _, x := range all(g, 12) {
		if name := texts(fields(t, x.bytes), 1)[0]; !known[name] {
			t.Errorf("output %q is not there", name)
		}
		out.outputs = append(out.outputs, info(x.bytes))
	}
	return out
}

func TestWrite(t *testing.T) {
	p := program(t, passes.Prune.Name)
	for _, test := range []struct {
		fn              string
		o               onnx.Options
		inputs, outputs []string
	}{
		{"vision", onnx.Options{}, []string{"image float[N,3,8,8]"}, []string{"encoder_out float[N,5,8]"}},
		{"vision_classification", onnx.Options{External: true}, []string{"image float[N,3,8,8]"}, []string{"logits float[N,1,3]"}},
		{"language_retrieval", onnx.Options{Mask: true}, []string{"ids int64[N,T]", "attention_mask int64[N,T]"}, []string{"language_cls float[N,1,8]"}},
		{"pair", onnx.Options{}, []string{"image float[N,3,8,8]", "ids int64[N,T]"}, []string{"encoder_out float[N,5+T,8]"}},
		{"pair", onnx.Options{Mask: true, External: true}, []string{"image float[N,3,8,8]", "ids int64[N,T]", "attention_mask int64[N,T]"}, []string{"encoder_out float[N,5+T,8]"}},
	} {
		t.Run(fmt.Sprintf("%s %+v", test.fn, test.o), func(t *testing.T) {
			var bytesOf [2][]byte
			var f *file
			dir := t.TempDir()
			for i := range bytesOf {
				m, err := onnx.Model(p, p.Func(test.fn), test.o)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(dir, test.fn+".onnx")
				write(t, m, path)
				f = read(t, path)
				for _, name := range []string{path, path + ".data"} {
					b, err := os.ReadFile(name)
					if err != nil && !os.IsNotExist(err) {
						t.Fatal(err)
					}
					bytesOf[i] = append(bytesOf[i], b...)
				}
			}
			if !bytes.Equal(bytesOf[0], bytesOf[1]) {
				t.Error("writing twice gives other bytes")
			}
			if !slices.Equal(f.inputs, test.inputs) || !slices.Equal(f.outputs, test.outputs) {
				t.Errorf("inputs %q and outputs %q, want %q and %q", f.inputs, f.outputs, test.inputs, test.outputs)
			}
			if f.nodes["LayerNormalization"] == 0 || f.nodes["Softmax"] != 2 || f.nodes["Erf"] == 0 {
				t.Errorf("nodes %v, want two layers", f.nodes)
			}
			// Every weight of the function equals the program's.
			weights := 0
			for _, w := range p.Weights {
				b, ok := f.tensors["@"+w.Name]
				turned := false
				if !ok {
					b, turned = f.tensors["@"+w.Name+"/transposed"]
					if !turned {
						continue
					}
				}
				weights++
				want, err := w.Load()
				if err != nil {
					t.Fatal(err)
				}
				for i, x := range want {
					j := i
					if turned {
						n, k := w.Type.Shape[0].C, w.Type.Shape[1].C
						j = i%k*n + i/k
					}
					if got := math.Float32frombits(binary.LittleEndian.Uint32(b[4*j:])); got != x {
						t.Fatalf("@%s: element %d is %v, want %v", w.Name, i, got, x)
					}
				}
			}
			if weights < 20 {
				t.Errorf("only %d weights", weights)
			}
		})
	}
}

// Weights that are too large for one file go to a second file automatically, with the same bytes.
func TestWriteLargeWeights(t *testing.T) {
	p := program(t, passes.Prune.Name)
	limited := func(limit int64) (f *file, second, external bool) {
		m, err := onnx.Model(p, p.Func("pair"), onnx.Options{Inline: limit})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "pair.onnx")
		write(t, m, path)
		f = read(t, path)
		_, err = os.Stat(path + ".data")
		return f, err == nil, m.External()
	}
	whole, second, external := limited(math.MaxInt64)
	if second || external {
		t.Error("small weights have a second file")
	}
	size := int64(0)
	for _, b := range whole.tensors {
		size += int64(len(b))
	}
	if _, second, external := limited(size); second || external {
		t.Errorf("%d bytes of weights do not fit into as many", size)
	}
	split, second, external := limited(size - 1)
	if !second || !external {
		t.Errorf("%d bytes of weights fit into one less", size)
	}
	if d := cmp.Diff(whole, split, cmp.AllowUnexported(file{})); d != "" {
		t.Errorf("the two files differ from one (-one +two)\n%s", d)
	}
}

// TestActivations checks that each activation is written, in a form that engines have one kernel for; and gated blocks.
func TestActivations(t *testing.T) {
	const source = "../engine/testdata/activations.ir"
	text := asmtest.Read(t, source)
	p, err := ir.Parse(source, text)
	if err != nil {
		t.Fatal(err)
	}
	irtest.RandomWeights(p)
	forms := map[string]map[string]int{
		"gelu":       {"Div": 2, "Erf": 2, "Add": 2, "Mul": 4},
		"gelu_tanh":  {"Pow": 2, "Mul": 8, "Add": 4, "Tanh": 2},
		"quick_gelu": {"Mul": 4, "Sigmoid": 2},
	}
	for _, a := range ir.Activations {
		m, err := onnx.Model(p, p.Func(a.Name), onnx.Options{})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), a.Name+".onnx")
		write(t, m, path)
		want := map[string]int{"Gather": 1, "LayerNormalization": 2, "MatMul": 3}
		for node, n := range forms[a.Name] {
			want[node] = n
		}
		want["Add"] += 4 // of the linears and the block
		if d := cmp.Diff(want, read(t, path).nodes); d != "" {
			t.Errorf("%s: nodes (-want +got)\n%s", a.Name, d)
		}
	}
	m, err := onnx.Model(p, p.Func("gated"), onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "gated.onnx")
	write(t, m, path)
	want := map[string]int{"Gather": 1, "LayerNormalization": 3, "MatMul": 7, "Tanh": 1, "Div": 1, "Erf": 1, "Sigmoid": 1,
		"Mul": 2 + 2 + 3, // of gelu, of quick_gelu, and the gates with the lone product
		"Add": 4 + 1 + 2} // of biases, of gelu, and the residuals
	if d := cmp.Diff(want, read(t, path).nodes); d != "" {
		t.Errorf("gated: nodes (-want +got)\n%s", d)
	}
}

// TestMask checks that values which depend on a text's length depend on the mask: the last row and the mean of its rows do, rows
// after the text do not.
func TestMask(t *testing.T) {
	p, err := ir.Parse("mask.ir", []byte(`program mask T<=9
weight @e.w f32[50,8]
weight @c.w f32[2,8]

func f(ids: i32[T]) {
  e = lookup ids, @e : f32[T,8]
  w = const @c : f32[2,8]
  x = concat w, e, w : f32[4+T,8]
  first = select x {row=0} : f32[1,8]
  last = select x {row=1+T} : f32[1,8]
  next = select x {row=2+T} : f32[1,8]
  mean = mean x {from=1} : f32[1,8]
  all = mean w : f32[1,8]
  return first, last, next, mean, all
}
`))
	if err != nil {
		t.Fatal(err)
	}
	irtest.RandomWeights(p)
	for _, test := range []struct {
		o    onnx.Options
		want map[string]int
	}{
		{onnx.Options{}, map[string]int{"Slice": 4, "ReduceMean": 2, "GatherND": 0, "ReduceSum": 0}},
		{onnx.Options{Mask: true}, map[string]int{"Slice": 4, "ReduceMean": 1, "GatherND": 1, "ReduceSum": 3}}, // a slice is of the mask
	} {
		m, err := onnx.Model(p, p.Func("f"), test.o)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "mask.onnx")
		write(t, m, path)
		nodes := read(t, path).nodes
		for node, n := range test.want {
			if nodes[node] != n {
				t.Errorf("%+v: %d nodes %s, want %d of %v", test.o, nodes[node], node, n, nodes)
			}
		}
	}
}

// A join is a transpose between two reshapes.
func TestJoin(t *testing.T) {
	p, err := ir.Parse("f.ir", []byte("program p\nfunc f(x: f32[24,5]) {\n  y = join x {side=2 width=4} : f32[6,20]\n  return y\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Model(p, p.Func("f"), onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "join.onnx")
	write(t, m, path)
	f := read(t, path)
	if diff := cmp.Diff(map[string]int{"Reshape": 2, "Transpose": 1}, f.nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	if want := []string{"y float[N,6,20]"}; !slices.Equal(f.outputs, want) {
		t.Errorf("outputs %q, want %q", f.outputs, want)
	}
}

func TestErrors(t *testing.T) {
	pruned := program(t, passes.Prune.Name)
	d, err := model.Preset("beit3-base-patch16-224")
	if err != nil {
		t.Fatal(err)
	}
	described, err := model.Lower(d, model.Options{Entries: []string{"pair"}})
	if err != nil {
		t.Fatal(err)
	}
	unbound, err := passes.Run(described, passes.Options{Upto: passes.Prune.Name})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		p    *ir.Program
		fn   string
		o    onnx.Options
		want string
	}{
		{described, "pair", onnx.Options{}, "run the passes route and prune first"},
		{unbound, "pair", onnx.Options{}, "has no data; name a checkpoint or a seed"},
		{program(t, passes.FuseFFN.Name), "vision", onnx.Options{}, "embed_patches cannot be written as ONNX"},
		{pruned, "vision", onnx.Options{Mask: true}, "a mask of padding has no effect"},
	} {
		if _, err := onnx.Model(test.p, test.p.Func(test.fn), test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q", test.fn, err, test.want)
		}
	}
}
