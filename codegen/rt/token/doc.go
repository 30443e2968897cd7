// Package token turns text into token ids, the row numbers of a model's embedding table.
//
// The nouns:
//
//   - A piece is a subword of the vocabulary with a score, its log probability. "▁" (U+2581) stands for a space, so "▁cat" starts a word.
//   - A [Unigram] is a loaded SentencePiece Unigram model: normaliser, pieces, scores. It splits a text into the pieces with the highest sum of scores.
//   - An id is a row of the model's embedding table. The numbering of XLM-RoBERTa and BEiT-3 is <s> 0, <pad> 1, </s> 2, <unk> 3, then every SentencePiece id plus one, and <mask> after the last piece.
//   - A [WordPiece] is the tokenizer of BERT's uncased models and VLMo: a text file of pieces, of which each word takes the longest. Its ids are the line numbers of the file, from 0.
//   - A [CLIP] is CLIP's tokenizer: byte pairs, merged by their rank. A [SigLIP] is SigLIP's tokenizer: a SentencePiece model of kind Unigram or BPE with its own numbering. Each has two forms, open_clip's and that of Hugging Face's transformers, which clean texts differently. For models of open_clip, Unigram and WordPiece have such a form too.
//   - A [Tokenizer] is the interface that the rest of the runtime uses. Unigram, WordPiece, CLIP, SigLIP and [IDs] implement it; IDs reads lists of ids. [Open] reads the file of any other.
//
// For example, with a model file read into data:
//
//	u, err := token.Load(data)
//	ids := u.Encode("a photo of a red car", 64) // [0 70 42 23 70 82 65 2]
//
// Unigram gives the same ids as Google's library up to its version 0.2.1, on any bytes (0.2.3
// breaks exact ties otherwise, and SigLIP as it does): text is normalised with the model's own rules, an invalid UTF-8
// byte counts as U+FFFD, and scores are added and compared with the same roundings, since a
// near-tie decides which pieces win.
//
// Encode keeps the first maxLen-2 ids and stops reading the text as soon as nothing further can
// change them. Whatever the text, time grows linearly and the working memory stays below 8 MiB
// (see [Unigram.Encode]). CLIP and SigLIP clean the whole text first: their time grows with
// n log n and their memory with n.
//
// The package imports the standard library only. Generated packages and the applications over
// them use it at run time; the compiler does not. It does not train tokenizers, and it does not
// read the word and character models that SentencePiece's file format can hold.
package token
