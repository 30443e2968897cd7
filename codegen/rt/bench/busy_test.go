package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// measured returns a machine with the given readings.
func measured(cores int, readings ...[3]float64) *machine {
	m := &machine{fma: map[int]float64{}, read: map[int]float64{}, cores: cores}
	for _, r := range readings {
		m.note(int(r[0]), []float64{r[1]}, r[2])
	}
	return m
}

func TestBusyMachine(t *testing.T) {
	for _, c := range []struct {
		name     string
		cores, n int
		readings [][3]float64
		want     []string
	}{
		{"quiet", 2, 2, [][3]float64{{1, 96, 12}, {2, 190, 20}, {1, 90, 11}, {2, 170, 18}}, nil},
		{"peak", 2, 1, [][3]float64{{1, 96, 12}, {1, 70, 12}, {1, 95, 12}}, []string{"FMA peak of 1 thread from 70.0 to 96.0 GFLOP/s"}},
		{"memory", 2, 1, [][3]float64{{1, 96, 12}, {1, 95, 8}}, []string{"read of 1 thread from 8.0 to 12.0 GB/s"}},
		{"both, of others", 2, 1, [][3]float64{{1, 96, 12}, {2, 50, 8}, {2, 180, 20}}, nil},
		{"a core is taken", 2, 2, [][3]float64{{1, 96, 12}, {2, 69.5, 12}}, []string{"FMA peak of 2 threads 69.5 GFLOP/s, of 1 thread 96.0: other processes use the cores, or the threads share one core"}},
		{"one core", 1, 2, [][3]float64{{1, 96, 12}, {2, 100, 12}}, nil},
		{"cores with two threads", 8, 16, [][3]float64{{1, 96, 12}, {16, 8 * 70, 40}}, nil},
		{"many taken", 8, 16, [][3]float64{{1, 96, 12}, {16, 300, 40}}, []string{"FMA peak of 16 threads 300.0 GFLOP/s, of 1 thread 96.0: other processes use the cores, or the threads share one core"}},
		{"one number of threads alone", 4, 4, [][3]float64{{4, 20, 12}}, nil},
	} {
		if d := cmp.Diff(c.want, measured(c.cores, c.readings...).doubts(c.n)); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, d)
		}
	}
	m := measured(1, [3]float64{1, 50, 10})
	m.note(1, []float64{80, 90, 91}, 12)
	if m.fma[1] != 91 || m.read[1] != 12 || m.readings[1] != (Reading{1, 90, 12}) {
		t.Errorf("the best is not what counts, or the median not what a reading is: %+v", m)
	}
}

// The peak is that of the best level timed.
func TestPeakOfLevels(t *testing.T) {
	small := effort{memory: 1 << 16}
	for _, level := range append(kernel.Levels(), "") {
		m, err := newMachine(small, nil, []string{"generic", level})
		if err != nil {
			t.Fatal(err)
		}
		chain, err := kernel.Chain(level)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, l := range slices.Backward(chain) {
			if slices.ContainsFunc(peaks, func(p peak) bool { return p.level == l }) {
				want = append(want, l)
			}
		}
		if want == nil {
			want = []string{plain.level}
		}
		for _, p := range m.loops {
			got = append(got, p.level)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("loops of level %q (-want +got)\n%s", level, d)
		}
	}
	if _, err := newMachine(small, nil, []string{"avx9"}); err == nil {
		t.Error("an unknown level has a peak")
	}
}

func TestSpread(t *testing.T) {
	many := slices.Repeat([]float64{10}, 100)
	many[0], many[99] = 1, 1000 // one of a hundred says nothing
	for _, c := range []struct {
		x    []float64
		want float64
	}{{[]float64{5}, 0}, {[]float64{8, 9, 10, 11, 12}, 40}, {many, 0}, {append(slices.Repeat([]float64{10}, 80), slices.Repeat([]float64{15}, 20)...), 50}} {
		if got := Spread(c.x); got != c.want {
			t.Errorf("spread of %v is %v, want %v", c.x, got, c.want)
		}
	}
}

// The machine is sampled before, between and after the runs; the sample in between is followed by a
// call that refills the caches.
func TestReadings(t *testing.T) {
	log := ""
	b := &bencher{ctx: context.Background()}
	run := func(name string) func() error { return func() error { log += name; return nil } }
	all, err := b.times([]func() error{run("a"), run("b")}, func() { log += " " })
	if want := " ababab abab ab "; err != nil || strings.Count(log, "ab") != MinRuns+1 || !strings.HasPrefix(log, " ababab ab") || !strings.HasSuffix(log, "ab ") || strings.Count(log, " ") != 3 {
		t.Errorf("the order is %q (%v), want something like %q", log, err, want)
	}
	if len(all[0]) != MinRuns || len(all[1]) != MinRuns {
		t.Errorf("%d and %d runs", len(all[0]), len(all[1]))
	}
}

// report returns the report for a machine and results, after encoding to JSON and back.
func report(t *testing.T, m *machine, results ...Result) (*Report, string) {
	t.Helper()
	b := &bencher{m: m, r: &Report{Package: "p", Results: results, Ops: []Op{{Threads: 2, GFLOPS: 10}}, Kernels: []Kernel{{Threads: 2, GFLOPS: 12, Median: 3, Spread: 90}}}}
	b.finish()
	js, err := json.Marshal(b.r)
	if err != nil {
		t.Fatal(err)
	}
	r := new(Report)
	if err := json.Unmarshal(js, r); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	return r, text.String()
}

// cells returns the cells of the results' lines in the column with a name.
func cells(t *testing.T, text string) []map[string]string {
	t.Helper()
	var rows []map[string]string
	_, table, ok := strings.Cut(text, " allocs\n")
	if !ok {
		t.Fatalf("no table in\n%s", text)
	}
	names := []string{"entry", "tokens", "batch", "threads", "level", "precision", "median", "min", "max", "runs", "inputs/s", "GFLOP/s", "peak", "roofline", "ratio", "allocs"}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) != len(names) {
			break
		}
		row := map[string]string{}
		for i, n := range names {
			row[n] = f[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestBusyReport(t *testing.T) {
	calm := Result{Entry: "calm", Threads: 1, Level: "x", Precision: "f32", Batch: 1, Median: 0.0123456, Min: 0.0121, Max: 0.0131, Runs: 9, Spread: 4, flops: 1e6, bytes: 1e3}
	restless := calm
	restless.Entry, restless.Spread = "restless", 15.1
	two := calm
	two.Entry, two.Threads = "two", 2
	quiet := [][3]float64{{1, 96, 12}, {2, 190, 20}}
	r, text := report(t, measured(2, quiet...), calm, two)
	if r.Busy || r.Signs != nil || len(r.Unsure) != 0 || r.Results[0].Busy || strings.Contains(strings.Split(text, "Each kernel")[0], BusyMark) || strings.Contains(text, "busy") {
		t.Errorf("a quiet machine is %+v\n%s", r, text)
	}
	for _, row := range cells(t, text) { // what is printed divides
		number := func(name string) float64 { x, _ := strconv.ParseFloat(row[name], 64); return x }
		for name, want := range map[string]float64{
			"ratio": number("median") / number("roofline"), "inputs/s": 1e3 / number("median"), "GFLOP/s": 1 / number("median"),
		} {
			if got := number(name); want == 0 || math.Abs(got/want-1) > 0.01 {
				t.Errorf("%s is printed as %v, what is printed beside it gives %v\n%s", name, got, want, text)
			}
		}
	}
	if number := fmt.Sprintf("%s3.000", BusyMark); !strings.Contains(text, number) {
		t.Errorf("the kernel's spread is not marked:\n%s", text)
	}

	r, text = report(t, measured(2, quiet...), calm, restless)
	if d := cmp.Diff([]string{"1 of 2 lines have over 15 % between their runs"}, r.Signs); d != "" || !r.Busy || r.Results[0].Busy || !r.Results[1].Busy {
		t.Errorf("%+v\n%s", r, d)
	}
	rows := cells(t, text)
	if rows[0]["median"] != "0.01235" || rows[1]["median"] != "~0.01235" || rows[1]["ratio"] != "~1.19" || rows[1]["peak"] != "~84.4" {
		t.Errorf("rows %v", rows)
	}
	for _, want := range []string{"The machine is busy", "~ marks figures that differ by over 15 %", "Stop other programs", "1 of 2 lines"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}

	// Shares and ratios to an unreliable peak are omitted.
	r, text = report(t, measured(2, [3]float64{1, 96, 12}, [3]float64{2, 69.5, 12}), calm, two)
	if !slices.Equal(r.Unsure, []int{2}) || !r.Busy || r.Results[0].Busy || !r.Results[1].Busy || r.Results[1].Ratio == 0 {
		t.Errorf("%+v", r)
	}
	rows = cells(t, text)
	if rows[0]["ratio"] != "1.19" || rows[1]["ratio"] != "-" || rows[1]["peak"] != "-" || rows[1]["roofline"] != "-" || rows[1]["median"] != "0.01235" {
		t.Errorf("rows %v", rows)
	}
	for _, want := range []string{"1 thread: FMA peak 96.0 GFLOP/s, read 12.0 GB/s\n", "2 threads: FMA peak ~69.5 GFLOP/s, read ~12.0 GB/s\n", "10.0     -"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestFigure(t *testing.T) {
	for x, want := range map[float64]string{0: "0.000", 12345.6: "12346", 1234.5: "1234", 336.04: "336.0", 28.4: "28.40", 2.637: "2.637", 0.08602: "0.08602", 0.5: "0.5000", 1e-12: "0.000000000"} {
		if got := Figure(x); got != want {
			t.Errorf("Figure(%v) is %s, want %s", x, got, want)
		}
	}
}
