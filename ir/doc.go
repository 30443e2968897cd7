// Package ir is what a model is: a typed program of a few dozen kinds of ops over
// named weights. Front ends (ir/model) write programs with a [Builder], passes
// rewrite them, codegen turns them into Go, and [Program.Run] says in float64 what
// they mean.
//
// A [Program] holds weights and functions, one function an entry point. A [Func]
// is a list of [Value]s in order, each assigned once; there is no control flow and
// no batch: a function is written for one sequence. One length may vary at run
// time, T, the rows of the text, so a [Dim] is C, T or C+T.
//
// An [Op] is a row of the op table [Ops]. Nothing else here lists the ops: verifier,
// printer, parser, inference, interpreter and cost read the row, and so do the passes
// that choose kernels and memory. A fused op, such as ffn, is a row that expands to
// other rows and means what they mean.
//
// README's section "Changing it" says what a new op takes.
//
// The package imports the standard library only, and everything else imports it.
// It is no place for speed, memory layout or files: kernels are in asm, rewrites in
// passes, checkpoints in ir/checkpoint.
//
// # Text
//
// [Print] writes and [Parse] reads this form, one value a line; the text printed
// for a program parses back to the same text.
//
//	// Everything after two slashes is a comment.
//	program tiny T<=4
//	weight @l0.vision.w f32[4,4]
//	weight @l0.language.w f32[4,4]
//	weight @retrieval.logit_scale f32[1] keep
//
//	func pair(x: f32[3+T,4]) segments vision=3, language=T {
//	  h     = linear x, @l0.* : f32[3+T,4]
//	  c     = attention h, h, h {heads=2} : f32[3+T,4]
//	  return c
//	}
//
// A value is a name, an op, its arguments, a weight bundle, attributes in the order
// of the op's row, and its type. Names hold letters, digits, _ and dots. A bundle
// is a prefix of weight names: the op's row lists its fields, so linear with
// @l0.vision reads @l0.vision.w and, if there is one, @l0.vision.b. A * in a bundle
// is an expert pool: each segment of the sequence uses the expert of its name, here
// @l0.vision for the first three rows and @l0.language for the rest. The attribute
// {route=vl} names one expert for the whole sequence when there are two or more
// segments.
//
// The scores of an attention may have a relative position bias: attention q, k, v,
// @l0.relbias {heads=2} adds what the tables text, image and cross of the bundle hold
// for the places of query and key. The sequence is then the text, before the image.
// at says which place the first query has, if it is not 0.
//
// A parameter marked state is kept by the runtime between calls, such as the keys and
// values of a caption's words so far. store says which rows of a call are added to it;
// here it is its argument, and whoever calls the function keeps the result. A function
// with states may run at T = 0, nothing cached, so none of its values has T rows alone.
//
//	func step(ids: i32[2], state kv0: f32[197+T,8]) {
//	  ...
//	  c0    = crossattention q0, kv0, new {heads=2 at=197+T prefix=197+T} : f32[2,4]
//	  new0  = store new {slot=0 rows=1} : f32[1,8]
//	  ...
//
// keep marks a weight that no function needs but the Go API reads. Late passes add
// to lines: "layout=panel16 at 4096" to a weight that is packed at a byte offset of
// the weight file, "at 128" to a value placed at a byte offset of the arena,
// "arena=4096" to a function whose arena has so many bytes, and the attributes in
// [CommonAttrs]. None of these changes a number. Where weights come from
// ([Weight.Origin], [Weight.Load]) is not part of the text.
//
//	program  = "program" name [ "T<=" number ] { weight | func }
//	weight   = "weight" "@"path type [ "keep" ] [ "layout="symbol ] [ "at" number ]
//	func     = "func" name "(" [ param { "," param } ] ")" [ "segments" segment { "," segment } ] [ "arena=" number ] "{" { value } return "}"
//	param    = [ "state" ] name ":" type [ "at" number ]
//	segment  = name "=" dim
//	value    = name "=" op [ arg { "," arg } ] [ "{" { key"="( number | dim | symbol ) } "}" ] ":" type [ "at" number ]
//	arg      = name | "@"path, the path last
//	return   = "return" name { "," name }
//	type     = dtype "[" dim { "," dim } "]"
//	dtype    = a [DType] in small letters, such as "f32"
//	dim      = number | "T" | number"+T"
//
// # Glossary
//
// The terms of this package, and of the packages above it:
//
//	arena        the memory of a function's values, planned when it is compiled
//	bundle       a prefix of weight names, such as @l0.vision, whose fields an op reads
//	candidate    a format that a group of modules could be stored in
//	class        a kind of weights, such as ffn, that a description gives a format
//	description  the YAML file that says what a model is and where its weights are
//	entry        the modalities of a function's input: vision, language or pair
//	error        1 - cosine of an output row with the model in float64; caused by rounding
//	expert       one of the weight bundles of a pool, chosen by modality
//	format       how the numbers of a weight are stored and multiplied: f32, bf16, int8
//	function     an entry with a task: what a caller runs on one sequence
//	fused op     an op that stands for others and that one step computes
//	golden       outputs of a reference implementation that ours must equal
//	group        modules that the chooser of formats stores alike
//	kernel       a machine routine, such as a matrix product of a tile
//	ladder       the order of packages: each imports only those below it
//	layer        attention and a feed-forward block, with their norms
//	level        a set of CPU features that kernels are written for, such as avx2
//	linear       a matrix product with a weight, and a bias if it has one
//	lower        to make a program of a description
//	module       the matrices of one product in one expert, such as l3.ffn.vision.fc1
//	narrow       to store weights in a format smaller than f32
//	norm         a layernorm
//	override     a module that is stored in another format than its class
//	pack         to reorder a matrix into the panels that its kernel reads
//	panel        a block of columns of a packed matrix, as wide as a tile
//	pass         a rewrite of a program
//	pool         the experts of one layer that do the same for different segments
//	position     the index of a token or patch in its sequence
//	program      weights and functions: a model in this package
//	route        to give each segment its expert, so that no pool is left
//	row          a vector of a value: of one token or patch, or of a result
//	segment      consecutive rows of a sequence that are of one modality
//	smooth       to scale and shift a norm's columns so that rounding its rows costs less
//	state        values that outlive a call, such as a caption's keys and values
//	T            the number of text tokens in a call
//	task         what a model is asked for, such as retrieval or captioning
//	tile         the rows and columns of a result that one kernel call computes
//	token        an id of the vocabulary; a text is a list of them
//	tune         to choose overrides that keep the error within the description's bound
//	twin         the Go function that a kernel in assembly must agree with
//	value        the result of an op, a tensor; it is assigned once
//	weight       a named constant tensor of a program
package ir
