//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package rt_test

import (
	"errors"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// A weight file that is cut off while it is open ends calls in an error, at every level, in
// the caller and in its helpers, in assembly and in Go; other models go on.
func TestWeightsCutOff(t *testing.T) {
	l := &layers{d: 256, heads: 4, hidden: 1024, count: 1, fixed: 40, text: 9, rows: 80}
	for _, level := range kernel.Levels() {
		for _, threads := range []int{1, 3} {
			m := l.model(t, "qaof", rt.WithLevel(level), rt.WithThreads(threads))
			s := m.NewSession()
			defer s.Close()
			batch := make([]rt.Seq, 2)
			if _, err := s.Run(m.Func("vision"), batch); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(m.Blob().Source, 2*int64(os.Getpagesize())); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if r, err := s.Run(m.Func("vision"), batch); !errors.Is(err, blob.ErrFault) || r != nil {
					t.Fatalf("%s, %d threads: a call gets %v, want %v", level, threads, err, blob.ErrFault)
				}
				runtime.GC() // looks at every stack
			}
			if err := m.Verify(); !errors.Is(err, blob.ErrFault) {
				t.Errorf("Verify gets %v, want %v", err, blob.ErrFault)
			}
			if debug.SetPanicOnFault(false) {
				t.Error("the goroutine is left with panics on faults")
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if err := m.Verify(); err == nil || errors.Is(err, blob.ErrFault) {
				t.Errorf("Verify of a closed model gets %v", err)
			}
		}
	}
	whole := l.model(t, "qaof").NewSession()
	defer whole.Close()
	if _, err := whole.Run(whole.Model().Func("vision"), make([]rt.Seq, 1)); err != nil {
		t.Error(err)
	}
}

// A weight file may be replaced by a rename while it is open: the model keeps the old one.
func TestWeightsRenamed(t *testing.T) {
	l := &layers{d: 64, heads: 4, hidden: 160, count: 1, fixed: 19, text: 9, rows: 64}
	m := l.model(t, "qaof")
	path := m.Blob().Source
	s := m.NewSession()
	defer s.Close()
	first := func() float32 {
		r, err := s.Run(m.Func("vision"), make([]rt.Seq, 1))
		if err != nil {
			t.Fatal(err)
		}
		return r.Out(0, 0)[0]
	}
	want := first()
	asmtest.Write(t, path+".new", "")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if got := first(); math.Float32bits(got) != math.Float32bits(want) {
		t.Errorf("after the rename %g, before %g", got, want)
	}
	if err := m.Verify(); err != nil {
		t.Error(err)
	}
}
