//go:build unix

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multiway-go/multiway/asm/asmtest"
)

var realPresets = flag.String("real", "", "presets to build from files of real size, separated by commas; needs gigabytes of disk")

// maxShare is how much memory a build may take, as a share of the weights it keeps,
// and base what any Go program of this size takes besides.
const (
	maxShare = 1.5
	base     = 48 << 20
)

// A build reads a checkpoint piece by piece: it needs less memory than one and a half
// times the weights that it keeps, although the file holds three times as much.
func TestBuildMemory(t *testing.T) {
	asmtest.Slow(t)
	dir := t.TempDir()
	asmtest.Write(t, filepath.Join(dir, "model.yaml"), `model: 1
family: beit3
sizes: {dim: 512, heads: 8, ffn: 2048, layers: 6, image: 224, patch: 16, vocab: 30000, positions: 128}
seed: 1
tasks: [retrieval]
`)
	r := measure(t, "--check", "off", "-o", filepath.Join(dir, "model"), filepath.Join(dir, "model.yaml"))
	t.Logf("weights %d MB, peak %d MB", r.weights>>20, r.peak>>20)
	if limit := int64(maxShare*float64(r.weights)) + base; r.peak > limit {
		t.Errorf("the build took %d MB for %d MB of weights, want at most %d", r.peak>>20, r.weights>>20, limit>>20)
	}
}

// TestBuildReal does the same with the real sizes, from files as the official scripts
// leave them: go test ./cmd/multiway -run BuildReal -real beit3-base-patch16-384-coco-retrieval
func TestBuildReal(t *testing.T) {
	if *realPresets == "" {
		t.Skip("-real names no preset")
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| checkpoint (style) | file | weights kept | package only: time, peak memory | with the quick check: time, peak memory |\n|---|---|---|---|---|\n")
	for _, preset := range strings.Split(*realPresets, ",") {
		t.Run(preset, func(t *testing.T) {
			dir := t.TempDir()
			style := "finetune"
			if strings.Contains(preset, "large") {
				style = "deepspeed"
			}
			path := filepath.Join(dir, "model.pth")
			asmtest.Run(t, exec.Command("multiway", "golden", "checkpoint", "--preset", preset, "--style", style, "-o", path))
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			asmtest.Write(t, filepath.Join(dir, "model.yaml"), fmt.Sprintf("model: 1\npreset: %s\ncheckpoint: model.pth\n", preset))
			out := filepath.Join(dir, "model")
			plain := measure(t, "--check", "off", "-o", out, filepath.Join(dir, "model.yaml"))
			if limit := int64(maxShare * float64(plain.weights)); plain.peak > limit {
				t.Errorf("the build took %d MB for %d MB of weights, want at most %d", plain.peak>>20, plain.weights>>20, limit>>20)
			}
			checked := measure(t, "-o", out, filepath.Join(dir, "model.yaml"))
			fmt.Fprintf(&table, "| %s (%s) | %.1f GB | %.2f GB | %v | %v |\n", preset, style, float64(st.Size())/1e9, float64(plain.weights)/1e9, plain, checked)
		})
	}
	t.Logf("%d processors\n%s", runtime.NumCPU(), &table)
	if *tableFile != "" && !t.Failed() {
		rewrite(t, *tableFile, "builds", table.String())
	}
}

type measured struct {
	weights, peak int64 // bytes
	time          time.Duration
}

func (m measured) String() string {
	return fmt.Sprintf("%.0f s, %.2f GB", m.time.Seconds(), float64(m.peak)/1e9)
}

// measure runs a build and returns the largest memory of any process of it.
func measure(t *testing.T, args ...string) measured {
	t.Helper()
	cmd := exec.Command("multiway", append([]string{"build", "--json"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var r struct{ Weights int64 }
	if err := json.Unmarshal(out, &r); err != nil || r.Weights == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" { // which counts bytes, others KiB
		peak <<= 10
	}
	return measured{r.Weights, peak, time.Since(start)}
}
