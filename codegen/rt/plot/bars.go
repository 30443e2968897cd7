package plot

import (
	"fmt"
	"html"
	"strings"
)

// Section is a heading over groups of bars.
type Section struct {
	Title  string
	Groups []Group
}

// Group is a line of text over bars that are compared with each other: the longest bar has the whole width.
type Group struct {
	Label string
	Bars  []Bar
}

// Bar is one line of a group: its name at the left, a bar as long as its value, and a text behind the bar.
type Bar struct {
	Name  string
	Value float64 // at least 0 and finite
	Text  string
	Kind  int // colour, from 0 to Kinds-1
}

// Kinds is the number of colours.
const Kinds = 3

// Colours by the kind of a bar. They differ in lightness too, for readers who see few colours.
var (
	light = [Kinds]string{"#0077a3", "#b0b7bf", "#737c87"}
	dark  = [Kinds]string{"#35c3ee", "#57606a", "#98a2ad"}
)

// Measures in units of the picture.
const (
	width   = 400
	margin  = 8
	names   = 180 // width of the names
	longest = 105 // length of the longest bar of a group
	line    = 20  // height of a bar and of a line of text
)

// Bars returns the SVG of the sections, which begins with a comment that says note. The same arguments give the same bytes. Texts
// are escaped; characters that XML does not have, such as control characters, are the caller's to leave out.
func Bars(note string, sections []Section) []byte {
	var body strings.Builder
	y := 0
	text := func(x int, class, s string) {
		fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\"%s>%s</text>\n", x, y-6, class, html.EscapeString(s))
	}
	for _, s := range sections {
		y += line + margin
		text(margin, ` class="title"`, s.Title)
		for _, g := range s.Groups {
			y += line + margin/2
			text(margin, "", g.Label)
			most := 0.0
			for _, b := range g.Bars {
				most = max(most, b.Value)
			}
			for _, b := range g.Bars {
				y += line
				long := 1
				if most > 0 {
					long = max(1, int(longest*b.Value/most+0.5))
				}
				text(2*margin, ` class="name"`, b.Name)
				fmt.Fprintf(&body, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" class=\"k%d\"/>\n", names, y-line+3, long, line-6, b.Kind)
				text(names+long+margin/2, ` class="name"`, b.Text)
			}
		}
	}
	y += margin
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\">\n", width, y)
	fmt.Fprintf(&b, "<!-- %s -->\n<style>\n", strings.ReplaceAll(note, "--", "- -"))
	theme := func(paper, ink string, colours [Kinds]string) {
		fmt.Fprintf(&b, ".paper { fill: %s } text { fill: %s }", paper, ink)
		for i, c := range colours {
			fmt.Fprintf(&b, " .k%d { fill: %s }", i, c)
		}
	}
	b.WriteString("text { font: 14px sans-serif } .title { font-weight: bold } .name { font-size: 13px }\n")
	theme("#ffffff", "#1f2328", light)
	b.WriteString("\n@media (prefers-color-scheme: dark) { ")
	theme("#0d1117", "#e6edf3", dark)
	b.WriteString(" }\n</style>\n<rect width=\"100%\" height=\"100%\" class=\"paper\"/>\n")
	b.WriteString(body.String())
	b.WriteString("</svg>\n")
	return []byte(b.String())
}
