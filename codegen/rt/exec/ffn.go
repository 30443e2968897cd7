package exec

// FFN computes dst = src + fc2(norm2(act(fc1(norm1(src))))) in equal blocks of at most
// tmp.Rows rows, for an f without Gate. tmp is memory for the rows after norm1, hidden for
// those after fc1. dst may be src; neither may overlap tmp or hidden.
func (e *Exec) FFN(dst, src, tmp, hidden Mat, f *FFN) {
	e.GatedFFN(dst, src, tmp, hidden, Mat{}, f)
}

// GatedFFN is FFN for an f with Gate: it computes dst = src + fc2(norm2(act(fc1(x)) * gate(x))),
// where x = norm1(src). gate is memory for the factors, of the same rows and columns as hidden.
func (e *Exec) GatedFFN(dst, src, tmp, hidden, gate Mat, f *FFN) {
	fits := func(m Mat, l *Linear) bool {
		return l.K == src.Cols && l.N == f.Fc2.K && m.LD >= ceil16(l.N) && m.Rows >= min(tmp.Rows, src.Rows)
	}
	want(dst.Rows == src.Rows && dst.Cols == src.Cols && dst.Cols == f.Fc2.N && fits(hidden, &f.Fc1) &&
		(f.Gate == nil || fits(gate, f.Gate)) && (src.Rows == 0 || tmp.Rows > 0),
		"ffn", dst, src, tmp, hidden, gate)
	blocks := blocksOf(src.Rows, tmp.Rows)
	for i := range blocks {
		r, end := part(src.Rows, blocks, i)
		m := end - r
		x, y := src.Sub(r, m), dst.Sub(r, m)
		h := Mat{hidden.P, hidden.LD, m, f.Fc1.N}
		in, norm := x, f.Norm1
		if norm != nil && !(norm.fuses(&f.Fc1) && (f.Gate == nil || norm.fuses(f.Gate))) {
			in = Mat{tmp.P, tmp.LD, m, src.Cols}
			e.LayerNorm(in, x, norm)
			norm = nil
		}
		var factors *float32
		if f.Gate != nil {
			factors = gate.P
			e.gemm.int8.norm = norm
			e.matmul(Mat{gate.P, gate.LD, m, f.Gate.N}, in, nil, 0, f.Gate, NoAct)
		}
		e.gemm.int8.norm = norm
		e.gemm.factors, e.gemm.ldf = factors, gate.LD
		e.matmul(h, in, nil, 0, &f.Fc1, f.Act)
		if f.Norm2 != nil && !e.fuseNorm(f.Norm2, &f.Fc2) {
			e.LayerNorm(h, h, f.Norm2)
		}
		e.matmul(y, h, x.P, x.LD, &f.Fc2, NoAct)
	}
}
