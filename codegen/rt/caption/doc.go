// Package caption chooses the words of a caption: greedily, or by BEiT-3's beam search.
//
// A [Model] says how likely each word is to come next, for each of a few beams; the
// compiled package is one (see [On]), and so is the interpreter in tests. [Greedy] takes
// the most likely word each time. [Beam] keeps the best few captions side by side, by
// the protocol of the official code, step for step.
//
//	ids, score, err := caption.Beam(m, caption.Options{BOS: 0, EOS: 2, Mask: 64001, MaxLen: 64, Beams: 3, Penalty: 0.6})
//
// It knows ids, not words, and neither pictures nor tensors: package task joins it to
// those. It is no sampler.
package caption
