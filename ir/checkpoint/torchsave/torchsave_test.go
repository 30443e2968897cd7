package torchsave_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/checkpoint/torchsave"
)

func tensors(t testing.TB) checkpoint.Source {
	t.Helper()
	var list []checkpoint.SeededTensor
	for _, x := range []struct {
		name  string
		shape []int
	}{
		{"logit_scale", []int{}}, {"beit3.text_embed.weight", []int{50, 8}}, {"text_embeddings.position_ids", []int{1, 7}},
		{"beit3.vision_embed.proj.weight", []int{8, 3, 4, 4}}, {"none", []int{0, 3}},
	} {
		list = append(list, checkpoint.NewSeededTensor(x.name, x.shape))
	}
	for i := range 5 {
		for _, s := range []struct {
			part  string
			shape []int
		}{{"fc1.weight", []int{32, 8}}, {"fc1.bias", []int{32}}, {"ln.weight", []int{8}}} {
			list = append(list, checkpoint.NewSeededTensor(fmt.Sprintf("layers.%d.%s", i, s.part), s.shape))
		}
	}
	src, err := checkpoint.Seeded(7, list)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// What every style writes, in both formats, reads back as the same tensors, and
// nothing else does.
func TestReadBack(t *testing.T) {
	for _, style := range torchsave.Styles {
		for _, legacy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s legacy=%v", style, legacy), func(t *testing.T) {
				src := tensors(t)
				path := filepath.Join(t.TempDir(), "m.pth")
				if err := torchsave.WriteFile(path, src, torchsave.Options{Style: style, Legacy: legacy}); err != nil {
					t.Fatal(err)
				}
				got, err := checkpoint.OpenFile(path)
				if err != nil {
					t.Fatal(err)
				}
				defer got.Close()
				if style == torchsave.DeepSpeed {
					if src, err = checkpoint.Rounded(src, checkpoint.F16); err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(src.Tensors(), got.Tensors()); diff != "" {
					t.Fatalf("tensors (-want +got):\n%s", diff)
				}
				for _, x := range src.Tensors() {
					w, err1 := checkpoint.Load(src, x.Name)
					g, err2 := checkpoint.Load(got, x.Name)
					if err1 != nil || err2 != nil {
						t.Fatal(err1, err2)
					}
					for i := range w {
						if math.Float32bits(w[i]) != math.Float32bits(g[i]) {
							t.Fatalf("%s: element %d is %v, want %v", x.Name, i, g[i], w[i])
						}
					}
				}
			})
		}
	}
}

// Entries are stored, at multiples of 64 bytes, as torch.save has them, and two runs
// write the same bytes.
func TestArchive(t *testing.T) {
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := torchsave.Write(w, tensors(t), torchsave.Options{Style: torchsave.Finetune}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two runs differ")
	}
	z, err := zip.NewReader(bytes.NewReader(a.Bytes()), int64(a.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		off, err := f.DataOffset()
		if err != nil || off%64 != 0 || f.Method != zip.Store {
			t.Errorf("%s: at %d, method %d, %v", f.Name, off, f.Method, err)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	// A weight and two moments of 19 float tensors, the ids, and three files.
	if len(z.File) != 3*19+1+3 {
		t.Errorf("%d entries, want %d", len(z.File), 3*19+1+3)
	}
}

func TestErrors(t *testing.T) {
	if err := torchsave.Write(io.Discard, tensors(t), torchsave.Options{Style: "new"}); err == nil || err.Error() != `unknown style "new"; want one of model finetune deepspeed state_dict bare views` {
		t.Errorf("unknown style: %v", err)
	}
}
