package checkpoint

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

const testdata = "../../golden/testdata"

// Vectors of the generator's definition.
func TestGenerator(t *testing.T) {
	if got := fnv1a64("logit_scale"); got != 0xccda59a2223ea645 {
		t.Errorf("fnv1a64 = %x", got)
	}
	if got := mix64(1); got != 0x5692161d100b05e5 {
		t.Errorf("mix64(1) = %x", got)
	}
	if got := mix64(1002); got != 0xb421b8ccf87863b3 {
		t.Errorf("mix64(1002) = %x", got)
	}
	const cls = "beit3.vision_embed.cls_token"
	s := newStream(1001, cls)
	want := []uint64{0xcf9a3cebcd6cd26b, 0x7c3bd7e70c9aa352, 0xbdcab649e7c0a772}
	if diff := cmp.Diff(want, []uint64{s.at(0), s.at(1), s.at(2)}); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
	got := make([]float32, 3)
	SeededFloats(got, 1001, cls, 0, 0, 0.5)
	if diff := cmp.Diff([]float32{0.3109471797943115, -0.014711916446685791, 0.24137437343597412}, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	const q = "beit3.encoder.layers.0.self_attn.q_proj.A.weight"
	offset, scale := SeededRule(q, []int{64, 64})
	if offset != 0 || scale != 0.32475951313972473 {
		t.Errorf("rule of %s is (%v, %v)", q, offset, scale)
	}
	SeededFloats(got, 1001, q, 0, offset, scale)
	if diff := cmp.Diff([]float32{-0.08294282853603363, -0.18859967589378357, -0.06644392758607864}, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	ints := make([]int64, 1000)
	SeededInts(ints, 1001, "input.text_b1.text_ids", 0, 4, 290)
	for i, v := range ints {
		if v < 4 || v >= 290 {
			t.Fatalf("integer %d is %d, want it in [4, 290)", i, v)
		}
	}
}

// goldenTensors lists the tensors of a golden case's weights.
func goldenTensors(t *testing.T, name string) (seed uint64, tensors []SeededTensor) {
	t.Helper()
	text := asmtest.Read(t, filepath.Join(testdata, name, "case.json"))
	var c struct {
		Weights struct {
			Seed    uint64
			Tensors []struct {
				Name          string
				Shape         []int
				Offset, Scale float32
				SHA256        string `json:"sha256_f32"`
			}
		}
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	for _, x := range c.Weights.Tensors {
		s := NewSeededTensor(x.Name, x.Shape)
		if s.Offset != x.Offset || s.Scale != x.Scale {
			t.Errorf("%s: rule gives (%v, %v), want (%v, %v)", x.Name, s.Offset, s.Scale, x.Offset, x.Scale)
		}
		s.SHA256 = x.SHA256
		tensors = append(tensors, s)
	}
	return c.Weights.Seed, tensors
}

func goldenSeeded(t *testing.T, name string) Source {
	t.Helper()
	seed, tensors := goldenTensors(t, name)
	src, err := Seeded(seed, tensors)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// The digests of the cases are checked by reading.
func TestSeededDigests(t *testing.T) {
	for _, name := range []string{"encode_t1", "encode_d128", "retrieval", "classification"} {
		src := goldenSeeded(t, name)
		if len(src.Tensors()) < 90 {
			t.Errorf("%s: %d tensors", name, len(src.Tensors()))
		}
		for _, x := range src.Tensors() {
			if _, err := Load(src, x.Name); err != nil {
				t.Error(err)
			}
		}
	}
	seed, tensors := goldenTensors(t, "base")
	var few []SeededTensor
	for _, x := range tensors {
		if strings.Contains(x.Name, "layers.11.") || len(x.Shape) != 2 {
			few = append(few, x)
		}
	}
	few = append(few, NewSeededTensor("text_embeddings.position_ids", []int{1, 10}))
	src, err := Seeded(seed, few)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range src.Tensors() {
		if _, err := Load(src, x.Name); err != nil {
			t.Error(err)
		}
	}
	ids, err := LoadInts(src, "text_embeddings.position_ids")
	if diff := cmp.Diff([]int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, ids); err != nil || diff != "" {
		t.Errorf("position_ids: %v (-want +got):\n%s", err, diff)
	}
	whole, err := Load(src, "beit3.encoder.layers.11.ffn.B.fc1.bias")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := LoadRows(src, "beit3.encoder.layers.11.ffn.B.fc1.bias", 100, 50)
	if diff := cmp.Diff(whole[100:150], rows); err != nil || diff != "" {
		t.Errorf("rows: %v (-want +got):\n%s", err, diff)
	}
}

func TestSeededErrors(t *testing.T) {
	wrong := SeededTensor{Name: "a.bias", Shape: []int{3}, Scale: 1, SHA256: strings.Repeat("00", 32)}
	src, err := Seeded(7, []SeededTensor{wrong})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(src, "a.bias")
	asmtest.ErrorSays(t, err, "splitmix64-v1 seed 7", `"a.bias"`, "SHA-256 is", "made with other offset, scale or shape")
	huge := "at most 268435456 are generated"
	if math.MaxInt == math.MaxInt32 { // such a tensor has more bytes than there are numbers
		huge = "too large"
	}
	for _, c := range []struct {
		name string
		t    []SeededTensor
		want string
	}{
		{"huge", []SeededTensor{{Name: "w", Shape: []int{1 << 20, 1 << 10}}}, huge},
		{"overflow", []SeededTensor{{Name: "w", Shape: []int{math.MaxInt, math.MaxInt}}}, "too large"},
		{"negative", []SeededTensor{{Name: "w", Shape: []int{-1}}}, "negative"},
		{"twice", []SeededTensor{{Name: "w"}, {Name: "w"}}, "twice"},
		{"no inputs", []SeededTensor{NewSeededTensor("w", []int{3, 0})}, "finite"},
		{"digest", []SeededTensor{{Name: "w", SHA256: "xyz"}}, "not a SHA-256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Seeded(1, c.t)
			asmtest.ErrorSays(t, err, "splitmix64-v1 seed 1", c.want)
		})
	}
}
