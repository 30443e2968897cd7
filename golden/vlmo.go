package golden

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/ir"
)

// output is an output of a case, and the result of a compiled function that must equal it.
type output struct {
	fn, name string // function and result
	as       string // name in the case
}

// vlmoOutputs lists the outputs of VLMo's kinds of runs, except those computed from several
// functions.
var vlmoOutputs = map[string][]output{
	"vlmo_vl": {
		{"pair", "encoder_out", "feats"},
		{"pair", "cls_feats", "cls_feats"},
		{"pair_itm", "logits", "itm_logits"},
		{"pair_mlm", "logits", "mlm_logits"},
		{"pair_vqa", "logits", "vqa_logits"},
	},
	"vlmo_itc": {
		{"vision", "encoder_out", "image.feats"},
		{"vision_retrieval", "vision_cls", "image.cls_feats"},
		{"vision_retrieval_vl", "vision_cls", "image.cls_vlffn_feats"},
		{"language", "encoder_out", "text.feats"},
		{"language_retrieval", "language_cls", "text.cls_feats"},
		{"language_retrieval_vl", "language_cls", "text.cls_vlffn_feats"},
	},
	"vlmo_nlvr2": {
		{"pair_nlvr2", "features", "a"},
		{"pair_nlvr2_second", "features", "b"},
		{fn: "reason_head"},
	},
}

// vlmoCalls returns a function that lists the calls for runs of a kind: each function of vlmoOutputs[kind] once.
func vlmoCalls(kind string) func(of map[string]string, image, text bool) []call {
	return func(map[string]string, bool, bool) []call {
		var cs []call
		for _, o := range vlmoOutputs[kind] {
			if !slices.ContainsFunc(cs, func(c call) bool { return c.fn == o.fn }) {
				cs = append(cs, call{fn: o.fn})
			}
		}
		return cs
	}
}

func init() {
	for kind := range vlmoOutputs {
		kinds[kind] = vlmoCalls(kind)
	}
}

// vlmo runs the functions for a run of family vlmo and returns their results under the names of the case's outputs.
func (x *run) vlmo(p *ir.Program, do runner) (map[string][][]float32, error) {
	all := map[string][][]float32{}
	results := map[string]map[string][][]float32{}
	for _, o := range vlmoOutputs[x.r.Kind] {
		if o.name == "" {
			continue
		}
		if results[o.fn] == nil {
			batch, err := x.inputs(p.Func(o.fn), o.as)
			if err != nil {
				return nil, err
			}
			if results[o.fn], err = do(o.fn, batch); err != nil {
				return nil, err
			}
		}
		all[o.as] = results[o.fn][o.name]
	}
	switch x.r.Kind {
	case "vlmo_itc":
		for _, of := range []embedded{
			{"retrieval", "image.cls_feats", "text.cls_feats", ""},
			{"retrieval_vl", "image.cls_vlffn_feats", "text.cls_vlffn_feats", "vlffn_"},
		} {
			if err := x.score(p, all, of); err != nil {
				return nil, err
			}
		}
	case "vlmo_nlvr2":
		var pairs []rt.Seq
		for i := range x.batch.Size {
			pairs = append(pairs, rt.Seq{Image: slices.Concat(all["a"][i], all["b"][i])})
		}
		return do("reason_head", pairs)
	}
	return all, nil
}

// inputs returns the batch for a call of f: the run's token ids and pictures, as f's parameters ask. A sequence of kind
// vlmo_nlvr2 has two pictures, image_a and image_b; as, "a" or "b", is the one to use.
func (x *run) inputs(f *ir.Func, as string) ([]rt.Seq, error) {
	batch := make([]rt.Seq, x.batch.Size)
	for _, v := range f.Params {
		name := "image"
		if x.r.Kind == "vlmo_nlvr2" {
			name = "image_" + as
		}
		for i := range batch {
			switch {
			case v.Type.DType == ir.I32 && x.batch.IDs == nil:
				return nil, fmt.Errorf("run %s: it has no text", x.r.Name)
			case v.Type.DType == ir.I32:
				batch[i].IDs = x.batch.IDs[i]
			case x.batch.Images[name] == nil:
				return nil, fmt.Errorf("run %s: it has no input %s", x.r.Name, name)
			default:
				batch[i].Image = x.batch.Images[name][i]
			}
		}
	}
	return batch, nil
}
