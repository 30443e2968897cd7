package checkpoint

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// The .pth files of the cases hold the seeded tensors.
func TestPyTorchGolden(t *testing.T) {
	for _, name := range []string{"encode_t1", "classification"} {
		t.Run(name, func(t *testing.T) {
			src, err := OpenFile(filepath.Join(testdata, name, "model.pth"))
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			sameTensors(t, goldenSeeded(t, name), src)
		})
	}
}

// pick writes pickles for tests.
type pick struct{ bytes.Buffer }

func (p *pick) op(b ...byte) *pick { p.Write(b); return p }

func (p *pick) str(s string) *pick {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
	return p
}

func (p *pick) int(n int) *pick {
	if n != int(int32(n)) {
		p.Write([]byte{0x8a, 8})
		p.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
		return p
	}
	p.WriteByte('J')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	return p
}

func (p *pick) global(module, name string) *pick {
	fmt.Fprintf(p, "c%s\n%s\n", module, name)
	return p
}

func (p *pick) ints(v ...int) *pick {
	p.op('(')
	for _, n := range v {
		p.int(n)
	}
	return p.op('t')
}

// storage is class, key and size of a torch storage.
type storage struct {
	class, key string
	n          int
}

func (p *pick) tensor(s storage, offset int, shape, strides []int) *pick {
	p.global("torch._utils", "_rebuild_tensor_v2").op('(')
	p.op('(').str("storage").global("torch", s.class).str(s.key).str("cpu").int(s.n).op('t', 'Q')
	p.int(offset).ints(shape...).ints(strides...).op(0x89)
	p.global("collections", "OrderedDict").op(')', 'R')
	return p.op('t', 'R')
}

// start begins a pickle of protocol 2.
func start() *pick { return new(pick).op(0x80, 2) }

// archive zips a pickle and storages as torch.save does.
func archive(t testing.TB, pickle []byte, storages map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	add := func(name string, data []byte) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("data.pkl", pickle)
	for _, k := range []string{"0", "1", "2", "3", "4", "5", "6"} {
		if data, ok := storages[k]; ok {
			add("data/"+k, data)
		}
	}
	add("version", []byte("3\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openPth(data []byte) (Source, error) {
	return PyTorch(bytes.NewReader(data), int64(len(data)), "m.pth")
}

func f32bytes(v ...float32) []byte {
	var b []byte
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

var (
	six      = storage{"FloatStorage", "0", 6}
	sixBytes = f32bytes(0, 1, 2, 3, 4, 5)
)

// sampleArchive holds one of everything: views of one storage, 0-dim tensors,
// all types, a Parameter, a Namespace, a set, an optimizer, and attributes on
// the state dict.
func sampleArchive(t testing.TB, key string) []byte {
	p := start().op('}', '(')
	p.str("epoch").int(3)
	p.str("args").global("argparse", "Namespace").op(')', 0x81, '}', '(').str("lr").op('G').op(0x3f, 0xf0, 0, 0, 0, 0, 0, 0).op('u', 'b')
	p.str("seen").global("__builtin__", "set").op(']', 0x85, 'R')
	p.str("best").global("numpy.core.multiarray", "scalar").op(')', 'R', '}', 'b')
	p.str("optimizer").op('}', '(').str("state").op('}', '(').int(0).op('}').op('u', 'u')
	p.str(key).global("collections", "OrderedDict").op(')', 'R', 'q', 9, '(')
	p.str("row").tensor(six, 0, []int{2, 3}, []int{3, 1})
	p.str("col").tensor(six, 0, []int{3, 2}, []int{1, 3})
	p.str("mid").tensor(six, 2, []int{3}, []int{1})
	p.str("step").tensor(six, 1, []int{2, 1, 2}, []int{2, 77, 1})
	p.str("dot").tensor(six, 5, nil, nil)
	p.str("none").tensor(six, 6, []int{0, 3}, []int{3, 1})
	p.str("param").global("torch._utils", "_rebuild_parameter").op('(').tensor(six, 0, []int{1}, []int{1}).op(0x88).global("collections", "OrderedDict").op(')', 'R', 't', 'R')
	p.str("typed").global("torch._tensor", "_rebuild_from_type_v2").op('(').global("torch._utils", "_rebuild_tensor_v2").global("torch.nn.parameter", "Parameter")
	p.op('(', '(').str("storage").global("torch", "FloatStorage").str("0").str("cpu").int(6).op('t', 'Q').int(4).ints(2).ints(1).op('t', '}', 't', 'R')
	p.str("half").tensor(storage{"HalfStorage", "1", 2}, 0, []int{2}, []int{1})
	p.str("brain").tensor(storage{"BFloat16Storage", "2", 2}, 0, []int{2}, []int{1})
	p.str("long").tensor(storage{"LongStorage", "3", 2}, 0, []int{1, 2}, []int{2, 1})
	p.str("byte").tensor(storage{"ByteStorage", "4", 2}, 0, []int{2}, []int{1})
	p.str("bool").tensor(storage{"BoolStorage", "5", 2}, 0, []int{2}, []int{1})
	p.str("short").tensor(storage{"ShortStorage", "6", 4}, 0, []int{1}, []int{1})
	p.str("wide").tensor(six, 0, []int{1000000, 6}, []int{0, 1})
	p.str("negated").global("torch._utils", "_rebuild_tensor_v2").op('(', '(').str("storage").global("torch", "FloatStorage").str("0").str("cpu").int(6).op('t', 'Q').int(4).ints(2).ints(1).op(0x89, '}', '}').str("neg").op(0x88, 's', 't', 'R')
	p.str("sparse").global("torch._utils", "_rebuild_sparse_tensor").op(')', 'R')
	p.str("extra_state").op('N')
	p.op('u', '}', '(').str("_metadata").op('}').op('u', 'b')
	p.op('u', '.')
	return archive(t, p.Bytes(), map[string][]byte{
		"0": sixBytes,
		"1": {0x00, 0x3c, 0x00, 0xc0}, // 1, -2
		"2": {0x80, 0x3f, 0x00, 0xc0}, // 1, -2
		"3": {1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"4": {7, 255},
		"5": {0, 1},
		"6": make([]byte, 8),
	})
}

func TestPyTorch(t *testing.T) {
	for _, key := range []string{"model", "module", "state_dict"} {
		src, err := openPth(sampleArchive(t, key))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		for _, x := range src.Tensors() {
			f, err := Load(src, x.Name)
			if err != nil {
				got[x.Name] = err.Error()
				continue
			}
			got[x.Name+" "+x.String()] = f
		}
		want := map[string]any{
			"row f32[2,3]":    []float32{0, 1, 2, 3, 4, 5},
			"col f32[3,2]":    []float32{0, 3, 1, 4, 2, 5},
			"mid f32[3]":      []float32{2, 3, 4},
			"step f32[2,1,2]": []float32{1, 2, 3, 4},
			"dot f32[]":       []float32{5},
			"none f32[0,3]":   []float32{},
			"param f32[1]":    []float32{0},
			"typed f32[2]":    []float32{4, 5},
			"half f16[2]":     []float32{1, -2},
			"brain bf16[2]":   []float32{1, -2},
			"long i64[1,2]":   []float32{1, -1},
			"byte u8[2]":      []float32{7, 255},
			"bool bool[2]":    []float32{0, 1},
			"short":           `m.pth: tensor "short" cannot be read: its type i16 is not supported; want f64, f32, f16, bf16, i64, i32, u8 or bool`,
			"wide":            `m.pth: tensor "wide" cannot be read: it repeats the elements of its storage (an expanded tensor: [1000000,6] over 6 elements)`,
			"negated":         `m.pth: tensor "negated" cannot be read: it is a view that is still to be negated or conjugated; save what its resolve_neg() and resolve_conj() return`,
			"sparse":          `m.pth: tensor "sparse" cannot be read: it is an object of class torch._utils._rebuild_sparse_tensor, which is not supported`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
		rows, err := LoadRows(src, "col", 1, 2)
		if diff := cmp.Diff([]float32{1, 4, 2, 5}, rows); err != nil || diff != "" {
			t.Errorf("rows: %v (-want +got):\n%s", err, diff)
		}
	}
}

func TestPyTorchContainers(t *testing.T) {
	names := func(src Source) (s []string) {
		for _, x := range src.Tensors() {
			s = append(s, x.Name)
		}
		return s
	}
	one := func(p *pick, name string) *pick { return p.str(name).tensor(six, 0, []int{6}, []int{1}) }
	for _, c := range []struct {
		name string
		p    *pick
		want []string
	}{
		{"bare", one(one(start().op('}', '('), "b"), "a").op('u', '.'), []string{"a", "b"}},
		{"model before the rest", one(one(start().op('}', '(').str("module").op('}', '('), "x").op('u').str("model").op('}', '('), "y").op('u', 'u', '.'), []string{"y"}},
		{"model is no dict", one(start().op('}', '(').str("model").str("tiny").str("state_dict").op('}', '('), "y").op('u', 'u', '.'), []string{"y"}},
		{"tensor called model", one(start().op('}', '('), "model").op('u', '.'), []string{"model"}},
		{"names of a module", one(one(start().op('}', '(').str("module").op('}', '('), "module.a").str("note").op('N'), "b").op('u', 'u', '.'), []string{"b", "module.a"}},
		{"the only one", one(start().op('}', '(').str("mine").op('}', '(').str("weights").op('}', '('), "y").op('u', 'u', 'u', '.'), []string{"y"}},
		{"one beside little", one(one(one(one(start().op('}', '(').str("stats").op('}', '('), "m").op('u').str("mine").op('}', '('), "x"), "y"), "z").op('u', 'u', '.'), []string{"x", "y", "z"}},
		{"ordered pairs", one(start().global("collections", "OrderedDict").op(']', '(', '('), "a").op('t', 'e', 0x85, 'R', '.'), []string{"a"}},
		{"last of two", one(one(start().op('}', '('), "a"), "a").op('u', '.'), []string{"a"}},
		{"protocol 4", one(new(pick).op(0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0, 0, '}', 0x94, 0x8c, 1, 'k', 'N', 's', '('), "a").op('u', '.'), []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, err := openPth(archive(t, c.p.Bytes(), map[string][]byte{"0": sixBytes}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, names(src)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if _, err := Load(src, c.want[0]); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPyTorchErrors(t *testing.T) {
	tensor := func(s storage, offset int, shape, strides []int) []byte {
		return start().op('}').str("w").tensor(s, offset, shape, strides).op('s', '.').Bytes()
	}
	for _, c := range []struct {
		name, want string
		pickle     []byte
	}{
		{"cut", "truncated", start().str("abc").Bytes()[:6]},
		{"empty", "truncated", nil},
		{"no value", "too few values", start().op('.').Bytes()},
		{"underflow", "opcode 0x73: the stack has too few values", start().op('s').Bytes()},
		{"below the mark", "too few values", start().op('}', '(', 's').Bytes()},
		{"no mark", "no mark", start().op('t').Bytes()},
		{"opcode", "opcode 0xff: not an opcode", start().op(255).Bytes()},
		{"protocol", "protocol 9, want 2 to 5", []byte{0x80, 9}},
		{"memo", "the memo has no value 5", start().op('h', 5).Bytes()},
		{"endless name", "does not end within 512 bytes", start().op(append([]byte("c"), bytes.Repeat([]byte("x"), 1000)...)...).Bytes()},
		{"long text", "truncated", start().op('X', 255, 255, 255, 255).Bytes()},
		{"longer text", "truncated", start().op(0x8d, 255, 255, 255, 255, 255, 255, 255, 255).Bytes()},
		{"odd items", "a key has no value", start().op('}', '(', 'N', 'u', '.').Bytes()},
		{"append to a dict", "cannot append to a dict", start().op('}', 'N', 'a', '.').Bytes()},
		{"item of a list", "cannot set items of a list", start().op(']', 'N', 'N', 's', '.').Bytes()},
		{"reference", "an external reference is not a storage", start().op('N', 'Q', '.').Bytes()},
		{"whole model", "holds object of class mymodel.Net, want a dict of tensors", start().global("mymodel", "Net").op(')', 0x81, '.').Bytes()},
		{"no tensors", `no dict of tensors, neither under a key such as model, module or state_dict nor at the top; found {"model": object of class mymodel.Net, "epoch": number}`,
			start().op('}', '(').str("model").global("mymodel", "Net").op(')', 0x81).str("epoch").int(1).op('u', '.').Bytes()},
		{"arrays", `found {"w": NumPy array or number}; NumPy arrays are no tensors: turn them into such with torch.as_tensor`,
			start().op('}').str("w").global("numpy._core.multiarray", "_reconstruct").op(')', 'R', 's', '.').Bytes()},
		{"arrays in a dict", `found {"model": dict}; NumPy arrays are no tensors`,
			start().op('}').str("model").op('}').str("w").global("numpy.core.multiarray", "_reconstruct").op(')', 'R', 's', 's', '.').Bytes()},
		{"several", "several sets of weights and none under a usual key: \"mine\" (1 tensors), \"other\" (1 tensors); `checkpoint: {file: FILE, key: mine}` takes one",
			start().op('}', '(').str("mine").op('}').str("w").tensor(six, 0, nil, nil).op('s').str("other").op('}').str("w").tensor(six, 0, nil, nil).op('s', 'u', '.').Bytes()},
		{"offset", "offset 7 lies outside the storage of 6 elements", tensor(six, 7, []int{0}, []int{1})},
		{"offset of the last", "outside the storage", tensor(six, 6, nil, nil)},
		{"negative offset", "offset -1 lies outside", tensor(six, -1, []int{1}, []int{1})},
		{"shape", "shape [7] with strides [1] from element 0 lies outside the storage of 6 elements", tensor(six, 0, []int{7}, []int{1})},
		{"strides", "lies outside the storage", tensor(six, 0, []int{2, 2}, []int{5, 1})},
		{"huge stride", "lies outside the storage", tensor(six, 0, []int{2}, []int{math.MaxInt >> 5})},
		{"negative stride", "found -1, want an integer of at least 0", tensor(six, 0, []int{2}, []int{-1})},
		{"overflow", "too large", tensor(six, 0, []int{math.MaxInt >> 5, math.MaxInt >> 5}, []int{0, 0})},
		{"rank", "2 sizes and 1 strides", tensor(six, 0, []int{2, 3}, []int{1})},
		{"short storage", `tensor "w": storage "0" of 7 f32 needs 28 bytes, its entry has 24`, tensor(storage{"FloatStorage", "0", 7}, 0, []int{1}, []int{1})},
		{"no storage", `tensor "w": zip archive: entry "data/1" is missing`, tensor(storage{"FloatStorage", "1", 7}, 0, []int{1}, []int{1})},
		{"path", `entry "data/../../etc/passwd" is missing`, tensor(storage{"FloatStorage", "../../etc/passwd", 7}, 0, []int{1}, []int{1})},
		{"two types", `storage "0" is 6 f32 and also 6 f16`, start().op('}', '(').str("a").tensor(six, 0, nil, nil).str("b").tensor(storage{"HalfStorage", "0", 6}, 0, nil, nil).op('u', '.').Bytes()},
		{"huge storage", "not described", tensor(storage{"FloatStorage", "0", math.MaxInt}, 0, []int{1}, []int{1})},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := openPth(archive(t, c.pickle, map[string][]byte{"0": sixBytes}))
			asmtest.ErrorSays(t, err, "m.pth: ", c.want)
		})
	}
}

func TestPyTorchArchiveErrors(t *testing.T) {
	good := sampleArchive(t, "model")
	build := func(method uint16, names ...string) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, n := range names {
			f, err := w.CreateHeader(&zip.FileHeader{Name: n, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			f.Write([]byte("big"))
		}
		w.Close()
		return b.Bytes()
	}
	corrupt := bytes.Clone(good)
	corrupt[bytes.Index(corrupt, []byte("argparse"))]++
	entry := build(zip.Store, "a/data.pkl")
	directory := bytes.Index(entry, []byte("PK\x01\x02"))
	encrypted, method := bytes.Clone(entry), bytes.Clone(entry)
	encrypted[directory+8] |= 1
	method[directory+10] = 12
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"cut", "truncated or corrupt: the zip directory at its end is missing", good[:len(good)-30]},
		{"no pickle", "a zip archive with 0 data.pkl", build(zip.Store, "a/b.npy")},
		{"a file inside", `a zip archive that holds "a/B.PTH"; unpack it and name that file`, build(zip.Store, "a/x.txt", "a/B.PTH")},
		{"two pickles", "a zip archive with 2 data.pkl", build(zip.Store, "a/data.pkl", "b/data.pkl")},
		{"entry twice", "is there twice", build(zip.Store, "a/data.pkl", "a/x", "a/x")},
		{"encrypted", `entry "data.pkl" is encrypted`, encrypted},
		{"other method", `entry "data.pkl" is compressed by method 12`, method},
		{"byte order", `its byte order is "big"`, build(zip.Store, "a/data.pkl", "a/byteorder")},
		{"checksum", `entry "data.pkl" is corrupt: CRC-32 is`, corrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := openPth(c.data)
			asmtest.ErrorSays(t, err, "m.pth: ", c.want)
		})
	}

	at := bytes.Index(good, sixBytes)
	corrupt = bytes.Clone(good)
	corrupt[at] ^= 1
	src, err := openPth(corrupt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(src, "mid")
	asmtest.ErrorSays(t, err, `m.pth: tensor "mid": corrupt: CRC-32 of storage "0" is`)
	if _, err := Load(src, "half"); err != nil {
		t.Errorf("another storage: %v", err)
	}
}

// Every opcode that is read, as Python's pickle writes it.
func TestPickleValues(t *testing.T) {
	run := func(b ...byte) (any, error) {
		u := &unpickler{
			data:       append(b, '.'),
			budget:     pickleBudget(len(b), int64(len(b))),
			persistent: func(id any) (any, error) { return pyTuple{"persistent", id}, nil },
			reduce:     func(f pyGlobal, args pyTuple) (any, error) { return pyTuple{f, args}, nil },
		}
		return u.run()
	}
	le8 := func(op byte, n byte, rest string) []byte { return append([]byte{op, n, 0, 0, 0, 0, 0, 0, 0}, rest...) }
	g := pyGlobal{"m", "C"}
	for _, c := range []struct {
		name string
		in   []byte
		want any
	}{
		{"none", []byte("N"), nil},
		{"bools", []byte("\x88\x89\x86"), pyTuple{true, false}},
		{"BININT1", []byte("K\xff"), int64(255)},
		{"BININT2", []byte("M\xff\xff"), int64(65535)},
		{"BININT", []byte("J\xfe\xff\xff\xff"), int64(-2)},
		{"LONG1", []byte("\x8a\x01\xfe"), int64(-2)},
		{"LONG1 of nothing", []byte("\x8a\x00"), int64(0)},
		{"LONG1 of five bytes", []byte("\x8a\x05\x00\x00\x00\x00\x01"), int64(1 << 32)},
		{"LONG1 of nine bytes", []byte("\x8a\x09123456789"), &pyObject{pyGlobal{"builtins", "int"}}},
		{"LONG4", []byte("\x8b\x02\x00\x00\x00\x00\x01"), int64(256)},
		{"BINFLOAT", []byte("G\xbf\xf8\x00\x00\x00\x00\x00\x00"), -1.5},
		{"BINUNICODE", []byte("X\x02\x00\x00\x00hi"), "hi"},
		{"SHORT_BINUNICODE", []byte("\x8c\x02hi"), "hi"},
		{"BINUNICODE8", le8(0x8d, 2, "hi"), "hi"},
		{"SHORT_BINSTRING", []byte("U\x02hi"), "hi"},
		{"BINSTRING", []byte("T\x02\x00\x00\x00hi"), "hi"},
		{"SHORT_BINBYTES", []byte("C\x02hi"), []byte("hi")},
		{"BINBYTES", []byte("B\x02\x00\x00\x00hi"), []byte("hi")},
		{"BINBYTES8", le8(0x8e, 2, "hi"), []byte("hi")},
		{"BYTEARRAY8", le8(0x96, 2, "hi"), []byte("hi")},
		{"tuples", []byte("N\x85)\x86K\x01K\x02\x87"), pyTuple{pyTuple{pyTuple{nil}, pyTuple{}}, int64(1), int64(2)}},
		{"TUPLE3", []byte("K\x01K\x02K\x03\x87"), pyTuple{int64(1), int64(2), int64(3)}},
		{"TUPLE", []byte("(K\x01(tt"), pyTuple{int64(1), pyTuple(nil)}},
		{"APPEND and APPENDS", []byte("]Na(K\x01K\x02e"), &pyList{[]any{nil, int64(1), int64(2)}}},
		{"LIST", []byte("(NNl"), &pyList{[]any{nil, nil}}},
		{"set", []byte("\x8f(K\x01\x90"), &pyList{[]any{int64(1)}}},
		{"frozen set", []byte("(K\x01\x91"), &pyList{[]any{int64(1)}}},
		{"SETITEM and SETITEMS", []byte("}U\x01aNs(U\x01bNU\x01aK\x01K\x09Nu"), &pyDict{[]string{"a", "b"}, map[string]any{"a": int64(1), "b": nil}}},
		{"DICT", []byte("(U\x01aNd"), &pyDict{[]string{"a"}, map[string]any{"a": nil}}},
		{"POP", []byte("NK\x010"), nil},
		{"POP of a mark", []byte("N(0"), nil},
		{"POP_MARK", []byte("N(NN1"), nil},
		{"DUP", []byte("N2\x86"), pyTuple{nil, nil}},
		{"BINPUT and BINGET", []byte("K\x07q\x050h\x05"), int64(7)},
		{"LONG_BINPUT and LONG_BINGET", []byte("K\x07r\x05\x01\x00\x000j\x05\x01\x00\x00"), int64(7)},
		{"MEMOIZE", []byte("K\x07\x94K\x08\x94h\x00\x86"), pyTuple{int64(8), int64(7)}},
		{"GLOBAL and REDUCE", []byte("cm\nC\n)R"), pyTuple{g, pyTuple{}}},
		{"STACK_GLOBAL and NEWOBJ", []byte("\x8c\x01m\x8c\x01C\x93)\x81"), pyTuple{g, pyTuple{}}},
		{"NEWOBJ_EX", []byte("cm\nC\n)}\x92"), pyTuple{g, pyTuple{}}},
		{"OBJ", []byte("(cm\nC\nK\x01o"), pyTuple{g, pyTuple{int64(1)}}},
		{"call of a result", []byte("N)R"), &pyObject{pyGlobal{"", "unknown"}}},
		{"BUILD", []byte("]}b"), &pyList{}},
		{"BINPERSID", []byte("K\x01Q"), pyTuple{"persistent", int64(1)}},
		{"FRAME", append(le8(0x95, 1, ""), 'N'), nil},
		{"SETITEM below nothing", []byte("N)RNaN)Rs"), errStack},
		{"append to an object", []byte("N)RNa(NNe(NNu"), &pyObject{pyGlobal{"", "unknown"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := run(c.in...)
			if c.want == any(errStack) {
				if !errors.Is(err, errStack) {
					t.Errorf("got %v, %v, want %v", got, err, errStack)
				}
				return
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(pyList{}, pyDict{}, pyGlobal{}, pyObject{}), cmpEmpty); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// cmpEmpty takes nil and empty tuples for equal.
var cmpEmpty = cmp.FilterValues(func(a, b pyTuple) bool { return len(a)+len(b) == 0 }, cmp.Ignore())

func TestPickleLimits(t *testing.T) {
	limited := &limitedReader{bytes.NewReader(make([]byte, 100)), 10}
	if _, err := limited.ReadAt(make([]byte, 11), 0); err != errDirectory {
		t.Errorf("reading more than the limit: %v", err)
	}
}

func TestOpenFile(t *testing.T) {
	dir := t.TempDir()
	tar := append(bytes.Repeat([]byte{'x'}, 257), "ustar"...)
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"empty", "is empty", nil},
		{"pickle", "a bare Python pickle", []byte("\x80\x04\x95abc")},
		{"lfs", "a git-lfs pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")},
		{"html", "an HTML or XML page", []byte("<!DOCTYPE html><html><head><title>404</title>")},
		{"html after spaces", "an HTML or XML page", []byte("\ufeff \n <html>")},
		{"gzip", "gzip", []byte("\x1f\x8b\x08abc")},
		{"tar", "a tar archive", tar},
		{"gguf", "a GGUF file", []byte("GGUF\x03\x00\x00\x00")},
		{"onnx", "an ONNX file; use the checkpoint it was made from", []byte("\x08\x0a\x12\x07pytorch:\x10")},
		{"onnx without producer", "an ONNX file", []byte("\x08\x08\x3a\x10\x0a\x0a\x0a\x01a\x12\x01b\x1a")},
		{"flax", "a MessagePack file, as Flax writes", []byte("\x82\xaatext_model\x81\xa5a")},
		{"text", `not a checkpoint: it starts with "hello"`, []byte("hello")},
		{"zeros", "not a checkpoint", make([]byte, 600)},
		{"cut safetensors", "truncated", sampleFile(t)[:100]},
		{"cut zip", "truncated or corrupt", sampleArchive(t, "model")[:500]},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "_"))
			asmtest.Write(t, path, c.data)
			_, err := OpenFile(path)
			asmtest.ErrorSays(t, err, path+": ", c.want)
			if strings.Count(err.Error(), path) != 1 {
				t.Errorf("the path is named more than once: %v", err)
			}
		})
	}
	_, err := OpenFile(dir)
	asmtest.ErrorSays(t, err, dir+": it is a folder")
	if st, e := os.Stat(os.DevNull); e == nil && !st.Mode().IsRegular() {
		_, err = OpenFile(os.DevNull)
		asmtest.ErrorSays(t, err, os.DevNull+": it is a device, want a regular file")
	}
	_, err = OpenFile(filepath.Join(dir, "absent"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	path := filepath.Join(dir, "good.pth")
	asmtest.Write(t, path, sampleArchive(t, "model"))
	src, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(src, "row"); err != nil {
		t.Error(err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	_, err = Load(src, "row")
	asmtest.ErrorSays(t, err, path, `tensor "row"`, "closed")
}

func FuzzPyTorch(f *testing.F) {
	good := sampleArchive(f, "model")
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(deflated(f, 100))
	f.Add(scriptArchive(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		src, err := openPth(data)
		if err != nil {
			return
		}
		loadAll(t, src, len(data)+inflatedBudget(int64(len(data))).left)
	})
}

// FuzzPickle spares the fuzzer the archive and its checksums.
func FuzzPickle(f *testing.F) {
	f.Add(start().op('}').str("w").tensor(six, 0, []int{2, 3}, []int{3, 1}).op('s', '.').Bytes())
	f.Add(start().op('}').str("w").tensor(six, 0, []int{3, 2}, []int{1, 3}).op('s', '.').Bytes())
	f.Add(start().global("argparse", "Namespace").op(')', 0x81, '}', 'b', '.').Bytes())
	f.Fuzz(func(t *testing.T, pickle []byte) {
		src, err := openPth(archive(t, pickle, map[string][]byte{"0": sixBytes, "1": make([]byte, 64)}))
		if err != nil {
			return
		}
		loadAll(t, src, 1<<10)
	})
}
