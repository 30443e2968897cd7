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
// README's section "Changing it" adds a fused op and a pass step by step, whole; RATIONALE.md has what was tried
// and dropped. In short, a fusion is a Pass whose Run is fusing(func(x, v) {...}): for a value v that could be the
// last of the pattern it calls x.fuse with the op, bundle, attributes and arguments that the fused op would have.
// x.fuse expands that and compares it with the program, op by op; it refuses when anything differs, or when an
// op outside of the pattern reads a value that would disappear. So the code only has to guess.
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
