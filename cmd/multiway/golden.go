package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/golden"
	"github.com/multiway-go/multiway/ir/precision"
)

func goldenCommand(stdout io.Writer) *cobra.Command {
	var o golden.Options
	check := &cobra.Command{
		Use:   "check [flags] DIR...",
		Short: "Test the compiler with golden cases",
		Long: `check runs golden cases, folders with a case.json, in the float64 interpreter and in the
compiled package at every CPU level, and prints a line for each output:

  case, weights, run, output, engine, level, max abs error, bound, verdict

At a coarse precision, a line before them has the share of each function's work in modules of
finer formats, which is most of it in small models. The last lines list the runs that were
left out, with the reasons. A folder of cases stands for all of its cases. The exit status is
1 if anything failed.`,
		Example: `  multiway golden check golden/testdata/encode_t1
  multiway golden check --model model.yaml testdata/golden
  multiway golden check --engine binary --level avx2 cases/*
  multiway golden check --precision int8 golden/testdata`,
		Args: arguments(1, -1, "a golden case, or a folder of cases"),
		RunE: func(_ *cobra.Command, args []string) error {
			o.Log = logged
			s, err := golden.Check(args, o, stdout)
			if err != nil {
				return err
			}
			if s.Failed > 0 {
				return fmt.Errorf("%d of %d outputs failed", s.Failed, s.Failed+s.Passed)
			}
			return nil
		},
	}
	check.Flags().StringVar(&o.Engine, "engine", "all", "engine to test: interp, binary or all")
	check.Flags().StringVar(&o.Level, "level", "all", "CPU level of the compiled package: generic, avx2, ... or all")
	check.Flags().StringVar(&o.Model, "model", "", "description of the model of recorded cases")
	check.Flags().StringVar(&o.Precision, "precision", "f32", "format of weights in the compiled package: "+strings.Join(precision.Names(), ", ")+"; with f32, f16 and bf16 runs with weights of that type are checked by the bounds of the case, with others f32 runs by cosine")
	check.Flags().BoolVar(&o.JSON, "json", false, "print each line as a JSON object")
	c := &cobra.Command{Use: "golden", Short: "Work with golden cases", Args: arguments(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(check, recordCommand(stdout), checkpointCommand(stdout))
	return c
}
