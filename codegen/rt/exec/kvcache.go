package exec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt/blob"
)

// Slot is the shape of the keys and values of one layer in a State: Rows of the image, then one
// row per token, each of Cols floats.
type Slot struct{ Rows, Cols int }

// State is the key/value cache of a caption: for every layer, the keys and values of the image,
// shared by all beams, and of the tokens so far, for each beam. It lives outside the arena and
// belongs to one call at a time.
//
// A function with Stores fills it from an image. A function with States reads it and writes the
// rows of each beam's next token, which Advance then appends.
type State struct {
	step   *Func
	beams  int          // at most
	most   int          // tokens per beam
	fixed  [][]float32  // by slot: the image's rows; where arranged is set, as arrange leaves them
	spare  []float32    // as large as each of fixed
	text   [2][]float32 // [slot][beam][token] rows; two buffers, for reordering beams
	start  []int        // by slot: its first float in text
	now    int          // the buffer of text in use
	live   int          // beams in use; 0: no image yet
	tokens int          // of each beam
	given  []bool       // by beam: the rows of its next token are written

	arranged []bool // by slot
}

// maxBeams is the largest number of beams of a State.
const maxBeams = 1 << 10

// NewState returns an empty state for at most that many beams and tokens per beam; step is the
// function that reads it.
func NewState(step *Func, beams, tokens int) (*State, error) {
	if beams < 1 || beams > maxBeams {
		return nil, fmt.Errorf("%s: %d beams, want 1 to %d", step.Name, beams, maxBeams)
	}
	st := &State{step: step, beams: beams, most: tokens, given: make([]bool, beams)}
	n, most := 0, 0
	for _, slot := range step.States {
		most = max(most, slot.Rows*slot.Cols)
	}
	st.spare = blob.AlignedFloats(most)
	st.arranged = make([]bool, len(step.States))
	for _, slot := range step.States {
		st.fixed = append(st.fixed, blob.AlignedFloats(most))
		st.start = append(st.start, n)
		n += beams * (tokens + 1) * slot.Cols
	}
	for i := range st.text {
		st.text[i] = blob.AlignedFloats(n)
	}
	return st, nil
}

// Tokens returns the number of tokens that each beam of the state holds.
func (st *State) Tokens() int { return st.tokens }

// row returns the address of a token's row in buffer text.
func (st *State) row(text, slot, beam, token int) *float32 {
	cols := st.step.States[slot].Cols
	return &st.text[text][st.start[slot]+(beam*(st.most+1)+token)*cols]
}

// Advance appends the tokens of the last calls: there are then len(parents) beams, and beam i
// holds what beam parents[i] held and the token that was given to that beam. It is an error if a
// parent was given no token since the last Advance.
func (st *State) Advance(parents []int) error {
	if len(parents) < 1 || len(parents) > st.beams {
		return fmt.Errorf("%s: %d beams, want 1 to %d", st.step.Name, len(parents), st.beams)
	}
	same := true
	for i, p := range parents {
		if p < 0 || p >= st.live || !st.given[p] {
			return fmt.Errorf("%s: beam %d cannot continue beam %d, which was given no token", st.step.Name, i, p)
		}
		same = same && p == i
	}
	if !same {
		for slot, s := range st.step.States {
			for i, p := range parents {
				n := (st.tokens + 1) * s.Cols
				copy(floats(st.row(1-st.now, slot, i, 0), n), floats(st.row(st.now, slot, p, 0), n))
			}
		}
		st.now = 1 - st.now
	}
	st.live = len(parents)
	st.tokens++
	clear(st.given)
	return nil
}

// CheckState returns an error if a call of f cannot continue a beam of the state.
func (f *Func) CheckState(st *State, beam int) error {
	switch {
	case f.Stores == nil && f.States == nil:
		if st != nil {
			return errors.New("State is set, but this function takes none; leave it nil")
		}
		return nil
	case st == nil:
		return errors.New("State is nil, but this function needs one; make it with NewState")
	case f.Stores != nil && !slices.Equal(f.Stores, st.step.States), f.States != nil && f != st.step:
		return errors.New("the state was made for another function; make one with NewState")
	case f.States == nil:
		return nil
	case st.live == 0:
		return errors.New("the state holds no image yet; run the image's function first")
	case beam < 0 || beam >= st.live:
		return fmt.Errorf("beam %d: the state has %d beams", beam, st.live)
	case st.tokens > st.most:
		return fmt.Errorf("the caption has %d tokens, the limit is %d; stop before, or raise limits.text in the description and build again", st.tokens, st.most)
	}
	return nil
}

// StoreFixed starts a caption: it copies the rows of src, of the image, into a slot of each
// sequence's state and empties the state otherwise.
func (e *Exec) StoreFixed(src Mat, slot int) {
	n := src.Rows / max(1, e.B)
	for seq, st := range e.states {
		s := st.step.States[slot]
		want(n == s.Rows && src.Cols == s.Cols, "store", src)
		for r := range n {
			copy(st.fixed[slot][r*s.Cols:][:s.Cols], src.row(seq*n+r))
		}
		st.tokens, st.live, st.arranged[slot] = 0, 1, false
		clear(st.given)
	}
}

// arrange reorders the image's rows of a slot in the states of all sequences that it has not reordered yet, for the
// attention of all steps. Each head then has its own memory: in its first half the keys, in packed panels of 16 and
// then, a.DP floats for each, those that fill no panel; in its second half the values, a.DP floats for each.
func (e *Exec) arrange(slot int, a *Attention) {
	for _, st := range e.states {
		s := st.step.States[slot]
		if st.arranged[slot] || s.Rows == 0 {
			continue
		}
		t := &e.each
		t.fn, t.width, t.side = arrangeHeads, a.D, a.DP
		t.src = Mat{&st.fixed[slot][0], s.Cols, s.Rows, s.Cols}
		t.dst = Mat{&st.spare[0], s.Cols, s.Rows, s.Cols}
		e.runRows(a.Heads, s.Rows*2*a.DP)
		st.fixed[slot], st.spare = st.spare, st.fixed[slot]
		st.arranged[slot] = true
	}
}

func arrangeHeads(t *rowTask, lo, hi int) {
	for h := lo; h < hi; h++ {
		arrangeHead(t, h, t.width, t.side)
	}
}

//go:noinline
func arrangeHead(t *rowTask, h, d, dp int) {
	n, ld := t.src.Rows, t.src.LD
	to, keys, values := at(t.dst.P, h*2*n*dp), at(t.src.P, h*dp), at(t.src.P, ld/2+h*dp)
	whole := n / 16 * 16
	for r := 0; r < whole; r += 16 {
		t.e.kern.PackKeys(16, at(to, r*d), at(keys, r*ld), ld, d)
	}
	copyRows(n-whole, at(to, whole*dp), dp, at(keys, whole*ld), ld, dp)
	copyRows(n, at(to, n*dp), dp, values, ld, dp)
}

// StoreToken copies the first row of every sequence of src into a slot of its state, as the row
// of its beam's next token. A second call before Advance overwrites it.
func (e *Exec) StoreToken(src Mat, slot int) {
	n := src.Rows / max(1, e.B)
	for seq, st := range e.states {
		cols := st.step.States[slot].Cols
		want(n > 0 && src.Cols == cols, "store", src)
		copy(floats(st.row(st.now, slot, e.beams[seq], st.tokens), cols), src.row(seq*n))
		st.given[e.beams[seq]] = true
	}
}

// past returns the number of tokens in the state of a sequence, 0 without states.
func (e *Exec) past(seq int) int {
	if len(e.states) == 0 {
		return 0
	}
	return e.states[seq].tokens
}
