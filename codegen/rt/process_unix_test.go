//go:build unix

package rt_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/generated/kernels"
)

// What this file asks of a process it asks in time that the process computes, which no
// load of the machine makes longer.
func computed(t testing.TB) time.Duration {
	t.Helper()
	u := usage(t)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func usage(t testing.TB) (u unix.Rusage) {
	t.Helper()
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// base is a layer of BEiT-3 base, whose steps are as long as they get.
func base() *layers {
	return &layers{d: 768, heads: 12, hidden: 3072, count: 1, fixed: 197, text: 64, rows: 2048}
}

// A garbage collection stops a forward pass within a piece of a step: it does not wait
// for the end of the pass, nor for ever for a session whose calls follow each other.
func TestCollectionStopsForward(t *testing.T) {
	asmtest.Slow(t)
	const most = 2 * time.Second
	levels := kernel.Levels()
	for _, level := range []string{levels[0], levels[len(levels)-1]} {
		t.Run(level, func(t *testing.T) {
			m := base().model(t, "qaof", rt.WithLevel(level), rt.WithThreads(min(4, max(2, runtime.GOMAXPROCS(0))))) // all of which compute meanwhile
			s := m.NewSession()
			defer s.Close()
			stop, running, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			go func() {
				close(running)
				for {
					select {
					case <-stop:
						done <- nil
						return
					default:
					}
					if _, err := s.Run(m.Func("vision"), make([]rt.Seq, 1)); err != nil {
						done <- err
						return
					}
				}
			}()
			<-running
			for range 5 {
				before := computed(t)
				runtime.GC()
				if took := computed(t) - before; took > most {
					t.Errorf("the program computed for %v until the collection was over", took)
				}
			}
			close(stop)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Open sessions that no one calls do not compute.
func TestIdleSessionsSleep(t *testing.T) {
	const wait = 300 * time.Millisecond
	m := base().model(t, "q", rt.WithThreads(4))
	for range 3 {
		s := m.NewSession()
		defer s.Close()
		if _, err := s.Run(m.Func("vision"), make([]rt.Seq, 1)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	time.Sleep(wait / 3) // until the helpers are parked and the collector is done
	before := computed(t)
	time.Sleep(wait)
	if took := computed(t) - before; took > wait/5 {
		t.Errorf("the process computed for %v in %v in which no one called", took, wait)
	}
}

// piecewise writes a file 64 KiB at a time, so that the system does not cache it in huge pages, of which
// one fault brings 2 MiB.
type piecewise struct{ *os.File }

func (p piecewise) Write(b []byte) (n int, err error) {
	for piece := range slices.Chunk(b, 64<<10) {
		k, err := p.File.Write(piece)
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

// Opening costs the same however many weights there are: none is read.
func TestOpenReadsNoWeights(t *testing.T) {
	const size, most = 64 << 20, 256 // bytes; faults, each of which brings up to 16 pages of a file
	tensors := []blob.Tensor{{Name: "@all", DType: blob.F32, Shape: []int{size / 4}, Bytes: size}}
	path := filepath.Join(t.TempDir(), "weights.bin")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = blob.Write(piecewise{f}, blob.PackingPanels16, tensors, func(_ int, w io.Writer) error {
		_, err := w.Write(make([]byte, size))
		return err
	})
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	p := &rt.Package{Name: "large", Contract: rt.Contract5, Layout: blob.LayoutHash(tensors), Kernels: kernels.F32, Rows: 1, Text: 1, Vocab: 1}
	faults := func() int64 { u := usage(t); return int64(u.Minflt) + int64(u.Majflt) }
	before := faults()
	m, err := p.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	defer m.NewSession().Close()
	if n := faults() - before; n > most {
		t.Errorf("opening %d MB of weights took %d page faults, want at most %d", size>>20, n, most)
	}
	before = faults()
	if err := m.Verify(); err != nil {
		t.Fatal(err)
	}
	if n := faults() - before; n <= most {
		t.Errorf("reading all of the weights took %d page faults, so that %d prove nothing", n, most)
	}
}
