package compile_test

import (
	"encoding/json"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/engineproc"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/codegen/rt/token"
)

// The demo model with captioning, a task that its package does not have.
const captioningEmoji = `model: 1
name: emoji
family: beit3
sizes: {dim: 128, heads: 4, ffn: 512, layers: 5, image: 64, patch: 8, vocab: 2010, positions: 32}
checkpoint: SOURCE/emoji_tasks.safetensors
tokenizer: SOURCE/emoji.spm
tasks: [captioning]
preprocess: {alpha: white}
limits: {text: 24, max_new: 12, ban: [0, 1, 3, 2001..2010]}
`

// The compiled demo model captions its pictures as PyTorch does.
func TestCaptionsOfEmoji(t *testing.T) {
	asmtest.Slow(t)
	source, err := filepath.Abs("../../generated/emoji/source")
	if err != nil {
		t.Fatal(err)
	}
	m := compile.OpenText(t, strings.ReplaceAll(captioningEmoji, "SOURCE", source))
	p, _, err := m.Lower(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := engineOf(t, m, p, "")
	proc, err := e.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	tok, err := token.Load(m.Tokenizer)
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
	opt, err := m.CodeOptions()
	if err != nil {
		t.Fatal(err)
	}
	rules := opt.Tasks[0]
	q := engineproc.Caption{Mask: tok.Mask(), Options: caption.Options{BOS: token.BOS, EOS: token.EOS, MaxLen: rules.MaxNew + 1, Ban: rules.Ban}}
	var pictures [][]float32
	for _, w := range want.Images {
		pixels, err := opt.Pixels.Append(nil, cut(w.Hex), nil)
		if err != nil {
			t.Fatal(err)
		}
		pictures = append(pictures, pixels)
	}
	all, err := proc.Captions(pictures, q)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want.Images {
		got := all[i]
		if !slices.Equal(got.IDs, w.IDs) || tok.Decode(got.IDs) != w.Caption {
			t.Errorf("%s: %v %q, want %v %q", w.Hex, got.IDs, tok.Decode(got.IDs), w.IDs, w.Caption)
		}
		if i%40 != 0 {
			continue
		}
		// The interpreter chooses the same.
		judge, err := inputs.NewInterpreted(p, tok.Mask(), pictures[i])
		if err != nil {
			t.Fatal(err)
		}
		if exact, err := caption.Greedy(judge, q.Options); err != nil || !slices.Equal(exact.IDs, w.IDs) {
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
	all, _, err := imagefile.File(filepath.Join(source, "heldout_sheet.png"), imagefile.Options{})
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

// A package with only one of the caption functions cannot be checked.
func TestCaptionStepNeedsItsImage(t *testing.T) {
	asmtest.Slow(t)
	m := compile.OpenText(t, strings.Replace(tiny, "[retrieval]", "[captioning]", 1))
	_, err := m.Write(compile.Options{Dir: t.TempDir(), Entries: []string{"caption_step"}})
	if err == nil || !strings.Contains(err.Error(), "caption_step extends a state that another function creates, which is missing; build both") {
		t.Errorf("error %v", err)
	}
}

// If heads are not whole panels, states hold padded heads. The self-check of a build covers the steps.
func TestCaptionWithPaddedHeads(t *testing.T) {
	asmtest.Slow(t)
	m := compile.OpenText(t, strings.Replace(tiny, "[retrieval]", "[captioning]", 1))
	dir := t.TempDir()
	var log strings.Builder
	r, err := m.Write(compile.Options{Dir: dir, Check: compile.Full, Log: func(format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) }})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "without a tokenizer texts are token ids, in a binary --ids 0,17,2, and captions cannot be written; ") {
		t.Errorf("the log says\n%s", &log)
	}
	for _, line := range r.Results {
		if line.Func != "caption_step" || line.Output != "logits" {
			t.Errorf("judged %v, want the steps", line)
		}
	}
	if len(r.Results) != 2 {
		t.Errorf("%d lines, want two judges", len(r.Results))
	}
	text := asmtest.Tree(t, dir)["model.go"]
	for _, want := range []string{"func (m *Model) Caption(ctx context.Context, pic task.Picture) (task.Caption, error)", "func (s *Session) CaptionsWith("} {
		if !strings.Contains(text, want) {
			t.Errorf("model.go lacks %s", want)
		}
	}
}

// A caption's steps give the logits of all its tokens at once (teacher forcing), however
// many tokens the cache holds, in the interpreter and compiled: with padded heads, one
// layer, an expert of pairs, a picture of whole panels.
func TestCaptionStepsEqualWholeCaption(t *testing.T) {
	asmtest.Slow(t)
	for _, c := range []struct{ name, family, sizes string }{
		{"heads of 12", "beit3", "dim: 24, heads: 2, ffn: 40, layers: 3, image: 16, patch: 8, vocab: 50, positions: 12"},
		{"one layer", "beit3", "dim: 16, heads: 1, ffn: 16, layers: 1, image: 8, patch: 8, vocab: 7, positions: 9"},
		{"experts of pairs", "mwt", "dim: 24, heads: 3, ffn: 40, layers: 3, image: 24, patch: 8, vocab: 50, positions: 12, vl_layers: 2"},
		{"heads of 34", "beit3", "dim: 68, heads: 2, ffn: 40, layers: 2, image: 40, patch: 8, vocab: 19, positions: 24"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := compile.OpenText(t, "model: 1\nname: tiny\nfamily: "+c.family+"\nsizes: {"+c.sizes+"}\nseed: 7\ntasks: [captioning]\n")
			p, _, err := m.Lower([]string{"caption_image", "caption_step", "caption_full"})
			if err != nil {
				t.Fatal(err)
			}
			e := engineOf(t, m, p, "")
			vocab := m.Desc.Sizes.Vocab
			mask := int32(vocab - 1)
			pixels := task.Sample("caption_image", int(p.Func("caption_image").Params[0].Type.Elements(0)), 0, vocab).Image
			tokens := task.Sample("caption_step", 0, p.MaxT-1, vocab).IDs

			judge, err := inputs.NewInterpreted(p, mask, pixels)
			if err != nil {
				t.Fatal(err)
			}
			exact, err := caption.Force(judge, tokens)
			if err != nil {
				t.Fatal(err)
			}
			for n := range tokens {
				seq := rt.Seq{Image: pixels, IDs: append(slices.Clone(tokens[:n+1]), mask)}
				in, text := inputs.Tensors(p.Func("caption_full"), seq)
				out, err := p.Run("caption_full", text, in)
				if err != nil {
					t.Fatal(err)
				}
				full := out["logits"].F[(n+1)*vocab:]
				for i, x := range exact[n] {
					if math.Abs(float64(x)-full[i]) > 1e-6 {
						t.Fatalf("interpreter, %d tokens: logit %d is %g, all at once %g", n, i, x, full[i])
					}
				}
			}
			for _, level := range []string{"generic", ""} {
				proc, err := e.Start(level)
				if err != nil {
					t.Fatal(err)
				}
				defer proc.Close()
				all, err := proc.Captions([][]float32{pixels}, engineproc.Caption{Mask: mask, Tokens: tokens})
				if err != nil {
					t.Fatal(err)
				}
				for n, row := range all[0].Logits {
					out, err := proc.Run("caption_full", []rt.Seq{{Image: pixels, IDs: append(slices.Clone(tokens[:n+1]), mask)}})
					if err != nil {
						t.Fatal(err)
					}
					full := out[0].Seqs[0][(n+1)*vocab:]
					for i, x := range row {
						if math.Abs(float64(x-full[i])) > 1e-5 || math.Abs(float64(x-exact[n][i])) > 1e-4 {
							t.Fatalf("level %s, %d tokens: logit %d is %g, all at once %g, in float64 %g", proc.Level, n, i, x, full[i], exact[n][i])
						}
					}
				}
			}
		})
	}
}
