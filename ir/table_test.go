package ir_test

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/ir"
)

// TestOpTable walks the op table: no row has an empty field that something reads.
func TestOpTable(t *testing.T) {
	names := map[string]bool{}
	for _, op := range ir.Ops {
		t.Run(op.Name, func(t *testing.T) {
			if op.Name == "" || op.Hint == "" || op.Doc == "" {
				t.Errorf("row %+v lacks a name, hint or doc", op)
			}
			if names[op.Name] {
				t.Errorf("%s has two rows", op.Name)
			}
			names[op.Name] = true
			if op.Args < -1 || op.Args == 0 && len(op.Fields) == 0 {
				t.Errorf("Args is %d; an op without arguments needs weights", op.Args)
			}
			if got := op.Infer != nil && op.Eval != nil && op.Cost != nil; got == op.Fused() {
				t.Errorf("a primitive op has Infer, Eval and Cost, a fused op Expand, none has both")
			}
			if op.Fused() && (op.Infer != nil || op.Eval != nil || op.Cost != nil) {
				t.Errorf("a fused op has no meaning of its own")
			}
			for _, f := range op.Fields {
				if f.Name == "" || strings.HasPrefix(f.Name, ".") {
					t.Errorf("field %q", f.Name)
				}
			}
			keys := map[string]bool{}
			for _, a := range append(append([]ir.AttrSpec{}, op.Attrs...), ir.CommonAttrs...) {
				if a.Key == "" || keys[a.Key] {
					t.Errorf("attribute %q is empty or stands twice", a.Key)
				}
				keys[a.Key] = true
			}
			if back, err := ir.OpNamed(op.Name); err != nil || back != op {
				t.Errorf("OpNamed(%q) = %v, %v", op.Name, back, err)
			}
		})
	}
}
