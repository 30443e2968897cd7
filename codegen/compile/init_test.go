package compile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/checkpoint/torchsave"
	"github.com/multiway-go/multiway/ir/model"
)

// writeCheckpoint saves a tiny seeded model as torch.save would.
func writeCheckpoint(t *testing.T, path, tasks string, o torchsave.Options) {
	t.Helper()
	d, err := model.Parse("m.yaml", []byte("model: 1\nfamily: beit3\nsizes: {dim: 64, heads: 4, ffn: 96, layers: 2, image: 16, patch: 8, vocab: 40, positions: 12}\ntasks: ["+tasks+"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var list []checkpoint.SeededTensor
	for _, x := range model.Tensors(d) {
		list = append(list, checkpoint.NewSeededTensor(x.Name, x.Shape))
	}
	src, err := checkpoint.Seeded(3, list)
	if err != nil {
		t.Fatal(err)
	}
	if err := torchsave.WriteFile(path, src, o); err != nil {
		t.Fatal(err)
	}
}

// The description of every kind of checkpoint opens and lowers with the checkpoint's weights.
func TestInit(t *testing.T) {
	for _, c := range []struct {
		tasks string
		o     torchsave.Options
	}{
		{"retrieval", torchsave.Options{Style: torchsave.Finetune}},
		{"encode", torchsave.Options{Style: torchsave.Model}},
		{"encode: {norm: false}", torchsave.Options{Style: torchsave.StateDict}},
		{"classification: {classes: 7}", torchsave.Options{Style: torchsave.DeepSpeed}},
		{"vqa: {classes: 5}", torchsave.Options{Style: torchsave.Views}},
		{"nlvr2", torchsave.Options{Style: torchsave.Bare, Legacy: true}},
	} {
		t.Run(fmt.Sprintf("%s %s", c.tasks, c.o.Style), func(t *testing.T) {
			dir := t.TempDir()
			path, out := filepath.Join(dir, "weights", "My-Model.pth"), filepath.Join(dir, "model.yaml")
			if err := os.Mkdir(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			tasks := c.tasks
			if strings.Contains(tasks, ":") {
				tasks = "{" + tasks + "}"
			}
			writeCheckpoint(t, path, tasks, c.o)
			r, err := compile.Init(path, compile.InitOptions{Out: out, Heads: 4})
			if err != nil {
				t.Fatal(err)
			}
			if r.Problem != nil || r.Used == nil {
				t.Fatalf("%v\n%s", r.Problem, r.YAML)
			}
			asmtest.Write(t, out, r.YAML)
			m, err := compile.Open(out)
			if err != nil {
				t.Fatalf("%v\n%s", err, r.YAML)
			}
			defer m.Close()
			if m.Desc.Name != "my_model" || m.Desc.Checkpoint != "weights/My-Model.pth" || m.Desc.Sizes.Heads != 4 {
				t.Errorf("name %s, checkpoint %s, %d heads", m.Desc.Name, m.Desc.Checkpoint, m.Desc.Sizes.Heads)
			}
			_, found, err := m.Lower(nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.Used, found); diff != "" {
				t.Errorf("what is used (-init +build):\n%s", diff)
			}
			if !strings.Contains(string(r.YAML), "does not use:\n#   ") || !strings.Contains(string(r.YAML), "mask_token") {
				t.Errorf("it does not say what is ignored:\n%s", r.YAML)
			}
		})
	}
}

// A description for other pictures resizes the table of positions.
func TestInitImage(t *testing.T) {
	dir := t.TempDir()
	path, out := filepath.Join(dir, "m.pth"), filepath.Join(dir, "model.yaml")
	writeCheckpoint(t, path, "retrieval", torchsave.Options{})
	r, err := compile.Init(path, compile.InitOptions{Out: out, Heads: 4, Image: 24})
	if err != nil || r.Problem != nil {
		t.Fatal(err, r.Problem)
	}
	want := []string{"beit3.encoder.embed_positions.A.weight: 2x2 to 3x3 patches"}
	if diff := cmp.Diff(want, r.Used.Resized); diff != "" {
		t.Errorf("resized (-want +got):\n%s", diff)
	}
	without := strings.Replace(string(r.YAML), "interpolate: true", "", 1)
	asmtest.Write(t, out, without)
	m, err := compile.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, _, err = m.Lower(nil); err == nil || !strings.Contains(err.Error(), "it is for 2x2 patches, the model has 3x3: add `interpolate: true`") {
		t.Errorf("without interpolate: %v", err)
	}
}

// Without the number of heads init writes a description that does not compile.
func TestInitHeads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pth")
	writeCheckpoint(t, path, "retrieval", torchsave.Options{})
	r, err := compile.Init(path, compile.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Problem == nil || !strings.Contains(r.Problem.Error(), "sizes.heads is missing") || r.Used == nil {
		t.Errorf("problem %v, used %v", r.Problem, r.Used)
	}
	for _, c := range []struct{ path, want string }{
		{filepath.Join(t.TempDir(), "no.pth"), "no such file"},
		{"init_test.go", "not a checkpoint"},
	} {
		if _, err := compile.Init(c.path, compile.InitOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
	}
}
