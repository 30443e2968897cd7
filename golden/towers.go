package golden

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/model"
)

// describeTowers returns the description of a case of two towers, without the checkpoint's layout, which differs between its files.
func describeTowers(config []byte) (*model.Description, error) {
	var c cases.Config
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	v, l := c.Vision, c.Language
	vision := model.Modality{Name: "vision", Embedder: model.Patch, Height: v.Image, Width: v.Image, Patch: v.Patch}
	language := model.Modality{Name: "language", Embedder: model.Token, Vocab: l.Vocab, Positions: l.Positions, Unused: l.First}
	tower := func(name string, t *cases.Tower) model.Tower {
		return model.Tower{
			Name: name, Among: []string{name}, Dim: t.Dim, Heads: t.Heads, FFN: t.FFN, Eps: t.Eps, Act: t.Activation, Causal: t.Causal,
			Layers: []model.LayerRange{{From: 0, To: t.Layers, Attn: model.Shared, FFN: model.Shared, Norms: model.Pre}},
		}
	}
	see, read := tower(vision.Name, v), tower(language.Name, l)
	switch v.Pool {
	case "cls":
		vision.Norm = v.Eps
		see.Pool = model.Pool{Row: model.PoolFirst, Norm: model.NormAfter, Dim: c.EmbedDim}
	case "avg":
		see.Pool = model.Pool{Row: model.PoolMean, Norm: model.NormAfter, Dim: c.EmbedDim}
	case "map":
		vision.Classless = true
		see.Pool = model.Pool{Row: model.PoolMap, Norm: model.NormBefore, Direct: true}
	default:
		return nil, fmt.Errorf("config: vision.pool %q is not implemented", v.Pool)
	}
	read.Pool = model.Pool{Row: map[string]model.PoolRow{"argmax": model.PoolLast, "eos": model.PoolLast, "last": model.PoolLast, "cls": model.PoolFirst, "mean": model.PoolMean}[l.Pool], Dim: c.EmbedDim}
	if read.Pool.Row == "" {
		return nil, fmt.Errorf("config: language.pool %q is not implemented", l.Pool)
	}
	if l.Norms == "post" {
		language.Norm, read.Layers[0].Norms = l.Eps, model.Post
	}
	if l.Pool == "mean" {
		read.Pool.Hidden = (l.Dim + c.EmbedDim) / 2
	}
	if !l.Causal && !l.Masked { // attention does not ignore padding
		language.Rows = l.Positions
	}
	d := &model.Description{Tasks: []model.Task{{Name: "encode"}, {Name: "retrieval"}}}
	d.Long.Modalities = []model.Modality{vision, language}
	d.Long.Towers = []model.Tower{see, read}
	d.Long.Similarity.Bias = c.Bias
	if c.Family == "siglip" {
		d.Long.Similarity.Score = model.Sigmoid
	}
	return d, nil
}

// towerOutputs lists outputs of a run of a model with two towers, and the function and result that each must equal.
var towerOutputs = []output{
	{"vision_retrieval", "features", "image_features"},
	{"vision_retrieval", "vision_cls", "image_embeds"},
	{"language_retrieval", "features", "text_features"},
	{"language_retrieval", "language_cls", "text_embeds"},
	{"vision", "encoder_out", "vision_out"},
	{"language", "encoder_out", "language_out"},
}

// towersKind is the kind of runs of models with one tower for pictures and one for texts.
const towersKind = "clip"

// traced reports whether an output of a run of kind towersKind is an intermediate result, which only some programs return.
func traced(output string) bool {
	return strings.HasSuffix(output, "_features") || strings.Contains(output, ".")
}

func init() {
	kinds[towersKind] = func(_ map[string]string, image, text bool) []call {
		var cs []call
		if image {
			cs = append(cs, call{"vision_retrieval", true, false}, call{"vision", true, false})
		}
		if text {
			cs = append(cs, call{"language_retrieval", false, true}, call{"language", false, true})
		}
		return cs
	}
}

// towers runs the calls of a run of kind towersKind and returns their results under the names of the case's outputs.
func (x *run) towers(p *ir.Program, do runner) (map[string][][]float32, error) {
	all := map[string][][]float32{}
	for _, c := range x.calls {
		batch := make([]rt.Seq, x.batch.Size)
		for i := range batch {
			if c.image {
				batch[i].Image = x.batch.Images["image"][i]
			} else {
				batch[i].IDs = x.batch.IDs[i]
			}
		}
		out, err := do(c.fn, batch)
		if err != nil {
			return nil, err
		}
		for _, o := range towerOutputs {
			if o.fn == c.fn && out[o.name] != nil {
				all[o.as] = out[o.name]
			}
		}
		for name, rows := range out {
			if entry, ok := map[string]string{"vision": "vision.", "language": "language."}[c.fn]; ok {
				all[entry+name] = rows
			}
		}
	}
	if _, ok := x.r.Outputs["logits_per_image"]; !ok || x.taps {
		return all, nil
	}
	return all, x.score(p, all, embedded{task: "retrieval", image: "image_embeds", text: "text_embeds"})
}

// withLayout returns d with the naming scheme of tensors that the names in src follow.
func withLayout(d *model.Description, src checkpoint.Source) (*model.Description, error) {
	var names []string
	for _, t := range checkpoint.BareTensors(src) {
		names = append(names, t.Name)
	}
	x := *d
	var err error
	if x.Long.Keys.Layout, err = model.LayoutOf(names); err != nil {
		return nil, fmt.Errorf("%s: %w", src, err)
	}
	return &x, completeWhole(&x)
}
