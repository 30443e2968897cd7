package token

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// maxRule is the largest length, in bytes, of a text that a normalisation rule matches or
// writes. It bounds the work per byte of text. The longest replacement of NFKC has 33 bytes.
const maxRule = 128

// charsmap is a model's table of normalisation rules: a double-array trie over the texts to
// replace. Each leaf holds the offset of a zero-terminated replacement.
//
// A unit of the array is a node, in the layout of darts-clone: bits 0-7 hold the byte of the
// edge to the node, bit 8 is set if a rule ends here, bit 9 scales the offset by 256, bits
// 10-30 hold the offset. Bit 31 marks a leaf, whose bits 0-30 are an index into text. The
// children of node i are at (i XOR offset) XOR byte, its leaf is at i XOR offset.
type charsmap struct {
	units []uint32
	text  string
}

const leaf = 1 << 31

func offset(unit uint32) uint32 { return unit >> 10 & (1<<21 - 1) << (unit & (1 << 9) >> 6) }

// newCharsmap copies the table out of its serialised form: the size of the
// array in bytes as a little-endian uint32, the array, the replacements.
// It checks every unit, so that a lookup needs no checks.
func newCharsmap(blob []byte) (*charsmap, error) {
	if len(blob) < 4 {
		return nil, fmt.Errorf("precompiled_charsmap has %d bytes, want at least 4", len(blob))
	}
	size := binary.LittleEndian.Uint32(blob)
	blob = blob[4:]
	switch {
	case uint64(size) >= uint64(len(blob)):
		return nil, fmt.Errorf("precompiled_charsmap: the trie is said to take %d bytes, but %d bytes hold it and the replacements", size, len(blob))
	case size == 0 || size%1024 != 0:
		return nil, fmt.Errorf("precompiled_charsmap: the trie is %d bytes long, want a multiple of 1024 above 0", size)
	}
	c := &charsmap{units: make([]uint32, size/4), text: string(blob[size:])}
	if !strings.HasSuffix(c.text, "\x00") {
		return nil, fmt.Errorf("precompiled_charsmap: the replacements do not end with a zero byte")
	}
	for at, rest := 0, c.text; rest != ""; {
		n := strings.IndexByte(rest, 0)
		if n > maxRule {
			return nil, fmt.Errorf("precompiled_charsmap: the replacement at %d is %d bytes long, want at most %d", at, n, maxRule)
		}
		at, rest = at+n+1, rest[n+1:]
	}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(blob[4*i:])
	}
	for i, u := range c.units {
		if u&leaf != 0 {
			if v := u &^ leaf; int(v) >= len(c.text) {
				return nil, fmt.Errorf("precompiled_charsmap: trie unit %d points at byte %d of %d bytes of replacements", i, v, len(c.text))
			}
			continue
		}
		next := uint32(i) ^ offset(u)
		// The children of a node are at next^byte. len(units) is a multiple of 256, so they are in
		// range if next is.
		if int(next) >= len(c.units) {
			return nil, fmt.Errorf("precompiled_charsmap: trie unit %d points at unit %d of %d", i, next, len(c.units))
		}
		if u>>8&1 != 0 && c.units[next]&leaf == 0 {
			return nil, fmt.Errorf("precompiled_charsmap: trie unit %d ends a rule, but unit %d is not a leaf", i, next)
		}
	}
	if c.units[0]&leaf != 0 {
		return nil, fmt.Errorf("precompiled_charsmap: the root of the trie is a leaf")
	}
	return c, nil
}

// longest finds the rule that matches the longest prefix of text. It returns the replacement
// and the number of bytes replaced, 0 if no rule matches.
func (c *charsmap) longest(text string) (string, int) {
	if len(text) > maxRule {
		text = text[:maxRule]
	}
	n, value := 0, uint32(0)
	node := offset(c.units[0])
	for i := 0; i < len(text); i++ {
		node ^= uint32(text[i])
		u := c.units[node]
		if u&(leaf|0xff) != uint32(text[i]) {
			break
		}
		node ^= offset(u)
		if u>>8&1 != 0 {
			n, value = i+1, c.units[node]&^leaf
		}
	}
	if n == 0 {
		return "", 0
	}
	rep := c.text[value:]
	return rep[:strings.IndexByte(rep, 0)], n
}
