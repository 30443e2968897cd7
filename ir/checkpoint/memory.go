package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/half"
)

// Tensor is a tensor in memory: Floats for the float types, Ints for the
// others, in row-major order.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int
	Floats []float32
	Ints   []int64
}

func (t Tensor) check() error {
	n, err := elements(t.Shape, t.DType.Size())
	if err != nil {
		return fmt.Errorf("tensor %s: %w", quote(t.Name), err)
	}
	have, other := len(t.Ints), len(t.Floats)
	if t.DType.Float() {
		have, other = other, have
	}
	if t.DType.Size() == 0 {
		return fmt.Errorf("tensor %s: type %s cannot be written", quote(t.Name), quote(t.DType))
	}
	if have != n || other != 0 {
		return fmt.Errorf("tensor %s is %s%s, which needs %d elements; it has %d floats and %d integers", quote(t.Name), t.DType, shapeString(t.Shape), n, len(t.Floats), len(t.Ints))
	}
	return nil
}

// put writes elements at to at+len(dst)/size-1 in the form of a file, with floats rounded
// to the tensor's type.
func (t Tensor) put(dst []byte, at int) error {
	le, size := binary.LittleEndian, t.DType.Size()
	for i := range len(dst) / size {
		b, k, fits := dst[i*size:], at+i, true
		switch t.DType {
		case F64:
			le.PutUint64(b, math.Float64bits(float64(t.Floats[k])))
		case F32:
			le.PutUint32(b, math.Float32bits(t.Floats[k]))
		case F16:
			h := half.To(t.Floats[k])
			fits = h&0x7fff != 0x7c00 || math.IsInf(float64(t.Floats[k]), 0)
			le.PutUint16(b, h)
		case BF16:
			h := ir.ToBF16(t.Floats[k])
			fits = h&0x7fff != 0x7f80 || math.IsInf(float64(t.Floats[k]), 0)
			le.PutUint16(b, h)
		case I64:
			le.PutUint64(b, uint64(t.Ints[k]))
		case I32:
			fits = t.Ints[k] == int64(int32(t.Ints[k]))
			le.PutUint32(b, uint32(t.Ints[k]))
		case U8:
			fits = t.Ints[k] == int64(uint8(t.Ints[k]))
			b[0] = byte(t.Ints[k])
		case Bool:
			fits = t.Ints[k]&^1 == 0
			b[0] = byte(t.Ints[k])
		}
		if !fits {
			var v any
			if t.DType.Float() {
				v = t.Floats[k]
			} else {
				v = t.Ints[k]
			}
			return fmt.Errorf("tensor %s: element %s is %v, which does not fit %s", quote(t.Name), indexString(t.Shape, k), v, t.DType)
		}
	}
	return nil
}

type memory struct{ index[Tensor] }

// Memory returns a source of tensors in memory, with the values that a file of their types
// would hold. name is used in errors. The tensors must not be modified.
func Memory(name string, tensors []Tensor) (Source, error) {
	m := &memory{}
	m.name = name
	for _, t := range tensors {
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := m.add(Info{Name: t.Name, DType: t.DType, Shape: t.Shape}, t); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	m.sort()
	return m, nil
}

func (m *memory) Close() error { return nil }

func (m *memory) Read(name string, at int, dst []byte) error {
	_, t, err := m.at(name, at, dst)
	if err != nil {
		return err
	}
	if err := t.put(dst, at); err != nil {
		return fmt.Errorf("%s: %w", m, err)
	}
	return nil
}

type rounded struct {
	Source
	to    DType
	infos []Info
}

// Rounded returns src with its f32 tensors rounded to f16 or bf16, ties to even, as a file of
// that type would hold them. Closing it closes src.
func Rounded(src Source, to DType) (Source, error) {
	if to == F32 {
		return src, nil
	}
	if !to.Float() {
		return nil, fmt.Errorf("%s: cannot round weights to %s; want f32, f16 or bf16", src, quote(to))
	}
	r := &rounded{Source: src, to: to, infos: append([]Info(nil), src.Tensors()...)}
	for i := range r.infos {
		if r.infos[i].DType == F32 {
			r.infos[i].DType = to
		}
	}
	return r, nil
}

func (r *rounded) String() string  { return r.Source.String() + " as " + string(r.to) }
func (r *rounded) Tensors() []Info { return r.infos }

func (r *rounded) Read(name string, at int, dst []byte) error {
	if t, ok := Find(r.Source, name); !ok || t.DType != F32 {
		return r.Source.Read(name, at, dst)
	}
	n := len(dst) / 2
	f := make([]float32, n)
	if err := r.Source.Read(name, at, floatBytes(f)); err != nil {
		return err
	}
	fromLittleEndian(f)
	if err := (Tensor{Name: name, DType: r.to, Shape: []int{n}, Floats: f}).put(dst, 0); err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	return nil
}
