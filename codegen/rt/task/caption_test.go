package task_test

import (
	"context"
	"errors"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/emoji"
)

// drawings are pictures of a disc each, whose captions have different lengths.
func drawings(n int) []task.Picture {
	rng := rand.New(rand.NewPCG(3, 5))
	var all []task.Picture
	for range n {
		img := image.NewNRGBA(image.Rect(0, 0, 64, 64))
		x, y, r := rng.IntN(64), rng.IntN(64), 5+rng.IntN(40)
		of := [2]color.NRGBA{{uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256)), 255}, {255, 255, 255, 255}}
		for i := range 64 * 64 {
			dx, dy := i%64-x, i/64-y
			img.SetNRGBA(i%64, i/64, of[min(1, (dx*dx+dy*dy)/(r*r))])
		}
		all = append(all, task.Image(img))
	}
	return all
}

func openEmoji(t *testing.T, opts ...rt.Option) *emoji.Model {
	t.Helper()
	m, err := emoji.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// searches are options of captions, some with fewer pictures together than others.
var searches = []task.CaptionOptions{{}, {Beams: 1}, {Beams: 3}, {Beams: 5, MaxNew: 4, Penalty: 1.5}, {Beams: 20, MaxNew: 6}}

// apart are the captions of pictures, each written alone.
func apart(t *testing.T, m *emoji.Model, pics []task.Picture, o task.CaptionOptions) []task.Caption {
	t.Helper()
	s := m.NewSession()
	defer s.Close()
	var all []task.Caption
	for _, p := range pics {
		c, err := s.CaptionWith(t.Context(), p, o)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// A picture that is captioned beside others has the words and the score, to the bit, that it has alone, however early theirs end.
func TestCaptionsTogether(t *testing.T) {
	pics := drawings(24)
	for _, threads := range []int{1, 2} {
		m := openEmoji(t, rt.WithThreads(threads))
		s := m.NewSession()
		defer s.Close()
		for _, o := range searches {
			want := apart(t, m, pics, o)
			lengths := map[int]bool{}
			for _, c := range want {
				lengths[len(c.IDs)] = true
			}
			if len(lengths) < 3 && o.MaxNew == 0 {
				t.Errorf("%+v: captions of the lengths %v, want more of them", o, lengths)
			}
			got, err := s.CaptionsWith(t.Context(), pics, o)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%d threads, %+v, in a session (-alone +together)\n%s", threads, o, d)
			}
			if got, err = m.CaptionsWith(t.Context(), pics, o); err != nil || !slices.EqualFunc(got, want, same) {
				t.Errorf("%d threads, %+v: the model's captions differ, error %v", threads, o, err)
			}
		}
	}
}

func same(a, b task.Caption) bool {
	return a.Score == b.Score && slices.Equal(a.IDs, b.IDs) && a.Text == b.Text
}

// Callers of one picture each, whose words are computed together, get what they get alone.
func TestCaptionsBatched(t *testing.T) {
	pics := drawings(12)
	m := openEmoji(t, rt.WithThreads(1), rt.WithBatching())
	for _, o := range searches[:3] {
		want := apart(t, m, pics, o)
		var all sync.WaitGroup
		for range 2 {
			for i := range pics {
				all.Go(func() {
					if got, err := m.CaptionWith(t.Context(), pics[i], o); err != nil || !same(got, want[i]) {
						t.Errorf("picture %d: %v, error %v, want %v", i, got, err, want[i])
					}
				})
			}
		}
		all.Wait()
	}
}

// A picture without a caption fails alone.
func TestCaptionsPartly(t *testing.T) {
	m := openEmoji(t, rt.WithThreads(1)).Task()
	in := m.Input()
	var tensors [][]float32
	for range 5 {
		tensors = append(tensors, make([]float32, in.Pixels.Len()))
	}
	tensors[1][7], tensors[4][0] = float32(math.NaN()), float32(math.NaN())
	s := m.NewSession()
	defer s.Close()
	for _, o := range searches {
		want, err := s.CaptionTensors(t.Context(), in.Captions, tensors[:1], o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.CaptionTensors(t.Context(), in.Captions, tensors, o)
		var some *rt.BatchError
		if !errors.As(err, &some) || !errors.Is(err, rt.ErrNotFinite) {
			t.Fatalf("%+v: error %v, want one of some pictures", o, err)
		}
		for i, c := range got {
			if lost := i == 1 || i == 4; lost != (some.Errs[i] != nil) || !lost && !same(c, want[0]) || lost && c.IDs != nil {
				t.Errorf("%+v, picture %d: %v, error %v", o, i, c, some.Errs[i])
			}
		}
		if got, err := s.CaptionTensors(t.Context(), in.Captions, tensors[2:4], o); err != nil || !same(got[0], want[0]) || !same(got[1], want[0]) {
			t.Errorf("%+v: then %v, error %v", o, got, err)
		}
	}
	var bad *rt.InputError
	if _, err := s.CaptionTensors(t.Context(), in.Captions, append(slices.Repeat(tensors[:1], 20), nil), task.CaptionOptions{}); !errors.As(err, &bad) || bad.Index != 20 || bad.Field != "image" {
		t.Errorf("a tensor too short: error %v", err)
	}
	for _, o := range []task.CaptionOptions{{Beams: -1}, {Beams: 65}, {MaxNew: -1}, {MaxNew: in.Captions.MaxNew + 1}, {Beams: 1, Penalty: math.NaN()}} {
		if _, err := s.CaptionTensors(t.Context(), in.Captions, tensors[:1], o); err == nil {
			t.Errorf("no error with %+v", o)
		}
	}
}

// counted is a context that is done after a number of looks at it.
type counted struct {
	context.Context
	left int
}

func (c *counted) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A call ends between steps when its context is done, and its session goes on afterwards.
func TestCaptionsEnd(t *testing.T) {
	pics := drawings(20)
	m := openEmoji(t, rt.WithThreads(1))
	s := m.NewSession()
	defer s.Close()
	want := apart(t, m, pics[:1], task.CaptionOptions{Beams: 3})
	for _, looks := range []int{0, 1, 2, 5} {
		if _, err := s.CaptionsWith(&counted{t.Context(), looks}, pics, task.CaptionOptions{Beams: 3}); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d looks at the context: error %v", looks, err)
		}
		if got, err := s.CaptionsWith(t.Context(), pics[:1], task.CaptionOptions{Beams: 3}); err != nil || !same(got[0], want[0]) {
			t.Errorf("then %v, error %v", got, err)
		}
	}
}
