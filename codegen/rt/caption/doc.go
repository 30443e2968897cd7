// Package caption decodes the words of a caption, greedily or by BEiT-3's beam search.
//
// A [Model] predicts the next word of each of a few beams. A [Runner] makes Models of a compiled
// package, for several pictures together; tests use the interpreter as one. [Greedy] takes the most
// likely word at each step. [Beam] keeps the best few captions side by side and follows the official
// code step for step.
//
//	c, err := caption.Beam(m, caption.Options{BOS: 0, EOS: 2, MaxLen: 64, Beams: 3, Penalty: 0.6})
//
// The package works on token ids only: package task turns pictures into tensors and ids into
// text. It does not sample.
package caption
