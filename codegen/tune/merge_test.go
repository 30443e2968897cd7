package tune

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/passes"
)

// A joined function computes common values once, and has the results of all functions.
func TestJoin(t *testing.T) {
	described := lowered(t, open(t, manyTasks))
	p, err := passes.Run(described, passes.Options{Upto: passes.Fold.Name})
	if err != nil {
		t.Fatal(err)
	}
	j := join(p, described)
	if err := ir.Verify(j.Program); err != nil {
		t.Fatal(err)
	}
	keeping := 0
	for _, f := range p.Funcs {
		if f.Stores() {
			keeping++
			if j.Func(f.Name) != nil {
				t.Errorf("%s keeps a state", f.Name)
			}
		}
	}
	functions, values, apart := 0, 0, 0
	for _, f := range j.Funcs {
		values += len(f.Values)
		in, n := inputs.Tensors(f, inputs.Seeded(f, "", 4, 50))
		got, err := j.RunAll(f.Name, []ir.Input{{T: n, In: in}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, o := range j.outputs[f.Name] {
			want, err := p.Run(o.fn, n, in)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want[o.name], got[0][o.value.Name]); d != "" {
				t.Errorf("%s %s in %s (-want +got)\n%s", o.fn, o.name, f.Name, d)
			}
			if !seen[o.fn] {
				functions++
				apart += len(p.Func(o.fn).Values)
			}
			seen[o.fn] = true
		}
	}
	if functions <= len(j.Funcs) || functions+keeping != len(p.Funcs) || values >= apart {
		t.Errorf("%d functions of %d values are joined to %d of %d; %d keep a state, all are %d", functions, apart, len(j.Funcs), values, keeping, len(p.Funcs))
	}
}
