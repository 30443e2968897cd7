package ir

import "fmt"

// A relative position bias is a number for each pair of positions and each head that is
// added to the score of a query for a key. It is looked up by the distance of the two, in
// three tables with one column per head:
//
//   - text [2*R,H], for texts of at most R tokens: row j-i+R-2 for query i and key j,
//     both after the first token; row 2R-3 if the query is the first token, 2R-2 if the
//     key is, 2R-1 if both are.
//   - image [E*E+3,H] with E = 2G-1, for a class token and G*G patches: row
//     (di+G-1)*E + dj+G-1 for patches that are di rows and dj columns apart, query
//     minus key; the last three rows if the query, the key or both are the class token.
//   - cross [2,H], for a text with an image: row 0 for a query of the text and a key
//     of the image, row 1 for the reverse.
//
// The sequence is the text (T tokens), then the image (a constant number of tokens),
// or one of the two. VLMo's relative_position_bias_table has the rows of all three
// tables: image first, then cross, then text.
var relBiasFields = []Field{{"text", true}, {"image", true}, {"cross", true}}

// GridOf returns the side of the square grid of patches in an image of n tokens, its
// class token included; ok is false if n-1 is not a square.
func GridOf(n int) (side int, ok bool) {
	for side*side+1 < n {
		side++
	}
	return side, side > 0 && side*side+1 == n
}

// relBias checks the tables of a relative position bias, if the value has a bundle: they have a column for each of heads
// heads, and the rows that attention to that many keys needs.
func (c *Infer) relBias(heads int, keys Dim) error {
	if c.V.Bundle == "" {
		return nil
	}
	table := func(name string, rows int) error {
		w, err := c.field(name, 2)
		switch {
		case err != nil:
			return err
		case w == nil:
			return fmt.Errorf("there is no weight @%s.%s; the bias of %v positions needs it", c.V.Bundle, name, keys)
		case w.Type.Cols() != heads:
			return fmt.Errorf("@%s is %v, want %d columns, one per head", w.Name, w.Type, heads)
		case rows > 0 && w.Type.Rows().C != rows:
			return fmt.Errorf("@%s is %v, want %d rows", w.Name, w.Type, rows)
		case rows == 0 && (w.Type.Rows().C%2 != 0 || w.Type.Rows().C/2 < max(2, c.P.MaxT)):
			return fmt.Errorf("@%s is %v, want an even number of rows, at least %d for texts of %d tokens", w.Name, w.Type, 2*max(2, c.P.MaxT), c.P.MaxT)
		}
		return nil
	}
	if keys.T {
		if err := table("text", 0); err != nil {
			return err
		}
	}
	if keys.C > 0 {
		g, ok := GridOf(keys.C)
		if !ok {
			return fmt.Errorf("the image has %d tokens, want a class token and a square of patches", keys.C)
		}
		if err := table("image", (2*g-1)*(2*g-1)+3); err != nil {
			return err
		}
	}
	if keys.T && keys.C > 0 {
		return table("cross", 2)
	}
	return nil
}

// relBias is the relative position bias that the interpreter adds to the scores of one attention: the tables that the
// attention needs, nil for others, and the sizes by which they are indexed.
type relBias struct {
	text, image, cross []float32
	heads              int
	at, t, reach, grid int
}

// relBias loads the bias that the value's bundle has for that many heads; nil without a bundle.
func (c *Eval) relBias(heads int) (*relBias, error) {
	if c.V.Bundle == "" {
		return nil, nil
	}
	b := &relBias{heads: heads, at: c.V.Attrs.Dim("at").At(c.T)}
	keys := c.V.Args[1].Type.Rows()
	for _, f := range []struct {
		name string
		dst  *[]float32
		need bool
	}{{"text", &b.text, keys.T}, {"image", &b.image, keys.C > 0}, {"cross", &b.cross, keys.T && keys.C > 0}} {
		if !f.need {
			continue
		}
		var err error
		if *f.dst, err = c.Weight(f.name); err != nil {
			return nil, err
		}
	}
	if keys.T {
		b.t = c.T
	}
	b.reach = len(b.text) / heads / 2
	b.grid, _ = GridOf(keys.C)
	return b, nil
}

// score returns the bias of query r, counted from the attention's first query, and key j in head h.
func (b *relBias) score(r, j, h int) float64 {
	i := b.at + r
	table, row := b.text, 0
	edge := func(last int) bool {
		switch {
		case i == 0 && j == 0:
			row = last
		case j == 0:
			row = last - 1
		case i == 0:
			row = last - 2
		default:
			return false
		}
		return true
	}
	switch {
	case i < b.t && j < b.t:
		if !edge(2*b.reach - 1) {
			row = j - i + b.reach - 2
		}
	case i < b.t:
		table, row = b.cross, 0
	case j < b.t:
		table, row = b.cross, 1
	default:
		table = b.image
		i, j = i-b.t, j-b.t
		g := b.grid
		e := 2*g - 1
		if !edge(e*e + 2) {
			i, j = i-1, j-1
			row = (i/g-j/g+g-1)*e + i%g - j%g + g - 1
		}
	}
	return float64(table[row*b.heads+h])
}

// BiasTable returns the relative position bias of attention v at text length t for all
// pairs of positions: [heads][query][key].
func BiasTable(p *Program, v *Value, t int) ([]float32, error) {
	if v.Op != OpAttention || v.Bundle == "" {
		return nil, fmt.Errorf("%s is not an attention with a relative position bias", v.Name)
	}
	heads, n := v.Attrs.Int("heads", 1), v.Args[1].Type.Rows().At(t)
	b, err := (&Eval{V: v, T: t, P: p}).relBias(heads)
	if err != nil {
		return nil, err
	}
	b.at = 0
	out := make([]float32, 0, heads*n*n)
	for h := range heads {
		for i := range n {
			for j := range n {
				out = append(out, float32(b.score(i, j, h)))
			}
		}
	}
	return out, nil
}
