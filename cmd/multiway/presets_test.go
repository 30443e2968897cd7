package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/model"
)

var photoPresets = flag.String("photos", "", "presets to time a photo of, separated by commas; make presets gives them")

// chosen are the presets of README's table, with whom each is for.
var chosen = []struct{ who, preset string }{
	{"English, fast", "clip-vit-base-patch32"},
	{"English, fast, more accurate", "clip-vit-b-32-256x256-datacomp-s34b-b86k"},
	{"English", "clip-vit-base-patch16"},
	{"English, more accurate", "siglip-base-patch16-224"},
	{"English, accurate, slow", "siglip-so400m-patch14-384"},
	{"English, the most accurate", "dfn5b-clip-vit-h-14-378"},
	{"many languages, fast", "siglip2-base-patch32-256"},
	{"many languages", "siglip2-base-patch16-224"},
	{"many languages, the most accurate", "siglip2-giant-opt-patch16-384"},
	{"Chinese", "chinese-clip-vit-base-patch16"},
	{"captions like COCO's", "beit3-base-patch16-384-coco-retrieval"},
	{"questions about a photo", "beit3-base-patch16-480-vqa"},
	{"a sentence about a photo", "beit3-base-patch16-480-coco-captioning"},
}

// README's table of which file to take has what the presets say. `make presets` also times a photo, of a model of the real size with
// seeded weights, and writes the times; without it the times are those that are there.
func TestPresetTable(t *testing.T) {
	const readme, target = "../../README.md", "presets"
	times := map[string][]string{}
	for line := range strings.Lines(between(t, readme, target)[1]) {
		if cells := strings.Split(line, " | "); len(cells) > 2 {
			times[cells[1]] = []string{cells[len(cells)-2], strings.TrimSuffix(cells[len(cells)-1], " |\n")}
		}
	}
	if *photoPresets != "" {
		for _, preset := range strings.Split(*photoPresets, ",") {
			times["`"+preset+"`"] = photoTimes(t, preset)
		}
	}
	var presets []model.PresetInfo
	for _, c := range chosen {
		all := model.Presets()
		i := slices.IndexFunc(all, func(p model.PresetInfo) bool { return p.Name == c.preset })
		presets = append(presets, all[i])
	}
	rows, err := presetRows(presets)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| for | preset | file | GB | licence | ImageNet | COCO | s, float32 | s, int8 |\n|---|---|---|---|---|---|---|---|---|\n")
	for i, r := range rows {
		size := "not stated"
		if f := r.Files[0]; f.Bytes != 0 {
			size = fmt.Sprintf("%.2g", float64(f.Bytes)/1e9)
		}
		from := cmp.Or(r.Hub, r.Page)
		preset := "`" + r.Name + "`"
		cells := []string{chosen[i].who, preset, r.Checkpoint + " of " + from, size, cmp.Or(r.Licence, "not stated"),
			r.result("IMAGENET"), r.search()}
		if times[preset] == nil {
			times[preset] = []string{"-", "-"}
		}
		b.WriteString("| " + strings.Join(append(cells, times[preset]...), " | ") + " |\n")
	}
	if *tableFile != "" {
		rewrite(t, *tableFile, target, b.String())
	}
	if diff := gocmp.Diff(b.String(), between(t, readme, target)[1]); diff != "" {
		t.Errorf("README.md is stale; run make presets photos= (-want +got):\n%s", diff)
	}
}

// search is the published share of COCO's captions whose picture is found first, or another result with what it is of.
func (r *presetRow) search() string {
	if v := r.result("COCO, "); v != "-" {
		return v
	}
	for _, x := range r.Results {
		what, _, _ := strings.Cut(x.What, ",")
		return fmt.Sprintf("%s: %.4g", what, x.Value)
	}
	return "-"
}

// photoTimes are the seconds that the model of a preset takes for a photo on two threads, at float32 and int8.
func photoTimes(t *testing.T, preset string) []string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "bench.json")
	asmtest.Write(t, filepath.Join(dir, "model.yaml"), fmt.Sprintf("model: 1\npreset: %s\nseed: 1\n", preset))
	asmtest.Run(t, exec.Command("multiway", "bench", "--threads", "2", "--entry", "vision", "--precision", "f32,int8", "--tune", "off", "--json", path, filepath.Join(dir, "model.yaml")))
	var made struct {
		Results []struct {
			Precision string
			Median    float64 `json:"median_ms"`
			Busy      bool
		}
	}
	if err := json.Unmarshal(asmtest.Read(t, path), &made); err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, r := range made.Results {
		mark := ""
		if r.Busy {
			mark = "~"
		}
		s = append(s, fmt.Sprintf("%s%.2g", mark, r.Median/1e3))
	}
	if len(s) != 2 {
		t.Fatalf("%s: %d results, want one at each precision", preset, len(s))
	}
	t.Logf("%s: %v s", preset, s)
	return s
}
