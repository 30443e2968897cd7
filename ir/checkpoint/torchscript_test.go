package checkpoint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// module writes a module whose attributes body writes, as keys and values.
func (p *pick) module(class string, body func()) *pick {
	p.global("__torch__.models", class).op(')', 0x81, '}', '(')
	body()
	return p.op('u', 'b')
}

// scriptArchive holds a tensor, tensors of modules, one module under two names, and other attributes.
func scriptArchive(t testing.TB) []byte {
	p := start()
	p.module("CLIP", func() {
		p.str("training").op(0x88)
		p.str("scale").tensor(six, 5, nil, nil)
		p.str("hooks").op(']')
		p.str("visual").module("ViT", func() {
			p.str("proj").global("torch._utils", "_rebuild_parameter").op('(').tensor(six, 0, []int{2, 3}, []int{3, 1}).op(0x88).global("collections", "OrderedDict").op(')', 'R', 't', 'R')
			p.str("0").module("Block", func() { p.str("w").tensor(six, 1, []int{2}, []int{1}) }).op('q', 7)
			p.str("1").op('h', 7)
			p.str("act").global("__torch__.torch.nn", "GELU").op(')', 0x81)
		})
	})
	return archive(t, p.op('.').Bytes(), map[string][]byte{"0": sixBytes})
}

func TestTorchScript(t *testing.T) {
	src, err := openPth(scriptArchive(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float32{
		"scale f32[]":          {5},
		"visual.proj f32[2,3]": {0, 1, 2, 3, 4, 5},
		"visual.0.w f32[2]":    {1, 2},
		"visual.1.w f32[2]":    {1, 2},
	}
	if diff := cmp.Diff(want, held(t, src)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTorchScriptErrors(t *testing.T) {
	nested := func(n int, times int) []byte { // n modules in each other, each several times in the one around it
		p := start()
		p.module("M", func() { p.str("w").tensor(six, 0, []int{2}, []int{1}) }).op('q', 1)
		for range n {
			p.module("M", func() {
				for k := range times {
					p.str(string(rune('a'+k))).op('h', 1)
				}
			}).op('q', 1)
		}
		return p.op('.').Bytes()
	}
	self := start().global("__torch__.m", "M").op(')', 0x81, 'q', 1, '}').str("m").op('h', 1, 's', 'b', '.').Bytes()
	for _, c := range []struct {
		name, want string
		pickle     []byte
	}{
		{"in itself", "nested more than 32 deep, or contain themselves", self},
		{"too deep", "nested more than 32 deep", nested(40, 1)},
		{"doubled at each level", "far more memory or work", nested(30, 4)},
		{"state is no dict", "a module is built from a number, want a dict of its attributes", start().global("__torch__.m", "M").op(')', 0x81).int(1).op('b', '.').Bytes()},
		{"no tensors", "no dict of tensors", start().global("__torch__.m", "M").op(')', 0x81, '.').Bytes()},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := openPth(archive(t, c.pickle, map[string][]byte{"0": sixBytes}))
			asmtest.ErrorSays(t, err, "m.pth: ", c.want)
		})
	}
}
