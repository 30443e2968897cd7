package flow

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// input is an input of the flows of these tests.
type input struct {
	i     int
	stage string
}

func inputs(yield func(input) bool) {
	for i := range 100 {
		if !yield(input{i: i}) {
			return
		}
	}
}

// traced is a flow of two workers whose stages say that they came, and take the given times.
func traced(read, prepare, compute func(i int) time.Duration) *Flow[input, int] {
	stage := func(name string, of func(int) time.Duration) func(*input) {
		return func(x *input) {
			x.stage += name
			time.Sleep(of(x.i))
		}
	}
	prepared := stage("p", prepare)
	return &Flow[input, int]{
		Workers: []int{0, 1},
		Batch:   3,
		Memory:  1 << 30,
		Read:    stage("r", read),
		Prepare: func(_ int, x *input) { prepared(x) },
		Compute: func(_ int, batch []*input) {
			for _, x := range batch {
				x.stage += "c"
			}
			time.Sleep(compute(batch[0].i))
		},
	}
}

func always(t time.Duration) func(int) time.Duration { return func(int) time.Duration { return t } }

// Inputs come in order after all of their stages, in the same batches, however long each stage takes.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		uneven := func(i int) time.Duration { return time.Duration(i*7919%13) * time.Millisecond }
		f := traced(uneven, uneven, uneven)
		var got []input
		var sizes []int
		for batch := range f.Run(t.Context(), inputs) {
			sizes = append(sizes, len(batch))
			for _, x := range batch {
				got = append(got, *x)
			}
		}
		var want []input
		for i := range 100 {
			want = append(want, input{i, "rpc"})
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(input{})); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		if d := cmp.Diff(append(slices.Repeat([]int{3}, 33), 1), sizes); d != "" {
			t.Errorf("sizes of batches (-want +got)\n%s", d)
		}
	})
}

// Workers are always busy: with a disk that is slow to answer, and while the results of one input take long.
func TestOverlap(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name                   string
		read, prepare, compute func(int) time.Duration
		most                   time.Duration
	}{
		{"all", always(0), always(10 * ms), always(30 * ms), 1050 * ms},
		{"a slow disk", always(50 * ms), always(10 * ms), always(30 * ms), 1200 * ms},
		{"a disk that is slower than the workers", always(200 * ms), always(10 * ms), always(30 * ms), 2700 * ms},
		{"a slow picture", always(0), func(i int) time.Duration {
			if i == 50 {
				return 60 * ms
			}
			return 10 * ms
		}, always(30 * ms), 1080 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := traced(c.read, c.prepare, c.compute)
				begun := time.Now()
				for range f.Run(t.Context(), inputs) {
				}
				if took := time.Since(begun); took > c.most {
					t.Errorf("%v, want at most %v", took, c.most)
				}
				times := f.Times()
				if times.Prepare < time.Second || times.Compute != 34*30*ms || times.Read != 100*c.read(0) {
					t.Errorf("%+v", times)
				}
			})
		})
	}
}

// Inputs on their way are bounded, by their number and by their memory.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var read, held, most atomic.Int64
		f := traced(always(time.Millisecond), always(time.Millisecond), always(time.Millisecond))
		f.Memory = 10
		f.Takes = func(*input) int64 { return 4 }
		loaded, prepared := f.Read, f.Prepare
		f.Read = func(x *input) {
			read.Add(1)
			most.Store(max(most.Load(), held.Add(4)))
			loaded(x)
		}
		f.Prepare = func(w int, x *input) {
			prepared(w, x)
			held.Add(-4)
		}
		for batch := range f.Run(t.Context(), inputs) {
			time.Sleep(time.Hour) // the slowest stage is who asks
			synctest.Wait()
			// Two batches for each worker and three for the readers wait, and there are one that the loop has and one
			// that is about to wait.
			if n := read.Load() - int64(batch[0].i); n > 3*(4+3+2) {
				t.Fatalf("%d inputs are on the way", n)
			}
		}
		if most.Load() > 10 {
			t.Errorf("%d bytes are held, want at most 10", most.Load())
		}
	})
}

// A flow that is left, by its loop or by its context, ends with the stages that are under way, though a disk and the
// list of inputs hang.
func TestLeft(t *testing.T) {
	for name, ctxEnds := range map[string]bool{"loop": false, "context": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				hung := make(chan struct{})
				defer close(hung)
				f := traced(always(0), always(time.Second), always(time.Second))
				loaded := f.Read
				f.Read = func(x *input) {
					if x.i == 20 {
						<-hung
					}
					loaded(x)
				}
				list := func(yield func(input) bool) {
					inputs(func(x input) bool { return x.i < 22 && yield(x) })
					<-hung
				}
				if ctxEnds {
					time.AfterFunc(9500*time.Millisecond, cancel)
				}
				begun := time.Now()
				n := 0
				for range f.Run(ctx, list) {
					if n++; n == 3 && !ctxEnds {
						break
					}
				}
				took := time.Since(begun)
				if most := 11 * time.Second; n < 3 || took > most {
					t.Errorf("%d batches in %v, want 3 in at most %v", n, took, most)
				}
				if ended := f.Times(); ctxEnds {
					time.Sleep(time.Minute)
					if d := cmp.Diff(ended.Prepare+ended.Compute, f.Times().Prepare+f.Times().Compute); d != "" {
						t.Errorf("stages ran on:\n%s", d)
					}
				}
			})
		})
	}
}
