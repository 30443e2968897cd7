package main

import (
	"encoding/json"
	"fmt"
	"image"
	"sync"

	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/generated/emoji/source"
)

// heldOut is the set of drawings for evaluation, by an artist none of whose drawings were in
// training.
type heldOut struct {
	Vendor  string    `json:"vendor"`
	Tile    int       `json:"tile"`    // side of a drawing in pixels
	Columns int       `json:"columns"` // drawings a row of the sheet
	Items   []drawing `json:"items"`
}

type drawing struct {
	Hex      string `json:"hex"`
	Emoji    string `json:"emoji"`
	Name     string `json:"name"`
	Group    string `json:"group"`
	Subgroup string `json:"subgroup"`
	Unseen   bool   `json:"unseen"` // training saw no drawing of this by anybody

	tile int // its number on the sheet
}

func loadHeldOut() (*heldOut, error) {
	h := &heldOut{}
	if err := json.Unmarshal(source.Index, h); err != nil {
		return nil, fmt.Errorf("heldout_index.json: %w", err)
	}
	if h.Tile < 1 || h.Columns < 1 {
		return nil, fmt.Errorf("heldout_index.json: tiles of %d pixels, %d a row", h.Tile, h.Columns)
	}
	for i := range h.Items {
		h.Items[i].tile = i
	}
	return h, nil
}

// every returns the set with every n-th drawing of h, from the first on.
func (h *heldOut) every(n int) *heldOut {
	s := *h
	s.Items = nil
	for i := 0; i < len(h.Items); i += n {
		s.Items = append(s.Items, h.Items[i])
	}
	return &s
}

// sheet returns the image that has all drawings in a grid. The first call decodes it.
var sheet = sync.OnceValues(func() (image.Image, error) {
	img, _, err := imagefile.Bytes(source.Sheet, imagefile.Options{})
	if err != nil {
		return nil, fmt.Errorf("heldout_sheet.png: %w", err)
	}
	return img, nil
})

// pictures lists the drawings, each cut out of the sheet when it is read.
func (h *heldOut) pictures() []cli.Picture {
	list := make([]cli.Picture, len(h.Items))
	for i := range h.Items {
		list[i] = cli.Picture{Name: h.Items[i].Name, Sign: h.Items[i].Emoji, Read: func() (image.Image, error) { return h.cut(i) }}
	}
	return list
}

func (h *heldOut) cut(i int) (image.Image, error) {
	img, err := sheet()
	if err != nil {
		return nil, err
	}
	if i < 0 || i >= len(h.Items) {
		return nil, fmt.Errorf("there is no drawing number %d among %d", i, len(h.Items))
	}
	n := h.Items[i].tile
	at := image.Pt(n%h.Columns*h.Tile, n/h.Columns*h.Tile)
	tile := image.Rectangle{at, at.Add(image.Pt(h.Tile, h.Tile))}
	whole, ok := img.(interface {
		SubImage(image.Rectangle) image.Image
	})
	if !ok || !tile.In(img.Bounds()) {
		return nil, fmt.Errorf("heldout_sheet.png: no drawing number %d in a %T of %v", n, img, img.Bounds())
	}
	return whole.SubImage(tile), nil
}

// names returns the name of each drawing, in the order of Items.
func (h *heldOut) names() []string {
	list := make([]string, len(h.Items))
	for i := range h.Items {
		list[i] = h.Items[i].Name
	}
	return list
}

// labels are the names of the classifier's classes, the subgroups, and of the groups of subgroups.
type labels struct {
	Subgroups []string          `json:"subgroups"` // in the order of the logits
	Groups    []string          `json:"groups"`
	GroupOf   map[string]string `json:"group_of_subgroup"`
}

func loadLabels() (*labels, error) {
	l := &labels{}
	if err := json.Unmarshal(source.Labels, l); err != nil {
		return nil, fmt.Errorf("labels.json: %w", err)
	}
	return l, nil
}
