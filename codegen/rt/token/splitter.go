package token

import (
	"strings"
	"unicode/utf8"
)

const (
	// block is the length in bytes of the normalised text that is gathered before a search.
	// Shorter texts are split by one search.
	block = 1024

	// maxUndecided is the length in bytes of the text that is held while no piece boundary in
	// it is certain.
	maxUndecided = 256 << 10
)

// step is the last piece of the best path to a position: its start and its id.
type step struct {
	score float32 // of the whole path to this position
	from  int32   // start of the piece; negative: no path ends here
	id    int32
}

// splitter splits one text. It normalises and searches in blocks, and emits pieces as soon as
// they are certain, so that its memory does not grow with the text and it can stop when enough
// ids are emitted.
//
// Positions are byte offsets in norm. Pieces up to cut are emitted. The search has extended the
// paths from every start before at. No path found so far ends after reach. Hence
//
//	0 <= cut <= at <= reach <= len(norm)
//
// and the best path to at is final if at == reach: all paths then go through at.
type splitter struct {
	norm           []byte
	best           []step // best[i]: the best path to i found so far
	cut, at, reach int

	held  int  // pending spaces, not yet in norm: dropped if only spaces follow
	inner bool // the text goes on another: no space is put before it
	space bool // the text so far ends with a space, so further spaces are dropped

	next     int // len(norm) at which the next block is full
	patience int // value of at-cut at which settle looks for the next certain piece

	ids  []int32
	room int  // ids that may still be emitted
	unk  bool // the last emitted piece is unknown
	path []int32

	keep     bool // also collect the texts of the pieces
	kept     []byte
	keptEnds []int
}

// split appends the ids of text to s.ids, at most s.room of them.
func (s *splitter) split(u *Unigram, text string) {
	s.norm, s.best = s.norm[:0], append(s.best[:0], step{score: u.start, from: -1})
	s.cut, s.at, s.reach = 0, 0, 0
	s.held, s.space = 0, u.squeeze && !s.inner
	s.next, s.patience = block, block
	s.unk = false
	s.kept, s.keptEnds = s.kept[:0], s.keptEnds[:0]
	s.normalise(u, text)
	s.search(u, true)
}

// normalise writes text as the model's rules leave it.
func (s *splitter) normalise(u *Unigram, text string) {
	if text != "" && u.dummyPrefix && !s.inner {
		s.write(u, u.space)
	}
	for text != "" && s.room > 0 {
		rep, n := u.prefix(text)
		text = text[n:]
		for s.space && strings.HasPrefix(rep, " ") {
			rep = rep[1:]
		}
		if rep != "" {
			s.space = u.squeeze && rep[len(rep)-1] == ' '
			s.write(u, rep)
		}
	}
}

// write appends rep to the normalised text and starts a search when a block is full.
func (s *splitter) write(u *Unigram, rep string) {
	for i := 0; i < len(rep); {
		c := rep[i]
		literal := c == u.space[0] && strings.HasPrefix(rep[i:], u.space)
		switch {
		case c != ' ' && !literal:
			for ; s.held > 0; s.held-- {
				s.norm = append(s.norm, u.space...)
				s.full(u)
			}
			s.norm = append(s.norm, c)
			i++
			continue
		case u.squeeze:
			s.held++
		default:
			s.norm = append(s.norm, u.space...)
		}
		if literal {
			i += len(u.space)
		} else {
			i++
		}
	}
	s.full(u)
}

// full searches the gathered text if it fills a block, then discards the emitted part.
func (s *splitter) full(u *Unigram) {
	if len(s.norm) < s.next {
		return
	}
	s.search(u, false)
	if c := s.cut; c >= block {
		s.norm = s.norm[:copy(s.norm, s.norm[c:])]
		s.best = s.best[:copy(s.best, s.best[c:])]
		for i := range s.best {
			s.best[i].from -= int32(c)
		}
		s.cut, s.at, s.reach = 0, s.at-c, s.reach-c
	}
	s.next = len(s.norm) + block
}

// search extends the best paths over the gathered text: to its end if last is set, otherwise as
// far as further text cannot change them.
//
// Sums round as in SentencePiece up to 0.2.1: a piece's score is added in float64, the unknown score in
// float32; sums are stored in float32, and only a strictly greater sum replaces another. SigLIP's are
// compared in float32 too, as in SentencePiece 0.2.3. Only ties depend on it, such as l ll and ll l.
func (s *splitter) search(u *Unigram, last bool) {
	for len(s.best) <= len(s.norm) {
		s.best = append(s.best, step{from: -1})
	}
	end := len(s.norm)
	if !last {
		end -= u.longest - 1
	}
	for s.at < end && s.room > 0 {
		at := s.at
		score := s.best[at].score
		char := at + min(charLen(s.norm[at]), len(s.norm)-at)
		single := false
		node := uint32(0)
		for i := at; i < len(s.norm); {
			node = u.trie.step(node, s.norm[i])
			if node == 0 {
				break
			}
			i++
			if node < u.trie.pieces {
				sum := u.score[node] + float64(score)
				if u.single {
					sum = float64(float32(sum))
				}
				if b := &s.best[i]; b.from < 0 || sum > float64(b.score) {
					*b = step{float32(sum), int32(at), int32(node)}
				}
				s.reach = max(s.reach, i)
				single = single || i == char
			}
		}
		if !single {
			sum := u.unkScore + score
			if b := &s.best[char]; b.from < 0 || sum > b.score {
				*b = step{sum, int32(at), 0}
			}
			s.reach = max(s.reach, char)
		}
		s.at = char
		switch {
		case s.reach == s.at:
			s.give(u, s.at)
		case s.at-s.cut >= s.patience:
			s.settle(u)
		}
	}
}

// settle finds the last position that all remaining paths have in common and emits the pieces
// before it. If there is none within maxUndecided bytes, it commits to the best path.
func (s *splitter) settle(u *Unigram) {
	common := s.at
	for i := s.at + 1; i <= s.reach && common > s.cut; i++ {
		if s.best[i].from < 0 {
			continue
		}
		for j := i; j != common; {
			if j > common {
				j = int(s.best[j].from)
			} else {
				common = int(s.best[common].from)
			}
		}
	}
	switch {
	case common > s.cut:
		s.give(u, common)
		s.patience = block
	case s.at-s.cut < maxUndecided:
		// The search of a common position takes time in proportion to the undecided text. Doubling the
		// distance between searches keeps the total linear.
		s.patience = min(2*(s.at-s.cut), maxUndecided)
	default:
		s.give(u, s.at)
		for i := s.at + 1; i <= s.reach; i++ {
			s.best[i].from = -1
		}
		s.reach = s.at
		s.patience = block
	}
}

// give emits the pieces of the best path from cut to to.
func (s *splitter) give(u *Unigram, to int) {
	s.path = s.path[:0]
	for i := to; i > s.cut; i = int(s.best[i].from) {
		s.path = append(s.path, int32(i))
	}
	for i := len(s.path) - 1; i >= 0 && s.room > 0; i-- {
		end := int(s.path[i])
		id := s.best[end].id
		more := id == 0 && s.unk // continues the unknown piece before it
		s.unk = id == 0
		switch {
		case more:
		case s.unk:
			s.ids = append(s.ids, u.unk)
			s.room--
		default:
			s.ids = append(s.ids, id+u.shift)
			s.room--
		}
		if s.keep {
			s.kept = append(s.kept, s.norm[s.best[end].from:end]...)
			if more {
				s.keptEnds = s.keptEnds[:len(s.keptEnds)-1]
			}
			s.keptEnds = append(s.keptEnds, len(s.kept))
		}
	}
	s.cut = to
}

// character returns the first character of text and its length in bytes: U+FFFD and one byte if
// the text does not begin with valid UTF-8.
func character(text string) (string, int) {
	if c := text[0]; c < utf8.RuneSelf {
		return text[:1], 1
	}
	if r, n := utf8.DecodeRuneInString(text); r != utf8.RuneError || n > 1 {
		return text[:n], n
	}
	return "�", 1
}

// charLen returns the length in bytes of a UTF-8 character that begins with c.
func charLen(c byte) int {
	switch {
	case c < 0xc0:
		return 1
	case c < 0xe0:
		return 2
	case c < 0xf0:
		return 3
	}
	return 4
}
