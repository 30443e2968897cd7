package arm64

import (
	"fmt"
	"strconv"
	"strings"
)

// V is a vector register, V0 to V31. Its low lane is the scalar register of the same number.
type V int

// R is a general register, R0 to R26 except R18. The others are reserved by the platform, Go's assembler and Go's runtime.
type R int

func (v V) String() string { return fmt.Sprintf("V%d", int(v)) }
func (r R) String() string { return fmt.Sprintf("R%d", int(r)) }

// field is a group of adjacent bits in an instruction word.
type field struct{ at, width int }

// operand is one operand of an instruction: the values it may have and its bits in the word.
type operand struct {
	name   string // in inst.text
	kind   kind
	scale  int // an immediate must be a multiple of it and is encoded divided by it
	signed bool
	fields []field // low bits first; nil if Go's assembler encodes it
}

type kind int

const (
	vector kind = iota
	general
	immediate
)

// vec and gen return register operands, encoded from the given bit on; without a bit, Go's assembler encodes them.
func vec(name string, at ...int) operand { return register(name, vector, at) }
func gen(name string, at ...int) operand { return register(name, general, at) }

func register(name string, k kind, at []int) operand {
	o := operand{name: name, kind: k, scale: 1}
	for _, a := range at {
		o.fields = append(o.fields, field{a, 5})
	}
	return o
}

func imm(name string, scale int, fields ...field) operand {
	return operand{name: name, kind: immediate, scale: scale, fields: fields}
}

func offset(scale int, f field) operand {
	return operand{name: "o", kind: immediate, scale: scale, signed: true, fields: []field{f}}
}

// bounds returns the smallest and the largest value that the operand can have: a register's number, or an immediate or
// offset.
func (o operand) bounds() (least, most int) {
	bits := 0
	for _, f := range o.fields {
		bits += f.width
	}
	switch {
	case o.kind == vector:
		if bits == 0 {
			bits = 5
		}
		return 0, 1<<bits - 1
	case o.kind == general:
		return 0, 26
	case o.signed:
		return -o.scale << (bits - 1), o.scale * (1<<(bits-1) - 1)
	}
	return 0, o.scale * (1<<bits - 1)
}

// check returns an error if the operand cannot have the value v: out of bounds, no multiple of its scale, or the reserved
// R18.
func (o operand) check(v int) error {
	least, most := o.bounds()
	if v >= least && v <= most && v%o.scale == 0 && (o.kind != general || v != 18) {
		return nil
	}
	switch o.kind {
	case vector:
		return fmt.Errorf("operand %s: V%d, want V0 to V%d", o.name, v, most)
	case general:
		return fmt.Errorf("operand %s: R%d, want R0 to R26 and not R18", o.name, v)
	}
	return fmt.Errorf("operand %s: %d, want a multiple of %d from %d to %d", o.name, v, o.scale, least, most)
}

// encode returns the bits of the instruction word that encode v.
func (o operand) encode(v int) uint32 {
	v /= o.scale
	var w uint32
	for _, f := range o.fields {
		w |= uint32(v&(1<<f.width-1)) << f.at
		v >>= f.width
	}
	return w
}

// inst is a row of the instruction table. Operands have the order of the arguments of the method of writer that writes it.
type inst struct {
	text string // in GNU syntax, {x} for operand x
	word uint32 // the encoding with all operands zero; 0 if Go's assembler encodes the instruction
	goas string // in Go's syntax, if word is 0
	isa  string // the instruction set that it needs; "": the baseline
	ops  []operand
}

// format replaces each {name} in text, which is i.text or i.goas, by the value of the operand with that name.
func (i inst) format(text string, args []int) string {
	for n, o := range i.ops {
		text = strings.ReplaceAll(text, "{"+o.name+"}", strconv.Itoa(args[n]))
	}
	return text
}

// encode returns the instruction's word, 0 if Go's assembler encodes it. It is an error if an operand is out of range.
func (i inst) encode(args []int) (uint32, error) {
	w := i.word
	for n, o := range i.ops {
		if err := o.check(args[n]); err != nil {
			return 0, err
		}
		w |= o.encode(args[n])
	}
	if i.word == 0 {
		return 0, nil
	}
	return w, nil
}

// form is the index of an instruction in table.
type form int

const (
	fmla form = iota
	fmlaLane
	fmls
	fadd
	fsub
	fmul
	fdiv
	fmax
	fmin
	faddp
	fmaxv
	fabs
	frintn
	fcvtns
	fcvtl
	fcvtl2
	shll
	shll2
	sdotLane
	usmmla
	smull
	smull2
	smlal
	smlal2
	sadalp
	addpInt
	eor
	scvtfV
	fminv
	fcmgt
	fcmeq
	cmtst
	bic
	orr
	uzpH
	uzp2H
	uzpB
	addH
	subH
	mulH
	trn1H
	trn2H
	smullLane
	smull2Lane
	smlalLane
	smlal2Lane
	sshll
	sshll2
	shlH
	sshrH
	sshr3H
	sqshrn
	sqshrn2
	sqshrn12
	sqshrn12High
	sqxtn
	sqshrun
	sqshrun2
	uqshrn
	uqshrn2
	uxtl
	uxtl2
	tbl
	fmov
	addInt
	subInt
	shl
	and
	bif
	ext
	mov
	movi
	dup
	trn1
	trn2
	zip1
	zip2
	zip1S
	zip2S
	scvtf
	faddS
	fdivS
	fsqrtS
	ldr
	ldrPost
	ldrDPost
	ldp
	ldpPost
	ldpDPost
	str
	stp
	ldrSPost
	ldrHPost
	strSPost
	strDPost
	ld1Post
	st1Post
	ld1r
	ld1rPost
	prfm
	addR
	addI
	addsI
	subR
	subsI
	lslI
	lsrI
	movR
	movI
	cmpI
	cselGT
	cselLT
)

// Operands that several instructions of the table share.
var (
	d, n, m = vec("d", 0), vec("n", 5), vec("m", 16)
	t       = vec("t", 10) // second of a pair
	base    = gen("n", 5)  // address
	rd, rn  = gen("d"), gen("n")
	rm      = gen("m")
	imm12   = imm("i", 1, field{10, 12})
)

func three(name string, word uint32) inst {
	return inst{text: name + " v{d}.4s, v{n}.4s, v{m}.4s", word: word, ops: []operand{d, n, m}}
}

func bits(name string, word uint32) inst {
	return inst{text: name + " v{d}.16b, v{n}.16b, v{m}.16b", word: word, ops: []operand{d, n, m}}
}

func doubles(name string, word uint32) inst {
	return inst{text: name + " v{d}.2d, v{n}.2d, v{m}.2d", word: word, ops: []operand{d, n, m}}
}

func shorts(name string, word uint32) inst {
	return inst{text: name + " v{d}.8h, v{n}.8h, v{m}.8h", word: word, ops: []operand{d, n, m}}
}

// by returns an instruction on 16-bit lanes whose second factor is one lane of V0 to V15.
func by(name string, word uint32) inst {
	few := operand{name: "m", kind: vector, scale: 1, fields: []field{{16, 4}}}
	return inst{text: name + ", v{m}.h[{i}]", word: word, ops: []operand{d, n, few, imm("i", 1, field{20, 1}, field{21, 1}, field{11, 1})}}
}

func two(name string, word uint32) inst {
	return inst{text: name + " v{d}.4s, v{n}.4s", word: word, ops: []operand{d, n}}
}

// at returns a load or store of one register at an address plus an offset.
func at(name string, word uint32, scale int) inst {
	return inst{text: name + "{d}, [x{n}, #{o}]", word: word, ops: []operand{d, base, imm("o", scale, field{10, 12})}}
}

// post returns a load or store of one register that advances the address register afterwards.
func post(name string, word uint32) inst {
	return inst{text: name + "{d}, [x{n}], #{o}", word: word, ops: []operand{d, base, offset(1, field{12, 9})}}
}

// lane returns a load or store of one 32-bit lane that advances the address register by 4.
func lane(name string, word uint32) inst {
	return inst{text: name + " {v{d}.s}[{i}], [x{n}], #4", word: word, ops: []operand{d, imm("i", 1, field{12, 1}, field{30, 1}), base}}
}

// table holds every instruction that kernels use. Go's assembler lacks most vector instructions; those on general registers are
// left to it.
var table = [...]inst{
	fmla:     three("fmla", 0x4e20cc00),
	fmlaLane: {text: "fmla v{d}.4s, v{n}.4s, v{m}.s[{i}]", word: 0x4f801000, ops: []operand{d, n, m, imm("i", 1, field{21, 1}, field{11, 1})}},
	fmls:     three("fmls", 0x4ea0cc00),
	fadd:     three("fadd", 0x4e20d400),
	fsub:     three("fsub", 0x4ea0d400),
	fmul:     three("fmul", 0x6e20dc00),
	fdiv:     three("fdiv", 0x6e20fc00),
	fmax:     three("fmax", 0x4e20f400),
	fmin:     three("fmin", 0x4ea0f400),
	faddp:    three("faddp", 0x6e20d400),
	fmaxv:    {text: "fmaxv s{d}, v{n}.4s", word: 0x6e30f800, ops: []operand{d, n}},
	fabs:     two("fabs", 0x4ea0f800),
	frintn:   two("frintn", 0x4e218800),
	fcvtns:   two("fcvtns", 0x4e21a800),
	fcvtl:    {text: "fcvtl v{d}.4s, v{n}.4h", word: 0x0e217800, ops: []operand{d, n}},
	fcvtl2:   {text: "fcvtl2 v{d}.4s, v{n}.8h", word: 0x4e217800, ops: []operand{d, n}},
	shll:     {text: "shll v{d}.4s, v{n}.4h, #16", word: 0x2e613800, ops: []operand{d, n}},
	shll2:    {text: "shll2 v{d}.4s, v{n}.8h, #16", word: 0x6e613800, ops: []operand{d, n}},
	sdotLane: {text: "sdot v{d}.4s, v{n}.16b, v{m}.4b[{i}]", word: 0x4f80e000, isa: "ASIMDDP", ops: []operand{d, n, m, imm("i", 1, field{21, 1}, field{11, 1})}},
	usmmla:   {text: "usmmla v{d}.4s, v{n}.16b, v{m}.16b", word: 0x4e80ac00, isa: "I8MM", ops: []operand{d, n, m}},
	smull:    {text: "smull v{d}.8h, v{n}.8b, v{m}.8b", word: 0x0e20c000, ops: []operand{d, n, m}},
	smull2:   {text: "smull2 v{d}.8h, v{n}.16b, v{m}.16b", word: 0x4e20c000, ops: []operand{d, n, m}},
	smlal:    {text: "smlal v{d}.8h, v{n}.8b, v{m}.8b", word: 0x0e208000, ops: []operand{d, n, m}},
	smlal2:   {text: "smlal2 v{d}.8h, v{n}.16b, v{m}.16b", word: 0x4e208000, ops: []operand{d, n, m}},
	sadalp:   {text: "sadalp v{d}.4s, v{n}.8h", word: 0x4e606800, ops: []operand{d, n}},
	addpInt:  three("addp", 0x4ea0bc00),
	eor:      bits("eor", 0x6e201c00),
	scvtfV:   two("scvtf", 0x4e21d800),
	fminv:    {text: "fminv s{d}, v{n}.4s", word: 0x6eb0f800, ops: []operand{d, n}},
	fcmgt:    three("fcmgt", 0x6ea0e400),
	fcmeq:    three("fcmeq", 0x4e20e400),
	cmtst:    three("cmtst", 0x4ea08c00),
	bic:      bits("bic", 0x4e601c00),
	orr:      bits("orr", 0x4ea01c00),
	uzpH:     {text: "uzp1 v{d}.8h, v{n}.8h, v{m}.8h", word: 0x4e401800, ops: []operand{d, n, m}},
	uzp2H:    {text: "uzp2 v{d}.8h, v{n}.8h, v{m}.8h", word: 0x4e405800, ops: []operand{d, n, m}},
	uzpB:     bits("uzp1", 0x4e001800),
	addH:     shorts("add", 0x4e608400),
	subH:     shorts("sub", 0x6e608400),
	mulH:     shorts("mul", 0x4e609c00),
	trn1H:    shorts("trn1", 0x4e402800),
	trn2H:    shorts("trn2", 0x4e406800),

	smullLane:  by("smull v{d}.4s, v{n}.4h", 0x0f40a000),
	smull2Lane: by("smull2 v{d}.4s, v{n}.8h", 0x4f40a000),
	smlalLane:  by("smlal v{d}.4s, v{n}.4h", 0x0f402000),
	smlal2Lane: by("smlal2 v{d}.4s, v{n}.8h", 0x4f402000),

	sshll:        {text: "sshll v{d}.4s, v{n}.4h, #{i}", word: 0x0f10a400, ops: []operand{d, n, imm("i", 1, field{16, 4})}},
	sshll2:       {text: "sshll2 v{d}.4s, v{n}.8h, #{i}", word: 0x4f10a400, ops: []operand{d, n, imm("i", 1, field{16, 4})}},
	shlH:         {text: "shl v{d}.8h, v{n}.8h, #{i}", word: 0x4f105400, ops: []operand{d, n, imm("i", 1, field{16, 4})}},
	sshrH:        {text: "sshr v{d}.8h, v{n}.8h, #2", word: 0x4f1e0400, ops: []operand{d, n}},
	sshr3H:       {text: "sshr v{d}.8h, v{n}.8h, #3", word: 0x4f1d0400, ops: []operand{d, n}},
	sqshrn:       {text: "sqshrn v{d}.4h, v{n}.4s, #11", word: 0x0f159400, ops: []operand{d, n}},
	sqshrn2:      {text: "sqshrn2 v{d}.8h, v{n}.4s, #11", word: 0x4f159400, ops: []operand{d, n}},
	sqshrn12:     {text: "sqshrn v{d}.4h, v{n}.4s, #12", word: 0x0f149400, ops: []operand{d, n}},
	sqshrn12High: {text: "sqshrn2 v{d}.8h, v{n}.4s, #12", word: 0x4f149400, ops: []operand{d, n}},
	sqxtn:        {text: "sqxtn v{d}.8b, v{n}.8h", word: 0x0e214800, ops: []operand{d, n}},
	sqshrun:      {text: "sqshrun v{d}.4h, v{n}.4s, #16", word: 0x2f108400, ops: []operand{d, n}},
	sqshrun2:     {text: "sqshrun2 v{d}.8h, v{n}.4s, #16", word: 0x6f108400, ops: []operand{d, n}},
	uqshrn:       {text: "uqshrn v{d}.8b, v{n}.8h, #6", word: 0x2f0a9400, ops: []operand{d, n}},
	uqshrn2:      {text: "uqshrn2 v{d}.16b, v{n}.8h, #6", word: 0x6f0a9400, ops: []operand{d, n}},
	uxtl:         {text: "uxtl v{d}.8h, v{n}.8b", word: 0x2f08a400, ops: []operand{d, n}},
	uxtl2:        {text: "uxtl2 v{d}.8h, v{n}.16b", word: 0x6f08a400, ops: []operand{d, n}},
	tbl:          {text: "tbl v{d}.16b, {v{n}.16b}, v{m}.16b", word: 0x4e000000, ops: []operand{d, n, m}},
	fmov:         {text: "fmov x{d}, d{n}", word: 0x9e660000, ops: []operand{gen("d", 0), n}},
	addInt:       three("add", 0x4ea08400),
	subInt:       three("sub", 0x6ea08400),
	shl:          {text: "shl v{d}.4s, v{n}.4s, #{i}", word: 0x4f205400, ops: []operand{d, n, imm("i", 1, field{16, 5})}},
	and:          bits("and", 0x4e201c00),
	bif:          bits("bif", 0x6ee01c00),
	ext:          {text: "ext v{d}.16b, v{n}.16b, v{m}.16b, #{i}", word: 0x6e000000, ops: []operand{d, n, m, imm("i", 1, field{11, 4})}},
	movi:         {text: "movi v{d}.2d, #0", word: 0x6f00e400, ops: []operand{d}},
	dup:          {text: "dup v{d}.4s, v{n}.s[{i}]", word: 0x4e040400, ops: []operand{d, n, imm("i", 1, field{19, 2})}},
	trn1:         three("trn1", 0x4e802800),
	trn2:         three("trn2", 0x4e806800),
	zip1:         doubles("zip1", 0x4ec03800),
	zip2:         doubles("zip2", 0x4ec07800),
	zip1S:        three("zip1", 0x4e803800),
	zip2S:        three("zip2", 0x4e807800),
	scvtf:        {text: "scvtf s{d}, x{n}", word: 0x9e220000, ops: []operand{d, base}},
	faddS:        {text: "fadd s{d}, s{n}, s{m}", word: 0x1e202800, ops: []operand{d, n, m}},
	fdivS:        {text: "fdiv s{d}, s{n}, s{m}", word: 0x1e201800, ops: []operand{d, n, m}},
	fsqrtS:       {text: "fsqrt s{d}, s{n}", word: 0x1e21c000, ops: []operand{d, n}},
	ldr:          at("ldr q", 0x3dc00000, 16),
	ldrPost:      post("ldr q", 0x3cc00400),
	ldrDPost:     post("ldr d", 0xfc400400),
	ldp:          {text: "ldp q{d}, q{t}, [x{n}, #{o}]", word: 0xad400000, ops: []operand{d, t, base, offset(16, field{15, 7})}},
	ldpPost:      {text: "ldp q{d}, q{t}, [x{n}], #{o}", word: 0xacc00000, ops: []operand{d, t, base, offset(16, field{15, 7})}},
	ldpDPost:     {text: "ldp d{d}, d{t}, [x{n}], #{o}", word: 0x6cc00000, ops: []operand{d, t, base, offset(8, field{15, 7})}},
	str:          at("str q", 0x3d800000, 16),
	stp:          {text: "stp q{d}, q{t}, [x{n}, #{o}]", word: 0xad000000, ops: []operand{d, t, base, offset(16, field{15, 7})}},
	ldrSPost:     post("ldr s", 0xbc400400),
	ldrHPost:     post("ldr h", 0x7c400400),
	strSPost:     post("str s", 0xbc000400),
	strDPost:     post("str d", 0xfc000400),
	ld1Post:      lane("ld1", 0x0ddf8000),
	st1Post:      lane("st1", 0x0d9f8000),
	ld1r:         {text: "ld1r {v{d}.4s}, [x{n}]", word: 0x4d40c800, ops: []operand{d, base}},
	ld1rPost:     {text: "ld1r {v{d}.4s}, [x{n}], #4", word: 0x4ddfc800, ops: []operand{d, base}},
	prfm:         {text: "prfm pldl1keep, [x{n}, #{o}]", word: 0xf9800000, ops: []operand{base, imm("o", 8, field{10, 12})}},

	mov:    {text: "mov v{d}.16b, v{n}.16b", goas: "VMOV V{n}.B16, V{d}.B16", ops: []operand{vec("d"), vec("n")}},
	addR:   {text: "add x{d}, x{n}, x{m}", goas: "ADD R{m}, R{n}, R{d}", ops: []operand{rd, rn, rm}},
	addI:   {text: "add x{d}, x{n}, #{i}", goas: "ADD ${i}, R{n}, R{d}", ops: []operand{rd, rn, imm12}},
	subR:   {text: "sub x{d}, x{n}, x{m}", goas: "SUB R{m}, R{n}, R{d}", ops: []operand{rd, rn, rm}},
	subsI:  {text: "subs x{d}, x{n}, #{i}", goas: "SUBS ${i}, R{n}, R{d}", ops: []operand{rd, rn, imm12}},
	addsI:  {text: "adds x{d}, x{n}, #{i}", goas: "ADDS ${i}, R{n}, R{d}", ops: []operand{rd, rn, imm12}},
	lslI:   {text: "lsl x{d}, x{n}, #{i}", goas: "LSL ${i}, R{n}, R{d}", ops: []operand{rd, rn, imm("i", 1, field{16, 6})}},
	lsrI:   {text: "lsr x{d}, x{n}, #{i}", goas: "LSR ${i}, R{n}, R{d}", ops: []operand{rd, rn, imm("i", 1, field{16, 6})}},
	movR:   {text: "mov x{d}, x{n}", goas: "MOVD R{n}, R{d}", ops: []operand{rd, rn}},
	movI:   {text: "mov x{d}, #{i}", goas: "MOVD ${i}, R{d}", ops: []operand{rd, imm("i", 1, field{5, 16})}},
	cmpI:   {text: "cmp x{n}, #{i}", goas: "CMP ${i}, R{n}", ops: []operand{rn, imm12}},
	cselGT: {text: "csel x{d}, x{n}, x{m}, gt", goas: "CSEL GT, R{n}, R{m}, R{d}", ops: []operand{rd, rn, rm}},
	cselLT: {text: "csel x{d}, x{n}, x{m}, lt", goas: "CSEL LT, R{n}, R{m}, R{d}", ops: []operand{rd, rn, rm}},
}
