package model

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// Sketch has what Guess.YAML needs besides the tensors of a checkpoint to write a description.
type Sketch struct {
	Name       string   // name of the model, see NameOf
	Checkpoint string   // path in the description
	Key        string   // which of several sets of weights in the checkpoint; "" = the usual one
	Tokenizer  string   // path of the tokenizer's file in the description; "" = not known
	Form       string   // form of the tokenizer, the key form; "" = the usual one of its file
	Labels     string   // path in the description of the names of the classes; "" = none
	List       string   // list of them in that file; "" = it has one
	Image      int      // side of the image to compile for, 0 = the checkpoint's
	Notes      []string // comments at the end
}

// YAML returns the description of the guess, with comments that say where each fact comes from
// and what else is needed.
func (g *Guess) YAML(s Sketch) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	comment := func(text string) {
		for l := range strings.Lines(text) {
			line("# %s", file.Escape(strings.TrimRight(l, " \n")))
		}
	}
	prose := func(text string) { comment(strings.Join(wrap(text, 98), "\n  ")) }
	z := g.Sizes
	image := z.Image
	if s.Image != 0 {
		image = s.Image
	}
	prose("Written by `multiway init` from " + file.Quote(filepath.Base(s.Checkpoint)) + ": " + g.Looks())
	for _, n := range g.Said {
		prose(n)
	}
	line("model: %d", Schema)
	line("name: %s", s.Name)
	switch {
	case g.released():
		line("preset: %s", g.Presets[0].Name)
		if image != z.Image {
			line("sizes: {image: %d}", image)
		}
	default:
		line("family: %s", g.Family)
		prose("heads: " + g.Heads + ".")
		z.Image = image
		var sizes []string
		for _, r := range sizeTable {
			def := r.def
			if r.name == "positions" {
				def = familyNamed(g.Family).positions
			}
			if v := *r.get(&z); v != 0 && v != def && (def >= 0 || v != -def*z.Dim) {
				sizes = append(sizes, fmt.Sprintf("%s: %d", r.name, v))
			}
		}
		if z.Text != (TowerSizes{}) {
			t := &z.Text
			heads := ""
			if t.Heads > 0 {
				heads = fmt.Sprintf(" heads: %d,", t.Heads)
			}
			sizes = append(sizes, "act: "+z.Act, fmt.Sprintf("text: {dim: %d,%s ffn: %d, layers: %d, act: %s}", t.Dim, heads, t.FFN, t.Layers, t.Act))
		}
		if z.Absolute {
			sizes = append(sizes, "absolute: true")
		}
		if z.Scale {
			sizes = append(sizes, "scale: true")
		}
		if z.Eps != 0 && z.Eps != familyNamed(g.Family).eps {
			sizes = append(sizes, "eps: "+decimal(z.Eps))
		}
		line("sizes: {%s}", strings.Join(sizes, ", "))
	}
	if image != g.Sizes.Image {
		line("interpolate: true # the checkpoint's table of positions is for pictures of %d", g.Sizes.Image)
	}
	if g.Layout != "" && g.Layout != familyNamed(g.Family).layouts[0] {
		line("layout: %s", g.Layout)
	}
	if s.Key == "" {
		line("checkpoint: %s", scalar(s.Checkpoint))
	} else {
		line("checkpoint: {file: %s, key: %s}", scalar(s.Checkpoint), scalar(s.Key))
	}
	switch {
	case s.Form != "":
		line("tokenizer: {file: %s, form: %s}", scalar(s.Tokenizer), s.Form)
	case s.Tokenizer != "":
		line("tokenizer: %s", scalar(s.Tokenizer))
	case !familyNamed(g.Family).alone:
		for l := range strings.Lines(g.tokenizer()) {
			prose(l)
		}
		line("#tokenizer: FILE")
	}
	var tasks []string
	for _, t := range g.Tasks {
		tasks = append(tasks, g.task(t, s.Labels, s.List))
	}
	line("tasks: [%s]", strings.Join(tasks, ", "))
	for _, t := range g.Tasks {
		if t.Classes > 0 && s.Labels == "" {
			line("# For the names of the %d classes of %s add labels, a file with one name a line: {%s: {labels: labels.txt}}", t.Classes, t.Name, t.Name)
		}
	}
	if g.Text > 0 {
		line("limits: {text: %d}", g.Text)
	}
	if g.Preprocess != nil {
		line("preprocess: %s", g.Preprocess.yaml(g.released())) // what it left out would be the preset's
	} else {
		comment(g.preprocess())
	}
	for _, n := range s.Notes {
		line("")
		comment(n)
	}
	return []byte(b.String())
}

// wrap breaks text at blanks into lines of at most width bytes, as far as its words allow.
func wrap(text string, width int) (lines []string) {
	for len(text) > width {
		i := strings.LastIndexByte(text[:width+1], ' ')
		if i < 0 {
			i = strings.IndexByte(text, ' ')
		}
		if i < 0 {
			break
		}
		lines, text = append(lines, text[:i]), text[i+1:]
	}
	return append(lines, text)
}

// Looks returns a sentence about the released model that the checkpoint may be, to follow the checkpoint's name and a colon.
func (g *Guess) Looks() string {
	switch n := len(g.Presets); {
	case n == 1:
		return "it looks like " + g.Presets[0].Name + "."
	case n > 1 && !g.alike():
		var names []string
		for _, p := range g.Presets[:min(n, 6)] {
			names = append(names, p.Name)
		}
		if n > len(names) {
			names = append(names, fmt.Sprintf("%d more", n-len(names)))
		}
		return fmt.Sprintf("its tensors are those of %d released models, which differ in activation or preprocessing, which tensors do not tell: %s. If it is one of them, replace family and sizes by `preset: NAME`.", n, strings.Join(names, ", "))
	case n > 1:
		var also []string
		for _, p := range g.Presets[1:] {
			also = append(also, p.Name)
		}
		return "it looks like " + g.Presets[0].Name + "; tensors do not tell it from " + strings.Join(also, ", ") + ", which compile the same."
	}
	return "its tensors are of family " + g.Family + ", and not those of a preset."
}

func (g *Guess) tokenizer() string {
	without := ""
	if (&Description{Tasks: g.Tasks}).Captions() {
		without = ", and captions cannot be written"
	}
	return "Texts need a tokenizer: " + familyNamed(g.Family).vocabulary + ".\nWithout one texts are token ids, in a binary --ids 0,17,2" + without + "."
}

// released reports whether the description has the preset that the guess looks like.
func (g *Guess) released() bool {
	if len(g.Presets) == 0 || !g.alike() {
		return false
	}
	p, z := &g.Presets[0].Sizes, &g.Sizes
	return p.Heads == z.Heads && p.Text.Heads == z.Text.Heads
}

// alike reports whether all presets that fit compile the same. With a preprocessing of its own the guess needs none of theirs.
func (g *Guess) alike() bool {
	return !slices.ContainsFunc(g.Presets, func(p PresetInfo) bool {
		return !p.same(&g.Presets[0]) && (g.Preprocess == nil || p.Sizes != g.Presets[0].Sizes)
	})
}

// preprocess returns what the description says of the preprocessing if no file tells it: lines of YAML with the assumed one,
// with a sentence about its source and the risk.
func (g *Guess) preprocess() string {
	of, p := "most released models", half
	if g.released() {
		of, p = "the preset", g.Presets[0].Preprocess
	}
	s := "Tensors do not tell how pictures were fed. Assumed is what " + of + " had:\npreprocess: " + p.YAML()
	if !g.released() && g.Sizes.Channels == 3 && slices.ContainsFunc(g.Tasks, func(t Task) bool { return t.Name == "classification" }) {
		s += "\nA model with the classes of ImageNet wants\npreprocess: " + imageNet.YAML()
	}
	return s + "\nA wrong one builds and answers wrongly; `multiway docs description` says what each part means."
}

// YAML returns the preprocessing as a description has it, without the size.
func (p Preprocess) YAML() string { return p.yaml(false) }

// yaml is YAML; all says that it has the usual values too.
func (p Preprocess) yaml(all bool) string {
	numbers := func(v []float64) string {
		var s []string
		for _, x := range v {
			s = append(s, decimal(x))
		}
		return "[" + strings.Join(s, ", ") + "]"
	}
	text := "{resize: " + p.Resize
	for _, x := range []struct{ key, value, usual string }{{"filter", p.Filter, "bicubic"}, {"offset", p.Offset, "even"}, {"rgb", p.RGB, "first"}} {
		if all || x.value != x.usual {
			text += ", " + x.key + ": " + x.value
		}
	}
	if p.Draft {
		text += ", draft: true"
	}
	return text + fmt.Sprintf(", alpha: %s, mean: %s, std: %s}", p.Alpha, numbers(p.Mean), numbers(p.Std))
}

// decimal returns a number as YAML has it: an exponent comes after a point.
func decimal(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if before, after, ok := strings.Cut(s, "e"); ok && !strings.Contains(before, ".") {
		return before + ".0e" + after
	}
	return s
}

// task returns a task as YAML.
func (g *Guess) task(t Task, labels, list string) string {
	if len(g.Presets) > 0 && g.Presets[0].Task == t.Name && labels == "" {
		return t.Name
	}
	switch {
	case t.Classes > 0 && list != "":
		return fmt.Sprintf("{%s: {classes: %d, labels: %s, list: %s}}", t.Name, t.Classes, scalar(labels), list)
	case t.Classes > 0 && labels != "":
		return fmt.Sprintf("{%s: {classes: %d, labels: %s}}", t.Name, t.Classes, scalar(labels))
	case t.Classes > 0:
		return fmt.Sprintf("{%s: {classes: %d}}", t.Name, t.Classes)
	case t.Norm != nil && !*t.Norm:
		return "{encode: {norm: false}}"
	}
	return t.Name
}

// scalar returns a text as a YAML value, in quotes if it needs them.
func scalar(s string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	// A text that begins with a letter, after any folders, and has an extension is not a number
	// or a keyword of YAML.
	first := strings.TrimLeft(s, "./")
	if first != "" && strings.Contains(letters, first[:1]) && strings.Contains(first, ".") && strings.Trim(s, letters+"0123456789_-./") == "" {
		return s
	}
	return strconv.Quote(s)
}
