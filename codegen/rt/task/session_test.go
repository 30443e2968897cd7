package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/rttest"
	"github.com/multiway-go/multiway/codegen/rt/token"
)

// letters is a tokenizer that counts letters: an id each, a = 1.
type letters struct{ token.Tokenizer }

func (letters) AppendEncode(dst []int32, text string, limit int) []int32 {
	dst = append(dst, 0)
	for i := range len(text) {
		if limit > 0 && i == limit-1 {
			break
		}
		dst = append(dst, int32(text[i]-'a'+1))
	}
	return dst
}

// open opens rttest's package behind an input.
func open(t testing.TB, edit func(*Input)) *Model {
	t.Helper()
	in := &Input{
		Pixels:     &pixel.Preprocess{Size: 2, Std: [3]float32{1, 1, 1}},
		LoadTokens: func() (token.Tokenizer, error) { return letters{}, nil },
		MaxText:    rttest.Text,
	}
	if edit != nil {
		edit(in)
	}
	r, err := rttest.Package().New()
	if err != nil {
		t.Fatal(err)
	}
	m, err := in.NewModel(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// grey is a picture whose 12 values are all level/255.
func grey(level uint8) Picture {
	img := image.NewGray(image.Rect(0, 0, 2, 2))
	for i := range img.Pix {
		img.Pix[i] = level
	}
	return Image(img)
}

func TestSession(t *testing.T) {
	m := open(t, nil)
	s := m.NewSession()
	for range 2 { // buffers are used again
		rows, err := s.Images(t.Context(), m.Func("image"), []Picture{grey(255), grey(0), grey(51)})
		if err != nil {
			t.Fatal(err)
		}
		want := [][]float32{{12, 0}, {0, 1}, {2.4, 2}}
		for i := range want {
			if got := rows[i]; math.Abs(float64(got[0]-want[i][0])) > 1e-5 || got[1] != want[i][1] {
				t.Errorf("picture %d: got %v, want %v", i, got, want[i])
			}
		}
		rows, err = s.Texts(t.Context(), m.Func("text"), []string{"", "ab", "abcdefghij"})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([][]float32{{0, 1}, {3, 3}, {1 + 2 + 3 + 4, rttest.Text}}, rows); d != "" {
			t.Errorf("texts; the last is cut (-want +got)\n%s", d)
		}
		rows, err = s.Pairs(t.Context(), m.Func("pair"), []Pair{{grey(255), "c"}, {grey(0), "zz"}, {grey(0), "abcdefghij"}})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([][]float32{{12, 3}, {0, 52}, {0, 1 + 2 + 3 + 4}}, rows); d != "" {
			t.Errorf("pairs; the last text is cut (-want +got)\n%s", d)
		}
		if rows, err = s.Images(t.Context(), m.Func("image"), nil); err != nil || len(rows) != 0 {
			t.Errorf("no pictures: %v, %v", rows, err)
		}
	}
}

// Of a batch in which some items have outputs that are not finite, the others are returned,
// by a session and by a model that splits it.
func TestBatchError(t *testing.T) {
	m := open(t, nil)
	const poison = "\xc2" // rttest.Poison as letters has it
	texts := make([]string, 3*batch)
	for i := range texts {
		texts[i] = "ab"
	}
	bad := []int{0, batch - 1, batch, 3*batch - 1}
	for _, i := range bad {
		texts[i] = poison
	}
	check := func(name string, rows [][]float32, err error) {
		t.Helper()
		var some *rt.BatchError
		if !errors.Is(err, rt.ErrNotFinite) || !errors.As(err, &some) || len(some.Errs) != len(texts) || len(rows) != len(texts) {
			t.Fatalf("%s: %d rows, error %v", name, len(rows), err)
		}
		var failed []int
		for i, err := range some.Errs {
			if err != nil {
				failed = append(failed, i)
			}
		}
		if d := cmp.Diff(bad, failed); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
		for i, row := range rows {
			if slices.Contains(bad, i) != (row == nil) || row != nil && row[0] != 3 {
				t.Errorf("%s: row %d is %v", name, i, row)
			}
		}
	}
	rows, err := m.Texts(t.Context(), m.Func("text"), texts)
	check("model", rows, err)
	rows, err = m.NewSession().Texts(t.Context(), m.Func("text"), texts)
	check("session", rows, err)
	if row, err := One(m.Texts(t.Context(), m.Func("text"), []string{poison})); !errors.Is(err, rt.ErrNotFinite) || row != nil {
		t.Errorf("one text: %v, %v", row, err)
	}
}

func TestSessionErrors(t *testing.T) {
	s := open(t, nil).NewSession()
	bare := open(t, func(in *Input) { in.Pixels, in.LoadTokens = nil, nil }).NewSession()
	for _, row := range []struct {
		name string
		call func() error
		want string
	}{
		{"a nil picture", func() error {
			_, err := s.Images(t.Context(), s.m.Func("image"), []Picture{grey(1), Image(nil)})
			return err
		}, "image: input 1: picture: it is nil"},
		{"an empty picture", func() error {
			_, err := s.Images(t.Context(), s.m.Func("image"), []Picture{Image(image.NewGray(image.Rect(3, 3, 3, 3)))})
			return err
		}, "image: input 0: picture: "},
		{"no picture", func() error { _, err := s.Pairs(t.Context(), s.m.Func("pair"), []Pair{{Text: "a"}}); return err }, "pair: input 0: picture: it is nil"},
		{"pictures for a function of texts", func() error { _, err := s.Images(t.Context(), s.m.Func("text"), []Picture{grey(1)}); return err }, "image: it is there, this function takes none"},
		{"texts for a function of pictures", func() error { _, err := s.Texts(t.Context(), s.m.Func("image"), []string{"a"}); return err }, "want 12"},
		{"ids outside", func() error { _, err := s.Texts(t.Context(), s.m.Func("text"), []string{"\xff"}); return err }, "outside the vocabulary"},
		{"no preprocessing", func() error { _, err := bare.Images(t.Context(), bare.m.Func("image"), []Picture{grey(1)}); return err }, "takes no pictures"},
		{"no tokenizer", func() error { _, err := bare.Texts(t.Context(), bare.m.Func("text"), []string{"a"}); return err }, "without a tokenizer: add `tokenizer:`"},
	} {
		if err := row.call(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got error %v, want one with %q", row.name, err, row.want)
		}
	}
	// An error leaves the session usable.
	if _, err := s.Texts(t.Context(), s.m.Func("text"), []string{"a"}); err != nil {
		t.Error(err)
	}
	// A model that cannot load its tokenizer gives back what it owns.
	r, err := rttest.Package().New()
	if err != nil {
		t.Fatal(err)
	}
	in := &Input{LoadTokens: func() (token.Tokenizer, error) { return nil, errors.New("spoiled") }}
	if _, err := in.NewModel(r); err == nil || err.Error() != "fake: tokenizer: spoiled" {
		t.Errorf("got error %v", err)
	}
	if _, err := r.NewSession().Run(r.Func("text"), nil); err == nil {
		t.Error("the model is open after its wrapping failed")
	}
}

// slow is a picture that calls f when it is read.
type slow struct {
	image.Image
	f func()
}

func (s slow) At(x, y int) color.Color {
	s.f()
	return s.Image.At(x, y)
}

// A second call while one runs gets ErrBusy and leaves the first one's buffers alone.
func TestSessionBusy(t *testing.T) {
	m := open(t, nil)
	s := m.NewSession()
	tried := 0
	try := func() {
		tried++
		for _, err := range []error{
			first(s.Texts(t.Context(), m.Func("text"), []string{"zzzz"})), first(s.Images(t.Context(), m.Func("image"), []Picture{grey(9)})),
			first(s.Pairs(t.Context(), m.Func("pair"), []Pair{{grey(9), "z"}})),
		} {
			if !errors.Is(err, rt.ErrBusy) {
				t.Errorf("got error %v, want ErrBusy", err)
			}
		}
	}
	rows, err := s.Pairs(t.Context(), m.Func("pair"), []Pair{{grey(255), "a"}, {Image(slow{grey(255).img, try}), "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([][]float32{{12, 1}, {12, 2}}, rows); d != "" || tried == 0 {
		t.Errorf("%d tries beside it (-want +got)\n%s", tried, d)
	}
	if _, err := s.Texts(t.Context(), m.Func("text"), []string{"a"}); err != nil {
		t.Errorf("after the call: %v", err)
	}
}

func first[T any](_ T, err error) error { return err }

func TestModel(t *testing.T) {
	m := open(t, nil)
	const n = 3*batch + 5
	var imgs []Picture
	var texts []string
	var wantImages, wantTexts [][]float32
	for i := range n {
		imgs = append(imgs, grey(uint8(i%2*255)))
		texts = append(texts, strings.Repeat("a", i%5))
		wantImages = append(wantImages, []float32{float32(i % 2 * 12), float32(i % batch % rttest.Rows)})
		wantTexts = append(wantTexts, []float32{float32(min(i%5, rttest.Text-1)), float32(min(1+i%5, rttest.Text))})
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := m.Images(t.Context(), m.Func("image"), imgs)
			if d := cmp.Diff(wantImages, got); err != nil || d != "" {
				t.Errorf("%v (-want +got)\n%s", err, d)
			}
			got, err = m.Texts(t.Context(), m.Func("text"), texts)
			if d := cmp.Diff(wantTexts, got); err != nil || d != "" {
				t.Errorf("%v (-want +got)\n%s", err, d)
			}
		})
	}
	wg.Wait()

	// Pictures that are no input carry their errors, the others have the results they have without them.
	imgs[batch+1], imgs[3] = Picture{}, Image(image.NewGray(image.Rect(3, 3, 3, 3)))
	got, err := m.Images(t.Context(), m.Func("image"), imgs)
	var some *rt.BatchError
	if !errors.As(err, &some) || len(some.Unwrap()) != 2 || len(got) != n {
		t.Fatalf("%d rows, error %v", len(got), err)
	}
	for i, row := range got {
		bad := i == 3 || i == batch+1
		var in *rt.InputError
		switch {
		case bad != (row == nil) || bad != (some.Errs[i] != nil):
			t.Errorf("picture %d: %v, %v", i, row, some.Errs[i])
		case bad && (!errors.As(some.Errs[i], &in) || in.Index != i || in.Field != "picture"):
			t.Errorf("picture %d: error %#v", i, some.Errs[i])
		case !bad && row[0] != wantImages[i][0]:
			t.Errorf("picture %d: %v, want %v", i, row, wantImages[i])
		}
	}
	if row, err := One(m.Texts(t.Context(), m.Func("text"), []string{"b"})); err != nil || !slices.Equal(row, []float32{2, 2}) {
		t.Errorf("One: %v, %v", row, err)
	}
	if _, err := One(m.Images(t.Context(), m.Func("image"), []Picture{{}})); err == nil {
		t.Error("One hides an error")
	}
	if got := m.Scalar("scale"); got != rttest.Scale {
		t.Errorf("scale is %v, want %v", got, rttest.Scale)
	}
	if got := m.Scalar("none"); got == got {
		t.Errorf("a weight that is not there is %v, want NaN", got)
	}
}

// A call ends between batches when its context is done, with the context's error.
func TestContext(t *testing.T) {
	m := open(t, nil)
	for name, images := range map[string]func(context.Context, *exec.Func, []Picture) ([][]float32, error){
		"model": m.Images, "session": m.NewSession().Images,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var pics []Picture
		var read atomic.Int64
		for i := range 4 * batch {
			pics = append(pics, Image(slow{grey(1).img, func() {
				read.Store(max(read.Load(), int64(i)))
				if i == batch+3 {
					cancel()
				}
			}}))
		}
		rows, err := images(ctx, m.Func("image"), pics)
		if !errors.Is(err, context.Canceled) || rows != nil || read.Load() >= 2*batch {
			t.Errorf("%s: %d rows and error %v after %d pictures", name, len(rows), err, read.Load())
		}
		if _, err := images(ctx, m.Func("image"), nil); err != nil {
			t.Errorf("%s: no pictures: %v", name, err)
		}
	}
}

// vectorOf makes the vector that rttest's function gives for its sample.
func vectorOf(t *testing.T, m *Model, name string) Vector {
	t.Helper()
	f := m.Func(name)
	v := Vector{Func: name, Output: "sums", Text: 3, Step: 1, Bound: 1e-4}
	text := 0
	if f.Text {
		text = v.Text
	}
	err := m.Model.Do(t.Context(), func(s *rt.Session) error {
		r, err := s.Run(f, []rt.Seq{Sample(name, f.Image, text, rttest.Vocab)})
		if err == nil {
			v.Values = slices.Clone(r.Out(0, 0))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCheck(t *testing.T) {
	plain := open(t, nil)
	image, pair := vectorOf(t, plain, "image"), vectorOf(t, plain, "pair")
	check := func(vs any) ([]Checked, error) {
		return open(t, func(in *Input) {
			in.Vectors, _ = json.Marshal(vs)
			if s, ok := vs.(string); ok {
				in.Vectors = []byte(s)
			}
		}).Check(t.Context())
	}
	got, err := check([]Vector{image, pair})
	if err != nil {
		t.Fatal(err)
	}
	want := []Checked{{Func: "image", Output: "sums", Bound: 1e-4}, {Func: "pair", Output: "sums", Bound: 1e-4}}
	if d := cmp.Diff(want, got); d != "" || !got[0].OK() {
		t.Errorf("(-want +got)\n%s", d)
	}

	// A vector with another value fails, and by how much is said.
	wrong := pair
	wrong.Values = []float32{pair.Values[0], pair.Values[1] + 0.5}
	if got, err = check([]Vector{image, wrong}); err != nil || got[1].OK() || math.Abs(got[1].MaxAbs-0.5) > 1e-4 || !got[0].OK() {
		t.Errorf("a wrong vector: %+v, %v", got, err)
	}
	// Every second value alone.
	sparse := pair
	sparse.Step, sparse.Values = 2, pair.Values[:1]
	if got, err = check([]Vector{sparse}); err != nil || !got[0].OK() {
		t.Errorf("a sparse vector: %+v, %v", got, err)
	}

	edit := func(f func(v *Vector)) []Vector {
		v := pair
		f(&v)
		return []Vector{v}
	}
	for _, row := range []struct {
		name string
		vs   any
		want string
	}{
		{"another function", edit(func(v *Vector) { v.Func = "gone" }), "function gone, which the package lacks"},
		{"another output", edit(func(v *Vector) { v.Output = "gone" }), "output gone of pair, which the package lacks"},
		{"too few values", edit(func(v *Vector) { v.Values = v.Values[:1] }), "has 1 values"},
		{"no step", edit(func(v *Vector) { v.Step = 0 }), "a step of 0"},
		{"a text that is too long", edit(func(v *Vector) { v.Text = 1000 }), "the limit is 5"},
		{"no JSON", "{", "golden vectors: "},
	} {
		if _, err := check(row.vs); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got error %v, want one with %q", row.name, err, row.want)
		}
	}
}

// The sample is part of every package's vectors: it must never change.
func TestSampleIsFixed(t *testing.T) {
	s := Sample("vision", 3, 4, 1000)
	if got, want := fmt.Sprint(s.Image, s.IDs), "[-1.6285849 -1.5697286 -1.4811268] [0 988 820 2]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s := Sample("f", 0, 1, 10); len(s.IDs) != 1 || s.IDs[0] != 0 || s.Image != nil {
		t.Errorf("one id: %+v", s)
	}
	if s := Sample("f", 0, 5, 1); !slices.Equal(s.IDs, []int32{0, 0, 0, 0, 0}) {
		t.Errorf("a vocabulary of one: %v", s.IDs)
	}
	for _, x := range Sample("f", 10000, 0, 1).Image {
		if !(x >= -2 && x < 2) {
			t.Fatalf("%v is not in [-2, 2)", x)
		}
	}
}

// Concurrent calls that are packed together have the results and the errors that they have alone.
func TestBatching(t *testing.T) {
	r, err := rttest.Package().New(rt.WithBatching())
	if err != nil {
		t.Fatal(err)
	}
	in := &Input{Pixels: &pixel.Preprocess{Size: 2, Std: [3]float32{1, 1, 1}}, LoadTokens: func() (token.Tokenizer, error) { return letters{}, nil }, MaxText: rttest.Text}
	m, err := in.NewModel(r)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	text, pair := m.Func("text"), m.Func("pair")
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 10 {
				if rows, err := m.Texts(t.Context(), text, []string{"ab", "c"}); err != nil || rows[0][0] != 3 || rows[1][0] != 3 {
					t.Errorf("texts: %v, %v", rows, err)
				}
				if rows, err := m.Pairs(t.Context(), pair, []Pair{{grey(255), "a"}, {grey(0), "b"}}); err != nil || rows[0][0] != 12 || rows[1][1] != 2 {
					t.Errorf("pairs: %v, %v", rows, err)
				}
				if cosine, err := m.Similarities(t.Context(), &Embedders{m.Func("pair"), text}, []Pair{{grey(255), "b"}}); err == nil {
					t.Errorf("a picture without a text: %v", cosine)
				}
				var bad *rt.InputError
				if _, err := m.Texts(t.Context(), text, []string{"a", "\xff"}); !errors.As(err, &bad) || bad.Index != 1 {
					t.Errorf("ids outside: %v", err)
				}
				if rows, err := m.Texts(t.Context(), text, []string{"a", "\xc2"}); !errors.Is(err, rt.ErrNotFinite) || rows[0][0] != 1 || rows[1] != nil {
					t.Errorf("not finite: %v, %v", rows, err)
				}
				if rows, err := m.Texts(t.Context(), text, slices.Repeat([]string{"ab"}, 300)); err != nil || len(rows) != 300 || rows[299][0] != 3 {
					t.Errorf("many texts: %d, %v", len(rows), err)
				}
			}
		})
	}
	all.Wait()
}
