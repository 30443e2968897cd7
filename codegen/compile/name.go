package compile

import (
	"bytes"
	"cmp"
	"fmt"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"strings"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/ir/file"
)

// maxSource bounds a Go file that is looked at for its package clause, in bytes.
const maxSource = 16 << 20

// packageName returns the name of the package: the name asked for, else the package clause of
// the folder's own files, else $GOPACKAGE if go generate runs in the folder, else the name of
// the description.
func (m *Model) packageName(o Options) (string, error) {
	there, in, err := packageThere(o.Dir)
	if err != nil {
		return "", err
	}
	if o.Package != "" {
		if there != "" && there != o.Package {
			return "", fmt.Errorf("%s is of package %s, want %s: give another folder with -o, or leave --package out", file.Quote(in), there, o.Package)
		}
		return o.Package, nil
	}
	if there == "main" {
		return "", fmt.Errorf("%s is of package main, which cannot be imported: give another folder with -o", file.Quote(in))
	}
	if there != "" {
		return there, nil
	}
	if dir := filepath.Clean(o.Dir); o.Dir != "" && dir == "." {
		if name := os.Getenv("GOPACKAGE"); name != "" {
			return strings.TrimSuffix(name, "_test"), nil
		}
	}
	return m.Desc.Name, nil
}

// packageThere returns the package clause of a folder's Go files that multiway did not
// generate, and the name of one such file; both are "" in a folder without any.
func packageThere(dir string) (name, in string, err error) {
	if dir == "" {
		return "", "", nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", "", nil // it is made, or the build says what is wrong with it
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".go" || strings.HasPrefix(e.Name(), "_") || strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() {
			continue // go build passes over these, too
		}
		path := filepath.Join(dir, e.Name())
		text, err := file.Read(path, maxSource)
		if err != nil {
			return "", "", err
		}
		if codegen.Generated(text) || bytes.Contains(text, []byte("//go:build ignore\n")) {
			continue
		}
		f, err := parser.ParseFile(gotoken.NewFileSet(), path, text, parser.PackageClauseOnly)
		if err != nil {
			return "", "", fmt.Errorf("%s: no Go file (%.200s); mend it, or give another folder with -o", file.Quote(path), err)
		}
		got := f.Name.Name
		if strings.HasSuffix(e.Name(), "_test.go") {
			got = strings.TrimSuffix(got, "_test")
		}
		if name != "" && got != name {
			return "", "", fmt.Errorf("%s is of package %s, %s of package %s; a folder holds one: give another with -o", file.Quote(in), name, file.Quote(path), got)
		}
		name, in = got, cmp.Or(in, path)
	}
	return name, in, nil
}
