// Package checkpoint reads trained weights: safetensors in one file or several,
// PyTorch checkpoints, and the seeded generator that golden cases use instead of
// a file.
//
// A [Source] is a set of named tensors. Opening a source reads and checks only the
// index; a tensor's elements are read by [Load], so a model of any size needs only the
// memory of its largest tensor.
//
//	src, err := checkpoint.OpenFile("beit3_base_patch16_224_itc.pth")
//	if err != nil { ... }
//	defer src.Close()
//	for _, t := range src.Tensors() {
//		fmt.Println(t.Name, t) // beit3.text_embed.weight f32[64010,768]
//	}
//	w, err := checkpoint.Load(src, "beit3.text_embed.weight") // []float32
//
// [Bind] connects a program with a source: it gives every weight with an origin a
// function that reads it. One error lists all tensors that are missing or have another
// shape, with similar names; the [Report] summarises surplus tensors.
//
// Wrapper modules add parts to the names of tensors (module., _orig_mod., model.), and a file may have several sets of
// weights (model, model_ema). Bind drops such parts if the rest is the name of a needed tensor, and OpenSet opens another
// set; the report lists both. Tensors that change the value of weights, such as adapters and weight norm, are refused.
//
// Files are not trusted. Their sizes are checked before anything is allocated, and the
// index is bounded (a safetensors header or PyTorch pickle of 16 or 32 MiB, 131072
// tensors, 32 axes); a larger one is an error that names the file and the tensor. The
// memory and work for a pickle are bounded by 16 MiB and ten times the file, and so is the
// uncompressed size of a compressed archive, which is held in memory. Errors contain no
// values of a file, and names only shortened and in quotes, so that an error has at most a
// page. Pickles are only parsed: no class is loaded and no function called. Checksums
// (of PyTorch's zip archives) are checked. An index can only name files in its own folder.
//
// The element types f64 (rounded to f32), f32, f16, bf16, i64, i32, u8 and bool can be read. Tensors of other types
// are listed, and reading them is an error. PyTorch files may be of any version: the zip
// archive, or the stream of pickles from before 1.6.
//
// A position table of an image may have another grid than the model's. Bind resizes it if
// the weight's origin allows that ([ResizePositions]).
//
// The package imports ir, and ir/file and ir/spelling for errors. It does not know models:
// ir/model defines which tensors a model has.
package checkpoint
