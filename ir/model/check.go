package model

import (
	"fmt"
	"go/token"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// sizeRow is one number of Sizes: its name in YAML and its bounds.
type sizeRow struct {
	name   string
	lo, hi int
	def    int // 0 = must be given
	get    func(*Sizes) *int
}

var sizeTable = []sizeRow{
	{"dim", 1, 1 << 16, 0, func(s *Sizes) *int { return &s.Dim }},
	{"heads", 1, 1 << 12, 0, func(s *Sizes) *int { return &s.Heads }},
	{"ffn", 1, 1 << 18, -4, func(s *Sizes) *int { return &s.FFN }},
	{"layers", 1, 512, 0, func(s *Sizes) *int { return &s.Layers }},
	{"image", 1, 1 << 13, 0, func(s *Sizes) *int { return &s.Image }},
	{"patch", 1, 1 << 10, 0, func(s *Sizes) *int { return &s.Patch }},
	{"channels", 1, 64, 3, func(s *Sizes) *int { return &s.Channels }},
	{"vocab", 1, 1 << 24, 0, func(s *Sizes) *int { return &s.Vocab }},
	{"positions", 3, 1 << 20, 1024, func(s *Sizes) *int { return &s.Positions }},
}

// Bounds on sizes that no single field shows.
const (
	maxPatches    = 1 << 16
	maxClasses    = 1 << 20
	maxRows       = 1 << 20
	maxPixels     = 1 << 30
	maxParameters = 1 << 38
	firstPosition = 2 // rows 0 and 1 of a position table are never read
)

// precisions are the values of `precision`; only the first is built.
var precisions = []string{"f32", "bf16", "f16", "bf16dot", "int8", "int8full"}

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
		d.completeEntries, d.completeLimits, d.completePreprocess, d.completeName, d.completeSource,
	} {
		if p := f(); p != nil {
			return p
		}
	}
	if built && d.Precision != precisions[0] {
		return wrong("precision", " %s is not built yet; use %s", d.Precision, precisions[0])
	}
	return nil
}

func (d *Description) completeSource() *problem {
	if d.Checkpoint != "" && d.Seed != nil {
		return wrong("seed", " and checkpoint are both given; the weights come from one of them: remove the other")
	}
	if d.Precision == "" {
		d.Precision = precisions[0]
	}
	if !slices.Contains(precisions, d.Precision) {
		return wrong("precision", ": %s", unknown("precision", d.Precision, precisions))
	}
	return nil
}

// unbuilt names the first task that is not built yet.
func (d *Description) unbuilt() *problem {
	for i, t := range d.Tasks {
		if taskNamed(t.Name).lower == nil {
			path := fmt.Sprintf("tasks[%d]", i)
			if d.Preset != "" {
				return &problem{path, fmt.Sprintf("task %s (preset %s) is not built yet; built tasks are %s", t.Name, d.Preset, strings.Join(builtTasks(), ", "))}
			}
			return &problem{path, fmt.Sprintf("task %s is not built yet; built tasks are %s", t.Name, strings.Join(builtTasks(), ", "))}
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
		case d.Sizes != (Sizes{}) && d.Sizes != p.Sizes:
			return wrong("sizes", " and preset are both given, and preset %s has sizes of its own; for other sizes use family and sizes", d.Preset)
		}
		d.Family, d.Sizes = p.Family, p.Sizes
	}
	if d.Family == "" {
		return wrong("family", " is missing; give a preset, or a family (%s) and its sizes", strings.Join(builtFamilies(), ", "))
	}
	row := familyNamed(d.Family)
	if row == nil {
		return wrong("family", ": %s", unknown("family", d.Family, familyNames()))
	}
	// A family's sizes are read by its own row, so nothing more can be said without one.
	if row.trunk == nil {
		return wrong("family", " %s is not built yet; built families are %s", d.Family, strings.Join(builtFamilies(), ", "))
	}
	return nil
}

func (d *Description) completeSizes() *problem {
	s := &d.Sizes
	for _, r := range sizeTable {
		v := r.get(s)
		if *v == 0 {
			switch {
			case r.def > 0:
				*v = r.def
			case r.def < 0:
				*v = -r.def * s.Dim
			default:
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
	if s.Image%s.Patch != 0 {
		return wrong("sizes.image", " is %d, want a multiple of sizes.patch, which is %d; the nearest are %d and %d",
			s.Image, s.Patch, max(1, s.Image/s.Patch)*s.Patch, (s.Image/s.Patch+1)*s.Patch)
	}
	if n := s.patches(); n > maxPatches {
		return wrong("sizes.image", " is %d with patches of %d, which gives %d patches; want at most %d", s.Image, s.Patch, n, maxPatches)
	}
	if n := s.parameters(); n > maxParameters {
		return wrong("sizes", " give %d parameters; want at most %d", n, int64(maxParameters))
	}
	return nil
}

// patches is the number of patches of a picture.
func (s *Sizes) patches() int { return (s.Image / s.Patch) * (s.Image / s.Patch) }

// parameters estimates the size from the large tensors. With every size inside its
// bounds the sum stays far below the range of int64.
func (s *Sizes) parameters() int64 {
	d, f := int64(s.Dim), int64(s.FFN)
	return int64(s.Layers)*2*(4*d*d+2*d*f) + d*int64(s.Vocab+s.Positions+s.patches()+s.Channels*s.Patch*s.Patch)
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
		row := taskNamed(t.Name)
		if row == nil {
			return wrong(path, ": %s", unknown("task", t.Name, taskNames()))
		}
		if j := slices.IndexFunc(d.Tasks, func(u Task) bool { return u.Name == t.Name }); j < i {
			return wrong(path, ": task %s is given twice; remove one", t.Name)
		}
		// A head with classes has as many as the released file, unless told otherwise.
		if slices.Contains(row.options, "classes") && preset != nil && preset.Task == t.Name && t.Classes == 0 && t.Labels == "" {
			t.Classes = preset.Classes
		}
		if slices.Contains(row.options, "norm") && t.Norm == nil {
			norm := preset == nil || preset.Task == t.Name || taskNamed(preset.Task).norm(nil)
			t.Norm = &norm
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
	known := d.entryNames()
	if d.Entries == nil {
		for _, e := range known {
			if slices.ContainsFunc(d.Tasks, func(t Task) bool { return slices.Contains(taskNamed(t.Name).entries, e) }) {
				d.Entries = append(d.Entries, e)
			}
		}
		return nil
	}
	used := map[string]bool{}
	for i, e := range d.Entries {
		path := fmt.Sprintf("entries[%d]", i)
		if !slices.Contains(known, e) {
			return wrong(path, ": %s", unknown("entry", e, known))
		}
		if slices.Index(d.Entries, e) < i {
			return wrong(path, ": entry %s is given twice; remove one", e)
		}
		for _, t := range d.Tasks {
			if slices.Contains(taskNamed(t.Name).entries, e) {
				used[t.Name], used[e] = true, true
			}
		}
		if !used[e] {
			return wrong(path, ": no task has the entry %s; add the task encode or remove the entry", e)
		}
	}
	for i, t := range d.Tasks {
		if !used[t.Name] {
			return wrong("entries", " has none of task %s (tasks[%d]), which has %s; add one of them or remove the task", t.Name, i, strings.Join(taskNamed(t.Name).entries, ", "))
		}
	}
	return nil
}

func (d *Description) completeLimits() *problem {
	l, s := &d.Limits, &d.Sizes
	longest := s.Positions - firstPosition
	if l.Text == 0 {
		l.Text = min(64, longest)
	}
	if l.Text < 1 || l.Text > longest {
		return wrong("limits.text", " is %d, want 1 to %d: sizes.positions is %d and its first %d rows are not used", l.Text, longest, s.Positions, firstPosition)
	}
	need := max(s.patches()+1, l.Text)
	if l.Rows == 0 {
		l.Rows = max(2048, need)
	}
	if l.Rows < need || l.Rows > maxRows {
		return wrong("limits.rows", " is %d, want %d to %d: one picture has %d rows and the longest text %d", l.Rows, need, maxRows, s.patches()+1, l.Text)
	}
	if l.Pixels < 0 || l.Pixels > maxPixels {
		return wrong("limits.pixels", " is %d, want 1 to %d", l.Pixels, maxPixels)
	}
	return nil
}

// The two ways in which the released models were fed.
var (
	half     = Preprocess{Resize: "stretch", Mean: []float64{0.5}, Std: []float64{0.5}}
	imageNet = Preprocess{Resize: "crop", Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}
)

func (d *Description) completePreprocess() *problem {
	p, def := &d.Preprocess, half
	if row, _ := findPreset(d.Preset); row != nil {
		def = row.Preprocess
	}
	if p.Resize == "" {
		p.Resize = def.Resize
	}
	if kinds := []string{"stretch", "crop"}; !slices.Contains(kinds, p.Resize) {
		return wrong("preprocess.resize", ": %s", unknown("way to resize", p.Resize, kinds))
	}
	if p.Size == 0 {
		p.Size = d.Sizes.Image
	}
	if p.Size != d.Sizes.Image {
		return wrong("preprocess.size", " is %d, want %d, the side of the model's picture", p.Size, d.Sizes.Image)
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
			*v.v = slices.Repeat(*v.v, d.Sizes.Channels)
		}
		if len(*v.v) != d.Sizes.Channels {
			return wrong(v.path, " has %d numbers, want 1 or %d, one a channel", len(*v.v), d.Sizes.Channels)
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
		base := filepath.Base(d.File)
		switch {
		case d.Preset != "":
			d.Name = strings.ReplaceAll(d.Preset, "-", "_")
		case d.File != "":
			d.Name = identifier(strings.TrimSuffix(base, filepath.Ext(base)))
		default:
			d.Name = "model"
		}
	}
	if len(d.Name) > 64 || identifier(d.Name) != d.Name {
		return wrong("name", " is %s, want the name of a Go package to import: lower-case letters, digits and _, a letter first, at most 64; for example %s", quote(d.Name), identifier(d.Name))
	}
	return nil
}

// identifier makes a Go package name of s.
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
		return "model"
	}
	return s
}
