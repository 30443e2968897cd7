package golden

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/model"
)

// run is a run of a case with a model: the functions to call, and the batch to call them on.
type run struct {
	r     *cases.Run
	taps  bool
	calls []call
	steps []string // further functions that decoding needs
	batch *cases.Batch

	scores map[string]score // how outputs with scores were computed, by their names
}

// call is the call of a compiled function with the run's images, texts, or both.
type call struct {
	fn          string
	image, text bool
}

// byKind returns the name of the first function of each kind that the task has.
func byKind(functions []model.Function, task string) map[string]string {
	of := map[string]string{}
	for _, f := range functions {
		if f.Task == task && of[f.Kind] == "" {
			of[f.Kind] = f.Name
		}
	}
	return of
}

// byInputs lists the calls of runs of most tasks: the task's function of a picture and a text if it exists and the run has both,
// else the functions of the inputs that the run has.
func byInputs(of map[string]string, image, text bool) []call {
	if image && text && of["pair"] != "" {
		return []call{{of["pair"], true, true}}
	}
	var cs []call
	if image && of["image"] != "" {
		cs = append(cs, call{of["image"], true, false})
	}
	if text && of["text"] != "" {
		cs = append(cs, call{of["text"], false, true})
	}
	return cs
}

// kinds lists the calls of runs of other kinds, from the functions of the task of the kind's name and the inputs of the run.
var kinds = map[string]func(of map[string]string, image, text bool) []call{
	// The name of the function is empty here: planRun fills in the name that a run of a recorded case has.
	cases.Function: func(_ map[string]string, image, text bool) []call {
		return []call{{"", image, text}}
	},
	"captioning": func(of map[string]string, image, text bool) []call {
		if !image || !text {
			return nil
		}
		return []call{{of["full"], true, true}}
	},
	"nlvr2": func(of map[string]string, image, text bool) []call {
		return []call{{of["pair"], true, true}, {of["head"], true, false}}
	},
}

// planRun returns the calls for the run r, chosen among the functions of the case's model.
func planRun(cs *cases.Case, r *cases.Run, functions []model.Function) (*run, error) {
	of, kind := byKind(functions, r.Kind), kinds[r.Kind]
	if kind == nil && len(of) > 0 {
		kind = byInputs
	}
	if kind == nil {
		return nil, fmt.Errorf("run %s: kind %s is not implemented", r.Name, r.Kind)
	}
	b, err := cs.Batch(r)
	if err != nil {
		return nil, err
	}
	x := &run{r: r, batch: b, calls: kind(of, b.Images["image"] != nil, b.IDs != nil)}
	if len(x.calls) == 0 {
		return nil, fmt.Errorf("run %s: kind %s does not take these inputs", r.Name, r.Kind)
	}
	if r.Kind == cases.Function {
		x.calls[0].fn = r.Function
	}
	if r.Decode != nil {
		x.steps = []string{of["begin"], of["step"]}
	}
	_, x.taps = r.Outputs["embed"]
	return x, nil
}

// judged lists the outputs of the run that are checked with this program, sorted.
func (x *run) judged() []string {
	return slices.DeleteFunc(x.r.OutputNames(), func(name string) bool { return x.r.Kind == towersKind && traced(name) != x.taps })
}

// outputs runs the calls of x by do and returns the outputs by the names of the case, each with one slice for each
// sequence.
func (x *run) outputs(cs *cases.Case, p *ir.Program, do runner) (map[string][][]float32, error) {
	if x.r.Kind == "nlvr2" {
		return x.reason(do)
	}
	if vlmoOutputs[x.r.Kind] != nil {
		return x.vlmo(p, do)
	}
	if x.r.Kind == towersKind {
		return x.towers(p, do)
	}
	all := map[string][][]float32{}
	for _, c := range x.calls {
		batch := make([]rt.Seq, x.batch.Size)
		for i := range batch {
			if c.image {
				batch[i].Image = x.batch.Images["image"][i]
			}
			if c.text {
				batch[i].IDs = x.batch.IDs[i]
			}
		}
		out, err := do(c.fn, batch)
		if err != nil {
			return nil, err
		}
		for name, rows := range out {
			all[name] = rows
		}
	}
	if _, ok := x.r.Outputs["logits_per_image"]; ok {
		if err := x.score(p, all, embedded{task: "retrieval", image: "vision_cls", text: "language_cls"}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// reason runs a sequence of kind nlvr2, a text and two pictures: the text with each picture, as two sequences of one batch,
// then the classification head on the two features concatenated.
func (x *run) reason(do runner) (map[string][][]float32, error) {
	var batch []rt.Seq
	for i := range x.batch.Size {
		for _, name := range []string{"image_a", "image_b"} {
			if x.batch.Images[name] == nil {
				return nil, fmt.Errorf("run %s: it has no input %s", x.r.Name, name)
			}
			batch = append(batch, rt.Seq{Image: x.batch.Images[name][i], IDs: x.batch.IDs[i]})
		}
	}
	out, err := do(x.calls[0].fn, batch)
	if err != nil {
		return nil, err
	}
	var pairs []rt.Seq
	for f := range slices.Chunk(out["features"], 2) {
		pairs = append(pairs, rt.Seq{Image: slices.Concat(f...)})
	}
	return do(x.calls[1].fn, pairs)
}
