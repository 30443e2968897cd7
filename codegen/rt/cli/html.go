package cli

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/png"
	"io"
	"net/url"
	"path/filepath"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/ir/file"
)

// Page is a page of search results: one self-contained HTML file with the pictures in it.
type Page struct {
	Title   string
	Intro   string // a paragraph under the title; may be empty
	Note    string // at the end: where the pictures come from; may be empty
	Results []Result

	folder string // folder of the page, to which links are relative; "": no links
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"picture": dataURI, "name": file.Quote}).Parse(pageText))

// Commit writes the page to f, which file.Create began before the search, and commits it.
// Pictures that are files are linked, relative to the page.
func (p *Page) Commit(f *file.File) error {
	in := *p
	in.folder = filepath.Dir(f.Place())
	b := bufio.NewWriter(f)
	err := in.Write(b)
	if err == nil {
		err = b.Flush()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file.Quote(f.Place()), err)
	}
	return f.Commit()
}

// Link returns the URL of a picture's file relative to the page; "" if the page has no links or
// the picture no file.
func (p *Page) Link(of Picture) (string, error) {
	if p.folder == "" || of.File == "" {
		return "", nil
	}
	from, err := filepath.Abs(p.folder)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(of.File)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(from, to)
	if err != nil { // another drive
		return "", nil
	}
	return (&url.URL{Path: filepath.ToSlash(rel)}).String(), nil
}

// Write writes the page. It reads the pictures again, one at a time.
func (p *Page) Write(w io.Writer) error { return page.Execute(w, p) }

// thumbnail is the longest side, in pixels, of a picture in the page.
const thumbnail = 160

// dataURI returns a picture as a data URI, scaled down if it is larger than thumbnail.
func dataURI(p Picture) (template.URL, error) {
	img, err := p.Read()
	if err != nil {
		return "", fmt.Errorf("%s", place(p.Name, err))
	}
	if w, h := img.Bounds().Dx(), img.Bounds().Dy(); w > thumbnail || h > thumbnail {
		long := max(w, h)
		var small pixel.RGB
		if err := pixel.Resize(&small, img, max(1, w*thumbnail/long), max(1, h*thumbnail/long), pixel.White, nil); err != nil {
			return "", fmt.Errorf("%s", place(p.Name, err))
		}
		img = opaque(&small)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return "", fmt.Errorf("%s", place(p.Name, err))
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}

// opaque copies a picture to a type that the png package encodes without a method call per
// pixel.
func opaque(p *pixel.RGB) image.Image {
	m := image.NewNRGBA(p.Bounds())
	for i, j := 0, 0; i < len(p.Pix); i, j = i+3, j+4 {
		copy(m.Pix[j:], p.Pix[i:i+3])
		m.Pix[j+3] = 255
	}
	return m
}
