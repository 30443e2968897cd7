// Package plot draws charts as SVG: a page of sections, each with groups of horizontal bars. A chart is one file without scripts
// or fonts of its own, follows the reader's choice of light or dark, and is 400 units wide, so that its text can be read on a
// phone. It only draws: what is measured, and what a bar says, is the caller's.
package plot
