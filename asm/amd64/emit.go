package amd64

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

// generators holds the function that writes each op's kernels; each file adds its own. A function that calls writer.vector
// writes the kernels of any level, the others those of AVX2.
var generators = map[asm.Op]func(*writer, asm.Kernel){}

// constraint is the build constraint of everything this package writes.
const constraint = "amd64 && !noasm"

// Emit returns an assembly file with the given kernels and the Go file of package pkg that declares them. The same
// arguments give the same bytes.
func Emit(pkg string, kernels []asm.Kernel) (asmFile, stubFile []byte, err error) {
	f, err := compile(kernels)
	if err != nil {
		return nil, nil, err
	}
	cfg := printer.Config{Name: "multiway", Pkg: pkg}
	if asmFile, err = printer.NewGoAsm(cfg).Print(f); err != nil {
		return nil, nil, err
	}
	if stubFile, err = printer.NewStubs(cfg).Print(f); err != nil {
		return nil, nil, err
	}
	return header(asmFile), header(stubFile), nil
}

// header replaces the first line of a generated file, in which avo names itself, by asm.Header.
func header(file []byte) []byte {
	_, rest, _ := bytes.Cut(file, []byte("\n"))
	return append([]byte(asm.Header+"\n"), rest...)
}

// beyond returns the instruction sets among isas that are not in baseline.
func beyond(isas []string) []string {
	return slices.DeleteFunc(slices.Clone(isas), func(s string) bool { return slices.Contains(baseline, s) })
}

// baseline lists the instruction sets that every amd64 CPU has, by avo's names.
var baseline = []string{"CMOV", "MMX+", "SSE", "SSE2"}

// compile writes the kernels into one file, which has each constant once.
func compile(kernels []asm.Kernel) (*ir.File, error) {
	if err := asm.Writable("amd64", kernels); err != nil {
		return nil, err
	}
	docs := asm.Docs(kernels)
	c := build.NewContext()
	c.ConstraintExpr(strings.ReplaceAll(constraint, " && ", ","))
	all, err := c.Result()
	if err != nil {
		return nil, err
	}
	tables := map[string]*ir.Global{} // constants, which kernels may share
	for i, k := range kernels {
		f, err := write(k)
		if err != nil {
			return nil, err
		}
		all.Includes = f.Includes // they are the same for all kernels
		for _, s := range f.Sections {
			switch s := s.(type) {
			case *ir.Function:
				s.Doc = docs[i]
				all.AddSection(s)
			case *ir.Global:
				name := s.Symbol.String()
				if have := tables[name]; have == nil {
					tables[name] = s
					all.AddSection(s)
				} else if !slices.Equal(have.Data, s.Data) {
					return nil, fmt.Errorf("%s: constant %s differs between kernels", k.Name(), name)
				}
			}
		}
	}
	return all, nil
}

// write writes one kernel. It fails if the kernel uses an instruction set that its level does not have.
func write(k asm.Kernel) (*ir.File, error) {
	w := &writer{Context: build.NewContext(), consts: map[string]operand.Mem{}}
	w.Function(k.Name())
	w.Attributes(attr.NOSPLIT)
	w.SignatureExpr(k.Op.Row().Signature)
	w.Pragma("noescape")
	generators[k.Op](w, k)
	f, err := w.Result()
	if err != nil {
		return nil, err
	}
	if err := pass.Compile.Execute(f); err != nil {
		return nil, err
	}
	fn := f.Functions()[0]
	if err := k.Permit(beyond(fn.ISA)); err != nil {
		return nil, err
	}
	encode(fn)
	if lines := w.registers(fn.Allocation); lines != nil {
		fn.Nodes = slices.Insert(fn.Nodes, 0, ir.Node(ir.NewComment(lines...)))
	}
	return f, nil
}

// registers returns the kernel's register map, as lines of a comment.
func (w *writer) registers(allocated reg.Allocation) []string {
	var all asm.Registers
	for _, h := range w.held {
		var names []string
		for _, r := range h.registers {
			if p := allocated.LookupRegister(r); p != nil {
				names = append(names, p.Asm())
			}
		}
		if names != nil {
			all.Add(h.what, names...)
		}
	}
	return all.Lines()
}

// writer is avo's context with what kernels share. avo does not spill registers: a kernel has 16 vector registers (32 of
// AVX-512) and 15 for integers.
type writer struct {
	*build.Context
	consts map[string]operand.Mem
	labels int
	held   []held
}

// held says what some registers hold, as an entry of the kernel's register map.
type held struct {
	what      string
	registers []reg.Register
}

// holds notes what the registers rs hold, for the kernel's register map.
func (w *writer) holds(what string, rs ...reg.Register) { w.held = append(w.held, held{what, rs}) }

// hold notes what the vectors of v hold, for the kernel's register map, and returns v.
func (w *writer) hold(what string, v vecs) vecs {
	var rs []reg.Register
	for _, r := range v {
		rs = append(rs, r)
	}
	w.holds(what, rs...)
	return v
}

// label returns a name for a label, unique in the kernel.
func (w *writer) label(name string) string {
	w.labels++
	return fmt.Sprintf("%s%d", name, w.labels)
}

// arg writes the load of an integer or pointer argument into a new register, which it returns and notes in the register
// map.
func (w *writer) arg(name string) reg.GPVirtual {
	r := w.GP64()
	w.Load(w.Param(name), r)
	w.holds(name, r)
	return r
}

// floats writes the load of an argument that counts floats, converted to bytes, into a new register.
func (w *writer) floats(name string) reg.GPVirtual {
	r := w.arg(name)
	w.SHLQ(operand.Imm(2), r)
	return r
}

// halfwords writes the load of an argument that counts 16-bit values, converted to bytes, into a new register.
func (w *writer) halfwords(name string) reg.GPVirtual {
	r := w.arg(name)
	w.SHLQ(operand.Imm(1), r)
	return r
}

// slot returns the memory operand of an argument on the stack.
func (w *writer) slot(name string) operand.Mem {
	at, err := w.Param(name).Resolve()
	if err != nil {
		panic(fmt.Sprintf("amd64: argument %s: %v", name, err)) // not in the op's signature
	}
	return at.Addr
}

// nextTile ends a tile: it advances the arguments to the rows below and jumps to label tile, or returns after the last tile.
// size is the size of an element of A in bytes; pf is the next address to prefetch, nil if the op does not prefetch; floats are
// the arguments that point to one float per row.
func (w *writer) nextTile(k asm.Kernel, size int, pf reg.Register, floats ...string) {
	if pf != nil {
		w.MOVQ(pf, w.slot("pf"))
	}
	down := func(name, ld string, size int) {
		d := w.arg(ld)
		w.IMUL3Q(operand.I32(int32(k.MR*size)), d, d)
		w.ADDQ(d, w.slot(name))
	}
	down("a", "lda", size)
	down("c", "ldc", 4)
	for _, name := range floats {
		w.ADDQ(operand.Imm(uint64(4*k.MR)), w.slot(name))
	}
	w.DECQ(w.slot("tiles"))
	w.JNZ(operand.LabelRef("tile"))
	w.ret()
}

// ret writes the return from the kernel. It first clears the upper halves of the vector registers, without which SSE
// instructions in the caller would be slow.
func (w *writer) ret() {
	w.VZEROUPPER()
	w.RET()
}

// data returns the memory operand of a read-only table of 32-bit words. A table of the same name is written once per file.
func (w *writer) data(name string, words ...uint32) operand.Mem {
	m, ok := w.consts[name]
	if !ok {
		m = w.StaticGlobal(name)
		w.DataAttributes(attr.RODATA | attr.NOPTR)
		for i, v := range words {
			w.AddDatum(4*i, operand.U32(v))
		}
		w.consts[name] = m
	}
	return m
}

// words returns a vector in memory with v in all eight 32-bit lanes; name names the constant.
func (w *writer) words(name string, v uint32) operand.Mem {
	return w.data(name, slices.Repeat([]uint32{v}, 8)...)
}

// f32 returns a vector in memory with v, as float32, in all eight lanes; name names the constant.
func (w *writer) f32(name string, v float64) operand.Mem {
	return w.words(name, math.Float32bits(float32(v)))
}

// lanes returns an operand with v in all lanes: a vector in memory or, if kind has 32 registers, a register. As it writes
// the load of that register, it is called outside loops.
func (w *writer) lanes(kind vector, name string, v uint32) operand.Op {
	m := w.words(name, v)
	if !kind.wide() {
		return m
	}
	r := kind.new()
	w.VBROADCASTSS(m, r)
	return r
}

// num is like lanes, with v as a float32.
func (w *writer) num(kind vector, name string, v float64) operand.Op {
	return w.lanes(kind, name, math.Float32bits(float32(v)))
}

// coefs returns, for each coefficient of a polynomial, an operand with that coefficient in all lanes. The constant of cs[i]
// is called name followed by i. Like lanes it may load registers, so it is called outside loops.
func (w *writer) coefs(kind vector, name string, cs []float64) []operand.Op {
	var ms []operand.Op
	for i, c := range cs {
		ms = append(ms, w.num(kind, fmt.Sprintf("%s%d", name, i), c))
	}
	return ms
}

// vecs are vectors that go through the same instructions. The code interleaves them, instruction by instruction: a CPU looks
// too few instructions ahead to overlap four dependent chains that are written one after the other.
type vecs []reg.VecVirtual

func (w *writer) ymms(n int) vecs {
	v := make(vecs, n)
	for i := range v {
		v[i] = w.YMM()
	}
	return v
}

func (v vecs) each(f func(i int)) {
	for i := range v {
		f(i)
	}
}

// vector describes the vector registers of a level.
type vector struct {
	bytes int
	new   func() reg.VecVirtual
	zero  func(v reg.VecVirtual)
	and   func(a, b, c operand.Op) // c = a & b
}

// wide reports whether there are 32 registers of 64 bytes; otherwise there are 16 of 32.
func (v vector) wide() bool { return v.bytes == 64 }

func (w *writer) vector(isa asm.ISA) vector {
	if l, _ := isa.Level(); l.Vector == 16 {
		return vector{64, w.ZMM, func(v reg.VecVirtual) { w.VPXORD(v, v, v) }, func(a, b, c operand.Op) { w.VPANDD(a, b, c) }}
	}
	return vector{32, w.YMM, func(v reg.VecVirtual) { w.VXORPS(v, v, v) }, func(a, b, c operand.Op) { w.VANDPS(a, b, c) }}
}

// some returns n new vector registers.
func (v vector) some(n int) vecs {
	vs := make(vecs, n)
	for i := range vs {
		vs[i] = v.new()
	}
	return vs
}

// zeros returns n new vector registers, set to zero.
func (v vector) zeros(n int) vecs {
	vs := v.some(n)
	vs.each(func(i int) { v.zero(vs[i]) })
	return vs
}

// horner writes Horner's scheme for each vector of p and x: for each c of cs, from the last to the first, p = p*x + c.
func (w *writer) horner(p, x vecs, cs []operand.Op) {
	for _, c := range slices.Backward(cs) {
		p.each(func(i int) { w.VFMADD213PS(c, x[i], p[i]) })
	}
}

// halves splits vectors of 64 bytes into their low and high halves and clobbers them. Vectors of 32 bytes stay as they are.
func (w *writer) halves(v vecs) (h vecs) {
	for _, v := range v {
		if v.Size() == 32 {
			h = append(h, v)
			continue
		}
		high := w.YMM()
		w.VEXTRACTF64X4(operand.Imm(1), v, high)
		h = append(h, v.AsY().(reg.VecVirtual), high)
	}
	return h
}

// reduce writes code that combines the eight lanes of v with op into lane 0 of v, and clobbers the other lanes. op(a, b, c)
// writes the combination of a and b to c.
func (w *writer) reduce(v reg.VecVirtual, op func(a, b, c operand.Op)) {
	t := w.YMM()
	w.VEXTRACTF128(operand.Imm(1), v, t.AsX())
	op(t.AsX(), v.AsX(), v.AsX())
	w.VPERMILPS(operand.Imm(0x4e), v.AsX(), t.AsX())
	op(t.AsX(), v.AsX(), v.AsX())
	w.VPERMILPS(operand.Imm(0xb1), v.AsX(), t.AsX())
	op(t.AsX(), v.AsX(), v.AsX())
}

// rows returns a function for the memory operand of byte disp in row i of a matrix of n rows, ld bytes apart. bases are the
// registers to add to in order to move along all rows: one for every three rows, since an index register is scaled by 1 or
// 2, not by 3.
func (w *writer) rows(base, ld reg.Register, n int) (at func(i, disp int) operand.Mem, bases []reg.Register) {
	bases = []reg.Register{base}
	if n > 3 {
		ld3 := w.GP64()
		w.LEAQ(operand.Mem{Base: ld, Index: ld, Scale: 2}, ld3)
		for len(bases)*3 < n {
			b := w.GP64()
			w.LEAQ(operand.Mem{Base: bases[len(bases)-1], Index: ld3, Scale: 1}, b)
			bases = append(bases, b)
		}
	}
	return func(i, disp int) operand.Mem {
		m := operand.Mem{Base: bases[i/3], Disp: disp}
		if r := i % 3; r > 0 {
			m.Index, m.Scale = ld, uint8(r)
		}
		return m
	}, bases
}
