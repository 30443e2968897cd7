package heif

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"math"
)

// Picture is the picture of a file: coded pictures side by side, cropped and turned.
type Picture struct {
	Size        image.Point // of the cropped picture, before it is turned
	Orientation int         // the turn that makes it upright, as an EXIF orientation, 1 to 8
	Alpha       *Picture    // the alpha channel, of the same size; nil: none
	Multiplied  bool        // colours are premultiplied by alpha
	Colour      Colour      // from the boxes; the codec's own data may hold it too

	crop    image.Rectangle // the visible part of the canvas
	canvas  image.Point     // size of the picture before the crop, in pixels
	columns int             // of the grid; 1 for a single picture
	tiles   []Coded
	tile    image.Point // size of each tile, in pixels
}

// Colour is a colour description (nclx) in the code points of ISO 23091-2.
type Colour struct {
	Known                       bool
	Primaries, Transfer, Matrix int
	Full                        bool // full range: black is 0, not 16
}

// Coded is one coded picture, or in AVIF a whole grid of coded pictures that libavif decodes as one.
type Coded struct {
	Kind   string      // hvc1 or av01
	Size   image.Point // from its ispe box
	Config []byte      // the decoder configuration: the body of hvcC or av1C
	Colour Colour
	Alpha  bool // an alpha channel: only the first channel of the decoded picture is used

	source  []byte // the bytes that extents index: the file, or the idat of the meta box
	extents []extent
	length  uint64   // sum of the lengths of the extents
	grid    *Picture // nil: a single picture
}

type extent struct{ offset, length uint64 }

// property is an item property, which items may share.
type property struct {
	kind string
	body []byte
}

// item is an entry of the meta box.
type item struct {
	kind       string
	properties []int // indices into parser.properties, from 1, in file order
	essential  map[int]bool
	idat       bool // extents index the idat of the meta box
	coded      Coded
}

type reference struct {
	kind string
	from uint32
	to   []uint32
}

// parser holds the contents of a file's boxes.
type parser struct {
	n          counter
	codec      string
	found      bool // a meta box was found
	primary    uint32
	items      map[uint32]*item
	properties []property
	references []reference
	file, idat []byte
}

// Parse reads the boxes of a file whose pictures are coded as codec: hvc1 (HEIC) or av01
// (AVIF). data may be the beginning of a file that holds the whole meta box; Parse does not
// read the coded data. The result refers to data.
func Parse(data []byte, codec string) (*Picture, error) {
	p := &parser{codec: codec, items: map[uint32]*item{}, file: data}
	var bad error
	err := p.n.boxes(data, false, func(kind string, body []byte) error {
		if kind == "meta" && !p.found {
			p.found = true
			bad = p.meta(body)
		}
		return bad
	})
	switch {
	case bad != nil:
		return nil, bad
	case !p.found && err != nil:
		return nil, err
	case !p.found || p.primary == 0:
		return nil, errors.New("there is no still picture in the file, only a sequence of them, or the file is cut off")
	}
	// Boxes after the meta box do not describe the picture; an error in them does not matter.
	pic, err := p.picture(p.primary)
	if err != nil {
		return nil, err
	}
	seen := map[uint32]bool{} // limits the work for files that repeat a reference
	for _, r := range p.references {
		switch {
		case r.kind == "prem" && r.from == p.primary:
			pic.Multiplied = true
		case r.kind == "auxl" && len(r.to) == 1 && r.to[0] == p.primary && pic.Alpha == nil && !seen[r.from]:
			seen[r.from] = true
			if !p.isAlpha(r.from) {
				break
			}
			if pic.Alpha, err = p.picture(r.from); err != nil {
				return nil, fmt.Errorf("its transparency: %w", err)
			}
			if pic.Alpha.Size != pic.Size {
				return nil, fmt.Errorf("its transparency is %d x %d pixels and the picture %d x %d, which is not supported", pic.Alpha.Size.X, pic.Alpha.Size.Y, pic.Size.X, pic.Size.Y)
			}
		}
	}
	if pic.Alpha == nil {
		if pic.Alpha, err = p.tileAlpha(); err != nil {
			return nil, fmt.Errorf("its transparency: %w", err)
		}
	}
	if pic.Alpha != nil {
		for i := range pic.Alpha.tiles {
			pic.Alpha.tiles[i].Alpha = true
		}
	}
	return pic, nil
}

func (p *parser) meta(body []byte) error {
	r := &reader{b: body}
	r.full()
	return p.n.boxes(r.b, true, func(kind string, body []byte) error {
		r := &reader{b: body}
		var err error
		switch kind {
		case "pitm":
			version, _ := r.full()
			p.primary = r.id(version > 0)
		case "iinf":
			err = p.itemInfo(r)
		case "iloc":
			err = p.locations(r)
		case "iref":
			version, _ := r.full()
			err = p.n.boxes(r.b, true, func(kind string, body []byte) error {
				r := &reader{b: body}
				ref := reference{kind: kind, from: r.id(version > 0)}
				n := r.u16()
				if err := p.n.add(n); err != nil {
					return err
				}
				for range n {
					ref.to = append(ref.to, r.id(version > 0))
				}
				p.references = append(p.references, ref)
				return r.err()
			})
		case "iprp":
			err = p.n.boxes(body, true, func(kind string, body []byte) error {
				switch kind {
				case "ipco":
					return p.n.boxes(body, true, func(kind string, body []byte) error {
						p.properties = append(p.properties, property{kind, body})
						return nil
					})
				case "ipma":
					return p.associations(&reader{b: body})
				}
				return nil
			})
		case "idat":
			p.idat = body
		}
		if err == nil {
			err = r.err()
		}
		return err
	})
}

func (r *reader) err() error {
	if r.short {
		return errCut
	}
	return nil
}

func (p *parser) item(id uint32) *item {
	if p.items[id] == nil {
		p.items[id] = &item{essential: map[int]bool{}}
	}
	return p.items[id]
}

func (p *parser) itemInfo(r *reader) error {
	version, _ := r.full()
	r.id(version > 0) // entry count, not needed
	return p.n.boxes(r.b, true, func(kind string, body []byte) error {
		if kind != "infe" {
			return nil
		}
		r := &reader{b: body}
		version, _ := r.full()
		if version < 2 {
			return nil // versions 0 and 1 have no item type and hold no pictures
		}
		id := r.id(version > 2)
		r.u16() // protection index
		p.item(id).kind = string(r.bytes(4))
		return r.err()
	})
}

func (p *parser) locations(r *reader) error {
	version, _ := r.full()
	sizes := r.u16()
	offset, length, base, index := sizes>>12, sizes>>8&15, sizes>>4&15, sizes&15
	if version == 0 {
		index = 0
	}
	n := r.size(2 + 2*min(version/2, 1))
	if err := p.n.add(n); err != nil {
		return err
	}
	for range n {
		it := p.item(r.id(version > 1))
		method := 0
		if version > 0 {
			method = r.u16() & 15
		}
		reference := r.u16()
		start := r.number(base)
		extents := r.u16()
		if err := p.n.add(extents); err != nil {
			return err
		}
		if method > 1 || reference != 0 {
			it.coded.extents, it.coded.length = nil, 0
			r.bytes(extents * (index + offset + length))
			continue
		}
		it.idat = method == 1
		for range extents {
			r.number(index)
			e := extent{start + r.number(offset), r.number(length)}
			if e.length > 0 {
				it.coded.extents = append(it.coded.extents, e)
				it.coded.length += min(e.length, math.MaxInt32)
			}
		}
		if r.short {
			return errCut
		}
	}
	return nil
}

func (p *parser) associations(r *reader) error {
	version, flags := r.full()
	n := r.size(4)
	if err := p.n.add(n); err != nil {
		return err
	}
	for range n {
		it := p.item(r.id(version > 0))
		k := r.u8()
		if err := p.n.add(k); err != nil {
			return err
		}
		for range k {
			v, essential := r.u8(), 0x80
			if flags&1 != 0 {
				v, essential = v<<8|r.u8(), 0x8000
			}
			i := v &^ essential
			if i == 0 {
				continue
			}
			it.properties = append(it.properties, i)
			it.essential[i] = it.essential[i] || v&essential != 0
		}
		if r.short {
			return errCut
		}
	}
	return nil
}

// isAlpha reports whether an item is an alpha channel (auxC).
func (p *parser) isAlpha(id uint32) bool {
	it := p.items[id]
	if it == nil {
		return false
	}
	for _, i := range it.properties {
		if i > len(p.properties) || p.properties[i-1].kind != "auxC" {
			continue
		}
		r := &reader{b: p.properties[i-1].body}
		r.full()
		kind, _, _ := bytes.Cut(r.b, []byte{0})
		switch string(kind) {
		case "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1":
			return true
		}
	}
	return false
}

// picture assembles the description of an item's picture.
func (p *parser) picture(id uint32) (*Picture, error) {
	it := p.items[id]
	if it == nil || it.kind == "" {
		return nil, errors.New("the file's primary picture is not in the file")
	}
	pic := &Picture{Orientation: 1}
	if err := p.shape(it, pic); err != nil {
		return nil, err
	}
	switch it.kind {
	case p.codec:
		pic.tiles, pic.columns, pic.tile = []Coded{it.coded}, 1, pic.canvas
		pic.Colour = it.coded.Colour
	case "grid":
		if err := p.grid(it, p.tiles(id), pic); err != nil {
			return nil, err
		}
	case "iovl":
		return nil, errors.New("it is made of pictures laid over each other (iovl), which is not supported")
	default:
		return nil, fmt.Errorf("its picture has type %q, want %s or a grid of them", it.kind, p.codec)
	}
	return pic, p.bound(pic)
}

// bound refuses a picture whose coded pictures are out of proportion to its size, and merges an
// AVIF grid into one coded picture, because libavif decodes grids as one.
func (p *parser) bound(pic *Picture) error {
	// Decoding takes time for every coded pixel, so these must be in proportion to the visible pixels.
	// A coded picture takes at least the time of minCoded pixels, however small it is.
	coded := int64(len(pic.tiles)) * max(minCoded, int64(pic.tile.X)*int64(pic.tile.Y))
	seen := int64(pic.Size.X) * int64(pic.Size.Y)
	if coded > 4*seen+1<<24 {
		return fmt.Errorf("%d coded pictures of %d x %d pixels make up a picture of only %d x %d, which is refused",
			len(pic.tiles), pic.tile.X, pic.tile.Y, pic.Size.X, pic.Size.Y)
	}
	if p.codec == "av01" && len(pic.tiles) > 1 {
		// libavif interpolates chroma across the seams of tiles.
		grid := *pic
		pic.tiles = []Coded{{Kind: p.codec, Size: pic.canvas, Config: grid.tiles[0].Config, Colour: pic.Colour, grid: &grid}}
		pic.columns, pic.tile = 1, pic.canvas
	}
	return nil
}

// minCoded is the number of pixels that a coded picture counts as at least.
const minCoded = 1 << 14

// maxSide is the longest side of a coded picture, in pixels.
const maxSide = 1 << 16

// shape reads the properties of an item: size, colour description, decoder configuration, crop
// and rotation.
func (p *parser) shape(it *item, pic *Picture) error {
	for _, i := range it.properties {
		if i > len(p.properties) {
			return fmt.Errorf("a picture refers to property %d, and the file has %d", i, len(p.properties))
		}
		box := p.properties[i-1]
		r := &reader{b: box.body}
		switch box.kind {
		case "ispe":
			r.full()
			pic.canvas = image.Pt(r.size(4), r.size(4))
		case "hvcC", "av1C":
			it.coded.Config = box.body
		case "colr":
			if string(r.bytes(4)) == "nclx" {
				it.coded.Colour = Colour{true, r.u16(), r.u16(), r.u16(), r.u8()&0x80 != 0}
			}
		case "irot", "imir", "clap", "pixi", "pasp", "auxC", "clli", "mdcv", "cclv", "a1lx", "rloc", "lhvC", "altt", "udes":
		default:
			if it.essential[i] {
				return fmt.Errorf("it needs property %q, which is not supported", box.kind)
			}
		}
		if r.short {
			return errCut
		}
	}
	c := pic.canvas
	if c.X < 1 || c.Y < 1 || c.X > maxSide || c.Y > maxSide {
		return fmt.Errorf("a picture is %d x %d pixels, want 1 to %d on a side", c.X, c.Y, maxSide)
	}
	it.coded.Kind, it.coded.Size, it.coded.source = it.kind, c, p.file
	if it.idat {
		it.coded.source = p.idat
	}
	pic.crop = image.Rectangle{Max: c}
	for _, i := range it.properties {
		box := p.properties[i-1]
		r := &reader{b: box.body}
		switch box.kind {
		case "clap":
			if p.codec == "av01" {
				break // libavif and Pillow ignore it
			}
			if pic.Orientation != 1 {
				return errors.New("it is cropped after it is turned, which is not supported")
			}
			if err := pic.clap(r); err != nil {
				return err
			}
		case "irot":
			for range r.u8() & 3 {
				pic.Orientation = left[pic.Orientation]
			}
		case "imir":
			pic.Orientation = mirrored[r.u8()&1][pic.Orientation]
		}
		if r.short {
			return errCut
		}
	}
	pic.Size = pic.crop.Size()
	return nil
}

// left maps an EXIF orientation to the one after a further quarter turn to the left;
// mirrored[0] to the one after exchanging top and bottom, mirrored[1] after exchanging left and
// right.
var (
	left     = [9]int{1: 8, 2: 5, 3: 6, 4: 7, 5: 4, 6: 1, 7: 2, 8: 3}
	mirrored = [2][9]int{
		{1: 4, 2: 3, 3: 2, 4: 1, 5: 8, 6: 7, 7: 6, 8: 5},
		{1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 7: 8, 8: 7},
	}
)

// clap reads the visible part of the canvas: its size and the offset of its centre from the
// canvas's centre, all as fractions.
func (pic *Picture) clap(r *reader) error {
	var v [8]int64
	for i := range v {
		v[i] = int64(int32(r.number(4)))
	}
	if r.short {
		return errCut
	}
	along := func(n, d, on, od int64, size int) (from, to int, ok bool) {
		if n <= 0 || d <= 0 || od <= 0 || n/d > maxSide || on/od > maxSide || on/od < -maxSide {
			return 0, 0, false
		}
		w, off := float64(n)/float64(d), float64(on)/float64(od)
		start := off + (float64(size)-w)/2
		from = int(max(0, math.Floor(start)))
		to = min(size, from+int(math.Floor(w)))
		return from, to, from < to
	}
	x0, x1, okX := along(v[0], v[1], v[4], v[5], pic.canvas.X)
	y0, y1, okY := along(v[2], v[3], v[6], v[7], pic.canvas.Y)
	if !okX || !okY {
		return fmt.Errorf("the crop (clap) leaves nothing of %d x %d pixels", pic.canvas.X, pic.canvas.Y)
	}
	pic.crop = image.Rect(x0, y0, x1, y1)
	return nil
}

// tiles returns the IDs of the items that an item is derived from.
func (p *parser) tiles(id uint32) (ids []uint32) {
	for _, r := range p.references {
		if r.kind == "dimg" && r.from == id {
			ids = r.to
		}
	}
	return ids
}

// tileAlpha returns the alpha channel of a grid whose tiles each have an alpha channel; nil if
// no tile has one.
func (p *parser) tileAlpha() (*Picture, error) {
	it := p.items[p.primary]
	if it.kind != "grid" {
		return nil, nil
	}
	of, seen := map[uint32]uint32{}, map[uint32]bool{}
	for _, r := range p.references {
		if r.kind == "auxl" && len(r.to) == 1 && !seen[r.from] {
			if seen[r.from] = true; p.isAlpha(r.from) {
				of[r.to[0]] = r.from
			}
		}
	}
	var ids []uint32
	colours := p.tiles(p.primary)
	for _, id := range colours {
		if alpha, ok := of[id]; ok {
			ids = append(ids, alpha)
		}
	}
	switch len(ids) {
	case 0:
		return nil, nil
	case len(colours):
	default:
		return nil, fmt.Errorf("only %d of its %d tiles have one, which is not supported", len(ids), len(colours))
	}
	pic := &Picture{Orientation: 1}
	if err := p.shape(it, pic); err != nil {
		return nil, err
	}
	if err := p.grid(it, ids, pic); err != nil {
		return nil, err
	}
	pic.Colour = Colour{} // the grid's colour description does not apply to alpha
	for i := range pic.tiles {
		pic.tiles[i].Colour = pic.Colour
	}
	return pic, p.bound(pic)
}

// grid reads the layout and the tiles of a grid.
func (p *parser) grid(it *item, ids []uint32, pic *Picture) error {
	data, err := it.coded.data()
	if err != nil {
		return err
	}
	r := &reader{b: data}
	r.u8()
	n := 2
	if r.u8()&1 != 0 {
		n = 4
	}
	rows, columns := r.u8()+1, r.u8()+1
	pic.columns = columns
	size := image.Pt(r.size(n), r.size(n))
	if r.short || size != pic.canvas {
		return fmt.Errorf("its grid is %d x %d pixels, its size %d x %d", size.X, size.Y, pic.canvas.X, pic.canvas.Y)
	}
	if len(ids) != rows*columns {
		return fmt.Errorf("its grid has %d tiles, want %d x %d", len(ids), columns, rows)
	}
	pic.tiles = make([]Coded, 0, len(ids))
	length := uint64(0)
	for i, id := range ids {
		t := p.items[id]
		if t == nil || t.kind != p.codec {
			return fmt.Errorf("tile %d of its grid is not coded as %s", i, p.codec)
		}
		var one Picture
		if t.coded.Kind == "" {
			one.Orientation = 1
			if err := p.shape(t, &one); err != nil {
				return fmt.Errorf("tile %d: %w", i, err)
			}
			if one.Orientation != 1 || one.crop != (image.Rectangle{Max: one.canvas}) {
				return fmt.Errorf("tile %d is cropped or turned by itself, which is not supported", i)
			}
		}
		if i == 0 {
			pic.tile = t.coded.Size
			if pic.Colour = it.coded.Colour; !pic.Colour.Known {
				pic.Colour = t.coded.Colour
			}
		}
		if t.coded.Size != pic.tile {
			return fmt.Errorf("tile %d is %d x %d pixels, the first %d x %d", i, t.coded.Size.X, t.coded.Size.Y, pic.tile.X, pic.tile.Y)
		}
		if length += t.coded.length; length > uint64(len(p.file))+1<<20 {
			return fmt.Errorf("the file is cut off or damaged: %d bytes, and its tiles have more data", len(p.file))
		}
		c := t.coded
		c.Colour = pic.Colour
		pic.tiles = append(pic.tiles, c)
	}
	if pic.tile.X*columns < size.X || pic.tile.Y*rows < size.Y {
		return fmt.Errorf("its %d x %d tiles of %d x %d pixels do not fill %d x %d", columns, rows, pic.tile.X, pic.tile.Y, size.X, size.Y)
	}
	return nil
}

// data returns the bytes of an item.
func (c *Coded) data() ([]byte, error) {
	file := c.source
	if len(c.extents) == 0 {
		return nil, errors.New("a picture has no data in the file")
	}
	total := uint64(0)
	for _, e := range c.extents {
		if e.offset > uint64(len(file)) || e.length > uint64(len(file))-e.offset {
			return nil, fmt.Errorf("the file is cut off or damaged: %d bytes, a picture's data ends at %d", len(file), e.offset+e.length)
		}
		if total += e.length; total > uint64(len(file)) {
			return nil, errors.New("a picture's data is larger than the file")
		}
	}
	if len(c.extents) == 1 {
		e := c.extents[0]
		return file[e.offset:][:e.length], nil
	}
	var b []byte
	for _, e := range c.extents {
		b = append(b, file[e.offset:][:e.length]...)
	}
	return b, nil
}
