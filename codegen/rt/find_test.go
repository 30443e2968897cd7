package rt

import (
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Functions are found by what they say that they are.
func TestFind(t *testing.T) {
	p := &Package{Funcs: []*exec.Func{
		{Name: "photo_retrieval", Task: "retrieval", Kind: "image"},
		{Name: "caption_step", Task: "encode", Kind: "pair"},
		{Name: "vision_retrieval", Task: "retrieval", Kind: "image"}, {Name: "pair_vqa"},
	}}
	for _, tt := range []struct{ task, kind, want string }{
		{"retrieval", "image", "photo_retrieval"}, // the first
		{"encode", "pair", "caption_step"},
		{"captioning", "step", ""},
		{"vqa", "pair", ""},
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
