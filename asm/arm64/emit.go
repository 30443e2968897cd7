package arm64

import (
	"bytes"
	"fmt"
	"go/format"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/asm"
)

// generators holds the function that writes each op's kernels; each file adds its own.
var generators = map[asm.Op]func(*writer, asm.Kernel){}

// constraint is the build constraint of everything this package writes.
const constraint = "arm64 && !noasm"

// Emit returns an assembly file with the given kernels and the Go file of package pkg that declares them. The same
// arguments give the same bytes.
func Emit(pkg string, kernels []asm.Kernel) (asmFile, stubFile []byte, err error) {
	w := newWriter()
	var stubs bytes.Buffer
	fmt.Fprintf(&w.text, "%s\n\n//go:build %s\n\n#include \"textflag.h\"\n", asm.Header, constraint)
	fmt.Fprintf(&stubs, "%s\n\n//go:build %s\n\npackage %s\n", asm.Header, constraint, pkg)
	if err := asm.Writable("arm64", kernels); err != nil {
		return nil, nil, err
	}
	docs := asm.Docs(kernels)
	for i, k := range kernels {
		if err := w.kernel(k); err != nil {
			return nil, nil, err
		}
		fmt.Fprintf(&stubs, "\n// %s\n//\n//go:noescape\n%s\n", strings.Join(docs[i], "\n// "), declaration(k))
	}
	stubFile, err = format.Source(bytes.ReplaceAll(stubs.Bytes(), []byte("// \n"), []byte("//\n")))
	return w.text.Bytes(), stubFile, err
}

// declaration returns the Go declaration of the kernel's function.
func declaration(k asm.Kernel) string {
	return "func " + k.Name() + strings.TrimPrefix(k.Op.Row().Signature, "func")
}

// line is an instruction of a kernel, as a disassembler should print it.
type line struct {
	text string // GNU assembly; only the mnemonic if Go's assembler places it
	word uint32 // 0 if Go's assembler encodes it
}

// writer writes assembly, instruction by instruction. The caller assigns registers and notes with holds what they hold,
// which becomes the kernel's register map.
type writer struct {
	text   bytes.Buffer
	data   map[string][]uint32 // tables written so far
	name   string              // of the current kernel
	args   []arg
	lines  []line   // of the current kernel
	isas   []string // instruction sets that it needs beyond the baseline of arm64
	hot    []line   // its inner loop
	held   asm.Registers
	labels int
	marked map[string]bool
	jumps  []jump
	err    error // the first
}

// jump is a branch: the label that it goes to, and the source line of the generator that wrote it, for errors.
type jump struct{ to, where string }

func newWriter() *writer { return &writer{data: map[string][]uint32{}, marked: map[string]bool{}} }

// arg is a parameter of the kernel and its offset in the argument frame.
type arg struct {
	name   string
	at     int
	single bool // a float32
}

// frame places parameters in the argument frame as Go's stack convention does, and returns the size of all in bytes.
func frame(params []asm.Param) (args []arg, size int) {
	for _, p := range params {
		a := arg{name: p.Name, single: p.Type == "float32"}
		bytes := 8
		if a.single {
			bytes = 4
		}
		a.at = (size + bytes - 1) / bytes * bytes
		size = a.at + bytes
		args = append(args, a)
	}
	return args, size
}

// kernel writes one kernel to w.text. It fails if the kernel uses an instruction set that its level does not have.
func (w *writer) kernel(k asm.Kernel) error {
	var size int
	w.name, w.lines, w.isas, w.hot, w.held, w.labels, w.jumps = k.Name(), nil, nil, nil, nil, 0, nil
	clear(w.marked)
	w.args, size = frame(k.Op.Row().Params())
	fmt.Fprintf(&w.text, "\n// %s\nTEXT ·%s(SB), NOSPLIT, $0-%d\n", declaration(k), w.name, size)
	generators[k.Op](w, k)
	w.landings()
	w.registers()
	if w.err != nil {
		return w.err
	}
	return k.Permit(w.isas)
}

// holds notes what the registers rs hold, for the kernel's register map.
func (w *writer) holds(what string, rs ...fmt.Stringer) {
	var names []string
	for _, r := range rs {
		names = append(names, r.String())
	}
	w.held.Add(what, names...)
}

// hold notes what the vectors of v hold, for the kernel's register map, and returns v.
func (w *writer) hold(what string, v vecs) vecs {
	var names []string
	for _, r := range v {
		names = append(names, r.String())
	}
	w.held.Add(what, names...)
	return v
}

// registers inserts the register map after the kernel's TEXT line.
func (w *writer) registers() {
	text := w.text.Bytes()
	at := bytes.LastIndex(text, []byte("\nTEXT "))
	at += 2 + bytes.IndexByte(text[at+1:], '\n')
	rest := bytes.Clone(text[at:])
	w.text.Truncate(at)
	for _, l := range w.held.Lines() {
		fmt.Fprintf(&w.text, "\t// %s\n", l)
	}
	w.text.Write(rest)
}

// fail records the first error of a generator, with the line of its source.
func (w *writer) fail(err error) {
	w.failAt(where(), err)
}

func (w *writer) failAt(where string, err error) {
	if w.err == nil {
		w.err = fmt.Errorf("%s: %s: %w", w.name, where, err)
	}
}

// landings reports branches to labels that do not exist.
func (w *writer) landings() {
	for _, j := range w.jumps {
		if !w.marked[j.to] {
			w.failAt(j.where, fmt.Errorf("no label %s", j.to))
		}
	}
}

// where returns the line of the generator that called a method of writer.
func where() string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if file := filepath.Base(f.File); file != "emit.go" {
			return fmt.Sprintf("%s:%d", file, f.Line)
		}
		if !more {
			return "?"
		}
	}
}

// emit writes the instruction f of the table with the given operands.
func (w *writer) emit(f form, args ...int) {
	i := table[f]
	word, err := i.encode(args)
	text := i.format(i.text, args)
	if err != nil {
		w.fail(fmt.Errorf("%s: %w", text, err))
		return
	}
	w.lines = append(w.lines, line{text, word})
	if i.isa != "" && !slices.Contains(w.isas, i.isa) {
		w.isas = append(w.isas, i.isa)
	}
	if i.goas != "" {
		fmt.Fprintf(&w.text, "\t%s\n", i.format(i.goas, args))
		return
	}
	fmt.Fprintf(&w.text, "\tWORD $0x%08x // %s\n", word, text)
}

// goline writes an instruction that Go's assembler encodes; text is what a disassembler prints for it, one or more instructions.
func (w *writer) goline(goas string, text ...string) {
	for _, t := range text {
		w.lines = append(w.lines, line{text: t})
	}
	fmt.Fprintf(&w.text, "\t%s\n", goas)
}

// placed checks a register operand of an instruction that goline writes.
func (w *writer) placed(goas string, o operand, v int) {
	if err := o.check(v); err != nil {
		w.fail(fmt.Errorf("%s: %w", goas, err))
	}
}

// Vector arithmetic, four float32 or int32 lanes.

func (w *writer) FMLA(d, n, m V)            { w.emit(fmla, int(d), int(n), int(m)) }        // d += n*m, one rounding
func (w *writer) FMLAlane(d, n, m V, i int) { w.emit(fmlaLane, int(d), int(n), int(m), i) } // d += n*m[i]
func (w *writer) FMLS(d, n, m V)            { w.emit(fmls, int(d), int(n), int(m)) }        // d -= n*m, one rounding
func (w *writer) FADD(d, n, m V)            { w.emit(fadd, int(d), int(n), int(m)) }        // d = n + m
func (w *writer) FSUB(d, n, m V)            { w.emit(fsub, int(d), int(n), int(m)) }        // d = n - m
func (w *writer) FMUL(d, n, m V)            { w.emit(fmul, int(d), int(n), int(m)) }        // d = n*m
func (w *writer) FDIV(d, n, m V)            { w.emit(fdiv, int(d), int(n), int(m)) }        // d = n/m
func (w *writer) FMAX(d, n, m V)            { w.emit(fmax, int(d), int(n), int(m)) }        // NaN if either is
func (w *writer) FMIN(d, n, m V)            { w.emit(fmin, int(d), int(n), int(m)) }        // NaN if either is
func (w *writer) FADDP(d, n, m V)           { w.emit(faddp, int(d), int(n), int(m)) }       // sums of neighbours, n's then m's
func (w *writer) FMAXV(d, n V)              { w.emit(fmaxv, int(d), int(n)) }               // d[0] = largest lane of n
func (w *writer) FMINV(d, n V)              { w.emit(fminv, int(d), int(n)) }               // d[0] = least lane of n
func (w *writer) FCMGT(d, n, m V)           { w.emit(fcmgt, int(d), int(n), int(m)) }       // ones where n > m, zeros elsewhere
func (w *writer) FCMEQ(d, n, m V)           { w.emit(fcmeq, int(d), int(n), int(m)) }       // ones where they are equal, zeros elsewhere
func (w *writer) CMTST(d, n, m V)           { w.emit(cmtst, int(d), int(n), int(m)) }       // ones where they share bits, zeros elsewhere
func (w *writer) FABS(d, n V)               { w.emit(fabs, int(d), int(n)) }                // d = |n|
func (w *writer) FRINTN(d, n V)             { w.emit(frintn, int(d), int(n)) }              // to the nearest even integer
func (w *writer) FCVTNS(d, n V)             { w.emit(fcvtns, int(d), int(n)) }              // the same, as int32
func (w *writer) SCVTF(d, n V)              { w.emit(scvtfV, int(d), int(n)) }              // int32 as float32
func (w *writer) FCVTL(d, n V)              { w.emit(fcvtl, int(d), int(n)) }               // four f16, the low half of n
func (w *writer) FCVTL2(d, n V)             { w.emit(fcvtl2, int(d), int(n)) }              // the high half
func (w *writer) SHLL(d, n V)               { w.emit(shll, int(d), int(n)) }                // four bf16, the low half of n
func (w *writer) SHLL2(d, n V)              { w.emit(shll2, int(d), int(n)) }               // the high half
func (w *writer) SDOTlane(d, n, m V, i int) { w.emit(sdotLane, int(d), int(n), int(m), i) } // d += sums of four products of signed bytes, m's group i
func (w *writer) USMMLA(d, n, m V)          { w.emit(usmmla, int(d), int(n), int(m)) }      // d += n*m transposed, 2x2: n is two rows of eight unsigned bytes, m of signed ones
func (w *writer) SMULL(d, n, m V)           { w.emit(smull, int(d), int(n), int(m)) }       // d = n*m, low bytes to int16
func (w *writer) SMULL2(d, n, m V)          { w.emit(smull2, int(d), int(n), int(m)) }      // high bytes
func (w *writer) SMLAL(d, n, m V)           { w.emit(smlal, int(d), int(n), int(m)) }       // d += n*m, low bytes to int16
func (w *writer) SMLAL2(d, n, m V)          { w.emit(smlal2, int(d), int(n), int(m)) }      // high bytes
func (w *writer) SADALP(d, n V)             { w.emit(sadalp, int(d), int(n)) }              // d += sums of neighbours, int16 to int32
func (w *writer) ADDPint(d, n, m V)         { w.emit(addpInt, int(d), int(n), int(m)) }     // sums of neighbours, int32
func (w *writer) ADDint(d, n, m V)          { w.emit(addInt, int(d), int(n), int(m)) }      // int32
func (w *writer) SUBint(d, n, m V)          { w.emit(subInt, int(d), int(n), int(m)) }      // int32
func (w *writer) SHL(d, n V, bits int)      { w.emit(shl, int(d), int(n), bits) }           // int32
func (w *writer) AND(d, n, m V)             { w.emit(and, int(d), int(n), int(m)) }         // bits
func (w *writer) ORR(d, n, m V)             { w.emit(orr, int(d), int(n), int(m)) }         // bits
func (w *writer) BIC(d, n, m V)             { w.emit(bic, int(d), int(n), int(m)) }         // d = n where m has zeros, else 0
func (w *writer) UZPh(d, n, m V)            { w.emit(uzpH, int(d), int(n), int(m)) }        // the low 16 bits of every lane, n's then m's
func (w *writer) UZP2h(d, n, m V)           { w.emit(uzp2H, int(d), int(n), int(m)) }       // the high 16 bits
func (w *writer) UZPb(d, n, m V)            { w.emit(uzpB, int(d), int(n), int(m)) }        // the low bytes of every 16 bits, n's then m's
func (w *writer) EOR(d, n, m V)             { w.emit(eor, int(d), int(n), int(m)) }         // bits
func (w *writer) BIF(d, n, m V)             { w.emit(bif, int(d), int(n), int(m)) }         // d = n where m has zeros
func (w *writer) EXT(d, n, m V, bytes int)  { w.emit(ext, int(d), int(n), int(m), bytes) }  // 16 bytes of n, m from there on
func (w *writer) MOV(d, n V)                { w.emit(mov, int(d), int(n)) }                 // d = n
func (w *writer) ZERO(d V)                  { w.emit(movi, int(d)) }                        // d = 0
func (w *writer) DUP(d, n V, i int)         { w.emit(dup, int(d), int(n), i) }              // n[i] in all lanes
func (w *writer) TRN1(d, n, m V)            { w.emit(trn1, int(d), int(n), int(m)) }        // n[0] m[0] n[2] m[2]
func (w *writer) TRN2(d, n, m V)            { w.emit(trn2, int(d), int(n), int(m)) }        // n[1] m[1] n[3] m[3]
func (w *writer) ZIP1(d, n, m V)            { w.emit(zip1, int(d), int(n), int(m)) }        // n[0] n[1] m[0] m[1]
func (w *writer) ZIP2(d, n, m V)            { w.emit(zip2, int(d), int(n), int(m)) }        // n[2] n[3] m[2] m[3]
func (w *writer) ZIP1s(d, n, m V)           { w.emit(zip1S, int(d), int(n), int(m)) }       // n[0] m[0] n[1] m[1]
func (w *writer) ZIP2s(d, n, m V)           { w.emit(zip2S, int(d), int(n), int(m)) }       // n[2] m[2] n[3] m[3]

// Vector arithmetic, eight 16-bit lanes.

func (w *writer) ADDh(d, n, m V)              { w.emit(addH, int(d), int(n), int(m)) }
func (w *writer) SUBh(d, n, m V)              { w.emit(subH, int(d), int(n), int(m)) }
func (w *writer) MULh(d, n, m V)              { w.emit(mulH, int(d), int(n), int(m)) }
func (w *writer) TRN1h(d, n, m V)             { w.emit(trn1H, int(d), int(n), int(m)) }         // n[0] m[0] n[2] m[2] ...
func (w *writer) TRN2h(d, n, m V)             { w.emit(trn2H, int(d), int(n), int(m)) }         // n[1] m[1] n[3] m[3] ...
func (w *writer) SMULLlane(d, n, m V, i int)  { w.emit(smullLane, int(d), int(n), int(m), i) }  // d = n*m[i], low half to int32; m is one of V0 to V15
func (w *writer) SMULL2lane(d, n, m V, i int) { w.emit(smull2Lane, int(d), int(n), int(m), i) } // high half
func (w *writer) SMLALlane(d, n, m V, i int)  { w.emit(smlalLane, int(d), int(n), int(m), i) }  // d += n*m[i], low half to int32; m is one of V0 to V15
func (w *writer) SMLAL2lane(d, n, m V, i int) { w.emit(smlal2Lane, int(d), int(n), int(m), i) } // high half
func (w *writer) SSHLL(d, n V, bits int)      { w.emit(sshll, int(d), int(n), bits) }           // d = n<<bits, low half to int32
func (w *writer) SSHLL2(d, n V, bits int)     { w.emit(sshll2, int(d), int(n), bits) }          // high half
func (w *writer) SHLh(d, n V, bits int)       { w.emit(shlH, int(d), int(n), bits) }
func (w *writer) SSHR2h(d, n V)               { w.emit(sshrH, int(d), int(n)) }        // d = n>>2
func (w *writer) SSHR3h(d, n V)               { w.emit(sshr3H, int(d), int(n)) }       // d = n>>3
func (w *writer) SQSHRN11(d, n V)             { w.emit(sqshrn, int(d), int(n)) }       // low half of d = int32>>11, saturated; the high one becomes zero
func (w *writer) SQSHRN11high(d, n V)         { w.emit(sqshrn2, int(d), int(n)) }      // high half of d; the low one stays
func (w *writer) SQSHRN12(d, n V)             { w.emit(sqshrn12, int(d), int(n)) }     // low half of d = int32>>12, saturated; the high one becomes zero
func (w *writer) SQSHRN12high(d, n V)         { w.emit(sqshrn12High, int(d), int(n)) } // high half of d; the low one stays
func (w *writer) SQXTNb(d, n V)               { w.emit(sqxtn, int(d), int(n)) }        // saturated to bytes; the high half becomes zero
func (w *writer) SQSHRUN16(d, n V)            { w.emit(sqshrun, int(d), int(n)) }      // low half of d = int32>>16, saturated to uint16; the high one becomes zero
func (w *writer) SQSHRUN16high(d, n V)        { w.emit(sqshrun2, int(d), int(n)) }     // high half of d; the low one stays
func (w *writer) UQSHRN6(d, n V)              { w.emit(uqshrn, int(d), int(n)) }       // low half of d = uint16>>6, saturated to bytes; the high one becomes zero
func (w *writer) UQSHRN6high(d, n V)          { w.emit(uqshrn2, int(d), int(n)) }      // high half of d; the low one stays
func (w *writer) UXTLb(d, n V)                { w.emit(uxtl, int(d), int(n)) }         // d = the low eight bytes
func (w *writer) UXTL2b(d, n V)               { w.emit(uxtl2, int(d), int(n)) }        // the high eight bytes
func (w *writer) TBL(d, n, m V)               { w.emit(tbl, int(d), int(n), int(m)) }  // the bytes of n that m counts, 0 where it counts beyond 15
func (w *writer) FMOV(d R, n V)               { w.emit(fmov, int(d), int(n)) }         // the low 64 bits

// Arithmetic on lane 0, one float32; the other lanes of the result become zero.

func (w *writer) SCVTFs(d V, n R) { w.emit(scvtf, int(d), int(n)) } // an integer as float32
func (w *writer) FADDs(d, n, m V) { w.emit(faddS, int(d), int(n), int(m)) }
func (w *writer) FDIVs(d, n, m V) { w.emit(fdivS, int(d), int(n), int(m)) }
func (w *writer) FSQRTs(d, n V)   { w.emit(fsqrtS, int(d), int(n)) }

// Loads and stores. Offsets count bytes; "post" means that the address register is advanced afterwards.

func (w *writer) LDR(d V, at R, off int)        { w.emit(ldr, int(d), int(at), off) }
func (w *writer) LDRpost(d V, at R, by int)     { w.emit(ldrPost, int(d), int(at), by) }
func (w *writer) LDRdpost(d V, at R, by int)    { w.emit(ldrDPost, int(d), int(at), by) } // low half, the high one becomes zero
func (w *writer) LDP(d, t V, at R, off int)     { w.emit(ldp, int(d), int(t), int(at), off) }
func (w *writer) LDPpost(d, t V, at R, by int)  { w.emit(ldpPost, int(d), int(t), int(at), by) }
func (w *writer) LDPdpost(d, t V, at R, by int) { w.emit(ldpDPost, int(d), int(t), int(at), by) } // low halves, the high ones become zero
func (w *writer) STR(d V, at R, off int)        { w.emit(str, int(d), int(at), off) }
func (w *writer) STP(d, t V, at R, off int)     { w.emit(stp, int(d), int(t), int(at), off) }
func (w *writer) LDRs(d V, at R, by int)        { w.emit(ldrSPost, int(d), int(at), by) } // lane 0, the others become zero; post
func (w *writer) LDRh(d V, at R, by int)        { w.emit(ldrHPost, int(d), int(at), by) } // 16 bits, the others become zero; post
func (w *writer) STRs(d V, at R, by int)        { w.emit(strSPost, int(d), int(at), by) } // lane 0; post
func (w *writer) STRdpost(d V, at R, by int)    { w.emit(strDPost, int(d), int(at), by) } // low half
func (w *writer) LD1(d V, i int, at R)          { w.emit(ld1Post, int(d), i, int(at)) }   // lane i; post, by 4
func (w *writer) ST1(d V, i int, at R)          { w.emit(st1Post, int(d), i, int(at)) }   // lane i; post, by 4
func (w *writer) LD1R(d V, at R)                { w.emit(ld1r, int(d), int(at)) }         // into all lanes
func (w *writer) LD1Rpost(d V, at R)            { w.emit(ld1rPost, int(d), int(at)) }     // the same; post, by 4
func (w *writer) PRFM(at R, off int)            { w.emit(prfm, int(at), off) }            // into the first-level cache; any address

// Integers and addresses, 64 bits.

func (w *writer) ADD(d, n, m R)       { w.emit(addR, int(d), int(n), int(m)) }
func (w *writer) ADDI(d, n R, i int)  { w.emit(addI, int(d), int(n), i) }
func (w *writer) ADDSI(d, n R, i int) { w.emit(addsI, int(d), int(n), i) } // and compare the sum with 0
func (w *writer) SUB(d, n, m R)       { w.emit(subR, int(d), int(n), int(m)) }
func (w *writer) SUBSI(d, n R, i int) { w.emit(subsI, int(d), int(n), i) } // and compare n with i
func (w *writer) LSL(d, n R, i int)   { w.emit(lslI, int(d), int(n), i) }
func (w *writer) LSR(d, n R, i int)   { w.emit(lsrI, int(d), int(n), i) }
func (w *writer) MOVR(d, n R)         { w.emit(movR, int(d), int(n)) }
func (w *writer) MOVI(d R, i int)     { w.emit(movI, int(d), i) }
func (w *writer) CMPI(n R, i int)     { w.emit(cmpI, int(n), i) }
func (w *writer) CSELGT(d, n, m R)    { w.emit(cselGT, int(d), int(n), int(m)) } // d = greater ? n : m
func (w *writer) CSELLT(d, n, m R)    { w.emit(cselLT, int(d), int(n), int(m)) } // d = less ? n : m

// Branches to labels of the kernel.

func (w *writer) B(to string)   { w.branch("JMP", "b", to) }
func (w *writer) BEQ(to string) { w.branch("BEQ", "b.eq", to) }
func (w *writer) BNE(to string) { w.branch("BNE", "b.ne", to) }
func (w *writer) BLT(to string) { w.branch("BLT", "b.lt", to) }
func (w *writer) BLE(to string) { w.branch("BLE", "b.le", to) }
func (w *writer) BGE(to string) { w.branch("BGE", "b.ge", to) }
func (w *writer) CBZ(n R, to string) {
	goas := fmt.Sprintf("CBZ R%d,", n)
	w.placed(goas, rn, int(n))
	w.branch(goas, "cbz", to)
}
func (w *writer) RET() { w.goline("RET", "ret") }

// label returns a name for a label, unique in the kernel.
func (w *writer) label(name string) string {
	w.labels++
	return fmt.Sprintf("%s%d", name, w.labels)
}

func (w *writer) mark(label string) {
	if w.marked[label] {
		w.fail(fmt.Errorf("label %s is defined twice", label))
	}
	w.marked[label] = true
	fmt.Fprintf(&w.text, "\n%s:\n", label)
}

func (w *writer) branch(goas, text, to string) {
	w.jumps = append(w.jumps, jump{to, where()})
	w.goline(goas+" "+to, text)
}

// arg writes the load of an integer or pointer argument into register d, which it returns and notes in the register map.
func (w *writer) arg(name string, d R) R {
	a := w.param(name, false)
	goas := fmt.Sprintf("MOVD %s+%d(FP), R%d", name, a.at, d)
	w.placed(goas, rd, int(d))
	w.goline(goas, fmt.Sprintf("ldr x%d, [sp, #%d]", d, a.at+8))
	w.holds(name, d)
	return d
}

// setArg writes a store of register n to the stack slot of an integer or pointer argument.
func (w *writer) setArg(name string, n R) {
	a := w.param(name, false)
	goas := fmt.Sprintf("MOVD R%d, %s+%d(FP)", n, name, a.at)
	w.placed(goas, rd, int(n))
	w.goline(goas, fmt.Sprintf("str x%d, [sp, #%d]", n, a.at+8))
}

// floats writes the load of an argument that counts floats, converted to bytes, into register d.
func (w *writer) floats(name string, d R) R {
	w.arg(name, d)
	w.LSL(d, d, 2)
	return d
}

// single writes the load of a float32 argument into lane 0 of v.
func (w *writer) single(name string, v V) {
	a := w.param(name, true)
	goas := fmt.Sprintf("FMOVS %s+%d(FP), F%d", name, a.at, v)
	w.placed(goas, d, int(v))
	w.goline(goas, fmt.Sprintf("ldr s%d, [sp, #%d]", v, a.at+8))
	w.holds(name, v)
}

func (w *writer) param(name string, single bool) arg {
	i := slices.IndexFunc(w.args, func(a arg) bool { return a.name == name })
	switch {
	case i < 0:
		w.fail(fmt.Errorf("no parameter %s", name))
	case w.args[i].single != single:
		w.fail(fmt.Errorf("parameter %s needs a register of the other kind", name))
	default:
		return w.args[i]
	}
	return arg{}
}

// words writes the load of the address of a read-only table of 32-bit words into d. A table of the same name is written
// once per file.
func (w *writer) words(name string, d R, words ...uint32) R {
	goas := fmt.Sprintf("MOVD $%s<>(SB), R%d", name, d)
	w.placed(goas, rd, int(d))
	w.goline(goas, "adrp", "add")
	if have, ok := w.data[name]; ok {
		if !slices.Equal(have, words) {
			w.fail(fmt.Errorf("constant %s differs between kernels", name))
		}
		return d
	}
	w.data[name] = words
	var b bytes.Buffer
	for i, v := range words {
		fmt.Fprintf(&b, "DATA %s<>+%d(SB)/4, $0x%08x\n", name, 4*i, v)
	}
	fmt.Fprintf(&b, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", name, 4*len(words))
	// Insert the table before the current kernel.
	at := bytes.LastIndex(w.text.Bytes(), []byte("\n// func "))
	rest := bytes.Clone(w.text.Bytes()[at:])
	w.text.Truncate(at)
	w.text.WriteString("\n")
	w.text.Write(b.Bytes())
	w.text.Write(rest)
	return d
}

// vectors loads the address of a table of vectors, each with one value in its four lanes: value i at 16*i.
func (w *writer) vectors(name string, d R, values ...float64) R {
	var words []uint32
	for _, v := range values {
		words = append(words, slices.Repeat([]uint32{math.Float32bits(float32(v))}, 4)...)
	}
	return w.words(name, d, words...)
}

// loop writes a loop: f writes its body, which ends with an instruction that sets flags, and back the branch to its start.
func (w *writer) loop(label string, back func(to string), f func()) {
	from := len(w.lines)
	w.mark(label)
	f()
	back(label)
	w.hot = w.lines[from:]
}

// vecs are vectors that go through the same instructions. The code interleaves them, instruction by instruction: a CPU looks
// too few instructions ahead to overlap dependent chains that are written one after the other.
type vecs []V

// regs returns the n consecutive registers from first on.
func regs(first V, n int) vecs {
	v := make(vecs, n)
	for i := range v {
		v[i] = first + V(i)
	}
	return v
}

func (v vecs) each(f func(i int)) {
	for i := range v {
		f(i)
	}
}
