// Command multiway compiles Multiway Transformers to Go packages and binaries.
//
// Run `multiway help` for its commands: init writes a description from a checkpoint,
// build makes a package or a binary from it, dump shows the program at any stage,
// bench times a model, export writes it as ONNX, presets lists the released models it
// knows, docs explains the keys of a description, golden check judges the compiler by golden
// cases.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/codegen/rt/interrupt"
	"github.com/multiway-go/multiway/ir/file"

	// Compiled models link generated/kernels, and a vendor folder has only packages that the
	// module's tools import, so multiway imports it.
	_ "github.com/multiway-go/multiway/generated/kernels"
)

// gcPercent is the value of GOGC unless the user sets one: at Go's own, several copies of the largest table of a model, which
// can be half of its weights, are in memory before they are collected.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	interrupt.Main("multiway", func() int {
		stdout := cli.NewOutput(os.Stdout) // an error if any write failed, or closing it
		c, started := root(stdout), false
		c.PersistentPreRun = func(*cobra.Command, []string) { started = true }
		err := c.Execute()
		switch {
		case err == nil:
			err = stdout.Close()
		case !started: // cobra's or a command's error about the arguments
			err = cli.Usagef("%w", err)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "multiway:", file.Brief(err.Error()))
		}
		return cli.Status(err)
	})
}

// put writes a file with the given contents, and replaces an old one only when all is written.
func put(path string, data []byte) error {
	return file.Write(path, 0o666, file.Bytes(data))
}

// distinct returns an error if writing to path would replace a file of the model or one of inputs;
// path "" means no output.
func distinct(path string, m *compile.Model, inputs ...string) error {
	if path == "" {
		return nil
	}
	return file.Distinct(path, append(m.Inputs(), inputs...)...)
}

// logged prints a line of progress to standard error.
func logged(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "multiway: %s\n", file.Brief(fmt.Sprintf(format, args...)))
}

// columns is the largest width of help texts and of tables for people.
const columns = 100

func root(stdout io.Writer) *cobra.Command {
	version := false
	c := &cobra.Command{
		Use:   "multiway",
		Short: "Compile Multiway Transformers to Go packages and binaries",
		Long: `multiway compiles a Multiway Transformer to a Go package, or to a static binary, that
computes in assembly, without cgo or Python and without anything else to install. It supports
the families beit3 (BEiT-3), mwt (the model of the paper), vlmo (VLMo) and beit (BEiT), and
CLIP's kind: clip, clipa, siglip, cnclip and xlmrclip.

To start with a checkpoint: init writes a description of it, and build compiles the
description. The binary embeds, searches, classifies, answers or captions, depending on its
tasks. docs description explains every key of a description. Without a checkpoint: presets
lists the released models, and bench --preset times one with random weights.`,
		Example: `  multiway init beit3_base_itc_patch16_224.pth    # write model.yaml
  multiway build -o mymodel model.yaml            # a package
  multiway build --binary bin/mymodel model.yaml  # a binary with the weights
  multiway bench --preset beit3-base-patch16-224 --entry vision --precision f32,int8 --tune off
  multiway dump --preset beit3-base-patch16-224-retrieval --entry vision --after fuse-ffn`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				return fmt.Errorf("unknown command %q; did you mean %s?", args[0], strings.Join(near, " or "))
			}
			return fmt.Errorf("unknown command %q; see `multiway --help`", args[0])
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				_, err := fmt.Fprint(c.OutOrStdout(), cli.VersionText(c.Name()))
				return err
			}
			return c.Help()
		},
	}
	c.Flags().BoolVar(&version, "version", false, "print the version, and what it was compiled with")
	c.SetOut(stdout)
	c.SuggestionsMinimumDistance = 2
	c.SetUsageTemplate(strings.ReplaceAll(c.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", columns)))
	c.AddCommand(initCommand(stdout), buildCommand(stdout), benchCommand(stdout), exportCommand(stdout), dumpCommand(stdout), presetsCommand(stdout), docsCommand(stdout), goldenCommand(stdout))
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; `%s --help` lists the flags", cli.FlagError(err), c.CommandPath())
	})
	return c
}

// arguments returns a check that a command has at least lo and at most hi arguments; hi -1 is no
// limit. what describes them in errors.
func arguments(lo, hi int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < lo:
			return fmt.Errorf("%s needs %s; see `%s --help`", c.Name(), what, c.CommandPath())
		case hi == 0 && len(args) > 0:
			return fmt.Errorf("%s does not take %q; see `%s --help`", c.Name(), args[0], c.CommandPath())
		case hi > 0 && len(args) > hi:
			return fmt.Errorf("%s takes %s, not also %q; see `%s --help`", c.Name(), what, args[hi], c.CommandPath())
		}
		return nil
	}
}

// wrapped lists words in lines of a help text.
func wrapped(words []string) string {
	var b strings.Builder
	at := 0
	for i, w := range words {
		if i < len(words)-1 {
			w += ","
		}
		switch {
		case at > 0 && at+1+len(w) > columns-12:
			b.WriteByte('\n')
			at = 0
		case at > 0:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(w)
		at += len(w)
	}
	return b.String()
}
