package main

import (
	"fmt"
	"math"
	"strings"
)

// wrong is the cosine below which a side's figures are no match for the others'.
const wrong = 0.99

// reading says what the figures of a run mean, those against us too.
func (r *run) reading() string {
	var b strings.Builder
	for _, format := range formats {
		for _, mine := range r.of(format, true) {
			for i, other := range r.of(format, false) {
				ahead, all, rough := 0, 0, 0
				least, where := math.Inf(1), ""
				for _, l := range r.lines(times, mine, r.of(format, false)) {
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
				if all == 0 {
					continue
				}
				fmt.Fprintf(&b, "%s is ahead of %s in %d of %d lines, least with %.2f times (%s)", mine, other, ahead, all, least, where)
				if rough > 0 {
					fmt.Fprintf(&b, "; %d of the ratios are rough", rough)
				}
				b.WriteString(". ")
			}
		}
	}
	var poor []string
	measured := false
	for _, s := range r.Sides {
		for i := range r.Models {
			x := r.Models[i].least(s)
			measured = measured || !math.IsNaN(x)
			if x < wrong {
				poor = append(poor, fmt.Sprintf("%s (%.2f, %s)", s, x, r.Models[i].Name))
			}
		}
	}
	if measured {
		b.WriteString("A cosine is the least of the embeddings of 4 pictures and of a text of each length, to the embeddings that NumPy computes of the same ONNX file in float64. ")
	}
	if poor != nil {
		fmt.Fprintf(&b, "Below %.2f, a time says little: %s. ", wrong, strings.Join(poor, ", "))
	}
	b.WriteString("Weights other than the demo's are random, and errors of trained ones differ.")
	return b.String()
}
