package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

func (a *App) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the weights, and the model's answers at every level of this CPU",
		Long: `check compares the weights with the hash written beside them, then runs the golden
vectors that the compiler put into the binary, at every level of this CPU or only at
--level, and prints the largest error of each output. It fails if an error exceeds its
bound.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.check(c.Context()) },
	}
}

// checked is the result of check at one CPU level.
type checked struct {
	Level  string         `json:"level"`
	Kernel string         `json:"gemm_kernel"`
	OK     bool           `json:"ok"`
	Checks []task.Checked `json:"checks"`
}

func (a *App) check(ctx context.Context) error {
	levels := kernel.Levels()
	if a.level != "" {
		levels = []string{a.level}
	}
	var all []checked
	var weights int64
	bad := 0
	for i, level := range levels {
		c, size, err := a.checkLevel(ctx, level, i == 0)
		if err != nil {
			return fmt.Errorf("level %s: %w", level, err)
		}
		for _, r := range c.Checks {
			if !r.OK() {
				bad++
			}
		}
		weights = size
		all = append(all, *c)
	}
	if err := a.printChecks(all, weights); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d outputs are wrong on this CPU; please report this with the output of `%s info`", bad, a.Name)
	}
	return nil
}

func (a *App) checkLevel(ctx context.Context, level string, verify bool) (*checked, int64, error) {
	m, err := a.Open(rt.WithLevel(level))
	if err != nil {
		return nil, 0, err
	}
	defer m.Close()
	if verify {
		if err := m.Verify(); err != nil {
			return nil, 0, err
		}
	}
	i := m.Info()
	c := &checked{Level: level, OK: true}
	for _, k := range i.Kernels {
		if k.Op == "gemm" {
			c.Kernel = k.Kernel
		}
	}
	if c.Checks, err = m.Check(ctx); err != nil {
		return nil, 0, err
	}
	if len(c.Checks) == 0 {
		return nil, 0, fmt.Errorf("the binary carries no golden vectors; build it with --check quick or full")
	}
	for _, r := range c.Checks {
		c.OK = c.OK && r.OK()
	}
	return c, i.Weights, nil
}

func (a *App) printChecks(all []checked, weights int64) error {
	if a.json {
		return a.Print(struct {
			Weights string    `json:"weights"`
			Levels  []checked `json:"levels"`
		}{"ok", all})
	}
	fmt.Fprintf(a.Out, "weights: %s, hash ok\n\n", bytesText(weights))
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "level\tkernel\tfunction\toutput\tmax abs error\tbound\t")
	for _, c := range all {
		for _, r := range c.Checks {
			verdict := "ok"
			if !r.OK() {
				verdict = "FAIL"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2e\t%.2e\t%s\n", c.Level, c.Kernel, r.Func, r.Output, r.MaxAbs, r.Bound, verdict)
		}
	}
	return w.Flush()
}
