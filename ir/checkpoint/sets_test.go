package checkpoint

import (
	"archive/zip"
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir"
)

// bound binds a program with the wanted tensors to a source with the given names; each tensor's value is its index.
func bound(t testing.TB, wanted, names []string) (*Report, map[string]float32, error) {
	t.Helper()
	var tensors []Tensor
	for i, n := range names {
		tensors = append(tensors, Tensor{Name: n, DType: F32, Shape: []int{1}, Floats: []float32{float32(i)}})
	}
	src, err := Memory("m", tensors)
	if err != nil {
		t.Fatal(err)
	}
	p := &ir.Program{}
	for i, key := range wanted {
		p.Weights = append(p.Weights, weight(fmt.Sprint("w", i), key, []int{1}, 1))
	}
	r, err := Bind(p, src)
	if err != nil {
		return nil, nil, err
	}
	got := map[string]float32{}
	for i, w := range p.Weights {
		f, err := w.Load()
		if err != nil {
			t.Fatal(err)
		}
		got[wanted[i]] = f[0]
	}
	return r, got, nil
}

func TestBindNames(t *testing.T) {
	wanted := []string{"a.w", "b.0.w", "c.w"}
	for _, c := range []struct {
		name  string
		names []string
		take  []float32 // places in names of what is taken
		notes []string
		left  string // surplus
	}{
		{"as they are", []string{"a.w", "b.0.w", "c.w", "model.x"}, []float32{0, 1, 2}, nil, "model"},
		{"one", []string{"module.a.w", "module.b.0.w", "module.c.w", "module.x"}, []float32{0, 1, 2}, []string{`dropped "module." from the names of 3 tensors`}, "x"},
		{"a stray", []string{"n_averaged", "_orig_mod.a.w", "_orig_mod.b.0.w", "_orig_mod.c.w"}, []float32{1, 2, 3}, []string{`dropped "_orig_mod." from the names of 3 tensors`}, "n_averaged"},
		{"nested", []string{"model.module._orig_mod.a.w", "model.module._orig_mod.b.0.w", "model.module._orig_mod.c.w"}, []float32{0, 1, 2}, []string{`dropped "model.module._orig_mod." from the names of 3 tensors`}, ""},
		{"within", []string{"a._orig_mod.w", "b._orig_mod.0._orig_mod.w", "c.w"}, []float32{0, 1, 2}, []string{`dropped "..._orig_mod." from the names of 2 tensors`}, ""},
		{"some", []string{"model.a.w", "model.b.0.w", "c.w"}, []float32{0, 1, 2}, []string{`dropped "model." from the names of 2 tensors`}, ""},
		{"what is wanted as it is comes first", []string{"model.a.w", "model.b.0.w", "model.c.w", "a.w", "b.0.w", "c.w"}, []float32{3, 4, 5},
			[]string{"sets of weights in the file: the outermost (3 tensors), \"model\" (3 tensors); this is the outermost; `checkpoint: {file: FILE, key: model}` takes one, and --key model of init"}, "model"},
		{"two", []string{"model.a.w", "model.b.0.w", "model.c.w", "ema.module.a.w", "ema.module.b.0.w", "ema.module.c.w"}, []float32{0, 1, 2},
			[]string{`dropped "model." from the names of 3 tensors`, "sets of weights in the file: \"ema\" (3 tensors), \"model\" (3 tensors); this is \"model\"; `checkpoint: {file: FILE, key: ema}` takes one, and --key ema of init"}, "ema"},
		{"the larger of two", []string{"module.a.w", "model.a.w", "model.b.0.w", "model.c.w"}, []float32{1, 2, 3}, []string{`dropped "model." from the names of 3 tensors`}, "module"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, got, err := bound(t, wanted, c.names)
			if err != nil {
				t.Fatal(err)
			}
			for i, key := range wanted {
				if got[key] != c.take[i] {
					t.Errorf("%s is %s, want %s", key, c.names[int(got[key])], c.names[int(c.take[i])])
				}
			}
			if diff := cmp.Diff(c.notes, r.Notes()); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			var left []string
			for _, g := range r.Surplus {
				left = append(left, g.Prefix)
			}
			if got := strings.Join(left, " "); got != c.left {
				t.Errorf("surplus is %s, want %s", got, c.left)
			}
		})
	}
	if _, _, err := bound(t, wanted, []string{"my.a.w", "my.b.0.w", "my.c.w"}); err == nil || !strings.Contains(err.Error(), "hint: it has sets of weights under other keys: \"my\" (3 tensors); `checkpoint: {file: FILE, key: my}` takes one") {
		t.Errorf("other names: %v", err)
	}
}

func TestSetByKey(t *testing.T) {
	src, err := Memory("m", []Tensor{floats("a.b.w", 1), floats("a.c.w", 2), floats("a.c.x", 3)})
	if err != nil {
		t.Fatal(err)
	}
	set, err := narrow(src, "a.c")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Info{{Name: "w", DType: F32, Shape: []int{2}}, {Name: "x", DType: F32, Shape: []int{3}}}, set.Tensors()); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if f, err := Load(set, "x"); err != nil || len(f) != 3 {
		t.Errorf("got %v, %v", f, err)
	}
	_, err = narrow(src, "c")
	asmtest.ErrorSays(t, err, `m: no weights under the key "c"; there are "a" (3 tensors)`)
}

// If the key selects a set inside of another, the outer one is not offered; and no key is offered that does not open a set.
func TestHintsOfSets(t *testing.T) {
	alone, around := "a.w", "net.a.w"
	for _, c := range []struct {
		key, want string
		names     []string
	}{
		{"net", "", []string{around}},
		{"net", "sets of weights in the file: \"ema\" (1 tensors), \"net\" (1 tensors); this is \"net\"; `checkpoint: {file: FILE, key: ema}` takes one, and --key ema of init", []string{"ema", around}},
		{"", "sets of weights in the file: the outermost (1 tensors), \"model\" (1 tensors); this is \"model\"", []string{"model", alone}},
	} {
		p := start().op('}', '(')
		for _, n := range c.names {
			if p.str(n); n != alone && n != around {
				p.op('}').str(alone).tensor(six, 0, nil, nil).op('s')
			} else {
				p.tensor(six, 0, nil, nil)
			}
		}
		path := filepath.Join(t.TempDir(), "m.pth")
		asmtest.Write(t, path, archive(t, p.op('u', '.').Bytes(), map[string][]byte{"0": sixBytes}))
		src, err := OpenSet(path, c.key)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		r, err := Bind(&ir.Program{Weights: []*ir.Weight{weight("w", alone, []int{}, 1)}}, src)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.Notes(), "\n"); got != c.want {
			t.Errorf("%v by %q: %s\nwant %s", c.names, c.key, got, c.want)
		}
	}
}

// Tensors that would change used weights are refused, with their names.
func TestAlteredWeightsAreRefused(t *testing.T) {
	for _, c := range []struct{ names, want string }{
		{"q.lora_A.default.weight", "has adapters (LoRA and its like), in \"q.lora_A.default.weight\"; without them the weights would be wrong: merge them"},
		{"elsewhere.lora_down.weight", "has adapters"},
		{"q.base_layer.weight", "has adapters"},
		{"q.weight_g q.weight_v", "has weight norm, in \"q.weight_g\""},
		{"module.q.weight_g module.q.weight_v", "has weight norm"},
		{"other.weight_g other.weight_v", ""},
		{"q.weight_v", "has an addition to a module"},
		{"q.weight_orig q.weight_u q.weight_v", "has spectral norm, in \"q.weight_u\""},
		{"q.weight_orig q.weight_mask", "has pruning, in \"q.weight_mask\""},
		{"q.weight_mask", "has an addition to a module, in \"q.weight_mask\""},
		{"q.parametrizations.weight.original0", "has parametrizations"},
		{"other.parametrizations.weight.original0", ""},
		{"q.lora.down.weight", "has adapters"},
		{"to_q_lora.up.weight", "has adapters"},
		{"q.hada_w1_a", "has adapters"},
		{"q.lora_magnitude_vector", "has adapters"},
		{"explorer_.x", ""},
		{"flora.x", ""},
		{"q.shira_weight", "has an addition to a module, in \"q.shira_weight\"; without them the weights would be wrong: merge it"},
		{"module.q.linear_a.weight", "has an addition to a module"},
		{"q.0.weight", "has an addition to a module"},
		{"q.bias", ""},
		{"q.total_ops", ""},
		{"q2.shira_weight", ""},
	} {
		_, _, err := bound(t, []string{"q.weight"}, append([]string{"q.weight"}, strings.Fields(c.names)...))
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.names, err)
			}
			continue
		}
		asmtest.ErrorSays(t, err, c.want)
	}
}

// In a file of an unknown model, names that end like those of an alteration are one only if the file has all of its tensors.
func TestAlteredUnknownModel(t *testing.T) {
	for _, c := range []struct{ names, want string }{
		{"attn_mask x_g x_u y_v y_orig", ""},
		{"x.weight_mask x.weight_orig", "has pruning"},
		{"x.weight_g x.weight_v", "has weight norm"},
		{"x.weight_u x.weight_orig", "has spectral norm"},
	} {
		var tensors []Tensor
		for _, name := range strings.Fields(c.names) {
			tensors = append(tensors, Tensor{Name: name, DType: F32, Shape: []int{1}, Floats: []float32{1}})
		}
		src, err := Memory("m", tensors)
		if err != nil {
			t.Fatal(err)
		}
		if err := Altered(src, nil); c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.names, err)
			}
		} else {
			asmtest.ErrorSays(t, err, c.want)
		}
	}
}

// deflated is a pickle of one tensor of n zeros, all compressed.
func deflated(t testing.TB, n int) []byte {
	t.Helper()
	p := start().op('}').str("w").tensor(storage{"FloatStorage", "0", n}, 0, []int{n}, []int{1}).op('s', '.')
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range []struct {
		name string
		data []byte
	}{{"a/data.pkl", p.Bytes()}, {"a/data/0", make([]byte, 4*n)}} {
		f, err := w.Create(e.name)
		if err == nil {
			_, err = f.Write(e.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDeflated(t *testing.T) {
	src, err := openPth(deflated(t, 1000))
	if err != nil {
		t.Fatal(err)
	}
	if f, err := Load(src, "w"); err != nil || len(f) != 1000 || slices.Max(f) != 0 {
		t.Errorf("got %d values, %v", len(f), err)
	}

	bomb := deflated(t, 8<<20) // 32 MiB of a few KiB
	took := asmtest.Allocated(func() { _, err = openPth(bomb) })
	asmtest.ErrorSays(t, err, `compressed entry "data/0" would have 33554432 bytes: it would take far more memory`)
	if took > 1<<20 {
		t.Errorf("refusing it takes %d bytes", took)
	}

	for name, change := range map[string]func(data []byte, directory int){
		"less than it says": func(b []byte, at int) { b[at+24]++ },
		"more than it says": func(b []byte, at int) { b[at+24]-- },
		"another checksum":  func(b []byte, at int) { b[at+16]++ },
	} {
		data := deflated(t, 1000)
		change(data, bytes.LastIndex(data, []byte("PK\x01\x02")))
		src, err := openPth(data)
		if err == nil {
			_, err = Load(src, "w")
		}
		if err == nil || !strings.Contains(err.Error(), "corrupt") && !strings.Contains(err.Error(), "its entry has") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A dict may be in itself, and in others many times.
func TestDictsInDicts(t *testing.T) {
	p := start().op('}', 'q', 1, '(')
	for i := range 2000 {
		p.str(fmt.Sprint("k", i)).op('h', 1)
	}
	p.op('u', '.')
	_, err := openPth(archive(t, p.Bytes(), nil))
	asmtest.ErrorSays(t, err, "far more memory or work")
}

// Names that are constructed to be expensive take at most seconds.
func TestHostileWrappedNames(t *testing.T) {
	var names []string
	for i := range 5000 {
		names = append(names, strings.Repeat("module.", i%8)+strings.Repeat("a.model.", 40)+fmt.Sprint("x", i))
	}
	var wanted []string
	for i := range 1000 {
		wanted = append(wanted, strings.Repeat("a.", 40)+fmt.Sprint("x", i))
	}
	r, _, err := bound(t, wanted, names)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.String()); n > 8<<10 {
		t.Errorf("the report has %d bytes", n)
	}
}

// FuzzNames binds a model to a source with any names.
func FuzzNames(f *testing.F) {
	f.Add("a.w b.0.w", "module.a.w model._orig_mod.b.0.w n_averaged ema.module.a.w ema.module.b.0.w")
	f.Add("q.weight", "q.weight q.lora_A q.parametrizations.weight.original0")
	f.Fuzz(func(t *testing.T, wanted, names string) {
		list := func(s string) []string {
			l := strings.Fields(s)
			slices.Sort(l)
			return slices.Compact(l)
		}
		if w, n := list(wanted), list(names); len(w) > 0 && len(n) > 0 && !slices.ContainsFunc(append(w, n...), func(s string) bool { return len(s) > maxName }) {
			if r, got, err := bound(t, w, n); err == nil {
				taken := map[float32]bool{}
				for key, at := range got {
					if taken[at] || Bare(n[int(at)]) != Bare(key) {
						t.Errorf("%s is %s", key, n[int(at)])
					}
					taken[at] = true
				}
				_ = r.String()
			}
		}
	})
}
