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

	// The main programs link to them, to the readers of pictures where it is asked for: here
	// those are empty. A vendor folder has what the tools of a module import.
	_ "github.com/multiway-go/multiway/codegen/rt/cli"
	_ "github.com/multiway-go/multiway/codegen/rt/imagefile/avif"
	_ "github.com/multiway-go/multiway/codegen/rt/imagefile/heic"
)

// modulePath is this module, which generated packages link to.
const modulePath = "github.com/multiway-go/multiway"

// linked lists the packages that main programs import, besides the packages that are compiled into them.
var linked = []string{modulePath + "/codegen/rt/cli", modulePath + "/codegen/rt/bench", modulePath + "/codegen/rt/engineproc", modulePath + "/generated/kernels"}

// host is a module, or workspace, of this machine that has the sources of the linked
// packages. A temporary folder stands in for its root: with the same requirements, sums,
// replacements and vendored packages, the go command finds there what it finds here,
// and no more has to be in the module cache or within reach. Nothing is written here.
//
// An overlay over the host itself will not do: the go command runs the assembler in the
// folder of a package, which therefore has to exist.
type host struct {
	path  string            // of the stand-in's module
	files map[string][]byte // of the stand-in, by name
	links []symlink
	env   []string // of the go command in the stand-in
	flags []string // of go build and go list there
	root  string   // the host's folder
	mend  string   // advice for errors about missing packages; "": it depends on the reason
}

// symlink is a name in a stand-in and the file or folder that it stands for.
type symlink struct{ name, target string }

// logger takes progress messages.
type logger func(format string, args ...any)

var found struct {
	sync.Mutex
	*host
}

// findHost returns the host for this process: the module or workspace around the working
// directory if it can be used, else the sources that this program was built from. It has
// the go command download what they require, as the user's settings allow.
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
		first = fmt.Errorf("compiling needs the sources of %s: the working directory is in no module that requires it, and the sources that this program was built from are not on this machine; run it in a clone, or in a module made as README says under In your program", modulePath)
	}
	return nil, first
}

// CanBuild returns an error if programs that read further formats of pictures by decoders cannot
// be compiled here, for a caller that has long work to do before. It has the go command
// download modules, as New and Build do. Log, if not nil, is told what takes long.
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

// around returns the host around the working directory, nil if no module there has the
// linked packages.
func around() (*host, error) {
	out, err := goCommand("", nil, nil, "list", "-find", "-e", "-f", "{{.Dir}}\t{{with .Error}}{{.Err}}{{end}}", modulePath+"/codegen/rt", "golang.org/x/sys/cpu")
	if err != nil {
		var failed *goError
		if errors.As(err, &failed) {
			err = fmt.Errorf("the module around the working directory is not in order (%s); `go list -m` there says what to do", oneLine(failed.text))
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

// module makes the host of a module and its folder; gomod is the file of its
// requirements, which -modfile may name.
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
	if path == modulePath { // the stand-in is this module, and has the main package besides
		h.path = path
		for _, dir := range []string{"codegen/rt", "generated/kernels", "ir/file"} {
			h.links = append(h.links, symlink{dir, filepath.Join(root, filepath.FromSlash(dir))})
		}
		return nil
	}
	// The binary does not tell which module it was compiled in.
	h.path = "multiway"
	return h.edit("go.mod", root, vendored, func(replaced []string) []string {
		return slices.Concat([]string{"mod", "edit", "-module=" + h.path}, replaced)
	})
}

// aroundWork makes the host of a workspace. Its stand-in is a workspace of the same
// modules where they are, and one more.
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

// edit has the go command edit a file of the host, with the flags that point what it
// replaces by folders beside root to links in the stand-in, so that the binary names no
// folder of this machine. A vendor folder repeats replacements and has to agree: they
// stay, and nobody looks there.
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
			to = l.target // a system, or a user, without links
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

// sources returns the host of the sources that this program was built from: their
// folder, or the module of its version; nil if neither is on this machine.
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

// sourceDir is the root of the sources that this program was built from, "" if they
// are gone or the build did not record where they were.
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
		if err := set.MkdirAll(filepath.Dir(path)); err != nil { // not after an interrupt has removed the folder above
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

// goCommand runs the go command in dir, which is a stand-in for the host.
func (h *host) goCommand(dir string, log logger, env []string, command string, args ...string) error {
	env = append([]string{"CGO_ENABLED=0"}, env...)
	env = append(env, h.env...)
	if h.files["go.work"] != nil {
		env = append(env, "GOWORK="+filepath.Join(dir, "go.work"))
	}
	_, err := goCommand(dir, log, env, slices.Concat([]string{command}, h.flags, args)...)
	return err
}

// Decoding returns what to add to the environment of the go command so that readers of pictures are compiled in: the build
// tag that they need, beside the user's own tags.
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
			break // the last of them counts
		}
	}
	return []string{"GOFLAGS=" + strings.Join(append(flags, "-tags="+tags), " ")}, nil
}

// try returns the go command's error about packages, or about packages that they import, with env.
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
		env = append(env, "GOTMPDIR="+dir) // where it is removed also if the go command is killed
	}
	err := h.goCommand(dir, log, env, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", exe, "./"+compiledDir)
	if failed := (*goError)(nil); errors.As(err, &failed) && strings.HasPrefix(failed.text, "# ") { // the package whose errors follow
		return fmt.Errorf("the generated code does not compile:\n%s\nthe %s in %s may be of another version than this command: build the command anew from it, or use `go tool multiway` there", failed.text, modulePath, h.root)
	}
	return err
}

// after logs the text after d, unless stop is called first.
func (l logger) after(d time.Duration, text string) (stop func()) {
	if l == nil {
		return func() {}
	}
	done := make(chan struct{})
	var wait sync.WaitGroup // so that log is not called when stop has returned
	wait.Go(func() {
		select {
		case <-done:
		case <-time.After(d):
			l("%s", text)
		}
	})
	return func() { close(done); wait.Wait() }
}

// goError is a go command that failed.
type goError struct {
	command string
	text    string // its standard error, without the lines about downloads
	err     error
}

// maxGoText bounds the output of the go command that is kept, in bytes.
const maxGoText = 4096

func (e *goError) Error() string {
	if strings.Contains(e.text, "\n") {
		return fmt.Sprintf("go %s: %v\n%s", e.command, e.err, e.text)
	}
	return fmt.Sprintf("go %s: %s", e.command, cmp.Or(strings.TrimPrefix(e.text, "go: "), e.err.Error()))
}

func (e *goError) Unwrap() error { return e.err }

// oneLine is the first line of the go command's output, without the position in the
// source and without advice that holds for another folder.
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

// nameTool is the command with which a module gets all requirements of the linked packages.
const nameTool = "`go mod edit -tool " + modulePath + "/cmd/multiway`, `go mod tidy`"

// missing is the error of packages that the go command does not find.
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
	return fmt.Errorf("the go command does not get the packages that compiled models link to (%s); in %s, run %s", why, h.root, mend)
}

// goCommand runs the go command in dir, with env besides the environment, and returns
// what it prints. Log is told of downloads.
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

// messages reads what the go command writes to standard error, tells log of downloads
// that take a while, and returns the rest.
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
