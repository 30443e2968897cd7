package library

import (
	"bytes"
	"fmt"
	"go/format"
	"path"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// Homes returns the generated files of codegen/rt, by their paths below it: package kernel's CPU levels and types of kernels,
// package blob's element types, the assembly of each op that has a package there as its Home, with its declarations, and
// package bench's table of kernels that measure the peak rate. Packages of models do not use these kernels.
func Homes() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, e := range emitters {
		for _, r := range asm.Ops {
			var of []asm.Kernel
			for _, k := range asm.Catalogue {
				if l, _ := k.ISA.Level(); l.Arch == e.arch && k.Op == r.Op {
					of = append(of, k)
				}
			}
			if r.Home == "" || len(of) == 0 {
				continue
			}
			name := path.Join(r.Home, string(r.Op)+"_"+e.arch)
			var err error
			if files[name+".s"], files[name+".go"], err = e.emit(path.Base(r.Home), of); err != nil {
				return nil, err
			}
			if r.Op == asm.OpPeakFMA {
				if files["bench/peaks_"+e.arch+".go"], err = peaks(e.constraint(), of); err != nil {
					return nil, err
				}
			}
		}
	}
	var err error
	if files["kernel/levels.go"], err = levels(); err != nil {
		return nil, err
	}
	if files["kernel/types.go"], err = kernelTypes(); err != nil {
		return nil, err
	}
	if files["blob/dtypes.go"], err = dtypes(); err != nil {
		return nil, err
	}
	files["bench/peaks_none.go"], err = peaks(noAssembly(), nil)
	return files, err
}

// unnamed maps instruction sets to their names in golang.org/x/sys/cpu if these differ; "" if it has no name.
var unnamed = map[string]string{"FMA3": "FMA", "F16C": ""} // every CPU with AVX2 has F16C

// asked maps instruction sets that golang.org/x/sys/cpu does not know on every system to package kernel's own variables.
var asked = map[string]string{"I8MM": "hasI8MM"}

// levels returns package kernel's table of CPU levels.
func levels() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\npackage kernel\n\nimport \"golang.org/x/sys/cpu\"\n\nvar levels = []level{\n", asm.Header)
	for _, l := range asm.Levels {
		var has []string
		for _, f := range l.Features {
			name, differs := unnamed[f]
			if !differs {
				name = f
			}
			switch {
			case asked[f] != "":
				has = append(has, asked[f])
			case name != "":
				has = append(has, "cpu."+map[string]string{"amd64": "X86", "arm64": "ARM64"}[l.Arch]+".Has"+name)
			}
		}
		if len(has) == 0 {
			has = []string{"true"}
		}
		fmt.Fprintf(&b, "{%q, %q, %s},\n", l.ISA, l.Base, strings.Join(has, " && "))
	}
	b.WriteString("}\n")
	return format.Source(b.Bytes())
}

// kernelTypes returns package kernel's types of kernels. They are aliases, so that a test takes them from kernels.All.
func kernelTypes() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\npackage kernel\n\n", asm.Header)
	b.WriteString("// The types of kernels. Package asm says how kernels are called, and what they may read and write.\ntype (\n")
	for i, r := range asm.Ops {
		same := func(o asm.OpRow) bool { return o.Type == r.Type }
		if r.Type == "" || slices.ContainsFunc(asm.Ops[:i], same) {
			continue
		}
		format := "// " + r.Type + " is the type of kernels of op %s:\n//\n// %s\n"
		for _, o := range asm.Ops[i:] {
			if same(o) {
				fmt.Fprintf(&b, format, o.Op, strings.Join(o.Contract(), "\n// "))
				format = "//\n// Kernels of op %s have the same type:\n//\n// %s\n"
			}
		}
		fmt.Fprintf(&b, "%s = %s\n\n", r.Type, r.Signature)
	}
	b.WriteString(")\n")
	return format.Source(b.Bytes())
}

// dtypes returns the source of package blob's element types, which equal ir's.
func dtypes() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\npackage blob\n\n// The element types.\nconst (\n", asm.Header)
	for i, d := range ir.DTypes() {
		if b.WriteString(d.Ident()); i == 0 {
			b.WriteString(" DType = iota + 1")
		}
		b.WriteString("\n")
	}
	b.WriteString(")\n\nvar dtypes = [...]struct {\nname string\nsize int\n}{\n")
	for _, d := range ir.DTypes() {
		fmt.Fprintf(&b, "%s: {%q, %d},\n", d.Ident(), d, d.Size())
	}
	b.WriteString("}\n")
	return format.Source(b.Bytes())
}

// peaks returns package bench's table of kernels that measure the peak.
func peaks(constraint string, of []asm.Kernel) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n//go:build %s\n\npackage bench\n\nvar peaks = []peak{\n", asm.Header, constraint)
	for _, k := range of {
		l, _ := k.ISA.Level()
		fmt.Fprintf(&b, "{%q, %s, 2 * 12 * %d},\n", k.ISA, k.Name(), l.Vector)
	}
	b.WriteString("}\n")
	return format.Source(b.Bytes())
}
