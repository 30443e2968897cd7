package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/interrupt"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir/file"
)

// Binary is what a main is made of.
type Binary struct {
	Name    string      // of the command; "": the executable's
	Short   string      // one line that says what the model is for
	Knows   string      // lines that say what the model is not for, in help texts and pages; may be ""
	Package *rt.Package // its functions decide which commands there are

	// Open opens the model with the weight file at a path, or with the package's own
	// weights if the path is empty.
	Open func(weights string, opts ...rt.Option) (*task.Model, error)

	// Bundled lists pictures that came with the binary, nil if there are none. They
	// are what search looks through unless told otherwise, their names the texts.
	Bundled func() ([]Picture, error)

	// Extra makes commands of the binary's own, nil if there are none.
	Extra func(*App) []*cobra.Command
}

// Picture is a picture that is read when its turn comes. Read may be called by any
// goroutine.
type Picture struct {
	Name string // its path, or its title if it is in no file
	Read func() (image.Image, error)
	File string // its path, "" if it is in no file
	Sign string // what tables show before the name, such as 🍎; "" if nothing
}

// App is a run of a binary: its global flags and its streams.
type App struct {
	Binary
	In       io.Reader
	Out, Err io.Writer

	level, weights string
	threads        int
	huge, verify   bool
	json           bool
	maxPixels      int64
	exif           bool
	left           leftOut  // of folders
	ids            []string // texts as lists of ids

	decodeMemory  int64 // bytes that pictures take which are decoded at the same time; 0: a share of what the process may use
	pictureMemory int64 // the most bytes that one picture takes; 0: likewise

	named   int  // bytes of text that leaves has reported
	unnamed bool // it reports no more
}

// Main runs the binary and ends the process. Signals end it as package interrupt says.
func Main(b Binary) {
	interrupt.Main(b.name(), func() int { return Run(b, os.Args[1:], os.Stdin, os.Stdout, os.Stderr) })
}

func (b *Binary) name() string {
	if b.Name != "" {
		return b.Name
	}
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
}

// Exit statuses.
const (
	exitFailure = 1
	exitUsage   = 2
)

// Run runs the binary on a command line and returns its exit status. It closes out, if that
// can be closed and was written to without an error.
func Run(b Binary, args []string, in io.Reader, out, errs io.Writer) int {
	return (&App{Binary: b}).run(args, in, out, errs)
}

func (a *App) run(args []string, in io.Reader, out, errs io.Writer) int {
	stdout := NewOutput(out)
	a.Name, a.In, a.Out, a.Err = a.name(), in, stdout, errs
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // to cobra nil is the process's
	root.SetIn(in)
	root.SetOut(stdout)
	root.SetErr(errs)
	// Cobra reports a bad command line before it runs anything of ours.
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }

	c, err := root.ExecuteC()
	if err == nil {
		err = stdout.Close() // cobra looks at no error of its help and completions
	}
	if err != nil && !started && stdout.Err() == nil {
		err = usageError{err}
	}
	status := Status(err)
	if status != 0 {
		fmt.Fprintf(errs, "%s: %s\n", c.CommandPath(), file.Brief(err.Error()))
	}
	if status == exitUsage {
		fmt.Fprintf(errs, "Run '%s --help' for usage.\n", c.CommandPath())
	}
	return status
}

// Status is the exit status of a command that ended with err: 0 without one, 2 for one of [Usagef], 1 for others.
func Status(err error) int {
	var bad usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &bad):
		return exitUsage
	}
	return exitFailure
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef is the error of a command line that makes no sense, worded as fmt.Errorf does.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (a *App) root() *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:           a.Name,
		Short:         a.Short,
		Long:          a.knows(a.Short+".") + "\n\nA model compiled by multiway. Weights are part of the binary unless --weights names a file.",
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				return a.version()
			}
			return c.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return FlagError(err) })
	root.Flags().BoolVar(&version, "version", false, "print the versions of binary and compiler, and the model's fingerprint")
	f := root.PersistentFlags()
	f.StringVar(&a.level, "level", "", "CPU level: "+strings.Join(kernel.Levels(), ", ")+" (default: best)")
	f.IntVar(&a.threads, "threads", 0, "threads to compute with (default: one a core)")
	f.StringVar(&a.weights, "weights", "", "weight file to use instead of the binary's own")
	f.BoolVar(&a.huge, "huge-pages", false, "copy the weights into huge pages")
	f.BoolVar(&a.verify, "verify", false, "compare all weights with their hash first (about a second per GB)")
	f.BoolVar(&a.json, "json", false, "print JSON, one value a line")
	f.Int64Var(&a.maxPixels, "max-pixels", 0, "largest picture to read, width times height (default: the model's limit)")
	f.BoolVar(&a.exif, "exif", true, "turn pictures upright, as EXIF says; false: as stored")
	for _, t := range tasks {
		for _, command := range t.commands {
			if c := command(a); c != nil {
				c.Long = a.knows(c.Long)
				root.AddCommand(c)
			}
		}
	}
	root.AddCommand(a.infoCommand(), a.checkCommand(), a.benchCommand())
	if a.Extra != nil {
		root.AddCommand(a.Extra(a)...)
	}
	return root
}

// knows adds to a text what the model is not for.
func (a *App) knows(text string) string {
	if a.Knows == "" {
		return text
	}
	return text + "\n\n" + a.Knows
}

// Open opens the model as the global flags say; further options win over them.
func (a *App) Open(opts ...rt.Option) (*task.Model, error) {
	var all []rt.Option
	if a.level != "" {
		all = append(all, rt.WithLevel(a.level))
	}
	if a.threads != 0 {
		all = append(all, rt.WithThreads(a.threads))
	}
	if a.huge {
		all = append(all, rt.WithHugePages())
	}
	if a.verify {
		all = append(all, rt.WithVerify())
	}
	if a.maxPixels < 0 {
		return nil, Usagef("--max-pixels is %d, want a number of pixels", a.maxPixels)
	}
	m, err := a.Binary.Open(a.weights, append(all, opts...)...)
	if err == nil && a.ids != nil {
		m.SetTokens(token.IDs{})
	}
	if errors.Is(err, blob.ErrNoWeights) {
		return nil, fmt.Errorf("%w (here: --weights FILE)", err)
	}
	return m, err
}

// JSON reports whether output is for machines.
func (a *App) JSON() bool { return a.json }

// Print writes a value as one line of JSON.
func (a *App) Print(v any) error { return encode(a.Out, v) }

func encode(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(file.EscapeJSON(b.Bytes()))
	return err
}

// Progress starts to say on standard error how far a job of so many things is, -1 if
// unknown; see Progress.
func (a *App) Progress(what, unit string, total int) *Progress {
	p := NewProgress(a.Err, a.Name, what, unit, 1, int64(total))
	if o, ok := a.Out.(*Output); ok {
		o.job = p
	}
	return p
}

// warn reports something that is left out. Names in it are quoted already.
func (a *App) warn(format string, args ...any) {
	fmt.Fprintf(a.Err, "%s: %s\n", a.Name, file.Brief(fmt.Sprintf(format, args...)))
}

// leaves reports an input that is left out, and why. Of many it names as many as fit a page.
func (a *App) leaves(bar *Progress, name string, err error) {
	text := place(name, err)
	size := len(a.Name) + len(": \n") + len(text)
	switch {
	case a.unnamed:
		return
	case a.named > 0 && a.named+size > file.MaxError:
		a.unnamed = true
		text = "further ones are left out without their names"
	}
	a.named += size
	bar.Aside(func() { a.warn("%s", text) })
}

// keeps returns an error if writing a file would destroy what the command reads: a file
// of one of those names, the weights, or standard input if list says that it is read.
func (a *App) keeps(out string, list bool, inputs ...string) error {
	if out == "" {
		return nil
	}
	var files []string
	for _, in := range append(inputs, a.weights) {
		// Only pictures in a folder are read, so another output may be in it.
		if st, err := os.Stat(in); err == nil && (!st.IsDir() || imagefile.HasExtension(out)) {
			files = append(files, in)
		}
	}
	if err := file.Distinct(out, files...); err != nil {
		return err
	}
	if f, ok := a.In.(*os.File); ok && list {
		to, err := os.Stat(out)
		from, ferr := f.Stat()
		if err == nil && ferr == nil && os.SameFile(to, from) {
			return fmt.Errorf("%s: the output would replace standard input; give it another name", file.Quote(out))
		}
	}
	return nil
}

// decodeOptions are how the flags have pictures read.
func (a *App) decodeOptions(m *task.Model) imagefile.Options {
	o := imagefile.Options{MaxPixels: int64(m.Input().MaxPixels), MaxMemory: a.largest(), IgnoreOrientation: !a.exif}
	if a.maxPixels > 0 {
		o.MaxPixels = a.maxPixels
	}
	return o
}
