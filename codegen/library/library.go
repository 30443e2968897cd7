package library

import (
	"bytes"
	"fmt"
	"go/format"
	"path/filepath"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir/file"
)

// Files returns the files of package generated/kernels, by name: every kernel of the catalogue, compiled, the tables of
// them that generated packages use, and one by name. The same catalogue gives the same bytes.
func Files() (map[string][]byte, error) {
	of := map[string][]asm.Kernel{} // by architecture
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

// Package kernels holds the kernels that compute in packages which multiway generated, in assembly and, for any CPU and
// under -tags noasm, in Go. Such a package names the tables [F32], [F16] and so on of the types that its weights have; a
// program is linked to the kernels in those alone. The tables are for reading only. [All] is for testers and timers.
//
// It is not for calling kernels, which check nothing: codegen/rt/kernel chooses among them, and codegen/rt/exec calls them.
package kernels

//go:generate go test ../../codegen/library -run Library -update

// Kernel is a compiled kernel.
type Kernel struct {
	Name  string
	Level string // generic, avx2, ...
	Func  any    // a function of the type that package asm gives for its op
}

// All returns every kernel of this build, level by level: those in Go, then those in this architecture's assembly, which
// are left out under -tags noasm.
func All() []Kernel { return append(generic[:len(generic):len(generic)], native...) }
`

// libraryTable writes a variable with a row for each kernel.
func libraryTable(b *bytes.Buffer, name string, kernels []asm.Kernel) {
	fmt.Fprintf(b, "\nvar %s = []Kernel{\n", name)
	for _, k := range kernels {
		fmt.Fprintf(b, "{Name: %q, Level: %q, Func: %s},\n", k.Name(), k.ISA, k.Name())
	}
	b.WriteString("}\n")
}

// Write writes the files of package generated/kernels into dir, which it makes if need be.
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
