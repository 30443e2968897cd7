package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/plot"
)

// picture draws the times of calls with one input on the fewest threads, all sides of a workload beside each other.
func picture(runs []run) string {
	var sections []plot.Section
	for i := range runs {
		r := &runs[i]
		engines := []string{ours}
		for _, s := range r.Sides {
			if !slices.Contains(engines, s.engine()) {
				engines = append(engines, s.engine())
			}
		}
		sections = append(sections, plot.Section{Title: "Time of a call", Groups: []plot.Group{
			{Label: r.Machine.CPU}, {Label: "Shorter is better. After int8: its cosine."},
		}})
		for j := range r.Models {
			m := &r.Models[j]
			threads := m.Times.threads()
			if threads == nil {
				continue
			}
			s := plot.Section{Title: m.Name + ", " + threadsOf(threads[0])}
			for _, w := range m.Workloads {
				if w.Inputs > 1 {
					continue
				}
				g := plot.Group{Label: w.Label}
				for _, side := range r.Sides {
					list := m.Times.of(side, threads[0], w.Name)
					if list == nil {
						continue
					}
					c := cellOf(list)
					text := c.mark() + c.text + " ms"
					if x := m.least(side); side.format() != "f32" && !math.IsNaN(x) {
						text += fmt.Sprintf(", %.4f", x)
					}
					g.Bars = append(g.Bars, plot.Bar{Name: short(side), Value: c.median, Text: text, Kind: slices.Index(engines, side.engine()) % plot.Kinds})
				}
				if g.Bars != nil {
					s.Groups = append(s.Groups, g)
				}
			}
			if s.Groups != nil {
				sections = append(sections, s)
			}
		}
	}
	return string(plot.Bars(note, sections))
}

// short is a side's name where there is little room.
func short(s side) string {
	return strings.NewReplacer("ONNX Runtime", "ORT", " (cosine ", ", ", " (", ", ", "reduce_range", "reduced", ")", "").Replace(string(s))
}
