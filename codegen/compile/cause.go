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

// finding is the comparison of a tensor of the file.
type finding struct {
	Result
	tensor string // its name in the file
	peak   float64
	at     int // its index in want
}

// differs returns the error about tensors that differ from the expected ones.
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
	text := fmt.Sprintf("the model's results differ from %s:\n%s\n", file.Quote(x.path), strings.Join(lines, "\n"))
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
	if m.Desc.Structure().Towers != nil && strings.HasPrefix(first.Output, "layers.0") {
		text += "Usual causes: the activation (act), "
	} else {
		text += "Usual causes: "
	}
	return errors.New(text + x.causes(first))
}

// first returns the earliest finding in the model, in the order: image, rows before the layers, rows after each layer, outputs.
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
			return math.MaxInt // a comparison at another precision than f32
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
			return fmt.Sprintf("%s is %v in the file, which explains the difference; save tensors that your code computes in float32 (model.float()), or give --expect-bound %.2g",
				file.Quote(f.tensor), t, 2*coarse[t])
		}
	}
	switch {
	case f.Rows > 0:
		return "the precision: the model at f32 is as expected, and another precision may be more accurate"
	case f.tensor == "image":
		return "mean, std or resize of preprocess in the description; colours in another order than RGB; a picture of another file"
	case f.Output == "embed":
		return pictures + "positions that were resized (interpolate), ids with padding, a picture of another size, or weights of another file"
	case strings.HasPrefix(f.Output, "layers.0"):
		return pictures + "the number of heads (sizes.heads), the epsilon of norms (sizes.eps), a layer scale (sizes.scale), ids with padding, " + mode
	case strings.HasPrefix(f.Output, "layers."):
		return "experts of pairs in top layers (sizes.vl_layers), the order of picture and text, a layer that your code leaves out, or " + mode
	case slices.ContainsFunc(x.want, func(w expected) bool { return isTap(w.result) && w.fn.Name == f.Func }):
		return "what comes after the last layer: the final norm (tasks: [encode: {norm: false}]), the head of another task, rows that your code takes from another position, a vector that it does not scale to length 1"
	}
	return pictures + "the number of heads (sizes.heads), the epsilon of norms (sizes.eps), a layer scale (sizes.scale), the final norm, ids with padding, or " + mode + ". Write the rows after each layer into the file too, as README shows: the error then names the first layer that differs"
}

// coarse is the largest rounding error of a type, as a share of a number.
var coarse = map[checkpoint.DType]float64{checkpoint.F16: 0x1p-11, checkpoint.BF16: 0x1p-8}

// maxTrials bounds the work of looking for a cause, as a multiple of the work of a quick check.
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
	changes := append(epsilons(m.Desc), changes(m.Desc)...)
	p, err := m.changed(func(*model.Description) {}, w)
	if err != nil || !m.quick(x.work(p, w.fn.Name)*int64(len(changes)+len(ways))/maxTrials) {
		return "", err
	}
	log("looking for the cause: %d changes of the description, in the float64 interpreter", len(changes)+len(ways))
	agrees := func(images [][]float32, edit func(d *model.Description)) bool {
		p, err := m.changed(edit, w)
		if err != nil {
			return false // the description does not fit the checkpoint
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

// written describes a change and where in the description to make it.
func (m *Model) written(c change) string {
	at := cmp.Or(c.at, "among the `sizes` of the description")
	if m.Desc.Preset != "" {
		return fmt.Sprintf("`%s` %s (and `family: %s` and all other sizes in place of `preset`)", c.what, at, m.Desc.Family)
	}
	return fmt.Sprintf("`%s` %s", c.what, at)
}

// nearer returns an error if a tensor is within the bound, but several times closer with another epsilon: a wrong epsilon
// changes large rows by less than the bound. It looks for none if the user gave a larger bound.
func (m *Model) nearer(x *Expected, images [][]float32, log func(format string, args ...any)) error {
	if x.share > ExpectBound {
		return nil
	}
	const times = 5
	at := slices.IndexFunc(x.want, func(w expected) bool { return w.result == "layers.0.ffn" })
	if at < 0 {
		at = slices.IndexFunc(x.want, func(w expected) bool { return w.result != "embed" })
	}
	if at < 0 {
		return nil
	}
	w := &x.want[at]
	distance := func(edit func(d *model.Description)) (float64, error) {
		p, err := m.changed(edit, w)
		if err != nil {
			return 0, err
		}
		all, err := x.compare(interpreted(p), images, func(o *expected) bool { return o == w })
		if err != nil {
			return 0, err
		}
		return math.Sqrt(all[at].squares), nil
	}
	p, err := m.changed(func(*model.Description) {}, w)
	if err != nil || !m.quick(x.work(p, w.fn.Name)) {
		return err
	}
	log("checking that no other epsilon of the norms fits better")
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
			return fmt.Errorf("the model's results differ from %s: %s is within the bound, but %.0f times closer with %s, so the epsilon of norms is probably wrong",
				file.Quote(x.path), file.Quote(w.name), here/there, m.written(c))
		}
	}
	return nil
}

// changed lowers a tensor's function from a changed description, with the rows after each layer as results, as far as the
// tensor needs them.
func (m *Model) changed(edit func(d *model.Description), w *expected) (*ir.Program, error) {
	other := *m.Desc
	other.Preset = ""
	other.Long.Towers = slices.Clone(other.Long.Towers)
	edit(&other)
	c := *m
	c.Desc = &other
	if strings.HasPrefix(w.result, "layers.0.") || w.result == "embed" {
		c.Desc = other.Cut(1)
	}
	p, _, err := c.WithTaps().Lower([]string{w.fn.Name})
	return p, err
}

// change is another value for one of a description's sizes.
type change struct {
	what string // the field and its value
	at   string // where in the description; "": among the sizes
	edit func(d *model.Description)
}

// epsilons lists the changes of a description's epsilons to other values that published models have.
func epsilons(d *model.Description) []change {
	var all []change
	for _, eps := range []float64{1e-5, 1e-6, 1e-12} {
		what := "eps: " + strconv.FormatFloat(eps, 'e', 1, 64)
		for i, t := range d.Long.Towers {
			if eps != t.Eps {
				all = append(all, change{what, inTower(t.Name), func(d *model.Description) { d.Long.Towers[i].Eps = eps }})
			}
		}
		if d.Long.Towers == nil && eps != d.Sizes.Eps {
			all = append(all, change{what, "", func(d *model.Description) { d.Sizes.Eps = eps }})
		}
	}
	return all
}

// inTower is where a tower's fields are.
func inTower(name string) string { return "in the tower " + file.Quote(name) + " of the description" }

// changes lists the keys of a description that the tensors of a checkpoint cannot tell, each with its other values.
func changes(d *model.Description) []change {
	var all []change
	// tower adds the other numbers of heads and the other activations of one tower, whose rows have dim columns. get returns
	// where a description has the two; act is nil if the activation cannot be changed.
	tower := func(dim int, at string, get func(d *model.Description) (heads *int, act *string)) {
		has, does := get(d)
		for heads := 1; heads <= dim && heads <= 128; heads++ {
			if dim%heads == 0 && heads != *has {
				all = append(all, change{fmt.Sprintf("heads: %d", heads), at, func(d *model.Description) { p, _ := get(d); *p = heads }})
			}
		}
		if does == nil {
			return
		}
		for _, a := range ir.Activations {
			if a.Name != cmp.Or(*does, ir.Activations[0].Name) {
				all = append(all, change{"act: " + a.Name, at, func(d *model.Description) { _, p := get(d); *p = a.Name }})
			}
		}
	}
	for i, t := range d.Long.Towers {
		tower(t.Dim, inTower(t.Name), func(d *model.Description) (*int, *string) { t := &d.Long.Towers[i]; return &t.Heads, &t.Act })
	}
	switch {
	case d.Long.Towers != nil:
	case d.Sizes.Text.Dim > 0:
		tower(d.Sizes.Dim, "", func(d *model.Description) (*int, *string) { return &d.Sizes.Heads, &d.Sizes.Act })
		tower(d.Sizes.Text.Dim, "in `text` among the `sizes` of the description", func(d *model.Description) (*int, *string) { return &d.Sizes.Text.Heads, &d.Sizes.Text.Act })
	default:
		if d.Family != "" && !d.Sizes.Scale {
			all = append(all, change{"scale: true", "", func(d *model.Description) { d.Sizes.Scale = true }})
		}
		tower(d.Sizes.Dim, "", func(d *model.Description) (*int, *string) { return &d.Sizes.Heads, nil })
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

// way is another preprocessing of the pictures.
type way struct {
	what string // the change, and where to make it
	p    *pixel.Preprocess
	of   *Expected // its pictures
}

// otherWays lists preprocessings that differ from the description's; none if the file has no pictures.
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
			draft := ""
			if q.Draft {
				draft = ", draft: true"
			}
			what := fmt.Sprintf("`preprocess: {resize: %v, mean: %s, std: %s, alpha: %v, filter: %v, offset: %v, rgb: %v%s}`, all of it, in the description",
				q.Resize, numbers(q.Mean), numbers(q.Std), q.Alpha, q.Filter, q.Offset, q.Order, draft)
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

// exchanged returns x with red and blue exchanged in its pictures.
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
