package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/multiway-go/multiway/ir/precision"
	"strings"
)

// Structure is a model in the long form: its modalities in sequence order, the sharing of
// weights in each layer, and the names of tensors in the checkpoint. A family is a short
// form of it.
type Structure struct {
	Modalities []Modality
	Tower              // the tower of all modalities if Towers is empty; its sizes are the description's
	Towers     []Tower // towers of some modalities each; no sequence has modalities of two towers
	Similarity Similarity
	Keys       Keys
}

// Similarity describes how the cosine of two embeddings becomes a score. It is first multiplied by the exponential of a number in
// the checkpoint.
type Similarity struct {
	Bias  bool  // then a bias from the checkpoint is added
	Score Score // how the scores of one input with several others become probabilities
}

// Score is the way in which scores become probabilities.
type Score string

// The kinds of scores.
const (
	Softmax Score = "softmax" // over all others: probabilities sum to 1
	Sigmoid Score = "sigmoid" // of each score alone
)

// Tower has the layers for some modalities, and the head that makes an embedding of their rows.
type Tower struct {
	Name     string       // part of the names of weights that its modalities share
	Among    []string     // its modalities by name, in sequence order; nil = all
	Dim      int          // width of a row
	Heads    int          // attention heads; a divisor of Dim
	FFN      int          // width of the feed-forward block
	Eps      float64      // epsilon of the norms of the layers and after them
	Act      string       // activation of the feed-forward blocks, one of ir.Activations; "" = gelu
	Causal   bool         // causal attention: a row sees itself and the rows before it
	Layers   []LayerRange // one after the other, from layer 0 to the last
	Final    Sharing      // sharing of the norm after the last layer: shared or pooled; "" = there is none
	Types    int          // rows of the table of modality types: row i is added to all rows of modality i; 0 = no table
	Relative bool         // all layers have a relative position bias
	Reach    int          // longest text of the relative position bias
	Pool     Pool         // how the tower's rows become an embedding, if it has one
}

// Pool describes how the rows of a tower become its embedding. The zero Pool is for a tower without one.
type Pool struct {
	Row    PoolRow
	Norm   PoolNorm // position of the norm after the last layer; "" = no norm
	Dim    int      // width of the embedding
	Direct bool     // there is no projection; Dim is the tower's
	Hidden int      // hidden width of a projection of two linears with the tower's activation between; 0 = one linear
	Heads  int      // heads of the attention of map
	FFN    int      // width of the feed-forward block of map
}

// PoolRow is the way of pooling rows.
type PoolRow string

// The ways to pool.
const (
	PoolFirst PoolRow = "first" // row 0
	PoolLast  PoolRow = "last"  // the last row of the text
	PoolMean  PoolRow = "mean"  // the mean of the rows, without a class row
	PoolMap   PoolRow = "map"   // a learned query attends to all rows, and goes through a feed-forward block
)

// PoolNorm says whether the norm after the last layer comes before or after pooling.
type PoolNorm string

// When the norm after a tower's last layer is applied.
const (
	NormBefore PoolNorm = "before" // all rows, before they are pooled
	NormAfter  PoolNorm = "after"  // the pooled row
)

// of returns the tower of a modality.
func (s *Structure) of(modality string) *Tower {
	all := s.towers()
	i := slices.IndexFunc(all, func(t Tower) bool { return t.has(modality) })
	return &all[i]
}

// towers lists the towers: at least one.
func (s *Structure) towers() []Tower {
	if s.Towers != nil {
		return s.Towers
	}
	return []Tower{s.Tower}
}

// relative reports whether a tower has a relative position bias, which is for pictures of one size.
func (s *Structure) relative() bool {
	return slices.ContainsFunc(s.towers(), func(t Tower) bool { return t.Relative })
}

// has reports whether the tower has the modality.
func (t *Tower) has(modality string) bool {
	return t.Among == nil || slices.Contains(t.Among, modality)
}

// Embedder is the way in which an input becomes rows.
type Embedder string

// The embedders.
const (
	Patch Embedder = "patch" // a convolution over patches of f32[Channels,Height,Width], with a class token in front, plus positions
	Token Embedder = "token" // token ids i32[T], looked up in a table, plus positions
)

// Modality is one kind of input, with its embedding. Its name is also the name of its
// segment, its expert and its entry.
type Modality struct {
	Name     string
	Embedder Embedder

	Height, Width int // patch: size of the input, in pixels or frames; multiples of Patch
	Patch         int // patch: the side of a patch; the product of Stem
	Channels      int // patch: default 3
	Vocab         int // token: rows of the token table
	Positions     int // token: rows of the checkpoint's position table, of which two are unused in torchscale; default 1024

	Anywhere  bool    // no position embedding is added
	Norm      float64 // epsilon of a norm after the embedding; 0 = no norm
	Unused    int     // rows at the start of the checkpoint's position table that are never read
	Classless bool    // patch: there is no class token before the patches
	Rows      int     // token: every text is padded to this many tokens, which all take part in attention; 0 = no padding

	// Stem, of a patch modality, has the sides of squares if patches are embedded in several stages: first squares of pixels,
	// then in each stage squares of the rows of the stage before, each through a linear. All stages but the last have StemDim
	// columns, a quarter of the tower's by default, a norm with epsilon StemNorm (0 = no norm) and the tower's activation.
	Stem     []int
	StemDim  int
	StemNorm float64
}

// stages lists the sides of the squares that are embedded one after the other: those of the stem, or a patch.
func (m *Modality) stages() []int {
	if m.Stem == nil {
		return []int{m.Patch}
	}
	return m.Stem
}

// class returns the number of rows before the patches: 1, the class token, or 0. Patches are in row-major order of a grid of
// Height/Patch rows and Width/Patch columns.
func (m *Modality) class() int {
	if m.Classless {
		return 0
	}
	return 1
}

// fixed returns the number of rows of a patch modality, class token included.
func (m *Modality) fixed() int { return m.Height/m.Patch*(m.Width/m.Patch) + m.class() }

// Len returns the number of values in the input of a patch modality.
func (m *Modality) Len() int { return m.Channels * m.Height * m.Width }

// Sharing is the sharing of a half layer's weights between modalities.
type Sharing string

// The kinds of sharing.
const (
	Shared Sharing = "shared" // all modalities use the same weights
	Pooled Sharing = "pooled" // one expert per modality
	Joint  Sharing = "joint"  // pooled, with further experts that take all rows of a sequence of several modalities
)

// part returns the part of a sharing in the names of the tower's bundles.
func (t *Tower) part(s Sharing) string {
	switch {
	case s != Shared:
		return "*"
	case t.Among == nil:
		return "shared"
	}
	return t.Name
}

// LayerRange describes layers From to To-1.
type LayerRange struct {
	From, To  int
	Attn, FFN Sharing
	Norms     Norms    // default sub
	NormsOf   Sharing  // Shared: the norm before or after a half is one for all modalities and experts; "": as the half's weights
	Gate      bool     // the rows between fc1 and fc2 are multiplied by another linear of the same input, gate
	Scale     bool     // both halves have a layer scale
	Experts   []Expert // experts of halves that are joint; default one called joint, for every sequence
}

// Norms are the norms in a half of a layer.
type Norms string

// The kinds of norms.
const (
	Pre  Norms = "pre"  // before the half
	Sub  Norms = "sub"  // before the half and inside it: before the out projection, and before fc2
	Post Norms = "post" // after the half and its residual addition only
)

// Expert is an expert for whole sequences of exactly the Modalities, or, if that is empty,
// for all sequences without another expert.
type Expert struct {
	Name       string
	Modalities []string
}

// Code is the reference implementation that wrote the checkpoint, which determines the names and splits of tensors.
type Code string

// The codes.
const (
	TorchScale Code = "" // BEiT-3's
	VLMo       Code = "vlmo"
	Contrast   Code = "contrast" // models of towers whose rows are pooled
)

// Keys describes the names of tensors in the checkpoint.
type Keys struct {
	Code    Code
	Layout  string            // name of the layout of its tensors; "" = the code's first
	Prefix  string            // prefix of the trunk's tensors, such as "beit3."
	Experts map[string]string // names of experts in keys, if they differ: A for vision
	Mask    bool              // the checkpoint has the mask embedding of pretraining
	Layers  int               // layers of the checkpoint, if the description has only the first of them; 0 = the same number
}

// word returns the name of an expert in keys.
func (k *Keys) word(expert string) string {
	if w := k.Experts[expert]; w != "" {
		return w
	}
	return expert
}

// Structure returns the long form of the description, which must be complete.
func (d *Description) Structure() Structure {
	s := d.Long
	if d.Family != "" {
		s = familyNamed(d.Family).structure(&d.Sizes)
		// A second image has a modality type of its own.
		if s.Types > 0 && slices.ContainsFunc(d.Tasks, func(t Task) bool { return taskOf(s.Keys.Code, t.Name).second() }) {
			s.Types = max(s.Types, len(s.Modalities)+1)
		}
	}
	s.Keys.Layout = cmp.Or(d.Long.Keys.Layout, s.Keys.Layout)
	if s.Towers == nil {
		z := &d.Sizes
		s.Dim, s.Heads, s.FFN, s.Eps, s.Act = z.Dim, z.Heads, z.FFN, z.Eps, cmp.Or(z.Act, s.Act)
	}
	s.Modalities = slices.Clone(s.Modalities)
	for i := range s.Modalities {
		if m := &s.Modalities[i]; m.Stem != nil {
			m.StemDim = cmp.Or(m.StemDim, max(1, s.of(m.Name).Dim/4))
		}
	}
	return s
}

// Cut returns a description of the first n layers.
func (d *Description) Cut(n int) *Description {
	c := d.clone()
	c.Long = d.Structure()
	c.Preset, c.Family = "", ""
	c.Sizes = Sizes{Dim: d.Sizes.Dim, Heads: d.Sizes.Heads, FFN: d.Sizes.FFN, Eps: d.Sizes.Eps, Layers: min(n, d.Sizes.Layers)}
	c.Long.Layers = cutLayers(c.Long.Layers, n)
	c.Long.Towers = slices.Clone(c.Long.Towers)
	for i := range c.Long.Towers {
		c.Long.Towers[i].Layers = cutLayers(c.Long.Towers[i].Layers, n)
	}
	k := &c.Long.Keys
	k.Layers = cmp.Or(k.Layers, d.Sizes.Layers)
	c.Long.dropExperts()
	c.Precision.Overrides = slices.DeleteFunc(slices.Clone(c.Precision.Overrides), func(k precision.Override) bool { return !c.has(k) })
	return c
}

// cutLayers returns the first n layers.
func cutLayers(layers []LayerRange, n int) (first []LayerRange) {
	for _, r := range layers {
		if r.To = min(r.To, n); r.From < r.To {
			first = append(first, r)
		}
	}
	return first
}

// Small returns a description of the same model for images of at most side times side patches,
// with resized positions. It returns d itself if the images are not larger or the positions
// cannot be resized.
func (d *Description) Small(side int) *Description {
	s := d.Structure()
	larger := func(m *Modality) bool {
		return m.Embedder == Patch && m.Height == m.Width && m.Height > side*m.Patch
	}
	if s.relative() || !slices.ContainsFunc(s.Modalities, func(m Modality) bool { return larger(&m) }) {
		return d
	}
	c := d.clone()
	c.Long, c.Preset, c.Family, c.Interpolate = s, "", "", true
	c.Sizes = Sizes{Dim: d.Sizes.Dim, Heads: d.Sizes.Heads, FFN: d.Sizes.FFN, Eps: d.Sizes.Eps, Layers: d.Sizes.Layers}
	c.Long.Modalities = slices.Clone(s.Modalities)
	for i := range c.Long.Modalities {
		if m := &c.Long.Modalities[i]; larger(m) {
			m.Height, m.Width = side*m.Patch, side*m.Patch
			if c.Preprocess.Size > 0 && m.Name == s.Image().Name {
				c.Preprocess.Size = m.Width
			}
		}
	}
	c.Long.dropExperts()
	return c
}

// dropExperts drops names of experts that do not exist: a family names all that it may have.
func (s *Structure) dropExperts() {
	known := s.experts()
	s.Keys.Experts = maps.Clone(s.Keys.Experts)
	maps.DeleteFunc(s.Keys.Experts, func(e, _ string) bool { return !slices.Contains(known, e) })
}

// experts lists the experts of the modalities, then the joint ones.
func (s *Structure) experts() []string {
	var names []string
	for _, m := range s.Modalities {
		names = append(names, m.Name)
	}
	for _, t := range s.towers() {
		for _, r := range t.Layers {
			for _, e := range r.Experts {
				if !slices.Contains(names, e.Name) {
					names = append(names, e.Name)
				}
			}
		}
	}
	return names
}

// Token returns the token modality, nil if there is none.
func (s *Structure) Token() *Modality { return s.first(Token) }

// Image returns the modality that images go to, the first patch modality; nil if
// there is none.
func (s *Structure) Image() *Modality { return s.first(Patch) }

func (s *Structure) first(e Embedder) *Modality {
	for i := range s.Modalities {
		if s.Modalities[i].Embedder == e {
			return &s.Modalities[i]
		}
	}
	return nil
}

// Vocab returns the number of token ids, 0 without a token modality.
func (s *Structure) Vocab() int {
	if m := s.Token(); m != nil {
		return m.Vocab
	}
	return 0
}

// Bounds of the long form.
const (
	maxModalities = 6 // there are 2^n - 1 entries
	maxWord       = 16
	maxStem       = 8
	maxJoin       = 16 // maxJoin*maxJoin*maxDim columns are at most ir.MaxDim
)

// completeLong fills in the defaults of the long form and checks its own fields.
func (d *Description) completeLong() *problem {
	l := &d.Long
	if n := len(l.Modalities); n < 1 || n > maxModalities {
		return wrong("modalities", " has %d items, want 1 to %d", n, maxModalities)
	}
	if l.Keys.Layout != "" {
		l.Keys.Code = l.Keys.layout().code
	}
	taken := map[string]string{"pair": "an entry", "shared": "a kind of sharing"}
	for _, t := range tasks {
		taken[t.name] = "a task"
	}
	claim := func(name, path string) *problem {
		if !isWord(name) {
			return wrong(path, " is %s, want a word of lower-case letters and digits, a letter first, at most %d", quote(name), maxWord)
		}
		if what := taken[name]; what != "" {
			return wrong(path, " is %s, which is the name of %s; use another", name, what)
		}
		return nil
	}
	l.Modalities = slices.Clone(l.Modalities)
	tokens := -1
	for i := range l.Modalities {
		m, path := &l.Modalities[i], fmt.Sprintf("modalities[%d]", i)
		if m.Name == "" {
			return wrong(path+".name", " is missing; add it")
		}
		if p := claim(m.Name, path+".name"); p != nil {
			return p
		}
		if len(m.Name) > 1 && strings.Trim(m.Name[1:], "0123456789") == "" {
			return wrong(path+".name", " is %s, a letter and a number, which is what the values of a layer are called; use another", quote(m.Name))
		}
		taken[m.Name] = "another modality"
		switch m.Embedder {
		case Patch:
			if l.Keys.Code == TorchScale {
				m.Unused = firstPosition
			}
			m.Channels = cmp.Or(m.Channels, defaultChannels)
			if p := m.completeStem(path); p != nil {
				return p
			}
			for _, f := range []struct {
				name string
				v    int
			}{{"vocab", m.Vocab}, {"positions", m.Positions}} {
				if f.v != 0 {
					return wrong(path+"."+f.name, " is given, but embedder patch has none; remove it")
				}
			}
			for _, f := range []struct {
				name  string
				v, hi int
			}{{"size", m.Height, maxSide}, {"size", m.Width, maxSide}, {"patch", m.Patch, maxPatch}, {"channels", m.Channels, maxChannels}} {
				if f.v == 0 {
					return wrong(path+"."+f.name, " is missing; add it, 1 to %d", f.hi)
				}
				if f.v < 1 || f.v > f.hi {
					return wrong(path+"."+f.name, " is %d, want 1 to %d", f.v, f.hi)
				}
			}
		case Token:
			if tokens >= 0 {
				return wrong(path+".embedder", " is token, like that of modalities[%d]; at most one modality has a variable length", tokens)
			}
			tokens = i
			m.Positions = cmp.Or(m.Positions, defaultPositions)
			for _, f := range []struct {
				name string
				v    int
			}{{"size", m.Height}, {"patch", m.Patch}, {"channels", m.Channels}, {"stem", len(m.Stem)}, {"stem_dim", m.StemDim}} {
				if f.v != 0 {
					return wrong(path+"."+f.name, " is given, but embedder token has none; remove it")
				}
			}
			if m.StemNorm != 0 {
				return wrong(path+".stem_norm", " is given, but embedder token has none; remove it")
			}
			if m.Vocab == 0 {
				return wrong(path+".vocab", " is missing; add it, 1 to %d", maxVocab)
			}
			if m.Vocab < 1 || m.Vocab > maxVocab {
				return wrong(path+".vocab", " is %d, want 1 to %d", m.Vocab, maxVocab)
			}
			if l.Keys.Code == TorchScale {
				m.Unused = firstPosition
			}
			if least := m.Unused + 1; m.Positions < least || m.Positions > maxPositions {
				return wrong(path+".positions", " is %d, want %d to %d", m.Positions, least, maxPositions)
			}
		default:
			return wrong(path+".embedder", " is missing; add it: %s or %s", Patch, Token)
		}
	}
	if l.Towers != nil {
		if p := d.completeTowers(claim); p != nil {
			return p
		}
		return d.completeKeys()
	}
	if l.Similarity != (Similarity{}) {
		return wrong("similarity", " goes with towers; remove it")
	}
	n, p := d.completeLayers(&l.Tower, "", claim)
	if p != nil {
		return p
	}
	if d.Sizes.Layers != 0 && d.Sizes.Layers != n {
		return wrong("sizes.layers", " is %d, but the rows of layers end at %d; leave sizes.layers out", d.Sizes.Layers, n)
	}
	d.Sizes.Layers = n
	return d.completeKeys()
}

// completeStem checks the stem of a patch modality and fills in its side of a patch. path is the modality's.
func (m *Modality) completeStem(path string) *problem {
	if m.Stem == nil {
		switch {
		case m.StemDim != 0:
			return wrong(path+".stem_dim", " goes with stem; remove it")
		case m.StemNorm != 0:
			return wrong(path+".stem_norm", " goes with stem; remove it")
		}
		return nil
	}
	if n := len(m.Stem); n < 2 || n > maxStem {
		return wrong(path+".stem", " has %d items, want 2 to %d; patch is for a single one", n, maxStem)
	}
	patch := 1
	for i, side := range m.Stem {
		most := maxJoin
		if i == 0 {
			most = maxPatch
		}
		if side < 2 || side > most {
			return wrong(fmt.Sprintf("%s.stem[%d]", path, i), " is %d, want 2 to %d", side, most)
		}
		if patch *= side; patch > maxPatch {
			return wrong(path+".stem", " is %v, want a product of at most %d", m.Stem, maxPatch)
		}
	}
	if m.Patch != 0 && m.Patch != patch {
		return wrong(path+".patch", " is %d, want %d, the product of stem; remove it", m.Patch, patch)
	}
	m.Patch = patch
	if m.StemDim < 0 || m.StemDim > maxDim {
		return wrong(path+".stem_dim", " is %d, want 1 to %d", m.StemDim, maxDim)
	}
	if m.StemNorm < 0 || m.StemNorm >= 1 {
		return wrong(path+".stem_norm", " is %v, want a number between 0 and 1", m.StemNorm)
	}
	return nil
}

// completeLayers checks a tower's list of layers and fills in its defaults and the default of the norm after the last layer. above
// is the prefix of the fields' paths. It returns the number of layers.
func (d *Description) completeLayers(l *Tower, above string, claim func(name, path string) *problem) (int, *problem) {
	if len(l.Layers) == 0 {
		return 0, wrong(above+"layers", " is missing; add rows such as {range: 0..%d, attn: shared, ffn: pooled}", max(d.Sizes.Layers, 12))
	}
	l.Layers = slices.Clone(l.Layers)
	next := 0
	for i := range l.Layers {
		r, path := &l.Layers[i], fmt.Sprintf("%slayers[%d]", above, i)
		if r.From != next || r.To <= r.From || r.To > maxLayers {
			return 0, wrong(path+".range", " is %d..%d, want %d..N with N from %d to %d: rows follow each other, and N itself is not in the row", r.From, r.To, next, next+1, maxLayers)
		}
		next = r.To
		for _, h := range []struct {
			name string
			s    Sharing
		}{{"attn", r.Attn}, {"ffn", r.FFN}} {
			if h.s == "" {
				return 0, wrong(path+"."+h.name, " is missing; add it: %s, %s or %s", Shared, Pooled, Joint)
			}
		}
		if r.Norms == "" {
			r.Norms = Sub
		}
		layout := d.Long.Keys.layout()
		for _, f := range []struct {
			name  string
			given bool
			fact  string
		}{{"gate", r.Gate, "gate"}, {"norms_of", r.NormsOf != "", "norms_shared"}} {
			if f.given && !asks(layout.rows, f.fact) {
				return 0, wrong(path+"."+f.name, " is given, but checkpoints of layout %s have no tensors for it; remove it", layout.name)
			}
		}
		if r.Attn != Joint && r.FFN != Joint {
			if r.Experts != nil {
				return 0, wrong(path+".experts", " is given, but neither half is joint; remove it or write `ffn: joint`")
			}
			continue
		}
		if r.Experts == nil {
			r.Experts = []Expert{{Name: "joint"}}
		}
		if p := d.checkExperts(r, path+".experts", claim); p != nil {
			return 0, p
		}
	}
	if last := l.Layers[len(l.Layers)-1]; l.Final == "" && last.Norms != Post {
		if l.Final = last.Attn; l.Final == Joint {
			l.Final = Pooled
		}
	}
	return next, nil
}

func (d *Description) checkExperts(r *LayerRange, path string, claim func(name, path string) *problem) *problem {
	if len(d.Long.Modalities) < 2 {
		return wrong(path, ": a joint expert is for sequences of several modalities, and there is one; write pooled or shared")
	}
	var known []string
	for _, m := range d.Long.Modalities {
		known = append(known, m.Name)
	}
	for i, e := range r.Experts {
		if p := claim(e.Name, path); p != nil {
			return p
		}
		for _, m := range e.Modalities {
			if !slices.Contains(known, m) {
				return wrong(path, ".%s: %s", e.Name, unknown("modality", m, known))
			}
		}
		set := sorted(e.Modalities)
		if e.Modalities != nil && (len(slices.Compact(slices.Clone(set))) != len(set) || len(set) < 2) {
			return wrong(path, ".%s is [%s], want two or more different modalities", e.Name, strings.Join(e.Modalities, ", "))
		}
		for _, f := range r.Experts[:i] {
			if slices.Equal(set, sorted(f.Modalities)) {
				return wrong(path, ": %s and %s are for the same sequences; remove one", f.Name, e.Name)
			}
		}
	}
	return nil
}

func (d *Description) completeKeys() *problem {
	k := &d.Long.Keys
	if len(k.Prefix) > 64 {
		return wrong("keys.prefix", " has %d bytes, want at most 64", len(k.Prefix))
	}
	known := d.Long.experts()
	words := map[string]string{}
	for _, e := range known {
		w := k.word(e)
		if len(w) > 64 {
			return wrong("keys."+e, " has %d bytes, want at most 64", len(w))
		}
		if other := words[w]; other != "" {
			return wrong("keys."+e, " is %s, which is what %s is called", quote(w), other)
		}
		words[w] = e
	}
	for _, e := range slices.Sorted(maps.Keys(k.Experts)) {
		if !slices.Contains(known, e) {
			return wrong("keys."+e, ": %s", unknown("expert", e, known))
		}
	}
	return nil
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

// isWord reports whether s can be the name of a modality or an expert.
func isWord(s string) bool {
	if s == "" || len(s) > maxWord || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}
