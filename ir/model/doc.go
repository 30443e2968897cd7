// Package model turns a model description into a program of the IR.
//
// A [Description] is data: the family and its sizes, the tasks, the entries, where
// the weights come from. It is read from strict YAML by [Parse] or [Load], taken
// from the table of released models by [Preset], or filled in by a program, which
// calls [Description.Complete]. All three end in the same checks, and every
// error says what was found, what is wanted and, for YAML, file, line and column.
// The table in fields.go has an entry for each key of the YAML, by which it is read and,
// by [Fields], documented; README has the whole table.
//
//	model: 1
//	preset: beit3-base-patch16-384-coco-retrieval
//	checkpoint: beit3_base_patch16_384_coco_retrieval.pth
//	tokenizer: beit3.spm
//
// Presets are named like the repositories that people take the files from: the name on the model hub without its owner, in
// lower case and with - for _ and for a dot, so that openai/clip-vit-base-patch32 is clip-vit-base-patch32. BEiT-3's and
// VLMo's, which are on no hub, are named like their files without the ending. [PresetInfo] has the facts of each: sizes,
// preprocessing, tokenizer, where its files are, what is published of it.
//
// For a model that is not in the table,
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
// [Lower] writes the program, with one function for each entry and task:
//
//	entry      a set of modalities in sequence order: vision, language, pair
//	task       a head on the encoder's rows, such as encode, retrieval or vqa: TaskNames
//	function   ENTRY for encode, ENTRY_TASK otherwise: vision, pair, vision_retrieval
//
// A task may have functions of other names. Captioning has caption_image, which returns keys
// and values of the image's rows, and caption_step, which reads them and the keys and values
// of the tokens so far and predicts the next token. caption_full computes all rows of a text
// at once; it is lowered only if it is asked for by name. Captions are bounded by limits:
//
//	tasks: [captioning]
//	limits: {text: 24, max_new: 12, ban: [0, 1, 3, 2001..2010]}
//
// allows at most 12 tokens after <s>, none of them <s>, <pad>, <unk> or an id from 2001 to 2009.
//
// Decoders of some image formats are linked only if the description asks for them, since they
// are large, and the one for HEIC has the LGPL:
//
//	decoders: [heic, avif]
//
// The precision is a format of package precision for all weights, or one for each class of
// weights and for single modules. A number bounds the error of the outputs: the least cosine
// of a row with the model in float64.
//
//	precision: {default: int8, embedding: bf16, keep: {l11.ffn: bf16, retrieval: f32}}
//	cosine: 0.9995
//	samples: images
//
// A folder of samples has typical images, and .txt files with a text per line: builds check the
// model on them besides seeded inputs. A build stores modules finer if the precision is too
// coarse for them, and smooths norms before int8 products if that reduces the error much,
// unless the description says
//
//	tune: off
//	smooth: off
//
// Inside, a family is a short form of a [Structure]: a list of modalities (name, embedder,
// sizes) in sequence order, and ranges of layers with the sharing of weights in attention and
// feed-forward block: one for all modalities (shared), one expert per modality (pooled), or
// pooled with further experts for sequences of several modalities (joint). A description may
// give the long form instead of a family:
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
// A modality of patches may have a stem in place of patch, as in ONE-PEACE and MobileCLIP-B: the sides of squares that are
// embedded one after the other, first of pixels and then of the rows of the stage before. Between two stages are a norm, if
// stem_norm has its epsilon, and the activation. Their rows are a quarter as wide as the tower's, or stem_dim.
//
//	modalities: [{name: vision, embedder: patch, size: 256, stem: [4, 2, 2], stem_norm: 1.0e-5}]
//
// The feed-forward blocks of a layer with `gate: true` multiply the activation of fc1 by another
// linear of the same rows, gate. With `norms_of: shared` the norm before each half is one for all
// modalities and experts, though the half has a pool: it is one tensor, which is read into the
// weights of each expert.
//
// VLMo cannot be written in the long form: it has a norm after the embedding of the text, a
// vector for each modality's type, positions that are added or a bias of the scores, a layer
// scale, and checkpoints with other names and splits of weights.
//
//	family: vlmo
//	sizes: {dim: 768, heads: 12, layers: 12, image: 384, patch: 16, vocab: 30522, positions: 40, vl_layers: 2, reach: 196, scale: true}
//	tokenizer: vocab.txt
//	tasks: [retrieval, itm]
//
// In the long form every set of modalities is an entry. The tensors have the names that the
// reference implementation would give them, with an expert's own name
// (encoder.layers.0.ffn.audio.fc1.weight) or its name in keys.
//
// A model whose modalities have layers of their own and are compared by embeddings has towers,
// each with its sizes, layers and pooling. CLIP, CLIPA, SigLIP, Chinese-CLIP and the CLIP with
// XLM-RoBERTa are families of two towers; the text tower has sizes of its own:
//
//	family: clip
//	sizes: {dim: 768, heads: 12, layers: 12, image: 224, patch: 32, vocab: 49408, positions: 77, embed: 512, act: quick_gelu, text: {dim: 512, heads: 8, layers: 12}}
//	layout: clip_open_clip
//	tasks: [retrieval]
//
// BEiT is a family of one tower, for pictures:
//
//	family: beit
//	sizes: {dim: 768, heads: 12, layers: 12, image: 224, patch: 16}
//	tasks: [retrieval, {classification: {labels: config.json, list: id2label}}]
//
// A layout is a table of the tensors in one kind of checkpoint: their names, their shapes, and
// the weights that are read from them. The state dict is made from it, and [Infer] finds sizes
// with it.
//
// Lowering reads only the structure. A task is an entry of a table, with its entries, the
// tensors of its head and its functions. To add a task, add an entry here, with a file for its
// own code; packages then have its functions on tensors. Typed methods need an entry and a file
// task_NAME.go in codegen, a command of binaries one in codegen/rt/cli.
//
// [Tensors] lists the state dict of the reference implementation for a description, in order,
// with the tensors that inference never reads. Seeded checkpoints are made from it.
//
// [Infer] finds the family, sizes and tasks from the names and shapes of a checkpoint's
// tensors. [Guess.Take] adds what configuration files beside the checkpoint say, which [ReadConfig]
// reads, and [Guess.YAML] writes a description. A configuration file of another format is one more
// table of rows, a config_NAME.go.
//
// A preset may be compiled for images of another size than its checkpoint's, with
// `sizes: {image: 480}` and `interpolate: true`: the position table is resized.
//
// A checkpoint may have several sets of weights; `checkpoint: {file: m.pth, key: model_ema}` chooses one.
//
// ir/checkpoint reads weights, and codegen/rt images.
package model
