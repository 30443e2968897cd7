package cases

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
)

// Replaceable returns an error if dir has a case of a task other than task, or one that cannot be read: Write does not
// replace these.
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
		return fmt.Errorf("%s: it is a case of task %s, which is not overwritten; name another folder", dir, old.Task)
	}
	return nil
}

// Files lists the files that Write writes, case.json last.
var Files = []string{inputsFile, "truth.safetensors", "case.json"}

// inputsFile is the name of the file with the inputs of a case's runs.
const inputsFile = "inputs.safetensors"

// Write writes a case into dir, which it makes if needed: case.json, and the inputs and the
// truth of its runs. It replaces an old case of the same task after it has written the new one
// and read it again as a check. On error the old case stays.
func Write(dir string, c *Case, inputs, truth []checkpoint.Tensor) error {
	if err := Replaceable(dir, c.Task); err != nil {
		return err
	}
	var set file.Set
	defer set.Abandon()
	if err := set.MkdirAll(dir); err != nil {
		return err
	}
	if err := set.Lock(dir); err != nil {
		return err
	}
	at, sums := map[string]string{}, map[string]string{}
	for i, tensors := range [][]checkpoint.Tensor{inputs, truth} {
		f, err := set.Create(filepath.Join(dir, Files[i]), 0o666)
		if err != nil {
			return err
		}
		sum := sha256.New()
		if err := checkpoint.WriteSafetensors(io.MultiWriter(f, sum), tensors, nil); err != nil {
			return fmt.Errorf("%s: %w", f.Place(), err)
		}
		at[Files[i]], sums[Files[i]] = f.Name(), hex.EncodeToString(sum.Sum(nil))
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
		Files  any             `json:"files"`
		Runs   []run           `json:"runs"`
	}{1, c.Name, c.Family, c.Task, c.Note, c.ConfigJSON, sums, runs}, "", " ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if err := verify(dir, text, at); err != nil {
		return err
	}
	if err := set.Write(filepath.Join(dir, Files[2]), 0o666, file.Bytes(text)); err != nil {
		return err
	}
	return set.Commit()
}

// verify reads all inputs and outputs of a case that Write has written, from the temporary files at, by name.
func verify(dir string, text []byte, at map[string]string) error {
	c, err := Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	c.Dir, c.at = dir, at
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
