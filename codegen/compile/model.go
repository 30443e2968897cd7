package compile

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/codegen/tune"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

// Model is a description with its open checkpoint.
type Model struct {
	Desc      *model.Description
	Source    checkpoint.Source // nil if the weights come from a seed, or the model has none
	Tokenizer []byte            // content of the tokenizer's file; nil: none

	// Choice lists the modules that tuning stores in other formats than the description's; nil: none.
	Choice *tune.Choice

	// Quick bounds the work of the interpreter in a quick check, in floating-point operations; 0:
	// QuickFLOPs.
	Quick int64

	taps bool
	own  *inputs.Samples // from the description's sample folder, once they are read
}

// quick reports whether a quick check lets the interpreter do that work.
func (m *Model) quick(work int64) bool { return work <= cmp.Or(m.Quick, QuickFLOPs) }

// Tuned returns the model with the choice that package tune makes for the entries; nil stands
// for the description's entries. log may be nil.
func (m *Model) Tuned(entries []string, log func(format string, args ...any)) (*Model, error) {
	own, err := m.samples()
	if err != nil {
		return nil, err
	}
	c := *m
	c.Choice, err = tune.Choose(tune.Model{Desc: m.Desc, Samples: own, Random: m.Source == nil, Lower: func(d *model.Description, entries []string) (*ir.Program, error) {
		p, _, err := (&Model{Desc: d, Source: m.Source}).Lower(entries)
		return p, err
	}}, tune.Options{Entries: entries, Log: log})
	return &c, err
}

// samples reads the sample folder that the description names; it returns nil if there is no such key.
func (m *Model) samples() (*inputs.Samples, error) {
	if m.own != nil || m.Desc.Samples == "" {
		return m.own, nil
	}
	r, err := m.Reader()
	if err != nil {
		return nil, err
	}
	m.own, err = r.Folder(m.Desc.Path(m.Desc.Samples))
	return m.own, err
}

// Reader returns a reader of the model's inputs.
func (m *Model) Reader() (inputs.Reader, error) {
	opt, err := m.CodeOptions()
	s := m.Desc.Structure()
	r := inputs.Reader{Pixels: opt.Pixels, MaxPixels: opt.MaxPixels, Tokenizer: m.Tokenizer, Form: token.Form(m.Desc.Form), Limit: m.Desc.Limits.Text, Vocab: s.Vocab()}
	if t := s.Token(); t != nil {
		r.IDs = t.Rows
	}
	return r, err
}

// Open reads a description and opens its checkpoint and tokenizer.
func Open(path string) (*Model, error) {
	d, err := model.Load(path)
	if err != nil {
		return nil, err
	}
	if d.Checkpoint == "" && d.Seed == nil {
		return nil, fmt.Errorf("%s: no weights: add `checkpoint: FILE`, or `seed: NUMBER` for random ones", file.Quote(path))
	}
	m := &Model{Desc: d}
	if d.Tokenizer != "" {
		if m.Tokenizer, err = readTokenizer(d.Path(d.Tokenizer)); err != nil {
			return nil, fmt.Errorf("%s: tokenizer: %w", file.Quote(path), err)
		}
		tok, err := token.Open(m.Tokenizer, token.Form(d.Form))
		if err != nil {
			return nil, fmt.Errorf("%s: tokenizer: %s: %w", file.Quote(path), file.Quote(d.Path(d.Tokenizer)), err)
		}
		s := d.Structure()
		unreached := model.Unreached(d.Family)
		if d.Checkpoint == "" { // an untrained model takes any tokenizer whose token ids are within the table
			unreached = s.Vocab()
		}
		if err := fits(tok, s.Vocab(), unreached); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Quote(d.Path(d.Tokenizer)), err)
		}
	}
	if d.Checkpoint != "" {
		if m.Source, err = checkpoint.OpenSet(d.Path(d.Checkpoint), d.Key); err != nil {
			return nil, fmt.Errorf("%s: checkpoint: %w", file.Quote(path), err)
		}
		var names []string
		for _, t := range checkpoint.BareTensors(m.Source) {
			names = append(names, t.Name)
		}
		if err := d.TakeLayout(names); err != nil {
			m.Source.Close()
			return nil, fmt.Errorf("%s: %w", m.Source, err)
		}
	}
	return m, nil
}

// Close closes the checkpoint. Programs of the model cannot load weights after it.
func (m *Model) Close() error {
	if m.Source == nil {
		return nil
	}
	return m.Source.Close()
}

// Inputs returns the paths of the description and of the files and folders that it names. No output may replace them.
func (m *Model) Inputs() []string {
	d := m.Desc
	paths := []string{d.File}
	if m.Source != nil {
		paths = append(paths, checkpoint.Files(m.Source)...)
	}
	for _, t := range d.Tasks {
		if t.Labels != "" {
			paths = append(paths, d.Path(t.Labels))
		}
	}
	if d.Samples != "" {
		paths = append(paths, d.Path(d.Samples))
	}
	if d.Tokenizer != "" {
		paths = append(paths, tokenizerFiles(d.Path(d.Tokenizer))...)
	}
	return paths
}

// WithTaps returns a model whose programs also return the rows before and after each layer.
func (m *Model) WithTaps() *Model {
	c := *m
	c.taps = true
	return &c
}

// Lower returns the program of the description, with its weights bound. entries lists the
// entries or functions that it has; nil stands for the description's.
func (m *Model) Lower(entries []string) (*ir.Program, *checkpoint.Report, error) {
	p, err := model.Lower(m.Desc, model.Options{Entries: entries, Taps: m.taps})
	if err != nil {
		return nil, nil, err
	}
	src := m.Source
	if src == nil && m.Desc.Seed != nil {
		if src, err = checkpoint.SeededFor(p, *m.Desc.Seed); err != nil {
			return nil, nil, err
		}
	}
	if src == nil {
		return p, nil, nil
	}
	r, err := checkpoint.Bind(p, src)
	return p, r, err
}

// Plan runs all passes on the program.
func (m *Model) Plan(p *ir.Program) (*ir.Program, error) {
	return passes.Run(p, m.passes(""))
}

// Stored returns the program with each weight rounded to the format that it is stored in.
func (m *Model) Stored(p *ir.Program) (*ir.Program, error) {
	if m.precision().Exact() {
		return p, nil
	}
	return passes.Run(p, m.passes(passes.Narrow.Name))
}

// passes returns the options of the passes, up to the pass called upto, or of all passes if it is "".
func (m *Model) passes(upto string) passes.Options {
	return passes.Options{Rows: m.Desc.Limits.Rows, Precision: m.precision(), Smooth: m.Choice.Smooth(), Upto: upto}
}

// precision returns the formats of the weights.
func (m *Model) precision() precision.Map { return m.Choice.Stored(m.Desc.Precision) }

// CodeOptions returns the options with which codegen compiles the model for an engine.
func (m *Model) CodeOptions() (codegen.Options, error) { return m.options("", "") }

// named returns the value with the name, or the first value if none has it.
func named[T fmt.Stringer](name string, values ...T) T {
	for _, v := range values {
		if v.String() == name {
			return v
		}
	}
	return values[0]
}

// options returns the options with which codegen compiles the model.
func (m *Model) options(name string, w codegen.Placement) (codegen.Options, error) {
	d := m.Desc
	if name == "" {
		name = d.Name
	}
	opt := codegen.Options{
		Package: name, From: d.Name, Weights: w,
		Rows: d.Limits.Rows, Text: d.Limits.Text, Precision: d.Precision.String(),
		MaxPixels: d.Limits.Pixels, Tokenizer: m.Tokenizer, Form: token.Form(d.Form), Decoders: d.Decoders,
	}
	if d.File != "" {
		opt.From = filepath.Base(d.File)
	}
	s := d.Structure()
	if m := s.Image(); m != nil && m.Channels == 3 && d.Preprocess.Size > 0 {
		pre := &pixel.Preprocess{
			Size:   d.Preprocess.Size,
			Resize: named(d.Preprocess.Resize, pixel.Stretch, pixel.Crop),
			Filter: named(d.Preprocess.Filter, pixel.Bicubic, pixel.Bilinear),
			Offset: named(d.Preprocess.Offset, pixel.Even, pixel.Floor),
			Order:  named(d.Preprocess.RGB, pixel.ConvertFirst, pixel.ConvertLast),
			Draft:  d.Preprocess.Draft,
			Alpha:  named(d.Preprocess.Alpha, pixel.White, pixel.Black, pixel.Drop),
		}
		for c := range 3 {
			pre.Mean[c], pre.Std[c] = float32(d.Preprocess.Mean[c]), float32(d.Preprocess.Std[c])
		}
		opt.Pixels = pre
	}
	for _, f := range d.AllFunctions() {
		opt.Functions = append(opt.Functions, codegen.Function{Name: f.Name, Task: f.Task, Kind: f.Kind})
	}
	for _, t := range d.Tasks {
		labels, err := d.Labels(t)
		if err != nil {
			return opt, err
		}
		row := codegen.Task{Name: t.Name, Labels: labels, Each: t.Name == "retrieval" && s.Similarity.Score == model.Sigmoid}
		if t.Name == "captioning" {
			row.MaxNew = d.Limits.MaxNew
			for _, b := range d.Limits.Ban {
				row.Ban = append(row.Ban, caption.IDs{From: int32(b.From), To: int32(b.To)})
			}
		}
		opt.Tasks = append(opt.Tasks, row)
	}
	return opt, nil
}

// Preset returns the model of a preset with weights from a seed. It needs no file.
func Preset(name string, seed uint64) (*Model, error) {
	d, err := model.Preset(name)
	if err != nil {
		return nil, err
	}
	d.Seed = &seed
	return &Model{Desc: d}, nil
}

// AtPrecision returns the model with all weights at one precision. It shares the checkpoint
// with m; only m is to be closed.
func (m *Model) AtPrecision(word string) (*Model, error) {
	c, d := *m, *m.Desc
	c.Desc, c.Choice = &d, nil
	return &c, d.SetPrecision(word)
}
