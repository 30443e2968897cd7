package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// completeTowers checks the towers of the long form and fills in their defaults.
func (d *Description) completeTowers(claim func(name, path string) *problem) *problem {
	l := &d.Long
	if l.Layers != nil || l.Final != "" {
		return wrong("layers", " and towers are both given; a tower has layers of its own: remove one of the two")
	}
	var of map[string]string // the tower of each modality
	l.Towers = slices.Clone(l.Towers)
	for i := range l.Towers {
		t, path := &l.Towers[i], fmt.Sprintf("towers[%d].", i)
		if !isWord(t.Name) {
			return wrong(path+"name", " is %s, want a word of lower-case letters and digits, a letter first, at most %d", quote(t.Name), maxWord)
		}
		if t.Among == nil {
			t.Among = []string{t.Name}
		}
		for _, m := range t.Among {
			if !slices.ContainsFunc(l.Modalities, func(x Modality) bool { return x.Name == m }) {
				var known []string
				for _, x := range l.Modalities {
					known = append(known, x.Name)
				}
				return wrong(path+"among", ": %s", unknown("modality", m, known))
			}
			if of[m] != "" {
				return wrong(path+"among", " has %s, which is in tower %s; remove it from one", m, of[m])
			}
			if of == nil {
				of = map[string]string{}
			}
			of[m] = t.Name
		}
		if p := t.completeSizes(path); p != nil {
			return p
		}
		if _, p := d.completeLayers(t, path, claim); p != nil {
			return p
		}
		if p := t.completePool(path + "pool."); p != nil {
			return p
		}
	}
	for i, m := range l.Modalities {
		if of[m.Name] == "" {
			return wrong(fmt.Sprintf("modalities[%d]", i), " is %s, which no tower has; add it to one", m.Name)
		}
	}
	if l.Keys.Layout == "" {
		return wrong("layout", " is missing; with towers it must be given, one of %s", strings.Join(layoutNames(), ", "))
	}
	l.Similarity.Score = cmp.Or(l.Similarity.Score, Softmax)
	return nil
}

// completeSizes checks the sizes of a tower and fills in their defaults. path is the prefix of the fields' paths.
func (t *Tower) completeSizes(path string) *problem {
	t.FFN = cmp.Or(t.FFN, 4*t.Dim)
	for _, f := range []struct {
		name  string
		v, hi int
	}{{"dim", t.Dim, maxDim}, {"heads", t.Heads, maxHeads}, {"ffn", t.FFN, maxFFN}} {
		if f.v == 0 {
			return wrong(path+f.name, " is missing; add it, 1 to %d", f.hi)
		}
		if f.v < 1 || f.v > f.hi {
			return wrong(path+f.name, " is %d, want 1 to %d", f.v, f.hi)
		}
	}
	if t.Dim%t.Heads != 0 {
		return wrong(path+"heads", " is %d, want a divisor of %sdim, which is %d%s", t.Heads, path, t.Dim, nearDivisors(t.Dim, t.Heads))
	}
	if t.Eps == 0 {
		t.Eps = 1e-5
	}
	if !(t.Eps > 0 && t.Eps < 1) {
		return wrong(path+"eps", " is %v, want a number between 0 and 1", t.Eps)
	}
	t.Act = cmp.Or(t.Act, ir.Activations[0].Name)
	if names := activations(); !slices.Contains(names, t.Act) {
		return wrong(path+"act", ": %s", unknown("activation", t.Act, names))
	}
	return nil
}

// completePool checks the tower's pooling and fills in its defaults.
func (t *Tower) completePool(path string) *problem {
	p := &t.Pool
	if p.Row == "" {
		if *p != (Pool{}) {
			return wrong(path+"row", " is missing; add it: first, last, mean or map")
		}
		return nil
	}
	if t.Final == "" && p.Norm != "" {
		return wrong(path+"norm", " is given, but layers with norms after their halves have none after the last one; remove it")
	}
	if t.Final != "" && p.Norm == "" {
		p.Norm = NormBefore
	}
	if p.Direct {
		p.Dim = cmp.Or(p.Dim, t.Dim)
	}
	if p.Dim < 1 || p.Dim > maxDim {
		return wrong(path+"dim", " is %d, want 1 to %d", p.Dim, maxDim)
	}
	if p.Direct && (p.Dim != t.Dim || p.Hidden != 0) {
		return wrong(path+"direct", " is true: the pooled row is the embedding, so want pool.dim %d, the tower's, and no hidden", t.Dim)
	}
	if p.Hidden < 0 || p.Hidden > maxFFN {
		return wrong(path+"hidden", " is %d, want 0 to %d", p.Hidden, maxFFN)
	}
	if p.Row != PoolMap {
		if p.Heads != 0 || p.FFN != 0 {
			return wrong(path+"heads", " and ffn need row: map; remove them")
		}
		return nil
	}
	p.Heads, p.FFN = cmp.Or(p.Heads, t.Heads), cmp.Or(p.FFN, t.FFN)
	if p.Heads < 0 || t.Dim%p.Heads != 0 {
		return wrong(path+"heads", " is %d, want a divisor of dim, which is %d%s", p.Heads, t.Dim, nearDivisors(t.Dim, max(1, p.Heads)))
	}
	if p.FFN < 1 || p.FFN > maxFFN {
		return wrong(path+"ffn", " is %d, want 1 to %d", p.FFN, maxFFN)
	}
	return nil
}
