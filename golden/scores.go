package golden

import (
	"fmt"
	"math"

	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir"
)

// embedded names outputs of a run with the embeddings of pictures and of texts, one a row, from which packages compute scores.
type embedded struct {
	task        string // whose scale and bias the scores have
	image, text string
	infix       string // in the names of the scores
}

// score is how an output with scores is computed: each element from a row of the output a, for the row of the scores, and a row
// of the output b, for the column.
type score struct {
	a, b   string
	logits task.Logits
	probs  bool
}

// score adds to out what a package computes from the embeddings in it: for each picture and each text, the logits of all
// pairs and the probability of each pair by itself.
func (x *run) score(p *ir.Program, out map[string][][]float32, of embedded) error {
	l := task.Logits{Each: true}
	scale, ok, err := scalar(p, of.task+".logit_scale")
	if err == nil && !ok {
		err = fmt.Errorf("the program has no %s.logit_scale", of.task)
	}
	if err != nil {
		return err
	}
	l.Scale = math.Exp(scale)
	if l.Bias, _, err = scalar(p, of.task+".logit_bias"); err != nil {
		return err
	}
	if x.scores == nil {
		x.scores = map[string]score{}
	}
	for by, s := range map[string]score{"image": {of.image, of.text, l, false}, "text": {of.text, of.image, l, false}} {
		logits, probs := "logits_per_"+of.infix+by, "probs_per_"+of.infix+by
		for _, a := range out[s.a] {
			var cosines, row []float32
			for _, b := range out[s.b] {
				cosines = append(cosines, task.Dot(a, b))
				row = append(row, float32(l.Of(cosines[len(cosines)-1])))
			}
			out[logits] = append(out[logits], row)
			out[probs] = append(out[probs], l.Probs(cosines))
		}
		x.scores[logits] = s
		s.probs = true
		x.scores[probs] = s
	}
	return nil
}

// scalar loads a weight with a single value; ok is false if the program has no such weight.
func scalar(p *ir.Program, name string) (v float64, ok bool, err error) {
	w := p.Weight(name)
	if w == nil || w.Load == nil {
		return 0, false, nil
	}
	f, err := w.Load()
	if err != nil {
		return 0, false, err
	}
	return float64(f[0]), true, nil
}

// coarse compares an output of a program whose rows must reach the cosine least. Few scores may be near zero, so instead of their
// cosine it compares each with what the distances of its two embeddings from those of the reference can change, where
// embeddings with the cosine least are the farthest that count.
func (j *judgement) coarse(x *run, ref *cases.Reference, got map[string][][]float32, least float64) (cases.Result, error) {
	s, ok := x.scores[ref.Name]
	if !ok {
		return ref.Cosine(got[ref.Name], least)
	}
	a, err := j.distances(x.r, s.a, got[s.a], least)
	if err != nil {
		return cases.Result{}, err
	}
	b, err := j.distances(x.r, s.b, got[s.b], least)
	if err != nil {
		return cases.Result{}, err
	}
	return ref.Within(got[ref.Name], func(seq, i int, want float64) float64 {
		e := s.logits.Scale * (a[seq] + b[i])
		if s.probs {
			e = sigmoidChange(want, e)
		}
		return ref.Output.Bound(want) + e
	})
}

// distances returns the Euclidean distance of each embedding from the reference, at most that of two vectors of length 1 with the
// cosine least. The product of two such vectors changes by at most the sum of their distances.
func (j *judgement) distances(r *cases.Run, name string, got [][]float32, least float64) ([]float64, error) {
	ref, err := j.cs.Reference(r, name)
	if err != nil {
		return nil, err
	}
	most := math.Sqrt(2 * (1 - least))
	d := make([]float64, len(got))
	for i, row := range got {
		sum := 0.0
		for k, w := range ref.Sequence(i) {
			e := float64(row[k]) - float64(w)
			sum += float64(e * e)
		}
		if d[i] = most; sum < float64(most*most) { // sum may be NaN
			d[i] = math.Sqrt(sum)
		}
	}
	return d, nil
}

// sigmoidChange returns how much the sigmoid p of a logit can change if the logit changes by at most e.
func sigmoidChange(p, e float64) float64 {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	logit := math.Log(p / (1 - p))
	return max(sigmoid(logit+e)-p, p-sigmoid(logit-e))
}
