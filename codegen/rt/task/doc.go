// Package task is the human side of a compiled package: pictures and texts go in,
// embeddings, labels and captions come out. Generated packages wrap it in typed methods.
//
// An [Input] says how pictures and texts become the tensors and ids that a compiled
// function takes. A [Session] is an rt.Session with the buffers for that work; a
// [Model] hands sessions to concurrent callers. [Top] turns logits into labels,
// [Session.Caption] steps into a caption, by the rules of [Captions].
//
// It imports rt, rt/caption, rt/token and rt/pixel, and opens no files: see rt/imagefile.
package task
