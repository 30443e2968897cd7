package ir

import "fmt"

// Op is a row of the op table: everything the compiler knows about an operation.
// A fused op has Expand and no meaning of its own: Infer, Eval and Cost follow
// from the ops it expands to.
type Op struct {
	Name   string
	Hint   string // what the builder calls a value of this op when no name is given
	Args   int    // number of arguments; -1 = two or more
	Fields []Field
	Attrs  []AttrSpec
	Batch  Batch
	View   bool // after plan it is an address, not work

	Infer  func(c *Infer) (Type, error)
	Eval   func(c *Eval) (*Tensor, error)
	Cost   func(v *Value, t int) Cost
	Expand func(b *Builder, v *Value) *Value
}

// Field is one weight of an op's bundle, such as w or ln.g.
type Field struct {
	Name     string
	Optional bool
}

// AttrSpec declares one attribute of an op.
type AttrSpec struct {
	Key      string
	Kind     Kind
	Required bool
}

// Batch says how an op runs over packed rows of several sequences.
type Batch uint8

// RowWise ops compute row i from row i of their arguments, so one call covers the
// packed rows of all sequences; PerSeq ops need to know where each sequence is.
const (
	RowWise Batch = iota
	PerSeq
)

// The primitive ops.
var (
	OpPatches   = &Op{Name: "patches"}   // image f32[C,S,S] -> f32[N,C*P*P], patches row-major, (channel, row, col) inside
	OpLookup    = &Op{Name: "lookup"}    // ids i32[R], w [V,D] -> f32[R,D]
	OpConst     = &Op{Name: "const"}     // w [R,D] as a value
	OpAddRows   = &Op{Name: "addrows"}   // x [R,D] + w[at..at+R]
	OpLinear    = &Op{Name: "linear"}    // x [R,K], w [N,K], b? [N] -> f32[R,N]
	OpLayerNorm = &Op{Name: "layernorm"} // x, g? b? {eps}; both or neither
	OpGelu      = &Op{Name: "gelu"}      // exact, by erf
	OpTanh      = &Op{Name: "tanh"}
	OpAdd       = &Op{Name: "add"}
	OpConcat    = &Op{Name: "concat"} // rows of the arguments, one after the other
	OpRows      = &Op{Name: "rows"}   // {at len}: a run of rows
	OpCols      = &Op{Name: "cols"}   // {at len}: a run of columns
	OpHCat      = &Op{Name: "hcat"}   // columns of the arguments, side by side
	OpSelect    = &Op{Name: "select"} // {row}: one row of each sequence -> f32[1,D]
	OpMean      = &Op{Name: "mean"}   // {from}: mean of the rows from `from` on -> f32[1,D]
	OpL2Norm    = &Op{Name: "l2norm"} // {floor}: x / max(|x|, floor) per row
	OpAttention = &Op{Name: "attention"}
)

// The fused ops.
var (
	OpEmbedPatches   = &Op{Name: "embed_patches"}  // image, proj.w proj.b? cls.w pos.w? {patch}
	OpEmbed          = &Op{Name: "embed"}          // ids, tok.w pos.w?
	OpQKV            = &Op{Name: "qkv"}            // x, ln.g? ln.b? q.w q.b? k.w k.b? v.w v.b? {eps heads parts=q|kv}: [q|k|v] or the parts named
	OpSelfAttention  = &Op{Name: "selfattention"}  // qkv {heads scale base}
	OpCrossAttention = &Op{Name: "crossattention"} // q, kv {heads scale base}
	OpAttnOut        = &Op{Name: "attnout"}        // c, x, sub.g? sub.b? out.w out.b? {eps}: x + out(norm(c)); no eps: no norm
	OpFFN            = &Op{Name: "ffn"}            // x, ln.g? ln.b? fc1.w fc1.b? sub.g? sub.b? fc2.w fc2.b? {eps sub}: x + fc2(norm(gelu(fc1(norm x)))); no sub: no inner norm
)

// Ops is the op table, in the order the documentation lists them.
var Ops = []*Op{
	OpPatches, OpLookup, OpConst, OpAddRows, OpLinear, OpLayerNorm, OpGelu, OpTanh, OpAdd,
	OpConcat, OpRows, OpCols, OpHCat, OpSelect, OpMean, OpL2Norm, OpAttention,
	OpEmbedPatches, OpEmbed, OpQKV, OpSelfAttention, OpCrossAttention, OpAttnOut, OpFFN,
}

// OpNamed returns the row called name.
func OpNamed(name string) (*Op, error) {
	for _, op := range Ops {
		if op.Name == name {
			return op, nil
		}
	}
	return nil, fmt.Errorf("unknown op %q", name)
}

// Fused reports whether the op is defined by its expansion.
func (o *Op) Fused() bool { return o.Expand != nil }

// Cost is what a value costs at one text length and one sequence: FLOPs counted as
// 2MNK of linear and patch ops plus 4*S*S*D of attention, bytes of weights,
// inputs and outputs each read or written once.
type Cost struct {
	FLOPs, WeightBytes, InBytes, OutBytes int64
}

// Infer is what an op's Infer function sees: the value under construction (its
// Type not yet set) and the shapes of its weights.
type Infer struct {
	V *Value
	P *Program
}

// Eval is what an op's Eval function sees: its arguments and weights as float64.
type Eval struct {
	V    *Value
	T    int
	Args []*Tensor
	P    *Program
}

// Tensor is a value in the interpreter: row-major float64, or ids for i32 values.
type Tensor struct {
	Shape []int
	F     []float64
	IDs   []int32
}
