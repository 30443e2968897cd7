package caption

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Model says what comes next. It begins with one beam and no words.
type Model interface {
	// Next takes the last word of every beam and returns the logits of the word after
	// it, a row a beam, one value an id. The rows are valid until the next call.
	Next(words []int32) ([][]float32, error)
	// Keep ends a step: beam i goes on as beam parents[i] with the word it was given.
	Keep(parents []int) error
}

// IDs are the ids From, From+1, ... To-1.
type IDs struct{ From, To int32 }

// Options are the rules of a caption.
type Options struct {
	BOS, EOS int32
	MaxLen   int     // most ids, the first one and the last included; 2 at least
	Ban      []IDs   // ids that no caption has
	Beams    int     // of Beam: 1 to MaxBeams
	Penalty  float64 // of Beam: the exponent of the length that a score is divided by
}

// MaxBeams bounds Options.Beams.
const MaxBeams = 64

// Caption is a chosen sequence of ids. It begins with BOS, and ends with EOS if it was
// chosen greedily and is not cut off.
type Caption struct {
	IDs   []int32
	Score float64 // sum of the words' log probabilities; of Beam divided by a power of the length
}

func (o *Options) check() error {
	if o.MaxLen < 2 {
		return fmt.Errorf("a caption of at most %d ids has no word; want 2 at least", o.MaxLen)
	}
	return nil
}

// ban makes banned ids as unlikely as can be. Their probability does not go to others.
func (o *Options) ban(scores []float64) {
	for _, b := range o.Ban {
		for id := max(0, int(b.From)); id < min(int(b.To), len(scores)); id++ {
			scores[id] = math.Inf(-1)
		}
	}
}

var errNumbers = errors.New("no word can come next: the logits are no numbers, or every id is banned")

// first is the parents of a single beam.
var first = []int{0}

// Greedy takes the most likely word each time, the first of equals, until EOS or MaxLen.
func Greedy(m Model, o Options) (Caption, error) {
	if err := o.check(); err != nil {
		return Caption{}, err
	}
	c := Caption{IDs: append(make([]int32, 0, o.MaxLen), o.BOS)}
	var scores []float64
	for len(c.IDs) < o.MaxLen {
		logits, err := m.Next(c.IDs[len(c.IDs)-1:])
		if err != nil {
			return Caption{}, err
		}
		scores = logSoftmax(scores, logits[0])
		o.ban(scores)
		best := -1
		for id, s := range scores {
			if s > math.Inf(-1) && (best < 0 || s > scores[best]) {
				best = id
			}
		}
		if best < 0 {
			return Caption{}, errNumbers
		}
		c.IDs = append(c.IDs, int32(best))
		c.Score += scores[best]
		if int32(best) == o.EOS {
			break
		}
		if len(c.IDs) < o.MaxLen {
			if err := m.Keep(first); err != nil {
				return Caption{}, err
			}
		}
	}
	return c, nil
}

// Force gives one beam the words, BOS first, and returns the logits after each.
func Force(m Model, words []int32) ([][]float32, error) {
	var all [][]float32
	for i := range words {
		logits, err := m.Next(words[i : i+1])
		if err != nil {
			return nil, err
		}
		all = append(all, slices.Clone(logits[0]))
		if err := m.Keep(first); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// topPerBeam is how many candidates a step looks at, a beam.
const topPerBeam = 3

// candidate is a word that may go on a beam.
type candidate struct {
	beam  int
	word  int32
	score float64
}

// Beam is the official beam search. cur counts BOS, words, and the place of the next
// word; a caption whose next word is EOS, or that has no room for another, is finished
// with its score divided by cur^Penalty. The best finished one wins. The search ends
// when no beam can beat it, even at full length, or at MaxLen.
func Beam(m Model, o Options) (Caption, error) {
	if err := o.check(); err != nil {
		return Caption{}, err
	}
	if o.Beams < 1 || o.Beams > MaxBeams {
		return Caption{}, fmt.Errorf("%d beams, want 1 to %d", o.Beams, MaxBeams)
	}
	if math.IsNaN(o.Penalty) || math.IsInf(o.Penalty, 0) {
		return Caption{}, fmt.Errorf("length penalty %v, want a number", o.Penalty)
	}
	type beam struct {
		ids   []int32
		score float64
	}
	// The first beams are all the same, so only one is better than nothing.
	beams := make([]beam, o.Beams)
	for i := range beams {
		beams[i].ids = []int32{o.BOS}
		if i > 0 {
			beams[i].score = -1e9
		}
	}
	live := 1 // beams that the model has
	var best *Caption
	words := make([]int32, o.Beams)
	parents := make([]int, o.Beams)
	var scores []float64
	var top []candidate
	for cur := 2; ; cur++ {
		for i := range live {
			words[i] = beams[i].ids[len(beams[i].ids)-1]
		}
		logits, err := m.Next(words[:live])
		if err != nil {
			return Caption{}, err
		}
		top = top[:0]
		for i, b := range beams {
			if i < live {
				scores = logSoftmax(scores, logits[i])
				o.ban(scores)
			}
			for id, s := range scores {
				top = insert(top, candidate{i, int32(id), s + b.score}, topPerBeam*o.Beams)
			}
		}
		if len(top) == 0 {
			return Caption{}, errNumbers
		}
		// Asked before the hypotheses of this step, as the official code does.
		if best != nil && best.Score >= top[0].score/math.Pow(float64(o.MaxLen-1), o.Penalty) {
			return *best, nil
		}
		last := cur+1 >= o.MaxLen
		var next []beam
		for _, c := range top {
			from := beams[c.beam]
			if c.word == o.EOS || last {
				if score := c.score / math.Pow(float64(cur), o.Penalty); best == nil || score > best.Score {
					best = &Caption{slices.Clone(from.ids), score}
				}
			} else {
				parents[len(next)] = min(c.beam, live-1)
				next = append(next, beam{append(slices.Clip(from.ids), c.word), c.score})
			}
			if len(next) == o.Beams {
				break
			}
		}
		if last || len(next) == 0 {
			return *best, nil
		}
		for len(next) < o.Beams { // fewer ids than beams: what is missing is never chosen
			parents[len(next)] = parents[0]
			next = append(next, beam{next[0].ids, -1e9})
		}
		if err := m.Keep(parents); err != nil {
			return Caption{}, err
		}
		beams, live = next, o.Beams
	}
}

// insert puts c into the list of the best n, best first, after its equals.
func insert(top []candidate, c candidate, n int) []candidate {
	if !(c.score > math.Inf(-1)) || len(top) == n && c.score <= top[n-1].score {
		return top
	}
	at, _ := slices.BinarySearchFunc(top, c.score, func(x candidate, s float64) int {
		if x.score >= s {
			return -1
		}
		return 1
	})
	if len(top) == n {
		top = top[:n-1]
	}
	return slices.Insert(top, at, c)
}

// logSoftmax returns the logarithms of the probabilities in dst, grown as needed.
func logSoftmax(dst []float64, logits []float32) []float64 {
	dst = dst[:0]
	peak := math.Inf(-1)
	for _, x := range logits {
		peak = max(peak, float64(x))
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - peak)
	}
	norm := peak + math.Log(sum)
	for _, x := range logits {
		dst = append(dst, float64(x)-norm)
	}
	return dst
}
