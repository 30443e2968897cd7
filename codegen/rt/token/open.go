package token

import "fmt"

// Open reads a tokenizer file of any kind, which it tells by the content:
// see [Loader].
func Open(data []byte) (Tokenizer, error) {
	switch Loader(data) {
	case "LoadCLIP":
		return keep(LoadCLIP(data))
	case "LoadCLIPHF":
		return keep(LoadCLIPHF(data))
	case "LoadSigLIPHF":
		return keep(LoadSigLIPHF(data))
	case "LoadWordPiece":
		w, err := LoadWordPiece(data)
		if err != nil {
			return nil, fmt.Errorf("not a SentencePiece model, so a vocabulary of pieces: %w", err)
		}
		return w, nil
	}
	return keep(Load(data))
}

// keep makes a Tokenizer of t, nil with an error.
func keep[T Tokenizer](t T, err error) (Tokenizer, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Loader returns the name of the function of this package that reads a tokenizer file:
//
//   - LoadCLIP for bpe_simple_vocab_16e6.txt, packed by gzip or not, as OpenAI and open_clip have it;
//   - LoadCLIPHF for merges.txt and tokenizer.json, as Hugging Face has them;
//   - LoadSigLIPHF for a SentencePiece model of kind BPE, or one whose first piece is the padding;
//   - LoadWordPiece for other text;
//   - Load for all else.
func Loader(data []byte) string {
	switch {
	case isGzip(data):
		return "LoadCLIP"
	case isMerges(data) && data[0] == '"':
		return "LoadCLIP"
	case isMerges(data), isJSON(data):
		return "LoadCLIPHF"
	case isWordPiece(data):
		return "LoadWordPiece"
	case ofSigLIP(data):
		return "LoadSigLIPHF"
	}
	return "Load"
}

// ofSigLIP reports whether data is a SentencePiece model with SigLIP's numbering: its
// first piece is a control piece, where XLM-RoBERTa has the unknown one.
func ofSigLIP(data []byte) bool {
	s := fields{data: data}
	if !s.next() || s.num != 1 || s.wire != chunked {
		return false
	}
	kind := uint64(normal)
	p := s.message()
	for p.next() {
		if p.num == 3 && p.wire == varint {
			kind = p.val
		}
	}
	return p.err == nil && kind == control
}
