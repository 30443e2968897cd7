package main

import (
	"bytes"
	"io"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/model"
)

// The help of every command fits a terminal.
func TestHelpFits(t *testing.T) {
	seen := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		seen++
		var b bytes.Buffer
		c.SetOut(&b)
		if err := c.Help(); err != nil || b.Len() == 0 {
			t.Errorf("%s: %d bytes, %v", c.CommandPath(), b.Len(), err)
		}
		fits(t, c.CommandPath()+" --help", b.String(), columns)
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root(io.Discard))
	if seen < 9 {
		t.Errorf("%d commands", seen)
	}
}

// A command line that makes no sense has another exit status than a failure.
func TestExitStatus(t *testing.T) {
	for line, want := range map[string]int{
		"": 0, "--help": 0,
		"bild": 2, "--fly": 2, "build": 2, "build --fly": 2, "build a.yaml b.yaml": 2, "build -o": 2, "build none.yaml": 2, "build -o x --check fast none.yaml": 2,
		"dump": 2, "export none.yaml": 2, "bench": 2, "golden fly": 2, "golden record": 2, "golden checkpoint": 2,
		"build -o x none.yaml": 1, "init none.pth": 1, "dump none.ir": 1, "golden check none": 1,
	} {
		cmd := exec.Command("multiway", strings.Fields(line)...)
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want || want > 0 && bytes.Count(out, []byte("\n")) != 1 {
			t.Errorf("%q: status %d (%v), want %d and one line:\n%s", line, got, err, want, out)
		}
	}
}

// The list of presets fits a narrow one, and has all of them.
func TestPresetsFit(t *testing.T) {
	asmtest.Slow(t)
	rows, err := presetRows()
	if err != nil {
		t.Fatal(err)
	}
	rows[1].Checkpoint = "o.pth"
	var b bytes.Buffer
	if err := printByTask(&b, rows); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	fits(t, "presets", text, 80)
	for _, r := range rows {
		if strings.Count(text, "\n"+r.Name+" ") != 1 {
			t.Errorf("%s is not in one line of\n%s", r.Name, text)
		}
	}
	for _, want := range []string{"  o.pth\n", "  .pt\n", "  -\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// fits wants no line of text to be wider, or to end in blanks.
func fits(t *testing.T, what, text string, columns int) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if n := len([]rune(line)); n > columns || strings.TrimRight(line, " ") != line {
			t.Errorf("%s has a line of %d columns, want %d at most and no blanks at the end: %q", what, n, columns, line)
		}
	}
}

// What a preset comes to is told from few of its layers.
func TestPresetSizesFromFewLayers(t *testing.T) {
	for _, name := range []string{"beit3-base-patch16-384-coco-retrieval", "beit3-base-patch16-480-coco-captioning", "beit3-base-patch16-224-nlvr2",
		"vlmo-base-patch16-480-vqa", "vlmo-base-plus-patch16-384-coco", "mwt-giant-patch14-224"} {
		i := slices.IndexFunc(model.Presets(), func(p model.PresetInfo) bool { return p.Name == name })
		p := model.Presets()[i]
		got, err := grown(p)
		if err != nil {
			t.Fatal(err)
		}
		want, err := sizeOf(p, p.Sizes.Layers)
		if off := math.Abs(float64(got.Blob-want.Blob)) / float64(want.Blob); off > 2e-4 {
			t.Errorf("%s: weights of %d bytes, want %d", name, got.Blob, want.Blob)
		}
		got.Blob = want.Blob
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}
