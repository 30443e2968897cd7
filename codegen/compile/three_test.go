package compile_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/model"
)

// threeEntries lists the entries of testdata/three.yaml, each with the experts in its pools: first of
// the embeddings and layer 0, then of layers 1 and 2.
var threeEntries = []struct {
	name, low, high string
}{
	{"vision", "vision", "vision"},
	{"audio", "audio", "audio"},
	{"language", "language", "language"},
	{"vision_audio", "audio vision", "audio vision"},
	{"vision_language", "language vision", "vl"},
	{"audio_language", "audio language", "audio language"},
	{"vision_audio_language", "audio language vision", "all"},
}

func openThree(t *testing.T) *compile.Model {
	t.Helper()
	m, err := compile.Open(filepath.Join("testdata", "three.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// batch makes inputs of a function, with texts of the given lengths.
func batch(f *ir.Func, lengths []int) []rt.Seq {
	var seqs []rt.Seq
	for i, n := range lengths {
		seqs = append(seqs, inputs.Seeded(f, fmt.Sprint(i), n, 50))
	}
	return seqs
}

// Every set of the three modalities is an entry. Its compiled package equals the interpreter at every
// level, for batches that are split into several passes too.
func TestThreeModalities(t *testing.T) {
	asmtest.Slow(t)
	m := openThree(t)
	p, _, err := m.Lower(nil)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, e := range threeEntries {
		want = append(want, e.name)
	}
	for _, f := range p.Funcs {
		got = append(got, f.Name)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("functions (-want +got)\n%s", d)
	}
	e := engineOf(t, m, p, "")
	lengths := []int{9, 1, 4, 2, 7, 9, 3, 1}
	truth := map[string][][]float64{} // by function, of each sequence
	for _, f := range p.Funcs {
		for _, s := range batch(f, lengths) {
			in, n := inputs.Tensors(f, s)
			out, err := p.Run(f.Name, n, in)
			if err != nil {
				t.Fatal(err)
			}
			truth[f.Name] = append(truth[f.Name], out["encoder_out"].F)
		}
	}
	for _, level := range kernel.Levels() {
		if _, built := asm.ISA(level).Level(); !built {
			continue
		}
		proc, err := e.Start(level)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Funcs {
			outs, err := proc.Run(f.Name, batch(f, lengths))
			if err != nil {
				t.Fatalf("%s at %s: %v", f.Name, level, err)
			}
			for i, want := range truth[f.Name] {
				got := outs[0].Seqs[i]
				if len(got) != len(want) {
					t.Fatalf("%s at %s: sequence %d has %d values, want %d", f.Name, level, i, len(got), len(want))
				}
				worst, peak := 0.0, 1.0
				for j := range want {
					worst, peak = max(worst, math.Abs(float64(got[j])-want[j])), max(peak, math.Abs(want[j]))
				}
				if !(worst <= 1e-5*peak) {
					t.Errorf("%s at %s: sequence %d is off by %.2e, want at most %.2e", f.Name, level, i, worst, 1e-5*peak)
				}
			}
		}
		if err := proc.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A package of one entry has only the experts of that entry.
func TestEntryHoldsItsExperts(t *testing.T) {
	asmtest.Slow(t)
	for _, e := range threeEntries {
		t.Run(e.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := openThree(t).Write(compile.Options{Dir: dir, Entries: []string{e.name}, Check: compile.Off}); err != nil {
				t.Fatal(err)
			}
			b, err := blob.Open(filepath.Join(dir, "weights.bin"))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			got := map[string][]string{}
			for _, w := range b.Tensors {
				bundle, _, _ := strings.Cut(w.Name, "~")
				parts := strings.Split(bundle, ".")
				half, expert := strings.Join(parts[:min(2, len(parts))], "."), parts[min(2, len(parts)-1)]
				if len(parts) > 1 && parts[1] == "embed" {
					half, expert = "embed", parts[0]
				}
				if !slices.Contains(got[half], expert) {
					got[half] = append(got[half], expert)
				}
			}
			sets := map[string]string{}
			for half, experts := range got {
				slices.Sort(experts)
				sets[half] = strings.Join(experts, " ")
			}
			want := map[string]string{
				"embed": e.low, "l0.attn": e.low, "l0.ffn": e.low,
				"l1.attn": "shared", "l1.ffn": e.low, "l2.attn": "shared", "l2.ffn": e.high, "final.shared": "b g",
			}
			if d := cmp.Diff(want, sets); d != "" {
				t.Errorf("experts in the weights (-want +got)\n%s", d)
			}
		})
	}
}

// The checkpoint of a description in the long form has the keys of the reference implementation with
// the names of experts, and a build needs only the experts of its entries.
func TestThreeModalitiesCheckpoint(t *testing.T) {
	m := openThree(t)
	var keys []string
	for _, x := range model.Tensors(m.Desc) {
		keys = append(keys, x.Name)
	}
	for _, want := range []string{
		"text_embed.weight", "audio_embed.proj.weight", "vision_embed.stem.0.norm.weight", "encoder.embed_positions.audio.weight",
		"encoder.layers.0.self_attn.q_proj.audio.weight", "encoder.layers.1.self_attn.q_proj.weight",
		"encoder.layers.2.ffn.all.fc1.weight", "encoder.layers.2.final_layer_norm.vl.weight", "encoder.layer_norm.weight",
	} {
		if !slices.Contains(keys, want) {
			t.Errorf("no tensor %s", want)
		}
	}
	p, _, err := m.Lower([]string{"audio"})
	if err != nil {
		t.Fatal(err)
	}
	var audio []checkpoint.SeededTensor
	for _, x := range model.Tensors(m.Desc) {
		if !strings.Contains(x.Name, "vision") && !strings.Contains(x.Name, "language") && !strings.Contains(x.Name, "text_embed") {
			audio = append(audio, checkpoint.SeededTensor{Name: x.Name, Shape: x.Shape})
		}
	}
	src, err := checkpoint.Seeded(1, audio)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := checkpoint.Bind(p, src); err != nil {
		t.Errorf("a checkpoint without the other modalities: %v", err)
	}
	if p, _, err = m.Lower([]string{"audio_language"}); err != nil {
		t.Fatal(err)
	}
	if _, err := checkpoint.Bind(p, src); err == nil || !strings.Contains(err.Error(), "text_embed.weight") {
		t.Errorf("a checkpoint without text: got error %v, want one with text_embed.weight", err)
	}
}
