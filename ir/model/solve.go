package model

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// solver finds the sizes of a model from a checkpoint, the reverse of reader: a size that is an axis of a tensor in the layout is
// read from the shape in the checkpoint.
type solver struct {
	s     shapes
	words map[string]string
	sizes map[string]map[string]int // sizes by modality; "" for sizes of both
	scope map[string]int            // the sizes of the current modality
	has   map[string]bool           // conditions, by whether a tensor of rows with the condition exists
	class bool                      // there is a class token
}

// solve finds the sizes of the modalities vision and language, with their layers. Sizes that the shapes do not determine are left
// out. It does not check shapes for contradictions, which Bind does.
func solve(l *layout, s shapes) *solver {
	v := &solver{s: s, words: map[string]string{"p": "", "l": "", "b": ""}, sizes: map[string]map[string]int{"": {}}, has: map[string]bool{}}
	v.scope = v.sizes[""]
	v.rows(l.rows)
	return v
}

func (v *solver) rows(rows []row) {
	for _, x := range rows {
		switch {
		case x.each == "layer":
			n := 0
			for v.words["i"] = "0"; n < maxLayers && v.found(x.rows); v.words["i"] = strconv.Itoa(n) {
				if n == 0 {
					v.rows(x.rows)
				}
				n++
			}
			v.scope["layers"] = n
		case x.each != "":
			name := map[string]string{string(Patch): "vision", string(Token): "language"}[x.each]
			if v.sizes[name] == nil {
				v.sizes[name] = map[string]int{}
			}
			v.words["m"], v.scope = name, v.sizes[name]
			v.rows(x.rows)
			v.scope = v.sizes[""]
		case x.rows != nil:
			if x.when != "" {
				v.has[x.when] = v.found(x.rows)
			}
			v.rows(x.rows)
		default:
			v.tensor(x)
		}
	}
}

// found reports whether the first tensor of rows exists.
func (v *solver) found(rows []row) bool {
	for rows[0].rows != nil {
		rows = rows[0].rows
	}
	return v.s.has(v.key(rows[0]))
}

func (v *solver) key(x row) string {
	key := x.key
	for w, to := range v.words {
		key = strings.ReplaceAll(key, "{"+w+"}", to)
	}
	return key
}

func (v *solver) tensor(x row) {
	shape, ok := v.s[v.key(x)]
	words := strings.Fields(x.shape)
	if !ok || len(shape) != len(words) {
		return
	}
	for _, to := range x.to {
		v.class = v.class || strings.HasSuffix(to.weight, ".embed.cls.w")
		if len(shape) == 4 && strings.Contains(to.weight, ".embed.") { // a convolution, of which a stem has several
			v.scope["patch"] = max(1, v.scope["patch"]) * shape[2]
		}
	}
	for i, w := range words {
		if strings.Trim(w, "abcdefghijklmnopqrstuvwxyz_") == "" && v.scope[w] == 0 {
			v.scope[w] = shape[i]
		}
	}
}

// inferRows sets the family, sizes and tasks of a guess from the tensors of a checkpoint with layout l. Tasks are those whose
// heads the checkpoint has, or else encode or, with two towers, retrieval.
func inferRows(g *Guess, l *layout, s shapes) {
	v := solve(l, s)
	see, read := v.sizes["vision"], v.sizes["language"]
	i := slices.IndexFunc(families, func(f family) bool {
		return slices.Contains(f.layouts, l.name) && (f.lacks == "" || !v.has[f.lacks])
	})
	g.Family, g.Layout = families[i].name, l.name
	class := 0
	if v.class {
		class = 1
	}
	side := square(see["positions"] - class)
	if bias := see["image_bias"]; bias > 3 {
		side = (square(bias-3) + 1) / 2
	}
	g.Sizes = Sizes{
		Dim: see["dim"], Heads: see["heads"], FFN: see["ffn"], Layers: see["layers"], Patch: see["patch"], Channels: see["channels"],
		Image: see["patch"] * side, Vocab: read["vocab"], Positions: read["positions"],
	}
	if families[i].text != "" {
		g.Sizes.Embed, g.Sizes.Act = cmp.Or(see["embed"], read["embed"]), families[i].act
		g.Sizes.Text = TowerSizes{Dim: read["dim"], FFN: read["ffn"], Layers: read["layers"], Act: families[i].text}
	}
	for _, t := range tasks {
		if rows := l.heads[t.name]; t.code == l.code && rows != nil && v.found(rows) {
			v.rows(rows)
			g.Tasks = append(g.Tasks, Task{Name: t.name, Classes: v.sizes[""]["classes"]})
		}
	}
	if g.Tasks == nil {
		g.Tasks = []Task{{Name: "encode"}}
		if l.code == Contrast {
			g.Tasks[0].Name = "retrieval"
		}
	}
}
