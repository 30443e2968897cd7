package library

import (
	"bytes"
	"fmt"
	"go/format"
	"path/filepath"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir/file"
)

// Files returns the files of package generated/kernels, by name: every kernel of the catalogue, the tables of kernels that
// generated packages use, and a table of all kernels by name. The same catalogue gives the same bytes.
func Files() (map[string][]byte, error) {
	of := map[string][]asm.Kernel{} // the kernels of each architecture
	for _, k := range asm.Catalogue {
		l, _ := k.ISA.Level()
		of[l.Arch] = append(of[l.Arch], k)
	}
	files := map[string][]byte{}
	var err error
	if files["kernels_generic.go"], err = asm.TwinFile("kernels", of[""]); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(asm.Header + libraryDoc)
	libraryTable(&b, "generic", of[""])
	if files["kernels.go"], err = format.Source(b.Bytes()); err != nil {
		return nil, err
	}
	for _, e := range emitters {
		native := of[e.arch]
		if files["kernels_"+e.arch+".s"], files["kernels_"+e.arch+".go"], err = e.emit("kernels", native); err != nil {
			return nil, err
		}
		if files["levels_"+e.arch+".go"], err = tableFile(e.constraint(), e.arch); err != nil {
			return nil, err
		}
		b.Reset()
		fmt.Fprintf(&b, "%s\n\n//go:build %s\n\npackage kernels\n", asm.Header, e.constraint())
		libraryTable(&b, "native", native)
		if files["native_"+e.arch+".go"], err = format.Source(b.Bytes()); err != nil {
			return nil, err
		}
	}
	files["native_none.go"] = fmt.Appendf(nil, "%s\n\n//go:build %s\n\npackage kernels\n\nvar native []Kernel\n", asm.Header, noAssembly())
	files["levels_none.go"], err = tableFile(noAssembly(), "")
	return files, err
}

const libraryDoc = `

// Package kernels holds the compute kernels of generated packages: in assembly, and in Go for other CPUs and for -tags noasm.
// A generated package refers to the tables [F32], [F16] and so on of its weights' types, so that a program links only their
// kernels. The tables are read-only. [All] is for tests and benchmarks.
//
// Kernels do not check their arguments. codegen/rt/kernel chooses among them, and codegen/rt/exec calls them.
package kernels

//go:generate go test ../../codegen/library -run Library -update

// Kernel is a compiled kernel.
type Kernel struct {
	Name  string
	Level string // generic, avx2, ...
	Func  any    // a function of the type that package asm gives for its op
}

// All returns the kernels of this build, level by level: first the ones in Go, then this architecture's assembly, unless it
// is built with -tags noasm.
func All() []Kernel { return append(generic[:len(generic):len(generic)], native...) }
`

// libraryTable emits a variable that lists the kernels.
func libraryTable(b *bytes.Buffer, name string, kernels []asm.Kernel) {
	fmt.Fprintf(b, "\nvar %s = []Kernel{\n", name)
	for _, k := range kernels {
		fmt.Fprintf(b, "{Name: %q, Level: %q, Func: %s},\n", k.Name(), k.ISA, k.Name())
	}
	b.WriteString("}\n")
}

// Write writes the files of package generated/kernels to dir, which it makes if needed.
func Write(dir string) error {
	files, err := Files()
	if err != nil {
		return err
	}
	var set file.Set
	defer set.Abandon()
	if err := set.MkdirAll(dir); err != nil {
		return err
	}
	for name, data := range files {
		if err := set.Write(filepath.Join(dir, name), 0o666, file.Bytes(data)); err != nil {
			return err
		}
	}
	return set.Commit()
}
