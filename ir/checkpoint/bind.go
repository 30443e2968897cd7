package checkpoint

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
)

// Report describes how [Bind] used the tensors of a source.
type Report struct {
	Source       string
	Used         int   // tensors that weights come from
	UsedBytes    int64 // as stored
	Surplus      []Group
	SurplusCount int
	SurplusBytes int64
	Resized      []string // position tables that are resized: "KEY: 14x14 to 24x24"
	Dropped      []Drop   // parts that were dropped from names of used tensors
	Sets         []Set    // sets of weights, if the file has several; Taken is the key of the one in use
	Taken        string
}

// String returns a summary of one line, and a line for each surplus group.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d tensors used (%s)", r.Source, r.Used, byteString(r.UsedBytes))
	if r.SurplusCount > 0 {
		fmt.Fprintf(&b, ", %d surplus (%s):", r.SurplusCount, byteString(r.SurplusBytes))
	}
	const shown = 12
	var lines []string
	for i, g := range r.Surplus {
		if i == shown {
			lines = append(lines, fmt.Sprintf("\n  and %d more groups", len(r.Surplus)-shown))
			break
		}
		name := g.Prefix
		if g.Count > 1 {
			name += ".*"
		}
		lines = append(lines, fmt.Sprintf("\n  %s: %d (%s)", file.Quote(name), g.Count, byteString(g.Bytes)))
	}
	for _, s := range r.Resized {
		lines = append(lines, "\n  resized "+s)
	}
	for _, s := range r.Notes() {
		lines = append(lines, "\n  "+s)
	}
	return file.List(b.String(), len(lines), func(i int) string { return lines[i] })
}

// Notes returns lines about the reader's decisions: the parts of names that it dropped, and the set of weights that it took
// from several.
func (r *Report) Notes() []string {
	var lines []string
	for i, d := range r.Dropped {
		if i == 8 {
			lines = append(lines, fmt.Sprintf("and other parts in %d more ways", len(r.Dropped)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("dropped %s from the names of %d tensors", quote(d.Parts), d.Tensors))
	}
	if len(r.Sets) > 0 {
		line := fmt.Sprintf("sets of weights in the file: %s; this is %s", setList(r.Sets), Set{Key: r.Taken}.name())
		if i := slices.IndexFunc(r.Sets, func(s Set) bool { return s.Key != r.Taken && s.Key != "" }); i >= 0 { // the outermost set has no key
			line += "; " + r.Sets[i].take()
		}
		lines = append(lines, line)
	}
	return lines
}

// Strict returns an error if the source holds tensors that no weight uses.
func (r *Report) Strict() error {
	if r.SurplusCount == 0 {
		return nil
	}
	return fmt.Errorf("surplus tensors are refused: %v", r)
}

func byteString(n int64) string {
	if n >= 50_000 {
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%d bytes", n)
}

// maxNear bounds the mismatches for which similar names are searched, since each search compares thousands of names.
const maxNear = 64

// Mismatch is a tensor of a program that a source does not have, or has in another shape or type.
type Mismatch struct {
	Key    string
	Want   []int  // shape in the file
	Weight string // a weight that is read from it
	Found  *Info  // nil: no tensor of that name
	Why    string // for a tensor that was found: "shape", "type" or the reason why it cannot be read
	Near   []Info // surplus tensors with similar names; only for the first maxNear mismatches
	Side   int    // for a position table of another size: N of its NxN patches
	Sides  int    // and N of the model's
}

// BindError holds all tensors that are missing, have another shape or type,
// or cannot be read. Its text names as many as fit into a page or two, and counts the others.
type BindError struct {
	Source   string
	Tensors  int // in the source
	Wanted   int // by the model
	Mismatch []Mismatch
	Hint     string // a common reason of all mismatches, or ""
}

func (e *BindError) Error() string {
	missing := 0
	for _, m := range e.Mismatch {
		if m.Found == nil {
			missing++
		}
	}
	head := fmt.Sprintf("%s does not fit the model: of %d tensors wanted, %d missing and %d of another shape or type; the file has %d",
		e.Source, e.Wanted, missing, len(e.Mismatch)-missing, e.Tensors)
	if e.Hint != "" {
		head += "\n  hint: " + e.Hint
	}
	return file.List(head, len(e.Mismatch), func(i int) string {
		m := e.Mismatch[i]
		want := shapeString(m.Want)
		var b strings.Builder
		switch {
		case m.Found == nil:
			fmt.Fprintf(&b, "\n  %s is missing, want %s for @%s", quote(m.Key), want, m.Weight)
		case m.Why == "shape":
			fmt.Fprintf(&b, "\n  %s is %v, want shape %s for @%s", quote(m.Key), m.Found, want, m.Weight)
		case m.Why == "type":
			fmt.Fprintf(&b, "\n  %s is %v, want %s for @%s", quote(m.Key), m.Found, floatTypes, m.Weight)
		default:
			fmt.Fprintf(&b, "\n  %s cannot be read: %s; want %s for @%s", quote(m.Key), m.Why, want, m.Weight)
		}
		if m.Side > 0 {
			fmt.Fprintf(&b, "; it is for %dx%d patches, the model has %dx%d: add `interpolate: true` to the description to resize it, or give the picture size it was trained for",
				m.Side, m.Side, m.Sides, m.Sides)
		}
		if len(m.Near) > 0 {
			fmt.Fprintf(&b, "; nearest surplus: %s", quoted(m.Near))
		}
		return b.String()
	})
}

// Wanted lists the tensors that a program's weights are read from, sorted by name, with their
// shapes in a checkpoint. Their type is f32.
func Wanted(p *ir.Program) []Info {
	var list []Info
	for _, w := range p.Weights {
		if w.Origin != nil {
			list = append(list, Info{Name: w.Origin.Key, DType: F32, Shape: w.Origin.Shape})
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return slices.CompactFunc(list, func(a, b Info) bool { return a.Name == b.Name })
}

// SeededFor returns the source of [Seeded] with all tensors of a program.
func SeededFor(p *ir.Program, seed uint64) (Source, error) {
	var list []SeededTensor
	for _, t := range Wanted(p) {
		list = append(list, NewSeededTensor(t.Name, t.Shape))
	}
	return Seeded(seed, list)
}

// Bind gives every weight of p that has an origin a Load that reads it from
// src, which must stay open as long as weights are loaded. A weight that p
// declares as f16 or bf16 is rounded to that type; a table of positions of another
// size is resized if its origin says so. Nothing is read yet. If tensors are
// missing, have another shape than their origin, or cannot be read as floats, the
// error is a [*BindError] that holds all of them, and p is unchanged. Tensors that no weight uses are summarised in the report.
func Bind(p *ir.Program, src Source) (*Report, error) {
	used := map[string]bool{}
	wanted := map[string]bool{}
	for _, t := range Wanted(p) {
		wanted[t.Name] = true
	}
	given := src
	unwrapped := named(src, wanted)
	if err := Altered(unwrapped, func(name string) bool { return wanted[name] }); err != nil {
		return nil, err
	}
	src = unwrapped
	e := &BindError{Source: src.String(), Tensors: len(src.Tensors())}
	var resized []string
	for _, w := range p.Weights {
		if w.Origin == nil || used[w.Origin.Key] {
			continue
		}
		used[w.Origin.Key] = true
		m := Mismatch{Key: w.Origin.Key, Want: w.Origin.Shape, Weight: w.Name}
		t, ok := Find(src, w.Origin.Key)
		switch {
		case !ok:
		case t.Problem != "":
			m.Found, m.Why = &t, t.Problem
		case !t.DType.Float():
			m.Found, m.Why = &t, "type"
		case !sameShape(t.Shape, w.Origin.Shape):
			side, other := otherSide(w.Origin, t.Shape)
			if other && w.Origin.Grid.Resize {
				resized = append(resized, fmt.Sprintf("%s: %dx%d to %dx%d patches", file.Quote(t.Name), side, side, w.Origin.Grid.Side, w.Origin.Grid.Side))
				continue
			}
			m.Found, m.Why = &t, "shape"
			if other {
				m.Side, m.Sides = side, w.Origin.Grid.Side
			}
		default:
			continue
		}
		e.Mismatch = append(e.Mismatch, m)
	}
	r := &Report{Source: src.String(), Resized: resized, Dropped: unwrapped.drops}
	r.Sets, r.Taken = sets(given, unwrapped, wanted)
	var surplus []Info
	for _, t := range src.Tensors() {
		if used[t.Name] {
			r.Used++
			r.UsedBytes += t.Bytes()
		} else {
			surplus = append(surplus, t)
			r.SurplusBytes += t.Bytes()
		}
	}
	r.SurplusCount = len(surplus)
	if len(e.Mismatch) > 0 {
		e.Wanted = len(used)
		sort.SliceStable(e.Mismatch, func(i, j int) bool { return e.Mismatch[i].Key < e.Mismatch[j].Key })
		if e.Hint = prefixHint(e.Mismatch, surplus); e.Hint == "" && len(r.Sets) > 0 {
			e.Hint = fmt.Sprintf("it has sets of weights under other keys: %s; %s", setList(r.Sets), r.Sets[0].take())
		}
		byShape := map[string][]Info{}
		for _, t := range surplus {
			byShape[shapeString(t.Shape)] = append(byShape[shapeString(t.Shape)], t)
		}
		for i, m := range e.Mismatch {
			if i == maxNear {
				break
			}
			near := surplus
			if m.Found != nil {
				near = byShape[shapeString(m.Want)]
			}
			e.Mismatch[i].Near = nearest(m.Key, near, 2)
		}
		return nil, e
	}
	r.Surplus = groups(src.Tensors(), func(name string) bool { return !used[name] })

	loads := make([]func() ([]float32, error), len(p.Weights))
	for i, w := range p.Weights {
		if w.Origin == nil {
			continue
		}
		load, err := loader(w, src)
		if err != nil {
			return nil, err
		}
		loads[i] = load
	}
	for i, w := range p.Weights {
		if loads[i] != nil {
			w.Load = loads[i]
		}
	}
	return r, nil
}

// loader returns a function that reads a weight from its tensor, which has the shape of the
// weight's origin.
func loader(w *ir.Weight, src Source) (func() ([]float32, error), error) {
	o := *w.Origin
	have, want := Info{Shape: o.Shape}.Len(), 1
	for _, d := range w.Type.Shape {
		want *= d.C
	}
	if o.Rows != 0 {
		if len(o.Shape) == 0 || o.Row < 0 || o.Rows < 0 || o.Row > o.Shape[0] || o.Rows > o.Shape[0]-o.Row {
			return nil, fmt.Errorf("@%s: tensor %s of shape %s has no %d rows from row %d", w.Name, quote(o.Key), shapeString(o.Shape), o.Rows, o.Row)
		}
		have = Info{Shape: o.Shape[1:]}.Len() * o.Rows
	}
	if o.Cols != 0 {
		if len(o.Shape) != 2 || o.Col < 0 || o.Cols < 0 || o.Col > o.Shape[1] || o.Cols > o.Shape[1]-o.Col {
			return nil, fmt.Errorf("@%s: tensor %s of shape %s has no %d columns from column %d", w.Name, quote(o.Key), shapeString(o.Shape), o.Cols, o.Col)
		}
		have = have / o.Shape[1] * o.Cols
	}
	if have != want {
		return nil, fmt.Errorf("@%s is %v with %d elements, its origin %s gives %d", w.Name, w.Type, want, quote(o.Key), have)
	}
	d := w.Type.DType
	if d != ir.F32 && d != ir.F16 && d != ir.BF16 {
		return nil, fmt.Errorf("@%s is %v; weights of a checkpoint are f32, f16 or bf16", w.Name, w.Type)
	}
	return func() ([]float32, error) {
		var f []float32
		var err error
		switch t, _ := Find(src, o.Key); {
		case !sameShape(t.Shape, o.Shape):
			f, err = loadResized(src, t, &o)
		case o.Rows == 0:
			f, err = Load(src, o.Key)
		default:
			f, err = LoadRows(src, o.Key, o.Row, o.Rows)
		}
		if err != nil {
			return nil, err
		}
		if i := ir.Round(f, d); i >= 0 {
			return nil, fmt.Errorf("%s: tensor %s: element %s is %v, which does not fit %v of @%s", src, quote(o.Key), indexString(o.Shape, o.Row*(len(f)/max(o.Rows, 1))+i), f[i], d, w.Name)
		}
		if o.Cols != 0 {
			n := 0
			for i := o.Col; i < len(f); i += o.Shape[1] {
				n += copy(f[n:], f[i:i+o.Cols])
			}
			f = f[:n:n]
		}
		if o.Transposed {
			f = transpose(f, w.Type.Shape[0].C)
		}
		return f, nil
	}, nil
}

// sameShape compares shapes; a scalar may be stored as a list of one.
func sameShape(a, b []int) bool {
	number := func(s []int) bool { return len(s) == 0 || len(s) == 1 && s[0] == 1 }
	return slices.Equal(a, b) || number(a) && number(b)
}

// transpose returns the rows of the matrix whose columns are the rows of f.
func transpose(f []float32, rows int) []float32 {
	out := make([]float32, len(f))
	cols := len(f) / max(rows, 1)
	for r := range rows {
		for c := range cols {
			out[r*cols+c] = f[c*rows+r]
		}
	}
	return out
}

// prefixHint finds a prefix that all names of the source lack, so that one line explains
// a hundred missing tensors.
func prefixHint(list []Mismatch, surplus []Info) string {
	names := map[string]bool{}
	for _, t := range surplus {
		names[t.Name] = true
	}
	var missing []string
	for _, m := range list {
		if m.Found == nil {
			missing = append(missing, m.Key)
		}
	}
	if len(missing) < 2 {
		return ""
	}
	explains := func(rename func(string) string) bool {
		n := 0
		for _, key := range missing {
			if names[rename(key)] {
				n++
			}
		}
		return 2*n > len(missing)
	}
	for i, c := range missing[0] {
		if c == '.' {
			prefix := missing[0][:i+1]
			if explains(func(key string) string { return strings.TrimPrefix(key, prefix) }) {
				return fmt.Sprintf("the names in the file lack %s, which the model's start with; put it before them in Python: {%s + k: v for k, v in weights.items()}", quote(prefix), quote(prefix))
			}
		}
	}
	return ""
}
