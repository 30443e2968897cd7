package model_test

import (
	"fmt"

	"github.com/multiway-go/multiway/ir/model"
)

func ExampleParse() {
	_, err := model.Parse("model.yaml", []byte(`model: 1
preset: beit3-base-patch16-384-coco-retrieval
tasks: [retreival]
`))
	fmt.Println(err)
	// Output:
	// model.yaml:3:9: tasks[0]: unknown task "retreival"; did you mean retrieval?
}

func ExampleLower() {
	d, err := model.Parse("model.yaml", []byte(`model: 1
family: beit3
sizes: {dim: 128, heads: 4, layers: 5, image: 64, patch: 8, vocab: 2010, positions: 32}
seed: 7
tasks: [retrieval, {classification: {classes: 98}}]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := model.Lower(d, model.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range p.Funcs {
		fmt.Println(f.Name, len(f.Values), "values ->", f.Results[0].Name, f.Results[0].Type)
	}
	w := p.Weight("l0.attn.language.q.w")
	fmt.Println(w.Type, "from", w.Origin)
	// Output:
	// vision_retrieval 79 values -> vision_cls f32[1,128]
	// vision_classification 78 values -> logits f32[1,98]
	// language_retrieval 76 values -> language_cls f32[1,128]
	// f32[128,128] from beit3.encoder.layers.0.self_attn.q_proj.B.weight [128 128]
}
