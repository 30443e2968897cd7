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

// Binary is the configuration of a generated program's main function.
type Binary struct {
	Name    string      // command name; "": the executable's name
	Short   string      // one line: what the model is for
	Knows   string      // lines that say what the model is not for, shown in help texts and pages; may be ""
	Package *rt.Package // its functions determine which commands there are

	// Open opens the model with the weight file at a path, or with the package's own weights if
	// the path is "".
	Open func(weights string, opts ...rt.Option) (*task.Model, error)

	// Bundled lists the pictures that come with the binary; nil: none. search looks through
	// them by default, and their names are its default texts.
	Bundled func() ([]Picture, error)

	// Extra returns additional commands of the binary; nil: none.
	Extra func(*App) []*cobra.Command
}

// Picture is a picture that is read on demand. Read must be safe to call from any goroutine.
type Picture struct {
	Name string // path, or title if it is not in a file
	Read func() (image.Image, error)
	File string // path, "" if it is not in a file
	Sign string // prefix of the name in tables, such as 🍎; may be ""
}

// App is one run of a binary, with its global flags and streams.
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
	left           leftOut  // files of folders that were left out
	ids            []string // texts given as lists of token ids

	decodeMemory  int64 // limit, in bytes, of pictures decoded at the same time; 0: a share of the process's memory
	pictureMemory int64 // limit, in bytes, of one picture; 0: the default of package imagefile

	named   int  // bytes of names that leaves has reported
	unnamed bool // no further names are reported
}

// Main runs the binary and ends the process. Signals are handled as package interrupt
// describes.
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

// Run runs the binary on a command line and returns its exit status. It closes out if out is an
// io.Closer and was written to without an error.
func Run(b Binary, args []string, in io.Reader, out, errs io.Writer) int {
	return (&App{Binary: b}).run(args, in, out, errs)
}

func (a *App) run(args []string, in io.Reader, out, errs io.Writer) int {
	stdout := NewOutput(out)
	a.Name, a.In, a.Out, a.Err = a.name(), in, stdout, errs
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // cobra takes nil for the arguments of the process
	root.SetIn(in)
	root.SetOut(stdout)
	root.SetErr(errs)
	// Cobra calls PersistentPreRun after it has accepted the command line: an error before that call
	// is one of usage.
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }

	c, err := root.ExecuteC()
	if err == nil {
		err = stdout.Close() // cobra ignores errors in writing help and completions
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

// Status returns the exit status for the error of a command: 0 for nil, 2 for an error of
// [Usagef], 1 for others.
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

// usageError is the error of an invalid command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef returns the error of an invalid command line, formatted as by fmt.Errorf.
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
	f.StringVar(&a.level, "level", "", "CPU level, best of "+strings.Join(kernel.Levels(), ", "))
	f.IntVar(&a.threads, "threads", 0, "threads to compute with (default: one per core)")
	f.StringVar(&a.weights, "weights", "", "weight file to use instead of the binary's own")
	f.BoolVar(&a.huge, "huge-pages", false, "copy the weights into huge pages")
	f.BoolVar(&a.verify, "verify", false, "compare all weights with their hash first (about a second per GB)")
	f.BoolVar(&a.json, "json", false, "print JSON, one value per line")
	f.Int64Var(&a.maxPixels, "max-pixels", 0, "largest picture to read, width times height (default: the model's limit)")
	f.BoolVar(&a.exif, "exif", true, "rotate pictures as EXIF says; false: as stored")
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

// knows appends to a text what the model is not for.
func (a *App) knows(text string) string {
	if a.Knows == "" {
		return text
	}
	return text + "\n\n" + a.Knows
}

// Open opens the model as the global flags say; opts take precedence over them.
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

// JSON reports whether --json is set.
func (a *App) JSON() bool { return a.json }

// Print writes v as one line of JSON.
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

// Progress starts to report the progress of a job of total steps (-1: unknown) on standard
// error; see Progress.
func (a *App) Progress(what, unit string, total int) *Progress {
	p := NewProgress(a.Err, a.Name, what, unit, 1, int64(total))
	if o, ok := a.Out.(*Output); ok {
		o.job = p
	}
	return p
}

// warn reports something that is left out. Names in the message must be quoted.
func (a *App) warn(format string, args ...any) {
	fmt.Fprintf(a.Err, "%s: %s\n", a.Name, file.Brief(fmt.Sprintf(format, args...)))
}

// leaves warns that an input is left out, with the reason err. Once the names take file.MaxError
// bytes, it says so and names no further inputs.
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

// keeps returns an error if writing the file out would overwrite an input: one of inputs, the
// weight file, or, if list is set, the file on standard input.
func (a *App) keeps(out string, list bool, inputs ...string) error {
	if out == "" {
		return nil
	}
	var files []string
	for _, in := range append(inputs, a.weights) {
		// A folder is an input only by its pictures, so an output of another type may be in it.
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

// decodeOptions returns the options of decoding that the flags and the model set.
func (a *App) decodeOptions(m *task.Model) imagefile.Options {
	o := imagefile.Options{MaxPixels: int64(m.Input().MaxPixels), MaxMemory: a.pictureMemory, IgnoreOrientation: !a.exif}
	if a.maxPixels > 0 {
		o.MaxPixels = a.maxPixels
	}
	return o
}
