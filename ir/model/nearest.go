package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/spelling"
)

// nearest returns at most three known names that are similar to name, the best first.
func nearest(name string, known []string) []string {
	type hit struct {
		name string
		d    int // edit distance
		same int // length of the common prefix, which decides ties
	}
	const longest, most = 128, 1 << 12 // bounds of a name in bytes and of the names, since a file may have more
	a := plain(name)
	if len(a) > longest {
		return nil
	}
	var hits []hit
	for _, k := range known[:min(len(known), most)] {
		if len(k) > longest {
			continue
		}
		b := plain(k)
		d, far := spelling.Distance(a, b), min(max(2, len(a)/3), len(a)-1)
		if d > far {
			if len(a) < 3 || !strings.Contains(b, a) && !(len(b) > 2 && strings.Contains(a, b)) {
				continue
			}
			d = far
		}
		hits = append(hits, hit{k, d, prefix(a, b)})
	}
	slices.SortStableFunc(hits, func(x, y hit) int { return cmp.Or(cmp.Compare(x.d, y.d), cmp.Compare(y.same, x.same)) })
	hits = slices.DeleteFunc(hits, func(h hit) bool { return h.d > hits[0].d+2 })
	var names []string
	for _, h := range hits[:min(3, len(hits))] {
		names = append(names, h.name)
	}
	return names
}

// plain returns s in lower case and with - in place of _, since people confuse these when they type a name.
func plain(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "_", "-"))
}

func prefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// unknown returns the text of an error about a name that is not in a list.
func unknown(what, name string, known []string) string {
	s := "unknown " + what + " " + quote(name)
	if n := nearest(name, known); len(n) > 0 {
		return s + "; did you mean " + listed(n, " or ") + "?"
	}
	return s + "; want one of " + listed(known, ", ")
}

// listed quotes names and joins them by sep. After about 1 KiB it only counts the rest, since an error should have at most a
// page.
func listed(names []string, sep string) string {
	const most = 1 << 10
	var b strings.Builder
	for i, n := range names {
		if b.Len() > most {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(file.Quote(n))
	}
	return b.String()
}
