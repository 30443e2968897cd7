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

// Page is a page of search results, one file with the pictures in it.
type Page struct {
	Title   string
	Intro   string // a paragraph under the title; may be empty
	Note    string // at the end: where the pictures come from; may be empty
	Results []Result

	folder string // of the page, which links lead from; "": no links
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"picture": dataURI, "name": file.Quote}).Parse(pageText))

// Commit writes the page to a file that file.Create began before the search, and which
// appears now. Pictures that are files link to these, from where the page is.
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

// Link is where a picture's file is, as seen from the page; "" if there is nothing to lead
// to.
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

// Write writes the page. It reads its pictures again, one at a time.
func (p *Page) Write(w io.Writer) error { return page.Execute(w, p) }

// thumbnail is the longest side, in pixels, of a picture in a page.
const thumbnail = 160

// dataURI is a picture as the URI that holds it, made smaller if it is large.
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

// opaque copies a picture to a type that png encodes without a call a pixel.
func opaque(p *pixel.RGB) image.Image {
	m := image.NewNRGBA(p.Bounds())
	for i, j := 0, 0; i < len(p.Pix); i, j = i+3, j+4 {
		copy(m.Pix[j:], p.Pix[i:i+3])
		m.Pix[j+3] = 255
	}
	return m
}
