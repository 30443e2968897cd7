package ir

import "fmt"

// BiasTable returns the relative position bias of attention v at text length t, for all
// pairs of its keys: [heads][keys][keys], the query first.
func BiasTable(p *Program, v *Value, t int) ([]float32, error) {
	if v.Op != OpAttention || v.Bundle == "" {
		return nil, fmt.Errorf("%s: no attention with a relative position bias", v.Name)
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
