package asm_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		kernel       asm.Kernel
		name, family string
	}{
		{asm.Kernel{Op: asm.OpGemm, DType: "f32", MR: 6, NR: 16, ISA: asm.AVX2}, "gemm_f32_6x16_avx2", "gemm_f32"},
		{asm.Kernel{Op: asm.OpGelu, DType: "f32", ISA: asm.Generic}, "gelu_f32_generic", "gelu_f32"},
		{asm.Kernel{Op: asm.OpPeakFMA, ISA: asm.AVX2}, "peak_fma_avx2", "peak_fma"},
	} {
		if got := c.kernel.Name(); got != c.name {
			t.Errorf("name %q, want %q", got, c.name)
		}
		if got := c.kernel.Family(); got != c.family {
			t.Errorf("family %q, want %q", got, c.family)
		}
		if got, ok := asm.ByName(c.name); !ok || got != c.kernel {
			t.Errorf("ByName(%q) = %+v, %v, want %+v", c.name, got, ok, c.kernel)
		}
	}
	if k, ok := asm.ByName("gemm_f32_7x16_avx2"); ok {
		t.Errorf("ByName finds %+v", k)
	}
}

// TestCatalogue checks that every row of the tables is complete, and that every op runs on every level.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range asm.Catalogue {
		if seen[k.Name()] {
			t.Errorf("%s is there twice", k.Name())
		}
		seen[k.Name()] = true
		if k.Op.Row().Tiled != (k.MR > 0 && k.NR > 0 && k.NR%asm.Panel == 0) {
			t.Errorf("%s: tile %dx%d", k.Name(), k.MR, k.NR)
		}
	}
	for i, l := range asm.Levels {
		if (l.Base == "") != (i == 0) || l.Vector < 1 {
			t.Errorf("level %+v", l)
		}
		if l.Base != "" && !slices.ContainsFunc(asm.Levels[:i], func(b asm.Level) bool { return b.ISA == l.Base }) {
			t.Errorf("level %s stands before its base %s", l.ISA, l.Base)
		}
		for _, r := range asm.Ops {
			if r.Doc == "" || r.Signature == "" || (r.Type == "") != (r.Home != "") || (len(r.DTypes) == 0) != (r.Op == asm.OpPeakFMA) {
				t.Errorf("op row %+v", r)
			}
			if r.Home != "" {
				continue
			}
			for _, d := range r.DTypes {
				ks := asm.Best(asm.Kernel{Op: r.Op, DType: d}.Family(), l.ISA)
				if len(ks) == 0 {
					t.Errorf("nothing runs %s of %s on %s", r.Op, d, l.ISA)
				}
				for j, k := range ks {
					if r.Tiled && k.MR != j+1 {
						t.Errorf("%s %s: kernel %d has %d rows", r.Op, l.ISA, j, k.MR)
					}
				}
			}
		}
	}
}

// TestOneSignaturePerType checks that ops of one type have one signature.
func TestOneSignaturePerType(t *testing.T) {
	of := map[string]string{}
	for _, r := range asm.Ops {
		if s, seen := of[r.Type]; r.Type != "" && seen && s != r.Signature {
			t.Errorf("op %s has another signature than the others of type %s", r.Op, r.Type)
		}
		of[r.Type] = r.Signature
	}
}

func TestBestFallsBack(t *testing.T) {
	// A level without kernels of a family uses those of the level below; no level has an unknown family.
	if got := asm.Find("peak_fma", asm.Generic); got != nil {
		t.Errorf("generic has %v", got)
	}
	if got := asm.Best("no_such", asm.AVX2); got != nil {
		t.Errorf("no_such is run by %v", got)
	}
	if got := asm.Best("gemm_f32", "no_such"); got != nil {
		t.Errorf("level no_such runs %v", got)
	}
	if d := cmp.Diff(asm.Find("gelu_f32", asm.AVX2), asm.Best("gelu_f32", asm.AVX2)); d != "" {
		t.Errorf("Best has its own kernel and does not use it (-want +got):\n%s", d)
	}
}

func generics() []asm.Kernel {
	return slices.DeleteFunc(slices.Clone(asm.Catalogue), func(k asm.Kernel) bool { return k.ISA != asm.Generic })
}

// TestEveryOpHasATwin checks that every op of models has a twin for each element type, with the parameters of its row.
func TestEveryOpHasATwin(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "", asm.TwinSource, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			var params []string
			for _, p := range f.Type.Params.List {
				for range max(1, len(p.Names)) {
					params = append(params, types.ExprString(p.Type))
				}
			}
			got[f.Name.Name] = strings.Join(params, ", ")
		}
	}
	for _, k := range generics() {
		var want []string
		for _, p := range k.Op.Row().Params() {
			want = append(want, p.Type)
		}
		if d := cmp.Diff(strings.Join(want, ", "), got[k.Family()+"_generic"]); d != "" {
			t.Errorf("parameters of the twin of %s (-want +got):\n%s", k.Name(), d)
		}
	}
}

func TestTwinFile(t *testing.T) {
	// The whole catalogue needs everything in TwinSource but its package clause.
	all, err := asm.TwinFile("m", generics())
	if err != nil {
		t.Fatal(err)
	}
	copied := slices.DeleteFunc(decls(t, string(all)), func(name string) bool {
		k, _ := asm.ByName(name)
		return k.MR > 0
	})
	if d := cmp.Diff(decls(t, asm.TwinSource), copied); d != "" {
		t.Errorf("declarations (-TwinSource +copy):\n%s", d)
	}
	for _, c := range []struct {
		name string
		want []string
	}{
		{"pack_keys_f32_generic", []string{`"unsafe"`, "pack_keys_f32_generic", "rowOf"}},
		{"gelu_f32_generic", []string{`"math"`, `"unsafe"`, "gelu_f32_generic", "rowOf", "exp2Coef", "exp2", "geluCoef", "gelu"}},
		{"quick_gelu_f32_generic", []string{`"math"`, `"unsafe"`, "quick_gelu_f32_generic", "rowOf", "exp2Coef", "exp2", "quickGelu", "apply"}},
		{"gemm_f32_2x16_generic", []string{`"unsafe"`, "gemm_f32_2x16_generic", "gemm_f32_generic", "gemmTile", "gemmRow", "rowOf"}},
	} {
		k, ok := asm.ByName(c.name)
		if !ok {
			t.Fatalf("no kernel %s", c.name)
		}
		src, err := asm.TwinFile("m", []asm.Kernel{k})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, decls(t, string(src))); d != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", c.name, d, src)
		}
	}
	if _, err := asm.TwinFile("m", asm.Find("gelu_f32", asm.AVX2)); err == nil || err.Error() != "gelu_f32_avx2: no twin" {
		t.Errorf("an AVX2 kernel as a twin: %v", err)
	}
}

// decls lists the imports and the package-level names of a file.
func decls(t *testing.T, src string) []string {
	f, err := parser.ParseFile(token.NewFileSet(), "", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ImportSpec:
					names = append(names, s.Path.Value)
				case *ast.ValueSpec:
					names = append(names, s.Names[0].Name)
				}
			}
		}
	}
	return names
}

// TestLevelsOfOneProduct checks which levels add nothing but tiles of one matrix product.
func TestLevelsOfOneProduct(t *testing.T) {
	for _, c := range []struct {
		ops  []asm.Op
		want string
	}{
		{nil, ""},
		{[]asm.Op{asm.OpGemmI8}, "gemm_i8"},
		{[]asm.Op{asm.OpGemmEights, asm.OpRegroup}, "gemm_i8"},
		{[]asm.Op{asm.OpGemmI8, asm.OpQuant}, ""},
		{[]asm.Op{asm.OpGemmI8, asm.OpGemm}, ""},
		{[]asm.Op{asm.OpRegroup}, ""},
		{[]asm.Op{asm.OpGelu}, ""},
		{[]asm.Op{asm.OpPeakFMA}, ""},
	} {
		if got := (asm.Level{Ops: c.ops}).Only(); got != c.want {
			t.Errorf("of a level that adds %v: %q, want %q", c.ops, got, c.want)
		}
	}
}
