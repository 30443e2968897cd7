package codegen

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/onnx"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/irtest"
	"github.com/multiway-go/multiway/passes"
)

// planned returns the planned programs of all text cases of package passes, a value of each op in them, and the errors of cases that
// become no program, by file.
func planned(t *testing.T) (values map[*ir.Op]*ir.Value, programs map[*ir.Op]*ir.Program, failed map[string]error) {
	t.Helper()
	failed = map[string]error{}
	files, err := filepath.Glob("../passes/testdata/*/*.ir")
	if err != nil {
		t.Fatal(err)
	}
	values, programs = map[*ir.Op]*ir.Value{}, map[*ir.Op]*ir.Program{}
	for _, file := range files {
		p, err := passes.Run(irtest.Read(t, file), passes.Options{})
		if err != nil {
			failed[file] = err // a case of a late pass begins in the middle
			continue
		}
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				values[v.Op], programs[v.Op] = v, p
			}
		}
	}
	return values, programs, failed
}

// reasons lists why cases of the pass that makes op become no program.
func reasons(failed map[string]error, op *ir.Op) string {
	var s strings.Builder
	for file, err := range failed {
		if strings.Contains(err.Error(), op.Name+" ") {
			fmt.Fprintf(&s, "\n%s: %v", file, err)
		}
	}
	return s.String()
}

// TestTablesOfOpsAgree compares the tables of ops: ir's, the catalogue of kernels, the runtime's steps and ONNX's.
func TestTablesOfOpsAgree(t *testing.T) {
	values, programs, failed := planned(t)
	inside := map[*ir.Op]bool{}
	for op, v := range values {
		if !op.Fused() {
			continue
		}
		f, err := programs[op].Expand(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range f.Values {
			inside[u.Op] = true
		}
	}
	for _, op := range ir.Ops {
		p, v := programs[op], values[op]
		if v == nil && (op.Fused() || op.Scratch != nil) {
			t.Errorf("%s: no case of passes/testdata becomes a program that has it; is its pass in All of passes/passes.go, and has it a case?%s", op.Name, reasons(failed, op))
			continue
		}
		if op.Scratch != nil {
			for _, s := range op.Scratch(p, v) {
				if s.Rows == (ir.Dim{}) || s.Cols < 1 {
					t.Errorf("%s: scratch %+v", op.Name, s)
				}
			}
		}
		for _, i := range op.InPlace {
			if i < 0 || i >= op.Args || op.View {
				t.Errorf("%s: no argument %d to write over", op.Name, i)
			}
		}
		if op.View != (op.Kernels == nil) {
			t.Errorf("%s: kernels %q, and view is %v", op.Name, op.Kernels, op.View)
		}
		for _, k := range op.Kernels {
			known := slices.ContainsFunc(asm.Ops, func(r asm.OpRow) bool { return string(r.Op) == k })
			if !known && (k != ir.PlainGo || len(op.Kernels) > 1) {
				t.Errorf("%s: kernel %q is not in the catalogue", op.Name, k)
			}
		}
		step, ok := stepOf(op)
		switch {
		case ok && op.View != (step == nil):
			t.Errorf("%s: view is %v, and its step is nil: %v", op.Name, op.View, step == nil)
		case !ok && !inside[op]:
			t.Errorf("%s: no step, and no fused op stands for it; give its row a Step (ir/op_*.go), or codegen/steps.go a row", op.Name)
		}
		if s := op.Step; s.Method != "" {
			if op.Batch != ir.RowWise && !slices.ContainsFunc(s.Parts, func(p ir.Part) bool { return p.Kind == ir.PartSections }) {
				t.Errorf("%s: it is not RowWise, so its step has to know where each sequence is; add a part of kind PartSections to Step in its row (ir/op_*.go)", op.Name)
			}
			m, ok := reflect.TypeFor[*exec.Exec]().MethodByName(s.Method)
			want := 2 + op.Args + len(s.Parts) // with the runtime itself and the result
			if op.Scratch != nil {
				want += len(op.Scratch(p, v))
			}
			if !ok || m.Type.NumIn() != want && op.Args >= 0 {
				t.Errorf("%s: its row says Step.Method %s, but exec.Exec has no such method of %d arguments; write it in codegen/rt/exec", op.Name, s.Method, want-2)
			}
		}
		if onnx.Writes(op) == op.Fused() {
			t.Errorf("%s: written as ONNX: %v, fused: %v; every primitive op, and no other, has a row of ops in codegen/onnx/ops.go", op.Name, onnx.Writes(op), op.Fused())
		}
	}
	for i, a := range ir.Activations {
		if got := exec.Act(i).String(); got != a.Name {
			t.Errorf("activation %s: the runtime's number %d is %q", a.Name, i, got)
		}
		if !slices.ContainsFunc(asm.Ops, func(r asm.OpRow) bool { return string(r.Op) == a.Name }) {
			t.Errorf("activation %s: no kernel of that name is in the catalogue", a.Name)
		}
	}
	for op := range steps {
		if !slices.Contains(ir.Ops, op) {
			t.Errorf("a step of %q, which is no row of ir.Ops", op.Name)
		}
	}
}

// TestRowsOfFusedOps compares the row of each fused op with the expansions of its values in the cases of fusions: the weights of
// the bundle, the kernels, and the columns of norms.
func TestRowsOfFusedOps(t *testing.T) {
	type reads struct{ fields, kernels map[string]bool }
	all := map[*ir.Op]reads{}
	for _, pass := range passes.All {
		files, err := filepath.Glob("../passes/testdata/" + pass.Name + "/*.ir")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(pass.Name, "fuse-") {
			continue
		}
		for _, file := range files {
			p := irtest.Read(t, file)
			if err := pass.Run(p, passes.Options{}); err != nil {
				t.Fatal(err)
			}
			for _, f := range p.Funcs {
				for _, v := range f.Values {
					if !v.Op.Fused() {
						continue
					}
					if all[v.Op].fields == nil {
						all[v.Op] = reads{map[string]bool{}, map[string]bool{}}
					}
					expansion, err := p.Expand(v)
					if err != nil {
						t.Fatal(err)
					}
					for _, u := range expansion.Values {
						for _, field := range u.Op.Fields {
							if p.Field(u.Bundle, field.Name) != nil {
								all[v.Op].fields[strings.TrimPrefix(u.Bundle+"."+field.Name, v.Bundle+".")] = true
							}
						}
						for _, k := range u.Op.Kernels {
							if k != ir.PlainGo && u.Op != ir.OpAdd { // products add residuals themselves
								all[v.Op].kernels[k] = true
							}
						}
					}
					for _, part := range v.Op.Step.Parts {
						checkNorm(t, p, v, expansion, part)
					}
				}
			}
		}
	}
	for _, op := range ir.Ops {
		if !op.Fused() {
			continue
		}
		declared := map[string]bool{}
		for _, f := range op.Fields {
			declared[f.Name] = true
		}
		if diff := cmp.Diff(all[op].fields, declared); diff != "" {
			t.Errorf("%s: Fields of its row in ir are not the weights that its expansions read in the cases of passes/testdata (-expansions +row):\n%s", op.Name, diff)
		}
		kernels := map[string]bool{}
		for _, k := range op.Kernels {
			if k != ir.PlainGo {
				kernels[k] = true
			}
		}
		if diff := cmp.Diff(all[op].kernels, kernels); diff != "" {
			t.Errorf("%s: Kernels of its row in ir are not those of its expansions in the cases of passes/testdata (-expansions +row):\n%s", op.Name, diff)
		}
	}
}

// checkNorm checks that a norm of v's step is a norm of v's expansion.
func checkNorm(t *testing.T, p *ir.Program, v *ir.Value, expansion *ir.Func, part ir.Part) {
	t.Helper()
	eps, ok := v.Attrs.Get(part.Eps)
	if part.Kind != ir.PartNorm || !ok {
		return
	}
	columns := v.Args[0].Type.Cols()
	if part.Of != "" {
		columns = p.Field(v.Bundle+"."+part.Of, "w").Type.Rows().C
	}
	if !slices.ContainsFunc(expansion.Values, func(u *ir.Value) bool {
		return u.Op == ir.OpLayerNorm && u.Attrs.Float("eps", 0) == eps.Float && u.Type.Cols() == columns
	}) {
		t.Errorf("%s: part %+v of its Step is a norm over %d columns, and its expansion has no such norm; the field Of of a Part says whose columns a norm is over", ir.PrintValue(v), part, columns)
	}
}
