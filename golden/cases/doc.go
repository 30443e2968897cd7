// Package cases reads golden cases and compares tensors with them.
//
// A case is a folder. Its case.json describes a model (family, task, sizes), its weights and
// runs; the tensors of all runs are in other files of the folder:
//
//	case.json
//	inputs.safetensors      inputs of every run: images, token ids, masks
//	truth.safetensors       outputs in float64, rounded to float32
//	expected.safetensors    outputs of the float32 reference
//	truth.bf16.safetensors  the same for weights rounded to bf16
//	model.safetensors       weights, if they are not made from a seed
//
// A [Case] has [Run]s. A [Variant] is a source of the weights, a file or the seed, for the runs
// of its type. A [Batch] is the input of a run, split into sequences. A [Reference] is the
// expected value of an output.
//
//	c, err := cases.Load("testdata/encode_t1")
//	for _, v := range c.Variants() {
//		weights, err := c.OpenWeights(v)
//		for _, r := range c.RunsOf(v) {
//			batch, err := c.Batch(r)
//			for name := range r.Outputs {
//				want, err := c.Reference(r, name)
//				got := run(weights, batch, name) // a slice for each sequence
//				res, err := want.Compare(got)
//				fmt.Println(c.Name, v.Name, r.Name, name, res)
//			}
//		}
//	}
//
// An element passes if |got-want| <= atol + rtol*|want|. References are read from the truth
// file if the folder has it, else from the expected file. Rows of padding are not compared,
// and engines do not compute them. Padding must be a suffix of the text.
//
// A folder may lack some files of its case.json. A [Variant] whose weight file does not exist
// has Missing set; its runs are checked with seeded weights, which every case with a
// generator has. A reference needs one of its two files. All other files must exist.
//
// Unknown fields of case.json are ignored. Files have names without folders, so that nothing
// outside of the folder is read, and sizes are checked before anything is allocated.
//
// A case of task [Recorded] belongs to a user's own model: each run calls a [Function] of the
// compiled package on one sequence, with the package's weights. Package golden records such
// cases with [Write], and casetest tests packages with them.
//
// Generated tests import this package. It imports only ir/checkpoint and ir/file, and does not
// run models, which package golden does.
package cases
