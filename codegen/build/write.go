package build

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/file"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

// Options say what Write builds.
type Options struct {
	Dir     string            // folder of the package, "" = none
	Package string            // its name, "" = that of other Go files in Dir, of $GOPACKAGE, or the description's
	Weights codegen.Placement // "" = embedded up to codegen.EmbedLimit, else a file
	Binary  string            // path of a binary with the weights at its end, "" = none
	Entries []string          // nil = the description's
	Check   Check             // "" = Quick
	Strict  bool              // refuse a checkpoint with tensors that the model does not use
	Golden  []string          // folders of recorded cases, for a test in the package
	Expect  string            // file of what the user's own code computed, to hold the model against; "" = none; see [Expected]
	Bound   float64           // of what is expected, as a share of a tensor's largest value; 0 = ExpectBound

	// Log, if not nil, is told what is under way; Progress the bytes of weights
	// written so far, and in all.
	Log      func(format string, args ...any)
	Progress func(done, total int64)
}

func (o Options) log(format string, args ...any) {
	if o.Log != nil {
		o.Log(format, args...)
	}
}

// Report is what Write did.
type Report struct {
	Files      []string           // written, in Dir
	Weights    int64              // bytes of the weight file
	Checkpoint *checkpoint.Report // nil for weights from a seed
	Results    []Result           // of the self-check
	Held       []Result           // against what was expected
	Smoothed   []Smoothed         // norms that were smoothed
	Choice     *Choice            // nil where no bytes are multiplied
	Precision  string             // how the weights are stored
}

// Write builds the package, the binary, or both. A package that fails its check is
// not written, and what was there before stays.
func (m *Model) Write(o Options) (*Report, error) {
	if o.Dir == "" && o.Binary == "" {
		return nil, fmt.Errorf("nothing to build: give a folder for the package, a path for the binary, or both")
	}
	if err := o.places(slices.Concat(m.Inputs(), o.inputs())); err != nil {
		return nil, err // before the work that would be for nothing
	}
	described, found, err := m.Lower(o.Entries)
	if err != nil {
		return nil, err
	}
	r := &Report{Checkpoint: found, Precision: m.Desc.Precision.String()}
	if o.Strict && found != nil {
		if err := found.Strict(); err != nil {
			return nil, fmt.Errorf("%w\nbuild without --strict if they may be left out", err)
		}
	}
	name, err := m.packageName(o)
	if err != nil {
		return nil, err
	}
	opt, err := m.options(name, o.Weights)
	if err == nil {
		err = opt.Validate()
	}
	if err != nil {
		return nil, err
	}
	if opt.Golden, err = o.golden(described); err != nil {
		return nil, err
	}
	if _, err := m.samples(); err != nil {
		return nil, err
	}
	expected, err := m.expected(o)
	if err != nil {
		return nil, err
	}
	if o.Check != Off || expected != nil || o.Binary != "" {
		err := CanCompile(o.log) // before the work that would be for nothing
		if err == nil && o.Binary != "" {
			err = canDecode(opt.Decoders, o.log)
		}
		if err != nil {
			return nil, fmt.Errorf("%w; or build a package unchecked, with --check off and neither --binary nor --expect", err)
		}
	}
	asked := m
	if m, r.Choice, err = m.Tuned(o.Entries, o.log); err != nil {
		return nil, err
	}
	r.Smoothed = m.Smoothed()
	var names []string
	for _, f := range described.Funcs {
		names = append(names, f.Name)
	}
	o.log("compiling %s", strings.Join(names, ", "))
	if m.Tokenizer == nil && slices.ContainsFunc(described.Funcs, (*ir.Func).UsesT) {
		captions := ""
		if m.Desc.Captions() {
			captions = ", and captions cannot be written"
		}
		o.log("note: without a tokenizer texts are token ids, in a binary --ids 0,17,2%s; `tokenizer: FILE` in the description adds one", captions)
	}
	planned, err := m.Plan(described)
	if err != nil {
		return nil, err
	}
	if names := r.Choice.whole(planned); names != nil {
		o.log("warning: precision %s does nothing for %s: all products are kept at f32; a lower `cosine` in the description, which is %v, keeps less", r.Precision, strings.Join(names, ", "), asked.aim())
	}

	var result file.Set
	defer result.Abandon()
	var scratch, weights string // a temporary folder for the binary; where the weights are until they get their place
	if o.Binary != "" {
		dir, err := file.TempDir()
		if err != nil {
			return nil, err
		}
		defer dir.Remove()
		scratch, weights = dir.Path, filepath.Join(dir.Path, weightsName)
	}
	var placed *file.File
	if o.Dir != "" {
		if err := result.MkdirAll(o.Dir); err != nil {
			return nil, err
		}
		if placed, err = file.Create(filepath.Join(o.Dir, weightsName), 0o666); err != nil {
			return nil, err
		}
		defer placed.Abandon()
		weights = placed.Name()
	}
	o.log("packing weights")
	if err := codegen.WriteWeights(weights, planned, o.Progress); err != nil {
		return nil, err
	}
	blob, err := rt.OpenBlob(weights)
	if err != nil {
		return nil, err
	}
	hash := blob.Hash
	if err := blob.Close(); err != nil {
		return nil, err
	}
	st, err := os.Stat(weights)
	if err != nil {
		return nil, err
	}
	r.Weights = st.Size()

	if o.Check != Off || expected != nil {
		o.log("checking what was compiled")
		e, err := NewEngine(planned, opt, weights, o.log)
		if err != nil {
			return nil, err
		}
		defer e.Close()
		if expected != nil {
			if r.Held, err = m.Hold(expected, e, o.Entries, o.Check, o.log); err != nil {
				return nil, fmt.Errorf("%w; nothing was written", err)
			}
		}
		if o.Check != Off {
			if opt.Vectors, err = m.checkSelf(r, e, planned, asked, o); err != nil {
				return nil, err
			}
		}
	}
	opt.Hash = hash // the engine that was checked shares compiled code with those of other weights
	if o.Binary != "" {
		if err := o.build(&result, scratch, planned, opt, weights); err != nil {
			return nil, err
		}
	}
	if o.Dir != "" {
		files, err := codegen.Files(planned, opt)
		if err != nil {
			return nil, err
		}
		if err := codegen.Place(&result, o.Dir, files); err != nil {
			return nil, err
		}
		result.Add(placed)
		r.Files = append(slices.Sorted(maps.Keys(files)), weightsName)
	}
	return r, result.Commit()
}

// inputs are the files that the options have be read.
func (o Options) inputs() []string {
	var list []string
	if o.Expect != "" {
		list = append(list, o.Expect)
	}
	for _, dir := range o.Golden {
		for _, n := range cases.Files {
			list = append(list, filepath.Join(dir, n))
		}
	}
	return list
}

// expected reads what the model is held against, nil if that is not asked for, and finds its functions.
func (m *Model) expected(o Options) (*Expected, error) {
	if o.Expect == "" {
		return nil, nil
	}
	x, err := m.ReadExpected(o.Expect, o.Bound)
	if err != nil {
		return nil, err
	}
	_, err = m.checked(x, o.Entries)
	return x, err
}

// checkSelf has an engine of the model be judged by the model itself, writes down what comes of it, and returns the golden
// vectors. asked is the model as it was asked for.
func (m *Model) checkSelf(r *Report, e *Engine, planned *ir.Program, asked *Model, o Options) ([]byte, error) {
	results, vectors, err := m.selfCheck(e, planned, o.Check, o)
	if err != nil {
		return nil, err
	}
	r.Results = results
	if lines := short(results, asked.aim()); lines != nil {
		o.log("warning: rows of outputs are further from the model than the cosine %v that precision %s aims at:\n%s\n`cosine: %v` in the description refuses that; another precision may be nearer", asked.aim(), r.Precision, strings.Join(lines, "\n"), asked.aim())
	}
	text, err := json.Marshal(vectors)
	return append(text, '\n'), err
}

// build compiles the binary in a temporary folder and makes it part of a result.
func (o Options) build(result *file.Set, scratch string, planned *ir.Program, opt codegen.Options, weights string) error {
	o.log("building %s", file.Quote(o.Binary))
	opt.Weights = codegen.Append
	env, err := decoding(opt.Decoders)
	if err != nil {
		return err
	}
	exe := filepath.Join(scratch, "binary.exe")
	if err := compile(scratch, planned, opt, exe, appMain, o.log, env...); err != nil {
		return err
	}
	return install(result, exe, weights, o.Binary)
}

// weightsName is that of a package's weight file.
const weightsName = "weights.bin"

// dataNames are files of every package that do not say themselves what made them.
var dataNames = []string{"check.json", weightsName}

// places checks that the package and the binary can be where they are asked for, and that nothing that the build reads is
// there.
func (o Options) places(inputs []string) error {
	var outputs []string
	if o.Dir != "" {
		if err := folder(o.Dir, "the package"); err != nil {
			return err
		}
		for _, n := range dataNames {
			outputs = append(outputs, filepath.Join(o.Dir, n))
		}
	}
	if o.Binary != "" {
		if st, err := os.Stat(o.Binary); err == nil && st.IsDir() {
			return fmt.Errorf("%s is a folder, want the path of a file for the binary, such as %s", file.Quote(o.Binary), file.Quote(filepath.Join(o.Binary, "model")))
		}
		if err := folder(filepath.Dir(o.Binary), "the binary"); err != nil {
			return err
		}
		outputs = append(outputs, o.Binary)
	}
	for _, path := range outputs {
		if err := file.Distinct(path, inputs...); err != nil {
			return err
		}
	}
	if o.Dir == "" {
		return nil
	}
	return codegen.Replaceable(o.Dir, dataNames...)
}

// folder checks that dir is a folder or can be made one.
func folder(dir, what string) error {
	for at := dir; ; at = filepath.Dir(at) {
		switch st, err := os.Stat(at); {
		case err == nil && !st.IsDir():
			return fmt.Errorf("%s is a file, want a folder for %s", file.Quote(at), what)
		case err == nil || at == filepath.Dir(at):
			return file.Takes(at)
		}
	}
}

// install makes the executable with the weights at its end part of a set that puts it at path.
func install(set *file.Set, exe, weights, path string) error {
	if err := set.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	code, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer code.Close()
	blob, err := os.Open(weights)
	if err != nil {
		return err
	}
	defer blob.Close()
	out, err := set.Create(path, 0o777)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, code); err != nil {
		return err
	}
	return rt.AppendBlob(out.File, blob)
}

// golden checks the recorded cases against the program and returns their folders as
// the package sees them.
func (o Options) golden(p *ir.Program) ([]string, error) {
	if o.Golden != nil && o.Dir == "" {
		return nil, fmt.Errorf("recorded cases go with a package: give its folder too")
	}
	var dirs []string
	for _, dir := range o.Golden {
		c, err := cases.Load(dir)
		if err != nil {
			return nil, err
		}
		c.Close()
		if c.Task != cases.Recorded {
			return nil, fmt.Errorf("%s: is a case of task %s, want one of this model: make it with `multiway golden record`", file.Quote(dir), file.Quote(c.Task))
		}
		for _, r := range c.Runs {
			if p.Func(r.Function) == nil {
				return nil, fmt.Errorf("%s: run %s is of function %s, which the package will not have; record the case again, or build that entry", file.Quote(dir), file.Quote(r.Name), file.Quote(r.Function))
			}
		}
		from, err := filepath.Abs(o.Dir)
		if err != nil {
			return nil, err
		}
		to, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(from, to)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, filepath.ToSlash(rel))
	}
	return dirs, nil
}
