// Package task is the human side of a compiled package: pictures and texts go in,
// embeddings, labels and captions come out. Generated packages wrap it in typed methods.
//
// A [Picture] is read and decoded when a call needs it, a [Pair] is a picture with a text about
// it. A [Model] serves concurrent callers, [Each] calls a method of it on a sequence of any
// length. A [Session] is an rt.Session with the buffers for that work, for one goroutine. An
// [Input] says how pictures and texts become the tensors and ids that a compiled function takes.
// [Top] turns logits into labels, [TopK] finds the nearest of vectors. A [Score] says how cosines of embeddings become
// probabilities, and [Classes] are labels as embeddings of prompts, for models without a head for them.
//
// It imports rt, rt/caption, rt/token, rt/pixel and rt/imagefile, whose decoders are linked only
// where [File], [Bytes] or [Reader] is called.
package task
