package task_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/beit3tiny"
	"github.com/multiway-go/multiway/generated/emoji"
)

// The inputs of the load, and how many a call takes at most.
const (
	inputs = 24
	most   = 7
)

// loaded is a model under load: how to open it, what it makes of each input alone, and an
// open one that the callers share, which is replaced and closed under them.
type loaded struct {
	name   string
	open   func(opts ...rt.Option) (*task.Model, error)
	images []task.Picture
	texts  []string
	want   [2][][]float32 // of each picture, of each text
	shared atomic.Pointer[task.Model]
	closed atomic.Int64 // calls that found their model closed
	calls  atomic.Int64
}

func newLoaded(t *testing.T, name string, open func(opts ...rt.Option) (*task.Model, error)) *loaded {
	t.Helper()
	l := &loaded{name: name, open: open}
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("a red green apple cat dog with the and of two flags heart face moon")
	for range inputs {
		img := image.NewNRGBA(image.Rect(0, 0, 20+rng.IntN(60), 20+rng.IntN(60)))
		for i := range img.Pix {
			img.Pix[i] = uint8(rng.Uint32())
		}
		img.Set(0, 0, color.White)
		l.images = append(l.images, task.Image(img))
		var text []string
		for range rng.IntN(7) {
			text = append(text, words[rng.IntN(len(words))])
		}
		l.texts = append(l.texts, strings.Join(text, " "))
	}
	m, err := open(rt.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i := range inputs {
		for k, one := range []func() ([]float32, error){
			func() ([]float32, error) {
				return task.One(m.Images(t.Context(), m.Func("vision_retrieval"), l.images[i:i+1]))
			},
			func() ([]float32, error) {
				return task.One(m.Texts(t.Context(), m.Func("language_retrieval"), l.texts[i:i+1]))
			},
		} {
			v, err := one()
			if err != nil {
				t.Fatal(err)
			}
			l.want[k] = append(l.want[k], v)
		}
	}
	if err := l.replace(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.shared.Load().Close() })
	return l
}

// replace puts a new model in the place of the shared one and closes that, whoever uses it.
func (l *loaded) replace() error {
	m, err := l.open()
	if err != nil {
		return err
	}
	if old := l.shared.Swap(m); old != nil {
		return old.Close()
	}
	return nil
}

// embedder is a model or a session of one.
type embedder interface {
	embed(kind, from, to int) ([][]float32, error)
}

type viaModel struct {
	*loaded
	m *task.Model
}

func (v viaModel) embed(kind, from, to int) ([][]float32, error) {
	if kind == 0 {
		return v.m.Images(context.Background(), v.m.Func("vision_retrieval"), v.images[from:to])
	}
	return v.m.Texts(context.Background(), v.m.Func("language_retrieval"), v.texts[from:to])
}

type viaSession struct {
	*loaded
	s *task.Session
}

func (v viaSession) embed(kind, from, to int) ([][]float32, error) {
	if kind == 0 {
		return v.s.Images(context.Background(), v.s.Model().Func("vision_retrieval"), v.images[from:to])
	}
	return v.s.Texts(context.Background(), v.s.Model().Func("language_retrieval"), v.texts[from:to])
}

// call embeds some inputs and compares each vector with the one of its input alone.
func (l *loaded) call(rng *rand.Rand, e embedder) error {
	kind, from := rng.IntN(2), rng.IntN(inputs)
	to := min(inputs, from+1+rng.IntN(most))
	rows, err := e.embed(kind, from, to)
	if err != nil {
		return err
	}
	l.calls.Add(1)
	for i, row := range rows {
		if !slices.Equal(row, l.want[kind][from+i]) {
			return fmt.Errorf("%s: input %d of kind %d is not what it is alone", l.name, from+i, kind)
		}
	}
	return nil
}

// turn is one thing that a caller does.
func (l *loaded) turn(rng *rand.Rand) error {
	switch rng.IntN(20) {
	case 0:
		return l.replace()
	case 1: // a model of one's own
		m, err := l.open(rt.WithThreads(1 + rng.IntN(3)))
		if err != nil {
			return err
		}
		return errors.Join(l.call(rng, viaModel{l, m}), m.Close())
	case 2, 3, 4: // a session, for some calls
		m, err := l.open(rt.WithThreads(1 + rng.IntN(3)))
		if err != nil {
			return err
		}
		s := m.NewSession()
		for range 4 {
			err = errors.Join(err, l.call(rng, viaSession{l, s}))
		}
		return errors.Join(err, s.Close(), m.Close())
	}
	m := l.shared.Load()
	m.Info() // beside Close, at times
	err := l.call(rng, viaModel{l, m})
	if err != nil && strings.Contains(err.Error(), "the model is closed") {
		l.closed.Add(1)
		return nil
	}
	return err
}

// load has callers take turns until each has had some and the time is over.
func load(t *testing.T, models []*loaded, callers, turns int, d time.Duration) {
	t.Helper()
	end := time.Now().Add(d)
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 3))
			for i := 0; (i < turns || time.Now().Before(end)) && !t.Failed(); i++ {
				if err := models[rng.IntN(len(models))].turn(rng); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// held is what the process holds when nothing is under way.
func held() (heap, rss uint64, goroutines int) {
	for range 3 { // sessions end by their cleanups
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	pages := uint64(0)
	if b, err := os.ReadFile("/proc/self/statm"); err == nil && !raced() {
		var size uint64
		fmt.Sscan(string(b), &size, &pages)
	}
	return m.HeapAlloc, pages * uint64(os.Getpagesize()), runtime.NumGoroutine()
}

// raced reports whether this is the race detector, whose own memory grows.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// opened are the models: one whose weights are embedded, one that is mapped, and that one with calls packed together.
func opened(t *testing.T) []*loaded {
	path := filepath.Join(t.TempDir(), "weights.bin")
	asmtest.Write(t, path, emoji.Package().Blob)
	return []*loaded{
		newLoaded(t, "beit3tiny", func(opts ...rt.Option) (*task.Model, error) {
			m, err := beit3tiny.New(opts...)
			if err != nil {
				return nil, err
			}
			return m.Task(), nil
		}),
		newLoaded(t, "emoji", func(opts ...rt.Option) (*task.Model, error) {
			m, err := emoji.Open(path, opts...)
			if err != nil {
				return nil, err
			}
			return m.Task(), nil
		}),
		newLoaded(t, "emoji with batching", func(opts ...rt.Option) (*task.Model, error) {
			m, err := emoji.Open(path, append(opts, rt.WithBatching())...)
			if err != nil {
				return nil, err
			}
			return m.Task(), nil
		}),
	}
}

// Whatever runs beside a call, each vector is the one of its input alone.
func TestResultsUnderLoad(t *testing.T) {
	models := opened(t)
	load(t, models, 12, 6, 0)
	for _, l := range models {
		if l.calls.Load() == 0 {
			t.Errorf("%s: no call", l.name)
		}
	}
}

// TestSoak is TestResultsUnderLoad for longer, with more callers, and sees that the process holds no
// more after it than before. With -short, as under the race detector, it is not as long.
func TestSoak(t *testing.T) {
	asmtest.Soak(t)
	d := 2 * time.Minute
	if testing.Short() {
		d /= 4
	}
	models := opened(t)
	load(t, models, 64, 1, d/4)
	heap, rss, goroutines := held()
	load(t, models, 64, 1, d)
	heap2, rss2, goroutines2 := held()
	for _, l := range models {
		t.Logf("%s: %d calls, %d more on closed models", l.name, l.calls.Load(), l.closed.Load())
	}
	t.Logf("heap %.1f MB before, %.1f after; resident %.1f MB, %.1f; goroutines %d, %d",
		float64(heap)/1e6, float64(heap2)/1e6, float64(rss)/1e6, float64(rss2)/1e6, goroutines, goroutines2)
	const more = 16 << 20 // what buffers of the models that are open at the end may differ by
	if heap2 > heap+more || rss2 > rss+2*more || goroutines2 > goroutines+8 {
		t.Error("the process holds more after the load than before")
	}
}
