package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// l2Floor is the least length by which normalisation divides a vector.
const l2Floor = 1e-12

// headEps is the epsilon of norms in heads, independent of the trunk's.
const headEps = 1e-5

// task is an entry of the table of tasks. A task for checkpoints of several codes has an entry for each code.
type task struct {
	name    string
	code    Code               // the kind of checkpoints that it is for
	takes   func(e entry) bool // reports whether it has functions for the entry
	options []string           // its fields in a description
	classes int                // default number of classes; 0 = the description must give it
	// check returns an error about the options at path, or about a model of these sizes with this task. nil: there is nothing to check.
	check func(d *Description, t *Task, path string) *problem
	norm  func(t *Task) bool // reports whether it reads rows after the encoder's final norm; nil: it never does
	rows  []row              // the head's tensors, in the order of the reference implementation; init finds the task by their matrices
	// pretrained: checkpoints of pretraining have the head, too. They also have tensors of no task, by which init tells them.
	pretrained bool
	functions  []function // its functions for each of its entries
}

// function is one function of a task and an entry.
type function struct {
	name string // "" = ENTRY for encode, ENTRY_TASK otherwise
	// kind identifies the function among those of its task, in generated code and commands; "" = the entry's inputs: image,
	// text or pair.
	kind  string
	aside bool // lowered only if it is asked for by its name
	// lower lowers the whole function and returns the outputs.
	lower func(w *writer) []*ir.Value
}

// trunkTo returns the functions of a task with a single one: the trunk over the entry's inputs, then the head
// over its rows (after the final norm if the task reads that). Rows are in the order of w.entry.modalities; see
// [Modality.class] for the rows of a picture.
func trunkTo(head func(w *writer, x *ir.Value) []*ir.Value) []function {
	return []function{{lower: func(w *writer) []*ir.Value { return head(w, w.rows()) }}}
}

// normed reports whether the task reads rows after the encoder's final norm.
func (t *task) normed(o *Task) bool { return t.norm != nil && t.norm(o) }

func always(*Task) bool { return true }

var tasks []task

func init() { // Go rejects an initial value whose functions read the variable
	tasks = []task{
		{
			name:    "encode",
			takes:   func(entry) bool { return true },
			options: []string{"norm"},
			norm:    func(t *Task) bool { return *t.Norm },
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				return []*ir.Value{w.output(x, "encoder_out")}
			}),
		},
		{
			// The embedding is row 0, projected and scaled to length 1.
			name:  "retrieval",
			takes: func(e entry) bool { return len(e.modalities) == 1 },
			norm:  always,
			rows: []row{
				tensor("logit_scale", "", whole("retrieval.logit_scale")),
				each("token", matrix("{m}_head", "dim dim", "retrieval.{m}")),
				each("patch", matrix("{m}_head", "dim dim", "retrieval.{m}")),
			},
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				h := w.linear(w.b.Select(x, ir.C(0)), "retrieval."+w.entry.name)
				w.keep("retrieval.logit_scale")
				return []*ir.Value{w.output(w.b.L2Norm(h, l2Floor), w.entry.name+"_cls")}
			}),
		},
		{
			// The head is the mean of the patch rows, a norm and a linear.
			name:    "classification",
			takes:   func(e entry) bool { return e.has(Patch) },
			options: []string{"classes", "labels", "list"},
			check:   checkClasses,
			rows: []row{
				norm("fc_norm", "dim", "classification.norm"),
				linear("head", "classes dim", "classification.head"),
			},
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				h := w.norm(w.b.Mean(x, 1), "classification.norm", headEps)
				return []*ir.Value{w.output(w.linear(h, "classification.head"), "logits")}
			}),
		},
		{
			// The head pools row 0 of image and question (norm, linear, tanh) and has two linears.
			name:    "vqa",
			takes:   func(e entry) bool { return e.has(Patch, Token) },
			options: []string{"classes", "labels", "list"},
			check:   checkClasses,
			rows: []row{
				norm("pooler.norm", "dim", "vqa.pooler.norm"),
				linear("pooler.dense", "dim dim", "vqa.pooler.dense"),
				linear("head.0", "2*dim dim", "vqa.head.fc1"),
				norm("head.1", "2*dim", "vqa.head.norm"),
				linear("head.3", "classes 2*dim", "vqa.head.fc2"),
			},
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				h := w.norm(w.b.Select(x, ir.C(0)), "vqa.pooler.norm", headEps)
				pooled := w.output(w.b.Tanh(w.linear(h, "vqa.pooler.dense")), "pooled")
				h = w.norm(w.linear(pooled, "vqa.head.fc1"), "vqa.head.norm", headEps)
				return []*ir.Value{w.output(w.linear(w.b.Gelu(h), "vqa.head.fc2"), "logits"), pooled}
			}),
		},
		{
			// The features are the first rows of both modalities. A run with the statement and one image
			// and a run with the other image give the head its input.
			name:    "nlvr2",
			takes:   func(e entry) bool { return e.has(Patch, Token) },
			options: []string{"classes", "labels", "list"},
			classes: 2, // false, true
			check:   checkTruth,
			norm:    always,
			rows: []row{
				norm("head.norm1", "4*dim", "nlvr2.norm1"),
				linear("head.dense1", "2*dim 4*dim", "nlvr2.dense1"),
				norm("head.norm2", "2*dim", "nlvr2.norm2"),
				linear("head.dense2", "classes 2*dim", "nlvr2.dense2"),
			},
			functions: append(trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				var first []*ir.Value
				at := ir.Dim{}
				for _, m := range w.entry.modalities {
					first = append(first, w.b.Select(x, at))
					at, _ = at.Plus(m.rows)
				}
				return []*ir.Value{w.output(w.b.HCat(first...), "features")}
			}), function{name: "reason_head", kind: "head", lower: func(w *writer) []*ir.Value {
				f := w.b.Param("f", ir.Mat(ir.C(1), 4*w.tower.Dim))
				h := w.linear(w.norm(f, "nlvr2.norm1", headEps), "nlvr2.dense1")
				h = w.b.Gelu(w.norm(h, "nlvr2.norm2", headEps))
				return []*ir.Value{w.output(w.linear(h, "nlvr2.dense2"), "logits")}
			}}),
		},
		{
			name:       "captioning",
			takes:      takesCaption,
			norm:       always,
			rows:       []row{linear("mlm_head", "vocab dim", captionHead)},
			pretrained: true,
			functions:  captionFunctions,
		},
	}
	tasks = slices.Concat(tasks, vlmoTasks(), contrastTasks())
}

func checkClasses(_ *Description, t *Task, path string) *problem {
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

// checkTruth is like checkClasses, for a head whose class 1 means "true".
func checkTruth(d *Description, t *Task, path string) *problem {
	if t.Classes == 1 {
		return wrong(path+"."+t.Name+".classes", " is 1, want at least 2: class 0 says false, class 1 true")
	}
	return checkClasses(d, t, path)
}

// has reports whether the task has the option.
func (t *task) has(option string) bool { return slices.Contains(t.options, option) }

// second reports whether the task has a function of a second image. t may be nil.
func (t *task) second() bool {
	return t != nil && slices.ContainsFunc(t.functions, func(f function) bool { return f.kind == "second" })
}

// taskOf returns the task of a code, or nil.
func taskOf(code Code, name string) *task {
	for i := range tasks {
		if tasks[i].name == name && tasks[i].code == code {
			return &tasks[i]
		}
	}
	return nil
}

// task returns the task for the description's checkpoint, or nil.
func (d *Description) task(name string) *task {
	s := d.Structure()
	return s.Keys.layout().task(name)
}

// tensors returns the rows of the task's tensors in a layout.
func (t *task) tensors(l *layout) []row {
	if rows, ok := l.heads[t.name]; ok {
		return rows
	}
	return t.rows
}

// taskOptions lists the options that a task has for any code; ok is false if there is no such
// task.
func taskOptions(name string) (options []string, ok bool) {
	for _, t := range tasks {
		if t.name == name {
			options, ok = append(options, t.options...), true
		}
	}
	return options, ok
}

// TaskNames lists all tasks of all codes.
func TaskNames() []string { return tasksWith(func(*task) bool { return true }) }

// tasksWith lists the tasks of all codes for which is returns true.
func tasksWith(is func(t *task) bool) []string {
	var s []string
	for _, t := range tasks {
		if is(&t) && !slices.Contains(s, t.name) {
			s = append(s, t.name)
		}
	}
	return s
}

// taskNames lists the tasks for the description's code.
func (d *Description) taskNames() []string {
	return slices.DeleteFunc(TaskNames(), func(name string) bool { return d.task(name) == nil })
}

func (d *Description) completeTasks() *problem {
	preset, _ := findPreset(d.Preset)
	if len(d.Tasks) == 0 {
		d.Tasks = []Task{{Name: "encode"}}
		if preset != nil {
			d.Tasks[0].Name = preset.Task
		}
	}
	for i := range d.Tasks {
		t := &d.Tasks[i]
		path := fmt.Sprintf("tasks[%d]", i)
		row := d.task(t.Name)
		if row == nil {
			if _, ok := taskOptions(t.Name); ok {
				return wrong(path, ": models of this family have no task %s; they have %s", t.Name, strings.Join(d.taskNames(), ", "))
			}
			return wrong(path, ": %s", unknown("task", t.Name, d.taskNames()))
		}
		if t.Norm != nil && !row.has("norm") {
			return wrong(path+"."+t.Name+".norm", " is given, but the models of this family always have the norm; remove it")
		}
		if j := slices.IndexFunc(d.Tasks, func(u Task) bool { return u.Name == t.Name }); j < i {
			return wrong(path, ": task %s is given twice; remove one", t.Name)
		}
		// By default a head has the number of classes of the released file.
		if row.has("classes") && preset != nil && preset.Task == t.Name && t.Classes == 0 && t.Labels == "" {
			t.Classes = preset.Classes
		}
		if row.has("norm") && t.Norm == nil {
			norm := preset == nil || preset.Task == t.Name || d.task(preset.Task).normed(nil)
			t.Norm = &norm
		}
		if t.Classes == 0 && t.Labels == "" {
			t.Classes = row.classes
		}
		if row.check != nil {
			if p := row.check(d, t, path); p != nil {
				return p
			}
		}
	}
	return nil
}

func (d *Description) completeEntries() *problem {
	all := d.entries()
	if d.Entries == nil {
		for _, e := range all {
			if slices.ContainsFunc(d.Tasks, func(t Task) bool { return d.task(t.Name).takes(e) }) {
				d.Entries = append(d.Entries, e.name)
			}
		}
		if d.Entries == nil {
			return wrong("tasks", ": %s needs other modalities than %s", d.Tasks[0].Name, strings.Join(d.entryNames(), ", "))
		}
	}
	used := map[string]bool{}
	for i, name := range d.Entries {
		path := fmt.Sprintf("entries[%d]", i)
		at := slices.IndexFunc(all, func(e entry) bool { return e.name == name })
		if at < 0 {
			return wrong(path, ": %s", unknown("entry", name, d.entryNames()))
		}
		if slices.Index(d.Entries, name) < i {
			return wrong(path, ": entry %s is given twice; remove one", name)
		}
		for _, t := range d.Tasks {
			if d.task(t.Name).takes(all[at]) {
				used[t.Name], used[name] = true, true
			}
		}
		if !used[name] {
			return wrong(path, ": no task has the entry %s; add the task encode or remove the entry", name)
		}
	}
	for i, t := range d.Tasks {
		if used[t.Name] {
			continue
		}
		var takes []string
		for _, e := range all {
			if d.task(t.Name).takes(e) {
				takes = append(takes, e.name)
			}
		}
		if takes == nil {
			return wrong(fmt.Sprintf("tasks[%d]", i), ": task %s needs modalities that the model does not have", t.Name)
		}
		return wrong("entries", " has none of task %s (tasks[%d]), which has %s; add one of them or remove the task", t.Name, i, strings.Join(takes, ", "))
	}
	return nil
}
