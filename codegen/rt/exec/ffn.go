package exec

// FFN computes dst = src + fc2(norm2(act(fc1(norm1(src))))) in equal blocks of at most
// tmp.Rows rows. tmp is memory for the rows after norm1, hidden for those after fc1. dst may
// be src; neither may overlap tmp or hidden.
func (e *Exec) FFN(dst, src, tmp, hidden Mat, f *FFN) {
	want(dst.Rows == src.Rows && dst.Cols == src.Cols && src.Cols == f.Fc1.K && dst.Cols == f.Fc2.N && f.Fc1.N == f.Fc2.K &&
		hidden.LD >= ceil16(f.Fc1.N) && hidden.Rows >= min(tmp.Rows, src.Rows) && (src.Rows == 0 || tmp.Rows > 0),
		"ffn", dst, src, tmp, hidden)
	blocks := blocksOf(src.Rows, tmp.Rows)
	for i := range blocks {
		r, end := part(src.Rows, blocks, i)
		m := end - r
		x, y := src.Sub(r, m), dst.Sub(r, m)
		h := Mat{hidden.P, hidden.LD, m, f.Fc1.N}
		in := x
		if f.Norm1 != nil && !e.fuseNorm(f.Norm1, &f.Fc1) {
			in = Mat{tmp.P, tmp.LD, m, src.Cols}
			e.LayerNorm(in, x, f.Norm1)
		}
		e.matmul(h, in, nil, 0, &f.Fc1, f.Act)
		if f.Norm2 != nil && !e.fuseNorm(f.Norm2, &f.Fc2) {
			e.LayerNorm(h, h, f.Norm2)
		}
		e.matmul(y, h, x.P, x.LD, &f.Fc2, NoAct)
	}
}
