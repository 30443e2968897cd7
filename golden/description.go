package golden

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/multiway-go/multiway/ir/model"
)

// Describe makes the description of a case from the `config` of its case.json. The
// description has the case's task and encode, or all tasks of family vlmo, every entry of
// these tasks, and the longest text that the position table allows. An unknown family or
// task is an error.
func Describe(config []byte) (*model.Description, error) {
	var c struct {
		Family    string  `json:"family"`
		Task      string  `json:"task"`
		Dim       int     `json:"dim"`
		Heads     int     `json:"heads"`
		HeadDim   int     `json:"head_dim"`
		FFN       int     `json:"ffn_dim"`
		Layers    int     `json:"layers"`
		Image     int     `json:"image_size"`
		Patch     int     `json:"patch_size"`
		Vocab     int     `json:"vocab_size"`
		Positions int     `json:"max_source_positions"`
		Normalize *bool   `json:"normalize_output"`
		Eps       float64 `json:"layernorm_eps"`
		Classes   int     `json:"num_classes"`
		VLLayers  int     `json:"vl_layers"`

		// For family vlmo.
		Text    int     `json:"max_text_len"`
		Reach   int     `json:"max_text_len_of_initckpt"`
		Start   int     `json:"vlffn_start_layer_index"`
		Rel     bool    `json:"rel_pos"`
		Abs     bool    `json:"abs_pos"`
		Scale   bool    `json:"layer_scale"`
		Types   int     `json:"token_types"`
		NormEps float64 `json:"norm_eps"`
	}
	if err := json.NewDecoder(bytes.NewReader(config)).Decode(&c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	d := &model.Description{
		Family: c.Family,
		Sizes: model.Sizes{
			Dim: c.Dim, Heads: c.Heads, FFN: c.FFN, Layers: c.Layers, Image: c.Image, Patch: c.Patch,
			Vocab: c.Vocab, Positions: c.Positions, Eps: c.Eps, VLLayers: c.VLLayers,
		},
		Tasks: []model.Task{{Name: "encode", Norm: c.Normalize}},
	}
	switch {
	case c.Family == "vlmo":
		s := &d.Sizes
		s.Positions, s.Eps = c.Text, c.NormEps
		s.VLLayers, s.Absolute, s.Scale, s.Types = c.Layers-c.Start, c.Abs, c.Scale, c.Types
		if c.Rel {
			s.Reach = c.Reach
		}
		d.Tasks = append(d.Tasks, model.Task{Name: "vqa", Classes: c.Classes})
		for _, name := range []string{"nlvr2", "retrieval", "retrieval_vl", "itm", "mlm"} {
			d.Tasks = append(d.Tasks, model.Task{Name: name})
		}
	case c.Task != "encode":
		d.Tasks = append(d.Tasks, model.Task{Name: c.Task, Classes: c.Classes})
	}
	if err := completeWhole(d); err != nil {
		return nil, err
	}
	if c.HeadDim != 0 && c.HeadDim*c.Heads != c.Dim {
		return nil, fmt.Errorf("config: head_dim is %d, want dim/heads, which is %d", c.HeadDim, c.Dim/c.Heads)
	}
	return d, nil
}

// completeWhole completes a description with the longest text that the model allows.
func completeWhole(d *model.Description) error {
	if err := d.Complete(); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	d.Limits = model.Limits{Text: d.LongestText()}
	if err := d.Complete(); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}
