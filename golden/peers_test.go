package golden_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// benchPeers runs bench_peers.py, whose writing needs no library.
func benchPeers(t *testing.T, args ...string) {
	t.Helper()
	name := cmp.Or(os.Getenv("MULTIWAY_PYTHON"), "python3")
	if out, err := exec.Command(name, "--version").CombinedOutput(); err != nil {
		asmtest.Missing(t, "python", strings.TrimSpace(name+": "+err.Error()+" "+string(out)))
	}
	asmtest.Run(t, exec.Command(name, append([]string{"reference/bench_peers.py", "--render"}, args...)...))
}

// README's table and picture of the race are what the script writes of the recorded numbers.
func TestPeersFresh(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"README.md", "golden/reference/peers.json"} {
		asmtest.Write(t, filepath.Join(dir, f), asmtest.Read(t, filepath.Join("..", f)))
	}
	benchPeers(t, "--out", filepath.Join(dir, "golden/reference/peers"), "--readme", filepath.Join(dir, "README.md"))
	for _, f := range []string{"README.md", "golden/reference/peers.json", "golden/reference/peers.md", "golden/reference/peers.svg"} {
		if diff := gocmp.Diff(string(asmtest.Read(t, filepath.Join("..", f))), string(asmtest.Read(t, filepath.Join(dir, f)))); diff != "" {
			t.Errorf("%s is not what bench_peers.py --render writes of peers.json (-is +written):\n%s", f, diff)
		}
	}
}

// A run of several models against several engines has one table; what an engine does not run is empty, and unsure medians are marked.
func TestPeersTable(t *testing.T) {
	out := filepath.Join(t.TempDir(), "peers")
	asmtest.Write(t, out+".json", `{"runs": [{
		"machine": {"cpu": "CPU", "cores": 2, "system": "Linux", "python": "3.11", "makers": {"PyTorch": "2.15.0"}, "fma_peak_gflops": {"1": 100}, "busy": true},
		"peers": {"ONNX Runtime": "1.32.0", "OpenVINO": "2026.4.1"}, "processes": 2,
		"models": {
			"clip-vit-base-patch32": {
				"times_ms": {
					"multiway": {"1": {"vision": [50, 50], "text10": [5, 5], "text10-int8": [2, 2]}},
					"ONNX Runtime": {"1": {"vision": [100, 100], "text10": [60, 40], "text10-int8": [20, 20]}},
					"OpenVINO": {"1": {"vision": [75, 75], "text10": [25, 25]}}},
				"first_ms": {}, "memory_mb": {},
				"cosine": {"multiway": {"f32": 1, "int8": 0.9996}, "ONNX Runtime": {"f32": 1, "int8": 0.9992}, "OpenVINO": {"f32": 1}}},
			"siglip-base-patch16-224": {
				"times_ms": {"multiway": {"1": {"text64": [10, 10]}}, "ONNX Runtime": {"1": {"text64": [20, 20]}}, "OpenVINO": {"1": {"text64": [5, 5]}}},
				"first_ms": {}, "memory_mb": {},
				"cosine": {"multiway": {"f32": 1, "int8": 0.9999}}}}}]}`)
	benchPeers(t, "--out", out)
	want := `<!-- Written by bench_peers.py; do not edit. -->
clip-vit-base-patch32, siglip-base-patch16-224 on CPU, 2 cores, Linux; ONNX Runtime 1.32.0, OpenVINO 2026.4.1, Python 3.11, PyTorch 2.15.0. ` +
		`FMA peak 100 GFLOP/s (1 thread). Medians of 2 processes each, by turns; in brackets the least and the largest. ` +
		`~: over 15 % between them, so that the ratio is rough. Ratios are those of the medians beside them. ` +
		`Least cosine of embeddings at int8 to PyTorch's at f32: multiway 0.9996, ONNX Runtime 0.9992. **The machine was busy at times.**

| a call | threads | multiway, ms | ONNX Runtime, ms | ratio | OpenVINO, ms | ratio |
|---|---|---|---|---|---|---|
| clip-vit-base-patch32: a picture | 1 | 50.0 (50.0 to 50.0) | 100 (100 to 100) | 2.00 | 75.0 (75.0 to 75.0) | 1.50 |
| clip-vit-base-patch32: a text of 10 ids, elsewhere padded to 77 | 1 | 5.00 (5.00 to 5.00) | ~50.0 (40.0 to 60.0) | ~10.00 | 25.0 (25.0 to 25.0) | 5.00 |
| clip-vit-base-patch32: a text of 10 ids, elsewhere padded to 77, int8 | 1 | 2.00 (2.00 to 2.00) | 20.0 (20.0 to 20.0) | 10.00 | | |
| siglip-base-patch16-224: a text of 64 ids | 1 | 10.0 (10.0 to 10.0) | 20.0 (20.0 to 20.0) | 2.00 | 5.00 (5.00 to 5.00) | 0.50 |
`
	if diff := gocmp.Diff(want, string(asmtest.Read(t, out+".md"))); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
