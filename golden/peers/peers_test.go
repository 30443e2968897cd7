package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// README's part, the tables and the picture are what the command writes of the recorded numbers.
func TestFresh(t *testing.T) {
	dir := t.TempDir()
	files := []string{"README.md", "golden/reference/peers.json", "golden/reference/peers.md", "golden/reference/peers.svg"}
	for _, f := range files[:2] {
		asmtest.Write(t, filepath.Join(dir, f), asmtest.Read(t, filepath.Join("../..", f)))
	}
	if err := write(filepath.Join(dir, "golden/reference/peers"), filepath.Join(dir, "README.md")); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if diff := cmp.Diff(string(asmtest.Read(t, filepath.Join("../..", f))), string(asmtest.Read(t, filepath.Join(dir, f)))); diff != "" {
			t.Errorf("%s is not what go run ./golden/peers golden/reference/peers README.md writes (-is +written):\n%s", f, diff)
		}
	}
}

const small = `{"runs": [{
	"machine": {"cpu": "CPU", "cores": 2, "system": "Linux", "python": "3.11", "level": "avx2", "versions": {"openvino": "2", "onnxruntime": "1"}, "peaks": [
		{"when": "before", "threads": 1, "fma_gflops": 100}, {"when": "before", "threads": 2, "fma_gflops": 200},
		{"when": "between", "threads": 1, "fma_gflops": 99}, {"when": "between", "threads": 1, "fma_gflops": 98}, {"when": "between", "threads": 2, "fma_gflops": 150},
		{"when": "after", "threads": 1, "fma_gflops": 101}]},
	"processes": 2,
	"sides": ["multiway f32", "ONNX Runtime f32", "OpenVINO f32", "multiway int8", "ONNX Runtime int8"],
	"models": [
		{"name": "clip", "workloads": [{"name": "vision", "label": "a picture", "inputs": 1}, {"name": "vision8", "label": "8 pictures a call", "inputs": 8}],
		 "times_ms": {
			"multiway f32": {"1": {"vision": [50, 50], "vision8": [390, 400]}, "2": {"vision": [30, 31]}},
			"ONNX Runtime f32": {"1": {"vision": [100, 100], "vision8": [300, 300]}, "2": {"vision": [40, 60]}},
			"OpenVINO f32": {"1": {"vision": [75, 75]}},
			"multiway int8": {"1": {"vision": [20, 20]}},
			"ONNX Runtime int8": {"1": {"vision": [10, 10]}}},
		 "first_ms": {"multiway f32": {"1": {"vision": [60, 61]}}, "ONNX Runtime f32": {"1": {"vision": [600, 601]}}},
		 "memory_mb": {},
		 "photos": {"folders": [{"name": "photos64", "label": "a JPEG", "inputs": 1}],
			"ms": {"multiway f32": {"2": {"photos64": [40, 40]}}, "ONNX Runtime f32": {"2": {"photos64": [60, 60]}}},
			"arranged": {"ONNX Runtime f32": {"photos64": "2 processes of 1 thread"}}},
		 "cosine": {"multiway f32": {"vision": 1, "language": 0.99999}, "multiway int8": {"vision": 0.9996}, "ONNX Runtime int8": {"vision": 0.78, "language": 0.9}}},
		{"name": "demo", "workloads": [{"name": "text8", "label": "a name", "inputs": 1}],
		 "times_ms": {"multiway f32": {"1": {"text8": [1, 1]}}},
		 "first_ms": {}, "memory_mb": {}, "cosine": {"multiway f32": {"language": 1}},
		 "recall": {"multiway f32": {"text_to_image": 0.325, "image_to_text": 0.324}}}]}]}`

// A side's missing figures are empty, rough ones are marked, a side that is fast and wrong is said to be, and so is a loss.
func TestTables(t *testing.T) {
	name := filepath.Join(t.TempDir(), "peers")
	readme := filepath.Join(filepath.Dir(name), "README.md")
	asmtest.Write(t, name+".json", small)
	asmtest.Write(t, readme, "before\n"+begin+"old\n"+end+"after\n")
	if err := write(name, readme); err != nil {
		t.Fatal(err)
	}
	intro := `clip, demo on CPU, 2 cores, Linux (multiway held at level avx2); onnxruntime 1, openvino 2, Python 3.11. ` +
		`FMA peak in GFLOP/s: before 100, meanwhile 98 to 99, after 101 with 1 thread; ~before 200, meanwhile 150 with 2 threads. ` +
		`Medians of 2 processes each, by turns. ~: over 15 % between them, so that a ratio is rough.`
	accuracy := `
| least cosine to float64 | clip | demo; held-out drawings found first by their names, names by drawings |
|---|---|---|
| multiway f32 | 1.0000 | 1.0000; 32.5 %, 32.4 % |
| multiway int8 | 0.9996 |  |
| ONNX Runtime int8 | 0.7800 |  |
`
	want := "<!-- " + note + " -->\n" + intro + ` In brackets the least and the largest. Ratios are those of the medians beside them; above 1 multiway is ahead.

| a call, ms | threads | multiway f32 | ONNX Runtime f32 | ratio | OpenVINO f32 | ratio |
|---|---|---|---|---|---|---|
| clip: a picture | 1 | 50.0 (50.0 to 50.0) | 100 (100 to 100) | 2.00 | 75.0 (75.0 to 75.0) | 1.50 |
| clip: a picture | 2 | 30.5 (30.0 to 31.0) | ~50.0 (40.0 to 60.0) | ~1.64 |  |  |
| clip: 8 pictures a call | 1 | 395 (390 to 400) | 300 (300 to 300) | 0.76 |  |  |

| a call, ms | threads | multiway int8 | ONNX Runtime int8 | ratio |
|---|---|---|---|---|
| clip: a picture | 1 | 20.0 (20.0 to 20.0) | 10.0 (10.0 to 10.0) | 0.50 |

| from a file to its vector, a picture, ms | threads | multiway f32 | ONNX Runtime f32 | ratio |
|---|---|---|---|---|
| clip: a JPEG | 2 | 40.0 (40.0 to 40.0) | 60.0 (60.0 to 60.0) | 1.50 |

| process start to first result, ms | threads | multiway f32 | ONNX Runtime f32 | ratio |
|---|---|---|---|---|
| clip: a picture | 1 | 60.5 (60.0 to 61.0) | 600 (600 to 601) | 9.92 |
` + accuracy + `
| files with Pillow and |  | the fastest arrangement |
|---|---|---|
| ONNX Runtime f32 | clip: a JPEG | 2 processes of 1 thread |
`
	if diff := cmp.Diff(want, string(asmtest.Read(t, name+".md"))); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	want = "before\n" + begin + intro + `

| a call | threads | multiway f32, ms | times as fast as ONNX Runtime f32 | times as fast as OpenVINO f32 |
|---|---|---|---|---|
| clip: a picture | 1, 2 | 50.0, 30.5 | 2.00, ~1.64 | 1.50 |
| clip: 8 pictures a call | 1 | 395 | 0.76 |  |

| a call | threads | multiway int8, ms | times as fast as ONNX Runtime int8 |
|---|---|---|---|
| clip: a picture | 1 | 20.0 | 0.50 |

| from a file to its vector, a picture | threads | multiway f32, ms | times as fast as ONNX Runtime f32 |
|---|---|---|---|
| clip: a JPEG | 2 | 40.0 | 1.50 |
` + accuracy + `
multiway f32 is ahead of ONNX Runtime f32 in 2 of 3 lines (least 0.76: clip: 8 pictures a call on 1 thread), ` +
		`of OpenVINO f32 in 1 of 1 lines (least 1.50: clip: a picture on 1 thread). ` +
		`multiway int8 is ahead of ONNX Runtime int8 in 0 of 1 lines (least 0.50: clip: a picture on 1 thread). Of 5 ratios 1 are rough. ` +
		`A cosine is the least of the embeddings of 4 pictures and of a text of each length, to what NumPy computes of the same ONNX file in float64. ` +
		`Where it is below 0.99, a time says little: ONNX Runtime int8, clip (0.7800). Weights other than the demo's are random, and errors of trained ones differ.

![times of a call as bars](peers.svg)

All figures are in [peers.md](peers.md).
` + end + "after\n"
	if diff := cmp.Diff(want, string(asmtest.Read(t, readme))); diff != "" {
		t.Errorf("README (-want +got):\n%s", diff)
	}
	svg := string(asmtest.Read(t, name+".svg"))
	for _, want := range []string{">clip, 1 thread<", ">10.0 ms, 0.7800<", ">50.0 ms<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if strings.Contains(svg, "8 pictures") {
		t.Error("the picture has calls with several inputs")
	}
}

// A README without marks is refused, and stays.
func TestMarks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "peers")
	readme := filepath.Join(filepath.Dir(name), "README.md")
	asmtest.Write(t, name+".json", small)
	asmtest.Write(t, readme, "text")
	asmtest.ErrorSays(t, write(name, readme), readme, "lacks the marks")
	if got := string(asmtest.Read(t, readme)); got != "text" {
		t.Errorf("README is %q", got)
	}
	if _, err := os.Stat(name + ".md"); err == nil {
		t.Error("tables were written")
	}
}
