package main

import (
	"fmt"
	"math"
	"strings"
)

// wrong is the cosine below which a side's times are no match for the others'.
const wrong = 0.99

// reading says what the figures of a run mean, those against us too.
func (r *run) reading() string {
	var said []string
	ratios, rough := 0, 0
	for _, format := range formats {
		for _, mine := range r.of(format, true) {
			var parts []string
			theirs := r.of(format, false)
			lines := r.lines(times, mine, theirs)
			for i, other := range theirs {
				ahead, all := 0, 0
				least, where := math.Inf(1), ""
				for _, l := range lines {
					if l.theirs[i] == nil {
						continue
					}
					x, _ := ratio(l.mine, *l.theirs[i])
					all++
					if x > 1 {
						ahead++
					}
					if l.mine.rough || l.theirs[i].rough {
						rough++
					}
					if x < least {
						least, where = x, l.label+" on "+threadsOf(l.threads)
					}
				}
				if ratios += all; all > 0 {
					parts = append(parts, fmt.Sprintf("of %s in %d of %d lines (least %.2f: %s)", other, ahead, all, least, where))
				}
			}
			if parts != nil {
				said = append(said, fmt.Sprintf("%s is ahead %s.", mine, strings.Join(parts, ", ")))
			}
		}
	}
	if rough > 0 {
		said = append(said, fmt.Sprintf("Of %d ratios %d are rough.", ratios, rough))
	}
	var poor []string
	measured := false
	for _, s := range r.Sides {
		for i := range r.Models {
			x := r.Models[i].least(s)
			measured = measured || !math.IsNaN(x)
			if x < wrong {
				poor = append(poor, fmt.Sprintf("%s, %s (%.4f)", s, r.Models[i].Name, x))
			}
		}
	}
	if measured {
		said = append(said, "A cosine is the least of the embeddings of 4 pictures and of a text of each length, to what NumPy computes of the same ONNX file in float64.")
	}
	if poor != nil {
		said = append(said, fmt.Sprintf("Where it is below %.2f, a time says little: %s.", wrong, strings.Join(poor, "; ")))
	}
	return strings.Join(append(said, "Weights other than the demo's are random, and errors of trained ones differ."), " ")
}
