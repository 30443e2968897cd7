package codegen

import (
	"bytes"
	"fmt"
	"go/format"

	"github.com/multiway-go/multiway/asm"
)

// Measuring returns the generated files of package codegen/rt/bench, by name: the
// kernels that exist to be timed, and a table of them. No package that multiway
// generates carries these.
func Measuring() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, e := range emitters {
		var of []asm.Kernel
		for _, k := range asm.Catalogue {
			if l, _ := k.ISA.Level(); l.Arch == e.arch && k.Op.Row().Measuring {
				of = append(of, k)
			}
		}
		var err error
		if files["peak_"+e.arch+".s"], files["peak_"+e.arch+".go"], err = e.emit("bench", of); err != nil {
			return nil, err
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "%s\n\n//go:build %s\n\npackage bench\n\nvar peaks = []peak{\n", asm.Header, e.constraint())
		for _, k := range of {
			l, _ := k.ISA.Level()
			fmt.Fprintf(&b, "{%q, %s, 2 * 12 * %d},\n", k.ISA, k.Name(), l.Vector)
		}
		b.WriteString("}\n")
		if files["peaks_"+e.arch+".go"], err = format.Source(b.Bytes()); err != nil {
			return nil, err
		}
	}
	files["peaks_none.go"] = fmt.Appendf(nil, "%s\n\n//go:build %s\n\npackage bench\n\nvar peaks []peak\n", asm.Header, noAssembly())
	return files, nil
}
