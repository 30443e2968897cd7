package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Print writes the report as tables for people.
func (r *Report) Print(out io.Writer) error {
	fmt.Fprintf(out, "%s on %s, %d cores", r.Package, r.CPU, r.Cores)
	if r.Cold {
		fmt.Fprint(out, ", caches emptied before each run")
	}
	fmt.Fprintln(out)
	counts := slices.SortedFunc(maps.Keys(r.FMA), func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	for _, n := range counts {
		fmt.Fprintf(out, "%s threads: FMA peak %.1f GFLOP/s, read %.1f GB/s\n", n, r.FMA[n], r.Read[n])
	}
	if slices.ContainsFunc(r.Results, func(x Result) bool { return x.Precision != "f32" }) {
		fmt.Fprintln(out, "% of peak and the roofline are those of float32; products of bytes and of pairs of bf16 can do more")
	}
	fmt.Fprintf(out, "garbage collections beside calls stop them for %.2f ms at most\n\n", r.Pause)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "entry\ttokens\tbatch\tthreads\tlevel\tprecision\tmedian ms\tmin\tmax\truns\tinputs/s\tGFLOP/s\t% of peak\troofline ms\tratio\tallocs\t")
	for _, x := range r.Results {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%.3f\t%.3f\t%.3f\t%d\t%.1f\t%.1f\t%.1f\t%.3f\t%.2f\t%g\t\n", x.Entry, tokens(x.Tokens), x.Batch, x.Threads, x.Level, x.Precision,
			x.Median, x.Min, x.Max, x.Runs, 1e3*float64(x.Batch)/x.Median, x.GFLOPS, x.Peak, x.Roofline, x.Ratio, x.Allocs)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := r.printOps(out); err != nil || len(r.Kernels) == 0 {
		return err
	}
	fmt.Fprintln(out, "\nEach piece of work alone:")
	fmt.Fprintln(w, "threads\tlevel\tmedian us\truns\tGFLOP/s\t% of peak\t  work")
	for _, k := range r.Kernels {
		fmt.Fprintf(w, "%d\t%s\t%.1f\t%d\t%s\t%s\t  %s\n", k.Threads, k.Level, k.Median, k.Runs, number(k.GFLOPS), number(k.Peak), k.Work)
	}
	return w.Flush()
}

// bar is the width of a full bar of the ops table.
const bar = 40

func (r *Report) printOps(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := range r.Ops {
		o := &r.Ops[i]
		if i == 0 || o.group() != r.Ops[i-1].group() {
			if err := w.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(out, "\nWhere the time of %s goes (%s tokens, batch %d, %d threads, %s, %s):\n", o.Entry, tokens(o.Tokens), o.Batch, o.Threads, o.Level, o.Precision)
			fmt.Fprintln(w, "share\tms\tcount\tGFLOP/s\t% of peak\tstep\twork")
		}
		fmt.Fprintf(w, "%.1f%%\t%.3f\t%d\t%s\t%s\t%s\t%s\t%s\n", o.Share, o.Time, o.Count, number(o.GFLOPS), number(o.Peak), o.Step, o.Work, strings.Repeat("#", int(o.Share*bar/100+0.5)))
	}
	return w.Flush()
}

func tokens(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func number(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", x)
}
