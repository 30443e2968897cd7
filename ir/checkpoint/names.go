package checkpoint

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/multiway-go/multiway/ir/spelling"
)

// nearWindow bounds the names that are compared with a missing one: its neighbours in sorted
// order.
const nearWindow = 4096

// maxAlike bounds the length of names that are compared, in bytes.
const maxAlike = 256

// nearest returns up to k tensors, from a sorted list, whose names resemble
// name, best first: names are alike when their first or last parts agree, and
// then by edit distance.
func nearest(name string, list []Info, k int) []Info {
	at := sort.Search(len(list), func(i int) bool { return list[i].Name >= name })
	list = list[max(0, at-nearWindow/2):min(len(list), at+nearWindow/2)]
	type candidate struct {
		info            Info
		parts, distance int
	}
	var best []candidate
	if len(name) > maxAlike {
		return nil
	}
	for _, t := range list {
		if len(t.Name) > maxAlike {
			continue
		}
		if n := commonParts(name, t.Name); n > 0 || len(list) <= 64 {
			best = append(best, candidate{info: t, parts: n})
		}
	}
	sort.SliceStable(best, func(i, j int) bool { return best[i].parts > best[j].parts })
	best = best[:min(len(best), 16)]
	for i := range best {
		best[i].distance = spelling.Distance(name, best[i].info.Name)
	}
	best = slices.DeleteFunc(best, func(c candidate) bool { return 2*c.distance > len(name) })
	sort.SliceStable(best, func(i, j int) bool { return best[i].distance < best[j].distance })
	var out []Info
	for _, c := range best[:min(len(best), k)] {
		out = append(out, c.info)
	}
	return out
}

// commonParts counts the dotted parts that a and b share at the start, and at the end, where
// each counts twice.
func commonParts(a, b string) int {
	pa, pb := strings.Split(a, "."), strings.Split(b, ".")
	n := min(len(pa), len(pb))
	lead, trail := 0, 0
	for lead < n && pa[lead] == pb[lead] {
		lead++
	}
	for trail < n && pa[len(pa)-1-trail] == pb[len(pb)-1-trail] {
		trail++
	}
	return lead + 2*trail
}

func quoted(list []Info) string {
	s := make([]string, len(list))
	for i, t := range list {
		s[i] = fmt.Sprintf("%s %v", quote(t.Name), t)
	}
	return strings.Join(s, ", ")
}

// Group is a set of tensors under one prefix; "*" stands for any number.
type Group struct {
	Prefix string // "beit3.encoder.layers.*.ffn.B"
	Count  int
	Bytes  int64
}

// groups summarises the surplus tensors of a list, the largest groups first: each tensor is in
// the group of the shortest prefix under which all tensors are surplus.
//
// A prefix with numbers replaced by "*" stands for all layers. These prefixes are tried first, from one part to the whole
// name, and then prefixes with numbers, for a layer that only the file has. At any time at most two prefixes per tensor
// are held.
func groups(all []Info, surplus func(name string) bool) []Group {
	type group struct {
		Group
		first int // index of its first tensor
	}
	var out []group
	placed := make([]bool, len(all))
	levels, left := 0, 0
	for i, t := range all {
		if placed[i] = !surplus(t.Name); !placed[i] {
			left++
			levels = max(levels, partsOf(t.Name))
		}
	}
	for _, star := range []bool{true, false} {
		for level := 1; level <= levels && left > 0; level++ {
			strangers := map[string]bool{} // prefixes with a tensor that is not surplus
			for _, t := range all {
				if !surplus(t.Name) {
					strangers[prefix(t.Name, level, true)] = true
					strangers[prefix(t.Name, level, false)] = true
				}
			}
			at := map[string]int{}
			for i, t := range all {
				p := prefix(t.Name, level, star)
				if placed[i] || p == "" || strangers[p] {
					continue
				}
				g, ok := at[p]
				if !ok {
					g = len(out)
					at[p], out = g, append(out, group{Group{Prefix: p}, i})
				}
				out[g].Count++
				out[g].Bytes += t.Bytes()
				placed[i] = true
				left--
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Bytes != out[j].Bytes {
			return out[i].Bytes > out[j].Bytes
		}
		return out[i].first < out[j].first
	})
	var list []Group
	for _, g := range out {
		list = append(list, g.Group)
	}
	return list
}

// maxParts bounds the parts of a name; a name of more parts has no prefixes.
const maxParts = 16

// partsOf counts the dotted parts of a name.
func partsOf(name string) int {
	if n := strings.Count(name, ".") + 1; n <= maxParts {
		return n
	}
	return 1
}

// prefix returns the first n parts of a name, numbers replaced by "*" if star is set; "" if it has fewer.
func prefix(name string, n int, star bool) string {
	switch parts := partsOf(name); {
	case n > parts:
		return ""
	case n < parts:
		end := 0
		for range n {
			end += strings.IndexByte(name[end:], '.') + 1
		}
		name = name[:end-1]
	}
	if !star || strings.Count(name, ".")+1 != n {
		return name
	}
	parts := strings.Split(name, ".")
	for i, p := range parts {
		if p != "" && strings.Trim(p, "0123456789") == "" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, ".")
}
