// Package passes rewrites a program, step by step, from the model of a description to a
// program in which every value has an address and every op a kernel.
//
// Each [Pass] is one file: a comment with the text before and after, and a small rewrite
// that either applies or leaves the program alone. [All] lists the passes in order, with
// the reasons for the order. A [Property] is a fact that a pass establishes; after every
// pass [Run] verifies the program and checks every property so far. [Numeric] is a pass's
// promise about the results.
//
//	q = linear x, @l0.attn.*.q : f32[197+T,768]      as described
//	q.v = linear x.v, @l0.attn.vision.q : ...        route: one expert per segment
//	q.v = linear n.v, @l0.attn.vision~f.q : ...      fold: the norm's gain is in the weights
//	i.v = qkv x.v, @l0.attn.vision~f {...} : ...     fuse-qkv: one product for q, k and v
//	i.v = qkv ... kernel=gemm_f32 ld=2320 ... at 0   select, pack, plan
//
// The example Walkthrough prints a layer after every pass.
//
// README's section "Changing it" adds a fused op and its pass step by step; RATIONALE.md lists what was tried and
// dropped. A fusion is a Pass whose Run is fusing(func(x, v) {...}): for every value v that could be the last one of
// the pattern, the function calls x.fuse with the op, bundle, attributes and arguments of the fused op. x.fuse expands
// the fused op and compares the expansion with the program, op by op. It refuses if anything differs, or if an op
// outside of the pattern reads a value that would disappear, and reports the reason to Options.Refused. The function may
// therefore guess. If the patterns of two fusions overlap, the larger one is first in [All].
//
// # Planned programs
//
// The passes add to a program what code generation needs: the attributes kernel (the
// family, or go), ld (leading dimension in floats), tmp, hidden and gate (bytes into the
// arena), each value's offset (bytes into the arena), each weight's layout (asm.WeightLayout)
// and offset (bytes into the weight file), and each function's Arena (bytes). See [Pack] and
// [Plan].
//
// Package passes imports ir and asm, and codegen is above it. The passes know nothing of
// CPUs, files or time: the same program gives the same text.
package passes
