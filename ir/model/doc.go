// Package model turns a model description into a program of the IR.
//
// A [Description] is data: the family and its sizes, the tasks, the entries, where
// the weights come from. It is read from strict YAML by [Parse] or [Load], taken
// from the table of released models by [Preset], or filled in by a program, which
// calls [Description.Complete]. All three end in the same checks, and every
// error says what was got, what was wanted and, for YAML, file, line and column.
// A key of the YAML is a row of the table in fields.go, which reads it and, by [Fields],
// documents it; README shows all of them.
//
//	model: 1
//	preset: beit3-base-patch16-384-coco-retrieval
//	checkpoint: beit3_base_patch16_384_coco_retrieval.pth
//	tokenizer: beit3.spm
//
// or, for a model that is not in the table,
//
//	model: 1
//	name: emoji
//	family: beit3
//	sizes: {dim: 128, heads: 4, ffn: 512, layers: 5, image: 64, patch: 8, vocab: 2010, positions: 32}
//	checkpoint: emoji_tasks.safetensors
//	tokenizer: emoji.spm
//	tasks: [retrieval, {classification: {labels: "labels.json", list: subgroups}}]
//	limits: {text: 24}
//
// [Lower] writes the program, one function an entry and task:
//
//	entry      a set of modalities in sequence order: vision, language, pair
//	task       what is made of the encoder's rows, such as encode, retrieval or vqa: TaskNames
//	function   ENTRY for encode, ENTRY_TASK otherwise: vision, pair, vision_retrieval
//
// A task may have functions of other names. Those of captioning are caption_image, which
// returns keys and values of the image's rows, caption_step, which reads them and those
// of the words so far and says what comes next, and, only if it is asked for by name,
// caption_full, all rows of a text at once. What a caption may be is a limit:
//
//	tasks: [captioning]
//	limits: {text: 24, max_new: 12, ban: [0, 1, 3, 2001..2010]}
//
// is at most 12 ids after <s>, none of them <s>, <pad>, <unk> or one from 2001 to 2009.
//
// Images of further formats are read where they are asked for, since what decodes them is large,
// and of HEIC under the LGPL:
//
//	decoders: [heic, avif]
//
// How weights are stored is a word of package precision for everything, or one for each
// class of weights and for modules that are named, and how far from the model outputs may
// be then, as the cosine of a row, is a number:
//
//	precision: {default: int8, embedding: bf16, keep: {l11.ffn: bf16, retrieval: f32}}
//	cosine: 0.9995
//	samples: images
//
// A folder of samples has images, and .txt files with a text a line, that are like what
// the model is for: builds judge by them besides inputs from a seed. Modules that a precision
// is too coarse for are stored finer, and where rows are rounded to bytes, builds smooth the
// norms that gain much by it, unless the description says
//
//	tune: off
//	smooth: off
//
// Inside, a family is a preset of a [Structure]: a list of modalities (name, embedder,
// sizes) in sequence order, and ranges of layers that say whose weights attention and
// feed-forward block use: one for all (shared), one a modality (pooled), or pooled with
// further experts for sequences of several modalities (joint). A description may say
// it in full instead of naming a family:
//
//	sizes: {dim: 64, heads: 4}
//	modalities:
//	  - {name: vision, embedder: patch, size: 32, patch: 8}
//	  - {name: audio, embedder: patch, size: [16, 40], patch: 8, channels: 1}
//	  - {name: language, embedder: token, vocab: 300, positions: 48}
//	layers:
//	  - {range: 0..2, attn: shared, ffn: pooled}
//	  - {range: 2..4, attn: shared, ffn: joint, experts: {vl: [vision, language]}}
//
// VLMo has what the long form has no words for: the text comes first, a norm after the
// embedding of the text, a row for each modality's type, positions in the rows or as a
// bias of the scores, a layer scale, and checkpoints that name and split weights in
// their own way.
//
//	family: vlmo
//	sizes: {dim: 768, heads: 12, layers: 12, image: 384, patch: 16, vocab: 30522, positions: 40, vl_layers: 2, reach: 196, scale: true}
//	tokenizer: vocab.txt
//	tasks: [retrieval, itm]
//
// In the long form every set of modalities is an entry. The tensors are called as the official code
// would call them, an expert by its name (encoder.layers.0.ffn.audio.fc1.weight) or by
// the word that keys gives it.
//
// The lowering reads only the structure; a task is a row that says which entries it
// takes, which tensors its head adds and which functions it has. A new one is a row here
// and the file of what is its own; a package then has its functions of tensors. Typed methods
// are a row and a file task_NAME.go in codegen, commands of binaries one in codegen/rt/cli.
//
// [Tensors] lists the official state dict of a description, in order, with the
// tensors that inference never reads: seeded checkpoints are made from it.
//
// [Infer] goes the other way: from the names and shapes of a checkpoint's tensors to
// the family, sizes and tasks, and with [Guess.YAML] to a description.
//
// A preset may be compiled for images of another size than its checkpoint's, with
// `sizes: {image: 480}` and `interpolate: true`: the table of positions is resized.
//
// A checkpoint may have several sets of weights; `checkpoint: {file: m.pth, key: model_ema}` takes another than the usual one.
//
// The package reads no weights and no images: that is ir/checkpoint and
// codegen/rt. It imports ir and a YAML parser, nothing else.
package model
