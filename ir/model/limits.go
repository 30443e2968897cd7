package model

import (
	"cmp"
	"fmt"
)

// LongestText is the largest number of tokens in a text, 0 if the model takes no texts. The
// description must be complete except for its limits.
func (d *Description) LongestText() int {
	t := d.Structure()
	m := t.Token()
	if m == nil {
		return 0
	}
	longest := m.Positions - m.Unused
	if d.Captions() {
		longest -= captionRows
	}
	if r := t.of(m.Name).Reach; r > 0 {
		longest = min(longest, r)
	}
	return longest
}

// usualText is the limit of texts where the description has none.
func (d *Description) usualText() int {
	t := d.Structure()
	n := t.Token().Rows
	if row := familyNamed(d.Family); row != nil {
		n = cmp.Or(n, row.limit)
	}
	return cmp.Or(n, defaultText)
}

func (d *Description) completeLimits() *problem {
	l, t := &d.Limits, d.Structure()
	if m := t.Token(); m != nil {
		longest := d.LongestText()
		if l.Text == 0 {
			l.Text = min(d.usualText(), longest)
		}
		if m.Rows > 0 && l.Text != m.Rows {
			return wrong("limits.text", " is %d, want %d: the model's texts are padded to that length, and every token of it counts; remove it", l.Text, m.Rows)
		}
		if l.Text < 1 || l.Text > longest {
			name := "sizes.positions"
			if d.long() {
				name = "positions of " + m.Name
			}
			if longest == t.of(m.Name).Reach {
				return wrong("limits.text", " is %d, want 1 to %d, which is how far the relative position bias reaches", l.Text, longest)
			}
			rest := ""
			if d.Captions() {
				rest = fmt.Sprintf(", and a caption's last step takes %d more than its text", captionRows)
			}
			return wrong("limits.text", " is %d, want 1 to %d: %s is %d and its first %d rows are not used%s", l.Text, longest, name, m.Positions, m.Unused, rest)
		}
	} else if l.Text != 0 {
		return wrong("limits.text", " is given, but no modality is of tokens; remove it")
	}
	fixed, what := 0, "picture"
	for _, m := range t.Modalities {
		if m.Embedder == Patch && m.fixed() > fixed {
			fixed = m.fixed()
			if d.long() {
				what = m.Name + " input"
			}
		}
	}
	need := max(fixed, l.Text)
	if l.Rows == 0 {
		l.Rows = max(defaultRows, need)
	}
	if l.Rows < need || l.Rows > maxRows {
		return wrong("limits.rows", " is %d, want %d to %d: one %s has %d rows and the longest text %d", l.Rows, need, maxRows, what, fixed, l.Text)
	}
	if p := d.completeGeneration(); p != nil {
		return p
	}
	if l.Pixels < 0 || l.Pixels > maxPixels {
		return wrong("limits.pixels", " is %d, want 1 to %d", l.Pixels, maxPixels)
	}
	return nil
}

// completeGeneration checks the limits on captions.
func (d *Description) completeGeneration() *problem {
	l, t := &d.Limits, d.Structure()
	if !d.Captions() {
		switch {
		case l.MaxNew != 0:
			return wrong("limits.max_new", " is given, but there is no task captioning; add it or remove the field")
		case l.Ban != nil:
			return wrong("limits.ban", " is given, but there is no task captioning; add it or remove the field")
		}
		return nil
	}
	if l.Text < 2 {
		return wrong("limits.text", " is %d, want 2 at least: a caption is <s> and a word", l.Text)
	}
	if l.MaxNew == 0 {
		l.MaxNew = l.Text - 1
	}
	if l.MaxNew < 1 || l.MaxNew > l.Text-1 {
		return wrong("limits.max_new", " is %d, want 1 to %d: limits.text is %d, <s> included", l.MaxNew, l.Text-1, l.Text)
	}
	vocab := t.Vocab()
	for i, b := range l.Ban {
		if b.From < 0 || b.To <= b.From || b.To > vocab {
			return wrong(fmt.Sprintf("limits.ban[%d]", i), " is %d..%d, want FROM..TO with token ids below %d; TO itself is not banned", b.From, b.To, vocab)
		}
	}
	return nil
}
