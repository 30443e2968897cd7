package rt

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// A sequence whose outputs are not finite fails alone, whatever its place: the others have
// the bits that they have by themselves.
func TestNotFinite(t *testing.T) {
	m := tinyModel(t)
	f := m.Func("pair")
	s, alone := m.NewSession(), m.NewSession()
	defer s.Close()
	defer alone.Close()
	good := tinyBatch(true, 6, 1, 2, 6, 6)
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		for at := range good {
			batch := slices.Clone(good)
			batch[at].Image = slices.Clone(batch[at].Image)
			batch[at].Image[at] = bad
			r, err := s.Run(f, batch)
			var partial *BatchError
			if !errors.Is(err, ErrNotFinite) || !errors.As(err, &partial) || r == nil {
				t.Fatalf("%g in sequence %d: result %v, error %v", bad, at, r, err)
			}
			if len(partial.Errs) != len(batch) || len(partial.Unwrap()) != 1 || partial.Errs[at] == nil {
				t.Errorf("%g in sequence %d: %+v", bad, at, partial)
			}
			if text := err.Error(); !strings.Contains(text, "1 of 5 items") || !strings.Contains(text, "tiny: pair: output first") {
				t.Errorf("it says %s", text)
			}
			for i := range batch {
				for out := range f.Outputs {
					got := r.Out(out, i)
					if i == at {
						if got != nil {
							t.Errorf("a sequence that failed has output %d", out)
						}
						continue
					}
					one, err := alone.Run(f, batch[i:i+1])
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got, one.Out(out, 0)) {
						t.Errorf("%g in sequence %d changes output %d of sequence %d", bad, at, out, i)
					}
				}
			}
		}
	}
	// The session goes on, and forgets what failed.
	r, err := s.Run(f, good)
	if err != nil || r.Out(0, 3) == nil {
		t.Errorf("after failures: %v", err)
	}
}

// Damaged weights are noticed by what they make.
func TestDamagedWeights(t *testing.T) {
	for _, bad := range []uint32{0x7fc00000, 0xffffffff, 0x7f800000} {
		blob := tinyBlob(t)
		at := len(blob) - (4*tinyWeights - tinyFFN.Fc2.Bias)
		for i := range 4 {
			blob[at+i] = byte(bad >> (8 * i))
		}
		p := tinyPackage()
		p.Blob = string(blob)
		if _, err := p.New(WithVerify()); err == nil || !strings.Contains(err.Error(), "do not match their hash") {
			t.Errorf("%#x, verified: %v", bad, err)
		}
		m, err := p.New()
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.NewSession().Run(m.Func("pair"), tinyBatch(true, 1, 2))
		var all *BatchError
		if !errors.As(err, &all) || len(all.Unwrap()) != 2 || !errors.Is(err, ErrNotFinite) {
			t.Errorf("%#x: %v", bad, err)
		}
		m.Close()
	}
}

func BenchmarkFinite(b *testing.B) {
	x := make([]float32, 197*768)
	b.SetBytes(int64(4 * len(x)))
	for b.Loop() {
		if !exec.Finite(x) {
			b.Fatal("zeros are not finite")
		}
	}
}

// What a sequence is refused for names the sequence and the field; only what is too large is over a limit.
func TestInputError(t *testing.T) {
	m := tinyModel(t)
	s := m.NewSession()
	good := tinyBatch(true, 2)[0]
	long, short, outside := good, good, good
	long.IDs, short.Image, outside.IDs = make([]int32, m.Package().Text+1), nil, []int32{int32(m.Package().Vocab)}
	for _, c := range []struct {
		name  string
		seq   Seq
		field string
		limit bool
	}{{"a long text", long, "ids", true}, {"no image", short, "image", false}, {"an id outside", outside, "ids", false}} {
		_, err := s.Run(m.Func("pair"), []Seq{good, c.seq})
		var in *InputError
		if !errors.As(err, &in) || in.Index != 1 || in.Field != c.field || errors.Is(err, ErrLimit) != c.limit {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
	if _, err := s.Run(&exec.Func{}, nil); err == nil || errors.As(err, new(*InputError)) {
		t.Errorf("another package's function: error %v", err)
	}
}
