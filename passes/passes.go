package passes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

// Pass rewrites a program. Run either applies or leaves the program as it is. It edits
// functions in place, but it never edits a weight, which functions share: it adds a new one.
type Pass struct {
	Name    string
	Needs   []*Property // must hold before it runs
	Sets    []*Property // hold after it, and after every later pass
	Numeric Numeric
	Run     func(p *ir.Program, o Options) error
}

// Property is a fact about a program that a pass establishes. No later pass may undo it.
type Property struct {
	Name  string
	Check func(p *ir.Program, o Options) error
}

// Numeric says how far a pass may change the results of the float64 interpreter.
type Numeric uint8

const (
	Exact   Numeric = iota // equal up to rounding in float64
	Rounded                // some weights were recomputed, and rounded once to float32
	Reduced                // weights were rounded to the type that Options.Precision names
)

// Tolerance returns the largest difference to expect in outputs of magnitude 1.
func (n Numeric) Tolerance() float64 {
	return [...]float64{1e-9, 1e-4, 1e-1}[n]
}

// All is the pipeline, in order. If the patterns of two fusions overlap, the larger one is first.
var All = []*Pass{
	Route,         // first: in every later pass a value has one expert
	Prune,         // weights that no function uses are gone before weights are changed
	Rows,          // before fold: a row that is selected early gets its own norm, which then folds too
	Fold,          // before fusing: fewer ops to match
	Smooth,        // after fold, which leaves norms bare; before fusing, which reads bundles
	FuseEmbed,     // independent of the next three
	FuseState,     // before fuse-qkv, which does not fuse keys and values that have two readers
	FuseQKV,       // before fuse-attention, whose op takes queries, keys and values as one value
	FuseAttention, // independent of fuse-ffn
	FuseFFN,       // before a fusion of two linears with gelu between them, which are a part of its pattern
	Narrow,        // after all passes that compute with float32 weights
	Select,        // needs the final ops
	Pack,          // needs the kernels' layouts
	Plan,          // last: needs the final order of values
}

// Options are the parameters of a compilation.
type Options struct {
	// Rows bounds the packed rows of a segment in one call, over all sequences of
	// the batch; the arena is sized for it. At least one sequence must fit. 0 means 2048.
	Rows int
	// Precision gives the formats in which matrices and tables are stored.
	Precision precision.Map
	// Smooth gives norms a gain and a bias, by the name of the norm.
	Smooth map[string]Smoothing
	// Upto names the last pass to run; "" runs all.
	Upto string
	// After, if not nil, is called after each pass with the program, which it must not change.
	After func(pass *Pass, p *ir.Program) error
	// Refused, if not nil, is called with a line for each proposed fused op that did not equal the program.
	Refused func(why string)
}

func (o Options) rows() int {
	if o.Rows == 0 {
		return 2048
	}
	return o.Rows
}

// Named returns the pass called name.
func Named(name string) (*Pass, error) {
	var names []string
	for _, pass := range All {
		if pass.Name == name {
			return pass, nil
		}
		names = append(names, pass.Name)
	}
	return nil, fmt.Errorf("unknown pass %q; the passes are %s", name, strings.Join(names, ", "))
}

// Run returns the program after the passes of All up to o.Upto; p is unchanged.
// After every pass it verifies the program and checks every property set so far, so
// that no later pass undoes an earlier one unnoticed.
//
// The result's weights load through the weights of p, so bind p to a checkpoint first.
func Run(p *ir.Program, o Options) (*ir.Program, error) {
	if o.Rows < 0 || o.Rows > ir.MaxDim {
		return nil, fmt.Errorf("limits.rows is %d, want 1 to %d, or 0 for %d", o.Rows, ir.MaxDim, Options{}.rows())
	}
	if err := o.Precision.Check(); err != nil {
		return nil, err
	}
	if o.Upto != "" {
		if _, err := Named(o.Upto); err != nil {
			return nil, err
		}
	}
	if err := ir.Verify(p); err != nil {
		return nil, err
	}
	p = clone(p)
	var set []*Property
	for _, pass := range All {
		if err := apply(pass, p, o, &set); err != nil {
			return nil, fmt.Errorf("%s: %w", pass.Name, err)
		}
		if o.After != nil {
			if err := o.After(pass, p); err != nil {
				return nil, err
			}
		}
		if pass.Name == o.Upto {
			break
		}
	}
	return p, nil
}

// apply runs one pass on p, verifies the program and checks the properties in set, to which it adds the pass's own.
func apply(pass *Pass, p *ir.Program, o Options, set *[]*Property) error {
	for _, need := range pass.Needs {
		if !slices.Contains(*set, need) {
			return fmt.Errorf("needs a program that is %s", need.Name)
		}
	}
	if refused := o.Refused; refused != nil {
		o.Refused = func(why string) { refused(pass.Name + ": " + why) }
	}
	if err := pass.Run(p, o); err != nil {
		return err
	}
	*set = append(*set, pass.Sets...)
	if err := ir.Verify(p); err != nil {
		return errors.Join(errors.New("made a program that does not verify"), err)
	}
	errs := make([]error, len(*set))
	var checks sync.WaitGroup // the checks only read, and take most of the time of compiling a deep model
	for i, prop := range *set {
		checks.Go(func() { errs[i] = prop.Check(p, o) })
	}
	checks.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("the program is not %s: %w", (*set)[i].Name, err)
		}
	}
	return nil
}
