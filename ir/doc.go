// Package ir is the intermediate representation of models: a typed program of a few
// dozen kinds of ops over named weights. ir/model writes programs with a [Builder],
// passes rewrite them, codegen compiles them to Go, and the interpreter [Program.Run]
// defines in float64 what they compute.
//
// A [Program] holds weights and functions; each function is an entry point. A [Func]
// is a list of [Value]s in order, each assigned once. It has no control flow and no
// batch dimension: a function is written for one sequence. One length may vary at run
// time, T, the number of text tokens, so a [Dim] is C, T or C+T.
//
// An [Op] is an entry of the op table [Ops], the only list of ops. The verifier, printer,
// parser, type inference, interpreter and cost model read the table, and so do the passes
// that choose kernels and memory. A fused op, such as ffn, expands to other ops and
// computes what they compute.
//
// README's section "Changing it" lists the steps for adding an op.
//
// The package imports only the standard library, and most other packages import it.
// Speed, memory layout and files are the business of others: kernels are in asm, rewrites
// in passes, checkpoints in ir/checkpoint.
//
// # Text
//
// [Print] writes and [Parse] reads this form, with one value per line. A printed program
// parses and prints to the same text.
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
// of the op's declaration, and its type. Names hold letters, digits, _ and dots. A bundle
// is a prefix of weight names, whose fields the op lists: linear with @l0.vision reads
// @l0.vision.w and, if there is one, @l0.vision.b. A * in a bundle is an expert pool: each
// segment of the sequence uses the expert of its name, here @l0.vision for the first three
// rows and @l0.language for the rest. The attribute {route=vl} names one expert for the
// whole sequence if the function has two or more segments.
//
// The scores of an attention may have a relative position bias: attention q, k, v,
// @l0.relbias {heads=2} adds entries of the bundle's tables text, image and cross, chosen
// by the positions of query and key. The sequence is then the text followed by the image.
// The attribute at is the position of the first query, if it is not 0.
//
// A parameter marked state is kept by the runtime between calls, such as the keys and
// values of a caption's tokens so far. The op store returns the rows that the runtime adds
// to a state; in the interpreter the caller adds them. A function with states may run at
// T = 0, when nothing is cached, so the rows of its values are a constant, or a constant + T.
//
//	func step(ids: i32[2], state kv0: f32[197+T,8]) {
//	  ...
//	  c0    = crossattention q0, kv0, new {heads=2 at=197+T prefix=197+T} : f32[2,4]
//	  new0  = store new {slot=0 rows=1} : f32[1,8]
//	  ...
//
// The word keep marks a weight that no function needs but the Go API reads. Late passes
// add to lines: "layout=panel16 at 4096" to a weight that is packed at that byte offset of
// the weight file, "at 128" to a value at that byte offset of the arena, "arena=4096" to a
// function whose arena has that many bytes, and the attributes in [CommonAttrs]. None of
// these changes a result. The text does not contain where weights are read from
// ([Weight.Origin], [Weight.Load]).
//
//	program  = "program" name [ "T<=" number ] { weight | func }
//	weight   = "weight" "@"path type [ "keep" ] [ "layout="symbol ] [ "at" number ]
//	func     = "func" name "(" [ param { "," param } ] ")" [ "segments" segment { "," segment } ] [ "arena=" number ] "{" { value } return "}"
//	param    = [ "state" ] name ":" type [ "at" number ]
//	segment  = name "=" dim
//	value    = name "=" op [ arg { "," arg } ] [ "{" { key"="( number | dim | symbol ) } "}" ] ":" type [ "at" number ]
//	arg      = name | "@"path; the path is the last argument
//	return   = "return" name { "," name }
//	type     = dtype "[" dim { "," dim } "]"
//	dtype    = a [DType] in lower case, such as "f32"
//	dim      = number | "T" | number"+T"
//
// # Glossary
//
// The terms of this package, and of the packages above it:
//
//	arena        the memory of a function's values, planned when it is compiled
//	blocking     how a matrix product is split, so that its operands stay in the caches
//	bundle       a prefix of weight names, such as @l0.vision, whose fields an op reads
//	candidate    a format that a group of modules could be stored in
//	class        a kind of weights, such as ffn, that a description gives a format
//	compensation an int32 by which the sums of an int8 product are corrected
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
//	ladder       the order of packages: each imports only packages below it
//	layer        attention and a feed-forward block, with their norms
//	level        a set of CPU features that kernels are written for, such as avx2
//	linear       a matrix product with a weight, and a bias if it has one
//	lower        to turn a description into a program
//	midpoint     (max+min)/2 of a row, subtracted before it is quantised to int8
//	module       the weights of one linear in one expert, such as l3.ffn.vision.fc1
//	narrow       to store weights in a format smaller than f32
//	norm         a layer normalisation
//	override     a module that is stored in another format than its class
//	pack         to reorder a matrix into the panels that its kernel reads
//	panel        a block of 16 columns of a packed matrix; a tile computes one or more
//	pass         a rewrite of a program
//	pool         the experts of one layer that do the same for different segments
//	position     the index of a token or patch in its sequence
//	program      weights and functions: a model in this package
//	residual     what rounding to int8 took from a number, stored as a second int8
//	route        to give each segment its expert, so that no pool is left
//	row          one vector of a matrix, such as the vector of a token or patch
//	section      rows of a value that are adjacent in a batch: the same part of each sequence
//	segment      consecutive rows of a sequence that are of one modality
//	smooth       to scale and shift a norm's columns so that rounding its rows costs less
//	state        values that outlive a call, such as a caption's keys and values
//	T            the number of text tokens in a call
//	task         what a model is used for, such as retrieval or captioning
//	tile         the rows and columns of a result that one kernel call computes
//	token        an entry of the vocabulary, given by its id; a text is a list of tokens
//	tune         to choose overrides that keep the error within the description's bound
//	twin         the Go function that a kernel in assembly must agree with
//	value        the result of an op, a tensor; it is assigned once
//	weight       a named constant tensor of a program
package ir
