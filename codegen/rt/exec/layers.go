package exec

import (
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// A layer refers to its weights by offsets in bytes from the start of all weights; -1: it has no such
// weight.

// Norm is a layer norm of rows of N floats. G and B are the offsets of its N scale and shift values,
// both -1 for a norm without them.
type Norm struct {
	G, B int
	N    int
	Eps  float32
}

// Linear is a packed linear layer with N outputs and K inputs. W is the offset of its panels
// of 16 columns, whose values have type DType, 0 for F32; zeros pad the last panel, and each
// column to a multiple of four bytes. Bias is the offset of N floats, padded with zeros to a
// multiple of 16. A nil Blocking stands for the zero Blocking.
type Linear struct {
	W, Bias int
	K, N    int
	DType   blob.DType

	Blocking *Blocking
}

// size returns the size of an element of the weights, in bytes.
func (l *Linear) size() int { return max(blob.F32, l.DType).Size() }

// paddedK returns the k of a panel: K rounded up so that each column takes a multiple of four bytes.
func (l *Linear) paddedK() int { return (l.K*l.size() + 3) / 4 * 4 / l.size() }

// FFN is a pre-norm feed-forward block: x + Fc2(norm2(act(Fc1(norm1(x))))). A nil norm is absent.
// With a Gate the result of act is multiplied by Gate(norm1(x)), element by element.
type FFN struct {
	Norm1 *Norm
	Fc1   Linear
	Gate  *Linear
	Act   Act
	Norm2 *Norm
	Fc2   Linear
}

// Act is an activation, a function of each element.
type Act int8

// A layer has one of the activations Gelu, GeluTanh and QuickGelu. NoAct is the Act of a [Work] that
// applies no activation.
const (
	NoAct     Act = iota - 1
	Gelu          // x*(1+erf(x/sqrt2))/2
	GeluTanh      // x*sigmoid(2*sqrt(2/pi)*(x+0.044715*x^3))
	QuickGelu     // x*sigmoid(1.702*x)
)

// acts holds the name and the kernel of each activation.
var acts = [...]struct {
	name   string
	kernel func(k *kernel.Table) kernel.Gelu
}{
	Gelu:      {"gelu", func(k *kernel.Table) kernel.Gelu { return k.Gelu }},
	GeluTanh:  {"gelu_tanh", func(k *kernel.Table) kernel.Gelu { return k.GeluTanh }},
	QuickGelu: {"quick_gelu", func(k *kernel.Table) kernel.Gelu { return k.QuickGelu }},
}

// String returns the activation's name, "" for NoAct.
func (a Act) String() string {
	if a == NoAct {
		return ""
	}
	return acts[a].name
}

// Attention describes an attention core. A head has D columns; the heads of a q, k
// or v part start DP columns apart. Scores are multiplied by Scale, 0 for
// 1/sqrt(D), then the Bias is added, if there is one. Base2 says that both are
// already multiplied by log2(e). At is the position of the first query in the
// sequence, for the bias.
type Attention struct {
	Heads, D, DP int
	Scale        float32
	Base2        bool
	Bias         *RelBias
	At           int
	Mask         *Mask
}

// Mask hides keys from queries: query r of a sequence, whose own key is At+r, sees the first
// Prefix keys and the keys up to its own. T stands for the number of tokens in the state if
// the function has one, otherwise for that of the text.
type Mask struct {
	Prefix, At Section
}

// Patches embeds an image of Channels planes of Height x Width pixels, split into squares of Patch x Patch
// pixels; pixels after the last whole square of a row or column are not read. The image starts at
// float At of the sequence's input. Row 0 of a sequence is the class row Cls and row 1+i patch i times Proj;
// row i of the position table Pos is added to row i. Rows of Cls and Pos have Proj.N floats. Cls -1: row i is
// patch i; Pos -1: no table.
type Patches struct {
	Proj     Linear
	Cls, Pos int

	At, Height, Width, Patch, Channels int
}

// Rows returns the number of rows of one sequence, a class row included.
func (p *Patches) Rows() int { return p.Height/p.Patch*(p.Width/p.Patch) + p.class() }

// class is the number of rows before the patches.
func (p *Patches) class() int {
	if p.Cls < 0 {
		return 0
	}
	return 1
}

// Embed looks up the tokens of a text: row j is row id of Table, which has Vocab rows of D
// values, plus row At+j of the position table Pos (-1: no table). T in At stands for the number of
// tokens in the state. Table holds values of type DType, 0 for F32. An I8 table has its int8
// values in row-major order, then, at a multiple of four bytes, a float32 scale per row.
type Embed struct {
	Table, Pos int
	D, Vocab   int
	At         Section
	DType      blob.DType
}
