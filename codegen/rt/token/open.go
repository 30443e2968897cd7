package token

import (
	"cmp"
	"fmt"
)

// Form says whose way a tokenizer cleans texts in, where a file does not tell.
type Form string

const (
	OpenCLIP Form = "open_clip" // OpenAI's, big_vision's and open_clip's
	HF       Form = "hf"        // that of Hugging Face's transformers
)

// Open reads a tokenizer file of any kind, which it tells by the content: see [Loader].
func Open(data []byte, form Form) (Tokenizer, error) {
	switch Loader(data, form) {
	case "LoadCLIP":
		return keep(LoadCLIP(data))
	case "LoadCLIPHF":
		return keep(LoadCLIPHF(data))
	case "LoadSigLIP":
		return keep(LoadSigLIP(data))
	case "LoadSigLIPHF":
		return keep(LoadSigLIPHF(data))
	case "LoadWordPiece":
		return keepPieces(LoadWordPiece(data))
	case "LoadCLIPA":
		return keepPieces(LoadCLIPA(data))
	case "LoadOpenCLIP":
		return keep(LoadOpenCLIP(data))
	}
	return keep(Load(data))
}

// keepPieces is keep for a file that is taken for a vocabulary because it is no other kind of tokenizer.
func keepPieces(w *WordPiece, err error) (Tokenizer, error) {
	if err != nil {
		err = fmt.Errorf("not a SentencePiece model, so a vocabulary of pieces: %w", err)
	}
	return keep(w, err)
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
//   - LoadCLIPHF for merges.txt, vocab.json and tokenizer.json, as Hugging Face has them;
//   - LoadSigLIPHF for a SentencePiece model of kind BPE, or one whose first piece is the padding;
//   - LoadWordPiece for other text;
//   - Load for all else.
//
// A form, if it is not "", decides between LoadCLIP and LoadCLIPHF, and between LoadSigLIP and LoadSigLIPHF. With the form OpenCLIP the
// last two are LoadCLIPA and LoadOpenCLIP.
func Loader(data []byte, form Form) string {
	name, usual := "Load", Form("")
	switch {
	case isGzip(data), isMerges(data) && data[0] == '"':
		name, usual = "LoadCLIP", OpenCLIP
	case isMerges(data), isJSON(data):
		name, usual = "LoadCLIP", HF
	case isWordPiece(data):
		if form == OpenCLIP {
			return "LoadCLIPA"
		}
		return "LoadWordPiece"
	case ofSigLIP(data):
		name, usual = "LoadSigLIP", HF
	case form == OpenCLIP:
		name = "LoadOpenCLIP"
	}
	if usual != "" && cmp.Or(form, usual) == HF {
		name += "HF"
	}
	return name
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
