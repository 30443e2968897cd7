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
		Short: "Judge the compiler by golden cases",
		Long: `check runs golden cases, each a folder with a case.json, through the float64
interpreter and through the compiled package at every CPU level, and prints one line
an output:

  case, weights, run, output, engine, level, max abs error, bound, verdict

At a precision that rounds more than that a line before them says how much of the work of
each function is kept in finer formats, of small models most of it.

The last lines name what was not run, and why. A folder of cases stands for all of them.
The exit status is 1 if anything failed.`,
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
	check.Flags().StringVar(&o.Engine, "engine", "all", "what to judge: interp, binary or all")
	check.Flags().StringVar(&o.Level, "level", "all", "CPU level of the compiled package: generic, avx2, ... or all")
	check.Flags().StringVar(&o.Model, "model", "", "description of the model that recorded cases are of")
	check.Flags().StringVar(&o.Precision, "precision", "f32", "how the compiled package stores weights: "+strings.Join(precision.Names(), ", ")+"; those of a type that checkpoints have judge the weights of that type, others are judged by cosine")
	check.Flags().BoolVar(&o.JSON, "json", false, "print lines as JSON objects")
	c := &cobra.Command{Use: "golden", Short: "Work with golden cases", Args: arguments(0, 0, ""), RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(check, recordCommand(stdout), checkpointCommand(stdout))
	return c
}
