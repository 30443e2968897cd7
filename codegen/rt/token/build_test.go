package token

import (
	"encoding/binary"
	"math"
)

// file is a model file to be written for a test.
type file struct {
	pieces     []piece
	trainer    []byte // contents of trainer_spec; nil: no such field
	normaliser []byte // contents of normalizer_spec; nil: no such field
}

// withPieces is a file of the pieces that every model has, and more.
func withPieces(more ...piece) file {
	return file{
		pieces: append([]piece{
			{[]byte("<unk>"), 0, unknown},
			{[]byte("<s>"), 0, control},
			{[]byte("</s>"), 0, control},
		}, more...),
		trainer:    []byte{},
		normaliser: []byte{},
	}
}

func norm(text string, score float32) piece { return piece{[]byte(text), score, normal} }

func (f file) bytes() []byte {
	var data []byte
	for _, p := range f.pieces {
		data = chunk(data, 1, pieceBytes(p))
	}
	if f.trainer != nil {
		data = chunk(data, 2, f.trainer)
	}
	if f.normaliser != nil {
		data = chunk(data, 3, f.normaliser)
	}
	return data
}

func pieceBytes(p piece) []byte {
	b := chunk(nil, 1, p.text)
	b = append(b, 2<<3|fixed32)
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.score))
	if p.kind != normal { // the default of the schema
		b = number(b, 3, uint64(p.kind))
	}
	return b
}

// number appends a varint field.
func number(b []byte, num, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, num<<3|varint), v)
}

// chunk appends a length-delimited field.
func chunk(b []byte, num uint64, body []byte) []byte {
	b = binary.AppendUvarint(b, num<<3|chunked)
	return append(binary.AppendUvarint(b, uint64(len(body))), body...)
}

// rules is a charsmap that replaces single bytes.
func rules(replace map[byte]string) []byte {
	units := make([]uint32, 512)
	// The root's children stand at 256^byte, the leaf of byte b at its own
	// number: offset(256^b, with b = 0..255) leads to b.
	units[0] = 256 << 10
	text := []byte{0}
	for b, rep := range replace {
		at := uint32(256) ^ uint32(b)
		units[at] = (at^uint32(b))<<10 | 1<<8 | uint32(b)
		units[b] = leaf | uint32(len(text))
		text = append(append(text, rep...), 0)
	}
	blob := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, u := range units {
		blob = binary.LittleEndian.AppendUint32(blob, u)
	}
	return append(blob, text...)
}

// bigVocabulary is a model of n pieces that look like words of a natural
// language: consonants and vowels in turn, two to ten letters, half of them at
// the start of a word.
func bigVocabulary(n int) file {
	f := withPieces()
	seen := map[string]bool{}
	state := uint64(1)
	random := func(n uint64) uint64 {
		state = state*6364136223846793005 + 1442695040888963407
		return (state >> 33) % n
	}
	for len(f.pieces) < n {
		word := ""
		if random(2) == 0 {
			word = "\u2581"
		}
		for range 1 + random(5) {
			word += string("bcdfghjklmnpqrstvwxz"[random(20)]) + string("aeiouy"[random(6)])
		}
		if !seen[word] {
			seen[word] = true
			f.pieces = append(f.pieces, norm(word, -5-float32(len(word))-float32(random(1000))/1000))
		}
	}
	return f
}
