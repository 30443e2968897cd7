package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// Generator is the name of the seeded generator in case files.
const Generator = "splitmix64-v1"

// maxSeeded bounds the elements of a generated tensor, whose size is not bounded by a file. It
// is four times the token table of the largest model.
const maxSeeded = 1 << 28

// fnv1a64 hashes a tensor's name.
func fnv1a64(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// stream is the sequence of random 64-bit numbers of a tensor.
type stream uint64

func newStream(seed uint64, name string) stream { return stream(mix64(fnv1a64(name) ^ mix64(seed))) }

func (s stream) at(i int) uint64 { return mix64(uint64(s) + uint64(i+1)*0x9e3779b97f4a7c15) }

func (s stream) float(i int, offset, scale float32) float32 {
	v := (float64(s.at(i)>>40) - (1 << 23)) / (1 << 23)
	// scale*v has at most 48 significant bits, so it is exact, and fusing it with the addition
	// changes nothing.
	return float32(float64(offset) + float64(float64(scale)*v))
}

// SeededFloats fills dst with elements at, at+1, ... of the tensor that splitmix64-v1 generates
// for a seed and name: uniform in [offset-scale, offset+scale).
func SeededFloats(dst []float32, seed uint64, name string, at int, offset, scale float32) {
	s := newStream(seed, name)
	for i := range dst {
		dst[i] = s.float(at+i, offset, scale)
	}
}

// SeededInts fills dst with integers in [lo, hi), lo < hi.
func SeededInts(dst []int64, seed uint64, name string, at int, lo, hi int64) {
	s := newStream(seed, name)
	for i := range dst {
		dst[i] = lo + int64(s.at(at+i)>>11%uint64(hi-lo))
	}
}

// SeededRule returns the generator's offset and scale for a weight, by its key and rank: gains
// are around 1, biases and tables around 0, and matrices keep the variance of their input.
func SeededRule(name string, shape []int) (offset, scale float32) {
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case len(shape) == 0:
		return 2.5, 0.25
	case len(shape) == 1 && last == "weight":
		return 1, 0.25
	case len(shape) == 1 && strings.HasPrefix(last, "gamma_"):
		return 0.5, 0.25
	case len(shape) == 1:
		return 0, 0.1
	case len(shape) == 3:
		return 0, 0.5
	case len(shape) == 4:
		return 0, float32(math.Sqrt(3 / float64(shape[1]*shape[2]*shape[3])))
	case strings.Contains(name, "embed") || strings.Contains(name, "relative_position_bias_table"):
		return 0, 0.5
	}
	gain := 1.0
	if strings.Contains(name, ".q_proj.") || strings.Contains(name, ".k_proj.") {
		gain = 1.5
	}
	return 0, float32(float64(gain * math.Sqrt(3/float64(shape[1]))))
}

// SeededTensor is a tensor of the generator.
type SeededTensor struct {
	Name          string
	Shape         []int
	Count         bool    // int64 elements 0, 1, 2, ... instead of floats
	Offset, Scale float32 // see [SeededFloats]

	// SHA256, if not "", is the hex digest of the little-endian elements.
	// It is checked whenever the whole tensor is read at once.
	SHA256 string
}

// NewSeededTensor returns a tensor with the offset and scale of [SeededRule]. Tensors whose key
// ends in position_ids count 0, 1, 2, ...
func NewSeededTensor(name string, shape []int) SeededTensor {
	t := SeededTensor{Name: name, Shape: shape}
	if t.Count = strings.HasSuffix(name, "position_ids"); !t.Count {
		t.Offset, t.Scale = SeededRule(name, shape)
	}
	return t
}

type seeded struct {
	index[SeededTensor]
	seed uint64
}

// Seeded returns a source whose tensors splitmix64-v1 generates when they are read. A tensor
// has at most 2^28 elements.
func Seeded(seed uint64, tensors []SeededTensor) (Source, error) {
	s := &seeded{seed: seed}
	s.name = fmt.Sprintf("%s seed %d", Generator, seed)
	for _, t := range tensors {
		n, err := elements(t.Shape, 8)
		if err == nil && n > maxSeeded {
			err = fmt.Errorf("shape %s has %d elements, at most %d are generated", shapeString(t.Shape), n, maxSeeded)
		}
		if err == nil && (math.IsNaN(float64(t.Offset+t.Scale)) || math.IsInf(float64(t.Offset), 0) || math.IsInf(float64(t.Scale), 0)) {
			err = fmt.Errorf("offset %v and scale %v must be finite", t.Offset, t.Scale)
		}
		if d, e := hex.DecodeString(t.SHA256); err == nil && (e != nil || len(d) != 0 && len(d) != sha256.Size) {
			err = fmt.Errorf("%s is not a SHA-256", quote(t.SHA256))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: tensor %s: %w", s, quote(t.Name), err)
		}
		d := F32
		if t.Count {
			d = I64
		}
		if err := s.add(Info{Name: t.Name, DType: d, Shape: t.Shape}, t); err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
	}
	s.sort()
	return s, nil
}

func (s *seeded) Close() error { return nil }

func (s *seeded) Read(name string, at int, dst []byte) error {
	info, t, err := s.at(name, at, dst)
	if err != nil {
		return err
	}
	if t.Count {
		for i := range len(dst) / 8 {
			binary.LittleEndian.PutUint64(dst[8*i:], uint64(at+i))
		}
	} else {
		z := newStream(s.seed, name)
		for i := range len(dst) / 4 {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(z.float(at+i, t.Offset, t.Scale)))
		}
	}
	if t.SHA256 != "" && int64(len(dst)) == info.Bytes() {
		if sum := sha256.Sum256(dst); hex.EncodeToString(sum[:]) != strings.ToLower(t.SHA256) {
			return fmt.Errorf("%s: tensor %s: SHA-256 is %x, want %s: the case was made with other offset, scale or shape", s, quote(name), sum, t.SHA256)
		}
	}
	return nil
}
