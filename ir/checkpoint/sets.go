package checkpoint

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// Set is one of several sets of weights in a file: the tensors of a dict in a pickle, or tensors with a common prefix.
type Set struct {
	Key     string // path of the dict, joined by dots, or the common prefix, without its dot
	Tensors int
}

// String returns the set's name in lists: `model_ema (213 tensors)`.
func (s Set) String() string {
	return fmt.Sprintf("%s (%d tensors)", s.name(), s.Tensors)
}

// take returns the advice how to choose the set.
func (s Set) take() string {
	return fmt.Sprintf("`checkpoint: {file: FILE, key: %s}` takes one, and --key %[1]s of init", file.Quote(s.Key))
}

// name returns the set's name without its size.
func (s Set) name() string {
	if s.Key == "" {
		return "the outermost"
	}
	return quote(s.Key)
}

// maxSets bounds the sets that are found by prefixes of names.
const maxSets = 64

func setList(sets []Set) string {
	var s []string
	for i, x := range sets {
		if i == 8 {
			s = append(s, fmt.Sprintf("and %d more", len(sets)-i))
			break
		}
		s = append(s, x.String())
	}
	return strings.Join(s, ", ")
}

// largest drops sets with less than half as many tensors as the largest set: they are not weights of the model.
func largest(sets []Set) []Set {
	most := 0
	for _, s := range sets {
		most = max(most, s.Tensors)
	}
	return slices.DeleteFunc(sets, func(s Set) bool { return 2*s.Tensors < most })
}

// wrappers are the parts that wrapper modules add to the names of tensors, at any position.
var wrappers = []string{
	"module",                     // DataParallel, DistributedDataParallel, AveragedModel
	"_orig_mod",                  // torch.compile
	"model",                      // a LightningModule's own
	"_forward_module",            // Lightning's strategies
	"_fsdp_wrapped_module",       // FullyShardedDataParallel
	"_checkpoint_wrapped_module", // activation checkpointing
}

// Bare returns a tensor's name without the parts of wrapper modules: "module", "_orig_mod", "model" and so on.
func Bare(name string) string {
	bare, _ := unwrapped(name)
	return bare
}

// unwrapped returns the name of Bare and the dropped parts: "module._orig_mod." from the front, "..._orig_mod." from within.
func unwrapped(name string) (bare, dropped string) {
	parts := strings.Split(name, ".")
	kept := parts[:0:0]
	for i, p := range parts {
		switch {
		case i == len(parts)-1 || !slices.Contains(wrappers, p):
			kept = append(kept, p)
		case len(kept) > 0 && !strings.Contains(dropped, "..."):
			dropped += "..." + p + "."
		case len(kept) == 0 || !strings.HasSuffix(dropped, "."+p+"."):
			dropped += p + "."
		}
	}
	return strings.Join(kept, "."), dropped
}

// BareTensors lists the tensors of a source by their bare names, each name once and without further sets of weights. Models
// are recognised by this list.
func BareTensors(src Source) []Info {
	var list []Info
	shapes := map[string][]int{}
	for _, t := range src.Tensors() {
		if t.Name = Bare(t.Name); shapes[t.Name] == nil {
			shapes[t.Name] = append([]int{}, t.Shape...)
			list = append(list, t)
		}
	}
	before := func(t Info) string { // the prefix of another tensor's name before it, of the same shape
		return firstLead(t.Name, func(rest string) bool { return shapes[rest] != nil && slices.Equal(shapes[rest], t.Shape) })
	}
	count := map[string]int{}
	for _, t := range list {
		if p := before(t); p != "" {
			count[p]++
		}
	}
	// A further set has every matrix of the first one. A tower of the same model may share only some names of layers.
	for p, n := range count {
		if 3*n > len(list) && slices.ContainsFunc(list, func(t Info) bool {
			return len(t.Shape) > 1 && !strings.HasPrefix(t.Name, p+".") && shapes[p+"."+t.Name] == nil
		}) {
			delete(count, p)
		}
	}
	all := len(list)
	return slices.DeleteFunc(list, func(t Info) bool { return 3*count[before(t)] > all })
}

// firstLead returns the shortest prefix of a name, up to a dot, for which ok accepts the rest; "" if it accepts none.
func firstLead(name string, ok func(rest string) bool) string {
	at := 0
	for range maxParts {
		i := strings.IndexByte(name[at:], '.')
		if i < 0 {
			break
		}
		if at += i + 1; ok(name[at:]) {
			return name[:at-1]
		}
	}
	return ""
}

// renamed is a source in which some tensors have other names.
type renamed struct {
	Source
	infos []Info
	old   map[string]string // the name in Source of each new name
	key   string            // key of the set that the source was narrowed to; "" = none
	drops []Drop
}

// Drop describes parts that were dropped from names: leading parts, such as "module._orig_mod.", or, after "...", inner parts.
type Drop struct {
	Parts   string
	Tensors int
}

func (r *renamed) Tensors() []Info { return r.infos }

func (r *renamed) Read(name string, at int, dst []byte) error {
	if old, ok := r.old[name]; ok {
		name = old
	}
	return r.Source.Read(name, at, dst)
}

func (r *renamed) sort() *renamed {
	sort.Slice(r.infos, func(i, j int) bool { return r.infos[i].Name < r.infos[j].Name })
	return r
}

// narrow returns the set of tensors in src whose names begin with key and a dot, without that prefix.
func narrow(src Source, key string) (Source, error) {
	r := &renamed{Source: src, old: map[string]string{}, key: key}
	for _, t := range src.Tensors() {
		if short, ok := strings.CutPrefix(t.Name, key+"."); ok {
			r.old[short] = t.Name
			t.Name = short
			r.infos = append(r.infos, t)
		}
	}
	if r.infos == nil {
		sets, _ := Sets(src)
		for p, n := range firstParts(src.Tensors()) {
			sets = append(sets, Set{p, n})
		}
		slices.SortStableFunc(sets, func(a, b Set) int { return cmp.Or(cmp.Compare(b.Tensors, a.Tensors), cmp.Compare(a.Key, b.Key)) })
		return nil, fmt.Errorf("%s: no weights under the key %s; there are %s", src, quote(key), setList(sets))
	}
	return r.sort(), nil
}

// firstParts counts the tensors by the first parts of their names.
func firstParts(list []Info) map[string]int {
	n := map[string]int{}
	for _, t := range list {
		if first, _, ok := strings.Cut(t.Name, "."); ok {
			n[first]++
		}
	}
	return n
}

// Sets lists the sets of weights in the file of a source, and returns the key of the source's own set. The list is empty if the
// file has no dicts or prefixes of its own for sets; [Report] has the sets that are found by the names of a model's tensors.
func Sets(src Source) (sets []Set, taken string) {
	switch s := src.(type) {
	case *pytorch:
		return s.sets, s.taken
	case *renamed:
		sets, taken = Sets(s.Source)
		return sets, joinKey(taken, s.key)
	case *rounded:
		return Sets(s.Source)
	}
	return nil, ""
}

func joinKey(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "." + b
}

// named returns src with the model's names for the wanted tensors: parts of wrapper modules are dropped if the rest is a
// wanted name. A tensor whose name is wanted as it is takes precedence, then tensors with the most frequent dropped prefix.
// The same leading parts are dropped from the names of other tensors.
func named(src Source, wanted map[string]bool) *renamed {
	list := src.Tensors()
	r := &renamed{Source: src, infos: slices.Clone(list), old: map[string]string{}}
	taken := map[string]bool{}
	for _, t := range list {
		taken[t.Name] = true
	}
	type match struct {
		at            int // index in list
		bare, dropped string
	}
	var all []match
	count := map[string]int{}
	for i, t := range list {
		if wanted[t.Name] {
			continue
		}
		if bare, dropped := unwrapped(t.Name); dropped != "" && wanted[bare] {
			all = append(all, match{i, bare, dropped})
			count[dropped]++
		}
	}
	slices.SortStableFunc(all, func(a, b match) int {
		return cmp.Or(cmp.Compare(count[b.dropped], count[a.dropped]), cmp.Compare(len(a.dropped), len(b.dropped)), cmp.Compare(a.dropped, b.dropped))
	})
	rename := func(at int, to string) bool {
		if taken[to] {
			return false
		}
		r.old[to] = list[at].Name
		r.infos[at].Name = to
		taken[to] = true
		return true
	}
	places := map[string]int{} // indices in drops
	for _, m := range all {
		if !rename(m.at, m.bare) {
			continue
		}
		i, ok := places[m.dropped]
		if !ok {
			i = len(r.drops)
			places[m.dropped] = i
			r.drops = append(r.drops, Drop{Parts: m.dropped})
		}
		r.drops[i].Tensors++
	}
	for i, t := range list {
		for _, d := range r.drops[:min(len(r.drops), 8)] {
			lead, _, _ := strings.Cut(d.Parts, "...")
			if short, ok := strings.CutPrefix(t.Name, lead); ok && lead != "" && short != "" && r.infos[i].Name == t.Name {
				rename(i, short)
			}
		}
	}
	return r.sort()
}

// sets lists the sets of weights in a file, and returns the key of the set in src; the list is empty if the file has just one
// set. It has the sets of [Sets], and sets that src has besides r, which are found by prefixes of most wanted names.
func sets(src Source, r *renamed, wanted map[string]bool) (all []Set, taken string) {
	all, taken = Sets(src)
	here := taken // the dropped prefix of a narrowed source is part of its key
	used, count := map[string]bool{}, map[string]int{}
	for _, t := range r.infos {
		if wanted[t.Name] {
			used[cmp.Or(r.old[t.Name], t.Name)] = true
		}
	}
	for _, t := range src.Tensors() {
		if used[t.Name] {
			continue
		}
		key := firstLead(t.Name, func(rest string) bool { return wanted[Bare(rest)] })
		if key != "" && (count[key] > 0 || len(count) < maxSets) {
			count[key]++
		}
	}
	for key, n := range count {
		if 2*n > len(wanted) {
			all = append(all, Set{joinKey(here, key), n})
		}
	}
	if in, ok := src.(*renamed); ok && in.key != "" { // the set that this one was narrowed from is the same set
		_, around := Sets(in.Source)
		all = slices.DeleteFunc(all, func(s Set) bool { return s.Key == around })
	}
	if len(used) > 0 && !slices.ContainsFunc(all, func(s Set) bool { return s.Key == taken }) {
		lead := ""
		if len(r.drops) > 0 {
			lead, _, _ = strings.Cut(r.drops[0].Parts, "...")
		}
		taken = joinKey(here, strings.TrimSuffix(lead, "."))
		all = append(all, Set{taken, len(used)})
	}
	slices.SortFunc(all, func(a, b Set) int { return cmp.Compare(a.Key, b.Key) })
	if len(used) > 0 && len(all) == 1 {
		return nil, taken
	}
	return all, taken
}
