package caption

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Model predicts the next word of each beam. It starts with one beam that has no words.
type Model interface {
	// Next takes the last word of each beam and returns one row of logits per beam, one logit
	// per id of the vocabulary, for the word that follows. The rows are valid until the next
	// call.
	Next(words []int32) ([][]float32, error)
	// Advance ends a step: the new beam i continues the old beam parents[i], with the word that
	// Next was last given for that beam.
	Advance(parents []int) error
}

// IDs is the half-open range of ids From <= id < To.
type IDs struct{ From, To int32 }

// Options configures the decoding of a caption.
type Options struct {
	BOS, EOS int32
	MaxLen   int     // most ids of a caption, BOS and EOS included; at least 2
	Ban      []IDs   // ids that never appear in a caption
	Beams    int     // number of beams, 1 to MaxBeams; Greedy ignores it
	Penalty  float64 // length penalty: Beam divides a score by length^Penalty; Greedy ignores it
}

// MaxBeams is the upper bound of Options.Beams.
const MaxBeams = 64

// Caption is a decoded sequence of ids. IDs begins with BOS. A caption of Greedy ends with EOS
// unless MaxLen cut it off; a caption of Beam holds no EOS.
type Caption struct {
	IDs   []int32
	Score float64 // sum of the words' log probabilities (natural logarithm); Beam divides it by length^Penalty
}

func (o *Options) check() error {
	if o.MaxLen < 2 {
		return fmt.Errorf("a caption of at most %d ids has no word; want 2 at least", o.MaxLen)
	}
	return nil
}

// ban sets the scores of banned ids to -Inf, after the softmax: the other probabilities do not
// change.
func (o *Options) ban(scores []float64) {
	for _, b := range o.Ban {
		for id := max(0, int(b.From)); id < min(int(b.To), len(scores)); id++ {
			scores[id] = math.Inf(-1)
		}
	}
}

var errNumbers = errors.New("no word can come next: the logits are not finite numbers, or every id is banned")

// first is the parents argument of Model.Advance for a single beam.
var first = []int{0}

// Greedy appends the most likely word, the lowest id among equals, until EOS or MaxLen.
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
			if err := m.Advance(first); err != nil {
				return Caption{}, err
			}
		}
	}
	return c, nil
}

// Force feeds the given words, BOS first, to one beam and returns the logits after each
// (teacher forcing).
func Force(m Model, words []int32) ([][]float32, error) {
	var all [][]float32
	for i := range words {
		logits, err := m.Next(words[i : i+1])
		if err != nil {
			return nil, err
		}
		all = append(all, slices.Clone(logits[0]))
		if err := m.Advance(first); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// topPerBeam times Options.Beams is the number of candidates that a step of Beam considers.
const topPerBeam = 3

// candidate is a word that may extend a beam; score is the log probability of the extended
// beam.
type candidate struct {
	beam  int
	word  int32
	score float64
}

// Beam is the beam search of the official BEiT-3 code. cur counts BOS, the words so far and the
// position of the next word. A caption is finished when its next word is EOS or when it has
// reached MaxLen; its score is then divided by cur^Penalty. Beam returns the finished caption
// with the best score. The search stops at MaxLen, or earlier when no unfinished beam can reach
// a better score at full length.
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
	// All beams start with BOS alone. The low score of the others keeps duplicates of the first
	// from being chosen.
	beams := make([]beam, o.Beams)
	for i := range beams {
		beams[i].ids = []int32{o.BOS}
		if i > 0 {
			beams[i].score = -1e9
		}
	}
	live := 1 // beams whose state the model holds
	var best *Caption
	words := make([]int32, o.Beams)
	parents := make([]int, o.Beams)
	var scores []float64
	var top []candidate
	most := topPerBeam * o.Beams
	for cur := 2; ; cur++ {
		for i := range live {
			words[i] = beams[i].ids[len(beams[i].ids)-1]
		}
		logits, err := m.Next(words[:live])
		if err != nil {
			return Caption{}, err
		}
		top = top[:0]
		least := math.Inf(-1) // of a full top, what a candidate has to be above
		for i, b := range beams {
			if i < live {
				scores = logSoftmax(scores, logits[i])
				o.ban(scores)
			}
			for id, s := range scores {
				if s+b.score > least {
					top = insert(top, candidate{i, int32(id), s + b.score}, most)
					if len(top) == most {
						least = top[most-1].score
					}
				}
			}
		}
		if len(top) == 0 {
			return Caption{}, errNumbers
		}
		// The official code makes this test before it adds the hypotheses of this step.
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
		for len(next) < o.Beams { // fewer candidates than beams: the low score of the padding is never chosen
			parents[len(next)] = parents[0]
			next = append(next, beam{next[0].ids, -1e9})
		}
		if err := m.Advance(parents); err != nil {
			return Caption{}, err
		}
		beams, live = next, o.Beams
	}
}

// insert adds c to top, the best n candidates in descending order; c goes after candidates of
// the same score. If there are n, c is better than the last.
func insert(top []candidate, c candidate, n int) []candidate {
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

// logSoftmax writes the natural logarithms of the softmax of logits to dst, grown as needed.
func logSoftmax(dst []float64, logits []float32) []float64 {
	dst = slices.Grow(dst[:0], len(logits))[:len(logits)]
	peak := float32(math.Inf(-1))
	for _, x := range logits {
		if x > peak {
			peak = x
		}
	}
	sum := 0.0
	for _, x := range logits {
		sum += exp(float64(x) - float64(peak))
	}
	norm := float64(peak) + math.Log(sum)
	for i, x := range logits {
		dst[i] = float64(x) - norm
	}
	return dst
}

// exps are the powers 2^(i/64).
var exps = func() (all [64]float64) {
	for i := range all {
		all[i] = math.Exp2(float64(i) / 64)
	}
	return all
}()

// exp returns e^x for x <= 0, with a relative error below 2e-12: 2^(k/64) times the Taylor series of the rest.
func exp(x float64) float64 {
	if !(x > -700) { // hardly a normal number, or none
		return math.Exp(x)
	}
	k := int(float64(x * (64 / math.Ln2)))
	r := x - float64(float64(k)*(math.Ln2/64))
	series := 1 + float64(r*(1+float64(r*(1./2+float64(r*(1./6+float64(r*(1./24))))))))
	return float64(series * math.Float64frombits(math.Float64bits(exps[k&63])+uint64(k>>6)<<52))
}
