package main

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/emoji"
)

// drafts are ways to read a JPEG, compared with the first.
var drafts = []struct {
	name  string
	draft bool
	side  int // of the thumbnail that is read instead; 0: none
}{{"the whole JPEG", false, 0}, {"`draft: true`", true, 0}, {"a thumbnail of 512 pixels", false, 512}}

// TestDraftTable measures for people what draft and thumbnails do to the demo model, on its held-out drawings as JPEGs of
// 1024 pixels, which draft reads at an eighth.
func TestDraftTable(t *testing.T) {
	if *tableFile == "" {
		t.Skip("give -table FILE; make drafts does")
	}
	h, err := loadHeldOut()
	if err != nil {
		t.Fatal(err)
	}
	m, err := emoji.New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	texts, err := m.EmbedTexts(t.Context(), h.names())
	if err != nil {
		t.Fatal(err)
	}
	resized := func(img image.Image, side int) []byte {
		p := pixel.Preprocess{Size: side, Alpha: pixel.White, Std: [3]float32{1, 1, 1}}
		var rgb pixel.RGB
		if err := p.Square(&rgb, img, nil); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, &rgb, &jpeg.Options{Quality: 88}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	read := func(data []byte, draft bool) image.Image {
		img, _, err := imagefile.Bytes(data, imagefile.Options{Stream: true})
		if err != nil {
			t.Fatal(err)
		}
		p := pixel.Preprocess{Size: 64, Draft: draft, Std: [3]float32{1, 1, 1}}
		rgb := new(pixel.RGB)
		if err := p.Square(rgb, img, nil); err != nil {
			t.Fatal(err)
		}
		return rgb
	}
	const side = 1024
	pics := make([][]task.Picture, len(drafts))
	var all []int
	for i := range h.Items {
		img, err := h.cut(i)
		if err != nil {
			t.Fatal(err)
		}
		data := resized(img, side)
		for j, d := range drafts {
			from := data
			if d.side > 0 {
				whole, _, err := imagefile.Bytes(data, imagefile.Options{})
				if err != nil {
					t.Fatal(err)
				}
				from = resized(whole, d.side)
			}
			pics[j] = append(pics[j], task.Image(read(from, d.draft)))
		}
		all = append(all, i)
	}
	var b strings.Builder
	b.WriteString("| the demo reads | cosine to the whole, mean | least | text to image R@1 | image to text R@1 |\n|---|---|---|---|---|\n")
	var whole [][]float32
	for j, d := range drafts {
		images, err := m.EmbedImages(t.Context(), pics[j])
		if err != nil {
			t.Fatal(err)
		}
		if whole == nil {
			whole = images
		}
		sum, least := 0.0, 1.0
		for i, v := range images {
			c := dot(v, whole[i]) / math.Sqrt(dot(v, v)*dot(whole[i], whole[i]))
			sum, least = sum+c, min(least, c)
		}
		r := recallOf(ranks(texts, images, all), ranks(images, texts, all), all)
		fmt.Fprintf(&b, "| %s | %.6f | %.6f | %.2f %% | %.2f %% |\n", d.name, sum/float64(len(images)), least, 100*r.TextToImage1, 100*r.ImageToText1)
	}
	writeTable(t, "drafts", b.String())
}
