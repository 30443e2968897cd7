package ir

import (
	"fmt"
	"math"
)

var OpAttention = newOp()

func init() {
	*OpAttention = Op{
		Name: "attention", Hint: "c", Args: 3,
		Doc:     "q [S,D], k [K,D], v [K,E] -> [S,E]: per head softmax(scale*q*k^T + bias)*v; scale is d^-0.5 unless given, base 2 means 2^x for e^x; the bundle, if any, is a relative position bias; with prefix, query r sees keys 0..max(prefix,at+r+1)-1 only",
		Fields:  relBiasFields,
		Attrs:   attentionAttrs,
		Batch:   PerSeq,
		Infer:   inferAttention,
		Eval:    evalAttention,
		Cost:    costAttention,
		Kernels: attentionKernels,
	}
}

// Attention is softmax(q*k^T/sqrt(d))*v for each of the heads.
func (b *Builder) Attention(q, k, v *Value, heads int) *Value {
	return b.Op(OpAttention, "", "", Attrs{IntAttr("heads", heads)}, q, k, v)
}

// BiasedAttention is attention whose scores get the relative position bias of the
// bundle added. The sequence is the text, then the image, or one of the two.
func (b *Builder) BiasedAttention(q, k, v *Value, heads int, bundle string) *Value {
	return b.Op(OpAttention, "", bundle, Attrs{IntAttr("heads", heads)}, q, k, v)
}

// PrefixAttention is attention in which a query sees the first prefix keys and, of the other
// keys, the ones up to its own position. The first query has position at, the next at+1.
func (b *Builder) PrefixAttention(q, k, v *Value, heads int, at, prefix Dim) *Value {
	attrs := Attrs{IntAttr("heads", heads), DimAttr("prefix", prefix)}
	if at != (Dim{}) {
		attrs = append(attrs, DimAttr("at", at))
	}
	return b.Op(OpAttention, "", "", attrs, q, k, v)
}

// attentionAttrs are the attributes of attention and of the ops that fuse it.
// With a bias or a prefix, at is the position of the first query in the sequence of keys.
var attentionAttrs = []AttrSpec{{"heads", Int, true}, {"scale", Float, false}, {"base", Int, false}, {"at", Length, false}, {"prefix", Length, false}}

var attentionKernels = []string{"gemm", "pack_keys", "softmax", "gemm_nn", "scalerows"}

func inferAttention(c *Infer) (Type, error) {
	rows, d, err := c.arg(0)
	if err != nil {
		return Type{}, err
	}
	keys, dk, err := c.arg(1)
	if err != nil {
		return Type{}, err
	}
	vals, dv, err := c.arg(2)
	if err != nil {
		return Type{}, err
	}
	q, k, v := c.V.Args[0], c.V.Args[1], c.V.Args[2]
	heads := c.V.Attrs.Int("heads", 0)
	switch {
	case dk != d:
		return Type{}, fmt.Errorf("%s is %v, want %d columns to match %s: %v", k.Name, k.Type, d, q.Name, q.Type)
	case vals != keys:
		return Type{}, fmt.Errorf("%s is %v, want %v rows to match %s: %v", v.Name, v.Type, keys, k.Name, k.Type)
	case heads < 1 || d%heads != 0 || dv%heads != 0:
		return Type{}, fmt.Errorf("heads is %d, want a divisor of %d and of %d columns", heads, d, dv)
	}
	if base, ok := c.V.Attrs.Get("base"); ok && base.Int != 2 {
		return Type{}, fmt.Errorf("base is %d, want 2, or no attribute base for e", base.Int)
	}
	if err := c.place(rows, keys); err != nil {
		return Type{}, err
	}
	if err := c.relBias(heads, keys); err != nil {
		return Type{}, err
	}
	return Mat(rows, dv), nil
}

// place checks the position of the queries among the keys, and the length of the prefix that all queries see.
func (c *Infer) place(queries, keys Dim) error {
	at, placed := c.V.Attrs.Get("at")
	prefix, masked := c.V.Attrs.Get("prefix")
	switch {
	case !masked && c.V.Bundle == "" && placed:
		return fmt.Errorf("at=%v is the position of the first query, which only matters with a bias or a prefix; remove at, or give one of them", at.Dim)
	case masked || c.V.Bundle != "":
		if err := c.inside(at.Dim, queries, keys); err != nil {
			return err
		}
	}
	if masked {
		return c.inside(Dim{}, prefix.Dim, keys)
	}
	return nil
}

func evalAttention(c *Eval) (*Tensor, error) {
	q, k, v := c.Args[0], c.Args[1], c.Args[2]
	heads := c.V.Attrs.Int("heads", 1)
	d, dv := q.cols()/heads, v.cols()/heads
	scale := c.V.Attrs.Float("scale", 1/math.Sqrt(float64(d)))
	exp := math.Exp
	if c.V.Attrs.Int("base", 0) == 2 {
		exp = math.Exp2
	}
	bias, err := c.relBias(heads)
	if err != nil {
		return nil, err
	}
	_, masked := c.V.Attrs.Get("prefix")
	prefix, at := c.V.Attrs.Dim("prefix").At(c.T), c.V.Attrs.Dim("at").At(c.T)
	y := newTensor(q.rows(), v.cols())
	Parallel(heads, func(h int) {
		scores := make([]float64, k.rows())
		for r := range q.rows() {
			s := scores
			if masked {
				s = scores[:max(prefix, at+r+1)]
			}
			qr := q.row(r)[h*d:][:d]
			top := math.Inf(-1)
			for j := range s {
				kr := k.row(j)[h*d:][:d]
				dot := 0.0
				for i, a := range qr {
					dot += float64(a * kr[i])
				}
				s[j] = dot * scale
				if bias != nil {
					s[j] += bias.score(r, j, h)
				}
				top = max(top, s[j])
			}
			sum := 0.0
			for j := range s {
				s[j] = exp(s[j] - top)
				sum += s[j]
			}
			out := y.row(r)[h*dv:][:dv]
			for j, a := range s {
				a /= sum
				for i, b := range v.row(j)[h*dv:][:dv] {
					out[i] += float64(a * b)
				}
			}
		}
	})
	return y, nil
}
