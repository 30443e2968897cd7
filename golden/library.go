package golden

import (
	"errors"
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
)

// libraries runs the cases that have no model, by task. They run once.
var libraries = map[string]func(c *checker, cs *cases.Case) error{
	"posinterp":  posinterp,
	"preprocess": preprocess,
	"tokenizer":  tokenizer,
}

// library is the engine of these cases, as lines name it.
const library = "lib"

func preprocess(c *checker, cs *cases.Case) error { return tensors(c, cs, pixels) }
func posinterp(c *checker, cs *cases.Case) error  { return tensors(c, cs, positions) }

// tensors compares the outputs of compute for each run with the case, in the case's own shapes.
func tensors(c *checker, cs *cases.Case, compute func(*cases.Case, *cases.Run) (map[string][]float32, error)) error {
	for i := range cs.Runs {
		r := &cs.Runs[i]
		got, err := compute(cs, r)
		for _, name := range r.OutputNames() {
			l := Line{Case: cs.Name, Run: r.Name, Output: name, Engine: library}
			l.judge(err, func() (cases.Result, error) {
				if got[name] == nil {
					return cases.Result{}, errors.New("nothing computes this output")
				}
				ref, err := cs.Reference(r, name)
				if err != nil {
					return cases.Result{}, err
				}
				return ref.CompareAll(got[name])
			})
			c.add(l)
		}
	}
	return nil
}

// pixels preprocesses the picture of a run: the bytes after the resize, the tensor.
func pixels(cs *cases.Case, r *cases.Run) (map[string][]float32, error) {
	modes := map[string]pixel.Mode{"preprocess_square": pixel.Stretch, "preprocess_stretch": pixel.Stretch, "preprocess_crop": pixel.Crop}
	mode, ok := modes[r.Kind]
	if !ok {
		return nil, fmt.Errorf("kind %s is not built yet", r.Kind)
	}
	p := &pixel.Preprocess{Size: r.Size, Resize: mode}
	filter, ok1 := map[string]pixel.Filter{"": pixel.Bicubic, "bicubic": pixel.Bicubic, "bilinear": pixel.Bilinear}[r.Filter]
	offset, ok2 := map[string]pixel.Offset{"": pixel.Even, "half_even": pixel.Even, "floor": pixel.Floor}[r.CropOffset]
	order, ok3 := map[string]pixel.Order{"": pixel.ConvertFirst, "first": pixel.ConvertFirst, "last": pixel.ConvertLast}[r.ConvertRGB]
	if !ok1 || !ok2 || !ok3 {
		return nil, fmt.Errorf("filter %q, crop_offset %q or convert_rgb %q is not built yet", r.Filter, r.CropOffset, r.ConvertRGB)
	}
	p.Filter, p.Offset, p.Order = filter, offset, order
	if order == pixel.ConvertLast {
		p.Alpha = pixel.Drop
	}
	if len(r.Mean) != 3 || len(r.Std) != 3 {
		return nil, fmt.Errorf("mean and std have %d and %d values, want 3 each", len(r.Mean), len(r.Std))
	}
	copy(p.Mean[:], r.Mean)
	copy(p.Std[:], r.Std)
	path, err := cs.Path(r.Inputs["file"])
	if err != nil {
		return nil, err
	}
	img, _, err := imagefile.File(path, imagefile.Options{})
	if err != nil {
		return nil, err
	}
	var square pixel.RGB
	if err := p.Square(&square, img, nil); err != nil {
		return nil, err
	}
	resized := make([]float32, len(square.Pix))
	for i, b := range square.Pix {
		resized[i] = float32(b)
	}
	tensor, err := p.Append(nil, img, nil)
	return map[string][]float32{"resized": resized, "pixels": tensor}, err
}

// positions resizes a table of picture positions.
func positions(cs *cases.Case, r *cases.Run) (map[string][]float32, error) {
	k := cs.Config
	t, err := cs.Input(r, "table")
	if err != nil {
		return nil, err
	}
	const most = 1 << 12 // patches a side
	if k.OldGrid < 1 || k.NewGrid < 1 || k.OldGrid > most || k.NewGrid > most {
		return nil, fmt.Errorf("old_grid is %d and new_grid is %d, want 1 to %d", k.OldGrid, k.NewGrid, most)
	}
	if want := []int{k.ExtraRows + k.OldGrid*k.OldGrid, k.Dim}; t.Floats == nil || !slices.Equal(t.Shape, want) {
		return nil, fmt.Errorf("the table has shape %v, want floats of shape %v", t.Shape, want)
	}
	return map[string][]float32{"table": checkpoint.ResizePositions(t.Floats, k.ExtraRows, k.OldGrid, k.NewGrid, k.Dim, k.Antialias)}, nil
}

// tokenizer compares pieces, ids and the padded input; the error is the number of
// texts that differ.
func tokenizer(c *checker, cs *cases.Case) error {
	path, err := cs.Path(cs.Config.SPM)
	if err != nil {
		return err
	}
	data, err := file.Read(path, token.MaxFile)
	if err != nil {
		return err
	}
	tok, err := token.Load(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	outputs := []struct {
		name string
		same func(t *cases.Text) bool
	}{
		{"pieces", func(t *cases.Text) bool { return slices.Equal(tok.Pieces(t.Text), t.Pieces) }},
		{"ids", func(t *cases.Text) bool {
			ids := tok.Encode(t.Text, 0)
			return equalIDs(ids[1:len(ids)-1], t.IDs)
		}},
		{"input_ids", func(t *cases.Text) bool {
			ids := tok.Encode(t.Text, cs.Config.MaxLen)
			if len(ids) != t.NumTokens {
				return false
			}
			for len(ids) < cs.Config.MaxLen {
				ids = append(ids, token.Pad)
			}
			return equalIDs(ids, t.InputIDs)
		}},
	}
	for _, o := range outputs {
		l := Line{Case: cs.Name, Output: o.name, Run: fmt.Sprintf("%d texts", len(cs.Texts)), Engine: library, Verdict: ok, judged: true}
		for i := range cs.Texts {
			if !o.same(&cs.Texts[i]) {
				l.MaxAbs++
				l.Verdict = fail
				if l.Note == "" {
					l.Note = "the first text that differs is " + file.Literal(cs.Texts[i].Text)
				}
			}
		}
		c.add(l)
	}
	return nil
}

func equalIDs(got []int32, want []int) bool {
	return slices.EqualFunc(got, want, func(a int32, b int) bool { return int(a) == b })
}
