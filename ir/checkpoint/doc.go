// Package checkpoint reads trained weights: safetensors in one file or several,
// PyTorch checkpoints, and the seeded generator that golden cases use instead of
// a file.
//
// A [Source] is a set of named tensors. Opening one reads and checks the index
// only; a tensor's elements are read when [Load] asks for them, so a model of
// any size needs the memory of its largest tensor.
//
//	src, err := checkpoint.OpenFile("beit3_base_patch16_224_itc.pth")
//	if err != nil { ... }
//	defer src.Close()
//	for _, t := range src.Tensors() {
//		fmt.Println(t.Name, t) // beit3.text_embed.weight f32[64010,768]
//	}
//	w, err := checkpoint.Load(src, "beit3.text_embed.weight") // []float32
//
// [Bind] joins a source and a program: it gives every weight that has an
// origin a function that reads it. All tensors that are missing or have
// another shape are in one error, each with the names that may be meant;
// surplus tensors are summarised in the [Report].
//
// Names differ by how a model was wrapped when it was saved (module., _orig_mod., model.), and a file may hold several sets
// of weights (model, model_ema). Bind drops such parts where the rest is a wanted name, and OpenSet takes another set; the
// report says both. Tensors that change the value of weights, such as adapters and weight norm, are refused.
//
// Files come from anywhere, so their sizes are checked before anything is
// allocated, the index is bounded (a safetensors header or PyTorch pickle of
// 16 or 32 MiB, 131072 tensors, 32 axes), and a file beyond them is an error
// that names the file and the tensor. What a pickle makes the reader hold and do
// is bounded by 16 MiB and ten times the file, and so is what an archive that was packed with compression holds, which is
// kept in memory. An error never prints a value of a
// file, and a name only shortened and in quotes, so that it has a page at most.
// A pickle is data here: classes are never
// loaded and nothing is called. Where a format has checksums (PyTorch's zip
// archive), they are checked. An index names plain files beside it, nothing else.
//
// Read are f64, which is rounded to f32, f32, f16, bf16, i64, i32, u8 and bool. Tensors of other types are
// listed, and reading them is an error. PyTorch files may be of any version: the
// zip archive, or the stream of pickles from before 1.6.
//
// An image's position table may be of another grid than the model's; where a
// weight's origin allows it, Bind resizes it ([ResizePositions]).
//
// The package stands right of ir and imports nothing else of ours. It does not
// know models: which tensors a model has is ir/model's business.
package checkpoint
