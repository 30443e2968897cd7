package model

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fieldBases are descriptions that an example may be put into.
var fieldBases = []string{
	"{model: 1, family: beit3, sizes: {dim: 768, heads: 12, layers: 12, image: 224, patch: 16, vocab: 64010}, tasks: [retrieval, captioning]}",
	"{model: 1, family: vlmo, sizes: {dim: 768, heads: 12, layers: 12, image: 384, patch: 16, vocab: 30522}, tasks: [retrieval]}",
	"{model: 1, sizes: {dim: 64, heads: 4}, modalities: [{name: vision, embedder: patch, size: 32, patch: 8}, {name: language, embedder: token, vocab: 300}], layers: [{range: 0..2, attn: joint, ffn: pooled}]}",
	"{model: 1, family: clip, sizes: {dim: 768, heads: 12, layers: 12, image: 224, patch: 32, vocab: 49408, embed: 512, text: {dim: 512, heads: 8, layers: 12}}, tasks: [retrieval]}",
	"{model: 1, layout: clip_hf, modalities: [{name: vision, embedder: patch, size: 32, patch: 8}, {name: language, embedder: token, vocab: 300}], " +
		"towers: [{name: vision, dim: 768, heads: 12, layers: [{range: 0..2, attn: shared, ffn: shared}], pool: {row: map, dim: 768}}, " +
		"{name: language, dim: 64, heads: 4, layers: [{range: 0..2, attn: shared, ffn: shared}], pool: {row: last, dim: 768}}], tasks: [retrieval]}",
	"{model: 1}",
}

// Every key has documentation. Its example is valid, and its default gives the same description as leaving the key out.
func TestFields(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Fields() {
		t.Run(f.Path, func(t *testing.T) {
			if seen[f.Path] {
				t.Error("it is there twice")
			}
			seen[f.Path] = true
			if f.Kind == "" || f.Default == "" || f.Meaning == "" || strings.Contains(f.Meaning+f.Example, "\n") {
				t.Errorf("%+v: want a kind, a default, a meaning, each of a line", f)
			}
			def, _, _ := strings.Cut(f.Default, "; ")
			var decoded *Description
			for _, base := range fieldBases {
				for _, tree := range merged(parsed(t, base), parsed(t, f.Example)) {
					d, err := decodeTree(tree)
					if err != nil {
						continue
					}
					decoded = d
					if !isDefault(f.Path) {
						continue
					}
					var got []*Description
					for _, value := range []*node{nil, parsed(t, def)} {
						example := parsed(t, f.Example)
						at, i := find(example, f.Path)
						if at == nil {
							t.Fatalf("%s does not have it", f.Example)
						}
						if value == nil {
							at.keys, at.items = slices.Delete(at.keys, i, i+1), slices.Delete(at.items, i, i+1)
						} else {
							at.items[i] = value
						}
						for _, tree := range merged(parsed(t, base), example) {
							if d, err := decodeTree(tree); err == nil {
								got = append(got, d)
								break
							}
						}
					}
					if len(got) != 2 {
						t.Fatalf("%d of 2 descriptions are right: without it, and with its default %s", len(got), def)
					}
					if diff := cmp.Diff(got[0], got[1]); diff != "" {
						t.Errorf("(-not given +given as %s):\n%s", def, diff)
					}
					return
				}
			}
			if decoded == nil {
				t.Errorf("no description takes %s", f.Example)
			}
		})
	}
	for _, want := range []string{"preprocess.resize", "sizes.heads", "tasks[].TASK.labels", "modalities[].channels", "keys.EXPERT", "precision.keep.MODULE", "checkpoint.key"} {
		if !seen[want] {
			t.Errorf("%s is not there", want)
		}
	}
}

// isDefault reports whether the row of a path has a default that is a value.
func isDefault(path string) bool {
	var rows func(above string, fields []field) bool
	rows = func(above string, fields []field) bool {
		return slices.ContainsFunc(fields, func(f field) bool {
			return above+f.name == path && f.def != "" || rows(above+f.name+f.under+".", f.fields)
		})
	}
	return rows("", (&decoder{at: map[string]place{}}).fields(&Description{}))
}

func parsed(t *testing.T, yaml string) *node {
	t.Helper()
	n, err := parseYAML("m.yaml", []byte(yaml))
	if err != nil {
		t.Fatalf("%s: %v", yaml, err)
	}
	return n
}

func decodeTree(root *node) (*Description, error) {
	c := &decoder{file: "m.yaml", at: map[string]place{}}
	d := c.description(root)
	if c.err != nil {
		return nil, c.err
	}
	if p := d.complete(); p != nil {
		return nil, p
	}
	return d, nil
}

// merged returns the trees of a with the values of b: in place of a list, or in one of its items.
func merged(a, b *node) []*node {
	switch {
	case a.kind == mapNode && b.kind == mapNode:
		all := []*node{{kind: mapNode, keys: a.keys, items: a.items}}
		for i, k := range b.keys {
			var next []*node
			for _, n := range all {
				at := slices.IndexFunc(n.keys, func(have *node) bool { return have.text == k.text })
				if at < 0 {
					next = append(next, &node{kind: mapNode, keys: append(slices.Clone(n.keys), k), items: append(slices.Clone(n.items), b.items[i])})
					continue
				}
				for _, v := range merged(n.items[at], b.items[i]) {
					m := &node{kind: mapNode, keys: n.keys, items: slices.Clone(n.items)}
					m.items[at] = v
					next = append(next, m)
				}
			}
			all = next
		}
		return all
	case a.kind == listNode && b.kind == listNode && len(b.items) == 1 && b.items[0].kind == mapNode:
		all := []*node{b}
		for i, item := range a.items {
			for _, v := range merged(item, b.items[0]) {
				m := &node{kind: listNode, items: slices.Clone(a.items)}
				m.items[i] = v
				all = append(all, m)
			}
		}
		return all
	}
	return []*node{b}
}

// find returns the mapping that has the key of a field's path, and where.
func find(n *node, path string) (at *node, i int) {
	name, rest, more := strings.Cut(path, ".")
	name = strings.TrimSuffix(name, "[]")
	if n.kind == listNode {
		n = n.items[0]
	}
	if i = slices.IndexFunc(n.keys, func(k *node) bool { return k.text == name || name == strings.ToUpper(name) }); i < 0 {
		return nil, 0
	}
	if !more {
		return n, i
	}
	return find(n.items[i], rest)
}
