package model

import (
	"cmp"
	"fmt"
	"go/token"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/ir/precision"
)

// sizeRow is one number of Sizes: its name in YAML, its bounds and its documentation.
type sizeRow struct {
	name   string
	lo, hi int
	def    int // 0 = must be given, if it may not be 0; below 0 = as many times dim
	get    func(*Sizes) *int
	what   sizeKind // which descriptions have it

	doc, without, example string // as of a field
}

type sizeKind uint8

const (
	anySize   sizeKind = iota
	inputSize          // families; the long form says it in modalities
	jointSize          // families with joint experts
	biasSize           // families that may have a relative position bias
)

var sizeTable = []sizeRow{
	{"dim", 1, 1 << 16, 0, func(s *Sizes) *int { return &s.Dim }, anySize,
		"width of a row", "", "768"},
	{"heads", 1, 1 << 12, 0, func(s *Sizes) *int { return &s.Heads }, anySize,
		"attention heads, a divisor of dim: no tensor tells them, and a wrong number answers wrongly; " + torchscaleHeads + " in BEiT-3's code, num_heads in VLMo's", "", "12"},
	{"ffn", 1, 1 << 18, -4, func(s *Sizes) *int { return &s.FFN }, anySize,
		"width of the feed-forward block", "four times dim", "3072"},
	{"layers", 1, maxLayers, 0, func(s *Sizes) *int { return &s.Layers }, anySize,
		"number of layers", "must be given; the long form's follow from its rows", "12"},
	{"image", 1, maxSide, 0, func(s *Sizes) *int { return &s.Image }, inputSize,
		"side of the model's picture in pixels, a multiple of patch; another than the checkpoint's wants interpolate", "", "384"},
	{"patch", 1, maxPatch, 0, func(s *Sizes) *int { return &s.Patch }, inputSize,
		"side of a patch in pixels", "", "16"},
	{"channels", 1, maxChannels, defaultChannels, func(s *Sizes) *int { return &s.Channels }, inputSize,
		"colours of a pixel", "", "3"},
	{"vocab", 1, maxVocab, 0, func(s *Sizes) *int { return &s.Vocab }, inputSize,
		"rows of the table of ids", "", "64010"},
	{"positions", 1, maxPositions, defaultPositions, func(s *Sizes) *int { return &s.Positions }, inputSize,
		"rows of the checkpoint's table of positions of texts, two of them unused, but in vlmo none", "in vlmo 40", "1024"},
	{"vl_layers", 0, maxLayers, 0, func(s *Sizes) *int { return &s.VLLayers }, jointSize,
		"mwt, vlmo: layers at the top with an expert for pairs", "", "3"},
	{"reach", 0, maxPositions, 0, func(s *Sizes) *int { return &s.Reach }, biasSize,
		"vlmo: longest text that the relative position bias is made for; 0 is no bias", "", "196"},
	{"types", 0, maxTypes, 0, func(s *Sizes) *int { return &s.Types }, biasSize,
		"vlmo: rows of the checkpoint's table of types; 0 is 2, or 3 with task nlvr2", "", "3"},
}

// Bounds on sizes.
const (
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

// Bounds that no single field shows.
const (
	maxPatches    = 1 << 16
	maxClasses    = 1 << 20
	maxRows       = 1 << 20
	maxPixels     = 1 << 30
	maxParameters = 1 << 38
	firstPosition = 2 // rows 0 and 1 of a position table are never read
)

// SetPrecision changes the precision of everything to one that is built.
func (d *Description) SetPrecision(word string) error {
	m := precision.Uniform(word)
	if err := m.Check(); err != nil {
		return err
	}
	d.Precision = m
	return nil
}

// completePrecision checks that every module that is named is there. The rest of the
// description must be complete.
func (d *Description) completePrecision() *problem {
	if d.Precision.Default == "" {
		d.Precision.Default = precision.F32
	}
	for _, k := range d.Precision.Keep {
		path := "precision.keep." + k.Module
		if err := k.Check(); err != nil {
			return &problem{path, fmt.Sprintf("precision.keep: %v", err)}
		}
		if !d.keeps(k) {
			return &problem{path, fmt.Sprintf("precision.keep: no matrix or table of the model is called %s; names are such as l0, l%d.ffn, l0.attn.out, %s",
				k.Module, d.Sizes.Layers-1, d.Structure().Modalities[0].Name+".embed")}
		}
	}
	if err := d.Precision.Check(); err != nil {
		return &problem{"precision", err.Error()}
	}
	return nil
}

// keeps reports whether a matrix or table of the model is of the module.
func (d *Description) keeps(k precision.Keep) bool {
	for name, s := range d.trunk().state.weights {
		if len(s.shape) == 2 && strings.HasSuffix(name, ".w") && k.Names(name) {
			return true
		}
	}
	return false
}

// problem is an error about a field, before it is known where the field stood.
type problem struct {
	path, text string
}

func (p *problem) Error() string { return p.text }

func wrong(path, format string, args ...any) *problem {
	return &problem{path, path + fmt.Sprintf(format, args...)}
}

// complete fills in the defaults and checks every field; with built, also that
// everything asked for is built. It may be called again.
func (d *Description) complete(built bool) *problem {
	for _, f := range []func() *problem{
		d.completeFamily, d.completeSizes, d.completeTasks,
		func() *problem {
			if built {
				return d.unbuilt()
			}
			return nil
		},
		d.completeEntries, d.completeLimits, d.completePreprocess, d.completeName, d.completeSource, d.completePrecision,
	} {
		if p := f(); p != nil {
			return p
		}
	}
	return nil
}

func (d *Description) completeSource() *problem {
	if d.Checkpoint != "" && d.Seed != nil {
		return wrong("seed", " and checkpoint are both given; the weights come from one of them: remove the other")
	}
	return nil
}

// unbuilt names the first task that is not built yet.
func (d *Description) unbuilt() *problem {
	for i, t := range d.Tasks {
		if d.task(t.Name).functions == nil {
			path := fmt.Sprintf("tasks[%d]", i)
			if d.Preset != "" {
				return &problem{path, fmt.Sprintf("task %s (preset %s) is not built yet; built tasks are %s", t.Name, d.Preset, strings.Join(d.builtTasks(), ", "))}
			}
			return &problem{path, fmt.Sprintf("task %s is not built yet; built tasks are %s", t.Name, strings.Join(d.builtTasks(), ", "))}
		}
	}
	return nil
}

func (d *Description) completeFamily() *problem {
	if d.Preset != "" {
		p, err := findPreset(d.Preset)
		if err != nil {
			return &problem{"preset", err.Error()}
		}
		switch {
		case d.Family != "" && d.Family != p.Family:
			return wrong("family", " is %s, but preset %s is of family %s; remove one of the two", d.Family, d.Preset, p.Family)
		case d.Sizes == (Sizes{}):
			d.Sizes = p.Sizes
		case d.Sizes == (Sizes{Image: d.Sizes.Image}):
			image := d.Sizes.Image
			d.Sizes = p.Sizes
			d.Sizes.Image = image
		}
		other := p.Sizes
		other.Image = d.Sizes.Image
		switch {
		case d.Sizes != other:
			return wrong("sizes", " and preset are both given, and preset %s has sizes of its own; of them only image can be changed; for other sizes use family and sizes", d.Preset)
		case d.Sizes != p.Sizes && !d.Interpolate:
			return wrong("sizes.image", " is %d, but preset %s is for pictures of %d; add `interpolate: true` to resize its position table", d.Sizes.Image, d.Preset, p.Sizes.Image)
		}
		d.Family = p.Family
	}
	if d.Long.Modalities != nil || d.Long.Layers != nil {
		if d.Family != "" {
			what := "family"
			if d.Preset != "" {
				what = "preset"
			}
			return wrong(what, " and modalities or layers are both given; %s %s says them already: remove one of the two", what, cmp.Or(d.Preset, d.Family))
		}
		return nil
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"final", d.Long.Final != ""}, {"keys", d.Long.Keys.Prefix != "" || d.Long.Keys.Experts != nil}} {
		if f.given {
			return wrong(f.name, " goes with modalities and layers; remove it")
		}
	}
	if d.Family == "" {
		return wrong("family", " is missing; give a preset, or a family (%s) and its sizes, or modalities and layers", strings.Join(builtFamilies(), ", "))
	}
	row := familyNamed(d.Family)
	if row == nil {
		return wrong("family", ": %s", unknown("family", d.Family, familyNames()))
	}
	// A family's sizes are read by its own row, so nothing more can be said without one.
	if row.structure == nil {
		return wrong("family", " %s is not built yet; built families are %s", d.Family, strings.Join(builtFamilies(), ", "))
	}
	return nil
}

// long reports whether the description is in the long form.
func (d *Description) long() bool { return d.Family == "" }

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
	for _, r := range sizeTable {
		v := r.get(s)
		if r.what != anySize && d.long() || r.what == jointSize && !familyNamed(d.Family).joint || r.what == biasSize && !familyNamed(d.Family).bias {
			switch {
			case *v == 0:
				continue
			case d.long():
				return wrong("sizes."+r.name, " is given, but the long form says it in modalities and layers; remove it")
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
	if m, least := t.Token(), t.Keys.Code.unused()+1; m != nil && m.Positions < least {
		return wrong("sizes.positions", " is %d, want %d to %d", m.Positions, least, maxPositions)
	}
	for i, m := range t.Modalities {
		size, patch := "sizes.image", "sizes.patch"
		if d.long() {
			size, patch = fmt.Sprintf("modalities[%d].size", i), fmt.Sprintf("modalities[%d].patch", i)
		}
		if m.Embedder == Patch {
			if p := m.checkPatches(size, patch); p != nil {
				return p
			}
		}
	}
	if n := t.parameters(s); n > maxParameters {
		return wrong("sizes", " give %d parameters; want at most %d", n, int64(maxParameters))
	}
	return nil
}

// checkPatches checks the input of a patch modality, whose fields are called size and patch.
func (m *Modality) checkPatches(size, patch string) *problem {
	for _, side := range []int{m.Height, m.Width} {
		if side%m.Patch != 0 {
			return wrong(size, " is %d, want a multiple of %s, which is %d; the nearest are %d and %d",
				side, patch, m.Patch, max(1, side/m.Patch)*m.Patch, (side/m.Patch+1)*m.Patch)
		}
	}
	if n := m.fixed() - 1; n > maxPatches {
		side := strconv.Itoa(m.Height)
		if m.Width != m.Height {
			side += " x " + strconv.Itoa(m.Width)
		}
		return wrong(size, " is %s with patches of %d, which gives %d patches; want at most %d", side, m.Patch, n, maxPatches)
	}
	return nil
}

// parameters estimates the size from the large tensors. With every size inside its
// bounds the sum stays far below the range of int64.
func (t *Structure) parameters(s *Sizes) int64 {
	d, f := int64(s.Dim), int64(s.FFN)
	n := int64(0)
	for _, r := range t.Layers {
		copies := func(s Sharing) int64 {
			switch s {
			case Shared:
				return 1
			case Joint:
				return int64(len(t.Modalities) + len(r.Experts))
			}
			return int64(len(t.Modalities))
		}
		n += int64(r.To-r.From) * (copies(r.Attn)*4*d*d + copies(r.FFN)*2*d*f)
	}
	for _, m := range t.Modalities {
		rows := m.Vocab + m.Positions
		if m.Embedder == Patch {
			rows = m.fixed() + m.Channels*m.Patch*m.Patch
		}
		n += d * int64(rows)
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
			return wrong(path, ": %s", unknown("task", t.Name, d.taskNames()))
		}
		if t.Norm != nil && !row.has("norm") {
			return wrong(path+"."+t.Name+".norm", " is given, but the models of this family always have the norm; remove it")
		}
		if j := slices.IndexFunc(d.Tasks, func(u Task) bool { return u.Name == t.Name }); j < i {
			return wrong(path, ": task %s is given twice; remove one", t.Name)
		}
		// A head with classes has as many as the released file, unless told otherwise.
		if row.has("classes") && preset != nil && preset.Task == t.Name && t.Classes == 0 && t.Labels == "" {
			t.Classes = preset.Classes
		}
		if row.has("norm") && t.Norm == nil {
			norm := preset == nil || preset.Task == t.Name || d.task(preset.Task).norm(nil)
			t.Norm = &norm
		}
		if t.Classes == 0 && t.Labels == "" {
			t.Classes = row.classes
		}
		if row.check != nil {
			if p := row.check(t, path); p != nil {
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
			return wrong(fmt.Sprintf("tasks[%d]", i), ": task %s needs other modalities than those there are", t.Name)
		}
		return wrong("entries", " has none of task %s (tasks[%d]), which has %s; add one of them or remove the task", t.Name, i, strings.Join(takes, ", "))
	}
	return nil
}

func (d *Description) completeLimits() *problem {
	l, t := &d.Limits, d.Structure()
	if m := t.Token(); m != nil {
		unused := t.Keys.Code.unused()
		longest, rest := m.Positions-unused, ""
		if d.Captions() {
			longest, rest = longest-captionRows, fmt.Sprintf(", and a caption's last step takes %d more than its text", captionRows)
		}
		if t.Reach > 0 {
			longest = min(longest, t.Reach)
		}
		if l.Text == 0 {
			l.Text = min(defaultText, longest)
		}
		if l.Text < 1 || l.Text > longest {
			name := "sizes.positions"
			if d.long() {
				name = "positions of " + m.Name
			}
			if longest == t.Reach {
				return wrong("limits.text", " is %d, want 1 to %d, which is how far the relative position bias reaches", l.Text, longest)
			}
			return wrong("limits.text", " is %d, want 1 to %d: %s is %d and its first %d rows are not used%s", l.Text, longest, name, m.Positions, unused, rest)
		}
	} else if l.Text != 0 {
		return wrong("limits.text", " is given, but no modality is of tokens; remove it")
	}
	fixed, what := 0, "picture"
	for _, m := range t.Modalities {
		if m.Embedder == Patch && m.fixed() > fixed {
			fixed = m.fixed()
			if d.long() {
				what = m.Name + " input"
			}
		}
	}
	need := max(fixed, l.Text)
	if l.Rows == 0 {
		l.Rows = max(defaultRows, need)
	}
	if l.Rows < need || l.Rows > maxRows {
		return wrong("limits.rows", " is %d, want %d to %d: one %s has %d rows and the longest text %d", l.Rows, need, maxRows, what, fixed, l.Text)
	}
	if p := d.completeGeneration(); p != nil {
		return p
	}
	if l.Pixels < 0 || l.Pixels > maxPixels {
		return wrong("limits.pixels", " is %d, want 1 to %d", l.Pixels, maxPixels)
	}
	return nil
}

// completeGeneration checks the limits on captions.
func (d *Description) completeGeneration() *problem {
	l, t := &d.Limits, d.Structure()
	if !d.Captions() {
		switch {
		case l.MaxNew != 0:
			return wrong("limits.max_new", " is given, but there is no task captioning; add it or remove the field")
		case l.Ban != nil:
			return wrong("limits.ban", " is given, but there is no task captioning; add it or remove the field")
		}
		return nil
	}
	if l.Text < 2 {
		return wrong("limits.text", " is %d, want 2 at least: a caption is <s> and a word", l.Text)
	}
	if l.MaxNew == 0 {
		l.MaxNew = l.Text - 1
	}
	if l.MaxNew < 1 || l.MaxNew > l.Text-1 {
		return wrong("limits.max_new", " is %d, want 1 to %d: limits.text is %d, <s> included", l.MaxNew, l.Text-1, l.Text)
	}
	vocab := t.Vocab()
	for i, b := range l.Ban {
		if b.From < 0 || b.To <= b.From || b.To > vocab {
			return wrong(fmt.Sprintf("limits.ban[%d]", i), " is %d..%d, want FROM..TO with ids below %d; TO itself is not banned", b.From, b.To, vocab)
		}
	}
	return nil
}

// The two ways in which the released models were fed, both by Pillow's convert("RGB"),
// which drops alpha.
var (
	half     = Preprocess{Resize: "stretch", Alpha: "drop", Mean: []float64{0.5}, Std: []float64{0.5}}
	imageNet = Preprocess{Resize: "crop", Alpha: "drop", Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}
)

func (d *Description) completePreprocess() *problem {
	p, def := &d.Preprocess, half
	t := d.Structure()
	m := t.Picture()
	if m == nil || m.Height != m.Width {
		if p.Resize != "" || p.Size != 0 || p.Alpha != "" || p.Mean != nil || p.Std != nil {
			return wrong("preprocess", " is given, but no modality takes square pictures; remove it")
		}
		return nil
	}
	if row, _ := findPreset(d.Preset); row != nil {
		def = row.Preprocess
	}
	if p.Resize == "" {
		p.Resize = def.Resize
	}
	if p.Alpha == "" {
		p.Alpha = def.Alpha
	}
	if p.Size == 0 {
		p.Size = m.Height
	}
	if p.Size != m.Height {
		return wrong("preprocess.size", " is %d, want %d, the side of the model's picture", p.Size, m.Height)
	}
	for _, v := range []struct {
		path string
		v    *[]float64
		def  []float64
		lo   float64
	}{{"preprocess.mean", &p.Mean, def.Mean, -1e3}, {"preprocess.std", &p.Std, def.Std, 1e-6}} {
		if *v.v == nil {
			*v.v = slices.Clone(v.def)
		}
		if len(*v.v) == 1 {
			*v.v = slices.Repeat(*v.v, m.Channels)
		}
		if len(*v.v) != m.Channels {
			return wrong(v.path, " has %d numbers, want 1 or %d, one a channel", len(*v.v), m.Channels)
		}
		for _, x := range *v.v {
			if math.IsNaN(x) || x < v.lo || x > 1e3 {
				return wrong(v.path, " holds %v, want %v to 1000", x, v.lo)
			}
		}
	}
	return nil
}

func (d *Description) completeName() *problem {
	if d.Name == "" {
		switch {
		case d.Preset != "":
			d.Name = strings.ReplaceAll(d.Preset, "-", "_")
		case d.File != "":
			d.Name = NameOf(d.File)
		default:
			d.Name = defaultName
		}
	}
	if len(d.Name) > 64 || identifier(d.Name) != d.Name {
		return wrong("name", " is %s, want the name of a Go package to import: lower-case letters, digits and _, a letter first, at most 64; for example %s", quote(d.Name), identifier(d.Name))
	}
	return nil
}

// NameOf returns what a description calls its model for want of a name: like the file, or,
// where that says no more than model, like the folder it is in. It is the name of a Go package.
func NameOf(path string) string {
	path = strings.TrimSuffix(path, ".index.json")
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	base, folder := filepath.Base(abs), filepath.Base(filepath.Dir(abs))
	for _, s := range []string{strings.TrimSuffix(base, filepath.Ext(base)), folder} {
		if name := identifier(s); name != defaultName {
			return name
		}
	}
	return "my" + defaultName
}

// defaultName is the name of what has none: a word that says nothing of a model.
const defaultName = "model"

// identifier makes a Go package name of s, defaultName where nothing in it can be one.
func identifier(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, s[:min(len(s), 64)])
	s = strings.TrimLeft(s, "_0123456789")
	s = strings.TrimSuffix(s, "_test") // which go takes for a test of another package
	if s == "" || s == "main" || token.IsKeyword(s) {
		return defaultName
	}
	return s
}
