// Package cases reads golden cases and compares tensors with them.
//
// A case is a folder. Its case.json names a model (family, task, sizes), where
// the weights come from, and runs; the tensors of all runs lie beside it:
//
//	case.json
//	inputs.safetensors      inputs of every run: images, text ids, masks
//	truth.safetensors       outputs in float64, rounded to float32
//	expected.safetensors    outputs of the float32 reference
//	truth.bf16.safetensors  the same for weights rounded to bf16
//	model.safetensors       weights, if they are not made from a seed
//
// The nouns: a [Case] has [Run]s; a [Variant] is one way to get the weights (a
// file, or the seed), and goes with the runs of its type; a [Batch] is the
// input of a run, split into sequences; a [Reference] is the value that an output should
// be.
//
//	c, err := cases.Load("testdata/encode_t1")
//	for _, v := range c.Variants() {
//		weights, err := c.OpenWeights(v)
//		for _, r := range c.RunsOf(v) {
//			batch, err := c.Batch(r)
//			for name := range r.Outputs {
//				want, err := c.Reference(r, name)
//				got := run(weights, batch, name) // a slice a sequence
//				res, err := want.Compare(got)
//				fmt.Println(c.Name, v.Name, r.Name, name, res)
//			}
//		}
//	}
//
// An element passes if |got-want| <= atol + rtol*|want|. The reference is the
// truth file if the folder has it, else the expected file. Rows at padded text
// positions are not compared, and engines do not compute them: a sequence's
// rows are its valid rows only. A padding mask must be a suffix.
//
// A folder may lack files that its case.json names. A weight file that is
// absent is a [Variant] with Missing set, and the seed variants, which every
// case with a generator has, judge its runs. A reference needs one of its two
// files. Everything else must be there.
//
// Field names that case.json has beyond those described here are ignored.
// Files are named by plain names, so nothing outside the folder is read, and
// sizes are checked before anything is allocated.
//
// A case of task [Recorded] belongs to one model of a user's own: its runs call a
// [Function] of the compiled package on one sequence each, and the weights are the
// package's. Package golden records them with [Write], casetest judges by them.
//
// Generated tests import this package: it needs the standard library and
// ir/checkpoint, and it never runs a model. Package golden does.
package cases
