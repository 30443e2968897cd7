package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/rt/plot"
)

// element is what tests read of an element of a picture.
type element struct {
	Name, Class, Width, Text string
}

// parsed returns the rectangles and texts of a picture, in their order.
func parsed(t *testing.T, svg []byte) []element {
	t.Helper()
	var list []element
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
		switch x := tok.(type) {
		case xml.StartElement:
			if x.Name.Local != "rect" && x.Name.Local != "text" {
				continue
			}
			e := element{Name: x.Name.Local}
			for _, a := range x.Attr {
				switch a.Name.Local {
				case "class":
					e.Class = a.Value
				case "width":
					e.Width = a.Value
				}
			}
			list = append(list, e)
		case xml.CharData:
			if s := strings.TrimSpace(string(x)); s != "" && len(list) > 0 && list[len(list)-1].Name == "text" {
				list[len(list)-1].Text = s
			}
		}
	}
}

// Bars are as long as their values, of their kinds, and every text is in the picture as it is.
func TestBars(t *testing.T) {
	svg := plot.Bars("made -- by a test", []plot.Section{{
		Title: "a < b",
		Groups: []plot.Group{
			{Label: "first & last", Bars: []plot.Bar{{Name: "x", Value: 2, Text: "2 ms"}, {Name: "y", Value: 1, Text: "1 ms", Kind: 1}, {Name: "z", Value: 0, Text: "0", Kind: 2}}},
			{Label: "nothing", Bars: []plot.Bar{{Name: "x", Text: "0"}}},
		},
	}})
	want := []element{
		{"rect", "paper", "100%", ""},
		{"text", "title", "", "a < b"},
		{"text", "", "", "first & last"},
		{"text", "name", "", "x"}, {"rect", "k0", "105", ""}, {"text", "name", "", "2 ms"},
		{"text", "name", "", "y"}, {"rect", "k1", "53", ""}, {"text", "name", "", "1 ms"},
		{"text", "name", "", "z"}, {"rect", "k2", "1", ""}, {"text", "name", "", "0"},
		{"text", "", "", "nothing"},
		{"text", "name", "", "x"}, {"rect", "k0", "1", ""}, {"text", "name", "", "0"},
	}
	if diff := cmp.Diff(want, parsed(t, svg)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
