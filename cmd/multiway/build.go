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
		Long: `build compiles the model that a description names: its checkpoint, tokenizer and
labels are read from beside it. The result is checked before it replaces anything:
the compiled package against its plain Go and against the float64 interpreter.

A minimal description:

  model: 1
  preset: beit3-base-patch16-384-coco-retrieval
  checkpoint: beit3_base_patch16_384_coco_retrieval.pth
  tokenizer: beit3.spm
  tasks: [retrieval]

precision, in the description or as a flag, is how weights are stored; the README says
what each does. The description may give classes of weights and named modules another one:

  precision: {default: int8, embedding: bf16, heads: f32, keep: {l11.ffn: bf16}}

Where one of those would take an output further from the model in float64 than the cosine
that the description asks for ("cosine: 0.999"; otherwise what is usual of the precision),
the build keeps the modules that do most of it for what they cost, each in a finer one. It
prints which, their share of the work and the cosines
before and after. Of a small model it keeps modules in f32, and many unless the description
asks for a cosine, since what is computed of short rows is sensitive. What the description
says of a class or a module stays. Choosing takes minutes for a large model; the build says
how many after its first run; "tune: off", or --tune off, leaves it out.

Before that, where rows are rounded to bytes, columns of a norm that stand out are scaled
and moved, and the weights that they meet take it back, if that at least halves what the
rounding does there. The build prints which norms; "smooth: off" leaves all as they are.

At another precision than f32 the build says how far outputs are from the model's in
float64, and fails below a cosine that the description asks for. --check off skips that.
How long calls take is for "multiway bench --precision f32,int8 model.yaml" to say.

Inputs are made from a seed. With --samples FOLDER, or "samples: FOLDER" in the description,
up to eight pictures of the folder and eight lines of its .txt files judge besides them.

Pictures are read as PNG, JPEG, WebP, GIF, BMP and TIFF. With --decoders heic,avif, or
"decoders: [heic, avif]" in the description, these formats of phones are read too, at 5 MB
for both. HEIC is decoded by libheif and libde265, which are under the LGPL: who passes the binary
on has to follow it. A package needs -tags nodynamic where it is compiled; --binary has it.

All of that compares the model with itself. With --expect FILE it is held against what your own
code computes: the file, of safetensors, has the inputs image (f32, after preprocessing) or
picture (u8, height x width x 3, before it), and ids (without padding); outputs, called as dump
calls them (vision_cls, or vision_retrieval.vision_cls where several functions have one); and,
to find what differs first, the rows after each layer, layers.0 and so on. README has the
Python that writes one. --expect-bound changes how far off they may be.

Tensors of the checkpoint that the model does not use are listed; --strict refuses them.
Official files have some: more than inference reads.`,
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
				return cli.Usagef("recorded cases go with a package: give its folder too")
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
	f.StringVar(&o.Package, "package", "", "name of the Go package (default: that of other Go files in DIR, else the description's)")
	f.StringVar(&o.Binary, "binary", "", "path of the binary")
	f.StringVar(&weights, "weights", "", "where the package keeps its weights: embed or file (default: embed up to 256 MiB)")
	f.StringVar(&check, "check", string(compile.Quick), "check of the result: quick, full or off")
	f.StringVar(&word, "precision", "", "how weights are stored: "+strings.Join(precision.Names(), ", ")+" (default: the description's)")
	f.StringVar(&tune, "tune", "", "whether modules that the precision is too coarse for are stored finer: on or off (default: the description's)")
	f.StringVar(&samples, "samples", "", "`folder` of pictures, and of .txt files with a text a line, to judge the result on (default: the description's)")
	f.StringSliceVar(&decoders, "decoders", nil, "formats of pictures to read besides: heic (links libheif and libde265, which are under the LGPL), avif (default: the description's)")
	f.StringSliceVar(&o.Entries, "entry", nil, "entries to compile (default: the description's)")
	f.StringArrayVar(&recorded, "golden", nil, "`folder` that multiway golden record made: write a test of the package that runs it")
	f.StringVar(&o.Expect, "expect", "", "`file` of safetensors with inputs and what your own code computed of them: refuse a model that computes something else")
	f.Float64Var(&o.Bound, "expect-bound", compile.ExpectBound, "how far an expected tensor may be off, as a share of its largest value")
	f.BoolVar(&o.Strict, "strict", false, "refuse a checkpoint with tensors that the model does not use")
	f.BoolVar(&o.Verbose, "verbose", false, "print how long each stage took")
	f.BoolVar(&asJSON, "json", false, "print what was built as JSON")
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
