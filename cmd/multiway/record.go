package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/golden"
	"github.com/multiway-go/multiway/ir/file"
)

func recordCommand(stdout io.Writer) *cobra.Command {
	var o golden.RecordOptions
	var out string
	var ids []string
	c := &cobra.Command{
		Use:   "record -o DIR [--image FILE]... [--text TEXT | --ids IDS]... DESCRIPTION",
		Short: "Record a regression case of your own model",
		Long: `record makes a case from your own model, pictures and texts: every function of the model
runs on them in the float64 interpreter, and the error of the compiled package in plain Go is
measured. The tolerance is six times the measured error, at least 1e-5.

A package built with --golden gets a test that runs the case at every CPU level:

  multiway golden record -o testdata/golden --image a.png --text "a red bicycle" model.yaml
  multiway build -o mymodel --golden testdata/golden model.yaml
  go test ./mymodel

With --expect FILE the model is first compared with the outputs of your own code, as in
multiway build, and the inputs of the file are recorded too.

Functions of a picture and a text take picture i with text i. The interpreter computes in
float64, without optimisation: a large model takes minutes per input.`,
		Example: `  multiway golden record -o testdata/golden --image a.png --image b.jpg --text "two dogs" model.yaml`,
		Args:    arguments(1, 1, "a description"),
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return cli.Usagef("give -o DIR, the folder of the case")
			}
			for _, list := range ids {
				seq, err := token.ParseIDs(list)
				if err != nil {
					return cli.Usagef("--ids: %w", err)
				}
				o.IDs = append(o.IDs, seq)
			}
			m, err := compile.Open(args[0])
			if err != nil {
				return err
			}
			defer m.Close()
			o.Log = logged
			if err := golden.Record(out, m, o); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s: recorded; build the package with --golden %s, then go test it\n", file.Quote(out), file.Quote(out))
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&out, "out", "o", "", "folder of the case")
	f.StringArrayVar(&o.Images, "image", nil, "file of a picture (repeat for more)")
	f.StringArrayVar(&o.Texts, "text", nil, "a text (repeat for more)")
	f.StringArrayVar(&ids, "ids", nil, "a text as token ids, such as 0,17,2 (repeat for more)")
	f.StringVar(&o.Expect, "expect", "", "`file` of safetensors with inputs, which are recorded too, and the outputs of your own code: fail if the model's outputs differ")
	f.Float64Var(&o.Bound, "expect-bound", compile.ExpectBound, "largest accepted difference from an expected tensor, as a share of its largest value")
	f.StringSliceVar(&o.Entries, "entry", nil, "entries to record (default: the description's)")
	return c
}
