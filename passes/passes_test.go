package passes

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/irtest"
)

// rows is the limit of the text cases: small, so that offsets are readable.
const rows = 16

// TestCases runs every pass on the files of its folder. The passes from select on
// build on each other's notes, so a case of one runs those before it too.
func TestCases(t *testing.T) {
	first := slices.Index(All, Select)
	for i, pass := range All {
		chain := All[i : i+1]
		if i > first {
			chain = All[first : i+1]
		}
		tol := 0.0
		for _, c := range chain {
			tol = max(tol, c.Numeric.Tolerance())
		}
		t.Run(pass.Name, func(t *testing.T) {
			irtest.Cases(t, filepath.Join("testdata", pass.Name), func(p *ir.Program) error {
				var set []*Property
				for _, need := range chain[0].Needs {
					if err := need.Check(p, Options{}); err != nil {
						return err
					}
					set = append(set, need)
				}
				for _, c := range chain {
					if err := apply(c, p, Options{Rows: rows}, &set); err != nil {
						return err
					}
				}
				return nil
			}, tol)
		})
	}
}
