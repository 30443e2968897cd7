package main

import (
	"bytes"
	"encoding/json"
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
	rows, err := presetRows(model.Presets())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := printByUse(&b, rows); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	fits(t, "presets", text, 110)
	for _, r := range rows {
		if strings.Count(text, "\n"+r.Name+" ") != 1 {
			t.Errorf("%s is not in one line of\n%s", r.Name, text)
		}
	}
	for _, use := range model.Uses {
		if !strings.Contains("\n"+text, "\n"+strings.ToUpper(use)+"  ") {
			t.Errorf("no preset is to %s in\n%s", use, text)
		}
	}
	for _, r := range rows {
		b.Reset()
		if err := r.print(&b); err != nil {
			t.Fatal(err)
		}
		_, description, _ := strings.Cut(b.String(), "compiles it:\n\n")
		if d, err := model.Parse("m.yaml", []byte(description)); err != nil || d.Preset != r.Name {
			t.Errorf("%s: %v from\n%s", r.Name, err, b.String())
		}
		if len(r.Functions) == 0 || r.Parameters == 0 || r.Embedding != 0 && (r.Picture == 0 || r.Caption == 0) {
			t.Errorf("%+v lacks a number", r)
		}
	}
}

// What the presets command says of one preset, as text and as JSON.
func TestPresetsOfOne(t *testing.T) {
	var b bytes.Buffer
	run := func(args ...string) string {
		t.Helper()
		b.Reset()
		c := presetsCommand(&b)
		c.SetArgs(args)
		if err := c.Execute(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	text := run("clip-vit-base-patch32")
	fits(t, "presets clip-vit-base-patch32", text, 110)
	for _, want := range []string{"openai/clip-vit-base-patch32", "605157884 bytes", "ViT-B-32.pt", "MIT", "quick_gelu", "63.32", "docs/openclip_results.csv"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if text := run("vit-huge-patch14-clip-224-metaclip-altogether"); !strings.Contains(text, "results") || strings.Count(text, "not stated") != 2 || !strings.Contains(text, "~3.94 GB, float32") {
		t.Errorf("what is not stated is not said in\n%s", text)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(run("--json", "siglip-base-patch16-224")), &rows); err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	for k, want := range map[string]any{
		"name": "siglip-base-patch16-224", "use": "search photos", "family": "siglip", "task": "retrieval", "dim": 768.0, "layers": 12.0, "image": 224.0,
		"embedding": 768.0, "hub": "google/siglip-base-patch16-224", "checkpoint": "model.safetensors", "licence": "Apache-2.0", "parameters": 203155970.0,
		"longest_text": 64.0, "activation": "gelu_tanh", "open_clip": "ViT-B-16-SigLIP webli",
	} {
		if rows[0][k] != want {
			t.Errorf("%s is %v, want %v", k, rows[0][k], want)
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
		"vlmo-base-patch16-480-vqa", "vlmo-base-plus-patch16-384-coco", "mwt-giant-patch14-224", "clip-vit-base-patch32", "siglip2-giant-opt-patch16-256",
		"clip-vit-b-32-xlm-roberta-base-laion5b-s13b-b90k"} {
		i := slices.IndexFunc(model.Presets(), func(p model.PresetInfo) bool { return p.Name == name })
		p := model.Presets()[i]
		got, err := grown(p)
		if err != nil {
			t.Fatal(err)
		}
		want, err := sizeOf(p, [2]int{p.Sizes.Layers, p.Sizes.Text.Layers})
		if off := math.Abs(float64(got.Blob-want.Blob)) / float64(want.Blob); off > 2e-4 {
			t.Errorf("%s: weights of %d bytes, want %d", name, got.Blob, want.Blob)
		}
		got.Blob = want.Blob
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}
