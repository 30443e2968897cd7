package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/onnx"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/golden"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/passes"
)

func exportCommand(stdout io.Writer) *cobra.Command {
	var from source
	var out string
	var entries []string
	var weights string
	var taps bool
	var o onnx.Options
	c := &cobra.Command{
		Use:   "export --onnx OUT [flags] (--preset NAME | DESCRIPTION)",
		Short: "Write a model's functions as ONNX files",
		Long: fmt.Sprintf(`export writes the program, before any op is folded or fused and with the
same weights, as ONNX of opset %d, so that the compiled model can be compared with any ONNX
runtime, in results and speed. A file has one function: if OUT ends in .onnx, it is the file
of the only function; else it is a folder for a file FUNCTION.onnx of each function.

Inputs are image f32[N,channels,height,width] and ids int64[N,T] (token ids); the batch N and
the text length T are dynamic. With --mask there is an input attention_mask int64[N,T], which
is 0 for padding after a text. Weights of 2 GB and more go to a second file.

Instead of a description, the folder of a golden case can be given.`, onnx.Opset),
		Example: `  multiway export --onnx vision.onnx --preset beit3-base-patch16-224 --entry vision
  multiway export --onnx models --mask model.yaml`,
		Args: arguments(0, 1, "a description"),
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return cli.Usagef("nothing to write: give --onnx FILE.onnx or --onnx FOLDER")
			}
			m, err := exported(&from, args, checkpoint.DType(weights))
			if err != nil {
				return err
			}
			defer m.Close()
			if taps {
				m = m.WithTaps()
			}
			return export(stdout, m, entries, out, o)
		},
	}
	from.flags(c)
	f := c.Flags()
	f.StringVar(&out, "onnx", "", "file or folder to write")
	f.StringSliceVar(&entries, "entry", nil, "entries or functions to write (default: the description's)")
	f.BoolVar(&o.Mask, "mask", false, "accept padded texts, with a mask of the padding")
	f.BoolVar(&o.External, "external", false, "put the weights into a second file even if one file could hold them")
	f.StringVar(&weights, "weights", string(checkpoint.F32), "weights of a golden case to export, by type")
	f.BoolVar(&taps, "taps", false, "add the results of every layer as outputs")
	for _, name := range []string{"weights", "taps"} {
		f.Lookup(name).Hidden = true // for check_onnx.py
	}
	return c
}

// exported opens the model to export. An argument that is a folder is a golden case, whose model is
// opened with weights of the given type.
func exported(from *source, args []string, weights checkpoint.DType) (*compile.Model, error) {
	if from.preset == "" && len(args) == 1 {
		if st, err := os.Stat(args[0]); err == nil && st.IsDir() {
			return golden.Model(args[0], weights)
		}
	}
	return from.open(args)
}

func export(stdout io.Writer, m *compile.Model, entries []string, out string, o onnx.Options) error {
	described, _, err := m.Lower(entries)
	if err != nil {
		return err
	}
	p, err := passes.Run(described, passes.Options{Rows: m.Desc.Limits.Rows, Upto: passes.Prune.Name})
	if err != nil {
		return err
	}
	var set file.Set
	defer set.Abandon()
	path := func(f *ir.Func) string { return out }
	if !strings.HasSuffix(out, ".onnx") {
		if err := set.MkdirAll(out); err != nil {
			return err
		}
		path = func(f *ir.Func) string { return filepath.Join(out, f.Name+".onnx") }
	} else if len(p.Funcs) > 1 {
		var names []string
		for _, f := range p.Funcs {
			names = append(names, f.Name)
		}
		return fmt.Errorf("a file holds one function, the model has %s: give --entry, or --onnx a folder", strings.Join(names, ", "))
	}
	for _, f := range p.Funcs {
		for _, name := range []string{path(f), path(f) + ".data"} {
			if err := distinct(name, m); err != nil {
				return err
			}
		}
	}
	if err := set.Lock(filepath.Dir(path(p.Funcs[0]))); err != nil {
		return err
	}
	if len(p.Funcs) > 1 { // at no time do functions of two models stand together
		for _, f := range p.Funcs {
			set.Remove(path(f))
		}
	}
	var names []string
	for _, f := range p.Funcs {
		of := o
		of.Mask = o.Mask && f.UsesT()
		written, err := onnx.Model(p, f, of)
		if err != nil {
			return err
		}
		if err := written.Write(&set, path(f)); err != nil {
			return err
		}
		names = append(names, path(f))
		if written.External() {
			names = append(names, path(f)+".data")
		}
	}
	if err := set.Commit(); err != nil {
		return err
	}
	for _, n := range names {
		fmt.Fprintln(stdout, file.Quote(n))
	}
	return nil
}
