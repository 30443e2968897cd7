package compile_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/model"
)

// torch is a folder of checkpoints that its make.py wrote with PyTorch and safetensors.
const torch = "testdata/torch"

// torchWeights runs init on a checkpoint of the folder. It returns the weights by name, and the notes about it.
func torchWeights(t *testing.T, dir, name, key string) (map[string][]float32, *checkpoint.Report, error) {
	t.Helper()
	in, err := compile.Init(filepath.Join(dir, name), compile.InitOptions{Out: filepath.Join(dir, "model.yaml"), Key: key, Heads: 2})
	if err == nil {
		err = in.Problem
	}
	if err != nil {
		return nil, nil, err
	}
	d, err := model.Parse(filepath.Join(dir, "model.yaml"), in.YAML)
	if err != nil {
		t.Fatalf("%v\n%s", err, in.YAML)
	}
	src, err := checkpoint.OpenSet(d.Path(d.Checkpoint), d.Key)
	if err != nil {
		t.Fatal(err)
	}
	m := &compile.Model{Desc: d, Source: src}
	defer m.Close()
	p, found, err := m.Lower(nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(in.Used, found); diff != "" {
		t.Errorf("what is used (-init +build):\n%s", diff)
	}
	all := map[string][]float32{}
	for _, w := range p.Weights {
		if all[w.Name], err = w.Load(); err != nil {
			t.Fatal(err)
		}
	}
	return all, found, nil
}

// Weights are read from all usual forms of saving a model, and a set of weights is chosen by its key.
func TestTorchFiles(t *testing.T) { torchFiles(t, torch) }

func torchFiles(t *testing.T, dir string) {
	base, _, err := torchWeights(t, dir, "base.safetensors", "")
	if err != nil {
		t.Fatal(err)
	}
	other := map[string][]float32{} // as make.py has it
	for name, f := range base {
		for _, x := range f {
			other[name] = append(other[name], x+1)
		}
	}
	const ema, theirs = `"model" (54 tensors), "model_ema" (54 tensors)`, `"ema.module" (54 tensors), "state_dict_ema" (54 tensors)`
	for _, c := range []struct {
		file, key string
		want      map[string][]float32
		notes     string // what the notes say
	}{
		{"numpy-protocol5.pth", "", base, ""},
		{"legacy-protocol5.pth", "", base, ""},
		{"deflated.zip", "", base, ""},
		{"f64.pth", "", base, ""},
		{"f64.safetensors", "", base, ""},
		{"unknown-field.safetensors", "", base, ""},
		{"compiled.safetensors", "", base, `dropped "_orig_mod." from the names of 53 tensors`},
		{"lightning.ckpt", "", base, `dropped "model."`},
		{"averaged.pth", "", base, `dropped "module.module._orig_mod."`},
		{"compiled-inside.pth", "", base, `dropped "..._orig_mod." from the names of 46 tensors`},
		{"model.safetensors", "", base, `dropped "module.model."`},
		{"model.safetensors", "module", base, `dropped "model."`},
		{"ema.pth", "", base, ema + `; this is "model"`},
		{"ema.pth", "model_ema", other, ema + `; this is "model_ema"`},
		{"ema-only.pth", "ema.module", base, theirs + `; this is "ema.module"`},
		{"ema-only.pth", "state_dict_ema", other, theirs + `; this is "state_dict_ema"`},
		{"ema.safetensors", "", base, `"model" (53 tensors), "model_ema" (53 tensors); this is "model"`},
		{"ema.safetensors", "model_ema", other, `dropped "module." from the names of 53 tensors`},
		{"teacher.safetensors", "student.backbone", base, ""},
		{"teacher.safetensors", "teacher.backbone", other, ""},
	} {
		t.Run(c.file+" "+c.key, func(t *testing.T) {
			got, r, err := torchWeights(t, dir, c.file, c.key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(c.want, got); diff != "" {
				t.Errorf("weights (-want +got):\n%s", diff)
			}
			if notes := strings.Join(r.Notes(), "\n"); (c.notes == "") != (notes == "") || !strings.Contains(notes, c.notes) {
				t.Errorf("notes are %q, want %q", notes, c.notes)
			}
		})
	}
	for _, c := range []struct{ file, key, want string }{
		{"lora.safetensors", "", `adapters (LoRA and its like), in "beit3.encoder.layers.0.self_attn.q_proj.A.lora_A" and 1 more`},
		{"peft.safetensors", "", "model.merge_and_unload()"},
		{"parametrized.pth", "", "torch.nn.utils.parametrize.remove_parametrizations"},
		{"weight-norm.pth", "", "torch.nn.utils.remove_weight_norm"},
		{"spectral-norm.pth", "", "torch.nn.utils.remove_spectral_norm"},
		{"pruned.pth", "", "torch.nn.utils.prune.remove"},
		{"ema-only.pth", "", "several sets of weights and none under a usual key: " + theirs},
		{"ema-only.pth", "model", `no weights under the key "model"; there are ` + theirs},
		{"ema.safetensors", "ema", `no weights under the key "ema"; there are "model" (54 tensors), "model_ema" (54 tensors)`},
		{"teacher.safetensors", "", "with a prefix: open them with --key student.backbone, or --key teacher.backbone"},
		{"teacher.safetensors", "student", "with a prefix: open them with --key student.backbone"},
	} {
		if _, _, err := torchWeights(t, dir, c.file, c.key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.file, c.key, err, c.want)
		}
	}
}

// python returns the command that runs Python, or skips the test if PyTorch is missing.
func python(t *testing.T) string {
	t.Helper()
	name := cmp.Or(os.Getenv("MULTIWAY_PYTHON"), "python3")
	if out, err := exec.Command(name, "-c", "import torch, safetensors.torch, PIL, numpy").CombinedOutput(); err != nil {
		out = bytes.TrimSpace(out)
		asmtest.Missing(t, "torch", fmt.Sprintf("%s: %v %s", name, err, out[bytes.LastIndexByte(out, '\n')+1:]))
	}
	return name
}

// runPython runs a script with PyTorch.
func runPython(t *testing.T, args ...string) {
	t.Helper()
	c := exec.Command(python(t), args...)
	c.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	asmtest.Run(t, c)
}

// The folder's files are what PyTorch writes now. After the advice of errors about tensors that change weights, the weights can be
// read.
func TestTorchFilesAreFresh(t *testing.T) {
	asmtest.Slow(t)
	dir := t.TempDir()
	runPython(t, filepath.Join(torch, "make.py"), dir, "cured")
	torchFiles(t, dir)
	base, _, err := torchWeights(t, dir, "base.safetensors", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		off  float32 // spectral norm leaves the weight divided by its norm
	}{{"cured-parametrized.pth", 1e-6}, {"cured-weight-norm.pth", 1e-6}, {"cured-pruned.pth", 0}, {"cured-spectral-norm.pth", 10}} {
		got, _, err := torchWeights(t, dir, c.name, "")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for name, f := range base {
			for i, x := range f {
				if d := got[name][i] - x; d > c.off || d < -c.off {
					t.Errorf("%s: %s differs by %v", c.name, name, d)
					break
				}
			}
		}
	}
}
