// Package passes rewrites programs: from a model as its description says it, to one
// where every value has an address and every op a kernel.
//
// A [Pass] is one file: a comment with the text before and after, and a small rewrite
// that either applies or leaves the program alone. [All] lists the passes in order,
// with the reasons. A [Property] is what a pass establishes; [Run] verifies the program
// and checks every property so far after every pass. [Numeric] is a pass's promise
// about the results.
//
//	q = linear x, @l0.attn.*.q : f32[197+T,768]      as described
//	q.v = linear x.v, @l0.attn.vision.q : ...        route: an expert a segment
//	q.v = linear n.v, @l0.attn.vision~f.q : ...      fold: the norm's gain is in the weights
//	i.v = qkv x.v, @l0.attn.vision~f {...} : ...     fuse-qkv: one product for q, k and v
//	i.v = qkv ... kernel=gemm_f32 ld=2320 ... at 0   select, pack, plan
//
// The example Walkthrough prints a layer after every pass.
//
// # A fusion in an afternoon
//
// Say norm, linear and gelu should be one op, lingelu.
//
//  1. In package ir, add its row to the op table: fields, attributes, and Expand, which
//     writes it as primitives. Meaning, types and cost follow from that. Kernels says what
//     computes it, InPlace and Scratch what memory it may write over and needs besides,
//     Step which method of the runtime's Exec is called with what: write that method too.
//  2. Here, add fuse_lingelu.go: a Pass whose Run is fusing(func(p, f, v) {...}). For a
//     value v that could be the last of the pattern, call fuse with the op, bundle,
//     attributes and arguments it would have. fuse expands the proposal and compares it
//     with what stands there, op by op; it refuses when anything differs, or when
//     someone else reads a value that would disappear. So the code only has to guess.
//  3. Put it into All, with the reason for its place.
//  4. Write testdata/fuse-lingelu/*.ir: the pattern, and each near miss (a second
//     reader, another eps, another bundle). The first line says why the case exists.
//     go test ./passes -update writes the text after; the numbers are compared anyway.
//  5. Add the op to the tests of all ops: TestFused and the example of ir, everyFused of
//     codegen, and the steps of codegen/rt/exec. Then go generate ./generated/... where
//     models have the pattern.
//
// # What a planned program says
//
// For whoever writes code from it, the notes are: kernel (the family, or go), ld
// (floats), tmp, hidden and the value's offset (bytes into the arena), block (rows of
// an ffn at a time), a weight's layout (asm.WeightLayout) and offset (bytes into the
// blob), and the function's Arena (bytes). See [Pack] and [Plan].
//
// Place in the ladder: above ir and asm, below codegen, which passes never sees. The
// passes know nothing of CPUs, files or clocks: the same program gives the same text.
package passes
