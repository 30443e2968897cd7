package amd64

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"

	"github.com/multiway-go/multiway/asm"
)

// Library returns the files of package generated/kernels, by name: every kernel of the catalogue, compiled, behind one
// table by name. The same catalogue gives the same bytes.
func Library() (map[string][]byte, error) {
	var generic, native []asm.Kernel
	for _, k := range asm.Catalogue {
		switch l, _ := k.ISA.Level(); l.Arch {
		case "":
			generic = append(generic, k)
		case "amd64":
			native = append(native, k)
		}
	}
	files := map[string][]byte{}
	var err error
	if files["kernels_generic.go"], err = asm.TwinFile("kernels", generic); err != nil {
		return nil, err
	}
	if files["kernels_amd64.s"], files["kernels_amd64.go"], err = Emit("kernels", native); err != nil {
		return nil, err
	}

	var b bytes.Buffer
	b.WriteString(asm.Header + libraryDoc)
	if err := table(&b, "generic", generic); err != nil {
		return nil, err
	}
	if files["kernels.go"], err = format.Source(b.Bytes()); err != nil {
		return nil, err
	}
	b.Reset()
	fmt.Fprintf(&b, "%s\n\n//go:build %s\n\npackage kernels\n", asm.Header, constraint)
	if err := table(&b, "native", native); err != nil {
		return nil, err
	}
	if files["native_amd64.go"], err = format.Source(b.Bytes()); err != nil {
		return nil, err
	}
	files["native_none.go"] = fmt.Appendf(nil, "%s\n\n//go:build !(%s)\n\npackage kernels\n\nvar native []Kernel\n", asm.Header, constraint)
	return files, nil
}

const libraryDoc = `

// Package kernels holds every kernel that multiway knows, compiled, so that one tester can run and time them all. Packages
// that multiway generates do not import it: each carries a copy of the kernels it uses.
package kernels

//go:generate go test ../../asm/amd64 -run Library -update

// Kernel is a compiled kernel.
type Kernel struct {
	Name     string
	Level    string   // generic, avx2, ...
	Requires []string // instruction sets that the CPU must have, as recorded from the kernel's instructions
	Func     any      // a function of the type that package asm gives for its op
}

// All returns every kernel of this build, level by level: those in Go, then those in this architecture's assembly, which
// are left out under -tags noasm.
func All() []Kernel { return append(generic[:len(generic):len(generic)], native...) }
`

// table writes a variable with a row for each kernel.
func table(b *bytes.Buffer, name string, kernels []asm.Kernel) error {
	fmt.Fprintf(b, "\nvar %s = []Kernel{\n", name)
	for _, k := range kernels {
		var needs []string
		if k.ISA != asm.Generic {
			var err error
			if needs, err = Requires(k); err != nil {
				return err
			}
		}
		fmt.Fprintf(b, "{Name: %q, Level: %q, ", k.Name(), k.ISA)
		if needs = slices.DeleteFunc(needs, func(s string) bool { return slices.Contains(baseline, s) }); len(needs) > 0 {
			fmt.Fprintf(b, "Requires: %#v, ", needs)
		}
		fmt.Fprintf(b, "Func: %s},\n", k.Name())
	}
	b.WriteString("}\n")
	return nil
}

// WriteLibrary writes the files of Library into dir, which it makes if need be.
func WriteLibrary(dir string) error {
	files, err := Library()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return err
		}
	}
	return nil
}
