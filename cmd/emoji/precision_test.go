package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/ir/precision"
)

var tableFile = flag.String("table", "", "file whose table of precisions is written anew")

// folder is where the demo model's package and its description are.
const folder = "../../generated/emoji"

// atPrecision builds cmd/emoji with the demo model at another precision and returns the
// executable and the bytes of the weights.
func atPrecision(t *testing.T, word string) (exe string, weights int64) {
	t.Helper()
	m, err := compile.Open(filepath.Join(folder, "emoji.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Desc.SetPrecision(word); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r, err := m.Write(compile.Options{Dir: filepath.Join(dir, "emoji"), Weights: codegen.Embed, Check: compile.Off})
	if err != nil {
		t.Fatal(err)
	}
	// Its files take the places of the committed ones, which go if it has none of the name.
	replace := map[string]string{}
	at := func(name string) string {
		path, err := filepath.Abs(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	committed, err := filepath.Glob(filepath.Join(folder, "*.[gs]*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range committed {
		replace[at(filepath.Base(f))] = ""
	}
	for _, f := range r.Files {
		replace[at(f)] = filepath.Join(dir, "emoji", f)
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	asmtest.Write(t, overlay, text)
	exe = filepath.Join(dir, "emoji.exe")
	asmtest.Run(t, exec.Command("go", "build", "-overlay", overlay, "-o", exe, "."))
	return exe, r.Weights
}

// evalOf runs eval on every n-th drawing, without captions.
func evalOf(t *testing.T, exe, word string, n int) metrics {
	t.Helper()
	cmd := exec.Command(exe, "eval", "--json", "--captions=false", "--every", strconv.Itoa(n))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	var got struct {
		Precision string
		Metrics   map[string]metrics
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Precision != word || len(got.Metrics) != 1 {
		t.Fatalf("got %s, want the metrics at precision %s", out, word)
	}
	for _, m := range got.Metrics {
		return m
	}
	return metrics{}
}

// shares are what a precision may not change by much.
func (m *metrics) shares() map[string]float64 {
	return map[string]float64{
		"text to image R@1": m.All.TextToImage1, "image to text R@1": m.All.ImageToText1,
		"subgroup": m.ClassificationAll.Subgroup1, "group": m.ClassificationAll.Group1,
		"what group": m.VQAAll.Group, "is this NAME": m.VQAAll.Name,
	}
}

// At a reduced precision the demo model finds and tells what it does at f16, which its
// checkpoint is stored in, but for a share of the held-out drawings, and a few more, which
// the last bit of another CPU's sums may decide.
func TestPrecisions(t *testing.T) {
	asmtest.Slow(t)
	if !assembly(t) {
		t.Skip("no kernels in assembly here; in plain Go this takes minutes")
	}
	t.Run("every fourth drawing", func(t *testing.T) { precisions(t, 4, 3) })
	t.Run("every drawing", func(t *testing.T) {
		asmtest.Asked(t, asmtest.Full)
		precisions(t, 1, 1)
	})
}

func precisions(t *testing.T, every, more int) {
	var exact metrics
	command(t, func(a *cli.App) error {
		m, err := a.Open()
		if err != nil {
			return err
		}
		defer m.Close()
		e, err := evaluate(t.Context(), a, m, false, every)
		if err == nil {
			exact = e.metrics
		}
		return err
	})
	for _, c := range []struct {
		word   string
		points float64 // of a hundred
		bytes  int64   // that the weights are below
	}{
		{"bf16", 0.1, 6e6},
		{precision.Int8, 0.5, 3e6},
	} {
		exe, weights := atPrecision(t, c.word)
		if weights >= c.bytes {
			t.Errorf("%s: %d bytes of weights, want less than %d", c.word, weights, c.bytes)
		}
		got := evalOf(t, exe, c.word, every)
		want := exact.shares()
		for name, x := range got.shares() {
			if d := 100 * math.Abs(x-want[name]); d > c.points+100*float64(more)/float64(exact.Images) {
				t.Errorf("%s: %s is %.4f, at f16 %.4f; want at most %v points and %d drawings of a difference", c.word, name, x, want[name], c.points, more)
			}
		}
	}
}

// largest is the released model whose size at each precision the table has.
const largest = "beit3-base-patch16-384-coco-retrieval"

// TestPrecisionTable measures every precision for people.
func TestPrecisionTable(t *testing.T) {
	if *tableFile == "" {
		t.Skip("give -table FILE; make precisions does")
	}
	base, err := compile.Preset(largest, 1)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| precision | what it is | %s | demo | text to image R@1 | image to text R@1 | subgroup | group |\n|---|---|---|---|---|---|---|---|\n", largest)
	for _, w := range precision.Formats {
		at, err := base.AtPrecision(w.Name)
		if err != nil {
			t.Fatal(err)
		}
		if at, err = at.Tuned(nil, t.Logf); err != nil {
			t.Fatal(err)
		}
		described, _, err := at.Lower(nil)
		if err != nil {
			t.Fatal(err)
		}
		planned, err := at.Plan(described)
		if err != nil {
			t.Fatal(err)
		}
		exe, weights := atPrecision(t, w.Name)
		m := evalOf(t, exe, w.Name, 1)
		fmt.Fprintf(&b, "| %s | %s | %.1f MB | %.2f MB |", w.Name, w.Doc, float64(codegen.BlobSize(planned))/1e6, float64(weights)/1e6)
		for _, x := range []float64{m.All.TextToImage1, m.All.ImageToText1, m.ClassificationAll.Subgroup1, m.ClassificationAll.Group1} {
			fmt.Fprintf(&b, " %.2f %% |", 100*x)
		}
		b.WriteString("\n")
	}
	writeTable(t, "precisions", b.String())
}

// writeTable writes a table between the marks of a make target in -table.
func writeTable(t *testing.T, target, table string) {
	t.Helper()
	begin, end := "<!-- made by: make "+target+" -->\n", "<!-- end of "+target+" -->"
	data := asmtest.Read(t, *tableFile)
	before, rest, ok1 := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks the marks %q and %q", *tableFile, begin, end)
	}
	asmtest.Write(t, *tableFile, before+begin+table+end+after)
}
