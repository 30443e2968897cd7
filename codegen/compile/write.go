package compile

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/tune"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
)

// Options say what Write writes, where, and after which checks.
type Options struct {
	Dir     string            // folder of the package, "" = none
	Package string            // name of the package; "" = the package name of other Go files in Dir, $GOPACKAGE, or the description's name
	Weights codegen.Placement // "" = embedded up to codegen.EmbedLimit, else a file
	Binary  string            // path of a binary with the weights at its end, "" = none
	Entries []string          // entries to compile; nil = the description's
	Check   Check             // the self-check; "" = Quick
	Verbose bool              // log the time of each stage
	Strict  bool              // refuse a checkpoint with tensors that the model does not use
	Golden  []Recorded        // recorded cases for a test in the package
	Expect  string            // file of tensors that the user's own code computed, to compare the model with; "" = none; see [Expected]
	Bound   float64           // accepted difference from Expect, as a share of a tensor's largest value; 0 = ExpectBound

	// Log, if not nil, gets lines of progress. Progress, if not nil, is called with the
	// bytes of weights written so far, and in all.
	Log      func(format string, args ...any)
	Progress func(done, total int64)
}

// Recorded is a recorded case of the model.
type Recorded struct {
	Dir       string
	Files     []string // the files of the case in Dir, which no output may replace
	Functions []string // the functions that the case runs
}

func (o Options) log(format string, args ...any) {
	if o.Log != nil {
		o.Log(format, args...)
	}
}

// Report describes a build.
type Report struct {
	Files      []string           // names of the written files in Dir
	Weights    int64              // bytes of the weight file
	Checkpoint *checkpoint.Report // nil for weights from a seed
	Results    []Result           // lines of the self-check
	Held       []Result           // comparisons with the tensors of Options.Expect
	Choice     *tune.Choice       // nil if there was nothing to choose and no norm was smoothed
	Precision  string             // formats of the weights
	Stages     []Stage            // times of the stages, in order
}

// Stage is a stage of a build and its duration.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// job is the state of a build: its options, and the values that a stage leaves for later ones.
type job struct {
	Options
	m         *Model // the tuned model from the stage choose on
	r         *Report
	described *ir.Program
	planned   *ir.Program
	code      codegen.Options
	expected  *Expected  // nil: none
	dir       *file.Dir  // temporary folder for the binary; nil: no binary
	placed    *file.File // the package's weight file before it is moved into place; nil: no package
	blob      string     // path of the weight file during the build
	result    file.Set
}

// stages lists the stages of a build, in order.
var stages = []struct {
	name string
	run  func(*job) error
}{
	{"lower", (*job).lower},       // from the description to a program
	{"validate", (*job).validate}, // before long work
	{"choose", (*job).choose},     // before plan: it chooses the formats of weights
	{"plan", (*job).plan},
	{"pack", (*job).pack},   // to a temporary file
	{"check", (*job).check}, // before any file is moved into place
	{"build", (*job).build}, // the binary
	{"install", (*job).install},
}

// Write builds the package, the binary, or both. A package that fails its check is
// not written, and what was there before stays.
func (m *Model) Write(o Options) (*Report, error) {
	j := &job{Options: o, m: m, r: &Report{Precision: m.Desc.Precision.String()}}
	defer j.close()
	for _, s := range stages {
		start := time.Now()
		if err := s.run(j); err != nil {
			return nil, err
		}
		took := time.Since(start).Seconds()
		j.r.Stages = append(j.r.Stages, Stage{s.name, took})
		if o.Verbose {
			o.log("%s: %.2f s", s.name, took)
		}
	}
	return j.r, nil
}

// close removes the files that were not installed.
func (j *job) close() {
	if j.placed != nil {
		j.placed.Abandon()
	}
	if j.dir != nil {
		j.dir.Remove()
	}
	j.result.Abandon()
}

func (j *job) lower() (err error) {
	j.described, j.r.Checkpoint, err = j.m.Lower(j.Entries)
	return err
}

func (j *job) validate() error {
	if j.Dir == "" && j.Binary == "" {
		return fmt.Errorf("nothing to build: give a folder for the package, a path for the binary, or both")
	}
	if err := j.places(slices.Concat(j.m.Inputs(), j.inputs())); err != nil {
		return err
	}
	if found := j.r.Checkpoint; j.Strict && found != nil {
		if err := found.Strict(); err != nil {
			return fmt.Errorf("%w\nbuild without --strict if they may be left out", err)
		}
	}
	name, err := j.m.packageName(j.Options)
	if err != nil {
		return err
	}
	if j.code, err = j.m.options(name, j.Weights); err != nil {
		return err
	}
	if err := j.code.Validate(); err != nil {
		return err
	}
	if j.code.Golden, err = j.golden(j.described); err != nil {
		return err
	}
	if _, err := j.m.samples(); err != nil {
		return err
	}
	if j.Expect != "" {
		if j.expected, err = j.m.ReadExpected(j.Expect, j.Bound); err != nil {
			return err
		}
		if _, err := j.m.checked(j.expected, j.Entries); err != nil {
			return err
		}
	}
	if j.Check == Off && j.expected == nil && j.Binary == "" {
		return nil
	}
	var decoders []string
	if j.Binary != "" {
		decoders = j.code.Decoders
	}
	if err := engine.CanBuild(decoders, j.log); err != nil {
		return fmt.Errorf("%w; or build a package unchecked, with --check off and neither --binary nor --expect", err)
	}
	return nil
}

func (j *job) choose() (err error) {
	if j.m, err = j.m.Tuned(j.Entries, j.log); err == nil {
		j.r.Choice = j.m.Choice
	}
	return err
}

func (j *job) plan() (err error) {
	var names []string
	for _, f := range j.described.Funcs {
		names = append(names, f.Name)
	}
	j.log("compiling %s", strings.Join(names, ", "))
	if j.m.Tokenizer == nil && slices.ContainsFunc(j.described.Funcs, (*ir.Func).UsesT) {
		captions := ""
		if j.m.Desc.Captions() {
			captions = ", and captions cannot be written"
		}
		j.log("note: without a tokenizer texts are token ids, in a binary --ids 0,17,2%s; `tokenizer: FILE` in the description adds one", captions)
	}
	if j.planned, err = j.m.Plan(j.described); err != nil {
		return err
	}
	if names := j.r.Choice.Whole(j.planned); names != nil {
		j.log("warning: precision %s has no effect on %s: tuning stores all its weights as f32; with a lower `cosine` in the description than %v fewer modules are f32", j.r.Precision, strings.Join(names, ", "), j.m.aim())
	}
	return nil
}

func (j *job) pack() (err error) {
	if j.Binary != "" {
		if j.dir, err = file.TempDir(); err != nil {
			return err
		}
		j.blob = filepath.Join(j.dir.Path, weightsName)
	}
	if j.Dir != "" {
		if err := j.result.MkdirAll(j.Dir); err != nil {
			return err
		}
		if j.placed, err = file.Create(filepath.Join(j.Dir, weightsName), 0o666); err != nil {
			return err
		}
		j.blob = j.placed.Name()
	}
	j.log("packing weights")
	if err := codegen.WriteWeights(j.blob, j.planned, j.Progress); err != nil {
		return err
	}
	written, err := blob.Open(j.blob)
	if err != nil {
		return err
	}
	j.code.Hash = written.Hash
	if err := written.Close(); err != nil {
		return err
	}
	st, err := os.Stat(j.blob)
	if err == nil {
		j.r.Weights = st.Size()
	}
	return err
}

func (j *job) check() error {
	if j.Check == Off && j.expected == nil {
		return nil
	}
	j.log("checking the compiled package")
	code := j.code
	code.Hash = [32]byte{} // engines share compiled code between weights
	e, err := engine.New(j.planned, code, j.blob, j.log)
	if err != nil {
		return err
	}
	defer e.Close()
	if j.expected != nil {
		if j.r.Held, err = j.m.Hold(j.expected, e, j.Entries, j.Check, j.log); err != nil {
			return fmt.Errorf("%w; nothing was written", err)
		}
	}
	if j.Check == Off {
		return nil
	}
	results, vectors, err := j.m.selfCheck(e, j.planned, j.Check, j.Options)
	if err != nil {
		return err
	}
	j.r.Results = results
	if lines := short(results, j.m.aim()); lines != nil {
		j.log("warning: rows of outputs do not reach the cosine %v that precision %s aims at:\n%s\nwith `cosine: %v` in the description this is an error; another precision may be more accurate", j.m.aim(), j.r.Precision, strings.Join(lines, "\n"), j.m.aim())
	}
	text, err := json.Marshal(vectors)
	j.code.Vectors = append(text, '\n')
	return err
}

func (j *job) build() error {
	if j.Binary == "" {
		return nil
	}
	j.log("building %s", file.Quote(j.Binary))
	env, err := engine.Decoding(j.code.Decoders)
	if err != nil {
		return err
	}
	code := j.code
	code.Weights = codegen.Append
	if _, err := codegen.Write(engine.Place(j.dir.Path, "model"), j.planned, code); err != nil {
		return err
	}
	return engine.Build(j.dir.Path, j.exe(), engine.Around(binaryMain), j.log, env...)
}

// binaryMain is the format of a binary's main program, with a verb for the import path of its package.
const binaryMain = `package main

import (
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/codegen/rt/task"

	model %q
)

func main() {
	cli.Main(cli.Binary{Short: "Run the model " + model.Package().Name, Package: model.Package(), Open: func(weights string, opts ...rt.Option) (*task.Model, error) {
		m, err := open(weights, opts)
		if err != nil {
			return nil, err
		}
		return m.Task(), nil
	}})
}

func open(weights string, opts []rt.Option) (*model.Model, error) {
	if weights != "" {
		return model.Open(weights, opts...)
	}
	return model.New(opts...)
}
`

func (j *job) exe() string { return filepath.Join(j.dir.Path, "binary.exe") }

func (j *job) install() error {
	if j.Binary != "" {
		if err := install(&j.result, j.exe(), j.blob, j.Binary); err != nil {
			return err
		}
	}
	if j.Dir != "" {
		files, err := codegen.Files(j.planned, j.code)
		if err != nil {
			return err
		}
		if err := codegen.Place(&j.result, j.Dir, files, os.Getenv("GOFILE") != ""); err != nil {
			return err
		}
		j.result.Add(j.placed)
		j.r.Files = append(slices.Sorted(maps.Keys(files)), weightsName)
	}
	return j.result.Commit()
}

// inputs returns the files that the options name as inputs.
func (o Options) inputs() []string {
	var list []string
	if o.Expect != "" {
		list = append(list, o.Expect)
	}
	for _, c := range o.Golden {
		for _, name := range c.Files {
			list = append(list, filepath.Join(c.Dir, name))
		}
	}
	return list
}

// weightsName is the name of a package's weight file.
const weightsName = "weights.bin"

// dataNames are the files of every package that are not Go code.
var dataNames = []string{"check.json", weightsName}

// places checks that the package and the binary can be written where the options say, and that they do not replace an input
// of the build.
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

// install adds the executable, with the weights at its end, to a set that writes it to path.
func install(set *file.Set, exe, weights, path string) error {
	if err := set.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	code, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer code.Close()
	bin, err := os.Open(weights)
	if err != nil {
		return err
	}
	defer bin.Close()
	out, err := set.Create(path, 0o777)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, code); err != nil {
		return err
	}
	return blob.Append(out.File, bin)
}

// golden checks the functions of the recorded cases against the program. It returns the
// folders of the cases, relative to the package's.
func (o Options) golden(p *ir.Program) ([]string, error) {
	var dirs []string
	for _, c := range o.Golden {
		for _, fn := range c.Functions {
			if p.Func(fn) == nil {
				return nil, fmt.Errorf("%s: the case runs function %s, which the package will not have; record the case again, or build that entry", file.Quote(c.Dir), file.Quote(fn))
			}
		}
		from, err := filepath.Abs(o.Dir)
		if err != nil {
			return nil, err
		}
		to, err := filepath.Abs(c.Dir)
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
