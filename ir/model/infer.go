package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// Guess describes a model as far as the names and shapes of a checkpoint's tensors determine it.
type Guess struct {
	Family string
	Layout string // layout of the checkpoint, if its family has several, or ""
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

// size returns axis i of a tensor of the given rank, 0 for a missing tensor or one of another rank.
func (s shapes) size(key string, rank, i int) int {
	if shape, ok := s[key]; ok && len(shape) == rank {
		return shape[i]
	}
	return 0
}

func (s shapes) has(keys ...string) bool {
	for _, k := range keys {
		if s[k] == nil {
			return false
		}
	}
	return true
}

// count returns how many consecutive keys fmt.Sprintf(format, 0), (format, 1), ... exist.
func (s shapes) count(format string) int {
	n := 0
	for n < maxLayers && s.has(fmt.Sprintf(format, n)) {
		n++
	}
	return n
}

// inferers lists families that are recognised by one tensor, called key, which only their checkpoints have. infer finds the
// sizes of a model of the family.
var inferers = []struct {
	family, key string
	infer       func(g *Guess, s shapes)
}{
	{"beit3", "beit3.encoder.layers.0.self_attn.q_proj.A.weight", inferTorchscale},
	{"mwt", "beit3.encoder.layers.0.self_attn.q_proj.weight", inferTorchscale},
	{"vlmo", "transformer.blocks.0.attn.qkv.weight", inferVLMo},
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
	for _, f := range inferers {
		if !s.has(f.key) {
			continue
		}
		g := &Guess{Family: f.family}
		f.infer(g, s)
		if err := g.check(f.key); err != nil {
			return nil, err
		}
		g.presets(file)
		return g, g.heads(heads, text)
	}
	if err := notBuilt(s); err != nil {
		return nil, err
	}
	for i := range layouts {
		if l := &layouts[i]; l.key != "" && s.has(l.key) {
			g := &Guess{}
			inferRows(g, l, s)
			if err := g.check(l.key); err != nil {
				return nil, err
			}
			g.presets(file)
			g.Archive = s.has("input_resolution")
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
	Family string
	Keys   []string
}

func (e *KeyError) Error() string {
	var s []string
	for _, k := range e.Keys {
		s = append(s, file.Quote(k))
	}
	return fmt.Sprintf("the tensors look like those of family %s with a prefix: open them with --key %s", e.Family, strings.Join(s, ", or --key "))
}

// notKnown returns the error about a checkpoint of no known family, with the tensors that are looked for and the most similar
// names.
func notKnown(tensors []Tensor) error {
	var want, have []string
	for _, f := range inferers {
		want = append(want, fmt.Sprintf("%s (%s)", f.key, f.family))
		first, tail, _ := strings.Cut(f.key, ".")
		var keys []string
		for _, t := range tensors {
			if key, ok := strings.CutSuffix(t.Name, "."+f.key); ok {
				keys = append(keys, key)
			}
		}
		if keys != nil {
			return &KeyError{f.family, keys[:min(len(keys), 8)]}
		}
		for _, t := range tensors {
			if prefix, ok := strings.CutSuffix(t.Name, tail); ok && (prefix == "" || strings.HasSuffix(prefix, ".")) {
				have, bare := "lack "+quote(first+".")+" before them", "k"
				if prefix != "" {
					have, bare = fmt.Sprintf("start with %s instead of %s", quote(prefix), quote(first+".")), fmt.Sprintf("k.removeprefix(%s)", quote(prefix))
				}
				return fmt.Errorf("the tensors look like those of family %s, but their names %s; rename them in Python: {%s * %s.startswith((%s)) + %[4]s: v for k, v in weights.items()}",
					f.family, have, quote(first+"."), bare, strings.Join(under(f.family, first), ", "))
			}
		}
	}
	for _, t := range tensors[:min(3, len(tensors))] {
		have = append(have, clip(t.Name))
	}
	return fmt.Errorf("it is not a model of a known family: its %d tensors (%s, ...) include none of %s", len(tensors), strings.Join(have, ", "), strings.Join(want, ", "))
}

// under lists, quoted, the second parts of the names of a family's tensors.
func under(family, first string) []string {
	var all []string
	for _, p := range presetList() {
		if p.Family != family {
			continue
		}
		d, err := Preset(p.Name)
		if err != nil {
			continue
		}
		for _, t := range Tensors(d) {
			if rest, ok := strings.CutPrefix(t.Name, first+"."); ok {
				part, _, _ := strings.Cut(rest, ".")
				if part = quote(part); !slices.Contains(all, part) {
					all = append(all, part)
				}
			}
		}
		break
	}
	return all
}

// check returns an error about sizes that are missing or impossible.
func (g *Guess) check(key string) error {
	s := &g.Sizes
	type size struct {
		name string
		v    int
		from string
	}
	all := []size{
		{"width", s.Dim, "the token table"}, {"feed-forward width", s.FFN, "fc1 of layer 0"}, {"number of layers", s.Layers, "the layers' names"},
		{"patch", s.Patch, "the patch convolution"}, {"channels", s.Channels, "the patch convolution"},
		{"picture", s.Image, "the table of picture positions"},
	}
	if familyNamed(g.Family).alone {
		all[0].from = "the patch convolution"
	} else {
		all = append(all, size{"vocabulary", s.Vocab, "the token table"})
	}
	if g.twoTowers() {
		all = append(all, size{"embedding", s.Embed, "the projection"}, size{"width of texts", s.Text.Dim, "the token table"},
			size{"feed-forward width of texts", s.Text.FFN, "the first linear of layer 0"}, size{"number of layers of texts", s.Text.Layers, "the layers' names"})
		all[0].from = "the patch convolution"
	}
	for _, f := range all {
		if f.v < 1 || f.v > 1<<24 {
			return fmt.Errorf("it has %s, as family %s does, but its %s is not known: %s is missing or has an unexpected shape", key, g.Family, f.name, f.from)
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

// square returns the square root of n, 0 if n is not a square.
func square(n int) int {
	if n < 1 || n > 1<<30 {
		return 0
	}
	side := int(math.Sqrt(float64(n)))
	if side*side != n {
		return 0
	}
	return side
}

// inferTorchscale infers a model of family beit3 or mwt from tensors with the names of BEiT-3's reference implementation.
func inferTorchscale(g *Guess, s shapes) {
	const p = "beit3."
	layer := p + "encoder.layers.%d."
	attn := layer + "self_attn.q_proj.A.weight"
	if g.Family == "mwt" {
		attn = layer + "self_attn.q_proj.weight"
	}
	z := &g.Sizes
	z.Vocab, z.Dim = s.size(p+"text_embed.weight", 2, 0), s.size(p+"text_embed.weight", 2, 1)
	z.FFN = s.size(p+"encoder.layers.0.ffn.A.fc1.weight", 2, 0)
	z.Layers = s.count(attn)
	for i := range z.Layers {
		if s.has(fmt.Sprintf(layer+"ffn.VL.fc1.weight", i)) {
			z.VLLayers++
		}
	}
	z.Channels, z.Patch = s.size(p+"vision_embed.proj.weight", 4, 1), s.size(p+"vision_embed.proj.weight", 4, 2)
	z.Image = z.Patch * square(s.size(p+"encoder.embed_positions.A.weight", 2, 0)-firstPosition-1)
	z.Positions = s.size(p+"encoder.embed_positions.B.weight", 2, 0)

	g.tasks(TorchScale, s)
	known := []string{p, "logit_scale"}
	for _, t := range g.Tasks {
		for _, k := range taskOf(TorchScale, t.Name).keys {
			first, _, _ := strings.Cut(k, ".")
			known = append(known, first+".")
		}
	}
	// A pretraining checkpoint has mlm_head and other heads of pretraining; in a captioning
	// checkpoint mlm_head is the only one.
	pretraining := false
	for name := range s {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(name, k) }) {
			pretraining = true
		}
	}
	if pretraining && len(g.Tasks) == 1 && g.Tasks[0].Name == "captioning" {
		g.Tasks = nil
	}
	if g.Tasks == nil {
		norm := s.has(p+"encoder.layer_norm.A.weight") || s.has(p+"encoder.layer_norm.weight")
		g.Tasks = []Task{{Name: "encode", Norm: &norm}}
	}
}

// tasks adds the tasks whose heads the checkpoint has.
func (g *Guess) tasks(code Code, s shapes) {
	for _, t := range tasks {
		if t.code != code || t.keys == nil || !s.has(t.keys...) {
			continue
		}
		x := Task{Name: t.name}
		if t.has("classes") {
			x.Classes = s.size(t.keys[len(t.keys)-1], 2, 0)
		}
		g.Tasks = append(g.Tasks, x)
	}
}

// inferVLMo infers a model from the keys of VLMo's reference implementation.
func inferVLMo(g *Guess, s shapes) {
	const block = "transformer.blocks.%d."
	z := &g.Sizes
	z.Vocab, z.Dim = s.size("text_embeddings.word_embeddings.weight", 2, 0), s.size("text_embeddings.word_embeddings.weight", 2, 1)
	z.FFN = s.size("transformer.blocks.0.mlp_imag.fc1.weight", 2, 0)
	z.Layers = s.count(block + "attn.qkv.weight")
	z.Channels, z.Patch = s.size("transformer.patch_embed.proj.weight", 4, 1), s.size("transformer.patch_embed.proj.weight", 4, 2)
	z.Positions = s.size("text_embeddings.position_embeddings.weight", 2, 0)
	z.Image = z.Patch * square(s.size("transformer.pos_embed", 3, 1)-1)
	for i := range z.Layers {
		if s.has(fmt.Sprintf(block+"mlp_vl.fc1.weight", i)) {
			z.VLLayers++
		}
	}
	if n := s.size("token_type_embeddings.weight", 2, 0); n > 2 {
		z.Types = n
	}
	z.Scale = s.has("transformer.blocks.0.gamma_1")
	z.Absolute = s.has("transformer.pos_embed")
	const table = "relative_position_bias_table"
	if s.has(table) && z.Layers > 0 {
		var side int
		side, z.Reach = offsets(s.size(table, 2, 0), z.Positions)
		z.Image = z.Patch * side
		z.Heads = s.size(table, 2, 1) / z.Layers
	}
	g.tasks(VLMo, s)
	if g.Tasks == nil {
		g.Tasks = []Task{{Name: "encode"}}
	}
}

// offsets returns the patches along a side of the image and the longest text of a table of
// relative positions. The table has (2W-1)^2+3 rows for the image and 2T+2 for the text.
// Released models have T = 196. For other models it assumes the largest image that leaves
// rows for a text.
func offsets(rows, text int) (side, reach int) {
	if rows < 1 || rows > 1<<30 {
		return 0, 0
	}
	const released = 196
	if w := square(rows - 3 - 2*released - 2); w%2 == 1 {
		return (w + 1) / 2, released
	}
	for w := 1 << 14; w > 0; w-- {
		if left := rows - 3 - 2 - (2*w-1)*(2*w-1); left >= 2*text && left%2 == 0 {
			return w, left / 2
		}
	}
	return 0, 0
}

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
		switch g.Family {
		case "vlmo":
			// VLMo's fine-tuned checkpoints keep the heads of pretraining, so they have more tasks.
			tuned := slices.ContainsFunc(g.Tasks, func(t Task) bool { return t.Classes > 0 })
			fits = fits || !tuned && p.Task == "encode"
		default:
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
