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

// Print writes the report as text tables.
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
		mark := ""
		if i, _ := strconv.Atoi(n); slices.Contains(r.Unsure, i) {
			mark = BusyMark
		}
		products := ""
		for _, d := range slices.Sorted(maps.Keys(r.Products)) {
			products += fmt.Sprintf(", %s %s%.1f", d, mark, r.Products[d][n])
		}
		fmt.Fprintf(out, "%s: FMA peak %s%.1f GFLOP/s%s, read %s%.1f GB/s\n", threads(n), mark, r.FMA[n], products, mark, r.Read[n])
	}
	if slices.ContainsFunc(r.Results, func(x Result) bool { return x.Precision != "f32" }) {
		fmt.Fprintln(out, "% of peak refers to float32, and so does the roofline but for products with a peak of their own")
	}
	fmt.Fprintf(out, "garbage collection pauses a call for at most %.2f ms\n", r.Pause)
	if r.Busy {
		fmt.Fprintf(out, "\nThe machine is busy, or its clock changes:\n  %s\n", strings.Join(r.Signs, "\n  "))
		fmt.Fprintf(out, "%s marks figures that differ by over %d %% within this run. Shares of a marked peak and ratios\nto it are left out. Stop other programs, then time again.\n", BusyMark, BusySpread)
	}
	fmt.Fprintln(out)
	if r.Scale != nil {
		return r.printScale(out)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "entry\ttokens\tbatch\tthreads\tlevel\tprecision\tmedian ms\tmin\tmax\truns\tinputs/s\tGFLOP/s\t% of peak\troofline ms\tratio\tallocs\t")
	for _, x := range r.Results {
		mark := marked(x.Spread)
		peak, roofline, ratio := "-", "-", "-"
		if !slices.Contains(r.Unsure, x.Threads) {
			peak, roofline, ratio = mark+number(x.Peak), Figure(x.Roofline), fmt.Sprintf("%s%.2f", mark, x.Ratio)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s%s\t%s\t%s\t%d\t%s%s\t%s%s\t%s\t%s\t%s\t%g\t\n", x.Entry, tokens(x.Tokens), batch(x.Batch, x.Beams), x.Threads, x.Level, x.Precision,
			mark, Figure(x.Median), Figure(x.Min), Figure(x.Max), x.Runs, mark, Figure(1e3*float64(x.Batch)/x.Median), mark, number(x.GFLOPS), peak, roofline, ratio, x.Allocs)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := r.printOps(out); err != nil || len(r.Kernels) == 0 {
		return err
	}
	fmt.Fprintln(out, "\nEach kernel alone:")
	fmt.Fprintln(w, "threads\tlevel\tmedian us\truns\tGFLOP/s\t% of peak\t  work")
	for _, k := range r.Kernels {
		mark := marked(k.Spread)
		fmt.Fprintf(w, "%d\t%s\t%s%s\t%d\t%s\t%s\t  %s\n", k.Threads, k.Level, mark, Figure(k.Median), k.Runs, number(k.GFLOPS), r.share(k.Threads, k.Peak), k.Work)
	}
	return w.Flush()
}

// share formats a percentage of the peak, "-" if the peak is not reliable.
func (r *Report) share(threads int, percent float64) string {
	if slices.Contains(r.Unsure, threads) {
		return "-"
	}
	return number(percent)
}

// BusyMark is the prefix of a figure that other load may have distorted.
const BusyMark = "~"

// marked returns BusyMark if the spread is too large, otherwise "".
func marked(spread float64) string {
	if spread > BusySpread {
		return BusyMark
	}
	return ""
}

// Figure formats a positive number with four significant digits, or with all digits of its
// integer part if it has more.
func Figure(x float64) string {
	digits := 3
	for y := x; y >= 10 && digits > 0; y /= 10 {
		digits--
	}
	for y := x; y > 0 && y < 1 && digits < 9; y *= 10 {
		digits++
	}
	return strconv.FormatFloat(x, 'f', digits, 64)
}

// threads formats a number of threads, with its noun.
func threads(n any) string {
	if s := fmt.Sprint(n); s != "1" {
		return s + " threads"
	}
	return "1 thread"
}

// bar is the width in characters of a bar for 100 % in the ops table.
const bar = 40

func (r *Report) printOps(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := range r.Ops {
		o := &r.Ops[i]
		if i == 0 || o.group() != r.Ops[i-1].group() {
			if err := w.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(out, "\nWhere the time of %s goes (%s tokens, batch %s, %s, %s, %s):\n", o.Entry, tokens(o.Tokens), batch(o.Batch, o.Beams), threads(o.Threads), o.Level, o.Precision)
			fmt.Fprintln(w, "share\tms\tcount\tGFLOP/s\t% of peak\tstep\twork")
		}
		fmt.Fprintf(w, "%.1f%%\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", o.Share, Figure(o.Time), o.Count, number(o.GFLOPS), r.share(o.Threads, o.Peak), o.Step, o.Work, strings.Repeat("#", int(o.Share*bar/100+0.5)))
	}
	return w.Flush()
}

// printScale prints a line for each prediction and, for each function and batch, a table of its steps.
func (r *Report) printScale(out io.Writer) error {
	fmt.Fprintln(out, `Times as the threads' shares allow, each share timed alone. ideal: one thread's time by the number of threads.
read: of all threads, measured up to the number of cores; waiting for it is part of the predicted time.`)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "entry\ttokens\tbatch\tlevel\tprecision\tthreads\tpredicted ms\tspeed-up\tof ideal\tread GB/s\twaiting ms\tserial ms\truns\tmeasured ms\tpredicted off by\t")
	for _, x := range r.Scale {
		measured, off := "-", "-"
		if x.Measured > 0 {
			measured, off = Figure(x.Measured), fmt.Sprintf("%+.1f%%", x.Off)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s%s\t%.2f\t%.3f\t%.1f\t%s\t%s\t%d\t%s\t%s\t\n", x.Entry, tokens(x.Tokens), batch(x.Batch, x.Beams), x.Level, x.Precision, x.Threads,
			marked(x.Spread), Figure(x.Predicted), x.Speedup, x.Ideal, x.Bandwidth, Figure(x.Memory), Figure(x.Serial), x.Runs, measured, off)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for rest := r.Scale; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Threads > 1 {
			n++
		}
		if err := printShares(out, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// printShares prints the steps of predictions for one function and batch, the first for one thread.
func printShares(out io.Writer, of []Scale) error {
	x := of[0]
	fmt.Fprintf(out, "\nLongest share to the mean, by the number of threads, in %s (%s tokens, batch %s, %s, %s):\n", x.Entry, tokens(x.Tokens), batch(x.Batch, x.Beams), x.Level, x.Precision)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "ms on 1 thread\tcount")
	for _, x := range of[1:] {
		fmt.Fprintf(w, "\t%d", x.Threads)
	}
	fmt.Fprintln(w, "\tstep\twork")
	for _, s := range x.Steps {
		fmt.Fprintf(w, "%s\t%d", Figure(s.Time), s.Count)
		for _, x := range of[1:] {
			largest := "-"
			for _, t := range x.Steps {
				if t.Step == s.Step && t.Work == s.Work {
					largest = fmt.Sprintf("%.2f", t.Largest)
				}
			}
			fmt.Fprintf(w, "\t%s", largest)
		}
		fmt.Fprintf(w, "\t%s\t%s\n", s.Step, s.Work)
	}
	return w.Flush()
}

func tokens(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// batch formats the inputs of a call, of captions with more than one beam as pictures x beams of each.
func batch(n, beams int) string {
	if beams > 1 {
		return fmt.Sprintf("%dx%d", n, beams)
	}
	return fmt.Sprint(n)
}

func number(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", x)
}
