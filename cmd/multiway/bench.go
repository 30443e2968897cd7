package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/build"
	"github.com/multiway-go/multiway/codegen/rt/app"
	"github.com/multiway-go/multiway/codegen/rt/bench"
)

func benchCommand() *cobra.Command {
	var o bench.Options
	var from source
	var file string
	c := &cobra.Command{
		Use:   "bench [flags] (--preset NAME | DESCRIPTION)",
		Short: "Time a model beside what this machine can do",
		Long: `bench compiles a model and times its functions in a process of their own: the median
and the spread, the share of the machine's peak of multiply-adds, and the ratio to the
roofline, max(FLOPs/peak, bytes/bandwidth). A preset needs no checkpoint: its weights
come from a seed. The binary that build makes has the same command.

--json writes the numbers to a file: fma_peak_gflops and read_gbps by the number of
threads, and results.`,
		Example: `  multiway bench --preset beit3-base-patch16-224 --entry vision --threads 1,2
  multiway bench --preset beit3-base-patch16-224 --entry language --tokens 16 --cold --json bench.json
  multiway bench --ops --kernels model.yaml`,
		Args: arguments(0, 1, "a description"),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := from.open(args)
			if err != nil {
				return err
			}
			defer m.Close()
			return runBench(c, m, o, file)
		},
	}
	app.BenchFlags(c, &o)
	from.flags(c)
	c.Flags().StringVar(&file, "json", "", "file to write the numbers to, as JSON")
	return c
}

// source says where a model comes from: a preset or a description.
type source struct {
	preset string
	seed   uint64
}

func (s *source) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.preset, "preset", "", "a released model instead of a description, with random weights")
	c.Flags().Uint64Var(&s.seed, "seed", 1, "seed of a preset's weights")
}

// open opens what the flags and arguments name.
func (s *source) open(args []string) (*build.Model, error) {
	switch {
	case s.preset != "" && len(args) > 0:
		return nil, fmt.Errorf("give --preset or a description, not both")
	case s.preset != "":
		return build.Preset(s.preset, s.seed)
	case len(args) == 0:
		return nil, fmt.Errorf("no model: give --preset NAME or a description; `multiway presets` lists the presets")
	}
	return build.Open(args[0])
}

// runBench compiles the model and has its binary time itself.
func runBench(c *cobra.Command, m *build.Model, o bench.Options, file string) error {
	log := func(format string, args ...any) { fmt.Fprintf(os.Stderr, "multiway: "+format+"\n", args...) }
	s, err := m.Scratch(o.Entries, log)
	if err != nil {
		return err
	}
	defer s.Close()
	args := []string{"bench", "--json", "--weights", s.Weights}
	for _, name := range []string{"tokens", "lengths", "batch", "threads", "level", "time", "cold", "ops", "kernels"} {
		if f := c.Flags().Lookup(name); f.Changed {
			args = append(args, "--"+name+"="+strings.Trim(f.Value.String(), "[]"))
		}
	}
	// An interrupt reaches the binary by itself; what it then says is enough.
	cmd := exec.CommandContext(c.Context(), s.Exe, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	log("timing")
	if err := cmd.Run(); err != nil {
		if text, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n"); text != "" {
			return fmt.Errorf("%s", text)
		}
		return fmt.Errorf("the compiled program ended: %w", err)
	}
	var r bench.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return fmt.Errorf("the compiled program's answer: %w", err)
	}
	if file != "" {
		var b bytes.Buffer
		if err := json.Indent(&b, out.Bytes(), "", "  "); err != nil {
			return err
		}
		if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
			return err
		}
	}
	return r.Print(os.Stdout)
}
