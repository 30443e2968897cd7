package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"sort"
	"strings"
	"unsafe"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/half"
)

// DType is the name of a tensor's element type: "f32", "bf16", "i64". A type that the package
// does not know has the name from its file.
type DType string

// The element types that can be read.
const (
	F64  DType = "f64"
	F32  DType = "f32"
	F16  DType = "f16"
	BF16 DType = "bf16"
	I64  DType = "i64"
	I32  DType = "i32"
	U8   DType = "u8"
	Bool DType = "bool" // one byte per element, 0 or 1
)

// Size is the number of bytes of an element, or 0 for a type that cannot be
// read.
func (d DType) Size() int {
	switch d {
	case F64, I64:
		return 8
	case F32, I32:
		return 4
	case F16, BF16:
		return 2
	case U8, Bool:
		return 1
	}
	return 0
}

// typeName reports whether s is acceptable as the name of an element type in a file.
func typeName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// Float reports whether elements are floating-point numbers that can be read.
func (d DType) Float() bool { return d == F64 || d == F32 || d == F16 || d == BF16 }

// The readable types, for errors.
const (
	floatTypes   = "f64, f32, f16 or bf16"
	readableType = "f64, f32, f16, bf16, i64, i32, u8 or bool"
)

// Info describes a tensor of a [Source].
type Info struct {
	Name  string
	DType DType
	Shape []int // outermost axis first; empty for a 0-dim tensor

	// Problem is the reason why the tensor cannot be read, or "". The tensor is listed, so
	// that errors can name it, and other tensors can be read.
	Problem string
}

// Len is the number of elements. It fits an int for every tensor of a source.
func (t Info) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Bytes is the size of the elements as stored, 0 for an unknown type.
func (t Info) Bytes() int64 { return int64(t.Len()) * int64(t.DType.Size()) }

// String is the tensor's type: "f32[768,3,16,16]".
func (t Info) String() string { return string(t.DType) + shapeString(t.Shape) }

func shapeString(shape []int) string {
	s := make([]string, len(shape))
	for i, d := range shape {
		s[i] = fmt.Sprint(d)
	}
	return "[" + strings.Join(s, ",") + "]"
}

// Source is a set of named tensors that are read on demand. All methods but Close are safe
// for concurrent use.
type Source interface {
	// String names the source in errors: a path, or "splitmix64-v1 seed 7".
	String() string

	// Tensors lists the tensors sorted by name, each name once. The slice belongs to the
	// source: do not modify it.
	Tensors() []Info

	// Read fills dst with elements of a tensor as stored, little-endian and in row-major
	// order, starting at element at. len(dst) must be a multiple of the element size, and
	// the elements must exist. Most callers use [Load].
	Read(name string, at int, dst []byte) error

	// Close releases the file. Nothing can be read afterwards.
	Close() error
}

// Find looks up a tensor by name.
func Find(src Source, name string) (Info, bool) {
	ts := src.Tensors()
	i := sort.Search(len(ts), func(i int) bool { return ts[i].Name >= name })
	if i < len(ts) && ts[i].Name == name {
		return ts[i], true
	}
	return Info{}, false
}

// Load reads a whole tensor as float32 in row-major order. f16 and bf16 are converted exactly,
// f64 is rounded to the nearest, ties to even, integers must be exact in float32, and NaN or an
// infinity is an error. The caller owns the result. Load needs 4 bytes per element and, unless
// the tensor is stored as f32, its stored size meanwhile.
func Load(src Source, name string) ([]float32, error) {
	return loadName(src, name, 0, -1, true)
}

// LoadRows is like [Load], for rows row to row+rows-1 of the first axis.
func LoadRows(src Source, name string, row, rows int) ([]float32, error) {
	if row < 0 || rows < 0 {
		return nil, fmt.Errorf("%s: tensor %s: cannot read %d rows from row %d", src, quote(name), rows, row)
	}
	return loadName(src, name, row, rows, true)
}

// LoadAny is like [Load], for tensors that may have NaN and infinities.
func LoadAny(src Source, name string) ([]float32, error) {
	return loadName(src, name, 0, -1, false)
}

// LoadInts reads a whole integer or bool tensor. The caller owns the result.
func LoadInts(src Source, name string) ([]int64, error) {
	t, err := readable(src, name)
	if err != nil {
		return nil, err
	}
	if t.DType.Float() {
		return nil, fmt.Errorf("%s: tensor %s is %v, want integers", src, quote(name), t)
	}
	raw := make([]byte, t.Bytes())
	if err := src.Read(name, 0, raw); err != nil {
		return nil, err
	}
	out := make([]int64, t.Len())
	for i := range out {
		out[i] = intAt(t.DType, raw, i)
	}
	return out, nil
}

func readable(src Source, name string) (Info, error) {
	t, ok := Find(src, name)
	if !ok {
		near := ""
		if n := nearest(name, src.Tensors(), 3); len(n) > 0 {
			near = "; nearest is " + quoted(n)
		}
		return t, fmt.Errorf("%s: tensor %s is missing%s", src, quote(name), near)
	}
	if t.Problem != "" {
		return t, fmt.Errorf("%s: tensor %s cannot be read: %s", src, quote(name), t.Problem)
	}
	if t.DType.Size() == 0 {
		return t, fmt.Errorf("%s: tensor %s cannot be read: its type is %s, want %s", src, quote(name), t.DType, readableType)
	}
	return t, nil
}

// loadName reads rows of the first axis; rows < 0 means all of the tensor.
func loadName(src Source, name string, row, rows int, finite bool) ([]float32, error) {
	t, err := readable(src, name)
	if err != nil {
		return nil, err
	}
	at, n := 0, t.Len()
	if rows >= 0 {
		if len(t.Shape) == 0 || row > t.Shape[0] || rows > t.Shape[0]-row {
			return nil, fmt.Errorf("%s: tensor %s is %v, which has no %d rows from row %d", src, quote(name), t, rows, row)
		}
		width := Info{Shape: t.Shape[1:]}.Len()
		at, n = row*width, rows*width
	}
	out := make([]float32, n)
	if t.DType == F32 {
		if err := src.Read(name, at, floatBytes(out)); err != nil {
			return nil, err
		}
		fromLittleEndian(out)
	} else {
		raw := make([]byte, n*t.DType.Size())
		if err := src.Read(name, at, raw); err != nil {
			return nil, err
		}
		if i, err := widen(out, t.DType, raw); err != nil {
			return nil, fmt.Errorf("%s: tensor %s: element %s: %w", src, quote(name), indexString(t.Shape, at+i), err)
		}
	}
	if finite {
		for i, v := range out {
			if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
				return nil, fmt.Errorf("%s: tensor %s: element %s is %v; want finite numbers", src, quote(name), indexString(t.Shape, at+i), v)
			}
		}
	}
	return out, nil
}

// widen converts stored elements to float32; on error it returns the index of the element.
func widen(out []float32, d DType, raw []byte) (int, error) {
	switch d {
	case F64:
		for i := range out {
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
		}
	case F16:
		for i := range out {
			out[i] = half.From(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	case BF16:
		for i := range out {
			out[i] = ir.FromBF16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	default:
		for i := range out {
			v := intAt(d, raw, i)
			if v > 1<<24 || v < -1<<24 {
				return i, fmt.Errorf("%d does not fit float32 exactly", v)
			}
			out[i] = float32(v)
		}
	}
	return 0, nil
}

func intAt(d DType, raw []byte, i int) int64 {
	switch d.Size() {
	case 8:
		return int64(binary.LittleEndian.Uint64(raw[8*i:]))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	return int64(raw[i])
}

// indexString returns a row-major position as "[3,17]".
func indexString(shape []int, at int) string {
	idx := make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] > 0 {
			idx[i] = at % shape[i]
			at /= shape[i]
		}
	}
	return shapeString(idx)
}

// floatBytes returns the memory of f as bytes, so that a read needs no second buffer.
func floatBytes(f []float32) []byte {
	if len(f) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&f[0])), 4*len(f))
}

// fromLittleEndian converts floats whose memory was filled with little-endian bytes to the
// machine's byte order.
func fromLittleEndian(f []float32) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return
	}
	b := floatBytes(f)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
}

// Bounds of the index of a file. The tensors themselves are bounded by the size of the file.
const (
	maxTensors = 1 << 17
	maxRank    = 32
	maxName    = 4096
)

// elements returns the product of a shape, or an error if its rank or axes are out of range or
// its elements of the given size cannot be addressed.
func elements(shape []int, size int) (int, error) {
	if len(shape) > maxRank {
		return 0, fmt.Errorf("it has %d axes, want at most %d", len(shape), maxRank)
	}
	zero := false
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %s has a negative size", shapeString(shape))
		}
		zero = zero || d == 0
	}
	if zero {
		return 0, nil
	}
	n, limit := 1, math.MaxInt/8/max(size, 1)
	for _, d := range shape {
		if d > limit/n {
			return 0, fmt.Errorf("shape %s is too large", shapeString(shape))
		}
		n *= d
	}
	return n, nil
}

// index is the common part of sources: the sorted list of tensors, with data of the source
// for each.
type index[T any] struct {
	name  string // a path, or another name of the source, not quoted
	infos []Info
	data  map[string]T
	text  int64 // bytes of the file that were read for the list
}

func (x *index[T]) textSize() int64 { return x.text }

func (x *index[T]) String() string  { return file.Quote(x.name) }
func (x *index[T]) Tensors() []Info { return x.infos }

// add adds a tensor to the list. The caller sorts the list at the end.
func (x *index[T]) add(t Info, data T) error {
	if _, dup := x.data[t.Name]; dup {
		return fmt.Errorf("tensor %s is there twice", quote(t.Name))
	}
	if len(x.infos) >= maxTensors {
		return fmt.Errorf("more than %d tensors", maxTensors)
	}
	if x.data == nil {
		x.data = map[string]T{}
	}
	x.data[t.Name] = data
	x.infos = append(x.infos, t)
	return nil
}

func (x *index[T]) sort() {
	sort.Slice(x.infos, func(i, j int) bool { return x.infos[i].Name < x.infos[j].Name })
}

// at checks a Read request and returns the tensor.
func (x *index[T]) at(name string, at int, dst []byte) (Info, T, error) {
	data, ok := x.data[name]
	if !ok {
		return Info{}, data, fmt.Errorf("%s: tensor %s is missing", x, quote(name))
	}
	i := sort.Search(len(x.infos), func(i int) bool { return x.infos[i].Name >= name })
	t := x.infos[i]
	size := t.DType.Size()
	if t.Problem != "" || size == 0 {
		return t, data, fmt.Errorf("%s: tensor %s cannot be read: %s %s", x, quote(name), t.DType, t.Problem)
	}
	if len(dst)%size != 0 || at < 0 || at > t.Len() || len(dst)/size > t.Len()-at {
		return t, data, fmt.Errorf("%s: tensor %s is %v, which has no %d bytes from element %d", x, quote(name), t, len(dst), at)
	}
	return t, data, nil
}
