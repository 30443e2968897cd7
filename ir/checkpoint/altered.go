package checkpoint

import (
	"fmt"
	"slices"
	"strings"
)

// alteration is a training technique whose checkpoints have extra tensors, from which weights must be computed.
type alteration struct {
	what string
	// words are found, between underscores, in one of the parts of such a tensor's name that dots separate. No supported
	// model has these words in a name.
	words []string
	// ends are suffixes of the names of tensors from which a module computes a weight, and which a file has all; the weight has
	// the name without the suffix.
	ends []string
	cure string
}

// parametrizations precedes the name of a weight that a module computes: q.parametrizations.weight.original0.
const parametrizations = ".parametrizations."

// adapters and merge are the name of adapters in errors and the advice about them.
const (
	adapters = "adapters (LoRA and its like)"
	merge    = "merge them into the weights and save those: `model = model.merge_and_unload()` with PEFT; with loralib `model.eval()`, and leave out names that have lora_"
)

var alterations = []alteration{
	{adapters, []string{"lora", "loha", "lokr", "hada", "dora", "ia3", "oft", "boft", "vera", "randlora", "adapter", "adapters"}, nil, merge},
	{adapters, []string{"base_layer", "modules_to_save"}, nil, merge}, // after the row whose words are more specific
	{"weight norm", nil, []string{"_g", "_v"},
		"take it off and save again: `torch.nn.utils.remove_weight_norm(module)` for each module that has it"},
	{"pruning", nil, []string{"_mask", "_orig"},
		"take it off and save again: `torch.nn.utils.prune.remove(module, \"weight\")` for each module that has it"},
	{"spectral norm", nil, []string{"_u", "_orig"},
		"take it off and save again: `torch.nn.utils.remove_spectral_norm(module)` for each module that has it"},
	{"parametrizations (weight norm, spectral norm and others)", nil, nil,
		"take them off and save again: `torch.nn.utils.parametrize.remove_parametrizations(module, \"weight\")` for each module that has them"},
}

// addition is a further tensor inside a module whose weight the model uses. The model would ignore it, whatever it does.
var addition = alteration{what: "an addition to a module",
	cure: "merge it into the weight of its module and save that, or leave it out of the file if it changes nothing"}

// counters are tensors of the profiler thop, which change nothing.
var counters = []string{"total_ops", "total_params"}

// adds reports whether a tensor is inside a module whose weight the model uses, and is neither that weight nor its bias.
func adds(name string, taken func(name string) bool) bool {
	name = Bare(name)
	for i := range name {
		if name[i] != '.' {
			continue
		}
		if rest := name[i+1:]; rest != "weight" && rest != "bias" && !slices.Contains(counters, rest) && taken(name[:i]+".weight") {
			return true
		}
	}
	return false
}

// weight returns the name of the weight that a tensor of the alteration changes, in a file that has the tensors for which has is
// true, or "". any is true if it changes a weight whose name is not known.
func (a *alteration) weight(name string, has func(name string) bool) (weight string, any bool) {
	for part := range strings.SplitSeq(name, ".") {
		part = "_" + strings.ToLower(part) + "_"
		if slices.ContainsFunc(a.words, func(w string) bool { return strings.Contains(part, "_"+w+"_") }) {
			return "", true
		}
	}
	if len(a.ends) > 0 {
		w, ok := strings.CutSuffix(name, a.ends[0])
		if ok && !slices.ContainsFunc(a.ends, func(e string) bool { return !has(w + e) }) {
			return w, false
		}
	}
	if module, rest, ok := strings.Cut(name, parametrizations); ok && a.words == nil && a.ends == nil {
		own, _, _ := strings.Cut(rest, ".")
		return module + "." + own, false
	}
	return "", false
}

// Altered returns an error if a source has tensors that change the value of weights and that an import would ignore:
// adapters, parts from which a module computes a weight, and other tensors inside a module. wanted reports whether a model
// uses a weight; nil stands for all weights of an unknown model.
func Altered(src Source, wanted func(name string) bool) error {
	refuse := func(a *alteration, is func(name string) bool) error {
		var first string
		n := 0
		for _, t := range src.Tensors() {
			if is(t.Name) {
				if n++; n == 1 {
					first = t.Name
				}
			}
		}
		if n == 0 {
			return nil
		}
		more := ""
		if n > 1 {
			more = fmt.Sprintf(" and %d more", n-1)
		}
		return fmt.Errorf("%s: has %s, in %s%s; without them the weights would be wrong: %s", src, a.what, quote(first), more, a.cure)
	}
	names := map[string]bool{}
	for _, t := range src.Tensors() {
		names[t.Name] = true
	}
	for _, a := range alterations {
		err := refuse(&a, func(name string) bool {
			w, any := a.weight(name, func(name string) bool { return names[name] })
			return any || w != "" && (wanted == nil || wanted(Bare(w)))
		})
		if err != nil {
			return err
		}
	}
	if wanted == nil {
		return nil
	}
	taken := func(name string) bool {
		_, ok := Find(src, name)
		return ok && wanted(name)
	}
	return refuse(&addition, func(name string) bool { return !wanted(name) && adds(name, taken) })
}
