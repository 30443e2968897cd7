package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/generated/beit3tiny"
	"github.com/multiway-go/multiway/generated/emoji"
)

// little is an effort for tests, which do not check figures.
var little = effort{time.Millisecond, 1, 1 << 20}

func open(opts ...rt.Option) (*rt.Model, error) {
	m, err := beit3tiny.New(opts...)
	if err != nil {
		return nil, err
	}
	return m.Task().Model, nil
}

var tiny = []Subject{{beit3tiny.Package(), open}}

func TestRun(t *testing.T) {
	asmtest.Slow(t)
	levels := beit3tiny.Package().Levels()
	levels = slices.Compact([]string{levels[0], levels[len(levels)-1]})
	o := Options{Entries: []string{"vision", "language", "pair"}, Tokens: []int{3, 12}, Threads: []int{1, 2}, Levels: levels, Ops: true, Kernels: true}
	done := 0
	r, err := run(context.Background(), tiny, o, little, func(n, total int) { done += total - n })
	if err != nil {
		t.Fatal(err)
	}
	points := 5 * len(o.Threads) * len(levels) // vision once, the others at two lengths
	if len(r.Results) != points || done != (points+1)*points/2 {
		t.Errorf("%d results, progress adds up to %d, want %d points", len(r.Results), done, points)
	}
	for _, x := range r.Results {
		if x.Min <= 0 || x.Median < x.Min || x.Max < x.Median || x.Runs < MinRuns || x.GFLOPS <= 0 || x.Peak <= 0 ||
			x.Roofline <= 0 || math.Abs(x.Ratio*x.Roofline-x.Median) > 1e-9*x.Median || x.Precision != "f32" || x.Level == "" {
			t.Errorf("%+v does not fit together", x)
		}
		if x.Allocs != 0 {
			t.Errorf("%s at level %s on %d threads allocates %v times per call", x.Entry, x.Level, x.Threads, x.Allocs)
		}
	}
	shares := map[string]float64{}
	steps := map[string]bool{}
	for _, x := range r.Ops {
		shares[x.group()] += x.Share
		steps[x.Step+" "+strings.Fields(x.Work)[0]] = true
	}
	if len(shares) != len(r.Results) {
		t.Errorf("%d tables of ops, want %d", len(shares), len(r.Results))
	}
	for g, s := range shares {
		if math.Abs(s-100) > 1e-6 {
			t.Errorf("the shares of %s add up to %v%%", g, s)
		}
	}
	for _, want := range []string{"QKV gemm", "QKV layernorm", "FFN gemm", "FFN gemm+gelu", "SelfAttention attention", "AttnOut gemm", "EmbedPatches embedpatches", "EmbedText embedtext", " between"} {
		if !steps[want] {
			t.Errorf("no op is called %q; there are %q", want, slices.Sorted(maps.Keys(steps)))
		}
	}
	kinds := map[string]bool{}
	for _, k := range r.Kernels {
		kinds[strings.Fields(k.Work)[0]] = true
		if k.Median <= 0 || k.Runs < MinRuns {
			t.Errorf("%+v does not fit together", k)
		}
	}
	if want := []string{"attention", "gemm", "layernorm"}; !slices.Equal(slices.Sorted(maps.Keys(kinds)), want) {
		t.Errorf("kernels of kinds %v, want %v", kinds, want)
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	if r.Pause <= 0 {
		t.Errorf("collections beside calls stopped them for %v ms", r.Pause)
	}
	for _, want := range []string{"FMA peak", "garbage collection pauses a call for at most ", "% of peak", "Where the time of pair goes (12 tokens, batch 1, 2 threads, generic, f32)", "Each kernel alone"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, text.String())
		}
	}
}

// A prediction adds up, covers the steps of the call, and is compared with calls on as many threads as there
// are cores.
func TestScale(t *testing.T) {
	o := Options{Entries: []string{"vision", "pair"}, Tokens: []int{3}, Scale: []int{2, 64}, Bandwidth: 1e-3}
	r, err := run(context.Background(), tiny, o, little, nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, x := range r.Scale {
		lines = append(lines, fmt.Sprint(x.Entry, " ", x.Threads))
		sum := x.Serial
		for _, s := range x.Steps {
			sum += s.Time
			if s.Count < 1 || s.Largest < 1-1e-9 || s.Largest > float64(x.Threads)+1e-9 {
				t.Errorf("%s on %d threads: %+v does not fit together", x.Entry, x.Threads, s)
			}
		}
		if x.Runs < MinRuns || x.Predicted <= 0 || sum <= 0 || math.Abs(x.Ideal*float64(x.Threads)-x.Speedup) > 1e-9*x.Speedup {
			t.Errorf("%+v does not fit together", x)
		}
		if real := x.Threads <= kernel.Cores(); real != (x.Measured > 0) {
			t.Errorf("%s on %d threads takes %v ms", x.Entry, x.Threads, x.Measured)
		}
		if x.Threads == 64 && (math.Abs(x.Bandwidth-0.064) > 1e-9 || x.Memory <= x.Predicted/2) {
			t.Errorf("%s at %v GB/s waits for memory for %v of %v ms", x.Entry, x.Bandwidth, x.Memory, x.Predicted)
		}
	}
	if want := []string{"vision 1", "vision 2", "vision 64", "pair 1", "pair 2", "pair 64"}; !slices.Equal(lines, want) {
		t.Errorf("predictions of %q, want %q", lines, want)
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"predicted off by", "Longest share to the mean, by the number of threads, in pair (3 tokens, batch 1, ", "ms on 1 thread  count  2", "SelfAttention  attention"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
}

// Packages that are timed together take turns: their results are adjacent and have the same
// number of runs.
func TestSideBySide(t *testing.T) {
	other := *beit3tiny.Package()
	other.Precision = "int8 (heads f32)"
	o := Options{Entries: []string{"vision", "language"}, Tokens: []int{3}, Threads: []int{1}, Ops: true}
	r, err := run(context.Background(), []Subject{{beit3tiny.Package(), open}, {&other, func(opts ...rt.Option) (*rt.Model, error) { return other.New(opts...) }}}, o, little, nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, x := range r.Results {
		lines = append(lines, x.Entry+" "+x.Precision)
		if x.Runs != r.Results[i/2*2].Runs {
			t.Errorf("%s at %s: %d runs, its neighbour has %d", x.Entry, x.Precision, x.Runs, r.Results[i/2*2].Runs)
		}
	}
	if d := cmp.Diff([]string{"vision f32", "vision int8 (heads f32)", "language f32", "language int8 (heads f32)"}, lines); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "% of peak refers to float32, and so does the roofline ") {
		t.Errorf("the report does not say which peak it means:\n%s", &text)
	}
	if !strings.Contains(text.String(), "Where the time of vision goes (- tokens, batch 1, 1 thread, "+r.Results[0].Level+", int8 (heads f32)):") {
		t.Errorf("no table of ops for the second package:\n%s", &text)
	}
	other.Funcs = other.Funcs[:1]
	if _, err := run(context.Background(), []Subject{{beit3tiny.Package(), open}, {&other, open}}, o, little, nil); err == nil {
		t.Error("a package without the function was timed")
	}
	if _, err := run(context.Background(), nil, o, little, nil); err == nil {
		t.Error("no package was timed")
	}
}

// Main reads options and writes a report.
func TestServe(t *testing.T) {
	weights := "../../../generated/beit3tiny/weights.bin"
	var out, errs bytes.Buffer
	err := serve([]*rt.Package{beit3tiny.Package()}, []string{weights}, strings.NewReader(`{"Entries": ["vision"], "Threads": [1]}`), &out, &errs)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || len(r.Results) != 1 || r.Results[0].Entry != "vision" {
		t.Errorf("got %s, %v", &out, err)
	}
	if errs.String() != "timed 0 of 1\ntimed 1 of 1\n" {
		t.Errorf("standard error is %q", &errs)
	}
	if done, total, ok := Done("timed 3 of 12"); !ok || done != 3 || total != 12 {
		t.Errorf("%d of %d are done (%v), want 3 of 12", done, total, ok)
	}
	if _, _, ok := Done("entry fly: 1 of 2"); ok {
		t.Error("an error says how far it is")
	}
	for _, c := range []struct {
		weights []string
		in      string
	}{{nil, "{}"}, {[]string{weights}, "{"}, {[]string{"fly.bin"}, "{}"}, {[]string{weights}, `{"Batch": [-1]}`}} {
		if err := serve([]*rt.Package{beit3tiny.Package()}, c.weights, strings.NewReader(c.in), &out, &errs); err == nil {
			t.Errorf("%v, %s: no error", c.weights, c.in)
		}
	}
}

// Other programs read the JSON fields, so they keep their names.
func TestJSON(t *testing.T) {
	r, err := run(context.Background(), tiny, Options{Entries: []string{"language"}, Lengths: []int{2, 3, 7}, Threads: []int{1}, Cold: true}, little, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Peak    map[string]float64 `json:"fma_peak_gflops"`
		Read    map[string]float64 `json:"read_gbps"`
		Peaks   []Reading          `json:"peaks"`
		Busy    *bool              `json:"busy"`
		Unsure  []int              `json:"unsure_threads"`
		Results []map[string]any   `json:"results"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Peak["1"] <= 0 || got.Read["1"] <= 0 || len(got.Results) != 1 || len(got.Peaks) < 3 || got.Busy == nil || got.Unsure == nil {
		t.Fatalf("got %s", text)
	}
	fields := strings.Fields("allocs batch beams busy entry gflops level max_ms median_ms min_ms percent_of_peak precision roofline_ms roofline_ratio runs spread_percent threads tokens")
	if d := cmp.Diff(fields, slices.Sorted(maps.Keys(got.Results[0]))); d != "" {
		t.Errorf("fields of a result (-want +got):\n%s", d)
	}
	r, err = run(context.Background(), tiny, Options{Entries: []string{"language"}, Tokens: []int{3}, Scale: []int{2}}, little, nil)
	if err != nil {
		t.Fatal(err)
	}
	var predicted struct {
		Scale []map[string]any `json:"scale"`
	}
	if text, err = json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &predicted); err != nil {
		t.Fatal(err)
	}
	fields = strings.Fields("bandwidth_gbps batch beams entry level measured_ms memory_ms of_ideal off_percent precision predicted_ms runs serial_ms speedup spread_percent steps threads tokens")
	if d := cmp.Diff(fields, slices.Sorted(maps.Keys(predicted.Scale[1]))); d != "" {
		t.Errorf("fields of a prediction (-want +got):\n%s", d)
	}
	step, _ := predicted.Scale[1]["steps"].([]any)[0].(map[string]any)
	if d := cmp.Diff(strings.Fields("count largest_over_mean ms step work"), slices.Sorted(maps.Keys(step))); d != "" {
		t.Errorf("fields of a step (-want +got):\n%s", d)
	}
	x := got.Results[0]
	want := map[string]any{"entry": "language", "tokens": 4.0, "batch": 3.0, "threads": 1.0, "precision": "f32", "allocs": 0.0}
	for name, v := range want {
		if x[name] != v {
			t.Errorf("%s is %v, want %v", name, x[name], v)
		}
	}
	if level, _ := x["level"].(string); !slices.Contains(kernel.Levels(), level) {
		t.Errorf("level %v", x["level"])
	}
	number := func(name string) float64 { v, _ := x[name].(float64); return v }
	median, gflops := number("median_ms"), number("gflops")
	if number("runs") < MinRuns || number("min_ms") <= 0 || median < number("min_ms") || median > number("max_ms") {
		t.Errorf("times do not fit together: %v", x)
	}
	language := slices.IndexFunc(beit3tiny.Package().Funcs, func(f *exec.Func) bool { return f.Name == "language" })
	flops, bytes := beit3tiny.Package().Funcs[language].Cost.Of([]int{2, 3, 7})
	roofline := max(float64(flops)/got.Peak["1"], float64(bytes)/got.Read["1"]) / 1e6
	for _, c := range []struct {
		name string
		want float64
	}{
		{"gflops", float64(flops) / median / 1e6}, {"percent_of_peak", 100 * gflops / got.Peak["1"]},
		{"roofline_ms", roofline}, {"roofline_ratio", median / roofline},
	} {
		if v := number(c.name); math.Abs(v-c.want) > 1e-9*c.want {
			t.Errorf("%s is %v, want %v", c.name, v, c.want)
		}
	}
}

// demo is the demo's model.
var demo = []Subject{{emoji.Package(), func(opts ...rt.Option) (*rt.Model, error) {
	m, err := emoji.New(opts...)
	if err != nil {
		return nil, err
	}
	return m.Task().Model, nil
}}}

// Products with weights of every format can be timed alone.
func TestTimesOfProducts(t *testing.T) {
	o := Options{Entries: []string{"vision_classification"}, Threads: []int{1}, Kernels: true}
	r, err := run(context.Background(), demo, o, little, nil)
	if err != nil {
		t.Fatal(err)
	}
	products := 0
	for _, k := range r.Kernels {
		if strings.HasPrefix(k.Work, "gemm ") && strings.HasSuffix(k.Work, " f16") && k.GFLOPS > 0 {
			products++
		}
	}
	if products < 4 { // of the patches, of the three kinds of layers inside a block
		t.Errorf("%d products by f16 among %+v", products, r.Kernels)
	}
}

// Steps of captions and whole ones are timed greedily and with beams, of several pictures.
func TestTimesOfCaptions(t *testing.T) {
	o := Options{Entries: []string{"caption_step", Captions}, Tokens: []int{3}, Batch: []int{1, 5}, Beams: []int{1, 2}, Threads: []int{1}, Ops: true}
	r, err := run(context.Background(), demo, o, little, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	for _, entry := range o.Entries {
		for _, batch := range []string{"1", "5", "1x2", "5x2"} {
			if !regexp.MustCompile(`(?m)^ *`+entry+` +3 +`+batch+` +1 `).Match(text.Bytes()) || !strings.Contains(text.String(), "Where the time of "+entry+" goes (3 tokens, batch "+batch+",") {
				t.Errorf("%s of a batch of %s is not in the report:\n%s", entry, batch, &text)
			}
		}
	}
	r, err = run(context.Background(), demo, Options{Entries: []string{Captions}, Tokens: []int{3}, Batch: []int{2}, Scale: []int{2}}, little, nil)
	if err != nil || len(r.Scale) != 2 || r.Scale[1].Entry != Captions || r.Scale[1].Beams != 1 {
		t.Errorf("predictions %+v, error %v", r.Scale, err)
	}
}

// The trace reports the FLOPs that the compiler counted.
func TestTraceCountsFLOPs(t *testing.T) {
	m, err := emoji.New(rt.WithThreads(2)) // its heads are whole panels: no padding is computed
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	points, err := plan(m.Task().Package(), &Options{Lengths: []int{5, 1, 12}, Batch: []int{9}, Beams: []int{1, 3}, Tokens: []int{1, 6, 24}})
	if err != nil {
		t.Fatal(err)
	}
	for _, pt := range points {
		c, err := newCall(m.Task().Model, pt)
		if err != nil {
			t.Fatal(err)
		}
		got := int64(0)
		c.s.Trace(func(w *exec.Work) { got += w.FLOPs })
		if err := c.Run(); err != nil {
			t.Fatal(err)
		}
		c.Close()
		want, bytes := pt.cost()
		if got != want {
			t.Errorf("%s, %d beams: traced %d FLOPs, the compiler counted %d", pt.entry, pt.beams, got, want)
		}
		if bytes < pt.f.Cost.Weight || pt.f.Cost.Weight <= 0 {
			t.Errorf("%s, %d beams: %d bytes, %d of them weights", pt.entry, pt.beams, bytes, pt.f.Cost.Weight)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{Entries: []string{"fly"}}, `entry "fly": the package has no such function; it has vision, `},
		{Options{Entries: []string{}}, "nothing to time: the list of entries is empty"},
		{Options{Tokens: []int{13}}, "tokens has 13, want 1 to 12"},
		{Options{Lengths: []int{1, 0}}, "lengths has 0"},
		{Options{Batch: []int{MaxBatch + 1}}, "batch has 4097"},
		{Options{Threads: []int{0}}, "threads has 0"},
		{Options{Entries: []string{"vision"}, Lengths: []int{1}}, "no selected function takes text"},
		{Options{Time: 2 * time.Hour}, "time is 2h0m0s, want up to 1h0m0s"},
		{Options{Levels: []string{"generic", "fly"}}, `level has "fly", this CPU has generic`},
		{Options{Beams: []int{65}}, "beams has 65, want 1 to 64"},
		{Options{Entries: []string{Captions}}, `entry "captions": the package has no such function`},
		{Options{Scale: []int{1025}}, "scale has 1025, want 1 to 1024"},
		{Options{Scale: []int{2}, Threads: []int{2}}, "scale goes with none of threads, cold, ops and kernels"},
		{Options{Scale: []int{2}, Bandwidth: math.NaN()}, "bandwidth is NaN GB/s, want a positive number, together with scale"},
		{Options{Scale: []int{2}, Bandwidth: math.Inf(1)}, "bandwidth is +Inf GB/s, want a positive number, together with scale"},
		{Options{Bandwidth: 5}, "bandwidth is 5 GB/s, want a positive number, together with scale"},
		{Options{Time: -1}, "time is -1ns, want up to 1h0m0s"},
	} {
		if err := Check(beit3tiny.Package(), test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got error %v, want %q", test.o, err, test.want)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := run(ctx, tiny, Options{}, little, nil); err != context.Canceled {
		t.Errorf("got error %v of a cancelled run", err)
	}
}

func TestOnce(t *testing.T) {
	m, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if name, err := Once(m, Options{Entries: []string{"pair"}}); name != "pair" || err != nil {
		t.Errorf("got %q, %v", name, err)
	}
}
