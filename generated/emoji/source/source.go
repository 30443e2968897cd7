// Package source is what the demo model is made of and judged by: the checkpoint, the
// tokenizer and the labels that emoji.yaml names, and, embedded here, the drawings that
// it was never trained on. NOTICE.md says where everything comes from.
//
// It is not generated, and only the demo's main imports it: a program that uses package
// emoji does not carry the drawings.
package source

import _ "embed"

// Sheet is the PNG of all held-out drawings, tiles in rows.
//
//go:embed heldout_sheet.png
var Sheet []byte

// Index lists the drawings of the sheet, row by row, as JSON: the tile's side, tiles a
// row, and of each drawing its name, group and subgroup, and whether its concept was
// left out of training.
//
//go:embed heldout_index.json
var Index []byte

// Labels holds the names of the subgroups in the order of the logits, of the groups,
// and the group of each subgroup, as JSON.
//
//go:embed labels.json
var Labels []byte
