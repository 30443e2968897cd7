package token

import (
	"fmt"
	"math/bits"
)

// maxNodes is the largest number of nodes of a trie, which takes up to 32 bytes per node while
// it grows. A node number and a byte fit a 32-bit edge key.
const maxNodes = 1 << 23

// trie finds the pieces that are prefixes of a text. Node 0 is the root. A node at which a
// piece ends has the piece's id as its number; other nodes are numbered from pieces on. A step
// is therefore one lookup, which also tells whether a piece ends there.
//
// All edges are in one hash table with open addressing. The high half of an edge is its key,
// node<<8 | byte; the low half is the child. 0 is a free slot: the key 0 (root, byte 0) is
// never used, because no piece holds a zero byte.
type trie struct {
	edges  []uint64 // length a power of two, at most half full
	shift  uint     // 32 - log2(len(edges))
	used   int
	nodes  uint32 // number of the next node at which no piece ends
	pieces uint32
}

// newTrie builds the trie of pieces[id] for all ids, which must be above 0. There are at most
// maxPieces.
func newTrie(pieces []piece, ids []int32) (*trie, error) {
	log := bits.Len(uint(4 * len(ids)))
	t := &trie{edges: make([]uint64, 1<<log), shift: uint(32 - log), nodes: uint32(len(pieces)), pieces: uint32(len(pieces))}
	// Shorter pieces are added first, so that the last node of a piece is always new and can
	// take the piece's id as its number.
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

// step returns the child of node for byte b, or 0 if there is none.
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

// longest returns the length in bytes of the longest piece that is a prefix of text, or 0.
func (t *trie) longest(text string) int {
	n, _ := match(t, text)
	return n
}

// match returns the length of the longest piece that text begins with, 0 for none, and
// the piece.
func match[T string | []byte](t *trie, text T) (n int, id uint32) {
	node := uint32(0)
	for i := 0; i < len(text); i++ {
		if node = t.step(node, text[i]); node == 0 {
			break
		}
		if node < t.pieces {
			n, id = i+1, node
		}
	}
	return n, id
}
