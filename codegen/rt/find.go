package rt

// Find returns the package's function of a task that is of a kind, nil if there is none; see Func.
func (p *Package) Find(task, kind string) *Func {
	for _, f := range p.Funcs {
		if t, k := f.of(); t == task && k == kind {
			return f
		}
	}
	return nil
}

// of returns the function's task and kind.
func (f *Func) of() (task, kind string) {
	if f.Task != "" {
		return f.Task, f.Kind
	}
	old := named[f.Name]
	return old[0], old[1]
}

// named are the functions of packages made before Func had a task, by their names.
var named = map[string][2]string{
	"vision_retrieval":      {"retrieval", "image"},
	"language_retrieval":    {"retrieval", "text"},
	"vision_classification": {"classification", "image"},
	"pair_vqa":              {"vqa", "pair"},
	"pair_itm":              {"itm", "pair"},
	"pair_nlvr2":            {"nlvr2", "pair"},
	"pair_nlvr2_second":     {"nlvr2", "second"},
	"reason_head":           {"nlvr2", "head"},
	"caption_image":         {"captioning", "begin"},
	"caption_step":          {"captioning", "step"},
}
