package exec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt/blob"
)

// Slot is the shape of one state: Rows that a first call fills, then one row a word, of
// Cols floats each.
type Slot struct{ Rows, Cols int }

// State is what the functions of a caption keep between calls: in every layer, keys and
// values of the picture's rows, once, and of the words so far, for each beam. It lives
// outside the arena and belongs to one session at a time.
//
// A function with Stores fills it from a picture. Each call of a function with States
// reads it, and writes the rows of the beam's next word, which Advance makes part of it.
type State struct {
	step  *Func
	beams int // at most
	most  int // words
	fixed [][]float32
	text  [2][]float32 // of each slot, beam and word; the one in use and its double
	start []int        // of each slot in text
	now   int          // the text in use
	live  int          // beams that there are; 0: no picture yet
	words int
	given []bool // by beam: its next word is written
}

// maxBeams bounds a state.
const maxBeams = 1 << 10

// NewState makes the state of a caption of at most that many beams and words; step is the
// function that reads it.
func NewState(step *Func, beams, words int) (*State, error) {
	if beams < 1 || beams > maxBeams {
		return nil, fmt.Errorf("%s: %d beams, want 1 to %d", step.Name, beams, maxBeams)
	}
	st := &State{step: step, beams: beams, most: words, given: make([]bool, beams)}
	n := 0
	for _, slot := range step.States {
		st.fixed = append(st.fixed, blob.AlignedFloats(slot.Rows*slot.Cols))
		st.start = append(st.start, n)
		n += beams * (words + 1) * slot.Cols
	}
	for i := range st.text {
		st.text[i] = blob.AlignedFloats(n)
	}
	return st, nil
}

// Words returns the number of words that the state holds.
func (st *State) Words() int { return st.words }

// row returns where the row of a word of a beam begins.
func (st *State) row(text, slot, beam, word int) *float32 {
	cols := st.step.States[slot].Cols
	return &st.text[text][st.start[slot]+(beam*(st.most+1)+word)*cols]
}

// Advance makes the words of the last calls part of the state: from now on there are
// len(parents) beams, and beam i goes on where beam parents[i] was, with its word.
func (st *State) Advance(parents []int) error {
	if len(parents) < 1 || len(parents) > st.beams {
		return fmt.Errorf("%s: %d beams, want 1 to %d", st.step.Name, len(parents), st.beams)
	}
	same := true
	for i, p := range parents {
		if p < 0 || p >= st.live || !st.given[p] {
			return fmt.Errorf("%s: beam %d cannot go on as beam %d, which was given no word", st.step.Name, i, p)
		}
		same = same && p == i
	}
	if !same {
		for slot, s := range st.step.States {
			for i, p := range parents {
				n := (st.words + 1) * s.Cols
				copy(floats(st.row(1-st.now, slot, i, 0), n), floats(st.row(st.now, slot, p, 0), n))
			}
		}
		st.now = 1 - st.now
	}
	st.live = len(parents)
	st.words++
	clear(st.given)
	return nil
}

// CheckState returns an error if a call of f cannot continue a beam of the state.
func (f *Func) CheckState(st *State, beam int) error {
	switch {
	case f.Stores == nil && f.States == nil:
		if st != nil {
			return errors.New("it has a state, this function takes none; leave State nil")
		}
		return nil
	case st == nil:
		return errors.New("it has no state, which this function needs; make one with NewState")
	case f.Stores != nil && !slices.Equal(f.Stores, st.step.States), f.States != nil && f != st.step:
		return errors.New("the state is of another function; make one with NewState")
	case f.States == nil:
		return nil
	case st.live == 0:
		return errors.New("the state holds no picture yet; run the picture's function first")
	case beam < 0 || beam >= st.live:
		return fmt.Errorf("beam %d, the state has %d", beam, st.live)
	case st.words > st.most:
		return fmt.Errorf("the caption has %d words, the limit is %d; stop before, or raise limits.text in the description and build again", st.words, st.most)
	}
	return nil
}

// StoreFixed keeps the rows of src, which begin a caption.
func (e *Exec) StoreFixed(src Mat, slot int) {
	n := src.Rows / max(1, e.B)
	for seq, st := range e.states {
		s := st.step.States[slot]
		want(n == s.Rows && src.Cols == s.Cols, "store", src)
		for r := range n {
			copy(st.fixed[slot][r*s.Cols:][:s.Cols], src.row(seq*n+r))
		}
		st.words, st.live = 0, 1
		clear(st.given)
	}
}

// StoreToken keeps the first row of every sequence of src as that of its beam's next
// word, until it is kept or the beam is given another.
func (e *Exec) StoreToken(src Mat, slot int) {
	n := src.Rows / max(1, e.B)
	for seq, st := range e.states {
		cols := st.step.States[slot].Cols
		want(n > 0 && src.Cols == cols, "store", src)
		copy(floats(st.row(st.now, slot, e.beams[seq], st.words), cols), src.row(seq*n))
		st.given[e.beams[seq]] = true
	}
}

// past is the number of words in front of the text rows of a sequence.
func (e *Exec) past(seq int) int {
	if len(e.states) == 0 {
		return 0
	}
	return e.states[seq].words
}
