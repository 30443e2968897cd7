package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/file"
)

// doubled is a tuple of 2^n leaves in n bytes.
func (p *pick) doubled(n int) *pick {
	p.op('N', 0x85)
	for range n {
		p.op('2', 0x86)
	}
	return p
}

// deep is a tuple in n others.
func (p *pick) deep(n int) *pick {
	p.op(')')
	return p.op(bytes.Repeat([]byte{0x85}, n)...)
}

// each writes a piece n times.
func (p *pick) each(n int, piece string) *pick {
	p.WriteString(strings.Repeat(piece, n))
	return p
}

func (p *pick) storage(class, key string, n int) *pick {
	return p.op('(').str("storage").global("torch", class).str(key).str("cpu").int(n).op('t', 'Q')
}

// rebuild begins a tensor of storage 0; its arguments from the offset on and a TUPLE and a REDUCE follow.
func (p *pick) rebuild() *pick {
	return p.global("torch._utils", "_rebuild_tensor_v2").op('(').storage("FloatStorage", "0", 4)
}

// dictOf leaves OrderedDict as 0 of the memo, and as 1 its arguments: a list of n items.
func (p *pick) dictOf(n int, item func(i int)) *pick {
	p.global("collections", "OrderedDict").op('q', 0, '0').op(']', '(')
	for i := range n {
		item(i)
	}
	return p.op('e', 0x85, 'q', 1, '0')
}

// hostilePickles are data.pkl of archives. what, if not "", is part of the error; without an error the pickle is harmless.
func hostilePickles() []hostile {
	long := strings.Repeat("k", 1<<20)
	numbers := func(p *pick) func(int) {
		return func(i int) { p.str(fmt.Sprintf("k%05d", i)).op('N', 0x86) }
	}
	bomb, times, pairs, key := start(), start(), start(), start()
	bomb.dictOf(1000, numbers(bomb)).op(']').each(10000, "h\x00h\x01R").op('.')
	times.dictOf(100_000, func(int) { times.op('N') }).op(']').each(100_000, "h\x00h\x01R0").op('.')
	pairs.dictOf(1000, func(i int) { pairs.op(']').str(fmt.Sprint(i)).op('a').op('N', 'a') }).op(']').each(10000, "h\x00h\x01R").op('.')
	// A long key is hashed whenever it is set, whichever way.
	key.op('}').str(long).op('q', 0).op('N', 's').each(200_000, "h\x00Ns").op('.')
	ones := start()
	ones.op('(')
	for range maxRank {
		ones.int(1)
	}
	ones.op('t', 'q', 9, '0')
	tensor := func(p *pick) *pick {
		p.global("torch._utils", "_rebuild_tensor_v2").op('q', 1, '0')
		return p.op('(').storage("FloatStorage", "0", 4).int(0).op('h', 9, 'h', 9, 't', 'q', 2, '0')
	}
	const over = "far more memory or work"
	return []hostile{
		{"offset doubled", start().rebuild().doubled(30).op(')', ')', 't', 'R', '.').Bytes(), "offset a tuple lies outside"},
		{"offset doubled more", start().rebuild().doubled(60).op(')', ')', 't', 'R', '.').Bytes(), "offset a tuple lies outside"},
		{"offset deep", start().rebuild().deep(300_000).op(')', ')', 't', 'R', '.').Bytes(), "offset a tuple lies outside"},
		{"shape doubled", start().rebuild().int(0).doubled(26).op(0x85, ')', 't', 'R', '.').Bytes(), "found a tuple, want an integer"},
		{"strides doubled", start().rebuild().int(0).ints(1).doubled(26).op(0x85, 't', 'R', '.').Bytes(), "found a tuple, want an integer"},
		{"view doubled", start().op('(').str("storage").global("torch", "FloatStorage").str("0").str("cpu").int(4).
			op('(').str("1").doubled(30).doubled(30).op('t').op('t', 'Q', '.').Bytes(), "a view of a tuple elements from a tuple"},
		{"callable doubled", start().doubled(30).op(')', 'R', '.').Bytes(), "holds object of class"},
		{"arguments doubled", start().global("a", "b").op('}').doubled(30).op('0', 'R', '.').Bytes(), "are not a tuple"},
		{"persistent doubled", start().doubled(30).op('Q', '.').Bytes(), "is not a storage"},
		{"class doubled", start().doubled(30).op('2', 0x93, '.').Bytes(), "not named by two short strings"},
		{"top doubled", start().doubled(40).op('.').Bytes(), "holds tuple"},
		{"keys of no tensors", start().op('}').str("a\x1b]0;x\a").doubled(30).op('s').str(long).op('N', 's', '.').Bytes(), `found {"a\x1b]0;x\a": tuple`},
		{"list in itself", start().op(']', 'q', 0).each(100_000, "h\x00a").op('.').Bytes(), "holds list"},
		{"dict of pairs again and again", bomb.Bytes(), over},
		{"dict of lists again and again", pairs.Bytes(), over},
		{"dict of no pairs again and again", times.Bytes(), over},
		{"long key again and again", key.Bytes(), over},
		{"long storage again and again", start().global("torch", "FloatStorage").op('q', 0, '0').str(long).op('q', 1, '0').str("storage").op('q', 2, '0').
			each(100_000, "(h\x02h\x00h\x01h\x02K\x04tQ0").op('.').Bytes(), over},
		{"tensors of many axes", tensor(start().op(ones.Bytes()[2:]...)).each(400_000, "h\x01h\x02R").op('.').Bytes(), over},
		{"one tensor by many names", func() []byte {
			p := tensor(start().op(ones.Bytes()[2:]...)).op('h', 1, 'h', 2, 'R', 'q', 3, '0', '}', '(')
			for i := range 200_000 {
				p.str(fmt.Sprintf("%x", i)).op('h', 3)
			}
			return p.op('u', '.').Bytes()
		}(), over},
		{"expanded tensors", func() []byte {
			p := start().global("torch._utils", "_rebuild_tensor_v2").op('q', 1, '0', '(').storage("FloatStorage", "0", 4).int(0)
			p.ints(1<<25, 1, 1, 1).ints(0, 0, 0, 0).op('t', 'q', 2, '0')
			return p.each(400_000, "h\x01h\x02R").op('.').Bytes()
		}(), over},
		{"lists", start().each(2_000_000, "]").op('.').Bytes(), over},
		{"dicts of one key", start().str("a").op('q', 0, '0').each(400_000, "}h\x00Ns").op('.').Bytes(), over},
		{"marks", start().each(4_000_000, "(").op('.').Bytes(), over},
		{"memo", start().op('N').each(3_000_000, "\x94").op('.').Bytes(), over},
		{"memo far away", start().op('N', 'r', 0xff, 0xff, 0xff, 0xff, '.').Bytes(), over},
		{"deep lists", start().each(100_000, "]").each(100_000-1, "a").op('.').Bytes(), "holds list"},
		// Nested calls would recurse to any depth if functions were compared by their paths alone.
		{"calls inside calls by two paths", start().global("torch._tensor", "_rebuild_from_type_v2").op('(').
			global("torch", "_tensor._rebuild_from_type_v2").op('N', '(').
			global("torch._tensor", "_rebuild_from_type_v2").op('N', '(').
			global("torch._utils", "_rebuild_tensor_v2").op('N', '(').storage("FloatStorage", "0", 4).int(0).ints(4).ints(1).
			op('t', 't', 't', 't', 'R', '.').Bytes(), "holds object of class torch._tensor"},
		{"LONG4 of 2 GB", start().op(0x8b, 0xff, 0xff, 0xff, 0x7f, '.').Bytes(), "truncated"},
		{"text of 2^64", start().op(0x8d).each(8, "\xff").op('.').Bytes(), "truncated"},
		{"classes with control characters", start().global("a\x1b[2J", strings.Repeat("\u202e", 100)).op(')', 'R', '.').Bytes(), `\x1b[2J`},
		{"storage of a strange class", start().rebuild().op('0').storage("\x1b[2J", "0", 4).op('.').Bytes(), "want a storage class of torch"},
	}
}

type hostile struct {
	name string
	data []byte
	what string
}

// mostOf bounds the bytes that opening a file of n bytes may allocate, freed ones included. It is twice the budget, because growing
// slices and maps are copied.
func mostOf(n int) int { return 2*pickleBudget(n, int64(n)).left + 8*n }

func (h hostile) test(t *testing.T, open func(data []byte) (Source, error)) {
	t.Helper()
	var err error
	var src Source
	if got, most := asmtest.Allocated(func() { src, err = open(h.data) }), mostOf(len(h.data)); got > most {
		t.Errorf("%d bytes take %d MB, want at most %d", len(h.data), got>>20, most>>20)
	}
	if err == nil {
		t.Fatalf("it is taken: %d tensors", len(src.Tensors()))
	}
	asmtest.Harmless(t, err, h.what)
}

func TestHostilePickles(t *testing.T) {
	for _, h := range hostilePickles() {
		t.Run(h.name, func(t *testing.T) {
			h.data = archive(t, h.data, map[string][]byte{"0": make([]byte, 16)})
			h.test(t, openPth)
		})
	}
}

func TestHostileLegacy(t *testing.T) {
	part := func(p *pick) string { return p.op('.').String() }
	version, machine, empty := part(start().int(legacyProtocol)), part(start().op('}').str("little_endian").op(0x88, 's')), part(start().op('}'))
	for _, h := range []hostile{
		{"version doubled", []byte(part(start().doubled(26)) + machine + empty + part(start().op(']'))), "of protocol a tuple, want 1001"},
		{"key doubled", []byte(version + machine + empty + part(start().op(']').doubled(26).op('a'))), "uses the storage a tuple"},
		{"key in itself", []byte(version + machine + empty + part(start().op(']', 'q', 0, 'h', 0, 'h', 0, 0x85, 'a', 'a'))), "uses the storage a tuple"},
		{"key deep", []byte(version + machine + empty + part(start().op(']').deep(200_000).op('a'))), "uses the storage a tuple"},
		{"long key", []byte(version + machine + empty + part(start().op(']').str(strings.Repeat("\x1b", 1<<20)).op('a'))), "uses the storage"},
		{"machine doubled", []byte(version + part(start().op('}').str("little_endian").doubled(30).op('s')) + empty + part(start().op(']'))), "big-endian"},
	} {
		t.Run(h.name, func(t *testing.T) {
			h.data = []byte(legacyMagic + string(h.data) + strings.Repeat("\x00", 64))
			h.test(t, openPth)
		})
	}
}

// Files of torch.save need far less than the budget, with any number of tensors.
func TestPickleBudgetSuffices(t *testing.T) {
	for _, n := range []int{1, 300, 10_000} {
		p := start().op('}', 'q', 0, '(')
		p.global("torch._utils", "_rebuild_tensor_v2").op('q', 1, '0')
		memo := uint32(2)
		put := func() { p.op('r').Write(binary.LittleEndian.AppendUint32(nil, memo)); memo++ }
		for i := range n {
			p.str(fmt.Sprintf("module.encoder.layers.%d.self_attn.q_proj.weight", i))
			put()
			p.op('h', 1, '(', '(').str("storage")
			put()
			p.global("torch", "FloatStorage")
			put()
			p.str(fmt.Sprint(i))
			put()
			p.str("cpu")
			put()
			p.int(6).op('t')
			put()
			p.op('Q', 'K', 0, 'K', 2, 'K', 3, 0x86)
			put()
			p.op('K', 3, 'K', 1, 0x86)
			put()
			p.op(0x89).global("collections", "OrderedDict").op(')', 'R')
			put()
			p.op('t')
			put()
			p.op('R')
			put()
		}
		p.op('u', '.')
		l := newLoader(p.Len(), int64(10*p.Len()))
		all := l.budget.left
		top, err := l.unpickler(p.Bytes()).run()
		if err != nil {
			t.Fatal(err)
		}
		src := &pytorch{}
		if err := src.list(top, l.budget, func(*torchStorage) error { return nil }); err != nil || len(src.infos) != n {
			t.Fatalf("%d tensors of %d: %v", len(src.infos), n, err)
		}
		if left := l.budget.left; left < all/4 {
			t.Errorf("%d tensors: %d of %d is left, want a quarter", n, left, all)
		}
	}
}

// hostileHeaders are safetensors headers.
func hostileHeaders() []hostile {
	big := 4 << 20
	return []hostile{
		{"number", []byte(`{"a":{"dtype":"F32","shape":[` + strings.Repeat("9", big) + `],"data_offsets":[0,0]}}`), "found a number of many digits"},
		{"text for a number", []byte(`{"a":{"dtype":"F32","shape":["` + strings.Repeat(`\u001b`, big/6) + `"],"data_offsets":[0,0]}}`), `found "\x1b`},
		{"number for a type", []byte(`{"a":{"dtype":` + strings.Repeat("9", big) + `,"shape":[],"data_offsets":[0,0]}}`), "dtype: found a number of many digits"},
		{"long type", []byte(`{"a":{"dtype":"` + strings.Repeat("F", big) + `","shape":[],"data_offsets":[0,0]}}`), `found "FFF`},
		{"type with control characters", []byte(`{"a":{"dtype":"\u001b[2J","shape":[],"data_offsets":[0,0]}}`), `found "\x1b[2J"`},
		{"long field", []byte(`{"a":{"` + strings.Repeat("x", maxName) + `":1}}`), "dtype is missing"},
		{"long names", []byte(`{"` + strings.Repeat(`\u202e`, maxName/3) + `":{"dtype":"F32"}}`), "shape is missing"},
		{"name for a name", []byte(`{"` + strings.Repeat("x", big) + `":{}}`), "at most 4096 are supported"},
		{"brackets", []byte(`{"a":` + strings.Repeat("[", big)), "want {dtype, shape, data_offsets}"},
		{"objects", []byte(strings.Repeat(`{"a":`, big/5)), "the value has more than 1000 nested brackets"},
		{"metadata of brackets", []byte(`{"__metadata__":` + strings.Repeat("[", big)), "want {key: text}"},
		{"metadata of a number", []byte(`{"__metadata__":{"a":` + strings.Repeat("9", big) + `}}`), "want text"},
		{"offsets that overflow", []byte(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775803,9223372036854775807]}}`), "its tensors need 9223372036854775905 bytes"},
		{"shape", []byte(`{"a":{"dtype":"F32","shape":[` + strings.Repeat("1,", big/2) + `1],"data_offsets":[0,4]}}`), "more than 32 numbers"},
		{"metadata and no end", []byte(`{"__metadata__":{` + strings.Repeat(`"":"",`, big/6)), "EOF"},
	}
}

func TestHostileHeaders(t *testing.T) {
	for _, h := range hostileHeaders() {
		t.Run(h.name, func(t *testing.T) {
			h.data = append(binary.LittleEndian.AppendUint64(nil, uint64(len(h.data))), h.data...)
			h.test(t, openST)
		})
	}
}

// Metadata is checked, but not held in memory.
func TestMetadataIsNotHeld(t *testing.T) {
	head := `{"__metadata__":{` + strings.Repeat(`"0123456":"",`, 300_000) + `"a":"b"}}`
	data := append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)
	var live runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&live)
	before := live.HeapAlloc
	src, err := openST(data)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&live)
	if held := int(live.HeapAlloc) - int(before); held > 1<<20 {
		t.Errorf("a header of %d bytes with metadata alone holds %d", len(head), held)
	}
	runtime.KeepAlive(src)
}

func openST(data []byte) (Source, error) {
	return Safetensors(bytes.NewReader(data), int64(len(data)), "m.safetensors")
}

func TestHostileIndexes(t *testing.T) {
	for _, h := range []hostile{
		{"brackets", []byte(`{"x":` + strings.Repeat("[", 1<<20)), "nested brackets"},
		{"objects", []byte(strings.Repeat(`{"x":`, 1<<18)), "nested brackets"},
		{"number for a file", []byte(`{"weight_map":{"a":` + strings.Repeat("9", 1<<20) + `}}`), "found a number of many digits"},
		{"file with control characters", []byte(`{"weight_map":{"a":"\u001b[2J"}}`), "is missing"},
		{"tensor with control characters", []byte(`{"weight_map":{"\u001b[2J":"../a"}}`), "want the name of a file in this folder"},
		{"out", []byte(`{"weight_map":{"a":"../../../etc/passwd"}}`), "want the name of a file in this folder"},
		{"itself", []byte(`{"weight_map":{"a":"m.index.json"}}`), "found an index"},
		{"folder", []byte(`{"weight_map":{"a":"folder"}}`), "is a folder"},
	} {
		t.Run(h.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "m.index.json")
			if err := errors.Join(os.WriteFile(path, h.data, 0o666), os.Mkdir(filepath.Join(dir, "folder"), 0o777)); err != nil {
				t.Fatal(err)
			}
			h.test(t, func([]byte) (Source, error) { return OpenFile(path) })
		})
	}
}

// Lists in errors are bounded, however many tensors a file has or lacks, and names are quoted.
func TestErrorsAreBounded(t *testing.T) {
	e := &BindError{Source: file.Quote(strings.Repeat("s\x1b", 4000)), Hint: strings.Repeat("h", 500)}
	var surplus []Info
	var groups []Group
	for i := range 5000 {
		name := fmt.Sprintf("%d\x1b[2J\u202e%s", i, strings.Repeat("é", 1000))
		e.Mismatch = append(e.Mismatch, Mismatch{Key: name, Want: []int{1, 2}, Weight: "w", Near: []Info{{Name: name}, {Name: name}}})
		surplus = append(surplus, Info{Name: name, DType: F32, Shape: []int{i}})
		groups = append(groups, Group{Prefix: name})
	}
	asmtest.Harmless(t, e, "more")
	r := &Report{Source: "m", Surplus: groups, SurplusCount: len(surplus)}
	asmtest.Harmless(t, r.Strict(), "more")
	src := &memory{}
	src.name, src.infos = "m", surplus
	_, err := Load(src, surplus[0].Name+"x")
	asmtest.Harmless(t, err, "is missing")
}

// Reading a tensor checks the sum of its storage, so overlapping storages could multiply the work.
func TestOverlappingStorages(t *testing.T) {
	const n = 1 << 14
	p := start().op('}', '(')
	storages := map[string][]byte{"0": make([]byte, 4*n)}
	for i := range 7 {
		key := fmt.Sprint(i)
		p.str(key).tensor(storage{"FloatStorage", key, n}, 0, []int{1}, []int{1})
		if i > 0 {
			storages[key] = make([]byte, 4)
		}
	}
	data := archive(t, p.op('u', '.').Bytes(), storages)
	var first []byte // of the directory: sum, sizes
	var offset []byte
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte("PK\x01\x02"))
		if i < 0 {
			break
		}
		at += i
		name := string(data[at+46:][:binary.LittleEndian.Uint16(data[at+28:])])
		switch {
		case name == "archive/data/0":
			first, offset = bytes.Clone(data[at+16:at+28]), bytes.Clone(data[at+42:at+46])
		case strings.HasPrefix(name, "archive/data/"):
			copy(data[at+16:], first)
			copy(data[at+42:], offset)
		}
		at += 46
	}
	_, err := openPth(data)
	asmtest.ErrorSays(t, err, "they overlap")
}

// Reading a tensor of two distant elements does not read the bytes between them.
func TestSparseTensorReadsItsElements(t *testing.T) {
	const n = 1 << 20
	values := make([]float32, n)
	values[5], values[n-1] = 2, 3
	p := start().op('}').str("w").tensor(storage{"FloatStorage", "0", n}, 5, []int{1, 2}, []int{1, n - 6}).op('s', '.')
	src, err := openPth(archive(t, p.Bytes(), map[string][]byte{"0": f32bytes(values...)}))
	if err != nil {
		t.Fatal(err)
	}
	var got []float32
	if took := asmtest.Allocated(func() { got, err = Load(src, "w") }); took > 1<<18 {
		t.Errorf("8 bytes take %d", took)
	}
	if err != nil || len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Errorf("got %v, %v", got, err)
	}
}

// Hostile names do not make the summary of surplus tensors, or the search for similar names, expensive.
func TestHostileNames(t *testing.T) {
	var list []Info
	for i := range 20_000 {
		list = append(list, Info{Name: fmt.Sprintf("%d.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o", i), DType: F32, Shape: []int{1}})
	}
	size := len(list) * len(list[0].Name)
	if got := asmtest.Allocated(func() { groups(list, func(string) bool { return true }) }); got > 40*size {
		t.Errorf("grouping names of %d bytes takes %d", size, got)
	}
	long := Info{Name: strings.Repeat("a.", maxName/2)}
	if near := nearest("a.a", []Info{long}, 1); near != nil {
		t.Errorf("a name of %d bytes is near", len(long.Name))
	}
}

// Files returns paths without quoting, since outputs are compared with them.
func TestFilesOfStrangeNames(t *testing.T) {
	dir := t.TempDir()
	var part bytes.Buffer
	if err := WriteSafetensors(&part, []Tensor{{Name: "a", DType: F32, Shape: []int{1}, Floats: []float32{1}}}, nil); err != nil {
		t.Fatal(err)
	}
	paths := []string{filepath.Join(dir, "\u202ename.index.json"), filepath.Join(dir, "\u202epart")}
	err := errors.Join(os.WriteFile(paths[0], []byte(`{"weight_map":{"a":"\u202epart"}}`), 0o666), os.WriteFile(paths[1], part.Bytes(), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	src, err := OpenFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if got := Files(src); !slices.Equal(got, paths) {
		t.Errorf("got %q, want %q", got, paths)
	}
	if got, want := src.String(), file.Quote(paths[0]); got != want {
		t.Errorf("it is called %q, want %q", got, want)
	}
}

// The headers of all files of a checkpoint have a common bound.
func TestManyLargeHeaders(t *testing.T) {
	dir := t.TempDir()
	const files = 3*maxShardText/maxHeader/2 + 1
	head := make([]byte, maxHeader*2/3)
	index := `{"weight_map":{`
	text := `{`
	for i := range files {
		text += fmt.Sprintf(`"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`, i)
		index += fmt.Sprintf(`"t%d":"f%d",`, i, i)
	}
	n := copy(head, text)
	for i := n; i < len(head); i++ {
		head[i] = ' '
	}
	copy(head[len(head)-20:], `"__metadata__":{}}`)
	data := append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)
	first := filepath.Join(dir, "f0")
	path := filepath.Join(dir, "m.index.json")
	err := errors.Join(os.WriteFile(first, data, 0o666), os.WriteFile(path, []byte(strings.TrimSuffix(index, ",")+"}}"), 0o666))
	for i := 1; i < files; i++ {
		err = errors.Join(err, os.Link(first, filepath.Join(dir, fmt.Sprintf("f%d", i))))
	}
	if err != nil {
		t.Fatal(err)
	}
	src, err := OpenFile(path)
	if err == nil {
		src.Close()
		t.Fatal("it is taken")
	}
	asmtest.Harmless(t, err, "describe their tensors in more than")
}
