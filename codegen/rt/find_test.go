package rt

import "testing"

// Functions are found by what they say that they are, and those of packages made before they said so by their names.
func TestFind(t *testing.T) {
	p := &Package{Funcs: []*Func{
		{Name: "photo_retrieval", Task: "retrieval", Kind: "image"},
		{Name: "caption_step", Task: "encode", Kind: "pair"},
		{Name: "vision_retrieval"}, {Name: "pair_vqa"}, {Name: "pair_nlvr2_second"}, {Name: "language"},
	}}
	for _, tt := range []struct{ task, kind, want string }{
		{"retrieval", "image", "photo_retrieval"}, // the first
		{"encode", "pair", "caption_step"},
		{"captioning", "step", ""},
		{"vqa", "pair", "pair_vqa"},
		{"nlvr2", "second", "pair_nlvr2_second"},
		{"nlvr2", "pair", ""},
		{"encode", "text", ""},
	} {
		got := ""
		if f := p.Find(tt.task, tt.kind); f != nil {
			got = f.Name
		}
		if got != tt.want {
			t.Errorf("%s %s: function %q, want %q", tt.task, tt.kind, got, tt.want)
		}
	}
}
