package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/bench"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

func (a *App) benchCommand() *cobra.Command {
	var o bench.Options
	var once bool
	var folder string
	c := &cobra.Command{
		Use:   "bench",
		Short: "Time the model's functions and compare them with this machine's limits",
		Long: `bench runs each function on batches of random input and prints the median time of a
call, the share of the machine's peak of multiply-adds at the best of the levels, and the ratio
to the roofline, the least time that peak and memory bandwidth allow. --ops prints the time of
each op, --kernels times each kernel alone. caption_step is a step of captions after so many tokens,
captions are whole ones of so many steps, pictures included. This does not include reading and
resizing pictures: --folder times these steps and the model for up to 1000 pictures of a folder,
one picture after the other and as embed runs them, and tells what bounds the rate. --scale
predicts the times on any number of threads from those of the threads' shares, which one thread
computes in turn.

` + BenchBusy,
		Example: "  " + a.Name + " bench --batch 1,32 --threads 1,2\n  " + a.Name + " bench --ops --tokens 16\n  " + a.Name + " bench --folder photos/",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := bench.Check(a.Package, o); err != nil {
				return usageError{err}
			}
			if folder != "" {
				return a.benchFolder(c.Context(), folder, o)
			}
			if once {
				return a.once(o)
			}
			return a.bench(c.Context(), o)
		},
	}
	BenchFlags(c, &o)
	if a.function(retrieval, "image") != nil || a.function(classification, "image") != nil {
		c.Flags().StringVar(&folder, "folder", "", "time reading, decoding, resizing and the model of its pictures")
	}
	c.Flags().BoolVar(&once, "once", false, "make one call and print its time since the command began")
	c.Flags().Lookup("once").Hidden = true
	return c
}

// BenchBusy is the paragraph of help texts that explains the marks of figures measured while other
// programs load the machine.
const BenchBusy = `Peak and bandwidth are measured before, between and after the calls. Figures with over 15 %
between them in this run are marked ~: the machine is busy, or its clock changes. Ratios to
a marked peak are left out. Stop other programs, then time again.`

// BenchFlags adds the flags that select what to time.
func BenchFlags(c *cobra.Command, o *bench.Options) {
	f := c.Flags()
	f.StringSliceVar(&o.Entries, "entry", nil, "functions to time, or entries for all of their functions (default: all)")
	f.IntSliceVar(&o.Tokens, "tokens", nil, "tokens per text (default 16,64, at most the longest)")
	f.IntSliceVar(&o.Lengths, "lengths", nil, "time one batch of texts of these lengths instead")
	f.IntSliceVar(&o.Batch, "batch", []int{1}, "inputs per call")
	f.IntSliceVar(&o.Beams, "beams", []int{1}, "beams of a caption; several are shown as batch x beams")
	f.IntSliceVar(&o.Threads, "threads", nil, "threads (default: 1 and one per core)")
	f.StringSliceVar(&o.Levels, "level", nil, "CPU levels (default: the best of this CPU)")
	f.DurationVar(&o.Time, "time", time.Second, "time to spend on each line, at least 5 calls")
	f.BoolVar(&o.Cold, "cold", false, "empty the caches before each call")
	f.BoolVar(&o.Ops, "ops", false, "print the time of each op of a call")
	f.BoolVar(&o.Kernels, "kernels", false, "time each kernel alone")
	f.Var((*threadList)(&o.Scale), "scale", "predict times on 1,8 threads, or on 1..64: 1, doubled up to 64")
	f.Float64Var(&o.Bandwidth, "bandwidth", 0, "of --scale: GB/s of a thread beyond the number of cores (default 5)")
}

// threadList is the value of --scale: numbers, and ranges a..b, which stand for a, doubled up to b, and b.
type threadList []int

func (l *threadList) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(word, "..")
		if !isRange {
			last = first
		}
		a, err := strconv.Atoi(strings.TrimSpace(first))
		if err != nil {
			return fmt.Errorf("%q is no number", first)
		}
		b, err := strconv.Atoi(strings.TrimSpace(last))
		if err != nil {
			return fmt.Errorf("%q is no number", last)
		}
		if a < 1 || b < a {
			return fmt.Errorf("%q: want a number from 1 on, or a range such as 1..64", word)
		}
		for a < b {
			*l = append(*l, a)
			if a > b/2 { // doubled, it is over b or no int
				break
			}
			a *= 2
		}
		*l = append(*l, b)
	}
	return nil
}

func (l *threadList) Type() string { return "threads" }

func (l *threadList) String() string {
	words := make([]string, len(*l))
	for i, n := range *l {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

func (a *App) bench(ctx context.Context, o bench.Options) error {
	open := func(opts ...rt.Option) (*rt.Model, error) {
		m, err := a.Open(opts...)
		if err != nil {
			return nil, err
		}
		return m.Model, nil
	}
	var bar *Progress
	r, err := bench.Run(ctx, []bench.Subject{{Package: a.Package, Open: open}}, o, func(done, total int) {
		if bar == nil {
			bar = a.Progress("timing", "lines", total)
		}
		bar.Set(int64(done))
	})
	bar.Done()
	if err != nil {
		return err
	}
	if a.json {
		return a.Print(r)
	}
	return r.Print(a.Out)
}

// openFirst opens the model with the first number of threads and the first level in the
// options.
func (a *App) openFirst(o bench.Options) (*task.Model, error) {
	var opts []rt.Option
	if len(o.Threads) > 0 {
		opts = append(opts, rt.WithThreads(o.Threads[0]))
	}
	if len(o.Levels) > 0 {
		opts = append(opts, rt.WithLevel(o.Levels[0]))
	}
	return a.Open(opts...)
}

// once makes the first call that the options select and reports its time, for programs that
// time a whole process.
func (a *App) once(o bench.Options) error {
	start := time.Now()
	m, err := a.openFirst(o)
	if err != nil {
		return err
	}
	defer m.Close()
	name, err := bench.Once(m.Model, o)
	if err != nil {
		return err
	}
	first := struct {
		Entry  string  `json:"entry"`
		Time   float64 `json:"first_ms"`       // since the command began
		Memory float64 `json:"peak_memory_mb"` // of the process; 0: unknown
	}{name, float64(time.Since(start)) / 1e6, bench.PeakMemory()}
	if a.json {
		return a.Print(first)
	}
	_, err = fmt.Fprintf(a.Out, "%s: first result after %.1f ms, peak memory %.1f MB\n", name, first.Time, first.Memory)
	return err
}
