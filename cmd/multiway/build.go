package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/golden"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/precision"
)

func buildCommand(stdout io.Writer) *cobra.Command {
	var o compile.Options
	var weights, check, word, samples, tune string
	var decoders, recorded []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "build [-o DIR] [--binary FILE] DESCRIPTION",
		Short: "Compile a model description to a Go package, a binary, or both",
		Long: `build compiles the model of a description, whose checkpoint, tokenizer and labels it
reads. It checks the result before it replaces old files: it compares the compiled package
with its plain Go code and with the float64 interpreter.

A minimal description:

  model: 1
  preset: beit3-base-patch16-384-coco-retrieval
  checkpoint: beit3_base_patch16_384_coco_retrieval.pth
  tokenizer: beit3.spm
  tasks: [retrieval]

The precision, in the description or as a flag, is the format of weights; the README
compares the formats. The description may give classes of weights and single modules another
format:

  precision: {default: int8, embedding: bf16, heads: f32, keep: {l11.ffn: bf16}}

If a coarse format would move an output further from the model in float64 than the cosine of
the description allows ("cosine: 0.999"; by default the precision's own), the build stores
some modules in finer formats: those that reduce the error most for their cost. It prints
these modules, their share of the work, and the cosines before and after. In a small model
they are f32, and many, unless the description gives a cosine, since short rows are
sensitive. Formats that the description gives a class or a module stay. The choice takes
minutes for a large model; the build prints an estimate after its first run. "tune: off", or
--tune off, leaves it out.

Before that, norms in front of int8 products are smoothed: columns with outliers are scaled
and shifted, and the weights that read them compensate for it, if that at least halves the
quantisation error. The build prints these norms; "smooth: off" leaves them out.

At another precision than f32 the build prints the cosines of the outputs with the model in
float64, and fails if one is below the cosine of the description. --check off skips this. To
compare the speed, run "multiway bench --precision f32,int8 model.yaml".

These checks run on seeded inputs. With --samples FOLDER, or "samples: FOLDER" in the
description, they also run on up to eight pictures of the folder and eight lines of its .txt
files.

Pictures can be PNG, JPEG, WebP, GIF, BMP and TIFF. With --decoders heic,avif, or
"decoders: [heic, avif]" in the description, these formats of phones are read too, which adds
5 MB. libheif and libde265 decode HEIC; anyone who distributes the binary must comply with
their licence, the LGPL. Packages with these decoders are compiled with -tags nodynamic;
--binary does this itself.

All of that compares the model with itself. --expect FILE compares it with your own code. The
file, of safetensors, has the inputs image (f32, after preprocessing) or picture (u8, height x
width x 3, before it), and ids (without padding). It has outputs with the names that dump
prints (vision_cls, or vision_retrieval.vision_cls if several functions have one) and, to find
the first difference, the rows after each layer, layers.0 and so on. The README has the Python
code that writes such a file. --expect-bound sets the largest accepted difference.

Tensors of the checkpoint that the model does not use are listed; with --strict they are an
error. Released files have some, which only training needs.`,
		Example: `  multiway build -o mymodel model.yaml
  multiway build --binary bin/mymodel model.yaml
  multiway build -o mymodel --expect expected.safetensors model.yaml
  multiway build --precision int8 --samples ~/pictures --binary bin/mymodel model.yaml
  //go:generate go tool multiway build -o . model.yaml`,
		Args: arguments(1, 1, "the description of a model, a YAML file"),
		RunE: func(_ *cobra.Command, args []string) error {
			o.Weights, o.Check = codegen.Placement(weights), compile.Check(check)
			if err := oneOf("--weights", weights, "", string(codegen.Embed), string(codegen.File)); err != nil {
				return err
			}
			if err := oneOf("--check", check, string(compile.Quick), string(compile.Full), string(compile.Off)); err != nil {
				return err
			}
			if o.Dir == "" && o.Binary == "" {
				return cli.Usagef("nothing to build: give -o DIR for a package, --binary FILE for a binary, or both")
			}
			if err := oneOf("--tune", tune, "", "on", "off"); err != nil {
				return err
			}
			if recorded != nil && o.Dir == "" {
				return cli.Usagef("recorded cases need a package: give its folder with -o")
			}
			var err error
			if o.Golden, err = golden.Recordings(recorded); err != nil {
				return err
			}
			return runBuild(stdout, args[0], word, tune, samples, decoders, o, asJSON)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.Dir, "out", "o", "", "folder of the Go package")
	f.StringVar(&o.Package, "package", "", "name of the Go package (default: the package of other Go files in DIR, else the description's)")
	f.StringVar(&o.Binary, "binary", "", "path of the binary")
	f.StringVar(&weights, "weights", "", "place of the package's weights: embed or file (default: embed up to 256 MiB)")
	f.StringVar(&check, "check", string(compile.Quick), "check of the result: quick, full or off")
	f.StringVar(&word, "precision", "", "format of weights: "+strings.Join(precision.Names(), ", ")+" (default: the description's)")
	f.StringVar(&tune, "tune", "", "whether modules for which the precision is too coarse get finer formats: on or off (default: the description's)")
	f.StringVar(&samples, "samples", "", "`folder` of pictures, and .txt files with a text per line, for checks (default: the description's)")
	f.StringSliceVar(&decoders, "decoders", nil, "further picture formats to read: heic (links libheif and libde265, which have the LGPL), avif (default: the description's)")
	f.StringSliceVar(&o.Entries, "entry", nil, "entries to compile (default: the description's)")
	f.StringArrayVar(&recorded, "golden", nil, "`folder` of multiway golden record: write a test of the package that runs this case")
	f.StringVar(&o.Expect, "expect", "", "`file` of safetensors with inputs and the outputs of your own code: fail if the model's outputs differ")
	f.Float64Var(&o.Bound, "expect-bound", compile.ExpectBound, "largest accepted difference from an expected tensor, as a share of its largest value")
	f.BoolVar(&o.Strict, "strict", false, "refuse a checkpoint with tensors that the model does not use")
	f.BoolVar(&o.Verbose, "verbose", false, "print the time of each stage")
	f.BoolVar(&asJSON, "json", false, "print a report of the build as JSON")
	return c
}

func oneOf(flag, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	if allowed[0] == "" {
		allowed = allowed[1:]
	}
	last := len(allowed) - 1
	return cli.Usagef("%s is %q, want %s or %s", flag, value, strings.Join(allowed[:last], ", "), allowed[last])
}

func runBuild(stdout io.Writer, path, word, tune, samples string, decoders []string, o compile.Options, asJSON bool) error {
	start := time.Now()
	m, err := compile.Open(path)
	if err != nil {
		return err
	}
	defer m.Close()
	if word != "" {
		if err := m.Desc.SetPrecision(word); err != nil {
			return cli.Usagef("--precision: %w", err)
		}
	}
	m.Desc.Tune = cmp.Or(tune, m.Desc.Tune)
	if len(decoders) > 0 {
		if err := m.Desc.SetDecoders(decoders); err != nil {
			return cli.Usagef("--decoders: %w", err)
		}
	}
	if samples != "" {
		if m.Desc.Samples, err = filepath.Abs(samples); err != nil {
			return err
		}
	}
	o.Log = logged
	var bar *cli.Progress
	o.Progress = func(done, total int64) {
		if bar == nil {
			bar = cli.NewProgress(os.Stderr, "multiway", "weights", "MB", 1e6, total)
		}
		bar.Set(done)
		if done == total {
			bar.Done()
		}
	}
	r, err := m.Write(o)
	bar.Done()
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(stdout).Encode(r)
	}
	if r.Checkpoint != nil {
		fmt.Fprintln(stdout, r.Checkpoint)
	}
	if r.Choice != nil {
		fmt.Fprintln(stdout, r.Choice)
	}
	for _, x := range append(r.Results, r.Held...) {
		fmt.Fprintln(stdout, x)
	}
	if o.Dir != "" {
		fmt.Fprintf(stdout, "%s: %d files, weights %.1f MB", file.Quote(o.Dir), len(r.Files), float64(r.Weights)/1e6)
	} else {
		fmt.Fprintf(stdout, "weights %.1f MB", float64(r.Weights)/1e6)
	}
	if o.Binary != "" {
		if st, err := os.Stat(o.Binary); err == nil {
			fmt.Fprintf(stdout, ", %s: %.1f MB", file.Quote(o.Binary), float64(st.Size())/1e6)
		}
	}
	fmt.Fprintf(stdout, ", in %.1f s\n", time.Since(start).Seconds())
	return nil
}
