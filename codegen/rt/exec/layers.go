package exec

import (
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// Every layer says where in the weights its own start, in bytes; -1: it has none.

// Norm is a layer norm: G and B say where the N scale and shift values start; both -1: the
// norm without them.
type Norm struct {
	G, B int
	N    int
	Eps  float32
}

// Linear is a packed linear layer with N outputs and K inputs. W says where its panels of
// 16 columns start (K*16 values each, the last padded with zeros; one of 16-bit values ends
// with a step of zeros if K is odd), Bias where N floats start, padded with zeros to a
// multiple of 16. The panels hold values of type DType, 0 for F32. A nil Blocking stands for
// the zero Blocking.
type Linear struct {
	W, Bias int
	K, N    int
	DType   blob.DType

	Blocking *Blocking
}

// size returns the bytes of an element of the weights.
func (l *Linear) size() int { return max(blob.F32, l.DType).Size() }

// paddedK returns the k of a panel: K rounded up so that each column takes a multiple of four bytes.
func (l *Linear) paddedK() int { return (l.K*l.size() + 3) / 4 * 4 / l.size() }

// FFN is a pre-norm feed-forward block: x + Fc2(norm2(act(Fc1(norm1(x))))).
// A nil norm is absent.
type FFN struct {
	Norm1 *Norm
	Fc1   Linear
	Act   Act
	Norm2 *Norm
	Fc2   Linear
}

// Act is an activation, a function of each element.
type Act int8

// The activations. No layer has NoAct: it says of a product in a [Work] that there is none.
const (
	NoAct     Act = iota - 1
	Gelu          // x*(1+erf(x/sqrt2))/2
	GeluTanh      // x*sigmoid(2*sqrt(2/pi)*(x+0.044715*x^3))
	QuickGelu     // x*sigmoid(1.702*x)
)

// acts holds the name of each activation from Gelu on, and its kernel.
var acts = [...]struct {
	name   string
	kernel func(k *kernel.Table) kernel.Gelu
}{
	Gelu:      {"gelu", func(k *kernel.Table) kernel.Gelu { return k.Gelu }},
	GeluTanh:  {"gelu_tanh", func(k *kernel.Table) kernel.Gelu { return k.GeluTanh }},
	QuickGelu: {"quick_gelu", func(k *kernel.Table) kernel.Gelu { return k.QuickGelu }},
}

// String returns the activation's name, "" of NoAct.
func (a Act) String() string {
	if a == NoAct {
		return ""
	}
	return acts[a].name
}

// Attention describes an attention core. A head has D columns, the heads of a
// q, k or v part stand DP columns apart. Scores are multiplied by Scale (0 stands
// for 1/sqrt(D)), then get the Bias, if any; Base2 says that log2(e) is already in
// both. At is the place of the first query in the sequence, for the bias.
type Attention struct {
	Heads, D, DP int
	Scale        float32
	Base2        bool
	Bias         *RelBias
	At           int
	Mask         *Mask
}

// Mask hides keys from queries: query r of a sequence, which stands at key At+r, sees the
// first Prefix keys and those up to its own. T stands for the words in a state where
// there is one, else for the text's rows.
type Mask struct {
	Prefix, At Section
}

// Patches embeds an image of Channels planes of Height x Width pixels, which begins at
// float At of the sequence's input, cut into squares of Patch pixels; pixels after the last whole
// square of a row or column are not read. Row 0 of a sequence is Cls, row 1+i patch i, plus row 0.. of the
// table Pos. Rows of Cls and Pos have Proj.N floats. Cls -1: row i is patch i; Pos -1: no table.
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

// Embed looks up text: row j of a text is row id of Table (Vocab rows of D floats)
// plus row At+j of Pos (-1: no table), or At+T+j for T words in a state before it.
// Table holds values of type DType, 0 for F32; I8 values are bytes row after row, then,
// from a multiple of four bytes on, Vocab scales: a value is a byte times its row's scale.
type Embed struct {
	Table, Pos int
	D, Vocab   int
	At         Section
	DType      blob.DType
}
