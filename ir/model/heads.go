package model

import (
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// l2Floor is the least length that a vector is divided by when it is normalised.
const l2Floor = 1e-12

// task is a row of the table of tasks.
type task struct {
	name    string
	entries []string // it has a function for each of these
	options []string // its fields in a description
	check   func(t *Task, path string) *problem
	norm    func(t *Task) bool // whether it reads rows after the encoder's final norm
	// tensors adds the head's tensors to the state dict, in the official order.
	tensors func(t *trunk, o *Task)
	// lower writes the head over the encoder's rows (after the final norm if the task
	// reads that) and returns the outputs. nil: not built yet.
	lower func(w *writer, e entry, x *ir.Value) []*ir.Value
}

func always(*Task) bool { return true }
func never(*Task) bool  { return false }

var tasks = []task{
	{
		name:    "encode",
		entries: []string{"vision", "language", "pair"},
		options: []string{"norm"},
		norm:    func(t *Task) bool { return *t.Norm },
		tensors: func(*trunk, *Task) {},
		lower: func(w *writer, _ entry, x *ir.Value) []*ir.Value {
			return []*ir.Value{w.output(x, "encoder_out")}
		},
	},
	{
		// Row 0, projected and scaled to length 1: v and l of one pair are near.
		name:    "retrieval",
		entries: []string{"vision", "language"},
		norm:    always,
		tensors: func(t *trunk, _ *Task) {
			t.state.tensor("logit_scale", []int{}, "retrieval.logit_scale", 1)
			t.state.linear("language_head", "retrieval.language", t.dim, t.dim, false)
			t.state.linear("vision_head", "retrieval.vision", t.dim, t.dim, false)
		},
		lower: func(w *writer, e entry, x *ir.Value) []*ir.Value {
			h := w.linear(w.b.Select(x, ir.C(0)), "retrieval."+e.name)
			w.keep("retrieval.logit_scale")
			return []*ir.Value{w.output(w.b.L2Norm(h, l2Floor), e.name+"_cls")}
		},
	},
	{
		// Mean of the patch rows, norm, linear.
		name:    "classification",
		entries: []string{"vision"},
		options: []string{"classes", "labels", "list"},
		check:   checkClasses,
		norm:    never,
		tensors: func(t *trunk, o *Task) {
			t.state.norm("fc_norm", "classification.norm", t.dim)
			t.state.linear("head", "classification.head", o.Classes, t.dim, true)
		},
		lower: func(w *writer, _ entry, x *ir.Value) []*ir.Value {
			h := w.norm(w.b.Mean(x, 1), "classification.norm")
			return []*ir.Value{w.output(w.linear(h, "classification.head"), "logits")}
		},
	},
	{
		name:    "vqa",
		entries: []string{"pair"},
		options: []string{"classes", "labels", "list"},
		check:   checkClasses,
		norm:    never,
		tensors: func(t *trunk, o *Task) {
			t.state.norm("pooler.norm", "", t.dim)
			t.state.linear("pooler.dense", "", t.dim, t.dim, true)
			t.state.linear("head.0", "", 2*t.dim, t.dim, true)
			t.state.norm("head.1", "", 2*t.dim)
			t.state.linear("head.3", "", o.Classes, 2*t.dim, true)
		},
	},
	{
		name:    "nlvr2",
		entries: []string{"pair"},
		options: []string{"classes", "labels", "list"},
		check:   checkClasses,
		norm:    always,
		tensors: func(t *trunk, o *Task) {
			t.state.norm("head.norm1", "", 4*t.dim)
			t.state.linear("head.dense1", "", 2*t.dim, 4*t.dim, true)
			t.state.norm("head.norm2", "", 2*t.dim)
			t.state.linear("head.dense2", "", o.Classes, 2*t.dim, true)
		},
	},
	{
		name:    "captioning",
		entries: []string{"pair"},
		norm:    always,
		tensors: func(t *trunk, _ *Task) {
			i := slices.IndexFunc(t.modalities, func(m modality) bool { return m.embed == tokens })
			t.state.linear("mlm_head", "", t.modalities[i].vocab, t.dim, true)
		},
	},
}

func checkClasses(t *Task, path string) *problem {
	path += "." + t.Name
	switch {
	case t.Classes < 0 || t.Classes > maxClasses:
		return wrong(path+".classes", " is %d, want 1 to %d", t.Classes, maxClasses)
	case t.Classes == 0 && t.Labels == "":
		return &problem{path, "task " + t.Name + " needs the number of its classes; write {" + t.Name + ": {classes: N}} or {" + t.Name + ": {labels: FILE}}"}
	case t.List != "" && t.Labels == "":
		return wrong(path+".list", " names a list of a labels file, but there is no labels; add it or remove list")
	}
	return nil
}

func taskNamed(name string) *task {
	for i := range tasks {
		if tasks[i].name == name {
			return &tasks[i]
		}
	}
	return nil
}

func taskNames() []string {
	var s []string
	for _, t := range tasks {
		s = append(s, t.name)
	}
	return s
}

func builtTasks() []string {
	var s []string
	for _, t := range tasks {
		if t.lower != nil {
			s = append(s, t.name)
		}
	}
	return s
}
