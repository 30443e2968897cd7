package golden

import (
	"fmt"

	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/model"
)

// Model opens the model of the case in dir, with weights of type f32, bf16 or f16. They are the first weight file of that
// type in the folder, or else are generated from the case's seed. The caller closes the model.
func Model(dir string, dtype checkpoint.DType) (*compile.Model, error) {
	cs, err := cases.Load(dir)
	if err != nil {
		return nil, err
	}
	defer cs.Close()
	if cs.Weights == nil {
		return nil, fmt.Errorf("%s: task %s has no model", dir, cs.Task)
	}
	d, err := describe(cs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	d.Name = cs.Name
	for _, v := range cs.Variants() {
		if v.DType == dtype && !v.Missing {
			return open(cs, d, v)
		}
	}
	return nil, fmt.Errorf("%s: it has no weights of type %s, neither a file nor a seed", dir, dtype)
}

// describe returns the description of a case's model, with two towers if its config has them.
func describe(cs *cases.Case) (*model.Description, error) {
	if cs.Config.Vision != nil {
		return describeTowers(cs.ConfigJSON)
	}
	return Describe(cs.ConfigJSON)
}

// open returns the model of d with the weights that the case has for v. For a model of two towers, d gets the layout of the
// tensors' names.
func open(cs *cases.Case, d *model.Description, v cases.Variant) (*compile.Model, error) {
	src, err := cs.OpenWeights(v)
	if err != nil {
		return nil, err
	}
	if cs.Config.Vision != nil {
		if d, err = withLayout(d, src); err != nil {
			src.Close()
			return nil, err
		}
	}
	return &compile.Model{Desc: d, Source: src}, nil
}
