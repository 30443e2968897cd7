package cases

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

// A written case reads back, and Write checks it.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "case")
	c := &Case{
		Name: "m", Family: "own", Task: Recorded, ConfigJSON: json.RawMessage(`{"image_size": 2, "vocab_size": 9}`),
		Runs: []Run{{
			Name: "pair.0", Kind: Function, Function: "pair", Source: []string{"a.png", "say \"é\"\n"},
			Inputs:  map[string]string{"image": "image.0", "text_ids": "text.0"},
			Outputs: map[string]Output{"y": {Tensor: "y.0", Shape: []int{1, 1, 2}, Atol: 1e-5, Rtol: 0, MaxAbs: 2, F32vsF64: 1e-7}},
		}},
	}
	inputs := []checkpoint.Tensor{
		{Name: "image.0", DType: checkpoint.F32, Shape: []int{1, 3, 2, 2}, Floats: make([]float32, 12)},
		{Name: "text.0", DType: checkpoint.I64, Shape: []int{1, 3}, Ints: []int64{0, 8, 2}},
	}
	truth := []checkpoint.Tensor{{Name: "y.0", DType: checkpoint.F32, Shape: []int{1, 1, 2}, Floats: []float32{1, -2}}}
	if err := Write(dir, c, inputs, truth); err != nil {
		t.Fatal(err)
	}
	got := loadCase(t, dir)
	want := c.Runs[0]
	o := want.Outputs["y"]
	o.tolerance = true
	want.Outputs = map[string]Output{"y": o}
	if diff := cmp.Diff([]Run{want}, got.Runs, cmp.AllowUnexported(Output{})); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	ref, err := got.Reference(&got.Runs[0], "y")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		y  float32
		ok bool
	}{{-2, true}, {-2.000005, true}, {-2.0001, false}} {
		if res, err := ref.Compare([][]float32{{1, v.y}}); err != nil || res.OK != v.ok {
			t.Errorf("%v: %v, %v", v.y, res, err)
		}
	}

	// A token id outside of the vocabulary, and outputs of another shape.
	inputs[1].Ints[1] = 9
	asmtest.ErrorSays(t, Write(dir, c, inputs, truth), "sequence 0 has id 9 at 1, want 0 to 8")
	inputs[1].Ints[1] = 8
	truth[0].Shape = []int{1, 2, 1}
	asmtest.ErrorSays(t, Write(dir, c, inputs, truth), `tensor "y.0" has shape [1 2 1], case.json says [1 1 2]`)

	// A case that could not be replaced is unchanged. A file of another recording is refused.
	kept := loadCase(t, dir)
	if _, err := kept.Reference(&kept.Runs[0], "y"); err != nil {
		t.Errorf("after a recording that failed: %v", err)
	}
	truth[0].Shape, truth[0].Floats[0] = []int{1, 1, 2}, 3
	if err := checkpoint.WriteSafetensorsFile(filepath.Join(dir, "truth.safetensors"), truth, nil); err != nil {
		t.Fatal(err)
	}
	mixed := loadCase(t, dir)
	_, err = mixed.Reference(&mixed.Runs[0], "y")
	asmtest.ErrorSays(t, err, "truth.safetensors: it does not belong to the case.json in its folder (SHA-256 ")

	// Cases of another task are not replaced.
	c.Task = "other"
	asmtest.ErrorSays(t, Write(dir, c, inputs, truth), "is a case of task recorded, which is not overwritten")
	asmtest.Write(t, filepath.Join(dir, "case.json"), "{")
	asmtest.ErrorSays(t, Write(dir, c, inputs, truth), "remove it to write another case there")
}
