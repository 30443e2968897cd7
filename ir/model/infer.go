package model

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// Guess describes a model as far as the names and shapes of a checkpoint's tensors determine it.
type Guess struct {
	Family string
	Layout string // layout of the checkpoint
	Sizes  Sizes
	Tasks  []Task // tasks whose heads the checkpoint has, or encode

	// Presets are the released variants with these sizes, image and heads, the most
	// likely one first. Several may fit, since tensors show neither the training data nor the
	// activations and preprocessing, in which models with two towers of one size differ.
	Presets []PresetInfo

	// Heads is a sentence about the source of Sizes.Heads, which shapes seldom determine, or, if that is 0, where to find it.
	// The number is never guessed: a model with a wrong one runs, but gives wrong results.
	Heads string

	// Of families whose models come with configuration files, once [Guess.Take] was called.
	Preprocess *Preprocess
	Labels     string   // configuration file with the names of the classes; "" = none
	Text       int      // longest text, 0 = as the family has it
	Said       []string // what was taken from where, and what is assumed: a comment each

	Archive   bool // it is a TorchScript archive of OpenAI's
	HeadsTold bool // tensors determine Sizes.Heads
}

// shapes looks up tensors by name.
type shapes map[string][]int

func (s shapes) has(keys ...string) bool {
	for _, k := range keys {
		if s[k] == nil {
			return false
		}
	}
	return true
}

// some reports whether a tensor's name starts with prefix.
func (s shapes) some(prefix string) bool {
	for name := range s {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Infer finds the model of a checkpoint's tensors. file, the checkpoint's name or "",
// chooses between presets that fit equally. heads, if not 0, is the number of attention
// heads, and text the number of heads of a text tower; by default they are taken from a
// preset of the same sizes, and stay 0 if there is none.
func Infer(tensors []Tensor, file string, heads, text int) (*Guess, error) {
	s := shapes{}
	for _, t := range tensors {
		if s[t.Name] = t.Shape; t.Shape == nil {
			s[t.Name] = []int{}
		}
	}
	if err := notBuilt(s); err != nil {
		return nil, err
	}
	for i := range layouts {
		if l := &layouts[i]; s.has(l.key) {
			g := &Guess{}
			v := g.infer(l, s)
			if err := g.check(l.key, v); err != nil {
				return nil, err
			}
			if err := v.strange(g.Family); err != nil {
				return nil, err
			}
			g.presets(file)
			g.Archive = g.twoTowers() && s.has("input_resolution")
			if z := &g.Sizes; g.Archive && z.Dim%64 == 0 && z.Text.Dim%64 == 0 && heads == 0 {
				z.Heads, z.Text.Heads, g.Heads = z.Dim/64, z.Text.Dim/64, "width / 64, as OpenAI's code has it, whose archive this is"
				return g, nil
			}
			return g, g.heads(heads, text)
		}
	}
	return nil, notKnown(tensors)
}

// KeyError is the error about tensors of a known model with a prefix before their names: one of the keys and a dot.
type KeyError struct {
	Families string // that the tensors may be of
	Keys     []string
}

func (e *KeyError) Error() string {
	var s []string
	for _, k := range e.Keys {
		s = append(s, file.Quote(k))
	}
	return fmt.Sprintf("the tensors look like those of family %s with a prefix: open them with --key %s", e.Families, strings.Join(s, ", or --key "))
}

// notKnown returns the error about a checkpoint of no known family, with the tensors that are looked for and the most similar
// names.
func notKnown(tensors []Tensor) error {
	var want, have []string
	for i := range layouts {
		l := &layouts[i]
		var names []string
		for _, f := range l.families() {
			names = append(names, f.name)
		}
		families := strings.Join(names, " or ")
		want = append(want, fmt.Sprintf("%s (%s)", l.key, families))
		var keys []string
		for _, t := range tensors {
			if key, ok := strings.CutSuffix(t.Name, "."+l.key); ok {
				keys = append(keys, key)
			}
		}
		if keys != nil {
			return &KeyError{families, keys[:min(len(keys), 8)]}
		}
		first := l.families()[0].structure(&Sizes{}).Keys.Prefix
		if first == "" {
			continue
		}
		for _, t := range tensors {
			if prefix, ok := strings.CutSuffix(t.Name, strings.TrimPrefix(l.key, first)); ok && (prefix == "" || strings.HasSuffix(prefix, ".")) {
				have, bare := "lack "+quote(first)+" before them", "k"
				if prefix != "" {
					have, bare = fmt.Sprintf("start with %s instead of %s", quote(prefix), quote(first)), fmt.Sprintf("k.removeprefix(%s)", quote(prefix))
				}
				return fmt.Errorf("the tensors look like those of family %s, but their names %s; rename them in Python: {%s * %s.startswith((%s)) + %[4]s: v for k, v in weights.items()}",
					families, have, quote(first), bare, strings.Join(under(names[0], first), ", "))
			}
		}
	}
	if len(tensors) == 0 {
		return errors.New("it is not a model of a known family: it has no tensors")
	}
	for _, t := range tensors[:min(3, len(tensors))] {
		have = append(have, file.Quote(t.Name))
	}
	return fmt.Errorf("it is not a model of a known family: its %d tensors (%s, ...) include none of %s", len(tensors), strings.Join(have, ", "), strings.Join(want, ", "))
}

// under lists, quoted, the words that follow a prefix in the names of a family's tensors.
func under(family, prefix string) []string {
	var all []string
	i := slices.IndexFunc(presetList(), func(p PresetInfo) bool { return p.Family == family })
	d, err := Preset(presetList()[i].Name)
	if err != nil {
		return nil
	}
	for _, t := range Tensors(d) {
		if rest, ok := strings.CutPrefix(t.Name, prefix); ok {
			if part := quote(firstWord(rest)); !slices.Contains(all, part) {
				all = append(all, part)
			}
		}
	}
	return all
}

// check returns an error about sizes that are missing or impossible. key is the layout's, and v the solver that found the sizes.
func (g *Guess) check(key string, v *solver) error {
	z, f := &g.Sizes, familyNamed(g.Family)
	if v.has["stem"] {
		return fmt.Errorf("it has %s, as family %s does, but embeds patches in stages, which no family does: write a description with modalities, layers and the key stem", key, g.Family)
	}
	type size struct {
		what        string
		n           int
		scope, name string
	}
	all := []size{
		{"width", z.Dim, "vision", "dim"}, {"feed-forward width", z.FFN, "vision", "ffn"}, {"number of layers", z.Layers, "vision", "layers"},
		{"patch", z.Patch, "vision", "patch"}, {"channels", z.Channels, "vision", "channels"}, {"picture, a square of patches,", z.Image, "vision", "image"},
	}
	if !f.alone {
		all = append(all, size{"vocabulary", z.Vocab, "language", "vocab"})
	}
	if g.twoTowers() {
		all = append(all, size{"embedding", z.Embed, "language", "embed"}, size{"width of texts", z.Text.Dim, "language", "dim"},
			size{"feed-forward width of texts", z.Text.FFN, "language", "ffn"}, size{"number of layers of texts", z.Text.Layers, "language", "layers"})
	}
	for _, x := range all {
		if x.n < 1 || x.n > 1<<24 {
			return fmt.Errorf("it has %s, as family %s does, but its %s is not known: %s", key, g.Family, x.what, v.lacks(x.scope, x.name))
		}
	}
	return nil
}

// classes returns the number of classes of the checkpoint's head, 0 if it has none.
func (g *Guess) classes() int {
	for _, t := range g.Tasks {
		if t.Classes > 0 {
			return t.Classes
		}
	}
	return 0
}

// twoTowers reports whether the family has a tower for texts.
func (g *Guess) twoTowers() bool { return familyNamed(g.Family).text != "" }

// presets lists the released variants that fit, first the one whose name resembles the file's.
func (g *Guess) presets(file string) {
	for _, p := range Presets() {
		// Ignore sizes that shapes do not determine.
		z := p.Sizes
		z.Heads, z.Eps, z.Act = g.Sizes.Heads, g.Sizes.Eps, g.Sizes.Act
		z.Text.Heads, z.Text.Act = g.Sizes.Text.Heads, g.Sizes.Text.Act
		z.Image -= z.Image % z.Patch
		if p.Family != g.Family || z != g.Sizes {
			continue
		}
		fits := slices.ContainsFunc(g.Tasks, func(t Task) bool { return t.Name == p.Task && (t.Classes == p.Classes || p.Classes == 0) })
		if familyNamed(g.Family).keeps {
			tuned := slices.ContainsFunc(g.Tasks, func(t Task) bool { return t.Classes > 0 })
			fits = fits || !tuned && p.Task == "encode"
		} else {
			fits = fits && len(g.Tasks) == 1
		}
		if fits {
			g.Presets = append(g.Presets, p)
		}
	}
	base := plain(file)
	named := func(p PresetInfo) int {
		switch {
		case slices.ContainsFunc(p.Source.Files, func(f File) bool { return plain(f.Name) == base }):
			return 0
		case strings.HasPrefix(base, p.Name+"."):
			return 1
		case p.Source.Files != nil:
			return 2 // a released file before a registration
		}
		return 3
	}
	slices.SortStableFunc(g.Presets, func(a, b PresetInfo) int { return cmp.Compare(named(a), named(b)) })
	// A file name that fits one preset better than all others excludes presets that compile differently from it.
	if all := g.Presets; len(all) > 1 && named(all[0]) < 2 && named(all[1]) > named(all[0]) {
		g.Presets = slices.DeleteFunc(all, func(p PresetInfo) bool { return !p.same(&all[0]) })
	}
}

// same reports whether presets of the same family and task compile the same.
func (p *PresetInfo) same(q *PresetInfo) bool {
	return p.Sizes == q.Sizes && p.Preprocess.YAML() == q.Preprocess.YAML()
}

// heads sets the numbers of attention heads in the sizes, and the sentence about their source in g.Heads. given and text are
// the numbers for the first and the text tower that the user asked for, 0 = none. It is an error if one does not divide the
// width.
func (g *Guess) heads(given, text int) error {
	z := &g.Sizes
	for _, f := range []struct{ given, dim int }{{given, z.Dim}, {text, z.Text.Dim}} {
		if f.given != 0 && (f.given < 0 || f.dim%f.given != 0) {
			return fmt.Errorf("%d heads: want a divisor of the width, which is %d%s", f.given, f.dim, nearDivisors(f.dim, max(f.given, 1)))
		}
	}
	if text != 0 && !g.twoTowers() {
		return fmt.Errorf("%d heads of texts: family %s has no tower for texts", text, g.Family)
	}
	if given != 0 && z.Heads != 0 && z.Heads != given {
		return fmt.Errorf("%d heads: the checkpoint has tables for %d", given, z.Heads)
	}
	if z.Heads != 0 && z.Dim%z.Heads == 0 {
		g.Heads, g.HeadsTold = "told by the table of relative positions", true
		return nil
	}
	name := familyNamed(g.Family).heads
	like := slices.IndexFunc(presetList(), func(p PresetInfo) bool {
		return p.Sizes.Dim == z.Dim && p.Sizes.FFN == z.FFN && p.Sizes.Layers == z.Layers && p.Sizes.Text.Dim == z.Text.Dim && p.Sizes.Text.Layers == z.Text.Layers && p.Family == g.Family
	})
	z.Heads, z.Text.Heads, g.Heads = given, text, "as given"
	if like >= 0 && (given == 0 || g.twoTowers() && text == 0) {
		p := &presetList()[like]
		z.Heads, z.Text.Heads = cmp.Or(given, p.Sizes.Heads), cmp.Or(text, p.Sizes.Text.Heads)
		g.Heads = fmt.Sprintf("tensors do not determine it; as in %s, which has these sizes. Compare it with %s of your own code", p.Name, name)
		return nil
	}
	switch missing := "tensors do not determine it, and no released model has these sizes. It is a divisor of"; {
	case !g.twoTowers() && given == 0:
		g.Heads = fmt.Sprintf("MISSING: %s %d, called %s in the code and the configuration that the model was trained with", missing, z.Dim, name)
	case g.twoTowers() && (given == 0 || text == 0):
		z.Heads = 0
		g.Heads = fmt.Sprintf("MISSING: tensors do not determine the heads, and no released model has these sizes. The number for pictures divides %d, the number for texts %d; it is called %s in the configuration that the model came with",
			z.Dim, z.Text.Dim, name)
	}
	return nil
}
