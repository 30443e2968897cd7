package token

// symbol is a part of a text under way to become a token.
type symbol struct {
	from, to   int32 // in the text
	prev, next int32 // other symbols, -1: none
	id         uint32
	fixed      bool // joins nothing
}

// candidate is a pair of symbols that can be joined.
type candidate struct {
	rank, left, right uint32 // of the symbols it was made for: it is void once they are others
	at                int32
}

// A joiner says which symbols join to which: the lowest rank first.
type joiner interface {
	// join returns the symbol that left and right make. text is the right one's.
	join(left, right uint32, text []byte) (id, rank uint32, ok bool)
}

// merger joins the symbols of a text, pair by pair: always the pair of lowest rank, the
// leftmost of several. Time grows with n log n.
type merger struct {
	symbols []symbol
	heap    []candidate
}

func (m *merger) reset() { m.symbols, m.heap = m.symbols[:0], m.heap[:0] }

// add appends a symbol.
func (m *merger) add(from, to int, id uint32, fixed bool) {
	i := int32(len(m.symbols))
	if i > 0 {
		m.symbols[i-1].next = i
	}
	m.symbols = append(m.symbols, symbol{int32(from), int32(to), i - 1, -1, id, fixed})
}

// merge joins all that can be joined. The symbols that remain start at the first and
// hang together by next.
func (m *merger) merge(j joiner, text []byte) {
	for i := range m.symbols {
		m.offer(j, text, int32(i))
	}
	for len(m.heap) > 0 {
		c := m.pop()
		l := &m.symbols[c.at]
		if l.id != c.left || l.to < 0 || l.next < 0 || m.symbols[l.next].id != c.right {
			continue
		}
		r := &m.symbols[l.next]
		id, _, ok := j.join(l.id, r.id, text[r.from:r.to])
		if !ok {
			continue
		}
		l.id, l.to, l.next = id, r.to, r.next
		r.to = -1
		if l.next >= 0 {
			m.symbols[l.next].prev = c.at
		}
		if l.prev >= 0 {
			m.offer(j, text, l.prev)
		}
		m.offer(j, text, c.at)
	}
}

// offer makes the symbol at and the next one a candidate if they join.
func (m *merger) offer(j joiner, text []byte, at int32) {
	l := &m.symbols[at]
	if l.next < 0 || l.fixed {
		return
	}
	r := &m.symbols[l.next]
	if r.fixed {
		return
	}
	if _, rank, ok := j.join(l.id, r.id, text[r.from:r.to]); ok {
		m.push(candidate{rank, l.id, r.id, at})
	}
}

func (c candidate) before(d candidate) bool {
	return c.rank < d.rank || c.rank == d.rank && c.at < d.at
}

func (m *merger) push(c candidate) {
	h := append(m.heap, c)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !c.before(h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = c
	m.heap = h
}

func (m *merger) pop() candidate {
	h := m.heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	m.heap = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1].before(h[down]) {
			down++
		}
		if !h[down].before(last) {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = last
	return top
}

// small reports whether m is worth keeping.
func (m *merger) small() bool { return cap(m.symbols) <= large/8 && cap(m.heap) <= large/8 }
