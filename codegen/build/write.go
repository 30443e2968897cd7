package build

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

// Strict says what a build refuses though it could go on.
type Strict string

// Surplus tensors are those of a checkpoint that the model does not use. A precision is
// slower if a function is not faster at it than at f32, on this machine.
const (
	RefuseSurplus Strict = "surplus"
	RefuseSlower  Strict = "slower"
	RefuseBoth    Strict = "both"
)

func (s Strict) refuses(what Strict) bool { return s == what || s == RefuseBoth }

// Options say what Write builds.
type Options struct {
	Dir     string            // folder of the package, "" = none
	Package string            // its name, "" = the description's
	Weights codegen.Placement // "" = embedded up to codegen.EmbedLimit, else a file
	Binary  string            // path of a binary with the weights at its end, "" = none
	Entries []string          // nil = the description's
	Check   Check             // "" = Quick
	Strict  Strict            // what to refuse besides what is wrong
	Golden  []string          // folders of recorded cases, for a test in the package

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
	Smoothed   []Smoothed         // norms that were smoothed
	Choice     *Choice            // nil where no bytes are multiplied
	Precision  string             // how the weights are stored
	Gains      []Gain             // over f32, of another precision that was checked
}

// Write builds the package, the binary, or both. A package that fails its check is
// not written, and what was there before stays.
func (m *Model) Write(o Options) (*Report, error) {
	if o.Dir == "" && o.Binary == "" {
		return nil, fmt.Errorf("nothing to build: give a folder for the package, a path for the binary, or both")
	}
	if err := o.places(); err != nil {
		return nil, err // before the work that would be for nothing
	}
	described, found, err := m.Lower(o.Entries)
	if err != nil {
		return nil, err
	}
	r := &Report{Checkpoint: found, Precision: m.Desc.Precision.String()}
	if o.Strict.refuses(RefuseSurplus) && found != nil {
		if err := found.Strict(); err != nil {
			return nil, fmt.Errorf("%w\nbuild without --strict, or with --strict=%s, if they may be left out", err, RefuseSlower)
		}
	}
	opt, err := m.options(o.Package, o.Weights)
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
	if o.Check != Off || o.Binary != "" {
		if _, err := findHost(o.log); err != nil { // before the work that would be for nothing
			return nil, fmt.Errorf("%w; or build a package unchecked, with --check off and no --binary", err)
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
	planned, err := m.Plan(described)
	if err != nil {
		return nil, err
	}

	weights, done, err := o.weightsFile()
	if err != nil {
		return nil, err
	}
	defer done()
	o.log("packing weights")
	if err := codegen.WriteWeights(weights, planned, o.Progress); err != nil {
		return nil, err
	}
	st, err := os.Stat(weights)
	if err != nil {
		return nil, err
	}
	r.Weights = st.Size()

	if o.Check != Off {
		o.log("checking what was compiled")
		e, err := NewEngine(planned, opt, weights, o.log)
		if err != nil {
			return nil, err
		}
		defer e.Close()
		results, vectors, err := m.selfCheck(e, planned, o.Check, o)
		if err != nil {
			return nil, err
		}
		r.Results = results
		if lines := short(results, asked.aim()); lines != nil {
			o.log("warning: rows of outputs are further from the model than the cosine %v that precision %s aims at:\n%s\n`cosine: %v` in the description refuses that; another precision may be nearer", asked.aim(), r.Precision, strings.Join(lines, "\n"), asked.aim())
		}
		if opt.Vectors, err = json.Marshal(vectors); err != nil {
			return nil, err
		}
		opt.Vectors = append(opt.Vectors, '\n')
		if !m.Desc.Precision.Exact() {
			if r.Gains, err = m.gains(e, planned, r.Choice, o); err != nil {
				return nil, fmt.Errorf("timing: %w", err)
			}
			if err := asked.noGain(r.Gains); err != nil {
				if o.Strict.refuses(RefuseSlower) {
					return nil, fmt.Errorf("%w, or build without --strict for its size alone; nothing was written", err)
				}
				o.log("warning: %v", err)
			}
		}
	}
	if o.Binary != "" {
		o.log("building %s", o.Binary)
		bin := opt
		bin.Weights = codegen.Append
		dir, err := os.MkdirTemp("", "multiway-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		exe := filepath.Join(dir, "binary.exe")
		if err := compile(dir, planned, bin, exe, appMain, o.log); err != nil {
			return nil, err
		}
		if err := install(exe, weights, o.Binary); err != nil {
			return nil, err
		}
	}
	if o.Dir != "" {
		if r.Files, err = codegen.Write(o.Dir, planned, opt); err != nil {
			return nil, err
		}
		if err := os.Rename(weights, filepath.Join(o.Dir, "weights.bin")); err != nil {
			return nil, err
		}
		r.Files = append(r.Files, "weights.bin")
	}
	return r, nil
}

// places checks that the package and the binary can be where they are asked for.
func (o Options) places() error {
	if o.Dir != "" {
		if err := folder(o.Dir, "the package"); err != nil {
			return err
		}
	}
	if o.Binary == "" {
		return nil
	}
	if st, err := os.Stat(o.Binary); err == nil && st.IsDir() {
		return fmt.Errorf("%s is a folder, want the path of a file for the binary, such as %s", o.Binary, filepath.Join(o.Binary, "model"))
	}
	return folder(filepath.Dir(o.Binary), "the binary")
}

// folder checks that dir is a folder or can be made one.
func folder(dir, what string) error {
	for at := dir; ; at = filepath.Dir(at) {
		switch st, err := os.Stat(at); {
		case err == nil && !st.IsDir():
			return fmt.Errorf("%s is a file, want a folder for %s", at, what)
		case err == nil || at == filepath.Dir(at):
			return nil
		}
	}
}

// weightsFile names a file for the weights that stands beside their final place, so
// that a rename puts them there, and returns what removes it again.
func (o Options) weightsFile() (path string, done func(), err error) {
	dir, made := os.TempDir(), false
	if o.Dir != "" {
		dir = o.Dir
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			made = true
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return "", nil, err
		}
	}
	f, err := os.CreateTemp(dir, ".weights-")
	if err != nil {
		return "", nil, err
	}
	if err := f.Close(); err != nil {
		return "", nil, err
	}
	return f.Name(), func() {
		os.Remove(f.Name())
		if made {
			os.Remove(dir) // goes only if it is still empty
		}
	}, os.Chmod(f.Name(), 0o644)
}

// install copies the executable to path and appends the weights.
func install(exe, weights, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	code, err := os.ReadFile(exe)
	if err != nil {
		return err
	}
	blob, err := os.Open(weights)
	if err != nil {
		return err
	}
	defer blob.Close()
	tmp := path + ".new"
	if err := os.WriteFile(tmp, code, 0o777); err != nil {
		return err
	}
	defer os.Remove(tmp)
	out, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := rt.AppendBlob(out, blob); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
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
			return nil, fmt.Errorf("%s: is a case of task %s, want one of this model: make it with `multiway golden record`", dir, c.Task)
		}
		for _, r := range c.Runs {
			if p.Func(r.Function) == nil {
				return nil, fmt.Errorf("%s: run %s is of function %s, which the package will not have; record the case again, or build that entry", dir, r.Name, r.Function)
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
