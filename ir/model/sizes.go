package model

import (
	"cmp"
	"fmt"
	"strconv"
)

// sizeRow describes one number of Sizes: its name in YAML, its bounds and its documentation.
type sizeRow struct {
	name   string
	lo, hi int
	def    int // default; 0 = it must be given, unless 0 is valid; -n = n times dim
	get    func(*Sizes) *int
	what   sizeKind // kind of descriptions that have it

	doc, without, example string // see field
}

type sizeKind uint8

const (
	anySize   sizeKind = iota
	inputSize          // families; the long form has it in modalities
	tokenSize          // families with texts; the long form has it in modalities
	jointSize          // families with joint experts
	biasSize           // families that may have a relative position bias
	textSize           // families with a tower for texts
)

var sizeTable = []sizeRow{
	{"dim", 1, maxDim, 0, func(s *Sizes) *int { return &s.Dim }, anySize,
		"width of a row", "", "768"},
	{"heads", 1, maxHeads, 0, func(s *Sizes) *int { return &s.Heads }, anySize,
		"attention heads, a divisor of dim: tensors do not determine it, and a wrong number gives wrong results; " + torchscaleHeads + " in BEiT-3's code, num_heads in VLMo's", "", "12"},
	{"ffn", 1, maxFFN, -4, func(s *Sizes) *int { return &s.FFN }, anySize,
		"width of the feed-forward block", "four times dim", "3072"},
	{"layers", 1, maxLayers, 0, func(s *Sizes) *int { return &s.Layers }, anySize,
		"number of layers", "must be given; in the long form the layers give it", "12"},
	{"image", 1, maxSide, 0, func(s *Sizes) *int { return &s.Image }, inputSize,
		"side of the model's picture in pixels, a multiple of patch; if it is not the checkpoint's, interpolate is needed", "", "384"},
	{"patch", 1, maxPatch, 0, func(s *Sizes) *int { return &s.Patch }, inputSize,
		"side of a patch in pixels", "", "16"},
	{"channels", 1, maxChannels, defaultChannels, func(s *Sizes) *int { return &s.Channels }, inputSize,
		"colours per pixel", "", "3"},
	{"vocab", 1, maxVocab, 0, func(s *Sizes) *int { return &s.Vocab }, tokenSize,
		"size of the vocabulary", "", "64010"},
	{"positions", 1, maxPositions, defaultPositions, func(s *Sizes) *int { return &s.Positions }, tokenSize,
		"rows of the checkpoint's position table of texts, of which two are unused, except in vlmo", "in vlmo 40", "1024"},
	{"vl_layers", 0, maxLayers, 0, func(s *Sizes) *int { return &s.VLLayers }, jointSize,
		"mwt, vlmo: number of top layers with an expert for pairs", "", "3"},
	{"reach", 0, maxPositions, 0, func(s *Sizes) *int { return &s.Reach }, biasSize,
		"vlmo: longest text that the relative position bias covers; 0 = no bias", "", "196"},
	{"types", 0, maxTypes, 0, func(s *Sizes) *int { return &s.Types }, biasSize,
		"vlmo: rows of the checkpoint's table of modality types; 0 = 2, or 3 with task nlvr2", "", "3"},
	{"embed", 1, maxDim, 0, func(s *Sizes) *int { return &s.Embed }, textSize,
		"clip and its kin: width of an embedding", "must be given; in siglip dim", "512"},
}

// Bounds on sizes.
const (
	maxDim           = 1 << 16
	maxHeads         = 1 << 12
	maxFFN           = 1 << 18
	maxLayers        = 512
	maxSide          = 1 << 13
	maxPatch         = 1 << 10
	maxChannels      = 64
	maxVocab         = 1 << 24
	maxPositions     = 1 << 20
	defaultChannels  = 3
	defaultPositions = 1024
	defaultText      = 64
	defaultRows      = 2048
	maxTypes         = 16
)

// Bounds of several fields together.
const (
	maxPatches    = 1 << 16
	maxClasses    = 1 << 20
	maxRows       = 1 << 20
	maxPixels     = 1 << 30
	maxParameters = 1 << 38
	firstPosition = 2 // rows 0 and 1 of a position table are never read
)

func (d *Description) completeSizes() *problem {
	s := &d.Sizes
	if d.long() {
		if p := d.completeLong(); p != nil {
			return p
		}
	} else {
		row := familyNamed(d.Family)
		s.Positions = cmp.Or(s.Positions, row.positions)
		if s.Eps == 0 {
			s.Eps = row.eps
		}
		for _, f := range []struct {
			name  string
			given bool
		}{{"absolute", s.Absolute}, {"scale", s.Scale}} {
			if f.given && !row.bias {
				return wrong("sizes."+f.name, " is given, but it is the same in all models of family %s; remove it", d.Family)
			}
		}
	}
	if p := d.completeTextSizes(); p != nil {
		return p
	}
	if d.Long.Towers != nil { // towers have sizes of their own, which are checked already
		first := d.Long.Towers[0]
		last := first.Layers[len(first.Layers)-1].To
		if want := (Sizes{Dim: first.Dim, Heads: first.Heads, FFN: first.FFN, Eps: first.Eps, Layers: last}); *s != (Sizes{}) && *s != want {
			return wrong("sizes", " are given, but each tower has its own; remove them")
		}
		s.Dim, s.Heads, s.FFN, s.Eps, s.Layers = first.Dim, first.Heads, first.FFN, first.Eps, last
	}
	for _, r := range sizeTable {
		v := r.get(s)
		if r.what != anySize && d.long() || r.what == jointSize && !familyNamed(d.Family).joint || r.what == biasSize && !familyNamed(d.Family).bias || r.what == textSize && familyNamed(d.Family).text == "" || r.what == tokenSize && familyNamed(d.Family).alone {
			switch {
			case *v == 0:
				continue
			case d.long():
				return wrong("sizes."+r.name, " is given, but the long form says it in modalities and layers; remove it")
			case r.what == tokenSize:
				return wrong("sizes."+r.name, " is given, but family %s has no texts; remove it", d.Family)
			case r.what == textSize:
				return wrong("sizes."+r.name, " is given, but family %s has no tower for texts; remove it", d.Family)
			case r.what == biasSize:
				return wrong("sizes."+r.name, " is given, but family %s has no relative position bias; remove it", d.Family)
			}
			return wrong("sizes."+r.name, " is given, but family %s has no joint experts; remove it", d.Family)
		}
		if *v == 0 {
			switch {
			case r.def > 0:
				*v = r.def
			case r.def < 0:
				*v = -r.def * s.Dim
			case r.lo > 0:
				return wrong("sizes."+r.name, " is missing; add it, %d to %d", r.lo, r.hi)
			}
		}
		if *v < r.lo || *v > r.hi {
			return wrong("sizes."+r.name, " is %d, want %d to %d", *v, r.lo, r.hi)
		}
	}
	if s.Eps == 0 {
		s.Eps = 1e-5
	}
	if !(s.Eps > 0 && s.Eps < 1) {
		return wrong("sizes.eps", " is %v, want a number between 0 and 1", s.Eps)
	}
	if s.Dim%s.Heads != 0 {
		return wrong("sizes.heads", " is %d, want a divisor of sizes.dim, which is %d%s", s.Heads, s.Dim, nearDivisors(s.Dim, s.Heads))
	}
	if s.VLLayers > s.Layers {
		return wrong("sizes.vl_layers", " is %d, want at most sizes.layers, which is %d", s.VLLayers, s.Layers)
	}
	t := d.Structure()
	if d.Interpolate && t.relative() {
		return wrong("interpolate", " is true, but the checkpoint's relative position bias is for pictures of one size and is not resized; remove it, and the other size")
	}
	if m := t.Token(); m != nil && m.Positions <= m.Unused {
		return wrong("sizes.positions", " is %d, want %d to %d", m.Positions, m.Unused+1, maxPositions)
	}
	for i, m := range t.Modalities {
		size, patch := "sizes.image", "sizes.patch"
		if d.long() {
			size, patch = fmt.Sprintf("modalities[%d].size", i), fmt.Sprintf("modalities[%d].patch", i)
			if m.Stem != nil {
				patch = fmt.Sprintf("the product of modalities[%d].stem", i)
			}
		}
		if m.Embedder == Patch {
			if p := m.checkPatches(size, patch, t.Keys.Code == Contrast && m.Stem == nil); p != nil {
				return p
			}
		}
	}
	if n := t.parameters(); n > maxParameters {
		return wrong("sizes", " give %d parameters; want at most %d", n, int64(maxParameters))
	}
	return nil
}

// completeTextSizes fills in and checks the sizes that only families with a text tower have.
func (d *Description) completeTextSizes() *problem {
	s := &d.Sizes
	row := familyNamed(d.Family)
	if row == nil || row.text == "" {
		if s.Text != (TowerSizes{}) {
			return wrong("sizes.text", " is given, but family %s has no tower for texts; remove it", d.Family)
		}
		if s.Act != "" && !d.long() {
			return wrong("sizes.act", " is given, but the activation of family %s is gelu; remove it", d.Family)
		}
		return nil
	}
	t := &s.Text
	s.Act, t.Act = cmp.Or(s.Act, row.act), cmp.Or(t.Act, row.text)
	if row.direct {
		if s.Embed != 0 && s.Embed != s.Dim {
			return wrong("sizes.embed", " is %d, want sizes.dim, which is %d: embeddings of family %s are as wide as its pictures' rows", s.Embed, s.Dim, d.Family)
		}
		s.Embed = s.Dim
	}
	w := Tower{Dim: t.Dim, Heads: t.Heads, FFN: t.FFN, Act: t.Act}
	if p := w.completeSizes("sizes.text."); p != nil {
		return p
	}
	t.FFN = w.FFN
	if t.Layers == 0 {
		return wrong("sizes.text.layers", " is missing; add it, 1 to %d", maxLayers)
	}
	if t.Layers < 0 || t.Layers > maxLayers {
		return wrong("sizes.text.layers", " is %d, want 1 to %d", t.Layers, maxLayers)
	}
	return nil
}

// checkPatches checks the input of a patch modality; size and patch are the paths of its fields. If rest is set, pixels after the
// last whole patch are allowed and not read. All rows of a stem's first stage count as patches.
func (m *Modality) checkPatches(size, patch string, rest bool) *problem {
	for _, side := range []int{m.Height, m.Width} {
		if rest && side < m.Patch || !rest && side%m.Patch != 0 {
			return wrong(size, " is %d, want a multiple of %s, which is %d; the nearest are %d and %d",
				side, patch, m.Patch, max(1, side/m.Patch)*m.Patch, (side/m.Patch+1)*m.Patch)
		}
	}
	first := m.stages()[0]
	if n := m.Height / first * (m.Width / first); n > maxPatches {
		side := strconv.Itoa(m.Height)
		if m.Width != m.Height {
			side += " x " + strconv.Itoa(m.Width)
		}
		return wrong(size, " is %s with patches of %d, which gives %d patches; want at most %d", side, first, n, maxPatches)
	}
	return nil
}

// parameters estimates the number of parameters from the large tensors. If every size is
// within its bounds, the sum fits an int64.
func (t *Structure) parameters() int64 {
	n := int64(0)
	for _, w := range t.towers() {
		d, f, modalities := int64(w.Dim), int64(w.FFN), 0
		for _, m := range t.Modalities {
			if w.has(m.Name) {
				rows := m.Vocab + m.Positions
				if m.Embedder == Patch {
					rows = m.fixed()
					in, stages := m.Channels, m.stages()
					for _, side := range stages[:len(stages)-1] {
						n += int64(m.StemDim) * int64(in) * int64(side*side)
						in = m.StemDim
					}
					last := stages[len(stages)-1]
					n += d * int64(in) * int64(last*last)
				}
				n += d * int64(rows)
				modalities++
			}
		}
		for _, r := range w.Layers {
			copies := func(s Sharing) int64 {
				switch s {
				case Shared:
					return 1
				case Joint:
					return int64(modalities + len(r.Experts))
				}
				return int64(modalities)
			}
			n += int64(r.To-r.From) * (copies(r.Attn)*4*d*d + copies(r.FFN)*2*d*f)
		}
	}
	return n
}

func nearDivisors(n, k int) string {
	lo, hi := min(k, n), k
	for n%lo != 0 {
		lo--
	}
	for hi < n && n%hi != 0 {
		hi++
	}
	if hi > n || n%hi != 0 || lo == hi {
		return fmt.Sprintf("; the nearest is %d", lo)
	}
	return fmt.Sprintf("; the nearest are %d and %d", lo, hi)
}
