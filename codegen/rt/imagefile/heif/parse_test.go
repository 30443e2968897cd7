package heif

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"image"
	"runtime"
	"strings"
	"testing"
)

// grid is a file of columns x rows tiles of w x h pixels, which are one picture of a few
// bytes, and with more references. It could be a transparency.
func grid(columns, rows, w, h int, more ...byte) []byte {
	be := binary.BigEndian
	size := func(w, h int) []byte {
		return box("ispe", be.AppendUint32(be.AppendUint32(make([]byte, 4), uint32(w)), uint32(h)))
	}
	tiles := columns * rows
	data := be.AppendUint32(be.AppendUint32([]byte{0, 1, byte(rows - 1), byte(columns - 1)}, uint32(columns*w)), uint32(rows*h))
	infos := box("infe", []byte("\x02\x00\x00\x00\x00\x01\x00\x00grid\x00"))
	infos = append(infos, box("infe", []byte("\x02\x00\x00\x00\x00\x02\x00\x00hvc1\x00"))...)
	places := []byte{1, 0, 0, 0, 0x44, 0, 0, 2}
	for i, n := range []int{len(data), 4} {
		places = append(places, 0, byte(i+1), 0, byte(1-i), 0, 0, 0, 1)
		places = be.AppendUint32(be.AppendUint32(places, 0), uint32(n))
	}
	references := be.AppendUint16([]byte{0, 1}, uint16(tiles))
	for range tiles {
		references = append(references, 0, 2)
	}
	properties := append(size(columns*w, rows*h), append(size(w, h), box("hvcC", make([]byte, 23))...)...)
	properties = append(properties, box("auxC", []byte("\x00\x00\x00\x00urn:mpeg:hevc:2015:auxid:1\x00"))...)
	meta := make([]byte, 4)
	for _, b := range [][]byte{
		box("pitm", []byte{0, 0, 0, 0, 0, 1}),
		box("iloc", places),
		box("iinf", append([]byte{0, 0, 0, 0, 0, 2}, infos...)),
		box("iref", append(append(make([]byte, 4), box("dimg", references)...), more...)),
		box("iprp", append(box("ipco", properties), box("ipma", []byte{0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 2, 1, 4, 0, 2, 2, 2, 0x83})...)),
		box("idat", data),
	} {
		meta = append(meta, b...)
	}
	return append(box("ftyp", []byte("heic\x00\x00\x00\x00mif1heic")), box("meta", meta)...)
}

func TestParse(t *testing.T) {
	p, err := Parse(grid(3, 2, 64, 48), "hvc1")
	if err != nil {
		t.Fatal(err)
	}
	if p.Size != image.Pt(192, 96) || p.Orientation != 1 || p.Alpha != nil || p.coded() != 64*48 {
		t.Errorf("it is %+v", p)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "no still picture"},
		{"a sequence", append(box("ftyp", []byte("avisxxxx")), box("moov", nil)...), "no still picture"},
		{"the other codec", bytes.ReplaceAll(grid(1, 1, 8, 8), []byte("hvc1"), []byte("av01")), "tile 0 of its grid is not coded as hvc1"},
		{"no size", bytes.ReplaceAll(grid(1, 1, 8, 8), []byte("ispe"), []byte("free")), "a picture is 0 x 0 pixels"},
		{"too wide", grid(2, 1, 1<<16, 8), "a picture is 131072 x 8 pixels, want 1 to 65536 on a side"},
		{"a tile too few", bytes.Replace(grid(2, 2, 8, 8), []byte{0, 1, 1, 1, 0, 0, 0, 16}, []byte{0, 1, 1, 2, 0, 0, 0, 16}, 1), "its grid has 4 tiles, want 3 x 2"},
		{"tiles of nothing", grid(200, 200, 8, 8), "40000 coded pictures of 8 x 8 pixels make up a picture of only 1600 x 1600, which is refused"},
		{"tiles of the same data", bytes.Replace(grid(200, 200, 200, 200), []byte{0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4}, []byte{0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 100}, 1), "and its tiles have more data"},
		{"cut off", grid(1, 1, 8, 8)[:200], "a box ends before"},
		{"boxes without end", append(box("ftyp", nil), bytes.Repeat(box("free", nil), maxBoxes+1)...), "more than 262144 boxes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Parse(c.data, "hvc1"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// The most tiles that a grid can have, of one coded picture, take little memory, however
// often it is said that they are a transparency.
func TestParseLargestGrid(t *testing.T) {
	data := grid(255, 256, 200, 200, bytes.Repeat(box("auxl", []byte{0, 1, 0, 1, 0, 1}), 50000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Parse(data, "hvc1"); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("it takes %d bytes of memory for a file of %d", took, len(data))
	}
}

// A sequence parameter set that says nothing of colours, from a file of Nokia's.
func TestReadHEVC(t *testing.T) {
	config, err := hex.DecodeString("01016000000000000000000078f000fcfdf8f800000f03a00001001840010c01ffff01600000030000030000030000030078f024a1" +
		"0001001f42010101600000030000030000030000030078a00280802d1fe5f9246d9ed9a2000100074401c190958112")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadHEVC(config)
	if want := (HEVC{Size: image.Pt(1280, 720), Chroma: 1, Bits: 8, Colour: Colour{Primaries: 2, Transfer: 2, Matrix: 2}}); err != nil || got != want {
		t.Errorf("it is %+v, %v, want %+v", got, err, want)
	}
}

// Tiles of which nothing is seen are not decoded.
func TestOnlySeenTilesAreDecoded(t *testing.T) {
	p := &Picture{Size: image.Pt(4, 4), canvas: image.Pt(8, 8), crop: image.Rect(4, 2, 8, 6), columns: 2, tile: image.Pt(4, 4), tiles: make([]Coded, 4)}
	n := 0
	img, err := p.image(func(Coded) (Pixels, error) {
		n++
		return Pixels{Pix: bytes.Repeat([]byte{byte(n)}, 16), Stride: 4, Step: 1}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r, _, _, _ := img.At(0, 3).RGBA(); n != 2 || r>>8 != 2 {
		t.Errorf("%d tiles were decoded, want 2; the last row begins with %d, want that of the second", n, r>>8)
	}
}
