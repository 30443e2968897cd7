package compile

import (
	"cmp"
	"fmt"
	"image"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
)

// ExpectBound is the default bound of the difference from an expected tensor, as a share of its largest value. The error
// of float32 arithmetic is below 6e-6, in PyTorch and here.
const ExpectBound = 2e-5

// maxExpected bounds the inputs of a file of expected tensors.
const maxExpected = 64

// Expected holds inputs and outputs of a model that the user's own implementation of it wrote. An import is checked against
// them, since every other check assumes that the import is right.
//
// Inputs are `image`, f32 [3,S,S] or [N,3,S,S], after preprocessing; `picture`, u8 [H,W,3] or [N,H,W,3], before it; and
// `ids`, integers [T] or [N,T], without padding. Every other tensor is an output of a function of the model, named OUTPUT,
// or FUNCTION.OUTPUT if several functions have it, as the command dump prints it; or the rows before the first layer,
// embed, or after a layer, layers.0 and so on.
type Expected struct {
	path    string
	share   float64 // bound of differences, as a share of a tensor's largest value
	given   [][]float32
	picture []*image.NRGBA
	ids     [][]int32
	want    []expected
}

// expected is a tensor that is not an input.
type expected struct {
	name   string // its name in the file
	dtype  checkpoint.DType
	shape  []int
	values []float32
	fn     *ir.Func // its function in the program with taps
	result string   // its name in that function
}

// ReadExpected reads a safetensors file of expected inputs and outputs. share is the accepted error as a share of a tensor's
// largest value, 0 = ExpectBound.
func (m *Model) ReadExpected(path string, share float64) (*Expected, error) {
	x := &Expected{path: path, share: share}
	if share == 0 {
		x.share = ExpectBound
	}
	if !(x.share > 0 && x.share < 1) {
		return nil, fmt.Errorf("the bound of expected tensors is %v, want a number between 0 and 1, such as %v", share, ExpectBound)
	}
	src, err := checkpoint.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	for _, t := range src.Tensors() {
		var err error
		switch t.Name {
		case "image":
			err = x.readImage(m, src, t)
		case "picture":
			err = x.readPicture(m, src, t)
		case "ids":
			err = x.readIDs(m, src, t)
		default:
			w := expected{name: t.Name, dtype: t.DType, shape: t.Shape}
			w.values, err = checkpoint.Load(src, t.Name)
			x.want = append(x.want, w)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(x.want, func(a, b expected) int { return compareNames(a.name, b.name) })
	if x.given == nil && x.picture == nil && x.ids == nil {
		return nil, fmt.Errorf("%s: no input; want image (f32, after preprocessing), picture (u8, height x width x 3, before it) or ids", file.Quote(path))
	}
	if a, b := len(x.given), len(x.picture); a > 0 && b > 0 && a != b {
		return nil, fmt.Errorf("%s: got %d of image and %d of picture, want the same pictures before and after preprocessing", file.Quote(path), a, b)
	}
	if len(x.want) == 0 && (x.given == nil || x.picture == nil) {
		return nil, fmt.Errorf("%s: only inputs; want outputs of your model too, such as vision_cls or layers.0", file.Quote(path))
	}
	return x, nil
}

// compareNames orders names part by part, numbers by their value: layers.2 is before layers.10.
func compareNames(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		m, err := strconv.Atoi(a)
		n, err2 := strconv.Atoi(b)
		if err == nil && err2 == nil {
			return cmp.Compare(m, n)
		}
		return cmp.Compare(a, b)
	})
}

// rows splits a shape into the number of rows and the shape of a row: rank axes, with or without one more before them.
func (x *Expected) rows(t checkpoint.Info, rank int, what string) (n int, row []int, err error) {
	n, row = 1, t.Shape
	if len(row) == rank+1 {
		n, row = row[0], row[1:]
	}
	if len(row) != rank || n < 1 || n > maxExpected || t.Len() == 0 {
		return 0, nil, fmt.Errorf("%s: %s is %v, want %s, or a batch of 1 to %d of them", file.Quote(x.path), t.Name, t, what, maxExpected)
	}
	return n, row, nil
}

func (x *Expected) readImage(m *Model, src checkpoint.Source, t checkpoint.Info) error {
	s := m.Desc.Structure()
	p := s.Image()
	if p == nil {
		return fmt.Errorf("%s: image: the model takes no pictures; leave it out", file.Quote(x.path))
	}
	what := fmt.Sprintf("f32[%d,%d,%d]", p.Channels, p.Height, p.Width)
	n, row, err := x.rows(t, 3, what)
	if err != nil {
		return err
	}
	if !t.DType.Float() || !slices.Equal(row, []int{p.Channels, p.Height, p.Width}) {
		return fmt.Errorf("%s: image is %v, want %s: a picture after preprocessing", file.Quote(x.path), t, what)
	}
	f, err := checkpoint.Load(src, t.Name)
	if err != nil {
		return err
	}
	for f := range slices.Chunk(f, len(f)/n) {
		x.given = append(x.given, f)
	}
	return nil
}

func (x *Expected) readPicture(m *Model, src checkpoint.Source, t checkpoint.Info) error {
	const what = "u8[height,width,3]"
	n, row, err := x.rows(t, 3, what)
	if err != nil {
		return err
	}
	opt, err := m.CodeOptions()
	if err != nil {
		return err
	}
	limit := opt.MaxPixels
	if limit == 0 {
		limit = imagefile.DefaultMaxPixels
	}
	if t.DType != checkpoint.U8 || row[2] != 3 || row[0] > limit/row[1] {
		return fmt.Errorf("%s: picture is %v, want %s, of at most %d pixels: a picture before preprocessing", file.Quote(x.path), t, what, limit)
	}
	if opt.Pixels == nil {
		return fmt.Errorf("%s: picture: the model takes no colour pictures; leave it out", file.Quote(x.path))
	}
	raw := make([]byte, t.Len())
	if err := src.Read(t.Name, 0, raw); err != nil {
		return err
	}
	for rgb := range slices.Chunk(raw, len(raw)/n) {
		img := image.NewNRGBA(image.Rect(0, 0, row[1], row[0]))
		for i := range len(rgb) / 3 {
			copy(img.Pix[4*i:], rgb[3*i:3*i+3])
			img.Pix[4*i+3] = 255
		}
		x.picture = append(x.picture, img)
	}
	return nil
}

func (x *Expected) readIDs(m *Model, src checkpoint.Source, t checkpoint.Info) error {
	_, row, err := x.rows(t, 1, "integers[T]")
	if err != nil {
		return err
	}
	if t.DType == checkpoint.Bool {
		return fmt.Errorf("%s: ids is %v, want integers", file.Quote(x.path), t)
	}
	ids, err := checkpoint.LoadInts(src, t.Name)
	if err != nil {
		return err
	}
	var lists [][]int32
	for list := range slices.Chunk(ids, row[0]) {
		var seq []int32
		for _, id := range list {
			if id != int64(int32(id)) {
				return fmt.Errorf("%s: ids: got %d, want a token id", file.Quote(x.path), id)
			}
			seq = append(seq, int32(id))
		}
		lists = append(lists, seq)
	}
	r, err := m.Reader()
	if err == nil {
		_, err = r.Read(nil, nil, lists)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file.Quote(x.path), err)
	}
	x.ids = lists
	return nil
}

// images returns the preprocessed images: the ones in the file, or else its pictures preprocessed by p.
func (x *Expected) images(p *pixel.Preprocess) ([][]float32, error) {
	if x.given != nil {
		return x.given, nil
	}
	return x.made(p)
}

// made returns the pictures as p preprocesses them.
func (x *Expected) made(p *pixel.Preprocess) ([][]float32, error) {
	var all [][]float32
	for _, img := range x.picture {
		f, err := p.Append(nil, img, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: picture: %w", file.Quote(x.path), err)
		}
		all = append(all, f)
	}
	return all, nil
}

// takes reports whether the file has all inputs of a function, and returns the number of inputs and the size of the batch.
// An input of batch size one goes with every element of the other inputs.
func (x *Expected) takes(f *ir.Func) (n, batch int, ok bool) {
	if f.Stores() {
		return 0, 0, false
	}
	for _, p := range f.Params {
		rows := 0
		switch {
		case p.Type.DType == ir.I32:
			rows = len(x.ids)
		case p.Name == "image":
			rows = max(len(x.given), len(x.picture))
		}
		if rows == 0 || rows > 1 && batch > 1 && rows != batch {
			return 0, 0, false
		}
		n, batch = n+1, max(batch, rows)
	}
	return n, batch, n > 0
}

// batch returns the number of inputs, of those in the file, that function f is run on.
func (x *Expected) batch(f *ir.Func) int {
	_, n, _ := x.takes(f)
	return n
}

// tapName returns the name that a result of a program with taps has for a tensor in a file of expected tensors: layers.N.ffn
// for layers.N, the same name for any other.
func tapName(name string) string {
	if n, ok := strings.CutPrefix(name, "layers."); ok {
		if _, err := strconv.Atoi(n); err == nil {
			return name + ".ffn"
		}
	}
	return name
}

// isTap reports whether a result of a program with taps is the rows before or after a layer.
func isTap(result string) bool { return result == "embed" || strings.HasPrefix(result, "layers.") }

// AddTo adds the inputs to samples.
func (x *Expected) AddTo(m *Model, s *inputs.Samples) error {
	opt, err := m.CodeOptions()
	if err != nil {
		return err
	}
	images, err := x.images(opt.Pixels)
	if err != nil {
		return err
	}
	name := filepath.Base(x.path)
	for _, f := range images {
		s.Images = append(s.Images, inputs.Image{Name: name, Pixels: f})
	}
	for _, ids := range x.ids {
		s.Texts = append(s.Texts, inputs.Text{Name: name, IDs: ids})
	}
	return nil
}

// text is the number of token ids, 1 in a file without ids.
func (x *Expected) text() int {
	if x.ids == nil {
		return 1
	}
	return len(x.ids[0])
}

// work returns the FLOPs of a function of p on all inputs.
func (x *Expected) work(p *ir.Program, fn string) int64 {
	f := p.Func(fn)
	return int64(x.batch(f)) * ir.FuncCost(p, f, x.text()).FLOPs
}

// fits reports whether a tensor of the file has the shape of the result v of f, apart from axes of size 1.
func (x *Expected) fits(w *expected, f *ir.Func, v *ir.Value) bool {
	some := func(shape []int) []int {
		return slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })
	}
	have, want := some(w.shape), some(v.Type.At(x.text()))
	if n := x.batch(f); n > 1 {
		want = append([]int{n}, want...)
	}
	return slices.Equal(have, want)
}

// resolve finds the function and the result that each tensor belongs to, in a program with taps.
func (x *Expected) resolve(p *ir.Program) error {
	var able []*ir.Func
	for _, f := range p.Funcs {
		if _, _, ok := x.takes(f); ok {
			able = append(able, f)
		}
	}
	for i := range x.want {
		w := &x.want[i]
		most := -1
		var found []*ir.Func
		shape := "" // the shape of a result of that name
		for _, f := range able {
			name := tapName(strings.TrimPrefix(w.name, f.Name+"."))
			at := slices.IndexFunc(f.Results, func(v *ir.Value) bool { return v.Name == name })
			if at < 0 {
				continue
			}
			v := f.Results[at]
			n, batch, _ := x.takes(f)
			if !x.fits(w, f, v) {
				shape = fmt.Sprintf("%v, as in function %s", v.Type, f.Name)
				if batch > 1 {
					shape = fmt.Sprintf("%d times %s", batch, shape)
				}
				continue
			}
			whole := strings.HasPrefix(w.name, f.Name+".")
			switch {
			case whole:
				found, most = []*ir.Func{f}, math.MaxInt
			case n > most:
				found, most = []*ir.Func{f}, n
			case n == most && !(isTap(name) && sameTrunk(found[0], f)):
				found = append(found, f)
			}
			if found[len(found)-1] == f {
				w.result = name
			}
		}
		switch {
		case len(found) == 1:
			w.fn = found[0]
		case len(found) > 1:
			var names []string
			for _, f := range found {
				names = append(names, f.Name+"."+w.name)
			}
			return fmt.Errorf("%s: several functions have an output %s; name the tensor %s", file.Quote(x.path), file.Quote(w.name), strings.Join(names, " or "))
		case shape != "":
			return fmt.Errorf("%s: %s is %v, want %s (with N before it for a batch of N; axes of size 1 do not matter)%s", file.Quote(x.path), file.Quote(w.name), w.shape, shape, x.lacks(p))
		default:
			var names []string
			for _, f := range able {
				for _, v := range f.Results {
					if !isTap(v.Name) {
						names = append(names, f.Name+"."+v.Name)
					}
				}
			}
			return fmt.Errorf("%s: got tensor %s, want an output for these inputs (%s), embed, or layers.0 to layers.%d of one of their functions; another task of the description has other outputs%s",
				file.Quote(x.path), file.Quote(w.name), strings.Join(names, ", "), len(tapsOf(p))-1, x.lacks(p))
		}
	}
	return nil
}

// lacks names the inputs of a program's functions that the file does not have.
func (x *Expected) lacks(p *ir.Program) string {
	var all []string
	for _, f := range p.Funcs {
		for _, v := range f.Params {
			name := ""
			switch {
			case v.Type.DType == ir.I32 && x.ids == nil:
				name = "ids"
			case v.Name == "image" && x.given == nil && x.picture == nil:
				name = "image or picture"
			}
			if name != "" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	if all == nil {
		return ""
	}
	return "; the file has no " + strings.Join(all, ", and no ")
}

// sameTrunk reports whether two functions have the same rows in all layers, which functions of the same inputs have.
func sameTrunk(a, b *ir.Func) bool {
	return slices.EqualFunc(a.Params, b.Params, func(p, q *ir.Value) bool { return p.Name == q.Name })
}

// tapsOf lists the results before and after layers in a program with taps.
func tapsOf(p *ir.Program) []string {
	var names []string
	for _, f := range p.Funcs {
		for _, v := range f.Results {
			if strings.HasSuffix(v.Name, ".ffn") && !slices.Contains(names, v.Name) {
				names = append(names, v.Name)
			}
		}
	}
	return names
}

// functions lists the functions that expected tensors belong to, once each.
func (x *Expected) functions(of func(w *expected) bool) []string {
	var names []string
	for i := range x.want {
		if w := &x.want[i]; of(w) && !slices.Contains(names, w.fn.Name) {
			names = append(names, w.fn.Name)
		}
	}
	return names
}

// checked finds the functions of the tensors in the entries' program, and returns that program with the rows after each
// layer as results.
//
// Functions that write captions take one token at a time and have a state, unlike the user's code. In their place it takes the
// function that computes all rows of a text at once.
func (m *Model) checked(x *Expected, entries []string) (*ir.Program, error) {
	functions, err := m.Desc.Whole(entries)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range functions {
		names = append(names, f.Name)
	}
	p, _, err := m.WithTaps().Lower(names)
	if err != nil {
		return nil, err
	}
	return p, x.resolve(p)
}
