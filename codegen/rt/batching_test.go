package rt

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel/kerneltest"
)

// Ids whose sequences fail.
const (
	notFinite = tinyVocab - 1 // has outputs that are NaN
	panicking = tinyVocab - 2 // has its run panic
)

// packed is a model of one session, opened by WithBatching, whose function of texts notes what it runs.
type packed struct {
	*Model
	language *exec.Func
	begun    chan []int32  // receives the ids of each run at its beginning
	hold     chan struct{} // a run goes on once it can receive from it
}

func openPacked(t *testing.T) *packed {
	t.Helper()
	p := tinyPackage()
	p.Blob = string(tinyBlob(t))
	m := &packed{language: p.Funcs[1], begun: make(chan []int32, 100), hold: make(chan struct{})}
	m.language.Run = func(e *exec.Exec) {
		m.begun <- slices.Clone(e.IDs)
		<-m.hold
		tinyTextRun(e)
		for i, id := range e.IDs {
			switch id {
			case notFinite:
				rowOf(e.Mat(0, 32, e.T, tinyD), i)[0] = float32(math.NaN())
			case panicking:
				panic("a broken step")
			}
		}
	}
	var err error
	if m.Model, err = p.New(WithBatching()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// answer is what became of a call.
type answer struct {
	rows  [][]float32 // of each sequence
	err   error
	panic any
}

// call runs texts, each given by its ids, in a goroutine of their own.
func (m *packed) call(ctx context.Context, texts ...[]int32) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			a.panic = recover()
			done <- a
		}()
		var batch []Seq
		for _, ids := range texts {
			batch = append(batch, Seq{IDs: ids})
		}
		a.err = m.Run(ctx, m.language, batch, func(r *Result, err error) error {
			for i := range batch {
				a.rows = append(a.rows, slices.Clone(r.Out(0, i)))
			}
			return err
		})
	}()
	return done
}

// queued waits until that many calls are in the queue.
func (m *packed) queued(t *testing.T, n int) {
	t.Helper()
	q := m.queues[m.language]
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		q.mu.Lock()
		have := len(q.calls)
		q.mu.Unlock()
		if have == n {
			return
		}
		if time.Since(start) > time.Minute {
			t.Fatalf("%d calls are queued, want %d", have, n)
		}
	}
}

// queue starts calls one after the other, so that they are queued in this order.
func (m *packed) queue(t *testing.T, ctx context.Context, texts ...[]int32) (all []<-chan answer) {
	t.Helper()
	for i, ids := range texts {
		all = append(all, m.call(ctx, ids))
		m.queued(t, i+1)
	}
	return all
}

// running starts a call that runs, and holds the only session, until it is let go on.
func (m *packed) running(t *testing.T, ctx context.Context) <-chan answer {
	t.Helper()
	c := m.call(ctx, []int32{0})
	<-m.begun
	return c
}

// alone is the rows of a text that runs alone.
func alone(t *testing.T, ids []int32) []float32 {
	t.Helper()
	m := tinyModel(t)
	r, err := m.NewSession().Run(m.Func("language"), []Seq{{IDs: ids}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Out(0, 0)
}

// good checks that a call has the results that its texts have alone.
func good(t *testing.T, c <-chan answer, texts ...[]int32) {
	t.Helper()
	a := <-c
	if a.err != nil || a.panic != nil || len(a.rows) != len(texts) {
		t.Errorf("%d results, error %v, panic %v", len(a.rows), a.err, a.panic)
		return
	}
	for i, ids := range texts {
		if !slices.Equal(a.rows[i], alone(t, ids)) {
			t.Errorf("text %v has other results in a batch than alone", ids)
		}
	}
}

// Calls that wait for a session run as one batch when it is free, the oldest first, as many as fit.
func TestBatchingPacks(t *testing.T) {
	m := openPacked(t)
	ctx := context.Background()
	texts := [][]int32{{1, 2, 3, 4, 5}, {6, 7, 8}, {9, 10, 11, 12}, {13}, {14, 15}}
	first := m.running(t, ctx)
	all := m.queue(t, ctx, texts...)
	close(m.hold)
	good(t, first, []int32{0})
	for i, c := range all {
		good(t, c, texts[i])
	}
	// Batches are of tinyRows ids, 12, at most.
	for _, want := range [][]int32{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {13, 14, 15}} {
		if d := cmp.Diff(want, <-m.begun); d != "" {
			t.Errorf("a run (-want +got)\n%s", d)
		}
	}
	if len(m.begun) != 0 {
		t.Errorf("then ran %v", <-m.begun)
	}
}

// A call that does not fit beside those before it is not overtaken by a younger one of its function.
func TestBatchingOldestFirst(t *testing.T) {
	m := openPacked(t)
	ctx := context.Background()
	first := m.running(t, ctx)
	texts := [][]int32{{1, 2, 3, 4, 5}, {6, 7, 8, 9}, {10, 11, 12, 13}, {14}}
	all := m.queue(t, ctx, texts...)
	close(m.hold)
	good(t, first, []int32{0})
	for i, c := range all {
		good(t, c, texts[i])
	}
	for _, want := range []int{9, 5} {
		if got := <-m.begun; len(got) != want {
			t.Errorf("%v ran, want %d rows", got, want)
		}
	}
}

// A call of more rows than a batch runs alone.
func TestBatchingLargeCall(t *testing.T) {
	m := openPacked(t)
	ctx := context.Background()
	large := [][]int32{{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, {1, 2, 3}}
	first := m.running(t, ctx)
	c := m.call(ctx, large...)
	small := m.queue(t, ctx, []int32{6}, []int32{7})
	close(m.hold)
	good(t, first, []int32{0})
	good(t, c, large...)
	good(t, small[0], []int32{6})
	good(t, small[1], []int32{7})
	var runs []string
	for range 3 {
		ids := <-m.begun
		runs = append(runs, strings.Repeat("x", len(ids)))
	}
	slices.Sort(runs)
	if d := cmp.Diff([]string{"xx", "xxx", strings.Repeat("x", 10)}, runs); d != "" {
		t.Errorf("rows of the runs (-want +got)\n%s", d)
	}
}

// An input that is not valid, or whose outputs are not finite, fails its own call and names its own place.
func TestBatchingBadInputs(t *testing.T) {
	m := openPacked(t)
	ctx := context.Background()
	first := m.running(t, ctx)
	bad := <-m.call(ctx, []int32{1}, []int32{tinyVocab})
	var in *InputError
	if !errors.As(bad.err, &in) || in.Index != 1 || in.Field != "ids" || !strings.HasPrefix(bad.err.Error(), "tiny: language: ") {
		t.Errorf("an id that is none: %v", bad.err)
	}
	texts := [][]int32{{1, 2}, {3, notFinite}, {4}}
	all := m.queue(t, ctx, texts...)
	two := m.call(ctx, []int32{5}, []int32{notFinite})
	m.queued(t, 4)
	close(m.hold)
	good(t, first, []int32{0})
	good(t, all[0], texts[0])
	good(t, all[2], texts[2])
	var some *BatchError
	if a := <-all[1]; !errors.Is(a.err, ErrNotFinite) || !errors.As(a.err, &some) || len(some.Errs) != 1 || a.rows[0] != nil {
		t.Errorf("not finite: %v, %v", a.rows, a.err)
	}
	if a := <-two; !errors.As(a.err, &some) || len(some.Errs) != 2 || some.Errs[0] != nil || a.rows[1] != nil || !slices.Equal(a.rows[0], alone(t, []int32{5})) {
		t.Errorf("the second is not finite: %v, %v", a.rows, a.err)
	}
	if ids := <-m.begun; len(ids) != 7 {
		t.Errorf("%v ran, want all in one batch", ids)
	}
}

// A call whose context ends leaves the queue at once, first or not, and does not run.
func TestBatchingCancel(t *testing.T) {
	m := openPacked(t)
	ctx := context.Background()
	first := m.running(t, ctx)
	texts := [][]int32{{1}, {2}, {3}, {4}}
	var all []<-chan answer
	var stop []context.CancelFunc
	for i := range texts {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		all, stop = append(all, m.call(ctx, texts[i])), append(stop, cancel)
		m.queued(t, i+1)
	}
	for _, i := range []int{2, 0} {
		stop[i]()
		if a := <-all[i]; !errors.Is(a.err, context.Canceled) || a.rows != nil {
			t.Errorf("call %d: %v, %v", i, a.rows, a.err)
		}
	}
	m.queued(t, 2)
	m.hold <- struct{}{}
	good(t, first, []int32{0})
	if d := cmp.Diff([]int32{2, 4}, <-m.begun); d != "" {
		t.Errorf("what ran (-want +got)\n%s", d)
	}
	// What runs goes on, for the call whose goroutine runs it and for the other.
	stop[1]()
	stop[3]()
	m.hold <- struct{}{}
	good(t, all[1], texts[1])
	good(t, all[3], texts[3])

	ended, cancel := context.WithCancel(ctx)
	cancel()
	if a := <-m.call(ended, []int32{1}); !errors.Is(a.err, context.Canceled) || len(m.begun) != 0 {
		t.Errorf("a context that ended before: %v, %d runs", a.err, len(m.begun))
	}
	close(m.hold)
	good(t, m.call(ctx, []int32{1}), []int32{1})
}

// Close waits for what runs; what is queued gets ErrClosed.
func TestBatchingClose(t *testing.T) {
	m := openPacked(t)
	ctx := context.Background()
	first := m.running(t, ctx)
	all := m.queue(t, ctx, []int32{1}, []int32{2}, []int32{3})
	closed := make(chan error)
	go func() { closed <- m.Close() }()
	for m.open.TryRLock() { // until Close waits
		m.open.RUnlock()
		time.Sleep(time.Millisecond)
	}
	select {
	case <-closed:
		t.Error("Close has not waited for the run")
	default:
	}
	close(m.hold)
	good(t, first, []int32{0})
	for i, c := range all {
		if a := <-c; !errors.Is(a.err, ErrClosed) {
			t.Errorf("call %d: %v", i, a.err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if a := <-m.call(ctx, []int32{1}); !errors.Is(a.err, ErrClosed) {
		t.Errorf("after Close: %v", a.err)
	}
	if len(m.begun) != 0 {
		t.Errorf("%v ran", <-m.begun)
	}
}

// A run that panics does so in the goroutine that runs it; the calls that it runs too get an error, later ones their results.
func TestBatchingPanic(t *testing.T) {
	m := openPacked(t)
	ctx := context.Background()
	first := m.running(t, ctx)
	all := m.queue(t, ctx, []int32{1}, []int32{panicking}, []int32{2})
	close(m.hold)
	good(t, first, []int32{0})
	panics := 0
	for i, c := range all {
		switch a := <-c; {
		case a.panic != nil:
			panics++
		case !errors.Is(a.err, errBatchPanicked):
			t.Errorf("call %d: %v", i, a.err)
		}
	}
	if panics != 1 {
		t.Errorf("%d calls panicked, want the one that ran the batch", panics)
	}
	good(t, m.call(ctx, []int32{1}), []int32{1})
}

// A lone call runs at once, and without the option every call does so in a session of the model.
func TestBatchingAlone(t *testing.T) {
	m := openPacked(t)
	close(m.hold)
	good(t, m.call(context.Background(), []int32{1, 2}), []int32{1, 2})
	if m := tinyModel(t); m.queues != nil {
		t.Error("a model opened without the option has queues")
	}
	plain := &packed{Model: tinyModel(t)}
	plain.language = plain.Func("language")
	good(t, plain.call(context.Background(), []int32{1, 2}, []int32{3}), []int32{1, 2}, []int32{3})
	var in *InputError
	if a := <-plain.call(context.Background(), []int32{1}, nil); !errors.As(a.err, &in) || in.Index != 1 || a.rows != nil {
		t.Errorf("an empty text: %v", a.err)
	}
}

// Steps of different states are packed, and each state has its own rows.
func TestBatchingState(t *testing.T) {
	p := statePackage(kerneltest.Naive("generic", 4, 16))
	p.Blob = string(tinyBlob(t))
	m, err := p.New(WithBatching(), WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	begin, step := m.Func("begin"), m.Func("step")
	s := m.NewSession()
	defer s.Close()
	// caption is the rows of three steps of a picture, by run.
	caption := func(picture int, run func(*exec.Func, []Seq) ([]float32, error)) (rows []float32, err error) {
		st, err := m.NewState(step, 1)
		if err != nil {
			return nil, err
		}
		img := make([]float32, tinyImage)
		img[0] = float32(40 * picture)
		if _, err := run(begin, []Seq{{Image: img, State: st}}); err != nil {
			return nil, err
		}
		for word := range int32(3) {
			got, err := run(step, []Seq{{IDs: []int32{int32(picture) + word, 7}, State: st}})
			if err != nil {
				return nil, err
			}
			rows = append(rows, got...)
			if err := st.Advance([]int{0}); err != nil {
				return nil, err
			}
		}
		return rows, nil
	}
	const pictures = 8
	var want [pictures][]float32
	for i := range want {
		want[i], err = caption(i, func(f *exec.Func, batch []Seq) ([]float32, error) {
			r, err := s.Run(f, batch)
			if err != nil || f == begin {
				return nil, err
			}
			return slices.Clone(r.Out(0, 0)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range want {
		all.Go(func() {
			got, err := caption(i, func(f *exec.Func, batch []Seq) (rows []float32, err error) {
				err = m.Run(context.Background(), f, batch, func(r *Result, err error) error {
					if err == nil && f == step {
						rows = slices.Clone(r.Out(0, 0))
					}
					return err
				})
				return rows, err
			})
			if err != nil || !slices.Equal(got, want[i]) {
				t.Errorf("picture %d: other rows than alone, error %v", i, err)
			}
		})
	}
	all.Wait()
}

// Callers of all kinds beside each other, some of whom give up, have the results of their inputs alone, or no result.
func TestBatchingLoad(t *testing.T) {
	m := tinyModel(t, WithThreads(1), WithBatching())
	type input struct {
		f     *exec.Func
		batch []Seq
		want  [][]float32
	}
	var inputs []input
	s := m.NewSession()
	for i := range 12 {
		f := m.pkg.Funcs[i%2]
		batch := tinyBatch(f.Image > 0, []int{1 + i%tinyText, 1 + i*5%tinyText, 2}[:1+i%3]...)
		r, err := s.Run(f, batch)
		if err != nil {
			t.Fatal(err)
		}
		x := input{f: f, batch: batch}
		for o := range f.Outputs {
			x.want = append(x.want, slices.Clone(r.All(o)))
		}
		inputs = append(inputs, x)
	}
	s.Close()
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			for range 20 {
				ctx, cancel := context.WithCancel(context.Background())
				if rng.IntN(4) == 0 {
					go cancel()
				}
				x := inputs[rng.IntN(len(inputs))]
				same := func(r *Result, err error) error {
					for o := range x.want {
						if !slices.Equal(x.want[o], r.All(o)) {
							t.Errorf("%s has other results", x.f.Name)
						}
					}
					return err
				}
				err := m.Run(ctx, x.f, x.batch, same)
				if rng.IntN(8) == 0 {
					err = errors.Join(err, m.Do(ctx, func(s *Session) error { return same(s.Run(x.f, x.batch)) }))
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
}
