package tune

import (
	"testing"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/checkpoint/checkpointtest"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

const tiny = `model: 1
name: tiny
family: beit3
sizes: {dim: 24, heads: 2, ffn: 40, layers: 3, image: 16, patch: 8, vocab: 50, positions: 12}
seed: 7
tasks: [retrieval]
`

const manyTasks = `model: 1
family: beit3
sizes: {dim: 24, heads: 2, ffn: 40, layers: 3, image: 16, patch: 8, vocab: 50, positions: 12}
seed: 7
tasks: [encode, retrieval, {classification: {classes: 5}}, {vqa: {classes: 7}}, nlvr2, captioning]
`

// open returns the model of a description with seeded weights.
func open(t *testing.T, description string) Model {
	t.Helper()
	d, err := model.Parse("model.yaml", []byte(description))
	if err != nil {
		t.Fatal(err)
	}
	return bound(d, nil)
}

// bound returns the model with the weights of a source, or seeded weights if src is nil.
func bound(d *model.Description, src checkpoint.Source) Model {
	return Model{Desc: d, Random: src == nil, Lower: func(d *model.Description, entries []string) (*ir.Program, error) {
		p, err := model.Lower(d, model.Options{Entries: entries})
		if err != nil {
			return nil, err
		}
		from := src
		if from == nil {
			if from, err = checkpoint.SeededFor(p, *d.Seed); err != nil {
				return nil, err
			}
		}
		_, err = checkpoint.Bind(p, from)
		return p, err
	}}
}

// standing returns the model of a description with weights that change edits, by the names and
// columns of tensors.
func standing(t *testing.T, description string, change func(name string, row, col int, x float32) float32) Model {
	t.Helper()
	m := open(t, description)
	return bound(m.Desc, checkpointtest.Changed(t, lowered(t, m), *m.Desc.Seed, change))
}

func lowered(t *testing.T, m Model) *ir.Program {
	t.Helper()
	p, err := m.Lower(m.Desc, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// choose makes a choice.
func choose(t *testing.T, m Model, o Options) *Choice {
	t.Helper()
	c, err := Choose(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs passes with the options of a choice.
func run(t *testing.T, m Model, c *Choice, p *ir.Program, upto string) *ir.Program {
	t.Helper()
	p, err := passes.Run(p, passes.Options{Rows: m.Desc.Limits.Rows, Precision: c.Stored(m.Desc.Precision), Smooth: c.Smooth(), Upto: upto})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// format returns the format of a module.
func format(m Model, c *Choice, module string) precision.Format {
	return c.Stored(m.Desc.Precision).Of(module + ".w")
}
