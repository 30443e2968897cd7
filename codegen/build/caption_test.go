package build_test

import (
	"encoding/json"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/codegen/build"
	"github.com/multiway-go/multiway/codegen/rt/decode"
	"github.com/multiway-go/multiway/codegen/rt/pipe"
	pictures "github.com/multiway-go/multiway/codegen/rt/pixel/decode"
	"github.com/multiway-go/multiway/codegen/rt/token"
)

// The demo model, with the task that its package does not have.
const captioningEmoji = `model: 1
name: emoji
family: beit3
sizes: {dim: 128, heads: 4, ffn: 512, layers: 5, image: 64, patch: 8, vocab: 2010, positions: 32}
checkpoint: SOURCE/emoji_tasks.safetensors
tokenizer: SOURCE/emoji.spm
tasks: [captioning]
limits: {text: 24, max_new: 12, ban: [0, 1, 3, 2001..2010]}
`

// The compiled demo model captions its pictures as PyTorch does.
func TestCaptionsOfEmoji(t *testing.T) {
	source, err := filepath.Abs("../../generated/emoji/source")
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, strings.ReplaceAll(captioningEmoji, "SOURCE", source))
	p, _, err := m.Lower(nil)
	if err != nil {
		t.Fatal(err)
	}
	planned, err := m.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	opt, err := m.CodeOptions()
	if err != nil {
		t.Fatal(err)
	}
	e, err := build.NewEngine(planned, opt, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	proc, err := e.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	words, err := token.Load(m.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Images []struct {
			Hex, Caption string
			IDs          []int32 `json:"caption_ids"`
		}
	}
	decodeJSON(t, "../../golden/testdata/emoji/expected.json", &want)
	if len(want.Images) != 81 {
		t.Fatalf("%d pictures", len(want.Images))
	}
	cut := sheet(t, source)
	rules := opt.Tasks[0]
	q := pipe.Caption{Mask: words.Mask(), Options: decode.Options{BOS: token.BOS, EOS: token.EOS, MaxLen: rules.MaxNew + 1, Ban: rules.Ban}}
	for i, w := range want.Images {
		pixels, err := opt.Pixels.Append(nil, cut(w.Hex), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := proc.Caption(pixels, q)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.IDs, w.IDs) || words.Decode(got.IDs) != w.Caption {
			t.Errorf("%s: %v %q, want %v %q", w.Hex, got.IDs, words.Decode(got.IDs), w.IDs, w.Caption)
		}
		if i%40 != 0 {
			continue
		}
		// The interpreter chooses the same.
		judge, err := build.NewInterpreted(p, words.Mask(), pixels)
		if err != nil {
			t.Fatal(err)
		}
		if exact, err := decode.Greedy(judge, q.Options); err != nil || !slices.Equal(exact.IDs, w.IDs) {
			t.Errorf("%s: the interpreter gives %v, %v, want %v", w.Hex, exact.IDs, err, w.IDs)
		}
	}
}

func decodeJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sheet returns the drawings of the demo model's source by their code points.
func sheet(t *testing.T, source string) func(hex string) image.Image {
	var index struct {
		Tile, Columns int
		Items         []struct{ Hex string }
	}
	decodeJSON(t, filepath.Join(source, "heldout_index.json"), &index)
	all, _, err := pictures.File(filepath.Join(source, "heldout_sheet.png"), pictures.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return func(hex string) image.Image {
		for i, item := range index.Items {
			if item.Hex == hex {
				x, y := i%index.Columns*index.Tile, i/index.Columns*index.Tile
				return all.(interface {
					SubImage(image.Rectangle) image.Image
				}).SubImage(image.Rect(x, y, x+index.Tile, y+index.Tile))
			}
		}
		t.Fatalf("the sheet has no drawing %s", hex)
		return nil
	}
}

// A package of one caption function alone cannot be judged.
func TestCaptionStepAlone(t *testing.T) {
	m := open(t, strings.Replace(tiny, "[retrieval]", "[captioning]", 1))
	_, err := m.Write(build.Options{Dir: t.TempDir(), Entries: []string{"caption_step"}})
	if err == nil || !strings.Contains(err.Error(), "caption_step goes on where caption_image begins; build both") {
		t.Errorf("error %v", err)
	}
}

// With heads that are no whole panels, states hold them padded, and a build's self-check
// judges the steps.
func TestCaptionWrites(t *testing.T) {
	m := open(t, strings.Replace(tiny, "[retrieval]", "[captioning]", 1))
	dir := t.TempDir()
	r, err := m.Write(build.Options{Dir: dir, Check: build.Full})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range r.Results {
		if line.Func != "caption_step" || line.Output != "logits" {
			t.Errorf("judged %v, want the steps", line)
		}
	}
	if len(r.Results) != 2 {
		t.Errorf("%d lines, want two judges", len(r.Results))
	}
	text := files(t, dir)["model.go"]
	for _, want := range []string{"func (m *Model) Caption(img image.Image) (task.Caption, error)", "func (s *Session) CaptionWith("} {
		if !strings.Contains(text, want) {
			t.Errorf("model.go lacks %s", want)
		}
	}
}
