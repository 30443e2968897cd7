package exec

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/kernel/kerneltest"
)

// world is an Exec with random weights, and a bump allocator for weights and arena.
type world struct {
	*Exec
	rng     *rand.Rand
	weights []float32
	wend    int
	end     int
}

const worldFloats = 1 << 18

func newWorld(t testing.TB, k *kernel.Table, threads int, lens ...int) *world {
	t.Helper()
	w := &world{rng: rand.New(rand.NewPCG(1, 2)), weights: blob.AlignedFloats(worldFloats)}
	for i := range w.weights {
		w.weights[i] = float32(math.NaN())
	}
	r, _, err := kernel.Choose([]*kernel.Table{k}, "generic")
	if err != nil {
		t.Fatal(err)
	}
	w.Exec = New(r, &w.weights[0], 4*worldFloats, threads)
	for i := range w.arena[:cap(w.arena)] {
		w.arena[:cap(w.arena)][i] = float32(1e30) // finite, and conspicuous if it gets into a sum
	}
	w.setBatch(lens...)
	w.pool.enter()
	t.Cleanup(func() { w.pool.leave(); w.pool.close() })
	return w
}

func (w *world) setBatch(lens ...int) {
	w.B, w.T, w.Len, w.Start = len(lens), 0, lens, nil
	for _, n := range lens {
		w.Start = append(w.Start, w.T)
		w.T += n
	}
}

// vals returns n random floats.
func (w *world) vals(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(w.rng.NormFloat64())
	}
	return v
}

// put stores weights at a multiple of 64 bytes and returns their offset.
func (w *world) put(v []float32) int {
	off := w.wend
	copy(w.weights[off:], v)
	w.wend += ceil16(len(v))
	clear(w.weights[off+len(v) : w.wend])
	return 4 * off
}

// linear stores a random layer; m is its matrix as [k][n], followed by the bias.
func (w *world) linear(k, n int, bias bool) (l Linear, m [][]float64, b []float64) {
	panels := make([]float32, ceil16(n)*k)
	m = mat64(k, n)
	b = make([]float64, n)
	scale := float32(1 / math.Sqrt(float64(k)))
	for i := range k {
		for j := range n {
			v := float32(w.rng.NormFloat64()) * scale
			m[i][j] = float64(v)
			panels[j/16*k*16+i*16+j%16] = v
		}
	}
	l = Linear{W: w.put(panels), Bias: -1, K: k, N: n}
	if bias {
		v := w.vals(n)
		l.Bias = w.put(v)
		for i := range v {
			b[i] = float64(v[i])
		}
	}
	return l, m, b
}

func (w *world) norm(n int, affine bool) (*Norm, []float32, []float32) {
	if !affine {
		return &Norm{-1, -1, n, 1e-5}, nil, nil
	}
	g, b := w.vals(n), w.vals(n)
	return &Norm{w.put(g), w.put(b), n, 1e-5}, g, b
}

// mat returns a matrix whose leading dimension is larger than its columns, with random
// values if filled.
func (w *world) mat(rows, cols int, fill bool) Mat {
	ld := ceil16(cols) + 16
	m := w.Mat(4*w.end, ld, rows, cols)
	w.end += rows * ld
	if fill {
		for r := range rows {
			copy(m.row(r), w.vals(cols))
		}
	}
	return m
}

func mat64(rows, cols int) [][]float64 {
	m := make([][]float64, rows)
	for i := range m {
		m[i] = make([]float64, cols)
	}
	return m
}

// f64 returns a copy of a matrix.
func f64(m Mat) [][]float64 {
	out := mat64(m.Rows, m.Cols)
	for r := range out {
		for i, v := range m.row(r) {
			out[r][i] = float64(v)
		}
	}
	return out
}

func mul64(a, m [][]float64, b []float64) [][]float64 {
	out := mat64(len(a), len(b))
	for r := range a {
		copy(out[r], b)
		for i, x := range a[r] {
			for j, y := range m[i] {
				out[r][j] += x * y
			}
		}
	}
	return out
}

func norm64(a [][]float64, g, b []float32) [][]float64 {
	out := mat64(len(a), len(a[0]))
	for r, row := range a {
		mean, variance := 0.0, 0.0
		for _, v := range row {
			mean += v / float64(len(row))
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / float64(len(row))
		}
		for i, v := range row {
			out[r][i] = (v - mean) / math.Sqrt(variance+float64(float32(1e-5)))
			if g != nil {
				out[r][i] = out[r][i]*float64(g[i]) + float64(b[i])
			}
		}
	}
	return out
}

func map64(a [][]float64, f func(float64) float64) [][]float64 {
	out := mat64(len(a), len(a[0]))
	for r := range a {
		for i, v := range a[r] {
			out[r][i] = f(v)
		}
	}
	return out
}

// times64 returns the product of x and y, element by element.
func times64(x, y [][]float64) [][]float64 {
	z := mat64(len(x), len(x[0]))
	for r := range z {
		for i := range z[r] {
			z[r][i] = x[r][i] * y[r][i]
		}
	}
	return z
}

func add64(a, b [][]float64) [][]float64 {
	out := mat64(len(a), len(a[0]))
	for r := range a {
		for i := range a[r] {
			out[r][i] = a[r][i] + b[r][i]
		}
	}
	return out
}

// near compares matrices within a tolerance for sums of a few thousand products.
func near(t *testing.T, what string, got Mat, want [][]float64) {
	t.Helper()
	if got.Rows != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, got.Rows, len(want))
	}
	for r := range want {
		for i, w := range want[r] {
			g := float64(got.row(r)[i])
			if !(math.Abs(g-w) <= 3e-5*(1+math.Abs(w))) {
				t.Fatalf("%s: row %d column %d: got %g, want %g", what, r, i, g, w)
			}
		}
	}
}

// tables have the tile shapes that steps are tested with.
func tables() map[string]*kernel.Table {
	return map[string]*kernel.Table{"6x16": kerneltest.Naive("generic", 6, 16), "8x48": kerneltest.Naive("generic", 8, 48), "4x32": kerneltest.Naive("generic", 4, 32), "1x16": kerneltest.Naive("generic", 1, 16)}
}

// everywhere runs a test with every tile shape and with 1 to 4 threads.
func everywhere(t *testing.T, f func(t *testing.T, k *kernel.Table, threads int)) {
	all := tables()
	for _, c := range []struct {
		tile    string
		threads int
	}{{"6x16", 1}, {"6x16", 2}, {"6x16", 3}, {"6x16", 4}, {"8x48", 1}, {"8x48", 2}, {"4x32", 3}, {"1x16", 1}, {"1x16", 4}} {
		t.Run(fmt.Sprintf("%s/threads=%d", c.tile, c.threads), func(t *testing.T) { f(t, all[c.tile], c.threads) })
	}
}

func TestLinear(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, s := range []struct{ m, k, n int }{
			{1, 1, 1}, {1, 7, 16}, {2, 16, 17}, {5, 24, 33}, {6, 32, 96}, {7, 8, 100}, {13, 48, 48}, {16, 40, 130}, {25, 64, 160},
			{61, 24, 50}, {130, 20, 16}, {405, 6, 20}, {3, 1200, 20}, {17, 2000, 40}, {0, 4, 4},
		} {
			w := newWorld(t, k, threads)
			for _, bias := range []bool{false, true} {
				l, m, b := w.linear(s.k, s.n, bias)
				src, dst := w.mat(s.m, s.k, true), w.mat(s.m, s.n, false)
				w.Linear(dst, src, &l)
				if s.m > 0 {
					near(t, fmt.Sprint("linear ", s, bias), dst, mul64(f64(src), m, b))
				}
			}
		}
	})
}

// halves converts panels to bf16 by truncation, an odd k padded with a step of zeros, and truncates the floats too. at returns the
// index in a panel of the value of column j in step i.
func halves(panels []float32, k int, at func(i, j int) int) []float32 {
	deep := (k + 1) / 2 * 2
	out := make([]float32, len(panels)/k*deep/2)
	for i, v := range panels {
		h := uint16(math.Float32bits(v) >> 16)
		*kerneltest.Half(&out[0], i/(16*k)*16*deep+at(i/16%k, i%16)) = h
		panels[i] = math.Float32frombits(uint32(h) << 16)
	}
	return out
}

// 16-bit weights give the bits that the same weights give as float32, whether tiles convert
// them or they are converted before.
func TestNarrowLinear(t *testing.T) {
	asmtest.Slow(t)
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, once := range []bool{false, true} {
			if kerneltest.BF16s(k, 3, 48); once {
				kerneltest.BF16s(k, 2, 16)
			}
			k.Widens("bf16").Preconvert = once
			for _, s := range []struct{ m, k, n int }{{1, 2, 1}, {1, 1, 40}, {2, 24, 33}, {3, 7, 100}, {25, 64, 160}, {405, 5, 20}, {2, 2000, 40}, {5, 2001, 40}, {17, 1538, 112}, {17, 1537, 112}} {
				w := newWorld(t, k, threads)
				l, _, _ := w.linear(s.k, s.n, true)
				panels := floats(w.w(l.W), ceil16(s.n)*s.k)
				narrow := halves(panels, s.k, func(i, j int) int { return 16*i + j })
				src, want, got := w.mat(s.m, s.k, true), w.mat(s.m, s.n, false), w.mat(s.m, s.n, false)
				w.Linear(want, src, &l)
				l.W, l.DType = w.put(narrow), blob.BF16
				w.Linear(got, src, &l)
				for r := range s.m {
					if !slices.Equal(got.row(r), want.row(r)) {
						t.Fatalf("preconvert %v, %v row %d: %v, want %v", once, s, r, got.row(r), want.row(r))
					}
				}
			}
		}
	})
}

// Products of bf16 equal float32 products of the rounded operands.
func TestBF16Linear(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		kerneltest.Dots(k, 3, 48)
		for _, s := range []struct{ m, k, n int }{{0, 2, 5}, {1, 2, 1}, {1, 1, 40}, {2, 24, 33}, {3, 7, 100}, {25, 64, 160}, {405, 5, 20}, {2, 2001, 40}, {17, 2402, 64}, {17, 2401, 64}} {
			w := newWorld(t, k, threads)
			l, _, _ := w.linear(s.k, s.n, true)
			panels := floats(w.w(l.W), ceil16(s.n)*s.k)
			pairs := halves(panels, s.k, func(i, j int) int { return i/2*32 + 2*j + i%2 })
			cut := func(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ 0xffff) }
			src, want, got := w.mat(s.m, s.k, true), w.mat(s.m, s.n, false), w.mat(s.m, s.n, false)
			rounded := w.mat(s.m, s.k, false)
			for r := range s.m {
				for i, v := range src.row(r) {
					rounded.row(r)[i] = cut(v)
				}
			}
			w.Linear(want, rounded, &l)
			l.W, l.DType = w.put(pairs), blob.BF16Dot
			w.Linear(got, src, &l)
			for r := range s.m {
				if !slices.Equal(got.row(r), want.row(r)) {
					t.Fatalf("%v row %d: %v, want %v", s, r, got.row(r), want.row(r))
				}
			}
		}
	})
}

func TestQKVAndAttnOut(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, rows := range []int{1, 20, 41} {
			for _, affine := range []bool{false, true} {
				w := newWorld(t, k, threads)
				const d, n = 40, 72
				nm, g, b := w.norm(d, affine)
				l, m, lb := w.linear(d, n, true)
				src, dst, res := w.mat(rows, d, true), w.mat(rows, n, false), w.mat(rows, n, true)
				want := mul64(norm64(f64(src), g, b), m, lb)
				for _, tmpRows := range []int{rows, 7} {
					tmp := w.mat(tmpRows, d, false)
					w.QKV(dst, src, tmp, nm, &l)
					near(t, "qkv", dst, want)
					w.AttnOut(dst, src, res, tmp, nm, &l)
					near(t, "attnout", dst, add64(f64(res), want))
				}
				w.QKV(dst, src, Mat{}, nil, &l)
				near(t, "qkv without norm", dst, mul64(f64(src), m, lb))
				sum := add64(f64(res), want)
				w.AttnOut(res, src, res, src, nm, &l)
				near(t, "attnout in place", res, sum)
			}
		}
	})
}

func TestFFN(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, rows := range []int{1, 19, 50} {
			for norms, act := range []func(float64) float64{kerneltest.Gelu64, kerneltest.GeluTanh64, kerneltest.QuickGelu64} {
				w := newWorld(t, k, threads)
				const d, h = 24, 100
				f := FFN{Act: Act(norms)}
				var m1, m2 [][]float64
				var b1, b2 []float64
				gate, mg, bg := w.linear(d, h, norms > 0)
				var g1, o1, g2, o2 []float32
				f.Fc1, m1, b1 = w.linear(d, h, true)
				f.Fc2, m2, b2 = w.linear(h, d, true)
				if norms > 0 {
					f.Norm1, g1, o1 = w.norm(d, false)
				}
				if norms > 1 {
					f.Norm2, g2, o2 = w.norm(h, true)
				}
				src, dst := w.mat(rows, d, true), w.mat(rows, d, false)
				x := f64(src)
				y := x
				if norms > 0 {
					y = norm64(y, g1, o1)
				}
				after := func(y [][]float64) [][]float64 {
					if norms > 1 {
						y = norm64(y, g2, o2)
					}
					return add64(x, mul64(y, m2, b2))
				}
				factors := mul64(y, mg, bg)
				y = map64(mul64(y, m1, b1), act)
				tmp, hidden, memory := w.mat(min(rows, 16), d, false), w.mat(min(rows, 16), h, false), w.mat(min(rows, 16), h, false)
				w.FFN(dst, src, tmp, hidden, &f)
				near(t, "ffn", dst, after(y))
				gated := f
				gated.Gate = &gate
				w.GatedFFN(dst, src, tmp, hidden, memory, &gated)
				near(t, "gated ffn", dst, after(times64(y, factors)))
				w.FFN(src, src, tmp, hidden, &f)
				near(t, "ffn in place", src, after(y))
			}
		}
	})
}

// attend64 computes attention over whole sequences in float64: rows[seq] lists packed rows. bias
// returns what is added to the score of query i and key j, counted in the sequence.
func attend64(q, k, v [][]float64, qrows, krows [][]int, heads, d, dp int, scale float64, bias ...func(seq, i, j, h int) float64) [][]float64 {
	out := mat64(len(q), heads*d)
	for seq := range krows {
		for h := range heads {
			for place, i := range qrows[seq] {
				var p []float64
				sum := 0.0
				for n, j := range krows[seq] {
					s := 0.0
					for c := range d {
						s += q[i][h*dp+c] * k[j][h*dp+c]
					}
					s *= scale
					for _, b := range bias {
						s += b(seq, place, n, h)
					}
					e := math.Exp(s)
					p = append(p, e)
					sum += e
				}
				for n, j := range krows[seq] {
					for c := range d {
						out[i][h*d+c] += p[n] / sum * v[j][h*dp+c]
					}
				}
			}
		}
	}
	return out
}

// seqRows lists the packed rows of every sequence.
func (w *world) seqRows(secs []Section) [][]int {
	out := make([][]int, w.B)
	for seq := range out {
		base := 0
		for _, s := range secs {
			start, n := w.span(s, seq)
			for i := range n {
				out[seq] = append(out[seq], base+start+i)
			}
			base += w.sectionRows(s)
		}
	}
	return out
}

func columns(a [][]float64, from, n int) [][]float64 {
	out := make([][]float64, len(a))
	for i := range a {
		out[i] = a[i][from : from+n]
	}
	return out
}

var sectionCases = []struct {
	name string
	secs []Section
}{
	{"fixed", []Section{{C: 5}}},
	{"long", []Section{{C: 53}}},
	{"text", []Section{{T: true}}},
	{"vision-text", []Section{{C: 21}, {T: true}}},
	{"text-vision", []Section{{T: true}, {C: 17}}},
	{"three", []Section{{C: 3}, {T: true}, {C: 16}}},
	{"same-twice", []Section{{C: 32}, {C: 1}}},
}

func TestAttention(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, c := range sectionCases {
			for _, a := range []Attention{
				{Heads: 2, D: 16, DP: 16, Scale: 1, Base2: true}, {Heads: 3, D: 10, DP: 16, Scale: 0.3},
				{Heads: 1, D: 40, DP: 48, Base2: true}, {Heads: 2, D: 8, DP: 8, Scale: 0.5, Base2: true},
			} {
				scale := float64(a.Scale)
				if scale == 0 {
					scale = 1 / math.Sqrt(float64(a.D))
				}
				if a.Base2 {
					scale *= math.Ln2
				}
				w := newWorld(t, k, threads, 1, 26, 9)
				part := a.Heads * a.DP
				rows := w.packed(c.secs)
				qkv := w.mat(rows, 3*part, true)
				for r := range rows {
					for i := range 3 * part {
						if i%a.DP >= a.D {
							qkv.row(r)[i] = 0
						} else {
							qkv.row(r)[i] *= 0.7
						}
					}
				}
				all := f64(qkv)
				seqs := w.seqRows(c.secs)
				q, kk, v := columns(all, 0, part), columns(all, part, part), columns(all, 2*part, part)
				want := attend64(q, kk, v, seqs, seqs, a.Heads, a.D, a.DP, scale)
				dst := w.mat(rows, a.Heads*a.D, false)
				edge := dst.LD - dst.Cols
				w.SelfAttention(dst, qkv, &a, c.secs)
				near(t, "self "+c.name, dst, want)
				for r := range rows {
					for _, x := range floats(at(dst.Row(r), dst.Cols), edge) {
						if x != 1e30 {
							t.Fatalf("%s: wrote beyond the columns of row %d", c.name, r)
						}
					}
				}

				mq, mk, mv := w.mat(rows, part, false), w.mat(rows, part, false), w.mat(rows, part, false)
				for r := range rows {
					copy(mq.row(r), qkv.row(r)[:part])
					copy(mk.row(r), qkv.row(r)[part:])
					copy(mv.row(r), qkv.row(r)[2*part:])
				}
				w.Attention(dst, mq, mk, mv, &a, c.secs)
				near(t, "separate "+c.name, dst, want)

				q1, kv := w.mat(w.B, part, true), w.mat(rows, 2*part, false)
				for r := range rows {
					copy(kv.row(r), qkv.row(r)[part:])
				}
				one := make([][]int, w.B)
				for i := range one {
					one[i] = []int{i}
				}
				dst1 := w.mat(w.B, a.Heads*a.D, false)
				w.CrossAttention(dst1, q1, kv, &a, c.secs)
				near(t, "cross "+c.name, dst1, attend64(f64(q1), kk, v, one, seqs, a.Heads, a.D, a.DP, scale))
				w.QueryAttention(dst, mq, kv, &a, c.secs, c.secs)
				near(t, "queries "+c.name, dst, want)
			}
		}
	})
}

// TestAttentionOf250Keys has 250 keys: rows of 256 scores would map to the same
// cache sets, so they are further apart.
func TestAttentionOf250Keys(t *testing.T) {
	w := newWorld(t, kerneltest.Naive("generic", 8, 48), 2, 0)
	a := Attention{Heads: 2, D: 4, DP: 16, Scale: 0.5}
	secs := []Section{{C: 20}, {C: 230}}
	qkv, dst := w.mat(250, 96, true), w.mat(250, 8, false)
	x, seqs := f64(qkv), w.seqRows(secs)
	w.SelfAttention(dst, qkv, &a, secs)
	near(t, "attention", dst, attend64(columns(x, 0, 32), columns(x, 32, 32), columns(x, 64, 32), seqs, seqs, 2, 4, 16, 0.5))
}

// TestAttentionOfFewHeads has more threads than heads: they share heads, whose keys, of two sections, are packed in pieces.
func TestAttentionOfFewHeads(t *testing.T) {
	a := Attention{Heads: 2, D: 20, DP: 32, Scale: 0.5}
	secs := []Section{{C: 70}, {C: 180}}
	var one []float32
	for _, threads := range []int{1, 2, 5} {
		w := newWorld(t, kerneltest.Naive("generic", 6, 16), threads, 0)
		qkv, dst := w.mat(250, 192, true), w.mat(250, 40, false)
		x, seqs := f64(qkv), w.seqRows(secs)
		w.SelfAttention(dst, qkv, &a, secs)
		near(t, "attention", dst, attend64(columns(x, 0, 64), columns(x, 64, 64), columns(x, 128, 64), seqs, seqs, 2, 20, 32, 0.5))
		var all []float32
		for r := range dst.Rows {
			all = append(all, dst.row(r)...)
		}
		if one == nil {
			one = all
		} else if !slices.Equal(all, one) {
			t.Errorf("%d threads: the result differs", threads)
		}
	}
}

func TestRowWise(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, s := range []struct{ rows, cols int }{{1, 1}, {3, 17}, {40, 33}, {200, 100}} {
			w := newWorld(t, k, threads)
			a, b, dst := w.mat(s.rows, s.cols, true), w.mat(s.rows, s.cols, true), w.mat(s.rows, s.cols, false)
			x, y := f64(a), f64(b)
			nm, g, o := w.norm(s.cols, true)
			w.LayerNorm(dst, a, nm)
			near(t, "layernorm", dst, norm64(x, g, o))
			w.Gelu(dst, a)
			near(t, "gelu", dst, map64(x, kerneltest.Gelu64))
			w.Gelu(dst, a, GeluTanh)
			near(t, "gelu_tanh", dst, map64(x, kerneltest.GeluTanh64))
			w.Gelu(dst, a, QuickGelu)
			near(t, "quick_gelu", dst, map64(x, kerneltest.QuickGelu64))
			w.Tanh(dst, a)
			near(t, "tanh", dst, map64(x, math.Tanh))
			w.Copy(dst, a)
			near(t, "copy", dst, x)
			w.Add(dst, a, b)
			near(t, "add", dst, add64(x, y))
			w.Copy(dst, a)
			w.Add(dst, dst, b)
			near(t, "add to the first", dst, add64(x, y))
			w.Copy(dst, b)
			w.Add(dst, a, dst)
			near(t, "add to the second", dst, add64(x, y))
			w.Mul(dst, a, b)
			near(t, "mul", dst, times64(x, y))
			w.Copy(dst, a)
			w.Mul(dst, dst, b)
			near(t, "mul the first", dst, times64(x, y))
			w.Copy(dst, b)
			w.Mul(dst, a, dst)
			near(t, "mul the second", dst, times64(x, y))
			w.L2Norm(dst, a, 1e-12)
			unit := mat64(s.rows, s.cols)
			for r := range unit {
				sum := 0.0
				for _, v := range x[r] {
					sum += v * v
				}
				for i, v := range x[r] {
					unit[r][i] = v / math.Sqrt(sum)
				}
			}
			near(t, "l2norm", dst, unit)
			clear(a.row(0))
			w.L2Norm(dst, a, 1e-12)
			clear(unit[0])
			near(t, "l2norm of zero", dst, unit)
		}
	})
}

func TestPerSequence(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, c := range sectionCases {
			w := newWorld(t, k, threads, 1, 26, 9)
			const d = 70
			rows := w.packed(c.secs)
			src, dst, one := w.mat(rows, d, true), w.mat(rows, d, false), w.mat(w.B, d, false)
			x, seqs := f64(src), w.seqRows(c.secs)

			table := w.vals(100 * d)
			off := w.put(table)
			want := mat64(rows, d)
			for _, list := range seqs {
				for i, r := range list {
					for j := range d {
						want[r][j] = x[r][j] + float64(table[(2+i)*d+j])
					}
				}
			}
			w.AddRows(dst, src, off, 2, c.secs)
			near(t, "addrows "+c.name, dst, want)

			const alike = 3
			same := w.mat(alike*w.B, d, false)
			w.Const(same, off)
			constant := mat64(alike*w.B, d)
			for r := range constant {
				for j := range d {
					constant[r][j] = float64(table[r%alike*d+j])
				}
			}
			near(t, "const "+c.name, same, constant)

			for _, row := range []int{0, len(seqs[0]) - 1} {
				w.Select(one, src, c.secs, Section{C: row})
				sel := mat64(w.B, d)
				for seq, list := range seqs {
					sel[seq] = x[list[row]]
				}
				near(t, "select "+c.name, one, sel)
			}
			if len(c.secs) == 1 && c.secs[0].T {
				w.Select(one, src, c.secs, Section{C: -1, T: true})
				sel := mat64(w.B, d)
				for seq, list := range seqs {
					sel[seq] = x[list[w.Len[seq]-1]]
				}
				near(t, "select the last of the text "+c.name, one, sel)
			}
			if i := slices.IndexFunc(c.secs, func(s Section) bool { return s.T }); i >= 0 && i < len(c.secs)-1 {
				first := 0
				for _, s := range c.secs[:i] {
					first += s.C
				}
				w.Select(one, src, c.secs, Section{C: first, T: true})
				sel := mat64(w.B, d)
				for seq, list := range seqs {
					sel[seq] = x[list[first+w.Len[seq]]]
				}
				near(t, "select after the text "+c.name, one, sel)
			}
			for _, cut := range []int{1, 16, d / 2} {
				w.HCat(dst, src.columns(cut, d-cut), src.columns(0, cut))
				turned := mat64(rows, d)
				for r := range turned {
					turned[r] = append(slices.Clone(x[r][cut:]), x[r][:cut]...)
				}
				near(t, "hcat "+c.name, dst, turned)
			}

			for _, from := range []int{0, 1} {
				mean := mat64(w.B, d)
				for seq, list := range seqs {
					for _, r := range list[from:] {
						for j := range d {
							mean[seq][j] += x[r][j] / float64(max(1, len(list)-from))
						}
					}
				}
				w.Mean(one, src, c.secs, from)
				near(t, "mean "+c.name, one, mean)
			}
		}
	})
}

func TestEmbed(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		w := newWorld(t, k, threads, 3, 1, 5)
		const d, vocab, maxText = 36, 20, 6
		embeddings, positions := w.vals(vocab*d), w.vals(maxText*d)
		for range w.T {
			w.IDs = append(w.IDs, int32(w.rng.IntN(vocab)))
		}
		m := Embed{Table: w.put(embeddings), Pos: w.put(positions), D: d, Vocab: vocab}
		dst := w.mat(w.T, d, false)
		want := mat64(w.T, d)
		for _, pos := range []int{m.Pos, -1} {
			m.Pos = pos
			for seq := range w.B {
				for i := range w.Len[seq] {
					r := w.Start[seq] + i
					for j := range d {
						want[r][j] = float64(embeddings[int(w.IDs[r])*d+j])
						if pos >= 0 {
							want[r][j] += float64(positions[i*d+j])
						}
					}
				}
			}
			w.EmbedText(dst, &m)
			near(t, "embed text", dst, want)
		}
	})
}

// An int8 table has a scale for each row, after the values of all rows.
func TestEmbedInt8(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		w := newWorld(t, k, threads, 3, 1, 5)
		const d, vocab, maxText = 35, 19, 6 // vocab*d is no multiple of four
		table := make([]byte, (vocab*d+3)/4*4)
		values := make([]float64, vocab*d)
		for id := range vocab {
			scale := float32(w.rng.Float64())
			for i := range d {
				q := int8(w.rng.IntN(255) - 127)
				table[id*d+i], values[id*d+i] = byte(q), float64(float32(q)*scale)
			}
			table = binary.LittleEndian.AppendUint32(table, math.Float32bits(scale))
		}
		words := make([]float32, len(table)/4)
		for i := range words {
			words[i] = math.Float32frombits(binary.LittleEndian.Uint32(table[4*i:]))
		}
		positions := w.vals(maxText * d)
		for range w.T {
			w.IDs = append(w.IDs, int32(w.rng.IntN(vocab)))
		}
		m := Embed{Table: w.put(words), Pos: w.put(positions), D: d, Vocab: vocab, DType: blob.I8}
		dst, want := w.mat(w.T, d, false), mat64(w.T, d)
		for _, pos := range []int{m.Pos, -1} {
			m.Pos = pos
			for seq := range w.B {
				for i := range w.Len[seq] {
					r := w.Start[seq] + i
					for j := range d {
						want[r][j] = values[int(w.IDs[r])*d+j]
						if pos >= 0 {
							want[r][j] += float64(positions[i*d+j])
						}
					}
				}
			}
			w.EmbedText(dst, &m)
			near(t, "embed text of bytes", dst, want)
		}
	})
}

func TestEmbedPatches(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, s := range []struct{ height, width, patch, channels, d, at int }{
			{8, 8, 4, 3, 20, 0}, {12, 12, 3, 1, 48, 5}, {4, 4, 4, 2, 16, 0}, {6, 15, 3, 1, 20, 0}, {10, 4, 2, 2, 16, 7}, {11, 7, 3, 2, 16, 3},
		} {
			w := newWorld(t, k, threads, 0, 0, 0, 0, 0)
			depth := s.channels * s.patch * s.patch
			l, m, b := w.linear(depth, s.d, true)
			p := Patches{Proj: l, At: s.at, Height: s.height, Width: s.width, Patch: s.patch, Channels: s.channels}
			n := s.height / s.patch * (s.width / s.patch)
			cls, positions := w.vals(s.d), w.vals((1+n)*s.d)
			atCls, atPos := w.put(cls), w.put(positions)
			for range w.B {
				w.Images = append(w.Images, w.vals(s.at+s.channels*s.height*s.width+2))
			}
			across := s.width / s.patch
			for _, have := range []struct{ class, table bool }{{true, true}, {false, true}, {true, false}, {false, false}} {
				p.Cls, p.Pos = -1, -1
				if have.class {
					p.Cls = atCls
				}
				if have.table {
					p.Pos = atPos
				}
				rows := p.Rows()
				want := mat64(w.B*rows, s.d)
				for seq := range w.B {
					pixels := mat64(n, depth)
					for i := range pixels {
						for c := range s.channels {
							for y := range s.patch {
								for x := range s.patch {
									pixels[i][(c*s.patch+y)*s.patch+x] = float64(w.Images[seq][s.at+(c*s.height+i/across*s.patch+y)*s.width+i%across*s.patch+x])
								}
							}
						}
					}
					out := mul64(pixels, m, b)
					if have.class {
						row := make([]float64, s.d)
						for j, v := range cls {
							row[j] = float64(v)
						}
						out = append([][]float64{row}, out...)
					}
					if have.table {
						for i := range rows {
							for j := range s.d {
								out[i][j] += float64(positions[i*s.d+j])
							}
						}
					}
					copy(want[seq*rows:], out)
				}
				for _, group := range []int{1, 2, w.B} {
					dst, tmp := w.mat(w.B*rows, s.d, false), w.mat(group*n, depth, false)
					w.EmbedPatches(dst, tmp, &p)
					near(t, fmt.Sprint("embed patches ", s, have, group), dst, want)
				}
			}
		}
	})
}

// Squares of a grid that need not be square, of which each sequence has one, become rows.
func TestJoin(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, s := range []struct {
			secs                []Section
			height, width, side int
			d                   int
		}{
			{[]Section{{C: 24}}, 4, 6, 2, 20}, {[]Section{{C: 24}}, 6, 4, 2, 1}, {[]Section{{C: 9}}, 3, 3, 3, 17},
			{[]Section{{C: 6}}, 2, 3, 1, 5}, {[]Section{{C: 5}, {C: 11}}, 4, 4, 2, 70}, {[]Section{{C: 1024}}, 16, 64, 4, 9},
		} {
			w := newWorld(t, k, threads, 0, 0, 0)
			square := s.side * s.side
			n := s.height * s.width / square
			src, dst := w.mat(w.B*n*square, s.d, true), w.mat(w.B*n, s.d*square, false)
			x, want := f64(src), mat64(w.B*n, s.d*square)
			for seq, list := range w.seqRows(s.secs) {
				for i := range n {
					top, left := i/(s.width/s.side)*s.side, i%(s.width/s.side)*s.side
					for c := range s.d {
						for dy := range s.side {
							for dx := range s.side {
								want[seq*n+i][(c*s.side+dy)*s.side+dx] = x[list[(top+dy)*s.width+left+dx]][c]
							}
						}
					}
				}
			}
			w.Join(dst, src, s.secs, s.side, s.width)
			near(t, fmt.Sprint("join ", s), dst, want)
		}
	})
}

func TestEmbedRows(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		const n, depth, d = 7, 40, 36
		w := newWorld(t, k, threads, 0, 0, 0)
		l, m, b := w.linear(depth, d, true)
		cls, positions := w.vals(d), w.vals((1+n)*d)
		atCls, atPos := w.put(cls), w.put(positions)
		src := w.mat(w.B*n, depth, true)
		product := mul64(f64(src), m, b)
		for _, at := range []struct{ cls, pos int }{{atCls, atPos}, {-1, atPos}, {atCls, -1}, {-1, -1}} {
			var want [][]float64
			for seq := range w.B {
				var rows [][]float64
				if at.cls >= 0 {
					rows = append(rows, make([]float64, d))
					for j, v := range cls {
						rows[0][j] = float64(v)
					}
				}
				rows = append(rows, product[seq*n:][:n]...)
				for i, row := range rows {
					row = slices.Clone(row)
					for j := range row {
						if at.pos >= 0 {
							row[j] += float64(positions[i*d+j])
						}
					}
					want = append(want, row)
				}
			}
			dst := w.mat(len(want), d, false)
			w.EmbedRows(dst, src, &l, at.cls, at.pos)
			near(t, fmt.Sprint("embed rows ", at), dst, want)
		}
	})
}

// TestBatchesGiveTheSameBits checks that a sequence's results do not depend on its batch, the
// threads, or the tile.
func TestBatchesGiveTheSameBits(t *testing.T) {
	const c, d, heads, hidden = 11, 32, 2, 1200
	secs := []Section{{C: c}, {T: true}}
	run := func(k *kernel.Table, threads int, images [][]float32, lens []int) [][]float32 {
		w := newWorld(t, k, threads, lens...)
		qkv, _, _ := w.linear(d, 3*d, true)
		out, _, _ := w.linear(d, d, true)
		var f FFN
		f.Fc1, _, _ = w.linear(d, hidden, true)
		f.Fc2, _, _ = w.linear(hidden, d, true)
		f.Norm2, _, _ = w.norm(hidden, false)
		gated := f
		gate, _, _ := w.linear(d, hidden, true)
		gated.Gate = &gate
		nm, _, _ := w.norm(d, true)
		rows := w.Rows(c, true)
		x, i, o, tmp := w.mat(rows, d, false), w.mat(rows, 3*d, false), w.mat(rows, d, false), w.mat(rows, d, false)
		h, g := w.mat(rows, hidden, false), w.mat(rows, hidden, false)
		seqs := w.seqRows(secs)
		for seq, list := range seqs {
			for n, r := range list {
				copy(x.row(r), images[seq][n*d:])
			}
		}
		a := Attention{Heads: heads, D: d / heads, DP: d / heads, Scale: 1, Base2: true}
		w.QKV(i, x, tmp, nm, &qkv)
		w.SelfAttention(o, i, &a, secs)
		w.AttnOut(x, o, x, tmp, nm, &out)
		w.FFN(x, x, tmp, h, &f)
		w.GatedFFN(x, x, tmp, h, g, &gated)
		var res [][]float32
		for _, list := range seqs {
			var v []float32
			for _, r := range list {
				v = append(v, x.row(r)...)
			}
			res = append(res, v)
		}
		return res
	}
	rng := rand.New(rand.NewPCG(3, 4))
	lens := []int{4, 1, 30}
	var images [][]float32
	for _, n := range lens {
		v := make([]float32, (c+n)*d)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		images = append(images, v)
	}
	want := run(kerneltest.Naive("generic", 6, 16), 1, images, lens)
	for name, k := range tables() {
		for _, threads := range []int{1, 3} {
			for seq, v := range run(k, threads, images, lens) {
				if !slices.Equal(v, want[seq]) {
					t.Errorf("%s, %d threads: sequence %d differs", name, threads, seq)
				}
			}
			for seq := range lens {
				if one := run(k, threads, images[seq:seq+1], lens[seq:seq+1]); !slices.Equal(one[0], want[seq]) {
					t.Errorf("%s, %d threads: sequence %d alone differs", name, threads, seq)
				}
			}
		}
	}
}

// TestBlockingsGiveTheSameBits checks that a product with any blocking is the same to the
// last bit, with or without an activation and rows to add to.
func TestBlockingsGiveTheSameBits(t *testing.T) {
	blockings := []*Blocking{
		{}, {Passes: 3}, {Passes: math.MaxInt}, {Passes: -1, Rows: []RowClass{{Rows: -1, Block: 1}}},
		{Passes: 2, Rows: []RowClass{{Rows: 9, Ahead: 24}, {Rows: 20}, {Block: 7}}},
		{Passes: 5, Rows: []RowClass{{Block: 1, Ahead: 1 << 20}}},
	}
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, s := range []struct{ m, k, n int }{{1, 1, 1}, {9, 40, 130}, {20, 24, 700}, {61, 24, 50}, {130, 20, 16}} {
			w := newWorld(t, k, threads)
			l, _, _ := w.linear(s.k, s.n, true)
			src, dst, res := w.mat(s.m, s.k, true), w.mat(s.m, s.n, false), w.mat(s.m, s.n, true)
			for _, act := range []Act{NoAct, Gelu} {
				for _, add := range []*float32{nil, res.P} {
					var want []float32
					for i, c := range append([]*Blocking{nil}, blockings...) {
						l.Blocking = c
						w.matmul(dst, src, add, res.LD, &l, act)
						var got []float32
						for r := range s.m {
							got = append(got, dst.row(r)...)
						}
						if i == 0 {
							want = got
						}
						if !slices.Equal(got, want) {
							t.Errorf("%v activation %q add %v: blocking %+v differs", s, act, add != nil, c)
						}
					}
				}
			}
		}
	})
}

func TestBadShapesPanic(t *testing.T) {
	w := newWorld(t, kerneltest.Naive("generic", 6, 16), 1, 2)
	l, _, _ := w.linear(8, 8, false)
	for name, f := range map[string]func(){
		"linear": func() { w.Linear(w.mat(2, 9, false), w.mat(2, 8, false), &l) },
		"mat":    func() { w.Mat(4*(worldFloats-10), 16, 1, 16) },
		"sub":    func() { w.mat(2, 8, false).Sub(1, 2) },
		"select": func() { w.Select(w.mat(1, 8, false), w.mat(2, 8, false), []Section{{T: true}}, Section{C: 2}) },
		"id": func() {
			w.IDs = []int32{1, 9}
			w.EmbedText(w.mat(2, 8, false), &Embed{Table: 0, Pos: -1, D: 8, Vocab: 9})
		},
		"add":     func() { w.Add(w.mat(2, 8, false), w.mat(1, 8, false), w.mat(2, 8, false)) },
		"no rows": func() { w.QKV(w.mat(2, 8, false), w.mat(2, 8, false), Mat{}, &Norm{-1, -1, 8, 1}, &l) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

// stepsOfStates lists the steps that package rt tests, with a key/value cache.
var stepsOfStates = []string{"StateAttention", "StoreFixed", "StoreToken"}

// TestEveryStepIsTested checks that tests of this folder call each step: one that compares it with float64, and
// TestStepsDoNotAllocate.
func TestEveryStepIsTested(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		text := asmtest.Read(t, f)
		all.Write(text)
	}
	before, rest, _ := strings.Cut(all.String(), "\nfunc TestStepsDoNotAllocate(")
	allocations, after, _ := strings.Cut(rest, "\nfunc ")
	for m := range reflect.TypeFor[*Exec]().Methods() {
		if m.Type.NumIn() < 2 || m.Type.In(1) != reflect.TypeFor[Mat]() || slices.Contains(stepsOfStates, m.Name) {
			continue
		}
		call := "w." + m.Name + "("
		if !strings.Contains(before+after, call) {
			t.Errorf("step %s: no test calls %s); add one that compares it with float64, such as a part of TestPerSequence in codegen/rt/exec/steps_test.go", m.Name, call)
		}
		if !strings.Contains(allocations, call) {
			t.Errorf("step %s: TestStepsDoNotAllocate in codegen/rt/exec/steps_test.go does not call it; add a line", m.Name)
		}
	}
}

// TestStepsDoNotAllocate calls every step that needs no state.
func TestStepsDoNotAllocate(t *testing.T) {
	w := newWorld(t, kerneltest.Naive("generic", 6, 16), 2, 3, 4)
	l, _, _ := w.linear(32, 32, true)
	n, _, _ := w.norm(32, true)
	a, b, one := w.mat(7, 32, true), w.mat(7, 32, true), w.mat(2, 32, true)
	kv, qkv := w.mat(7, 64, true), w.mat(7, 96, true)
	at := Attention{Heads: 2, D: 16, DP: 16}
	text := []Section{{T: true}}
	off := w.put(w.vals(320))
	embed := Embed{Table: off, Pos: -1, D: 32, Vocab: 10}
	w.IDs = []int32{0, 1, 2, 3, 4, 5, 6}
	patches := Patches{Proj: l, Cls: off, Pos: off, Height: 8, Width: 4, Patch: 4, Channels: 2}
	w.Images = [][]float32{w.vals(64), w.vals(64)}
	patched, joined := w.mat(6, 32, true), w.mat(6, 32, true)
	ffn := FFN{Norm1: n, Fc1: l, Fc2: l}
	gated := FFN{Norm1: n, Fc1: l, Gate: &l, Fc2: l}
	steps := func() {
		w.Linear(a, b, &l)
		w.LayerNorm(a, a, n)
		w.Gelu(a, a)
		w.Gelu(a, a, QuickGelu)
		w.Tanh(a, a)
		w.Copy(b, a)
		w.Add(a, a, b)
		w.Mul(a, a, b)
		w.AddRows(a, a, off, 0, text)
		w.L2Norm(a, a, 1e-12)
		w.Attention(b, a, a, a, &at, text)
		w.CrossAttention(one, one, kv, &at, text)
		w.Select(one, a, text, Section{C: 1})
		w.HCat(a, a.columns(0, 3), a.columns(3, a.Cols-3))
		w.Mean(one, a, text, 1)
		w.AddRow(a, a, off)
		w.Const(one, off)
		w.Scale(a, a, off)
		w.QKV(b, a, b, n, &l)
		w.AttnOut(a, b, a, b, n, &l)
		w.FFN(a, a, b, kv.columns(0, 32), &ffn)
		w.GatedFFN(a, a, b, kv.columns(0, 32), qkv.columns(0, 32), &gated)
		w.QueryAttention(b, a, kv, &at, text, text)
		w.EmbedText(a, &embed)
		w.EmbedPatches(patched, b, &patches)
		w.Join(joined, patched, []Section{{C: 3}}, 1, 3)
		w.EmbedRows(patched, joined.Sub(0, 4), &l, off, off)
		w.SelfAttention(b, qkv, &at, []Section{{T: true}}) // sections may be literals
		w.AddRows(a, a, off, 0, []Section{{T: true}})
	}
	steps()
	if n := testing.AllocsPerRun(50, steps); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestNextProductIsKnown(t *testing.T) {
	a, b, c := &Linear{}, &Linear{}, &Linear{}
	o := &order{}
	// For each product of a pass: the product that is expected after it, nil if none is.
	for _, pass := range []struct{ layers, want []*Linear }{
		{[]*Linear{a, b, a, c}, []*Linear{nil, nil, nil, nil}},
		{[]*Linear{a, b, a, c}, []*Linear{b, a, c, nil}},
		{[]*Linear{a, b, c}, []*Linear{b, a, nil}}, // another order from the third on
		{[]*Linear{a, b, c, c}, []*Linear{b, c, nil, nil}},
		{[]*Linear{a, b, c}, []*Linear{b, c, c}},
		{nil, nil},
		{[]*Linear{b}, []*Linear{nil}},
	} {
		o.turn = 0
		var got []*Linear
		for _, l := range pass.layers {
			got = append(got, o.after(l))
		}
		if !slices.Equal(got, pass.want) {
			t.Errorf("%p then %p then %p: pass %p: got %p, want %p", a, b, c, pass.layers, got, pass.want)
		}
	}
}

// The weights that are prefetched for the next product are its own.
func TestNextWeights(t *testing.T) {
	w := newWorld(t, kerneltest.Naive("generic", 4, 16), 2, 3)
	g := &w.gemm
	g.n, g.kk, g.size, g.blocks, g.first, g.nr = 48, 32, 4, 1, &w.weights[0], 16
	g.shares.deal(3, 2)
	for _, c := range []struct {
		next   *Linear
		worker int
		want   int // bytes from the first weight on
		steps  int
	}{
		{nil, 0, 0, 0},
		{&Linear{W: 640, K: 20, N: 64}, 0, 640, 20},
		{&Linear{W: 640, K: 20, N: 64}, 1, 640 + 2*20*16*4, 20},
		{&Linear{W: 640, K: 20, N: 8, DType: blob.F32}, 1, 640, 20},
		{&Linear{W: 640, K: 20, N: 64, DType: blob.BF16}, 1, 0, 0}, // elements of another size
		{&Linear{W: 640, K: 20, N: 64, DType: blob.I8}, 1, 0, 0},
	} {
		g.then = c.next
		p, k := g.nextWeights(c.worker)
		if k != c.steps || k > 0 && p != w.w(c.want) {
			t.Errorf("%+v, worker %d: got %p and %d steps, want %p and %d", c.next, c.worker, p, k, w.w(c.want), c.steps)
		}
	}
}

// So are int8 panels, if there are as many bytes as are prefetched.
func TestNextPanels(t *testing.T) {
	w := newWorld(t, kerneltest.Naive("generic", 4, 16), 2, 3)
	g := &w.gemm.int8
	g.kk, g.blocks, g.first, g.i8 = 32, 1, &w.weights[0], &kernel.Int8{NR: 32}
	g.shares.deal(0, 2)
	panel := func(k int) int { return 64*k/4 + 192 } // in bytes
	for _, c := range []struct {
		next   *Linear
		worker int
		want   int // bytes from the first weight on, -1: nothing
	}{
		{nil, 0, -1},
		{&Linear{W: 640, K: 32, N: 96, DType: blob.I8}, 0, 640},
		{&Linear{W: 640, K: 32, N: 96, DType: blob.I8}, 1, 640 + 2*panel(32)},
		{&Linear{W: 640, K: 128, N: 16, DType: blob.I8}, 0, 640}, // one panel is long enough
		{&Linear{W: 640, K: 32, N: 16, DType: blob.I8}, 0, -1},
		{&Linear{W: 640, K: 32, N: 48, DType: blob.I8X2}, 1, -1},
		{&Linear{W: 640, K: 32, N: 96}, 0, -1},
		{&Linear{W: 640, K: 32, N: 96, DType: blob.BF16Dot}, 0, -1},
	} {
		g.then = c.next
		want := unsafe.Pointer(w.w(c.want))
		if p := g.nextPanels(c.worker); p != want {
			t.Errorf("%+v, worker %d: got %p, want %p", c.next, c.worker, p, want)
		}
	}
	g.then = &Linear{W: 640, K: 32, N: 96, DType: blob.I8}
	g.shares.deal(2, 2)
	if p := g.nextPanels(0); p != nil {
		t.Errorf("with units left in its share: got %p", p)
	}
}
