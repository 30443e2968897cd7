package cases

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"

	"github.com/multiway-go/multiway/ir/checkpoint"
)

// Variant is one of the sets of weights that a case has: a file, or the weights generated from its seed.
type Variant struct {
	Name    string           // the file's name; "seed", "seed.bf16" or "seed.f16"
	DType   checkpoint.DType // type of the weights: the weights_dtype of its runs
	File    string           // "" if the weights come from the seed
	Missing bool             // the folder does not have the file that case.json names
}

// Variants lists the weight files of the case, sorted, and then, if the case has a generator,
// seeded weights for every weights_dtype of its runs. A case without a model has none.
func (c *Case) Variants() []Variant {
	if c.Weights == nil {
		return nil
	}
	var list []Variant
	for name, f := range c.Weights.Files {
		v := Variant{Name: name, DType: f.DType, File: name}
		if path, err := c.Path(name); err == nil {
			_, err = os.Stat(path)
			v.Missing = errors.Is(err, fs.ErrNotExist)
		}
		list = append(list, v)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	if c.Weights.Generator == "" || len(c.Weights.Tensors) == 0 {
		return list
	}
	for _, d := range dtypes {
		if d == mixed { // seeded weights have one type
			continue
		}
		v := Variant{Name: "seed", DType: d}
		if d != checkpoint.F32 {
			v.Name += "." + string(d)
		}
		if len(c.RunsOf(v)) > 0 {
			list = append(list, v)
		}
	}
	return list
}

// RunsOf lists the runs of the case that are for weights of v's type, in the order of the case.
func (c *Case) RunsOf(v Variant) []*Run {
	var list []*Run
	for i := range c.Runs {
		if c.Runs[i].WeightsDType == v.DType {
			list = append(list, &c.Runs[i])
		}
	}
	return list
}

// OpenWeights opens the weights of a variant. The caller closes them. Seeded weights are
// checked against the SHA-256 of the case when they are loaded.
func (c *Case) OpenWeights(v Variant) (checkpoint.Source, error) {
	if v.File == "" {
		if c.Weights == nil {
			return nil, fmt.Errorf("%s: the case has no weights", c.Dir)
		}
		src, err := c.Weights.seeded()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Dir, err)
		}
		return checkpoint.Rounded(src, v.DType)
	}
	path, err := c.Path(v.File)
	if err != nil {
		return nil, err
	}
	src, err := checkpoint.OpenFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: case.json names the weight file %s, but the folder does not have it; use the seeded weights", c.Dir, v.File)
	}
	return src, err
}
