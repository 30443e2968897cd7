package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// TestBare runs scripts with caches of the go command of their own, which are empty.
func TestBare(t *testing.T) {
	asmtest.Asked(t, asmtest.Bare)
	p := scripts(t, "testdata/bare")
	setup := p.Setup
	p.Setup = func(e *testscript.Env) error {
		if err := setup(e); err != nil {
			return err
		}
		for _, v := range [][2]string{
			{"GOCACHE", filepath.Join(e.WorkDir, "cache")}, {"GOMODCACHE", filepath.Join(e.WorkDir, "modules")}, {"GOENV", "off"},
			{"GOPATH", filepath.Join(e.WorkDir, "gopath")}, {"GOFLAGS", "-modcacherw"}, // so that the folder can be removed
		} {
			e.Setenv(v[0], v[1])
		}
		return nil
	}
	testscript.Run(t, p)
}

// clone DIR copies the files of the repository, as a clone of the working tree has them.
func clone(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range tracked(ts) {
		data, err := os.ReadFile(filepath.Join(ts.Getenv("REPO"), name))
		ts.Check(err)
		st, err := os.Stat(filepath.Join(ts.Getenv("REPO"), name))
		ts.Check(err)
		path := filepath.Join(ts.MkAbs(args[0]), name)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o777))
		ts.Check(os.WriteFile(path, data, st.Mode().Perm()))
	}
}

// publish DIR VERSION makes DIR a module proxy that has the repository at a version.
func publish(ts *testscript.TestScript, neg bool, args []string) {
	const path = "github.com/multiway-go/multiway"
	dir, version := filepath.Join(ts.MkAbs(args[0]), filepath.FromSlash(path), "@v"), args[1]
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range tracked(ts) {
		data, err := os.ReadFile(filepath.Join(ts.Getenv("REPO"), name))
		ts.Check(err)
		w, err := z.Create(path + "@" + version + "/" + name)
		ts.Check(err)
		_, err = w.Write(data)
		ts.Check(err)
	}
	ts.Check(z.Close())
	mod, err := os.ReadFile(filepath.Join(ts.Getenv("REPO"), "go.mod"))
	ts.Check(err)
	info, err := json.Marshal(map[string]string{"Version": version, "Time": "2026-01-01T00:00:00Z"})
	ts.Check(err)
	ts.Check(os.MkdirAll(dir, 0o777))
	for ext, data := range map[string][]byte{"zip": b.Bytes(), "mod": mod, "info": info} {
		ts.Check(os.WriteFile(filepath.Join(dir, version+"."+ext), data, 0o666))
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "list"), []byte(version+"\n"), 0o666))
}

// tracked lists the files of the repository that git has or would have.
func tracked(ts *testscript.TestScript) []string {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = ts.Getenv("REPO")
	out, err := cmd.Output()
	ts.Check(err)
	names := strings.Split(strings.Trim(string(out), "\x00"), "\x00")
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, err := os.Stat(filepath.Join(ts.Getenv("REPO"), name))
		return err != nil // removed, and not committed yet
	})
}

// readonly DIR takes the permission to write from a folder and all that is in it, until the
// script ends.
func readonly(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	set := func(mask fs.FileMode) error {
		return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Type()&fs.ModeSymlink != 0 {
				return err
			}
			st, err := d.Info()
			if err != nil {
				return err
			}
			return os.Chmod(path, st.Mode()&^0o222|mask)
		})
	}
	ts.Check(set(0))
	ts.Defer(func() { ts.Check(set(0o200)) })
}

// readme module [CLONE] runs the lines of README that have a module use the clone, which
// they say is in ../multiway; readme published what they are once there is a version to
// get; readme program FILE [TEXT] writes its first program to a file, or the first that has the text.
func readme(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(filepath.Join(ts.Getenv("REPO"), "README.md"))
	switch args[0] {
	case "program":
		for program, end := "", false; ; {
			_, rest, _ := strings.Cut(text, "```go\npackage main\n")
			if program, text, end = strings.Cut(rest, "```"); !end {
				ts.Fatalf("README.md shows no program %q", args[2:])
			}
			if len(args) < 3 || strings.Contains(program, args[2]) {
				ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte("package main\n"+program), 0o666))
				break
			}
		}
	case "module":
		at := strings.Index(text, "\n    go mod edit ")
		if at < 0 {
			ts.Fatalf("README.md has no `go mod edit`")
		}
		block, _, _ := strings.Cut(text[at+1:], "\n\n")
		for line := range strings.Lines(block) {
			if len(args) > 1 {
				line = strings.ReplaceAll(line, "../multiway", args[1])
			}
			ts.Check(ts.Exec("sh", "-c", line))
		}
	case "published":
		_, rest, ok := strings.Cut(text, "Once it is published, `")
		line, _, end := strings.Cut(rest, "`")
		if !ok || !end {
			ts.Fatalf("README.md does not say what there is to do once the module is published")
		}
		ts.Check(ts.Exec("sh", "-c", line))
	default:
		ts.Fatalf("readme %s: want module, published or program", args[0])
	}
}

// standsin FILE MODULE wants the program to be compiled in a stand-in for MODULE: this
// module's sources (clone), or a module or workspace that requires it (user). It leaves
// the build information in stdout.
func standsIn(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("go", "version", "-m", ts.MkAbs(args[0])))
	want := map[string]string{"user": "multiway/compiled", "clone": "github.com/multiway-go/multiway/compiled"}[args[1]]
	if !strings.Contains(ts.ReadFile("stdout"), "\tpath\t"+want+"\n") {
		ts.Fatalf("want the main package %s", want)
	}
}
