package main

import (
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/passes"
)

func dumpCommand(stdout io.Writer) *cobra.Command {
	var preset, after string
	var entries []string
	var changes, cost, verbose bool
	var text int
	var names []string
	for _, p := range passes.All {
		names = append(names, p.Name)
	}
	c := &cobra.Command{
		Use:   "dump [flags] [DESCRIPTION | PROGRAM.ir]",
		Short: "Print a model's program at any stage of the compiler",
		Long: `dump prints the program of a description, of a preset, or of a file with a program's
text, before all passes or after one of them. dump can read its own output: dump PROGRAM.ir
prints the same bytes. No checkpoint is needed. Passes that fuse ops propose fused ops by
guess; --verbose prints why proposals were refused.

The passes, in order:
` + wrapped(names) + `.`,
		Example: `  multiway dump --preset beit3-base-patch16-224-retrieval --entry vision --after prune
  multiway dump --after plan --diff model.yaml
  multiway dump --preset beit3-base-patch16-224-retrieval --cost --text 16`,
		Args: arguments(0, 1, "a description or a program's text"),
		RunE: func(_ *cobra.Command, args []string) error {
			p, o, err := program(preset, entries, args)
			if err != nil {
				return err
			}
			if after != "" {
				if _, err := passes.Named(after); err != nil {
					return err
				}
			}
			if cost && after == "" {
				after = passes.All[len(passes.All)-1].Name
			}
			o.Upto = after
			if verbose {
				o.Refused = func(why string) { fmt.Fprintln(stdout, "//", why) }
			}
			if changes {
				before := ir.Print(p)
				last := "described"
				o.After = func(pass *passes.Pass, p *ir.Program) error {
					now := ir.Print(p)
					if now == before {
						fmt.Fprintf(stdout, "after %s: nothing changed\n", pass.Name)
					}
					stdout.Write(diff.Diff(last, []byte(before), "after "+pass.Name, []byte(now)))
					before, last = now, "after "+pass.Name
					return nil
				}
			}
			if after != "" || changes {
				if p, err = passes.Run(p, o); err != nil {
					return err
				}
			}
			switch {
			case changes:
			case cost:
				return printCost(stdout, p, text)
			default:
				fmt.Fprint(stdout, ir.Print(p))
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&preset, "preset", "", "a released model instead of a description")
	f.StringSliceVar(&entries, "entry", nil, "entries or functions to show (default: the description's)")
	f.StringVar(&after, "after", "", "last pass to run (default: none)")
	f.BoolVar(&changes, "diff", false, "print the changes of each pass")
	f.BoolVar(&verbose, "verbose", false, "also print, as comments, the fused ops that were proposed and refused, with the reasons")
	f.BoolVar(&cost, "cost", false, "print FLOPs, bytes and the arena of each function instead")
	f.IntVar(&text, "text", 0, "text length for --cost (default: the longest)")
	return c
}

// program returns the program to dump, of a preset, a description or a .ir file, and the options
// for the passes over it.
func program(preset string, entries, args []string) (*ir.Program, passes.Options, error) {
	var none passes.Options
	lower := func(d *model.Description) (*ir.Program, passes.Options, error) {
		p, err := model.Lower(d, model.Options{Entries: entries})
		return p, passes.Options{Rows: d.Limits.Rows, Precision: d.Precision}, err
	}
	switch {
	case preset != "" && len(args) > 0:
		return nil, none, cli.Usagef("give --preset or a file, not both")
	case preset == "" && len(args) == 0:
		return nil, none, cli.Usagef("nothing to dump: give --preset NAME, a description, or a program's text (.ir)")
	case preset != "":
		d, err := model.Preset(preset)
		if err != nil {
			return nil, none, err
		}
		return lower(d)
	case filepath.Ext(args[0]) == ".ir":
		if entries != nil {
			return nil, none, cli.Usagef("--entry goes with a preset or a description; %s is a program already", file.Quote(args[0]))
		}
		b, err := file.Read(args[0], ir.MaxProgram)
		if err != nil {
			return nil, none, err
		}
		p, err := ir.Parse(file.Quote(args[0]), b)
		return p, none, err
	}
	d, err := model.Load(args[0])
	if err != nil {
		return nil, none, err
	}
	return lower(d)
}

// printCost prints a table for each function of p, for a text of that many tokens (0: the longest):
// the operations, bytes and arena offset of each step.
func printCost(stdout io.Writer, p *ir.Program, text int) error {
	if text == 0 {
		text = p.MaxT
	}
	if text < 1 || text > p.MaxT {
		return cli.Usagef("--text is %d, want 1 to %d", text, p.MaxT)
	}
	for i, f := range p.Funcs {
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		at := ""
		if f.UsesT() {
			at = fmt.Sprintf(" with %d text rows", text)
		}
		total := ir.FuncCost(p, f, text)
		fmt.Fprintf(stdout, "%s%s: %.3f GFLOP, weights %.1f MB, arena %.1f MB\n", f.Name, at,
			float64(total.FLOPs)/1e9, float64(total.WeightBytes)/1e6, float64(f.Arena)/1e6)
		w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "MFLOP\tweights KB\tin KB\tout KB\tarena at\t  step")
		for _, v := range f.Values {
			c := ir.ValueCost(p, f, v, text)
			where := "view"
			if !v.Op.View {
				where = fmt.Sprint(v.Offset)
			}
			fmt.Fprintf(w, "%.2f\t%.1f\t%.1f\t%.1f\t%s\t  %s\n", float64(c.FLOPs)/1e6,
				float64(c.WeightBytes)/1e3, float64(c.InBytes)/1e3, float64(c.OutBytes)/1e3, where, v.Name+" = "+v.Op.Name+" : "+v.Type.String())
		}
		w.Flush()
	}
	return nil
}
