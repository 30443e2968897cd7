package checkpoint

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/multiway-go/multiway/ir/spelling"
)

// nearWindow bounds how many names are looked at for one that is missing: the
// neighbours in sorted order.
const nearWindow = 4096

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
	for _, t := range list {
		if n := commonParts(name, t.Name); n > 0 || len(list) <= 64 {
			best = append(best, candidate{info: t, parts: n})
		}
	}
	sort.SliceStable(best, func(i, j int) bool { return best[i].parts > best[j].parts })
	best = best[:min(len(best), 16)]
	for i := range best {
		best[i].distance = editDistance(name, best[i].info.Name)
	}
	best = slices.DeleteFunc(best, func(c candidate) bool { return 2*c.distance > len(name) })
	sort.SliceStable(best, func(i, j int) bool { return best[i].distance < best[j].distance })
	var out []Info
	for _, c := range best[:min(len(best), k)] {
		out = append(out, c.info)
	}
	return out
}

// commonParts counts the dotted parts that a and b share at the start and,
// counted twice, at the end.
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

// editDistance is the distance of the first 256 bytes: names in a file may be long.
func editDistance(a, b string) int {
	return spelling.Distance(a[:min(len(a), 256)], b[:min(len(b), 256)])
}

func quoted(list []Info) string {
	s := make([]string, len(list))
	for i, t := range list {
		s[i] = fmt.Sprintf("%q %v", t.Name, t)
	}
	return strings.Join(s, ", ")
}

// Group is a set of tensors under one prefix; "*" stands for any number.
type Group struct {
	Prefix string // "beit3.encoder.layers.*.ffn.B"
	Count  int
	Bytes  int64
}

// groups summarises the surplus tensors of a list by the shortest prefixes
// under which all tensors are surplus, largest first. Each is in one group.
func groups(all []Info, surplus func(name string) bool) []Group {
	total, extra := map[string]int{}, map[string]int{}
	for _, t := range all {
		for _, p := range prefixes(t.Name) {
			total[p]++
			if surplus(t.Name) {
				extra[p]++
			}
		}
	}
	var out []Group
	at := map[string]int{}
	for _, t := range all {
		if !surplus(t.Name) {
			continue
		}
		for _, p := range prefixes(t.Name) {
			if extra[p] < total[p] {
				continue
			}
			i, ok := at[p]
			if !ok {
				i = len(out)
				at[p], out = i, append(out, Group{Prefix: p})
			}
			out[i].Count++
			out[i].Bytes += t.Bytes()
			break
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Bytes > out[j].Bytes })
	return out
}

// prefixes lists the prefixes of a name, shortest first, the whole name last: first
// those with numbers replaced by "*", which stand for all layers, then those with
// the numbers, for the name of a layer that only the file has. Names with very many
// parts count as a whole.
func prefixes(name string) []string {
	parts := strings.Split(name, ".")
	if len(parts) > 16 {
		return []string{name}
	}
	star := slices.Clone(parts)
	for i, p := range star {
		if p != "" && strings.Trim(p, "0123456789") == "" {
			star[i] = "*"
		}
	}
	var out []string
	for _, parts := range [][]string{star, parts} {
		for i := range parts {
			if p := strings.Join(parts[:i+1], "."); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
