//go:build unix

package main

import (
	"cmp"
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

var realPresets = flag.String("real", "", "presets to build from files of real size, separated by commas, as NAME or NAME:PRECISION; needs gigabytes of disk")

// maxShare is how much memory a build may take, as a share of the weights it keeps,
// and base what any Go program of this size takes besides.
const (
	maxShare = 1.5
	base     = 48 << 20
)

// A build reads a checkpoint piece by piece: it needs less memory than one and a half times the weights that it keeps in
// f32, although the file holds three times as much, and also if it stores them in int8 and runs the model to choose what it
// stores finer.
func TestBuildMemory(t *testing.T) {
	asmtest.Slow(t)
	dir := t.TempDir()
	description := `model: 1
family: beit3
sizes: {dim: 512, heads: 8, ffn: 2048, layers: 4, image: 32, patch: 16, vocab: 30000, positions: 128}
seed: 1
tasks: [retrieval]
`
	kept := int64(0)
	for _, precision := range []string{"f32", "int8"} {
		asmtest.Write(t, filepath.Join(dir, "model.yaml"), description+"precision: "+precision+"\n")
		r := measure(t, "--check", "off", "-o", filepath.Join(dir, "model"), filepath.Join(dir, "model.yaml"))
		kept = max(kept, r.weights)
		t.Logf("%s: weights %d MB, kept %d MB, peak %d MB", precision, r.weights>>20, kept>>20, r.peak>>20)
		if limit := int64(maxShare*float64(kept)) + base; r.peak > limit {
			t.Errorf("the build in %s took %d MB for %d MB of weights, want at most %d", precision, r.peak>>20, kept>>20, limit>>20)
		}
	}
}

// TestBuildReal does the same with the real sizes, from files as people have them: the official scripts leave those of
// BEiT-3, transformers writes the others.
// go test ./cmd/multiway -run BuildReal -real beit3-base-patch16-384-coco-retrieval,clip-vit-base-patch32:int8
func TestBuildReal(t *testing.T) {
	if *realPresets == "" {
		t.Skip("-real names no preset")
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| checkpoint (style) | file | weights kept | precision | package only: time, peak memory | with the quick check: time, peak memory |\n|---|---|---|---|---|---|\n")
	for _, name := range strings.Split(*realPresets, ",") {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			preset, precision, _ := strings.Cut(name, ":")
			style, path := "safetensors", filepath.Join(dir, "model.safetensors")
			if strings.HasPrefix(preset, "beit3-") {
				style, path = "finetune", filepath.Join(dir, "model.pth")
				if strings.Contains(preset, "large") {
					style = "deepspeed"
				}
			}
			asmtest.Run(t, exec.Command("multiway", "golden", "checkpoint", "--preset", preset, "--style", style, "-o", path))
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			description := fmt.Sprintf("model: 1\npreset: %s\ncheckpoint: %s\n", preset, filepath.Base(path))
			asmtest.Write(t, filepath.Join(dir, "model.yaml"), description)
			out := filepath.Join(dir, "model")
			plain := measure(t, "--check", "off", "-o", out, filepath.Join(dir, "model.yaml"))
			kept := plain.weights
			if precision = cmp.Or(precision, "f32"); precision != "f32" {
				asmtest.Write(t, filepath.Join(dir, "model.yaml"), description+"precision: "+precision+"\n")
				plain = measure(t, "--check", "off", "-o", out, filepath.Join(dir, "model.yaml"))
			}
			checked := measure(t, "-o", out, filepath.Join(dir, "model.yaml"))
			if peak, limit := max(plain.peak, checked.peak), int64(maxShare*float64(kept)); peak > limit {
				t.Errorf("the build took %d MB for %d MB of weights, want at most %d", peak>>20, kept>>20, limit>>20)
			}
			fmt.Fprintf(&table, "| %s (%s) | %.1f GB | %.2f GB | %s | %v | %v |\n", preset, style, float64(st.Size())/1e9, float64(kept)/1e9, precision, plain, checked)
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
