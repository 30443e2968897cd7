package golden

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
)

// RecordOptions are the options of Record.
type RecordOptions struct {
	Images  []string // paths of pictures
	Texts   []string
	IDs     [][]int32 // further texts, as token ids
	Entries []string  // entries to record; nil = the description's

	// Expect is a file of tensors that the user's own code computed; "" = none. Its inputs are recorded too, and it is an error if
	// the model's results differ. Bound is as in compile.Options.
	Expect string
	Bound  float64

	// Log, if not nil, gets a line of progress, or a line about each function that is left out.
	Log func(format string, args ...any)
}

// The tolerance of a recorded output, as in the cases from PyTorch: atol is slack times the
// largest measured error of the compiled package in plain Go, which includes the error of a
// reduced precision, and at least least. The slack is for other levels, which differ in the
// order of sums and in fused multiply-adds.
const (
	slack = 6
	least = 1e-5
	rtol  = 1e-5
)

// maxRecorded is the largest number of runs in a recorded case.
const maxRecorded = 1 << 10

// Recordings describes the recorded cases in dirs, for the test that `multiway build --golden` writes.
func Recordings(dirs []string) ([]compile.Recorded, error) {
	var all []compile.Recorded
	for _, dir := range dirs {
		c, err := cases.Load(dir)
		if err != nil {
			return nil, err
		}
		c.Close()
		if c.Task != cases.Recorded {
			return nil, fmt.Errorf("%s: it is a case of task %s, want a recorded case of this model: make one with `multiway golden record`", file.Quote(dir), file.Quote(c.Task))
		}
		r := compile.Recorded{Dir: dir, Files: cases.Files}
		for _, run := range c.Runs {
			r.Functions = append(r.Functions, run.Function)
		}
		all = append(all, r)
	}
	return all, nil
}

// recorder makes a golden case from a user's model, for Record.
type recorder struct {
	m       *compile.Model
	o       RecordOptions
	side    int
	samples *inputs.Samples
	inputs  []checkpoint.Tensor
	held    *compile.Expected // the tensors of RecordOptions.Expect; nil: none
}

// Record makes a case from a user's own model in dir. It has their pictures and texts as
// inputs of every function, the float64 interpreter's outputs, and tolerances that are measured
// with the package compiled to plain Go. A pair has picture i and text i; the shorter list is
// repeated. Functions with other inputs are left out, with a line in the log. The case is for
// `multiway build --golden`, and for Check with the description.
func Record(dir string, m *compile.Model, o RecordOptions) error {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if len(o.Images)+len(o.Texts)+len(o.IDs) == 0 && o.Expect == "" {
		return errors.New("nothing to record: give pictures, texts, or both")
	}
	// The cheap checks of the output folder come before the runs, which take long.
	if err := cases.Replaceable(dir, cases.Recorded); err != nil {
		return err
	}
	if err := file.Takes(dir); err != nil {
		return err
	}
	read := m.Inputs()
	if o.Expect != "" {
		read = append(read, o.Expect)
	}
	for _, n := range cases.Files {
		if err := file.Distinct(filepath.Join(dir, n), append(read, o.Images...)...); err != nil {
			return err
		}
	}
	r := &recorder{m: m, o: o}
	if err := r.read(); err != nil {
		return err
	}
	described, _, err := m.Lower(o.Entries)
	if err != nil {
		return err
	}
	c := &cases.Case{
		Name: m.Desc.Name, Family: m.Desc.Family, Task: cases.Recorded,
		Note: "Recorded by `multiway golden record` from " + filepath.Base(m.Desc.File) + "; its weights are the model's own.",
	}
	if c.Family == "" {
		c.Family = "own"
	}
	s := m.Desc.Structure()
	if c.ConfigJSON, err = json.Marshal(map[string]any{"family": c.Family, "task": c.Task, "dim": m.Desc.Sizes.Dim, "image_size": r.side, "vocab_size": s.Vocab()}); err != nil {
		return err
	}
	plan := map[*ir.Func][]inputs.Sample{}
	n := 0
	for _, f := range described.Funcs {
		in, why := r.samples.Of(f)
		if why != "" {
			o.Log("left out %s: %s", f.Name, why)
			continue
		}
		plan[f] = in
		n += len(in)
	}
	if n == 0 {
		return errors.New("nothing to record: no function of the model takes the given inputs")
	}
	if n > maxRecorded {
		return fmt.Errorf("%d runs (inputs of all functions), want at most %d; give fewer pictures and texts", n, maxRecorded)
	}
	truth, err := r.run(c, described, plan)
	if err != nil {
		return err
	}
	return cases.Write(dir, c, r.inputs, truth)
}

// read reads and preprocesses the pictures, texts and expected tensors of the options, and stores them as the inputs of the
// case.
func (r *recorder) read() error {
	reader, err := r.m.Reader()
	if err != nil {
		return err
	}
	if r.samples, err = reader.Read(r.o.Images, r.o.Texts, r.o.IDs); err != nil {
		return err
	}
	if r.o.Expect != "" {
		if r.held, err = r.m.ReadExpected(r.o.Expect, r.o.Bound); err != nil {
			return err
		}
		if err := r.held.AddTo(r.m, r.samples); err != nil {
			return err
		}
	}
	if len(r.samples.Images) > 0 {
		opt, err := r.m.CodeOptions()
		if err != nil {
			return err
		}
		if opt.Pixels == nil {
			return errors.New("pictures cannot be recorded for a model of other than 3 channels; leave them out")
		}
		r.side = opt.Pixels.Size
	}
	for i, p := range r.samples.Images {
		r.inputs = append(r.inputs, checkpoint.Tensor{Name: imageName(i), DType: checkpoint.F32, Shape: []int{1, 3, r.side, r.side}, Floats: p.Pixels})
	}
	for i, text := range r.samples.Texts {
		if text.Cut {
			r.o.Log("text %d is longer than %d ids, limits.text of the description, and is cut: %s", i+1, len(text.IDs), file.Brief(file.Quote(text.Name)))
		}
		t := checkpoint.Tensor{Name: textName(i), DType: checkpoint.I64, Shape: []int{1, len(text.IDs)}}
		for _, id := range text.IDs {
			t.Ints = append(t.Ints, int64(id))
		}
		r.inputs = append(r.inputs, t)
	}
	return nil
}

func imageName(i int) string { return fmt.Sprintf("image.%d", i) }
func textName(i int) string  { return fmt.Sprintf("text.%d", i) }

// source returns, for an input of a function, the names of its picture and text, and the names of the tensors that hold
// them.
func (r *recorder) source(x inputs.Sample) (names []string, tensors map[string]string) {
	tensors = map[string]string{}
	if x.Image >= 0 {
		names = append(names, r.samples.Images[x.Image].Name)
		tensors["image"] = imageName(x.Image)
	}
	if x.Text >= 0 {
		names = append(names, r.samples.Texts[x.Text].Name)
		tensors["text_ids"] = textName(x.Text)
	}
	return names, tensors
}

// run runs the planned inputs, adds the runs to c and returns the outputs of the float64 interpreter.
func (r *recorder) run(c *cases.Case, described *ir.Program, plan map[*ir.Func][]inputs.Sample) ([]checkpoint.Tensor, error) {
	if err := engine.CanBuild(nil, r.o.Log); err != nil {
		return nil, err
	}
	m, err := r.m.Tuned(r.o.Entries, r.o.Log)
	if err != nil {
		return nil, err
	}
	planned, err := m.Plan(described)
	if err != nil {
		return nil, err
	}
	// The interpreter runs the model as described if products round their inputs coarsely, and else
	// the model with its weights as stored.
	judge := described
	allowed, coarse := compile.Allowed(planned)
	if !coarse {
		if judge, err = m.Stored(described); err != nil {
			return nil, err
		}
	}
	opt, err := m.CodeOptions()
	if err != nil {
		return nil, err
	}
	r.o.Log("compiling to plain Go, to measure its error")
	e, err := engine.New(planned, opt, "", r.o.Log)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	if r.held != nil {
		held, err := m.Hold(r.held, e, r.o.Entries, compile.Quick, r.o.Log)
		if err != nil {
			return nil, err
		}
		for _, x := range held {
			r.o.Log("%v", x)
		}
	}
	proc, err := e.Start("generic")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	var truth []checkpoint.Tensor
	for _, f := range described.Funcs {
		worst := map[string]float64{} // largest error of each output over all inputs
		first := len(c.Runs)
		for i, in := range plan[f] {
			r.o.Log("%s %d of %d: running the float64 interpreter", f.Name, i+1, len(plan[f]))
			names, made := r.source(in)
			tensors, t := inputs.Tensors(f, in.Seq)
			want, err := described.Run(f.Name, t, tensors)
			if err != nil {
				return nil, err
			}
			exact := want
			if judge != described {
				if exact, err = judge.Run(f.Name, t, tensors); err != nil {
					return nil, err
				}
			}
			got, err := proc.Run(f.Name, []rt.Seq{in.Seq})
			if err != nil {
				return nil, err
			}
			run := cases.Run{
				Name: fmt.Sprintf("%s.%d", f.Name, i), Kind: cases.Function, Function: f.Name, Source: names,
				Inputs: made, Outputs: map[string]cases.Output{},
			}
			for _, o := range got {
				w := want[o.Name]
				if w == nil || len(w.F) != len(o.Seqs[0]) {
					return nil, fmt.Errorf("%s: output %s of the package is missing in the interpreter or has another size; please report this", f.Name, o.Name)
				}
				out := cases.Output{Tensor: run.Name + "." + o.Name, Shape: append([]int{1}, w.Shape...)}
				off := 0.0
				for j, x := range w.F {
					y := float64(o.Seqs[0][j])
					out.MaxAbs = max(out.MaxAbs, math.Abs(x))
					out.F32vsF64 = max(out.F32vsF64, math.Abs(x-y))
					off = max(off, math.Abs(exact[o.Name].F[j]-y))
				}
				// Rounding cannot explain a larger difference, and wrong results must not be recorded.
				if bound := allowed * max(1, out.MaxAbs); !(off <= bound) {
					return nil, fmt.Errorf("%s on %s: output %s of the package differs by %.2g, want at most %.2g, which rounding explains; please report this with the description",
						f.Name, strings.Join(names, ", "), o.Name, off, bound)
				}
				worst[o.Name] = max(worst[o.Name], out.F32vsF64)
				run.Outputs[o.Name] = out
				truth = append(truth, checkpoint.Tensor{Name: out.Tensor, DType: checkpoint.F32, Shape: out.Shape, Floats: narrow(w.F)})
			}
			c.Runs = append(c.Runs, run)
		}
		for i := range c.Runs[first:] {
			for name, o := range c.Runs[first+i].Outputs {
				o.Atol, o.Rtol = max(least, slack*worst[name]), rtol
				c.Runs[first+i].Outputs[name] = o
			}
		}
		var errs []string
		for name, e := range worst {
			errs = append(errs, fmt.Sprintf("%s %.2g", name, e))
		}
		slices.Sort(errs)
		if errs != nil {
			r.o.Log("%s: the package is off by at most %s", f.Name, strings.Join(errs, ", "))
		}
	}
	return truth, nil
}
