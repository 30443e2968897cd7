package engine

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/multiway-go/multiway/codegen/rt/interrupt"
	"github.com/multiway-go/multiway/ir/file"

	// The main programs import these packages, and the image decoders if a description asks for
	// them; without their build tag the decoders are empty. The imports are here because
	// `go mod vendor` copies only packages that the module's tools import.
	_ "github.com/multiway-go/multiway/codegen/rt/cli"
	_ "github.com/multiway-go/multiway/codegen/rt/imagefile/avif"
	_ "github.com/multiway-go/multiway/codegen/rt/imagefile/heic"
)

// modulePath is the path of this module, which generated packages import.
const modulePath = "github.com/multiway-go/multiway"

// linked lists the packages that main programs import, besides the packages that are compiled into them.
var linked = []string{modulePath + "/codegen/rt/cli", modulePath + "/codegen/rt/bench", modulePath + "/codegen/rt/engineproc", modulePath + "/generated/kernels"}

// host is a module or workspace on this machine from which the go command finds the sources
// of the linked packages. Programs are built in a temporary folder, its stand-in, which has
// the same requirements, sums, replacements and vendored packages, so that the go command
// finds the same sources there and downloads no others. Nothing is written to the host.
//
// An overlay over the host itself does not work: the go command runs the assembler in the
// folder of a package, which therefore has to exist.
type host struct {
	path  string            // path of the stand-in's module
	files map[string][]byte // files of the stand-in, by name
	links []symlink
	env   []string // environment of the go command in the stand-in
	flags []string // flags of go build and go list in the stand-in
	root  string   // the host's folder
	mend  string   // advice for errors about missing packages; "": it depends on the reason
}

// symlink is a symbolic link in a stand-in and its target.
type symlink struct{ name, target string }

// logger is a function for progress messages; nil drops them.
type logger func(format string, args ...any)

var found struct {
	sync.Mutex
	*host
}

// findHost returns the host for this process: the module or workspace around the working
// directory if it can be used, else the sources that this program was built from. The go
// command may download their requirements, if the user's settings allow it.
func findHost(log logger) (*host, error) {
	found.Lock()
	defer found.Unlock()
	if found.host != nil {
		return found.host, nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return nil, errors.New("compiling needs the go command of Go 1.26 or later, and PATH has none: install it, see https://go.dev/dl")
	}
	var first error
	for _, find := range []func() (*host, error){around, sources} {
		h, err := find()
		if err == nil && h != nil {
			if err = h.try(log, nil, linked...); err == nil {
				found.host = h
				return h, nil
			}
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("compiling needs the sources of %s: the module of the working directory does not require it, and the sources that this program was built from are not on this machine; run it in a clone, or in a module made as README says under In your program", modulePath)
	}
	return nil, first
}

// CanBuild returns an error if programs with these image decoders cannot be compiled here. A
// caller checks it before long work. The go command may download modules, as for New and
// Build. Log, if not nil, gets a line before long work.
func CanBuild(decoders []string, log func(format string, args ...any)) error {
	h, err := findHost(log)
	if err != nil || len(decoders) == 0 {
		return err
	}
	env, err := Decoding(decoders)
	if err != nil {
		return err
	}
	var packages []string
	for _, name := range decoders {
		packages = append(packages, modulePath+"/codegen/rt/imagefile/"+name)
	}
	return h.try(log, env, packages...)
}

// around returns the module or workspace around the working directory as the host, or nil if it
// does not have the linked packages.
func around() (*host, error) {
	out, err := goCommand("", nil, nil, "list", "-find", "-e", "-f", "{{.Dir}}\t{{with .Error}}{{.Err}}{{end}}", modulePath+"/codegen/rt", "golang.org/x/sys/cpu")
	if err != nil {
		var failed *goError
		if errors.As(err, &failed) {
			err = fmt.Errorf("the go command refuses the module around the working directory (%s); run `go list -m` there to see why", oneLine(failed.text))
		}
		return nil, err
	}
	var dirs []string
	for line := range strings.Lines(string(out)) {
		dir, why, _ := strings.Cut(line, "\t")
		if dirs = append(dirs, dir); len(dirs) > 1 || dir != "" {
			continue
		}
		if _, err := goCommand("", nil, nil, "list", "-m", modulePath); err != nil {
			return nil, nil // not required
		}
		return nil, (&host{root: "the module's folder"}).missing(oneLine(why))
	}
	out, err = goCommand("", nil, nil, "env", "GOWORK")
	if err != nil {
		return nil, err
	}
	if work := strings.TrimSpace(string(out)); work != "" && work != "off" {
		return aroundWork(work, dirs)
	}
	out, err = goCommand("", nil, nil, "list", "-m", "-f", "{{.Path}}\n{{.Dir}}\n{{.GoMod}}")
	if err != nil {
		return nil, err
	}
	m := strings.Split(string(out), "\n")
	if len(m) < 3 {
		return nil, fmt.Errorf("go list -m says %q, want a module with its folder", out)
	}
	h := &host{env: []string{"GOWORK=off"}, flags: []string{"-modfile="}}
	return h, h.module(m[0], m[1], m[2], vendored(m[1], dirs))
}

// vendored reports whether one of the folders of packages is in the vendor folder of root.
func vendored(root string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return strings.HasPrefix(dir, filepath.Join(root, "vendor")+string(filepath.Separator))
	})
}

// module fills in the host of a module with the folder root. gomod is its go.mod file, or the
// file that -modfile names.
func (h *host) module(path, root, gomod string, vendored bool) error {
	mod, err := os.ReadFile(gomod)
	if err != nil {
		return err
	}
	sum, err := os.ReadFile(strings.TrimSuffix(gomod, ".mod") + ".sum")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	h.root, h.files = root, map[string][]byte{"go.mod": mod, "go.sum": sum}
	if vendored {
		h.links = append(h.links, symlink{"vendor", filepath.Join(root, "vendor")})
		h.mend = nameTool + ", and `go mod vendor`"
	}
	if path == modulePath { // the stand-in has the path of this module, with the main package added
		h.path = path
		for _, dir := range []string{"codegen/rt", "generated/kernels", "ir/file", "ir/half"} {
			h.links = append(h.links, symlink{dir, filepath.Join(root, filepath.FromSlash(dir))})
		}
		return nil
	}
	// The binary does not reveal the module that it was compiled in.
	h.path = "multiway"
	return h.edit("go.mod", root, vendored, func(replaced []string) []string {
		return slices.Concat([]string{"mod", "edit", "-module=" + h.path}, replaced)
	})
}

// aroundWork returns the host of a workspace. Its stand-in is a workspace of the same modules,
// in their own folders, and one more.
func aroundWork(gowork string, dirs []string) (*host, error) {
	root := filepath.Dir(gowork)
	work, err := os.ReadFile(gowork)
	if err != nil {
		return nil, err
	}
	sum, err := os.ReadFile(gowork + ".sum")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	out, err := goCommand(root, nil, nil, "work", "edit", "-json", gowork)
	if err != nil {
		return nil, err
	}
	var w struct {
		Go  string
		Use []struct{ DiskPath string }
	}
	if err := json.Unmarshal(out, &w); err != nil {
		return nil, fmt.Errorf("go work edit -json: %w", err)
	}
	h := &host{path: "multiway", root: root}
	h.files = map[string][]byte{"go.mod": fmt.Appendf(nil, "module %s\n\ngo %s\n", h.path, w.Go), "go.work": work, "go.work.sum": sum}
	edits := []string{"work", "edit", "-use=."}
	for _, u := range w.Use {
		if !filepath.IsAbs(u.DiskPath) {
			edits = append(edits, "-dropuse="+u.DiskPath, "-use="+filepath.Join(root, u.DiskPath))
		}
	}
	vendored := vendored(root, dirs)
	if vendored {
		h.links = append(h.links, symlink{"vendor", filepath.Join(root, "vendor")})
		h.mend = "`go work vendor`"
	}
	return h, h.edit("go.work", root, vendored, func(replaced []string) []string {
		return slices.Concat(edits, replaced)
	})
}

// edit adds a file of the host, edited by the go command, to the stand-in. Replacements by
// folders become links in the stand-in, so that the binary contains no path of this machine.
// With a vendor folder, which repeats the replacements and has to agree, they stay.
func (h *host) edit(name, root string, vendored bool, args func(replaced []string) []string) error {
	tmp, err := file.TempDir()
	if err != nil {
		return err
	}
	defer tmp.Remove()
	dir := tmp.Path
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, h.files[name], 0o666); err != nil {
		return err
	}
	kind := strings.TrimPrefix(name, "go.")
	out, err := goCommand(dir, nil, nil, kind, "edit", "-json", path)
	if err != nil {
		return err
	}
	var f struct {
		Replace []struct {
			Old, New struct{ Path, Version string }
		}
	}
	if err := json.Unmarshal(out, &f); err != nil {
		return fmt.Errorf("go %s edit -json: %w", kind, err)
	}
	var flags []string
	for i, r := range f.Replace {
		if r.New.Version != "" || vendored {
			continue
		}
		l := symlink{fmt.Sprint("replaced", i), r.New.Path}
		if !filepath.IsAbs(l.target) {
			l.target = filepath.Join(root, l.target)
		}
		old, to := r.Old.Path, "./"+l.name
		if r.Old.Version != "" {
			old += "@" + r.Old.Version
		}
		if os.Symlink(l.target, filepath.Join(dir, l.name)) != nil {
			to = l.target // no permission for links, or no support
		} else {
			h.links = append(h.links, l)
		}
		flags = append(flags, "-replace="+old+"="+to)
	}
	if _, err := goCommand(dir, nil, nil, append(args(flags), path)...); err != nil {
		return err
	}
	h.files[name], err = os.ReadFile(path)
	return err
}

// sources returns the host with the sources that this program was built from: their folder,
// or the module of its version. It returns nil if neither is on this machine.
func sources() (*host, error) {
	h := &host{env: []string{"GOWORK=off", "GO111MODULE=on"}, flags: []string{"-modfile=", "-mod=readonly"}}
	if root := sourceDir(); root != "" {
		return h, h.module(modulePath, root, filepath.Join(root, "go.mod"), false)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != modulePath || !strings.HasPrefix(info.Main.Version, "v") || strings.Contains(info.Main.Version, "+") {
		return nil, nil
	}
	version := modulePath + "@" + info.Main.Version
	out, err := goCommand(os.TempDir(), nil, h.env, "mod", "download", "-json", version)
	var m struct{ Dir, GoMod string }
	if err != nil || json.Unmarshal(out, &m) != nil || m.Dir == "" {
		return nil, nil
	}
	err = h.module(modulePath, m.Dir, filepath.Join(m.Dir, "go.mod"), false)
	h.mend = fmt.Sprintf("`go install %s/cmd/multiway@%s` where there is a network", modulePath, info.Main.Version)
	return h, err
}

// sourceDir returns the folder of the sources that this program was built from, or "" if they
// no longer exist or the build did not record their path.
func sourceDir() string {
	_, source, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(source) {
		return ""
	}
	root := filepath.Dir(filepath.Dir(filepath.Dir(source)))
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !bytes.HasPrefix(mod, []byte("module "+modulePath+"\n")) {
		return ""
	}
	return root
}

// standIn makes dir the stand-in for the host.
func (h *host) standIn(dir string) error {
	for name, data := range h.files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return err
		}
	}
	var set file.Set
	defer set.Abandon()
	for _, l := range h.links {
		path := filepath.Join(dir, filepath.FromSlash(l.name))
		if err := set.MkdirAll(filepath.Dir(path)); err != nil { // fails if an interrupt has removed the folder above
			return err
		}
		if os.Symlink(l.target, path) == nil {
			continue
		}
		if err := os.CopyFS(path, os.DirFS(l.target)); err != nil {
			return err
		}
	}
	return nil
}

// goCommand runs the go command in dir, a stand-in for the host.
func (h *host) goCommand(dir string, log logger, env []string, command string, args ...string) error {
	env = append([]string{"CGO_ENABLED=0"}, env...)
	env = append(env, h.env...)
	if h.files["go.work"] != nil {
		env = append(env, "GOWORK="+filepath.Join(dir, "go.work"))
	}
	_, err := goCommand(dir, log, env, slices.Concat([]string{command}, h.flags, args)...)
	return err
}

// Decoding returns additions to the environment of the go command that compile the image decoders in: the build tag that
// they need, with the user's own tags.
func Decoding(decoders []string) ([]string, error) {
	if len(decoders) == 0 {
		return nil, nil
	}
	out, err := goCommand("", nil, nil, "env", "GOFLAGS")
	if err != nil {
		return nil, err
	}
	flags := strings.Fields(string(out))
	tags := "nodynamic"
	for i, f := range slices.Backward(flags) {
		if own, ok := strings.CutPrefix(strings.TrimLeft(f, "-"), "tags="); ok {
			flags = slices.Delete(flags, i, i+1)
			tags = own + "," + tags
			break // the last one counts
		}
	}
	return []string{"GOFLAGS=" + strings.Join(append(flags, "-tags="+tags), " ")}, nil
}

// try returns the go command's error about packages, or about packages that they import. It adds env to the environment.
func (h *host) try(log logger, env []string, packages ...string) error {
	tmp, err := file.TempDir()
	if err != nil {
		return err
	}
	defer tmp.Remove()
	dir := tmp.Path
	if err := h.standIn(dir); err != nil {
		return err
	}
	if err := h.goCommand(dir, log, env, "list", slices.Concat([]string{"-deps"}, packages)...); err != nil {
		var failed *goError
		if errors.As(err, &failed) {
			return h.missing(oneLine(failed.text))
		}
		return err
	}
	return nil
}

// build builds the main package of a stand-in.
func (h *host) build(dir, exe string, log logger, env ...string) error {
	defer log.after(5*time.Second, "still compiling: the first time, Go's own packages are compiled too, which takes minutes")()
	if os.Getenv("GOTMPDIR") == "" {
		env = append(env, "GOTMPDIR="+dir) // removed with dir even if the go command is killed
	}
	err := h.goCommand(dir, log, env, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", exe, "./"+compiledDir)
	if failed := (*goError)(nil); errors.As(err, &failed) && strings.HasPrefix(failed.text, "# ") { // the line names the package whose errors follow
		return fmt.Errorf("the generated code does not compile:\n%s\nthe %s in %s may have another version than this command: build the command again from it, or use `go tool multiway` there", failed.text, modulePath, h.root)
	}
	return err
}

// after logs the text after d, unless stop is called first.
func (l logger) after(d time.Duration, text string) (stop func()) {
	if l == nil {
		return func() {}
	}
	done := make(chan struct{})
	var wait sync.WaitGroup // stop returns only when log can no longer be called
	wait.Go(func() {
		select {
		case <-done:
		case <-time.After(d):
			l("%s", text)
		}
	})
	return func() { close(done); wait.Wait() }
}

// goError is the error of a go command.
type goError struct {
	command string
	text    string // its standard error, without the lines about downloads
	err     error
}

// maxGoText bounds the output of the go command in errors, in bytes.
const maxGoText = 4096

func (e *goError) Error() string {
	if strings.Contains(e.text, "\n") {
		return fmt.Sprintf("go %s: %v\n%s", e.command, e.err, e.text)
	}
	return fmt.Sprintf("go %s: %s", e.command, cmp.Or(strings.TrimPrefix(e.text, "go: "), e.err.Error()))
}

func (e *goError) Unwrap() error { return e.err }

// oneLine returns the first line of the go command's output, without a position in a source
// file and without advice that applies to another folder.
func oneLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if _, rest, ok := strings.Cut(text, ".go:"); ok {
		if _, cause, ok := strings.Cut(rest, ": "); ok {
			text = cause
		}
	}
	text, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), "go: "), "; to ")
	return strings.TrimSuffix(text, ":")
}

// nameTool is the advice that gives a module all requirements of the linked packages.
const nameTool = "`go mod edit -tool " + modulePath + "/cmd/multiway`, `go mod tidy`"

// missing returns the error about packages that the go command does not find.
func (h *host) missing(why string) error {
	mend := h.mend
	switch {
	case strings.Contains(why, "requires go >= "):
		return fmt.Errorf("compiling needs a newer go command: %s", why)
	case mend != "":
	case strings.HasPrefix(why, "missing go.sum entry"):
		mend = nameTool
	default:
		mend = "`go mod download` where there is a network and GOPROXY is not off"
	}
	return fmt.Errorf("the go command does not find the packages that compiled models import (%s); in %s, run %s", why, h.root, mend)
}

// goCommand runs the go command in dir, with env added to the environment, and returns its
// standard output. Downloads are logged.
func goCommand(dir string, log logger, env []string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := interrupt.Start(cmd); err != nil {
		return nil, err
	}
	text := messages(stderr, log)
	if err := interrupt.Wait(cmd); err != nil {
		return nil, &goError{args[0], text, err}
	}
	return out.Bytes(), nil
}

// messages reads the go command's standard error, logs downloads that take a while, and
// returns the rest.
func messages(r io.Reader, log logger) string {
	var rest strings.Builder
	stop := func() {}
	defer func() { stop() }()
	lines := bufio.NewReaderSize(r, maxGoText)
	for first := true; ; {
		line, _, err := lines.ReadLine() // a longer line comes in parts
		switch {
		case err != nil:
			return strings.TrimSpace(rest.String())
		case bytes.HasPrefix(line, []byte("go: downloading ")):
			if first {
				first = false
				stop = log.after(time.Second, "downloading the modules that compiled models link to")
			}
		case rest.Len() < maxGoText:
			fmt.Fprintf(&rest, "%s\n", line)
		}
	}
}
