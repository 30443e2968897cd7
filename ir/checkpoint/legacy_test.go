package checkpoint

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// legacyStream joins the parts of a file from before PyTorch 1.6.
func legacyStream(object, keys *pick, storages ...[]byte) []byte {
	b := bytes.NewBufferString(legacyMagic)
	b.Write(start().op('M', 0xe9, 3, '.').Bytes())
	b.Write(start().op('}', '(').str("protocol_version").op('M', 0xe9, 3).str("little_endian").op(0x88, 'u', '.').Bytes())
	b.Write(object.op('.').Bytes())
	b.Write(keys.op('.').Bytes())
	for _, s := range storages {
		b.Write(s)
	}
	return b.Bytes()
}

// legacyTensor is a tensor whose storage may be a view of another.
func (p *pick) legacyTensor(s storage, view []int, offset int, shape, strides []int) *pick {
	p.global("torch._utils", "_rebuild_tensor").op('(')
	p.op('(').str("storage").global("torch", s.class).str(s.key).str("cuda:0").int(s.n)
	if view == nil {
		p.op('N')
	} else {
		p.str(s.key + "v").int(view[0]).int(view[1]).op(0x87)
	}
	return p.op('t', 'Q').int(offset).ints(shape...).ints(strides...).op('t', 'R')
}

func counted(n int, b []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(n)), b...)
}

var two = storage{"HalfStorage", "7", 2}

func sampleLegacy() []byte {
	p := start().op('}', '(').str("model").op('}', '(')
	p.str("all").legacyTensor(six, nil, 0, []int{2, 3}, []int{3, 1})
	p.str("col").legacyTensor(six, nil, 0, []int{3, 2}, []int{1, 3})
	p.str("view").legacyTensor(six, []int{2, 4}, 1, []int{3}, []int{1})
	p.str("half").legacyTensor(two, nil, 0, []int{2}, []int{1})
	p.str("dot").legacyTensor(six, []int{5, 1}, 0, nil, nil)
	p.op('u').str("args").global("argparse", "Namespace").op(')', 0x81, '}', 'b').str("epoch").int(3).op('u')
	return legacyStream(p, start().op(']', '(').str("7").str("0").op('e'), counted(2, []byte{0x00, 0x3c, 0x00, 0xc0}), counted(6, sixBytes))
}

// held is what the tensors of a source hold, by their names and types.
func held(t *testing.T, src Source) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for _, x := range src.Tensors() {
		f, err := Load(src, x.Name)
		if err != nil {
			t.Error(err)
		}
		all[x.Name+" "+x.String()] = f
	}
	return all
}

func TestLegacy(t *testing.T) {
	src, err := openPth(sampleLegacy())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float32{
		"all f32[2,3]": {0, 1, 2, 3, 4, 5},
		"col f32[3,2]": {0, 3, 1, 4, 2, 5},
		"view f32[3]":  {3, 4, 5},
		"half f16[2]":  {1, -2},
		"dot f32[]":    {5},
	}
	if diff := cmp.Diff(want, held(t, src)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The pickles may be longer than what is looked at first.
func TestLegacyLong(t *testing.T) {
	p := start().op('}', '(').str("note").str(string(bytes.Repeat([]byte("x"), 3<<20)))
	p.str("w").legacyTensor(six, nil, 0, []int{6}, []int{1}).op('u')
	src, err := openPth(legacyStream(p, start().op(']').str("0").op('a'), counted(6, sixBytes)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(src, "w"); err != nil {
		t.Error(err)
	}
}

func TestLegacyErrors(t *testing.T) {
	one := func() *pick { return start().op('}').str("w").legacyTensor(six, nil, 0, []int{6}, []int{1}).op('s') }
	keys := func() *pick { return start().op(']').str("0").op('a') }
	view := func(v ...int) *pick {
		return start().op('}').str("w").legacyTensor(six, v, 0, []int{1}, []int{1}).op('s')
	}
	good := sampleLegacy()
	big := bytes.Replace(bytes.Clone(good), []byte("little_endian\x88"), []byte("little_endian\x89"), 1)
	version := bytes.Replace(bytes.Clone(good), []byte{0x80, 2, 'M', 0xe9, 3}, []byte{0x80, 2, 'M', 0xea, 3}, 1)
	module := start().op('(').str("module").global("my.models", "Net").str("net.py").str("class Net: ...").op('t', 'Q', ')', 0x81)
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"cut in a pickle", "truncated", good[:100]},
		{"cut before the storages", `truncated: storage "7" begins at byte`, good[:len(good)-44]},
		{"cut in a storage", `truncated: storage "0" needs 24 bytes`, good[:len(good)-1]},
		{"big endian", "written on a big-endian machine", big},
		{"protocol", "legacy stream of protocol 1002, want 1001", version},
		{"whole model", "holds object of class my.models.Net, want a dict of tensors", legacyStream(module, start().op(']'))},
		{"no storage", `tensor "w": storage "0" is not in the file`, legacyStream(one(), start().op(']'))},
		{"strange storage", `nothing uses the storage "5"`, legacyStream(one(), start().op(']').str("5").op('a'))},
		{"storage twice", `storage "0" is there twice`, legacyStream(one(), start().op(']', '(').str("0").str("0").op('e'), counted(6, sixBytes), counted(6, sixBytes))},
		{"other size", `corrupt: storage "0" has 5 elements`, legacyStream(one(), keys(), counted(5, sixBytes))},
		{"keys", "the keys of its storages are a dict, want a list", legacyStream(one(), start().op('}'))},
		{"unknown type", "of the unknown type QuantStorage", legacyStream(start().op('}').str("w").legacyTensor(storage{"QuantStorage", "0", 6}, nil, 0, []int{6}, []int{1}).op('s'), keys(), counted(6, sixBytes))},
		{"view outside", "a view of 5 elements from 2 lies outside the storage of 6", legacyStream(view(2, 5), keys(), counted(6, sixBytes))},
		{"view before", "a view of 1 elements from -1 lies outside", legacyStream(view(-1, 1), keys(), counted(6, sixBytes))},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := openPth(c.data)
			asmtest.ErrorSays(t, err, "m.pth: ", c.want)
		})
	}
}

func FuzzLegacy(f *testing.F) {
	good := sampleLegacy()
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		src, err := openPth(append([]byte(legacyMagic), bytes.TrimPrefix(data, []byte(legacyMagic))...))
		if err != nil {
			return
		}
		loadAll(t, src, len(data)+len(legacyMagic))
	})
}
