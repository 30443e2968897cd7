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
	"github.com/multiway-go/multiway/codegen/rt/bench"
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

// captionPreset is the preset whose captions are timed, in place of a photo.
const captionPreset = "beit3-base-patch16-480-coco-captioning"

// README's table of which file to take has what the presets say. `make presets` also times a photo, of a model of the real size with
// seeded weights, and writes the times, and those of captions; without it the times are those that are there.
func TestPresetTable(t *testing.T) {
	const readme, target = "../../README.md", "presets"
	times := map[string][]string{}
	made, captions, _ := strings.Cut(between(t, readme, target)[1], "\n\n")
	for line := range strings.Lines(made + "\n") {
		if cells := strings.Split(line, " | "); len(cells) > 2 {
			times[cells[1]] = []string{cells[len(cells)-2], strings.TrimSuffix(cells[len(cells)-1], " |\n")}
		}
	}
	if *photoPresets != "" {
		for _, preset := range strings.Split(*photoPresets, ",") {
			if preset == captionPreset {
				captions = captionTable(t)
			} else {
				times["`"+preset+"`"] = photoTimes(t, preset)
			}
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
	b.WriteString("\n" + captions)
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
	var s []string
	for _, r := range benched(t, preset, "--entry", "vision") {
		s = append(s, fmt.Sprintf("%s%.2g", r.mark(), r.Median/1e3))
	}
	if len(s) != 2 {
		t.Fatalf("%s: %d results, want one at each precision", preset, len(s))
	}
	t.Logf("%s: %v s", preset, s)
	return s
}

// captionTable is the table of captions a second of captionPreset.
func captionTable(t *testing.T) string {
	t.Helper()
	const steps = 16
	rates := map[string]string{}
	for _, r := range benched(t, captionPreset, "--entry", "captions", "--tokens", fmt.Sprint(steps), "--batch", "1,8", "--beams", "1,3") {
		rates[fmt.Sprint(r.Batch, r.Beams, r.Precision)] = fmt.Sprintf("%s%.3g", r.mark(), 1e3*float64(r.Batch)/r.Median)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Captions a second of `%s`, of %d steps each, their pictures included:\n\n", captionPreset, steps)
	b.WriteString("| pictures a call | greedy, float32 | 3 beams, float32 | greedy, int8 | 3 beams, int8 |\n|---|---|---|---|---|\n")
	for _, pictures := range []int{1, 8} {
		cells := []string{fmt.Sprint(pictures)}
		for _, precision := range []string{"f32", "int8"} {
			for _, beams := range []int{1, 3} {
				cells = append(cells, rates[fmt.Sprint(pictures, beams, precision)])
			}
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	t.Logf("%s", &b)
	return b.String()
}

// benchResult is a line of multiway bench --json.
type benchResult struct {
	Batch, Beams int
	Precision    string
	Median       float64 `json:"median_ms"`
	Busy         bool
}

// mark is what stands before a time of a machine that was busy.
func (r *benchResult) mark() string {
	if r.Busy {
		return bench.BusyMark
	}
	return ""
}

// benched times functions of a preset, with seeded weights, at float32 and int8 on two threads.
func benched(t *testing.T, preset string, flags ...string) []benchResult {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "bench.json")
	asmtest.Write(t, filepath.Join(dir, "model.yaml"), fmt.Sprintf("model: 1\npreset: %s\nseed: 1\n", preset))
	args := append([]string{"bench", "--threads", "2", "--precision", "f32,int8", "--tune", "off", "--json", path}, flags...)
	asmtest.Run(t, exec.Command("multiway", append(args, filepath.Join(dir, "model.yaml"))...))
	var made struct{ Results []benchResult }
	if err := json.Unmarshal(asmtest.Read(t, path), &made); err != nil {
		t.Fatal(err)
	}
	return made.Results
}
