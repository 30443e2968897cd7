package app

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

func (a *App) benchCommand() *cobra.Command {
	var batches []int
	var text int
	var funcs []string
	var each time.Duration
	c := &cobra.Command{
		Use:   "bench",
		Short: "Time the model's functions on this machine",
		Long: `bench runs each function on batches of random input and prints the median time of a
call, how far the 10th and the 90th percentile are from it, and inputs a second. Reading
and resizing pictures is not part of it.`,
		Example: "  " + a.Name + " bench --batch 1,32 --threads 1",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, n := range batches {
				if n < 1 || n > maxBatch {
					return usagef("--batch has %d, want 1 to %d", n, maxBatch)
				}
			}
			if each < 0 || each > time.Hour {
				return usagef("--time is %v, want a time up to 1h", each)
			}
			return a.bench(c.Context(), funcs, batches, text, each)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&funcs, "func", nil, "functions to time (default: all, see info)")
	f.IntSliceVar(&batches, "batch", []int{1, 8, 32}, "inputs a call")
	f.IntVar(&text, "text", 0, "ids a text (default: 16, or the longest if that is less)")
	f.DurationVar(&each, "time", time.Second, "time to spend on each line, at least 5 calls")
	return c
}

const (
	maxBatch     = 4096
	defaultText  = 16
	minCalls     = 5
	maxTimeCalls = 1 << 20
)

// timing is one line of bench.
type timing struct {
	Func    string  `json:"func"`
	Batch   int     `json:"batch"`
	Text    int     `json:"text_ids,omitempty"`
	Threads int     `json:"threads"`
	Level   string  `json:"level"`
	Calls   int     `json:"calls"`
	Median  float64 `json:"median_ms"`
	P10     float64 `json:"p10_ms"`
	P90     float64 `json:"p90_ms"`
	Rate    float64 `json:"inputs_per_second"` // at the median
}

func (a *App) bench(ctx context.Context, funcs []string, batches []int, text int, each time.Duration) error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	p := m.Package()
	if text == 0 {
		text = min(defaultText, p.Text)
	}
	if text < 0 || text > p.Text {
		return usagef("--text is %d, want 1 to %d", text, p.Text)
	}
	list := p.Funcs
	if funcs != nil {
		list = nil
		for _, name := range funcs {
			f := m.Func(name)
			if f == nil {
				return usagef("--func %s: the model has no such function; `%s info` lists them", name, a.Name)
			}
			list = append(list, f)
		}
	}
	i := m.Info()
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if !a.json {
		fmt.Fprintf(a.Out, "%s at level %s, %d threads\n\n", i.Package, i.Level, i.Threads)
		fmt.Fprintln(w, "function\tbatch\tids\tcalls\tmedian ms\tp10\tp90\tinputs/s\t")
	}
	bar := a.progress(len(list)*len(batches), "timing")
	defer bar.done()
	s := m.NewSession()
	defer s.Close()
	for _, f := range list {
		for _, n := range batches {
			t := timing{Func: f.Name, Batch: n, Threads: i.Threads, Level: i.Level}
			if f.Text {
				t.Text = text
			}
			if err := t.measure(ctx, s, f, task.Sample(f.Name, f.Image, t.Text, p.Vocab), each); err != nil {
				return err
			}
			bar.add(1)
			if a.json {
				if err := a.Print(t); err != nil {
					return err
				}
				continue
			}
			ids := "-"
			if f.Text {
				ids = fmt.Sprint(t.Text)
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%.3f\t%+.1f%%\t%+.1f%%\t%.0f\t\n", t.Func, t.Batch, ids, t.Calls, t.Median,
				100*(t.P10/t.Median-1), 100*(t.P90/t.Median-1), t.Rate)
		}
	}
	return w.Flush()
}

func (t *timing) measure(ctx context.Context, s *task.Session, f *rt.Func, seq rt.Seq, each time.Duration) error {
	batch := slices.Repeat([]rt.Seq{seq}, t.Batch)
	if _, err := s.Run(f, batch); err != nil { // the first call grows the session's buffers
		return err
	}
	var ms []float64
	for start := time.Now(); len(ms) < minCalls || time.Since(start) < each && len(ms) < maxTimeCalls; {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := time.Now()
		if _, err := s.Run(f, batch); err != nil {
			return err
		}
		ms = append(ms, max(1e-6, time.Since(at).Seconds()*1e3))
	}
	slices.Sort(ms)
	t.Calls = len(ms)
	t.P10, t.Median, t.P90 = ms[len(ms)/10], ms[len(ms)/2], ms[len(ms)*9/10]
	t.Rate = 1e3 * float64(t.Batch) / t.Median
	return nil
}
