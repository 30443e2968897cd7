package passes

import (
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// Quantise stores the matrices of the encoder as bytes, at precision int8: those of qkv,
// attnout, ffn and embedpatches.
//
//	weight @l0.ffn.v~f.fc1.w f32[8,4]
//
// becomes
//
//	weight @l0.ffn.v~f.fc1.w i8[8,4]
//
// A row, which is an output channel, is a scale times integers of at most asm.MaxByte.
// The kernels round the rows of what is multiplied to bytes too, each with a scale of
// its own; that, which depends on the input, the interpreter does not see. Norms,
// softmax, attention scores, residuals and heads stay in float32.
var Quantise = &Pass{
	Name:    "quantise",
	Needs:   []*Property{Fused},
	Numeric: Reduced,
	Run: func(p *ir.Program, o Options) error {
		if o.Precision != Int8 {
			return nil
		}
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				if !slices.Contains(quantised, v.Op) {
					continue
				}
				for _, x := range wants(p, f, v) {
					if x.product() && x.w.Type.DType == ir.F32 {
						toBytes(x.w)
					}
				}
			}
		}
		return nil
	},
}

// quantised are the ops whose matrices become bytes.
var quantised = []*ir.Op{ir.OpQKV, ir.OpAttnOut, ir.OpFFN, ir.OpEmbedPatches}

// toBytes declares w as bytes and rounds it when it is loaded.
func toBytes(w *ir.Weight) {
	w.Type.DType = ir.I8
	from, k := w.Load, w.Type.Cols()
	if from == nil {
		return
	}
	w.Load = func() ([]float32, error) {
		f, err := from()
		if err != nil {
			return nil, err
		}
		for row := range slices.Chunk(f, k) {
			scale := asm.ByteScale(row)
			for i, v := range row {
				row[i] = float32(asm.ToByte(v, scale)) * scale
			}
		}
		return f, nil
	}
}
