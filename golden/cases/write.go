package cases

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/multiway-go/multiway/ir/checkpoint"
)

// Replaceable returns an error if dir holds a case of another task, which Write leaves
// as it is.
func Replaceable(dir, task string) error {
	if _, err := os.Stat(filepath.Join(dir, "case.json")); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	old, err := Load(dir)
	if err != nil {
		return fmt.Errorf("%w; remove it to write another case there", err)
	}
	defer old.Close()
	if old.Task != task {
		return fmt.Errorf("%s: is a case of task %s, which is not overwritten; name another folder", dir, old.Task)
	}
	return nil
}

// Write writes a case into dir, which it creates if needed: case.json, and the inputs
// and the truth of its runs. A case of the same task that is there is replaced. Write
// checks what it wrote by reading it.
func Write(dir string, c *Case, inputs, truth []checkpoint.Tensor) error {
	if err := Replaceable(dir, c.Task); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	type output struct {
		Tensor   string  `json:"tensor"`
		Shape    []int   `json:"shape"`
		MaxAbs   float64 `json:"max_abs"`
		F32vsF64 float64 `json:"f32_vs_f64_max_abs"`
		Atol     float64 `json:"atol"`
		Rtol     float64 `json:"rtol"`
	}
	type run struct {
		Run
		Outputs map[string]output `json:"outputs"`
	}
	runs := make([]run, len(c.Runs))
	for i, r := range c.Runs {
		runs[i] = run{r, map[string]output{}}
		for name, o := range r.Outputs {
			runs[i].Outputs[name] = output{o.Tensor, o.Shape, o.MaxAbs, o.F32vsF64, o.Atol, o.Rtol}
		}
	}
	text, err := json.MarshalIndent(struct {
		Format int             `json:"format"`
		Name   string          `json:"name"`
		Family string          `json:"family"`
		Task   string          `json:"task"`
		Note   string          `json:"note,omitempty"`
		Config json.RawMessage `json:"config"`
		Runs   []run           `json:"runs"`
	}{1, c.Name, c.Family, c.Task, c.Note, c.ConfigJSON, runs}, "", " ")
	if err != nil {
		return err
	}
	for name, tensors := range map[string][]checkpoint.Tensor{"inputs.safetensors": inputs, "truth.safetensors": truth} {
		if err := checkpoint.WriteSafetensorsFile(filepath.Join(dir, name), tensors, nil); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "case.json"), append(text, '\n'), 0o666); err != nil {
		return err
	}
	return verify(dir)
}

// verify reads all of a case.
func verify(dir string) error {
	c, err := Load(dir)
	if err != nil {
		return err
	}
	defer c.Close()
	var errs []error
	for i := range c.Runs {
		r := &c.Runs[i]
		_, err := c.Batch(r)
		errs = append(errs, err)
		for _, name := range r.OutputNames() {
			_, err := c.Reference(r, name)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
