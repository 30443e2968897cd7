package model

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// taking is the state of Guess.Take: the guess, the configuration files by their use, and what is said about each fact.
type taking struct {
	g     *Guess
	main  *Config              // configuration of the model, nil: none
	fed   *Config              // configuration of the preprocessing of pictures, nil: none
	words *Config              // configuration of the tokenizer, nil: none
	like  *PresetInfo          // preset that the checkpoint fits, used if there is no configuration of the model; nil: none
	said  map[*Config][]string // keys with values that the description has from a file
	usual map[*Config][]string // the same for keys that a file leaves to a default
	why   []string             // what is assumed, and why
}

// Take completes the guess of a model with configuration files from configs, those beside its checkpoint, and assumes what
// neither they nor the tensors tell. path is the checkpoint's path, since names may tell the activation. heads and text are
// the numbers of heads that the user asked for, 0 = none. It is an error if a file contradicts the tensors or describes a
// model that is not supported. A guess without configuration files is unchanged.
func (g *Guess) Take(configs []*Config, path string, heads, text int) error {
	if !g.Configured() {
		return nil
	}
	t := &taking{g: g, said: map[*Config][]string{}, usual: map[*Config][]string{}}
	named := func(f *configFormat) *Config {
		if i := slices.IndexFunc(configs, func(c *Config) bool { return c.File == f.file && len(c.Facts) > 0 }); i >= 0 {
			return configs[i]
		}
		return nil
	}
	face, open, processor := named(&faceFormat), named(&openFormat), cmp.Or(named(&processorsFormat), named(&processorFormat))
	t.main, t.fed, t.words = open, open, named(&tokenizerFormat)
	if g.Face() {
		t.main, t.fed = face, processor
	}
	if t.main == nil { // transformers and open_clip may both have a configuration of the same model
		t.main = cmp.Or(face, open)
	}
	if t.fed == nil {
		t.fed = cmp.Or(processor, open)
	}
	if t.main == nil && len(g.Presets) > 0 && g.alike() {
		t.like = &g.Presets[0]
	}
	for _, step := range []func() error{t.family, t.sizes, t.image, func() error { return t.heads(heads, text) }, func() error { return t.acts(path) }, t.eps, t.text, t.preprocess} {
		if err := step(); err != nil {
			return err
		}
	}
	for _, c := range []*Config{t.main, t.fed, t.words} {
		if c == nil || t.said[c] == nil && t.usual[c] == nil {
			continue
		}
		line := "From " + c.File + ": " + cmp.Or(strings.Join(t.said[c], ", "), "nothing")
		if t.usual[c] != nil {
			line += "; left out there, so as " + c.Class + " has it by default: " + strings.Join(t.usual[c], ", ")
		}
		g.Said = append(g.Said, line+".")
		delete(t.said, c)
		delete(t.usual, c)
	}
	g.Said = append(g.Said, t.why...)
	if t.main != nil { // what is assumed tells no preset from another
		g.Presets = slices.DeleteFunc(g.Presets, func(p PresetInfo) bool {
			z := &g.Sizes
			return p.Sizes.Act != z.Act || p.Sizes.Text.Act != z.Text.Act || p.Sizes.Image != z.Image || z.Eps != 0 && p.Sizes.Eps != z.Eps
		})
	}
	return nil
}

// Configured reports whether models of the family come with configuration files.
func (g *Guess) Configured() bool { return familyNamed(g.Family).fed.Mean != nil }

// Face reports whether the checkpoint is one of Hugging Face's transformers.
func (g *Guess) Face() bool { return strings.HasSuffix(g.Layout, "_hf") }

// OpenCLIP reports whether the checkpoint has the layout of open_clip, which OpenAI's is too.
func (g *Guess) OpenCLIP() bool { return strings.Contains(g.Layout, "open_clip") }

// Tokenizers lists the kinds of tokenizers that models of the family have: CLIP, SigLIP, Unigram, WordPiece.
func (g *Guess) Tokenizers() []string { return strings.Fields(familyNamed(g.Family).tokenizers) }

// fact returns the fact of c called name; ok is false if c is nil or has no such fact of type T.
func fact[T any](c *Config, name string) (v T, f Fact, ok bool) {
	if c == nil {
		return v, f, false
	}
	f, ok = c.Facts[name]
	if ok {
		v, ok = f.Value.(T)
	}
	return v, f, ok
}

// use notes that the description has a fact of c, for the sentence about c. A fact that is under no key of the file is not
// noted.
func (t *taking) use(c *Config, f Fact) {
	value := fmt.Sprint(f.Value)
	if _, ok := f.Value.([]float64); ok {
		value = strings.ReplaceAll(value, " ", ", ")
	}
	line := file.Brief(f.From + " " + value)
	if f.From == "" {
		return
	}
	if f.Usual {
		t.usual[c] = append(t.usual[c], line)
	} else {
		t.said[c] = append(t.said[c], line)
	}
}

func (t *taking) assume(format string, args ...any) {
	t.why = append(t.why, fmt.Sprintf(format, args...))
}

// says returns the beginning of an error about a fact: its file, key and value.
func (t *taking) says(c *Config, f Fact) string {
	left := ""
	if f.Usual {
		left = fmt.Sprintf(" (left out, and so the default of %s)", c.Class)
	}
	return file.Brief(fmt.Sprintf("%s: %s is %v%s", c.File, f.From, f.Value, left))
}

func (t *taking) family() error {
	if name, f, ok := fact[string](t.main, "family"); ok && name != t.g.Family {
		return fmt.Errorf("%s: model_type is of %s, a model of family %s, but the tensors are from a model of family %s; give the file that came with the checkpoint", t.main.File, t.main.Class, f.Value, t.g.Family)
	}
	for name, want := range familyNamed(t.g.Family).traits {
		if v, f, ok := fact[any](t.main, name); ok && !slices.Contains(want, v) {
			return fmt.Errorf("%s, but a model with these tensors is built with %s only", t.says(t.main, f), strings.Trim(strings.ReplaceAll(fmt.Sprint(want), " ", " or "), "[]"))
		}
	}
	return nil
}

// structure returns the structure of the family with the sizes that are known so far.
func (t *taking) structure() *Structure {
	f, z := familyNamed(t.g.Family), t.g.Sizes
	z.Eps = cmp.Or(z.Eps, f.eps)
	s := f.structure(&z)
	return &s
}

// unused returns the rows of the text's position table that are never read. With such rows the table does not tell the longest
// text of the configuration.
func (t *taking) unused() int { return t.structure().Token().Unused }

func (t *taking) sizes() error {
	z := &t.g.Sizes
	heads, classes := 0, t.g.classes()
	if t.g.HeadsTold {
		heads = z.Heads
	}
	for _, s := range []struct {
		fact string
		have int // 0: the tensors do not tell it
		what string
	}{
		{"vision.heads", heads, "attention heads"}, {"classes", classes, "classes"},
		{"embed", z.Embed, "width of embeddings"},
		{"vision.dim", z.Dim, "width of pictures"}, {"vision.ffn", z.FFN, "feed-forward width of pictures"}, {"vision.layers", z.Layers, "layers of pictures"},
		{"patch", z.Patch, "side of a patch"}, {"channels", z.Channels, "colours"},
		{"text.dim", z.Text.Dim, "width of texts"}, {"text.ffn", z.Text.FFN, "feed-forward width of texts"}, {"text.layers", z.Text.Layers, "layers of texts"},
		{"vocab", z.Vocab, "rows of the token table"}, {"positions", z.Positions, "rows of the table of positions of texts"},
	} {
		if v, f, ok := fact[int](t.main, s.fact); ok && s.have != 0 && v != s.have {
			return fmt.Errorf("%s, but the tensors have %d, the %s", t.says(t.main, f), s.have, s.what)
		}
	}
	if v, f, ok := fact[int](t.main, "context"); ok && t.g.twoTowers() && t.unused() == 0 && v != z.Positions {
		return fmt.Errorf("%s, but the tensors have %d, the rows of the table of positions of texts", t.says(t.main, f), z.Positions)
	}
	if _, f, ok := fact[int](t.main, "classes"); ok && classes != 0 {
		t.g.Labels = t.main.File
		t.use(t.main, f)
	}
	for _, s := range []struct {
		fact     string
		dim, ffn int
		what     string
	}{{"vision.ratio", z.Dim, z.FFN, "pictures"}, {"text.ratio", z.Text.Dim, z.Text.FFN, "texts"}} {
		if v, f, ok := fact[float64](t.main, s.fact); ok && int(float64(s.dim)*v) != s.ffn {
			return fmt.Errorf("%s, which gives a feed-forward width of %d for %[4]s, but the tensors have %[3]d", t.says(t.main, f), int(float64(s.dim)*v), s.ffn, s.what)
		}
	}
	return nil
}

// image takes the side of the pictures in pixels. Tensors tell only how many whole patches it has.
func (t *taking) image() error {
	z := &t.g.Sizes
	side := z.Image / max(1, z.Patch)
	side1, f, ok := fact[int](t.main, "image")
	if !ok {
		var s sides
		if s, f, ok = fact[sides](t.main, "image.sides"); ok {
			if side1 = cmp.Or(s.shortest, s.height); s.height != s.width {
				return fmt.Errorf("%s: only square pictures are supported", t.says(t.main, f))
			}
			f.Value = side1
		}
	}
	if t.like != nil {
		z.Image = t.like.Sizes.Image
		return nil
	}
	if !ok {
		t.assume("Assumed: pictures of %d x %d pixels, patches of %d without a rest; the tensors do not tell a rest.", z.Image, z.Image, z.Patch)
		return nil
	}
	if side1/z.Patch != side {
		return fmt.Errorf("%s, which is %d patches of %d a side, but the tensors have positions of %d", t.says(t.main, f), side1/z.Patch, z.Patch, side)
	}
	z.Image = side1
	t.use(t.main, f)
	return nil
}

// heads takes the numbers of attention heads of both towers: those asked for, else those of the configuration.
func (t *taking) heads(vision, text int) error {
	z := &t.g.Sizes
	if t.g.HeadsTold {
		return nil
	}
	from := false
	for _, h := range []struct {
		tower    string
		given    int
		dim      int
		to       *int
		name     string
		of, flag string
	}{
		{"vision", vision, z.Dim, &z.Heads, "vision.timm", "pictures", "--heads"},
		{"text", text, z.Text.Dim, &z.Text.Heads, "text.hf", "texts", "--text-heads"},
	} {
		n, f, ok := fact[int](t.main, h.tower+".heads")
		if !ok {
			if w, g, has := fact[int](t.main, h.tower+".head_width"); has {
				if h.dim%w != 0 {
					return fmt.Errorf("%s, which does not divide %d, the width of %s that the tensors have", t.says(t.main, g), h.dim, h.of)
				}
				n, f, ok = h.dim/w, g, true
			}
		}
		if !ok {
			if name, g, has := fact[string](t.main, h.name); has {
				if n, f = headsOf(h.tower, name, h.dim), g; n > 0 {
					ok = true
				} else if h.given == 0 && *h.to == 0 {
					t.assume("%s has the tower of %s called %s by another library, whose heads are not known; %s gives them.", t.main.File, h.of, file.Quote(name), h.flag)
				}
			}
		}
		if h.given != 0 {
			*h.to = h.given
			continue
		}
		if !ok {
			continue
		}
		if h.dim%n != 0 {
			return fmt.Errorf("%s: %s gives %d heads, which do not divide %d, the width of %s that the tensors have%s", t.main.File, f.From, n, h.dim, h.of, nearDivisors(h.dim, n))
		}
		*h.to, from = n, true
		t.use(t.main, f)
	}
	if z.Text.Heads == 0 {
		z.Heads = 0
	}
	if from && z.Heads != 0 {
		t.g.Heads = "from " + t.main.File
		if vision != 0 || text != 0 {
			t.g.Heads += ", and as given"
		}
	}
	return nil
}

// tags maps words in a model's name to its activation, as open_clip's list of weights has it. All words of a row must be in
// the name; the first row that fits counts.
var tags = []struct{ words, act string }{
	{"quickgelu", "quick_gelu"},
	{"openai", "quick_gelu"},
	{"vit-b-32 laion400m", "quick_gelu"},
	{"metaclip", "quick_gelu"},
	{"dfn2b s39b", "gelu"},
	{"dfn2b", "quick_gelu"},
	{"dfn5b", "quick_gelu"},
	{"laion", "gelu"},
	{"datacomp", "gelu"},
	{"commonpool", "gelu"},
}

// tagged returns the activation of the first row of tags that fits a path, and the words of that row; "" if none fits.
func tagged(path string) (act, why string) {
	name := strings.Map(func(r rune) rune {
		if r == '_' || r == '/' || r == '\\' || r == '.' {
			return '-'
		}
		return r
	}, strings.ToLower(path))
	for _, t := range tags {
		words := strings.Fields(t.words)
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(name, w) }) {
			return t.act, strings.Join(words, " ")
		}
	}
	return "", ""
}

// acts takes the activations, which are in no tensor.
func (t *taking) acts(path string) error {
	z := &t.g.Sizes
	if familyNamed(t.g.Family).act == "" {
		return nil
	}
	const compare = "A wrong one builds and answers wrongly"
	see, f1, ok1 := fact[string](t.main, "vision.act")
	read, f2, ok2 := fact[string](t.main, "text.act")
	if ok1 && ok2 {
		z.Act, z.Text.Act = see, read
		f1.Value, f2.Value = see, read
		t.use(t.main, f1)
		t.use(t.main, f2)
		return nil
	}
	if t.like != nil {
		z.Act, z.Text.Act = t.like.Sizes.Act, t.like.Sizes.Text.Act
		t.assume("Assumed: act %s for pictures and %s for texts, as in %s. %s.", z.Act, z.Text.Act, t.like.Name, compare)
		return nil
	}
	if t.g.Family == "siglip" {
		why := "Assumed: act gelu_tanh, with which the weights were trained"
		if !t.g.Face() {
			why += "; open_clip computes the same weights with gelu (SigLIP 2's texts with gelu_tanh), which `act: gelu` in sizes, and in their text, gives"
		}
		t.assume("%s.", why)
		return nil
	}
	texts := t.structure().of("language").Layers[0].Norms != Post // which are BERT's, with an activation of its own
	set := func(act string) {
		if z.Act = act; texts {
			z.Text.Act = act
		}
	}
	if quick, f, ok := fact[bool](t.main, "quick_gelu"); ok {
		set(map[bool]string{true: "quick_gelu", false: "gelu"}[quick])
		t.use(t.main, f)
		if a, f, ok := fact[string](t.main, "text.approximate"); ok && a == "tanh" && texts {
			z.Text.Act = "gelu_tanh"
			t.use(t.main, f)
		}
		if act, why := tagged(path); act != "" && act != z.Act {
			t.assume("Of models whose name has %s the activation is %s by open_clip's list; %s says %s. %s.", why, act, t.main.File, z.Act, compare)
		}
		return nil
	}
	switch act, why := tagged(path); {
	case t.g.Archive:
		set("quick_gelu")
		t.assume("Assumed: act quick_gelu, as OpenAI's code has it, whose archive this is.")
	case act != "" && t.g.Family != "clipa":
		set(act)
		t.assume("Assumed: act %s, as open_clip's list has it for models whose name has %s. %s.", act, why, compare)
	case t.g.Family == "clip" && !t.g.Face():
		set("gelu")
		t.assume("Assumed: act gelu, the default of open_clip and that of LAION's and DataComp's models; models of OpenAI, MetaCLIP and DFN have quick_gelu. %s: open_clip_config.json, which came with the model, tells it.", compare)
	default:
		t.assume("Assumed: act %s for pictures and %s for texts, as the first models of family %s have them. %s: config.json, which came with the model, tells it.", z.Act, z.Text.Act, t.g.Family, compare)
	}
	return nil
}

// eps takes the epsilon of the norms.
func (t *taking) eps() error {
	z, usual := &t.g.Sizes, familyNamed(t.g.Family).eps
	v, f, ok := fact[float64](t.main, "vision.eps")
	if ok {
		z.Eps = v
		t.use(t.main, f)
	} else if t.like == nil {
		t.assume("Assumed: eps %v of the norms, as models of family %s have it.", usual, t.g.Family)
	}
	v, f, ok = fact[float64](t.main, "text.eps")
	if !ok || !t.g.twoTowers() {
		return nil
	}
	see := cmp.Or(z.Eps, usual)
	want := t.structure().of("language").Eps
	switch {
	case v == want:
	case want == see && z.Eps == 0: // the epsilon of both
		z.Eps = v
		t.use(t.main, f)
	default:
		return fmt.Errorf("%s, but the epsilon of pictures is %v; the epsilon of texts must be %v, others are not supported", t.says(t.main, f), see, want)
	}
	return nil
}

// text takes the longest text. Texts that are padded to one length have no limit of their own.
func (t *taking) text() error {
	z, limit := &t.g.Sizes, familyNamed(t.g.Family).limit
	if lower, f, ok := fact[bool](t.words, "tokenizer.lower"); ok && !lower && slices.Contains(t.g.Tokenizers(), "WordPiece") {
		return fmt.Errorf("%s: WordPiece is built in lower case only", t.says(t.words, f))
	}
	if limit == 0 {
		return nil
	}
	limit = min(limit, z.Positions)
	if n, f, ok := fact[int](t.main, "context"); ok && t.unused() > 0 && n != limit && n <= z.Positions-t.unused() {
		limit, t.g.Text = n, n
		t.use(t.main, f)
	}
	if n, f, ok := fact[float64](t.words, "tokenizer.longest"); ok && n >= 2 && n < float64(limit) {
		t.g.Text = int(n)
		f.Value = t.g.Text
		t.use(t.words, f)
	}
	return nil
}

// preprocess takes how pictures are fed.
func (t *taking) preprocess() error {
	g := t.g
	p := familyNamed(g.Family).fed
	code := "open_clip"
	if g.Face() {
		code = "transformers"
	}
	switch {
	case !g.twoTowers():
	case g.Face():
		p.Offset, p.RGB, p.Alpha = "floor", "first", "white"
		if g.Family == "siglip" && g.Sizes.Vocab == gemmaPieces {
			p.Filter = "bilinear" // SigLIP 2
		}
	default:
		p.Offset, p.RGB, p.Alpha = "even", "last", "drop"
	}
	if t.like != nil {
		p = t.like.Preprocess
	}
	g.Preprocess = &p
	if t.fed == nil {
		t.assume("Assumed: preprocess as %s has it for most models of family %s.", code, g.Family)
		return nil
	}
	wrong := func(f Fact, why string) error { return fmt.Errorf("%s: %s", t.says(t.fed, f), why) }
	for _, w := range []struct {
		fact string
		to   *string
	}{{"preprocess.filter", &p.Filter}, {"preprocess.resize", &p.Resize}} {
		if v, f, ok := fact[string](t.fed, w.fact); ok {
			*w.to = v
			t.use(t.fed, f)
		}
	}
	for _, w := range []struct {
		fact string
		to   *[]float64
	}{{"preprocess.mean", &p.Mean}, {"preprocess.std", &p.Std}} {
		if v, f, ok := fact[[]float64](t.fed, w.fact); ok {
			if len(v) != g.Sizes.Channels && len(v) != 1 {
				return wrong(f, fmt.Sprintf("the tensors have %d colours", g.Sizes.Channels))
			}
			*w.to = slices.Clone(v)
			t.use(t.fed, f)
		}
	}
	if v, f, ok := fact[bool](t.fed, "processor.normalise"); ok && !v {
		p.Mean, p.Std = []float64{0}, []float64{1}
		t.use(t.fed, f)
	}
	if v, f, ok := fact[sides](t.fed, "preprocess.size"); ok && (v.height != v.width || cmp.Or(v.shortest, v.height) != g.Sizes.Image) {
		return wrong(f, fmt.Sprintf("the model's picture is %d", g.Sizes.Image))
	}
	size, f, ok := fact[sides](t.fed, "processor.size")
	if !ok {
		return nil
	}
	t.use(t.fed, f)
	if both, _, _ := fact[bool](t.fed, "processor.square"); both && size.shortest > 0 {
		size = sides{height: size.shortest, width: size.shortest}
	}
	crop, f2, _ := fact[bool](t.fed, "processor.crop")
	to, f3, hasTo := fact[sides](t.fed, "processor.crop_size")
	square := cmp.Or(size.shortest, size.height)
	switch {
	case size.height != size.width:
		return wrong(f, "only square pictures are supported")
	case square != g.Sizes.Image:
		return wrong(f, fmt.Sprintf("the model's picture is %d, and a resize to another size before it is cut out is not built", g.Sizes.Image))
	case crop && hasTo && (to.height != to.width || cmp.Or(to.shortest, to.height) != square):
		return wrong(f3, fmt.Sprintf("the model's picture is %d", g.Sizes.Image))
	case size.shortest > 0 && !crop:
		return wrong(f2, "only square pictures are supported")
	case size.shortest > 0:
		p.Resize = "crop"
	default:
		p.Resize = "stretch"
	}
	return nil
}

// gemmaPieces is the size of the vocabulary of Gemma, which SigLIP 2 has.
const gemmaPieces = 256000

// unbuilt are models that are not built. A checkpoint of one has, for each word of has, a tensor whose name starts with it, and
// lacks the tensor lacks, unless that is "".
var unbuilt = []struct{ has, lacks, what string }{
	{"visual.layer1.0.conv1.weight", "", "it is " + resNet},
	{"text_decoder.", "", "it is a CoCa, whose decoder is not built; give a CLIP or SigLIP"},
	{"visual.trunk.", "visual.trunk.attn_pool.latent", otherVision},
	{"visual.trunk.cls_token", "", otherVision},
	{"text.transformer.encoder.", "text.transformer.encoder.layer.0.attention.self.query.weight", otherText},
	{"text.transformer.block.", "", otherText},  // T5
	{"text.transformer.layers.", "", otherText}, // NLLB
	{"beit.embeddings.position_embeddings", "", "it is a BEiT or DiT with position embeddings, which is not built; give a BEiT with a relative position bias"},
	{"decode_head.classifier.weight beit.encoder.layer.0.lambda_1", "", "it is a BEiT that segments pictures, which is not built; give one that classifies, such as beit-base-patch16-224"},
	{"vision_model.embeddings.patch_embedding.weight classifier.weight", "text_model.embeddings.token_embedding.weight", "it classifies by the tower of pictures of a CLIP or SigLIP, which is not built; give the whole CLIP or SigLIP, which classifies by the names of classes"},
	{"beit.encoder.relative_position_bias.relative_position_bias_table", "", "it is a BEiT as pretraining leaves it, whose layers share a relative position bias, and it is not built; give one that classifies, such as beit-base-patch16-224"},
}

const (
	otherVision = "its pictures go through a tower of timm that is not built: one of convolutions, or a ViT with other positions, norms or pooling than SigLIP's; give a CLIP with open_clip's own ViT, or a SigLIP"
	otherText   = "its texts go through a tower of transformers that is not built; give a model whose tower is CLIP's, SigLIP's, BERT or XLM-RoBERTa"
)

// towersAlone are tensors of models of one tower.
var towersAlone = []struct{ has, lacks, what string }{
	{"text_model.embeddings.token_embedding.weight", "vision_model.embeddings.patch_embedding.weight", "texts"},
	{"vision_model.embeddings.patch_embedding.weight", "text_model.embeddings.", "pictures"},
	{"token_embedding.weight", "visual.", "texts"},
	{"visual.conv1.weight", "token_embedding.weight", "pictures"},
	{"visual.trunk.patch_embed.proj.weight", "text.", "pictures"},
}

// notBuilt is an error for tensors of a model that is known and not built.
func notBuilt(s shapes) error {
	for _, u := range unbuilt {
		missing := slices.ContainsFunc(strings.Fields(u.has), func(prefix string) bool { return !s.some(prefix) })
		if !missing && (u.lacks == "" || !s.has(u.lacks)) {
			return errors.New(u.what)
		}
	}
	if len(s["vision_model.embeddings.patch_embedding.weight"]) == 2 {
		return errors.New("it is a NaFlex model of SigLIP 2, which takes pictures of any shape and is not built; give a SigLIP 2 for one size of pictures")
	}
	for _, a := range towersAlone {
		if !s.has(a.has) {
			continue
		}
		other := false
		for name := range s {
			other = other || strings.Contains(name, a.lacks) || a.what == "pictures" && (strings.HasPrefix(name, "text") || strings.HasPrefix(name, "bert."))
		}
		if !other {
			entry := map[string]string{"pictures": "vision", "texts": "language"}[a.what]
			return fmt.Errorf("it has the tower of %s only, and no tensors of the other; give the file of the whole model, of which `entries: [%s]` in the description compiles that tower alone", a.what, entry)
		}
	}
	return nil
}
