package token

import (
	"fmt"
	"math/bits"
)

// maxNodes bounds a trie, which takes up to 32 bytes a node while it grows. A node and a byte fit one edge key.
const maxNodes = 1 << 23

// trie finds the pieces that a text begins with. Node 0 is the root. A node
// where a piece ends carries that piece's id as its number, other nodes have
// numbers from pieces on; so a step is one lookup and tells whether a piece
// ends there.
//
// All edges are in one table with open addressing: high half key, node<<8 |
// byte; low half child. 0 is a free slot. The key 0 (root, byte 0) is never
// in use because no piece holds a zero byte.
type trie struct {
	edges  []uint64 // length a power of two, at most half full
	shift  uint     // 32 - log2(len(edges))
	used   int
	nodes  uint32 // next number for a node that is no piece
	pieces uint32
}

// newTrie builds the trie of the pieces ids[...], which must be above 0. There are at most maxPieces.
func newTrie(pieces []piece, ids []int32) (*trie, error) {
	log := bits.Len(uint(4 * len(ids)))
	t := &trie{edges: make([]uint64, 1<<log), shift: uint(32 - log), nodes: uint32(len(pieces)), pieces: uint32(len(pieces))}
	// Shorter pieces go first. Then the end of a piece is always a new node,
	// which is free to take the piece's number.
	starts := make([]int32, maxPiece+2)
	for _, id := range ids {
		starts[len(pieces[id].text)+1]++
	}
	for n := 1; n <= maxPiece; n++ {
		starts[n] += starts[n-1]
	}
	byLength := make([]int32, len(ids))
	for _, id := range ids {
		n := len(pieces[id].text)
		byLength[starts[n]] = id
		starts[n]++
	}
	for _, id := range byLength {
		text := pieces[id].text
		node, last := uint32(0), len(text)-1
		for _, b := range text[:last] {
			child := t.step(node, b)
			if child == 0 {
				child = t.nodes
				if child == maxNodes {
					return nil, fmt.Errorf("the pieces need more than %d trie nodes", maxNodes)
				}
				t.nodes++
				t.add(node, b, child)
			}
			node = child
		}
		if other := t.step(node, text[last]); other != 0 {
			return nil, fmt.Errorf("pieces[%d] and pieces[%d] are both %.40q", other, id, text)
		}
		t.add(node, text[last], uint32(id))
	}
	return t, nil
}

// step returns the child of node along b, or 0 if there is none.
func (t *trie) step(node uint32, b byte) uint32 {
	key := node<<8 | uint32(b)
	mask := uint32(len(t.edges) - 1)
	for i := key * 0x9e3779b1 >> t.shift; ; i++ {
		e := t.edges[i&mask]
		if uint32(e>>32) == key || e == 0 {
			return uint32(e)
		}
	}
}

func (t *trie) add(node uint32, b byte, child uint32) {
	if t.used++; 2*t.used > len(t.edges) {
		old := t.edges
		t.edges = make([]uint64, 2*len(old))
		t.shift--
		for _, e := range old {
			if e != 0 {
				t.insert(e)
			}
		}
	}
	t.insert(uint64(node<<8|uint32(b))<<32 | uint64(child))
}

func (t *trie) insert(edge uint64) {
	mask := uint32(len(t.edges) - 1)
	i := uint32(edge>>32) * 0x9e3779b1 >> t.shift
	for t.edges[i&mask] != 0 {
		i++
	}
	t.edges[i&mask] = edge
}

// longest returns the length of the longest piece that text begins with, or 0.
func (t *trie) longest(text string) int {
	n := 0
	node := uint32(0)
	for i := 0; i < len(text); i++ {
		if node = t.step(node, text[i]); node == 0 {
			break
		}
		if node < t.pieces {
			n = i + 1
		}
	}
	return n
}
