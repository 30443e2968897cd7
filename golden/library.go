package golden

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
)

// libraries has, by task, the functions that check cases without a model. Such a case runs once, not for each engine and
// level.
var libraries = map[string]func(c *checker, cs *cases.Case) error{
	"posinterp":  posinterp,
	"preprocess": preprocess,
	"tokenizer":  tokenizer,
}

// library is the engine that lines name for outputs of library functions: preprocessing, tokenizers and resized position
// tables.
const library = "lib"

func preprocess(c *checker, cs *cases.Case) error { return tensors(c, cs, pixels) }
func posinterp(c *checker, cs *cases.Case) error  { return tensors(c, cs, positions) }

// tensors compares the outputs of compute for each run with the case, in the shapes of the case.
func tensors(c *checker, cs *cases.Case, compute func(*cases.Case, *cases.Run) (map[string][]float32, error)) error {
	for i := range cs.Runs {
		r := &cs.Runs[i]
		got, err := compute(cs, r)
		for _, name := range r.OutputNames() {
			l := Line{Case: cs.Name, Run: r.Name, Output: name, Engine: library}
			l.judge(err, func() (cases.Result, error) {
				if got[name] == nil {
					return cases.Result{}, errors.New("no function computes this output")
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

// pixels preprocesses the picture of a run. Its results are resized, the bytes of the resized RGB picture as floats, and
// pixels, the normalised tensor.
func pixels(cs *cases.Case, r *cases.Run) (map[string][]float32, error) {
	modes := map[string]pixel.Mode{"preprocess_square": pixel.Stretch, "preprocess_stretch": pixel.Stretch, "preprocess_crop": pixel.Crop}
	mode, ok := modes[r.Kind]
	if !ok {
		return nil, fmt.Errorf("kind %s is not implemented", r.Kind)
	}
	p := &pixel.Preprocess{Size: r.Size, Resize: mode}
	filter, ok1 := map[string]pixel.Filter{"": pixel.Bicubic, "bicubic": pixel.Bicubic, "bilinear": pixel.Bilinear}[r.Filter]
	offset, ok2 := map[string]pixel.Offset{"": pixel.Even, "half_even": pixel.Even, "floor": pixel.Floor}[r.CropOffset]
	order, ok3 := map[string]pixel.Order{"": pixel.ConvertFirst, "first": pixel.ConvertFirst, "last": pixel.ConvertLast}[r.ConvertRGB]
	if !ok1 || !ok2 || !ok3 {
		return nil, fmt.Errorf("filter %q, crop_offset %q or convert_rgb %q is not implemented", r.Filter, r.CropOffset, r.ConvertRGB)
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
	img, _, err := imagefile.File(path, imagefile.Options{Stream: true})
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

// positions resizes the position table of a run, from old_grid to new_grid patches a side. Its result is the table.
func positions(cs *cases.Case, r *cases.Run) (map[string][]float32, error) {
	k := cs.Config
	t, err := cs.Input(r, "table")
	if err != nil {
		return nil, err
	}
	const most = 1 << 12 // patches along a side
	if k.OldGrid < 1 || k.NewGrid < 1 || k.OldGrid > most || k.NewGrid > most {
		return nil, fmt.Errorf("old_grid is %d and new_grid is %d, want 1 to %d", k.OldGrid, k.NewGrid, most)
	}
	if want := []int{k.ExtraRows + k.OldGrid*k.OldGrid, k.Dim}; t.Floats == nil || !slices.Equal(t.Shape, want) {
		return nil, fmt.Errorf("the table has shape %v, want floats of shape %v", t.Shape, want)
	}
	return map[string][]float32{"table": checkpoint.ResizePositions(t.Floats, k.ExtraRows, k.OldGrid, k.NewGrid, k.Dim, k.Antialias)}, nil
}

// tokenizer checks the token ids of the case's texts, with a line for each output of the tokenizer. The error of a line is
// the number of texts whose ids differ.
func tokenizer(c *checker, cs *cases.Case) error {
	k := &cs.Config
	if k.Dict != "" {
		return errors.New("config.dict: byte pairs whose token ids are rows of a dict.txt are not implemented")
	}
	path, err := cs.Path(cmp.Or(k.SPM, k.BPE))
	if err != nil {
		return err
	}
	data, err := file.Read(path, token.MaxFile)
	if err != nil {
		return err
	}
	outputs := unigramOutputs
	switch {
	case k.BPE != "":
		outputs = clipOutputs
	case k.Context > 0:
		outputs = siglipOutputs
	}
	all, err := outputs(data, cs)
	if err != nil {
		return fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	for _, o := range all {
		l := Line{Case: cs.Name, Output: o.name, Run: fmt.Sprintf("%d texts", len(cs.Texts)), Engine: library, Verdict: ok, judged: true}
		var repaired []string
		for i := range cs.Texts {
			t := &cs.Texts[i]
			switch {
			case o.same(t):
			case o.repairs && misread(t):
				repaired = append(repaired, file.Literal(t.Text))
			default:
				if l.Verdict == ok {
					l.Note = "the first text that differs is " + file.Literal(t.Text)
				}
				l.MaxAbs++
				l.Verdict = fail
			}
		}
		if repaired != nil && l.Verdict == ok {
			l.Note = fmt.Sprintf("%d texts differ, whose encoding ftfy repairs: %s", len(repaired), strings.Join(repaired, ", "))
		}
		c.add(l)
	}
	return nil
}

// ids is an output of a tokenizer case: token ids or pieces of each text.
type ids struct {
	name    string
	repairs bool // the expected ids are of text that ftfy cleaned, which also repairs wrongly decoded text
	same    func(t *cases.Text) bool
}

// unigramOutputs returns the outputs of a case of a SentencePiece model: pieces, token ids and the padded ids.
func unigramOutputs(data []byte, cs *cases.Case) ([]ids, error) {
	tok, err := token.Load(data)
	if err != nil {
		return nil, err
	}
	return []ids{
		{"pieces", false, func(t *cases.Text) bool { return slices.Equal(tok.Pieces(t.Text), t.Pieces) }},
		{"ids", false, func(t *cases.Text) bool {
			got := tok.Encode(t.Text, 0)
			return equalIDs(got[1:len(got)-1], t.IDs)
		}},
		{"input_ids", false, func(t *cases.Text) bool {
			return len(tok.Encode(t.Text, cs.Config.MaxLen)) == t.NumTokens && equalIDs(padded(tok, token.Pad, t, cs.Config.MaxLen), t.InputIDs)
		}},
	}, nil
}

// clipOutputs returns the outputs of a case of CLIP's tokenizer: open_clip's token ids and padded ids, and the ids of
// transformers.
func clipOutputs(data []byte, cs *cases.Case) ([]ids, error) {
	open, err := token.LoadCLIP(data)
	if err != nil {
		return nil, err
	}
	face, err := token.LoadCLIPHF(data)
	if err != nil {
		return nil, err
	}
	inner := func(tok *token.CLIP, t *cases.Text) []int32 {
		got := tok.Encode(t.Text, 0)
		return got[1 : len(got)-1]
	}
	return []ids{
		{"ids", true, func(t *cases.Text) bool { return equalIDs(inner(open, t), t.IDs) }},
		{"input_ids", true, func(t *cases.Text) bool { return equalIDs(padded(open, open.Pad(), t, cs.Config.Context), t.InputIDs) }},
		{"hf_ids", false, func(t *cases.Text) bool { return equalIDs(inner(face, t), t.FaceIDs) }},
	}, nil
}

// siglipOutputs returns the outputs of a case of SigLIP's tokenizer: token ids, and padded ids of open_clip and of
// transformers.
func siglipOutputs(data []byte, cs *cases.Case) ([]ids, error) {
	open, err := token.LoadSigLIP(data)
	if err != nil {
		return nil, err
	}
	face, err := token.LoadSigLIPHF(data)
	if err != nil {
		return nil, err
	}
	inner := func(tok *token.SigLIP, t *cases.Text) []int32 {
		got := tok.Encode(t.Text, 0)
		return got[:len(got)-1]
	}
	input := func(tok *token.SigLIP, t *cases.Text) []int32 { return padded(tok, tok.Pad(), t, cs.Config.Context) }
	if slices.ContainsFunc(cs.Texts, func(t cases.Text) bool { return t.CleanIDs != nil }) {
		return []ids{
			{"ids", false, func(t *cases.Text) bool { return equalIDs(inner(face, t), t.IDs) }},
			{"input_ids", false, func(t *cases.Text) bool { return equalIDs(input(face, t), t.InputIDs) }},
			{"clean_input_ids", true, func(t *cases.Text) bool { return equalIDs(input(open, t), t.CleanIDs) }},
		}, nil
	}
	return []ids{
		{"ids", true, func(t *cases.Text) bool { return equalIDs(inner(open, t), t.IDs) }},
		{"input_ids", true, func(t *cases.Text) bool { return equalIDs(input(open, t), t.InputIDs) }},
		{"hf_input_ids", false, func(t *cases.Text) bool { return equalIDs(input(face, t), t.FaceInputIDs) }},
	}, nil
}

// padded encodes a text and pads it with the id pad to n token ids.
func padded(tok token.Tokenizer, pad int32, t *cases.Text, n int) []int32 {
	got := tok.Encode(t.Text, n)
	for len(got) < n {
		got = append(got, pad)
	}
	return got
}

// misread reports whether a text may have been decoded with the wrong encoding, which ftfy repairs and the tokenizers do not. If the
// case does not know, it looks for characters of the text that are UTF-8 decoded as an encoding of one byte per character.
func misread(t *cases.Text) bool {
	if t.Plain != nil {
		return !*t.Plain
	}
	for _, high := range singleBytes {
		var bytes []byte
		for _, r := range t.Text {
			switch at := slices.Index(high, r); {
			case r < 0x80:
				bytes = append(bytes, ' ')
			case at >= 0:
				bytes = append(bytes, byte(0x80+at))
			case r <= 0xff:
				bytes = append(bytes, byte(r))
			default:
				bytes = append(bytes, ' ')
			}
		}
		for i := range bytes {
			if r, n := utf8.DecodeRune(bytes[i:]); n > 1 && r != utf8.RuneError {
				return true
			}
		}
	}
	return false
}

// singleBytes lists the characters of bytes from 0x80 on in windows-1252, 1254 and 1251, with spaces for undefined bytes. Another
// character up to U+00FF may stand for the byte of its number.
var singleBytes = [][]rune{
	[]rune(western),
	[]rune(western + "                                                ÐÑÒÓÔÕÖ×ØÙÚÛÜİŞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüışÿ"),
	[]rune("ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–— ™љ›њќћџ ЎўЈ¤Ґ¦§Ё©Є«¬ ®Ї°±Ііґµ¶·ё№є»јЅѕїАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя"),
}

const western = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ"

func equalIDs(got []int32, want []int) bool {
	return slices.EqualFunc(got, want, func(a int32, b int) bool { return int(a) == b })
}
