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

// maxSource bounds the Go files whose package clause is read, in bytes.
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
			return "", fmt.Errorf("%s has package %s, want %s: give another folder with -o, or leave --package out", file.Quote(in), there, o.Package)
		}
		return o.Package, nil
	}
	if there == "main" {
		return "", fmt.Errorf("%s has package main, which cannot be imported: give another folder with -o", file.Quote(in))
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
		return "", "", nil // the build makes the folder, or reports what is wrong with it
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".go" || strings.HasPrefix(e.Name(), "_") || strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() {
			continue // go build ignores these files too
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
			return "", "", fmt.Errorf("%s: not a valid Go file (%.200s); correct it, or give another folder with -o", file.Quote(path), err)
		}
		got := f.Name.Name
		if strings.HasSuffix(e.Name(), "_test.go") {
			got = strings.TrimSuffix(got, "_test")
		}
		if name != "" && got != name {
			return "", "", fmt.Errorf("%s has package %s, %s has package %s, but a folder holds one package: give another folder with -o", file.Quote(in), name, file.Quote(path), got)
		}
		name, in = got, cmp.Or(in, path)
	}
	return name, in, nil
}
