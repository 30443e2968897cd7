package golden_test

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/beit3tiny"
)

// FuzzWeights opens and runs a compiled model on a weight file in which numbers are
// overwritten: data is pairs of a place and what is written there, four bytes each. The file
// is refused, or what comes out is finite, or it is said not to be. Nothing is read or
// written out of place, and no call lasts.
func FuzzWeights(f *testing.F) {
	patch := func(pairs ...uint32) (b []byte) {
		for _, x := range pairs {
			b = binary.LittleEndian.AppendUint32(b, x)
		}
		return b
	}
	f.Add(patch())
	f.Add(patch(4096, math.Float32bits(float32(math.NaN()))))
	f.Add(patch(8192, math.Float32bits(math.MaxFloat32), 9000, math.Float32bits(float32(math.Inf(-1)))))
	f.Add(patch(16384, 1, 20480, 0x80000000, 30000, math.Float32bits(-3e38)))
	f.Add(patch(8, 2))
	f.Add(patch(12, math.MaxUint32))
	f.Add(patch(96, 7))
	whole := []byte(beit3tiny.Package().Blob)
	f.Fuzz(func(t *testing.T, data []byte) {
		blob := slices.Clone(whole)
		for ; len(data) >= 8; data = data[8:] {
			at := int(binary.LittleEndian.Uint32(data)) % (len(blob) - 3)
			copy(blob[at:], data[4:8])
		}
		p := *beit3tiny.Package()
		p.Blob = string(blob)
		m, err := p.New(rt.WithThreads(2))
		if err != nil {
			return
		}
		defer m.Close()
		s := m.NewSession()
		defer s.Close()
		for _, fn := range p.Funcs {
			text := 0
			if fn.Text {
				text = p.Text
			}
			batch := []rt.Seq{task.Sample(fn.Name, fn.Image, text, p.Vocab), task.Sample("other", fn.Image, min(text, 2), p.Vocab)}
			r, err := s.Run(fn, batch)
			if err != nil && !errors.Is(err, rt.ErrNotFinite) {
				t.Fatalf("%s: %v", fn.Name, err)
			}
			for i := range batch {
				for out := range fn.Outputs {
					for _, x := range r.Out(out, i) {
						if x-x != 0 {
							t.Fatalf("%s gives %g and does not say so", fn.Name, x)
						}
					}
				}
			}
		}
	})
}
