package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/rt/bench"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/precision"
)

func benchCommand(stdout io.Writer) *cobra.Command {
	var o bench.Options
	var from source
	var words []string
	var path, tune string
	c := &cobra.Command{
		Use:   "bench [flags] (--preset NAME | DESCRIPTION)",
		Short: "Time a model and compare it with this machine's limits",
		Long: `bench compiles a model and times its functions in a separate process.

At a coarse precision it first chooses modules to store in finer formats, as build does. That
takes minutes for a large model; an estimate follows the first run. --tune off leaves it out.
With a preset's random weights the choice differs from the real model's.

It prints the median and the spread, the share of the machine's peak of multiply-adds at the
best of the levels, and the ratio to the roofline, max(FLOPs/peak, bytes/bandwidth), where int8
and bf16 dot products have peaks of their own. Of captions, caption_step is a step of all beams
after so many tokens, and captions are whole ones of so many steps, the pictures included, up to
8 of them side by side. A preset needs no checkpoint: its weights are
seeded. The binary of a build has the same command.

The calls of several precisions alternate in one process, and their lines are side by side.

` + cli.BenchBusy + `

--scale predicts the time on more threads than there are cores: one thread computes the shares
of all threads one after the other, and each step takes as long as its longest share, or as its
weights take from memory, which is measured up to the number of cores; above, --bandwidth times
threads. With up to as many threads as cores it also measures the time, in turns.

--json writes the numbers to a file: fma_peak_gflops and read_gbps by the number of threads;
product_peaks_gflops, of int8 and bf16 dot products by the type of weights too; gc_pause_ms, the
longest pause of a garbage collection beside a call; peaks, the readings of both; busy, signs of
other load, with unsure_threads, whose peaks are affected; and results, a list of objects with
entry, tokens, batch, beams (of each picture's caption; 0: it writes none), threads, level,
precision, median_ms, min_ms, max_ms, runs, gflops,
percent_of_peak, roofline_ms, roofline_ratio, allocs (per call), spread_percent (the 90th minus
the 10th percentile of runs, as a share of the median) and busy, true for marked figures. FLOPs
are those of products and attention in the description's model; bytes are its weights, inputs
and outputs, each read or written once. percent_of_peak is of float32 at every precision: int8
and bf16 dot products can exceed it. With --scale there are no results but scale, a list of
objects with entry, tokens, batch, beams, threads, level, precision, predicted_ms, runs,
spread_percent, bandwidth_gbps, serial_ms (where one thread works), memory_ms (waiting for
weights after the longest share), speedup, of_ideal (speedup by threads), measured_ms (0: not
measured), off_percent and steps, objects with step, work, count, ms and largest_over_mean.`,
		Example: `  multiway bench --preset beit3-base-patch16-224 --entry vision --threads 1,2
  multiway bench --preset beit3-base-patch16-224 --entry language --cold --json bench.json
  multiway bench --preset beit3-base-patch16-224 --entry vision --precision f32,bf16,int8 --tune off
  multiway bench --preset beit3-base-patch16-224 --entry vision --scale 1..64
  multiway bench --ops --kernels model.yaml`,
		Args: arguments(0, 1, "a description"),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := from.open(args)
			if err != nil {
				return err
			}
			defer m.Close()
			if err := oneOf("--tune", tune, "", "on", "off"); err != nil {
				return err
			}
			m.Desc.Tune = cmp.Or(tune, m.Desc.Tune)
			models, err := atPrecisions(m, words)
			if err != nil {
				return err
			}
			if err := distinct(path, m); err != nil {
				return err
			}
			return runBench(stdout, c, models, o, path)
		},
	}
	cli.BenchFlags(c, &o)
	from.flags(c)
	c.Flags().StringSliceVar(&words, "precision", nil, "precisions to time side by side: "+strings.Join(precision.Names(), ", ")+" (default: the description's)")
	c.Flags().StringVar(&tune, "tune", "", "whether modules for which a precision is too coarse get finer formats: on or off (default: the description's)")
	c.Flags().StringVar(&path, "json", "", "file to write the numbers to, as JSON")
	return c
}

// source holds the flags that name a model: a preset and the seed of its weights. Without a preset,
// an argument names a description.
type source struct {
	preset string
	seed   uint64
	seeded func() bool // the seed was given
}

func (s *source) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.preset, "preset", "", "a released model instead of a description, with random weights")
	c.Flags().Uint64Var(&s.seed, "seed", 1, "seed of a preset's weights")
	s.seeded = func() bool { return c.Flags().Changed("seed") }
}

// open opens the model that the flags and arguments name: a preset with random weights, or a
// description's model.
func (s *source) open(args []string) (*compile.Model, error) {
	switch {
	case s.preset != "" && len(args) > 0:
		return nil, cli.Usagef("give --preset or a description, not both")
	case s.preset != "":
		return compile.Preset(s.preset, s.seed)
	case s.seeded() && len(args) > 0:
		return nil, cli.Usagef("--seed is for a preset; a description has its own, `seed: %d`", s.seed)
	case len(args) == 0:
		return nil, cli.Usagef("no model: give --preset NAME or a description; `multiway presets` lists the presets")
	}
	return compile.Open(args[0])
}

// atPrecisions returns m at each of the precisions in words, or m as it is if there are none.
func atPrecisions(m *compile.Model, words []string) ([]*compile.Model, error) {
	if len(words) == 0 {
		return []*compile.Model{m}, nil
	}
	var models []*compile.Model
	for i, w := range words {
		words[i] = strings.TrimSpace(w)
		w = words[i]
		switch {
		case !slices.Contains(precision.Names(), w):
			return nil, cli.Usagef("--precision has %q, want some of %s, separated by commas", w, strings.Join(precision.Names(), ", "))
		case slices.Index(words, w) < i:
			return nil, cli.Usagef("--precision: %s is given twice; remove one", w)
		}
		at, err := m.AtPrecision(w)
		if err != nil {
			return nil, fmt.Errorf("--precision: %w", err)
		}
		models = append(models, at)
	}
	return models, nil
}

// runBench compiles the models into one program, which times them as o says. It prints the report
// to stdout and, if path is not "", writes it as JSON to that file.
func runBench(stdout io.Writer, c *cobra.Command, models []*compile.Model, o bench.Options, path string) error {
	var numbers *file.File
	if path != "" { // before the work that would be for nothing
		var err error
		if numbers, err = file.Create(path, 0o666); err != nil {
			return err
		}
		defer numbers.Abandon()
	}
	s, err := compile.NewScratch(models, o, logged)
	if err != nil {
		return err
	}
	defer s.Close()
	logged("timing")
	var bar *cli.Progress
	out, err := s.Run(c.Context(), o, func(done, total int) {
		if bar == nil {
			bar = cli.NewProgress(os.Stderr, "multiway", "timing", "lines", 1, int64(total))
		}
		bar.Set(int64(done))
	})
	bar.Done()
	if err != nil {
		return err
	}
	var r bench.Report
	if err := json.Unmarshal(out, &r); err != nil {
		return fmt.Errorf("the compiled program's answer: %w", err)
	}
	if numbers != nil {
		var b bytes.Buffer
		if err := json.Indent(&b, out, "", "  "); err != nil {
			return err
		}
		if _, err := b.WriteTo(numbers); err != nil {
			return err
		}
		if err := numbers.Commit(); err != nil {
			return err
		}
	}
	return r.Print(stdout)
}
