package checkpoint

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
)

// maxDirectory bounds the zip directory, in which an entry of torch.save takes about 90 bytes.
const maxDirectory = 8 << 20

// torchStorage is the elements in one entry of the archive. Tensors can share storages.
type torchStorage struct {
	dtype DType
	size  int // bytes of an element
	key   string
	n     int           // elements
	root  *torchStorage // the storage that this is a view of, from element at; nil: it is not a view
	at    int

	// data checks the elements against the archive's checksum and returns a reader that has
	// them from byte offset on. It is nil before the storage is found in the file.
	data   func() (io.ReaderAt, error)
	offset int64
}

// torchTensor is a strided view of a storage, or a tensor of an unsupported kind.
type torchTensor struct {
	storage *torchStorage
	offset  int // elements
	shape   []int
	strides []int // elements
	problem string
}

type pytorch struct {
	index[*torchTensor]
	r     io.ReaderAt
	close func() error
	sets  []Set  // sets of weights in the file
	taken string // key of the set that was opened
	key   string // key of the wanted set; after opening, the prefix of its names in the dict
}

// PyTorch reads the index of a checkpoint of torch.save: the zip format of PyTorch 1.6 and
// later, even if it was packed again with compression, or the stream of pickles and storages of
// earlier versions, which has no checksums. It also reads a TorchScript archive of
// torch.jit.save, whose tensors are named by the paths of their attributes. Tensors are read
// from r on demand; Close does not close r. name is used in errors.
//
// The tensors are those of the dict under the first of the keys model, module and state_dict
// that exists, else of the outermost dict, of the dict under another usual key, or of the only
// dict with tensors. Classes in the file are never loaded, and nothing in it is executed.
func PyTorch(r io.ReaderAt, size int64, name string) (Source, error) {
	p, err := openPyTorch(r, size, name, "")
	if err != nil {
		return nil, err
	}
	return p, nil
}

// openPyTorch is like PyTorch, for the set of weights under a key; "" = the usual one.
func openPyTorch(r io.ReaderAt, size int64, name, key string) (*pytorch, error) {
	p := &pytorch{r: r, close: func() error { return nil }, key: key}
	p.name = name
	head := make([]byte, min(size, 64))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	open := p.open
	if legacyStart(head) > 0 {
		open = p.openLegacy
	}
	if err := open(size); err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	return p, nil
}

func (p *pytorch) Close() error { return p.close() }

// limitedReader fails after n bytes, which bounds the size of a zip directory.
type limitedReader struct {
	r io.ReaderAt
	n int64
}

var errDirectory = fmt.Errorf("the zip directory has more than %d bytes", maxDirectory)

func (l *limitedReader) ReadAt(b []byte, off int64) (int, error) {
	if l.n -= int64(len(b)); l.n < 0 {
		return 0, errDirectory
	}
	return l.r.ReadAt(b, off)
}

// torchZip is the archive's directory: the entries by name, without the folder that
// torch.save puts them in.
type torchZip struct {
	entries map[string]*zip.File
	size    int64
	placed  int64   // bytes in the file of the storages found so far
	text    int64   // bytes of the directory
	inflate *budget // budget of the compressed entries that are read
}

func openTorchZip(r io.ReaderAt, size int64) (*torchZip, error) {
	limited := &limitedReader{r, maxDirectory}
	zr, err := zip.NewReader(limited, size)
	if errors.Is(err, zip.ErrFormat) {
		return nil, errors.New("truncated or corrupt: the zip directory at its end is missing; copy or download the file again")
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("zip archive: %w", err)
	}
	z := &torchZip{entries: map[string]*zip.File{}, size: size, inflate: inflatedBudget(size), text: maxDirectory - limited.n}
	limited.n = math.MaxInt64 // entries are read through the same reader
	folder, found, inside := "", 0, ""
	for _, f := range zr.File {
		if slices.Contains([]string{".pth", ".pt", ".ckpt", ".bin", ".safetensors"}, strings.ToLower(path.Ext(f.Name))) && inside == "" {
			inside = f.Name
		}
		if dir, ok := strings.CutSuffix(f.Name, "data.pkl"); ok && (dir == "" || strings.IndexByte(dir, '/') == len(dir)-1) {
			folder, found = dir, found+1
		}
	}
	if found == 0 && inside != "" {
		return nil, fmt.Errorf("a zip archive that holds %s; unpack it and name that file", quote(inside))
	}
	if found != 1 {
		return nil, fmt.Errorf("a zip archive with %d data.pkl, want the one of torch.save; archives of other programs are not supported", found)
	}
	for _, f := range zr.File {
		if name, ok := strings.CutPrefix(f.Name, folder); ok {
			if z.entries[name] != nil {
				return nil, fmt.Errorf("zip archive: entry %s is there twice", quote(f.Name))
			}
			z.entries[name] = f
		}
	}
	return z, nil
}

// locate returns an entry and the offset of its bytes in the file. It takes the uncompressed
// size of a compressed entry from the budget.
func (z *torchZip) locate(name string) (f *zip.File, offset int64, err error) {
	f = z.entries[name]
	switch {
	case f == nil:
		return nil, 0, fmt.Errorf("zip archive: entry %s is missing", quote(name))
	case f.Flags&1 != 0:
		return nil, 0, fmt.Errorf("zip archive: entry %s is encrypted", quote(name))
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return nil, 0, fmt.Errorf("zip archive: entry %s is compressed by method %d; save it again with torch.save, which does not compress", quote(name), f.Method)
	case f.Method == zip.Store && f.CompressedSize64 != f.UncompressedSize64:
		return nil, 0, fmt.Errorf("zip archive: uncompressed entry %s has two different sizes, %d and %d", quote(name), f.CompressedSize64, f.UncompressedSize64)
	}
	if offset, err = f.DataOffset(); err != nil {
		return nil, 0, fmt.Errorf("zip archive: entry %s: %w", quote(name), err)
	}
	if offset < 0 || offset > z.size || f.CompressedSize64 > uint64(z.size-offset) {
		return nil, 0, fmt.Errorf("zip archive: entry %s of %d bytes ends outside the file", quote(name), f.CompressedSize64)
	}
	if f.Method == zip.Deflate {
		if f.UncompressedSize64 > math.MaxInt {
			return nil, 0, errBudget
		}
		if err := z.inflate.spend(int(f.UncompressedSize64)); err != nil {
			return nil, 0, fmt.Errorf("zip archive: compressed entry %s would have %d bytes: %w", quote(name), f.UncompressedSize64, err)
		}
	}
	return f, offset, nil
}

// inflated reads a compressed entry that locate returned. The archive's reader checks size and checksum.
func inflated(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("zip archive: entry %s: %w", quote(f.Name), err)
	}
	defer r.Close()
	b := make([]byte, f.UncompressedSize64)
	if _, err = io.ReadFull(r, b); err == nil {
		if _, err = io.ReadFull(r, make([]byte, 1)); err == io.EOF { // reading to the end compares the checksum
			return b, nil
		}
	}
	if err == nil {
		err = errors.New("it holds more than its directory says")
	}
	return nil, fmt.Errorf("zip archive: entry %s is corrupt: %w", quote(f.Name), err)
}

// small reads an entry of at most limit bytes.
func (z *torchZip) small(r io.ReaderAt, name string, limit int) ([]byte, error) {
	f, offset, err := z.locate(name)
	if err != nil {
		return nil, err
	}
	if f.UncompressedSize64 > uint64(limit) {
		return nil, fmt.Errorf("zip archive: entry %s has %d bytes, at most %d are supported", quote(name), f.UncompressedSize64, limit)
	}
	if f.Method == zip.Deflate {
		return inflated(f)
	}
	b := make([]byte, f.UncompressedSize64)
	if n, err := r.ReadAt(b, offset); n < len(b) {
		return nil, fmt.Errorf("zip archive: entry %s: %w", quote(name), err)
	}
	if sum := crc32.ChecksumIEEE(b); f.CRC32 != 0 && sum != f.CRC32 {
		return nil, fmt.Errorf("zip archive: entry %s is corrupt: CRC-32 is %08x, want %08x", quote(name), sum, f.CRC32)
	}
	return b, nil
}

func (p *pytorch) open(size int64) error {
	z, err := openTorchZip(p.r, size)
	if err != nil {
		return err
	}
	if z.entries["byteorder"] != nil {
		order, err := z.small(p.r, "byteorder", 64)
		if err != nil {
			return err
		}
		if string(order) != "little" {
			return fmt.Errorf("its byte order is %s, only little is supported; save it again on a little-endian machine", quote(order))
		}
	}
	data, err := z.small(p.r, "data.pkl", maxPickle)
	if err != nil {
		return err
	}
	p.text = z.text + int64(len(data))
	loader := newLoader(len(data), size)
	top, err := loader.unpickler(data).run()
	if err != nil {
		return err
	}
	if m, ok := top.(*pyModule); ok {
		if top, err = m.stateDict(loader.budget); err != nil {
			return err
		}
	}
	return p.list(top, loader.budget, func(s *torchStorage) error { return p.place(z, s) })
}

// costListed is the cost of a tensor in a source's list, without its name, and of looking up its storage.
const costListed = 200

// list adds the tensors of the state dict in the value of the pickle. place finds a storage
// in the file.
func (p *pytorch) list(top any, b *budget, place func(*torchStorage) error) error {
	dict, rest, err := p.stateDict(top, p.key, b)
	if err != nil {
		return err
	}
	p.key = rest
	if err := b.spend(costValue * len(dict.keys)); err != nil {
		return err
	}
	for _, key := range dict.keys {
		var t *torchTensor
		switch v := dict.vals[key].(type) {
		case *torchTensor:
			t = v
		case *pyObject:
			if !strings.HasPrefix(v.class.module, "torch.") {
				continue
			}
			t = &torchTensor{problem: "it is an " + kindOf(v) + ", which is not supported"}
			if err := b.spend(len(t.problem)); err != nil {
				return err
			}
		default:
			continue
		}
		if len(key) > maxName {
			return fmt.Errorf("a name has %d bytes, at most %d are supported", len(key), maxName)
		}
		if err := b.spend(costListed); err != nil {
			return err
		}
		info := Info{Name: key, DType: "?", Shape: t.shape, Problem: t.problem}
		if t.storage != nil {
			info.DType = t.storage.dtype
			if err := place(t.storage); err != nil {
				return fmt.Errorf("tensor %s: %w", quote(key), err)
			}
		}
		if err := p.add(info, t); err != nil {
			return err
		}
	}
	p.sort()
	return nil
}

// place finds the zip entry of a storage and sets how its bytes are read. It does nothing for a storage that is found
// already, or whose element type cannot be read.
func (p *pytorch) place(z *torchZip, s *torchStorage) error {
	if s.data != nil || s.size == 0 {
		return nil
	}
	f, offset, err := z.locate("data/" + s.key)
	if err != nil {
		return err
	}
	if uint64(s.n) > f.UncompressedSize64/uint64(s.size) {
		return fmt.Errorf("storage %s of %d %s needs %d bytes, its entry has %d", quote(s.key), s.n, s.dtype, s.n*s.size, f.UncompressedSize64)
	}
	// Reading a tensor checks the sum of its storage, so overlapping storages would multiply the work.
	if z.placed += int64(f.CompressedSize64); z.placed > z.size {
		return fmt.Errorf("zip archive: its storages have more bytes than the file of %d; they overlap", z.size)
	}
	if f.Method == zip.Deflate {
		s.data = sync.OnceValues(func() (io.ReaderAt, error) {
			b, err := inflated(f)
			return bytes.NewReader(b), err
		})
		return nil
	}
	s.offset = offset
	s.data = sync.OnceValues(func() (io.ReaderAt, error) {
		sum := crc32.NewIEEE()
		if _, err := io.Copy(sum, io.NewSectionReader(p.r, offset, int64(f.UncompressedSize64))); err != nil {
			return nil, err
		}
		if f.CRC32 != 0 && sum.Sum32() != f.CRC32 { // 0: written with checksums off
			return nil, fmt.Errorf("corrupt: CRC-32 of storage %s is %08x, want %08x", quote(s.key), sum.Sum32(), f.CRC32)
		}
		return p.r, nil
	})
	return nil
}

// usualKeys are the usual keys of state dicts, those of the reference implementations first; "" is the outermost dict.
var usualKeys = []string{"model", "module", "state_dict", "", "model_state_dict", "model_state", "net", "network", "weights", "params"}

// stateDict finds the dict of tensors in the value of the pickle: under the key, or, if that is "", under a usual key. If the
// dict has only the beginning of the key, rest is the remaining part, a prefix of names in the dict.
func (p *pytorch) stateDict(top any, key string, b *budget) (d *pyDict, rest string, err error) {
	outer, ok := top.(*pyDict)
	if !ok {
		return nil, "", fmt.Errorf("holds %s, want a dict of tensors; save it with torch.save(model.state_dict(), path)", kindOf(top))
	}
	found := map[string]*pyDict{}
	if err := outer.sets("", 0, found, b); err != nil {
		return nil, "", err
	}
	for k, d := range found {
		p.sets = append(p.sets, Set{k, d.tensors()})
	}
	slices.SortFunc(p.sets, func(a, b Set) int { return cmp.Compare(a.Key, b.Key) })
	p.sets = largest(p.sets)
	if len(p.sets) == 0 {
		var list []string
		for _, k := range outer.keys[:min(len(outer.keys), 8)] {
			list = append(list, quote(k)+": "+kindOf(outer.vals[k]))
		}
		advice := ""
		if outer.arrays() || slices.ContainsFunc(outer.keys, func(k string) bool { in, ok := outer.vals[k].(*pyDict); return ok && in.arrays() }) {
			advice = "; NumPy arrays are no tensors: turn them into such with torch.as_tensor and save again"
		}
		return nil, "", fmt.Errorf("no dict of tensors, neither under a key such as model, module or state_dict nor at the top; found {%s}%s", strings.Join(list, ", "), advice)
	}
	for k := key; k != ""; { // find the longest beginning of the key that names a dict
		if d := found[k]; d != nil {
			p.taken = k
			return d, strings.TrimPrefix(key[len(k):], "."), nil
		}
		k = k[:max(0, strings.LastIndexByte(k, '.'))]
	}
	for _, k := range usualKeys {
		if found[k] != nil {
			p.taken = k
			return found[k], key, nil
		}
	}
	if len(p.sets) == 1 {
		p.taken = p.sets[0].Key
		return found[p.taken], key, nil
	}
	if key != "" {
		return nil, "", fmt.Errorf("no weights under the key %s; there are %s", quote(key), setList(p.sets))
	}
	return nil, "", fmt.Errorf("several sets of weights and none under a usual key: %s; %s", setList(p.sets), p.sets[0].take())
}

// sets finds the dicts with tensors in d, whose path is given. A dict may be in others many times, and in itself.
func (d *pyDict) sets(path string, depth int, found map[string]*pyDict, b *budget) error {
	const most = 4 // depth of nested dicts
	if len(path) > maxName || depth > most {
		return nil
	}
	if err := b.spend(2*len(d.keys) + len(path)); err != nil {
		return err
	}
	if d.tensors() > 0 {
		if err := b.spend(costKey); err != nil {
			return err
		}
		found[path] = d
	}
	for _, k := range d.keys {
		if in, ok := d.vals[k].(*pyDict); ok {
			if err := in.sets(joinKey(path, k), depth+1, found, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// arrays reports whether d has NumPy arrays.
func (d *pyDict) arrays() bool {
	for _, v := range d.vals {
		if o, ok := v.(*pyObject); ok && o.numpy() {
			return true
		}
	}
	return false
}

func (d *pyDict) tensors() int {
	n := 0
	for _, v := range d.vals {
		if _, ok := v.(*torchTensor); ok {
			n++
		}
	}
	return n
}

// torchLoader interprets the few classes of a checkpoint that hold tensors.
type torchLoader struct {
	budget   *budget
	storages map[string]*torchStorage
}

// newLoader returns the loader of pickles of n bytes in a file of the given size.
func newLoader(n int, size int64) *torchLoader {
	return &torchLoader{pickleBudget(n, size), map[string]*torchStorage{}}
}

// unpickler returns a machine that unpickles data with the loader.
func (l *torchLoader) unpickler(data []byte) *unpickler {
	return &unpickler{data: data, budget: l.budget, persistent: l.storage, reduce: l.reduce}
}

// torchTypes maps storage classes to element types. Types whose [DType.Size] is 0 are checked
// but cannot be read.
var torchTypes = map[string]struct {
	dtype DType
	size  int
}{
	"DoubleStorage": {F64, 8}, "FloatStorage": {F32, 4}, "HalfStorage": {F16, 2}, "BFloat16Storage": {BF16, 2},
	"LongStorage": {I64, 8}, "IntStorage": {I32, 4}, "ByteStorage": {U8, 1}, "BoolStorage": {Bool, 1},
	"ShortStorage": {"i16", 2}, "CharStorage": {"i8", 1},
	"ComplexFloatStorage": {"c64", 8}, "ComplexDoubleStorage": {"c128", 16},
}

// costStorage is the cost of a storage, or of a view of one.
const costStorage = 256

// storage reads ("storage", class, key, device, elements).
func (l *torchLoader) storage(id any) (any, error) {
	t, ok := id.(pyTuple)
	if ok && len(t) > 1 && t[0] == any("module") { // a class with its source text, in legacy files
		return t[1], nil
	}
	if !ok || len(t) < 5 || t[0] != any("storage") {
		return nil, errors.New("an external reference is not a storage")
	}
	class, ok1 := t[1].(pyGlobal)
	key, ok2 := t[2].(string)
	n, ok3 := t[4].(int64)
	if !ok1 || !ok2 || !ok3 || n < 0 || n > math.MaxInt/16 {
		return nil, errors.New("a storage is not described by class, key, device and size")
	}
	if !typeName(class.name) {
		return nil, fmt.Errorf("got a storage of class %v, want a storage class of torch", class)
	}
	if err := l.budget.spend(costStorage + len(key)); err != nil {
		return nil, err
	}
	s := &torchStorage{dtype: DType(class.name), key: key, n: int(n)}
	if known, ok := torchTypes[class.name]; ok && (class.module == "torch" || class.module == "torch.cuda") {
		s.dtype, s.size = known.dtype, known.size
	}
	if old := l.storages[key]; old != nil {
		if old.dtype != s.dtype || old.n != s.n {
			return nil, fmt.Errorf("storage %s is %d %s and also %d %s", quote(key), old.n, old.dtype, s.n, s.dtype)
		}
		s = old
	}
	l.storages[key] = s
	if len(t) > 5 && t[5] != nil {
		return s.view(t[5], l.budget)
	}
	return s, nil
}

// view reads (key, offset, elements): in legacy files, a storage that is a part of another.
func (s *torchStorage) view(meta any, b *budget) (any, error) {
	t, ok := meta.(pyTuple)
	if !ok || len(t) != 3 {
		return nil, errors.New("a storage's view is not described by key, offset and size")
	}
	at, ok1 := t[1].(int64)
	n, ok2 := t[2].(int64)
	if !ok1 || !ok2 || at < 0 || n < 0 || at > int64(s.n) || n > int64(s.n)-at {
		return nil, fmt.Errorf("a view of %s elements from %s lies outside the storage of %d", numberOr(t[2]), numberOr(t[1]), s.n)
	}
	if err := b.spend(costStorage); err != nil {
		return nil, err
	}
	v := *s
	v.n, v.root, v.at = int(n), s, int(at)
	return &v, nil
}

// reduce returns the result of calling f in a pickle. Calls of an allow-list of functions are interpreted, never executed;
// the result of any other is a placeholder.
func (l *torchLoader) reduce(f pyGlobal, args pyTuple) (any, error) {
	if f.isModule() {
		return &pyModule{}, l.budget.spend(costValue)
	}
	switch f.path() {
	case "collections.OrderedDict", "builtins.dict", "__builtin__.dict", "collections.defaultdict":
		d := &pyDict{}
		for _, a := range args {
			list, ok := a.(*pyList)
			if !ok {
				continue
			}
			for _, item := range list.items {
				pair, _ := item.(pyTuple)
				if in, ok := item.(*pyList); ok {
					pair = in.items
				}
				err := l.budget.spend(1)
				if err == nil && len(pair) == 2 {
					err = d.set(l.budget, pair[0], pair[1])
				}
				if err != nil {
					return nil, err
				}
			}
		}
		return d, l.budget.spend(len(args))
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2":
		return l.rebuildTensor(args)
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter":
		if len(args) > 0 {
			if t, ok := args[0].(*torchTensor); ok {
				return t, nil
			}
		}
		return &pyObject{f}, nil
	case "torch._tensor._rebuild_from_type_v2": // function, class, its arguments, attributes
		if len(args) > 2 {
			g, ok1 := args[0].(pyGlobal)
			in, ok2 := args[2].(pyTuple)
			// A nested call is refused, since the file could nest calls to any depth.
			if ok1 && ok2 && g.path() != f.path() {
				return l.reduce(g, in)
			}
		}
	case "torch.Size":
		if len(args) == 1 {
			if t, ok := args[0].(pyTuple); ok {
				return t, nil
			}
		}
	}
	return &pyObject{f}, nil
}

// rebuildTensor reads (storage, offset, shape, strides, gradient, hooks, marks). Marks are for views with a pending negation
// or conjugation.
func (l *torchLoader) rebuildTensor(args pyTuple) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("has %d arguments, want at least 4", len(args))
	}
	s, ok := args[0].(*torchStorage)
	if !ok {
		return nil, fmt.Errorf("its first argument is a %s, want a storage", kindOf(args[0]))
	}
	offset, ok := args[1].(int64)
	if !ok || offset < 0 || offset > int64(s.n) {
		return nil, fmt.Errorf("offset %s lies outside the storage of %d elements", numberOr(args[1]), s.n)
	}
	t := &torchTensor{storage: s, offset: int(offset)}
	var err error
	if t.shape, err = intTuple(args[2]); err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	if t.strides, err = intTuple(args[3]); err != nil {
		return nil, fmt.Errorf("strides: %w", err)
	}
	if len(t.shape) != len(t.strides) {
		return nil, fmt.Errorf("%d sizes and %d strides", len(t.shape), len(t.strides))
	}
	n, err := elements(t.shape, s.size)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		// Check the offset of the last element, one axis at a time to avoid overflow.
		left := s.n - 1 - t.offset
		for i, d := range t.shape {
			if left < 0 || d > 1 && t.strides[i] > left/(d-1) {
				return nil, fmt.Errorf("shape %s with strides %s from element %d lies outside the storage of %d elements",
					shapeString(t.shape), shapeString(t.strides), t.offset, s.n)
			}
			left -= (d - 1) * t.strides[i]
		}
		if left < 0 {
			return nil, fmt.Errorf("offset %d lies outside the storage of %d elements", t.offset, s.n)
		}
	}
	switch {
	case s.dtype.Size() == 0:
		t.problem = fmt.Sprintf("its type %s is not supported; want %s", s.dtype, readableType)
	case len(args) > 6 && args[6] != nil:
		t.problem = "it is a view that is still to be negated or conjugated; save what its resolve_neg() and resolve_conj() return"
	case n > s.n:
		t.problem = fmt.Sprintf("it repeats the elements of its storage (an expanded tensor: %s over %d elements)", shapeString(t.shape), s.n)
	}
	return t, l.budget.spend(costTensor + 16*len(t.shape) + len(t.problem))
}

// costTensor is the cost of a tensor besides its shape and strides.
const costTensor = 128

func intTuple(v any) ([]int, error) {
	t, ok := v.(pyTuple)
	if !ok || len(t) > maxRank {
		return nil, fmt.Errorf("found a %s, want a tuple of at most %d integers", kindOf(v), maxRank)
	}
	out := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || n < 0 || n > math.MaxInt/16 {
			return nil, fmt.Errorf("found %s, want an integer of at least 0", numberOr(x))
		}
		out[i] = int(n)
	}
	return out, nil
}

// contiguous reports whether the elements lie in row-major order, one after
// the other.
func (t *torchTensor) contiguous() bool {
	want := 1
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.strides[i] != want {
			return false
		}
		want *= t.shape[i]
	}
	return true
}

func (p *pytorch) Read(name string, at int, dst []byte) error {
	_, t, err := p.at(name, at, dst)
	if err != nil || len(dst) == 0 {
		return err
	}
	s := t.storage
	r, err := s.data()
	if err != nil {
		return fmt.Errorf("%s: tensor %s: %w", p, quote(name), err)
	}
	if t.contiguous() {
		return readFull(r, dst, s.offset+int64(t.offset+at)*int64(s.size), p.String(), name)
	}
	// The elements are not contiguous: read the whole span of the tensor, which is at most the file, and pick them. But
	// do not if the span is far larger than the tensor, since one storage may have many such tensors.
	base := s.offset + int64(t.offset)*int64(s.size)
	last := 0
	for i, d := range t.shape {
		last += (d - 1) * t.strides[i]
	}
	if (last+1)*s.size/maxSpread > len(dst) {
		return gather(dst, t, at, func(dst []byte, pos int) error {
			return readFull(r, dst, base+int64(pos)*int64(s.size), p.String(), name)
		})
	}
	span := make([]byte, (last+1)*s.size)
	if err := readFull(r, span, base, p.String(), name); err != nil {
		return err
	}
	return gather(dst, t, at, func(dst []byte, pos int) error {
		copy(dst, span[pos*s.size:])
		return nil
	})
}

// maxSpread is the largest ratio of a tensor's span in its storage to the bytes that are read from the tensor at which the
// whole span is read at once.
const maxSpread = 256

// gather fills dst with elements of t in row-major order, starting at element number at. read reads the element at a position
// of the tensor's span: the part of its storage from its first to its last element.
func gather(dst []byte, t *torchTensor, at int, read func(dst []byte, pos int) error) error {
	size, rank := t.storage.size, len(t.shape)
	idx, pos := make([]int, rank), 0
	for i := rank - 1; i >= 0; i-- {
		idx[i] = at % t.shape[i]
		at /= t.shape[i]
		pos += idx[i] * t.strides[i]
	}
	for len(dst) > 0 {
		if err := read(dst[:size], pos); err != nil {
			return err
		}
		dst = dst[size:]
		for i := rank - 1; i >= 0; i-- {
			idx[i]++
			pos += t.strides[i]
			if idx[i] < t.shape[i] {
				break
			}
			pos -= idx[i] * t.strides[i]
			idx[i] = 0
		}
	}
	return nil
}
