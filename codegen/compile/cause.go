package compile

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/model"
)

// finding is a tensor that is not as expected.
type finding struct {
	Result
	tensor string // in the file
	peak   float64
	at     int // in want
}

// differs is the error about tensors that are not as expected.
func (m *Model) differs(x *Expected, bad []finding, images [][]float32, log func(format string, args ...any)) error {
	var lines []string
	for i, f := range bad {
		if i == 12 {
			lines = append(lines, fmt.Sprintf("and %d more", len(bad)-i))
			break
		}
		lines = append(lines, f.String())
	}
	first := x.first(bad)
	text := fmt.Sprintf("the model does not compute what %s holds:\n%s\n", file.Quote(x.path), strings.Join(lines, "\n"))
	if first.tensor != "" {
		share := ""
		if first.peak > 0 {
			share = fmt.Sprintf(" by %.2g of its largest value", first.MaxAbs/first.peak)
		}
		text += fmt.Sprintf("%s of %s differs first%s. ", strings.TrimSuffix(first.Output, ".ffn"), first.Func, share)
	}
	found, err := m.cause(x, first, images, log)
	if err != nil {
		return err
	}
	if found != "" {
		return errors.New(text + "It is as expected with " + found)
	}
	return errors.New(text + "Usual causes: " + x.causes(first))
}

// first returns the finding that comes first in the model: the image, the rows before the layers, those after them, outputs.
func (x *Expected) first(bad []finding) finding {
	rank := func(f finding) int {
		var n int
		switch {
		case f.tensor == "image":
			return -2
		case f.Output == "embed":
			return -1
		case strings.HasPrefix(f.Output, "layers."):
			fmt.Sscanf(f.Output, "layers.%d", &n)
			return 2*n + strings.Count(f.Output, ".") - 1
		case f.Rows > 0:
			return math.MaxInt // the precision's
		}
		return math.MaxInt - 1
	}
	return slices.MinFunc(bad, func(a, b finding) int { return cmp.Compare(rank(a), rank(b)) })
}

// causes lists the usual reasons why a tensor differs.
func (x *Expected) causes(f finding) string {
	pictures := ""
	if x.given == nil && x.picture != nil {
		pictures = "preprocess (mean, std, resize), since the file has `picture` and no `image`; "
	}
	const mode = "dropout that was on (model.eval()), a model in half precision (model.float(), or --expect-bound 0.01), or weights of another file"
	if f.tensor != "" && f.tensor != "image" {
		if t := x.want[f.at].dtype; f.MaxAbs <= coarse[t]*f.peak {
			return fmt.Sprintf("%s is %v in the file, which is that coarse; save what your code computes in float32 (model.float()), or give --expect-bound %.2g",
				file.Quote(f.tensor), t, 2*coarse[t])
		}
	}
	switch {
	case f.Rows > 0:
		return "the precision: the model at f32 is as expected, and another one may be nearer"
	case f.tensor == "image":
		return "mean, std or resize of preprocess in the description; colours in another order than RGB; a picture of another file"
	case f.Output == "embed":
		return pictures + "positions that were resized (interpolate), ids with padding, a picture of another size, or weights of another file"
	case strings.HasPrefix(f.Output, "layers.0"):
		return pictures + "the number of heads (sizes.heads), the epsilon of norms (sizes.eps), a layer scale (sizes.scale), ids with padding, " + mode
	case strings.HasPrefix(f.Output, "layers."):
		return "experts of pairs in top layers (sizes.vl_layers), the order of picture and text, a layer that your code leaves out, or " + mode
	case slices.ContainsFunc(x.want, func(w expected) bool { return isTap(w.result) && w.fn.Name == f.Func }):
		return "what comes after the last layer: the final norm (tasks: [encode: {norm: false}]), the head of another task, rows that your code takes of another place, a vector that it does not scale to length 1"
	}
	return pictures + "the number of heads (sizes.heads), the epsilon of norms (sizes.eps), a layer scale (sizes.scale), the final norm, ids with padding, or " + mode + ". Write the rows after each layer into the file too, as README shows: the first that differs is named then"
}

// coarse is how far off numbers of a type are, as a share of the largest, at most.
var coarse = map[checkpoint.DType]float64{checkpoint.F16: 0x1p-11, checkpoint.BF16: 0x1p-8}

// maxTrials bounds the work of looking for a cause, as a multiple of the interpreter's work in a quick check.
const maxTrials = 10

// cause looks for a single change to the description with which the first tensor that differs becomes as expected. It
// returns the change and where to make it, or "". images are the inputs of the model.
func (m *Model) cause(x *Expected, f finding, images [][]float32, log func(format string, args ...any)) (string, error) {
	if f.Rows > 0 {
		return "", nil
	}
	ways, err := m.otherWays(x)
	if err != nil {
		return "", err
	}
	if f.tensor == "image" {
		for _, w := range ways {
			if r := w.of.preprocessing(w.p); r.OK() {
				return w.what, nil
			}
		}
		return "", nil
	}
	w := &x.want[f.at]
	d := m.Desc
	if strings.HasPrefix(w.result, "layers.0.") || w.result == "embed" {
		d = d.Cut(1) // later layers do not matter
	}
	changes := append(epsilons(m.Desc), changes(m.Desc)...)
	p, err := m.changed(d, func(*model.Description) {}, w)
	if err != nil || !m.quick(x.work(p, w.fn.Name)*int64(len(changes)+len(ways))/maxTrials) {
		return "", err
	}
	log("looking for the cause: %d changes of the description, in the float64 interpreter", len(changes)+len(ways))
	agrees := func(images [][]float32, edit func(d *model.Description)) bool {
		p, err := m.changed(d, edit, w)
		if err != nil {
			return false // it is no model of this checkpoint
		}
		all, err := x.compare(interpreted(p), images, func(o *expected) bool { return o == w })
		return err == nil && all[f.at] != nil && x.ok(all[f.at])
	}
	if x.given == nil {
		for _, w := range ways {
			made, err := w.of.made(w.p)
			if err != nil {
				return "", err
			}
			if agrees(made, func(*model.Description) {}) {
				return w.what, nil
			}
		}
	}
	for _, c := range changes {
		if agrees(images, c.edit) {
			return m.written(c), nil
		}
	}
	return "", nil
}

// written says where a change goes: among the sizes that are there.
func (m *Model) written(c change) string {
	if m.Desc.Preset != "" {
		return fmt.Sprintf("`%s` among the `sizes` of the description (and `family: %s` and all other sizes in place of `preset`)", c.what, m.Desc.Family)
	}
	return fmt.Sprintf("`%s` among the `sizes` of the description", c.what)
}

// nearer is an error if another epsilon is several times as near to a tensor that is as expected: where rows are large, a
// wrong one changes them by less than the bound. A user who asks for a larger bound accepts that.
func (m *Model) nearer(x *Expected, images [][]float32, log func(format string, args ...any)) error {
	if x.share > ExpectBound {
		return nil
	}
	const times = 5
	at := slices.IndexFunc(x.want, func(w expected) bool { return w.result == "layers.0.ffn" })
	d := m.Desc
	if at >= 0 {
		d = d.Cut(1)
	} else if at = slices.IndexFunc(x.want, func(w expected) bool { return w.result != "embed" }); at < 0 {
		return nil
	}
	w := &x.want[at]
	distance := func(edit func(d *model.Description)) (float64, error) {
		p, err := m.changed(d, edit, w)
		if err != nil {
			return 0, err
		}
		all, err := x.compare(interpreted(p), images, func(o *expected) bool { return o == w })
		if err != nil {
			return 0, err
		}
		return math.Sqrt(all[at].squares), nil
	}
	p, err := m.changed(d, func(*model.Description) {}, w)
	if err != nil || !m.quick(x.work(p, w.fn.Name)) {
		return err
	}
	log("looking whether another epsilon is nearer")
	here, err := distance(func(*model.Description) {})
	if err != nil {
		return err
	}
	for _, c := range epsilons(m.Desc) {
		there, err := distance(c.edit)
		if err != nil {
			return err
		}
		if times*there < here {
			return fmt.Errorf("the model does not compute what %s holds: its %s is within the bound, but %.0f times nearer with %s; the epsilon of norms is another",
				file.Quote(x.path), file.Quote(w.name), here/there, m.written(c))
		}
	}
	return nil
}

// changed lowers the function of a tensor as a changed description has it, with its taps.
func (m *Model) changed(d *model.Description, edit func(d *model.Description), w *expected) (*ir.Program, error) {
	other := *d
	other.Preset = ""
	other.Long.Layers = slices.Clone(d.Long.Layers)
	edit(&other)
	c := *m
	c.Desc = &other
	p, _, err := c.WithTaps().Lower([]string{w.fn.Name})
	return p, err
}

// change is one of a description's sizes.
type change struct {
	what string // the field and its value
	edit func(d *model.Description)
}

// epsilons lists other ones that people use.
func epsilons(d *model.Description) []change {
	var all []change
	for _, eps := range []float64{1e-5, 1e-6, 1e-12} {
		if eps != d.Sizes.Eps {
			all = append(all, change{"eps: " + strconv.FormatFloat(eps, 'e', 1, 64), func(d *model.Description) { d.Sizes.Eps = eps }})
		}
	}
	return all
}

// changes lists the keys of a description that the tensors of a checkpoint cannot tell, each with its other values.
func changes(d *model.Description) []change {
	var all []change
	if d.Family != "" && !d.Sizes.Scale {
		all = append(all, change{"scale: true", func(d *model.Description) {
			if d.Family != "" {
				d.Sizes.Scale = true
			}
			for i := range d.Long.Layers {
				d.Long.Layers[i].Scale = true
			}
		}})
	}
	for heads := 1; heads <= d.Sizes.Dim && heads <= 128; heads++ {
		if d.Sizes.Dim%heads == 0 && heads != d.Sizes.Heads {
			all = append(all, change{fmt.Sprintf("heads: %d", heads), func(d *model.Description) { d.Sizes.Heads = heads }})
		}
	}
	return all
}

// scale is a mean and a standard deviation.
type scale [2][3]float32

// usual lists the means and deviations that people use.
var usual = []scale{
	{{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
	{{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},                              // ImageNet
	{{0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}}, // CLIP
	{{}, {1, 1, 1}},
}

// way is another one to prepare pictures.
type way struct {
	what string // where it is
	p    *pixel.Preprocess
	of   *Expected // its pictures
}

// otherWays lists those than the description's, none if there are no pictures.
func (m *Model) otherWays(x *Expected) ([]way, error) {
	if x.picture == nil {
		return nil, nil
	}
	opt, err := m.CodeOptions()
	if err != nil {
		return nil, err
	}
	p := *opt.Pixels
	own, exchanged := scale{p.Mean, p.Std}, scale{p.Std, p.Mean}
	var all []way
	for _, mode := range []pixel.Mode{p.Resize, pixel.Stretch, pixel.Crop} {
		for _, s := range append([]scale{own, exchanged}, usual...) {
			q := p
			q.Resize, q.Mean, q.Std = mode, s[0], s[1]
			if q == p || q.Check() != nil || slices.ContainsFunc(all, func(w way) bool { return *w.p == q }) {
				continue
			}
			what := fmt.Sprintf("`preprocess: {resize: %v, mean: %s, std: %s, alpha: %v, filter: %v, offset: %v, rgb: %v}`, all of it, in the description",
				q.Resize, numbers(q.Mean), numbers(q.Std), q.Alpha, q.Filter, q.Offset, q.Order)
			switch {
			case s != exchanged || slices.Contains(usual, s):
			case slices.Contains(usual, own):
				what = "mean and std exchanged, as your code seems to have them: the description's are usual values"
			default:
				what += ", which exchanges mean and std; or your code has them exchanged"
			}
			all = append(all, way{what, &q, x})
		}
	}
	const order = "red and blue of `picture` exchanged: store it as red, green, blue (of OpenCV: picture[..., ::-1].copy()). If it is so already, " +
		"your code feeds the model blue, green, red, which no description can say"
	other := x.exchanged()
	for _, s := range []scale{own, {backwards(own[0]), backwards(own[1])}} {
		q := p
		q.Mean, q.Std = s[0], s[1]
		all = append(all, way{order, &q, other})
	}
	return all, nil
}

func numbers(v [3]float32) string { return strings.ReplaceAll(fmt.Sprint(v), " ", ", ") }

func backwards(v [3]float32) [3]float32 { return [3]float32{v[2], v[1], v[0]} }

// exchanged is x with red and blue of its pictures exchanged.
func (x *Expected) exchanged() *Expected {
	y := *x
	y.picture = nil
	for _, p := range x.picture {
		q := image.NewNRGBA(p.Rect)
		for i := 0; i < len(q.Pix); i += 4 {
			q.Pix[i], q.Pix[i+1], q.Pix[i+2], q.Pix[i+3] = p.Pix[i+2], p.Pix[i+1], p.Pix[i], p.Pix[i+3]
		}
		y.picture = append(y.picture, q)
	}
	return &y
}
