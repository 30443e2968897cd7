package token

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Piece types of a SentencePiece model file.
const (
	normal      = 1
	unknown     = 2
	control     = 3
	userDefined = 4
	unused      = 5
	byteValue   = 6
)

// Bounds on a model file, far above the published models.
const (
	// maxPiece is the longest piece, in bytes. It bounds the work per position of a text.
	maxPiece = 256
	// maxPieces is the largest number of pieces; maxSurface is the longest text, in bytes, that
	// <unk> decodes to.
	maxPieces  = 1 << 21
	maxSurface = 256
)

// MaxFile is the size in bytes of the largest tokenizer file that loads. Loading such a file
// takes less than 400 MB, and a smaller one takes proportionally less.
const MaxFile = 64 << 20

// piece is one entry of the vocabulary. text aliases the file.
type piece struct {
	text  []byte
	score float32
	kind  uint8
}

// model holds the fields of a SentencePiece ModelProto that Load uses.
type model struct {
	pieces []piece

	bpe          bool // the pieces are joined pair by pair, not chosen by the sum of their scores
	byteFallback bool // characters without a piece become their bytes

	unkSurface []byte // the text that <unk> decodes to; aliases the file

	charsmap    []byte // aliases the file; empty: no rules
	dummyPrefix bool   // insert a space before the text
	squeeze     bool   // drop leading, trailing and repeated spaces
	escape      bool   // write a space as U+2581
}

// parseModel reads the ModelProto in data. It skips fields that do not affect the splitting of
// text. The schema is sentencepiece_model.proto:
//
//	ModelProto      1 pieces, 2 trainer_spec, 3 normalizer_spec
//	SentencePiece   1 piece, 2 score, 3 type
//	TrainerSpec     3 model_type, 24 treat_whitespace_as_suffix,
//	                35 byte_fallback, 44 unk_surface
//	NormalizerSpec  2 precompiled_charsmap, 3 add_dummy_prefix,
//	                4 remove_extra_whitespaces, 5 escape_whitespaces
func parseModel(data []byte) (*model, error) {
	switch {
	case len(data) == 0:
		return nil, errors.New("the file is empty, want a SentencePiece model")
	case len(data) > MaxFile:
		return nil, fmt.Errorf("the file has %d bytes, want a SentencePiece model of at most %d", len(data), MaxFile)
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return nil, errors.New("the file is a Git LFS pointer, not a SentencePiece model; run git lfs pull")
	case data[0] != 1<<3|chunked:
		return nil, fmt.Errorf("not a SentencePiece model: the first byte is %#02x, want 0x0a (a piece)", data[0])
	}
	m := &model{unkSurface: []byte(" \u2047 "), dummyPrefix: true, squeeze: true, escape: true}
	count := 0
	for s := (fields{data: data}); s.next(); {
		if s.num == 1 {
			count++
		}
	}
	if count > maxPieces {
		return nil, fmt.Errorf("the SentencePiece model has %d pieces, want at most %d", count, maxPieces)
	}
	m.pieces = make([]piece, 0, count)
	normaliser := false
	s := fields{data: data}
	for s.next() {
		var err error
		switch {
		case s.num > 3:
			continue
		case s.wire != chunked:
			err = fmt.Errorf("byte %d: field %d has wire type %d, want %d", s.at, s.num, s.wire, chunked)
		case s.num == 1:
			err = m.parsePiece(s.field)
		case s.num == 2:
			err = m.parseTrainer(s.field)
		case s.num == 3:
			normaliser = true
			err = m.parseNormaliser(s.field)
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case errors.Is(s.err, errCut) && len(m.pieces) == 0:
		return nil, fmt.Errorf("not a SentencePiece model, or one cut off in its first piece: %w", s.err)
	case (errors.Is(s.err, errCut) || s.err == nil && !normaliser) && len(data) == circulating:
		return nil, fmt.Errorf("the SentencePiece model is cut off after %d pieces at exactly 768 KiB: this is the broken copy of beit3.spm that circulates; get the whole file from the BEiT-3 repository's own link",
			len(m.pieces))
	case errors.Is(s.err, errCut):
		return nil, fmt.Errorf("the SentencePiece model is cut off after %d pieces and %d bytes: %w; copy the file again",
			len(m.pieces), len(data), s.err)
	case s.err != nil:
		return nil, fmt.Errorf("the SentencePiece model is corrupt after %d pieces: %w", len(m.pieces), s.err)
	case !normaliser:
		// The specs follow the pieces in the file, so a file that was cut off between two
		// fields has no normalizer_spec.
		return nil, fmt.Errorf("the SentencePiece model ends after %d pieces without a normalizer_spec: the file is cut off; copy it again",
			len(m.pieces))
	}
	return m, nil
}

func (m *model) parsePiece(f field) error {
	i := len(m.pieces)
	p := piece{kind: normal}
	s := f.message()
	for s.next() {
		switch {
		case s.is(1, chunked):
			p.text = s.body
		case s.is(2, fixed32):
			p.score = math.Float32frombits(uint32(s.val))
		case s.is(3, varint):
			if s.val < normal || s.val > byteValue {
				return fmt.Errorf("pieces[%d] at byte %d has type %d, want 1 to 6", i, f.at, s.val)
			}
			p.kind = uint8(s.val)
		}
	}
	switch {
	case s.err != nil:
		return fmt.Errorf("pieces[%d]: %w", i, s.err)
	case len(p.text) == 0:
		return fmt.Errorf("pieces[%d] at byte %d is empty", i, f.at)
	case len(p.text) > maxPiece:
		return fmt.Errorf("pieces[%d] at byte %d is %d bytes long, want at most %d", i, f.at, len(p.text), maxPiece)
	case bytes.IndexByte(p.text, 0) >= 0:
		return fmt.Errorf("pieces[%d] at byte %d: %.40q holds a zero byte", i, f.at, p.text)
	case math.IsNaN(float64(p.score)) || math.IsInf(float64(p.score), 0):
		return fmt.Errorf("pieces[%d] at byte %d: %.40q has score %v, want a finite number", i, f.at, p.text, p.score)
	}
	m.pieces = append(m.pieces, p)
	return nil
}

func (m *model) parseTrainer(f field) error {
	s := f.message()
	for s.next() {
		switch {
		case s.is(3, varint):
			m.bpe = s.val == 2
			if s.val != 1 && !m.bpe {
				name := fmt.Sprintf("of unknown type %d", s.val)
				if i := s.val - 3; i < 2 {
					name = [...]string{"a word model", "a character model"}[i]
				}
				return fmt.Errorf("the SentencePiece model is %s, want a Unigram or BPE model (trainer_spec.model_type at byte %d)", name, s.at)
			}
		case s.is(24, varint):
			if s.val != 0 {
				return fmt.Errorf("the SentencePiece model has treat_whitespace_as_suffix on (byte %d), which is not supported", s.at)
			}
		case s.is(35, varint):
			m.byteFallback = s.val != 0
		case s.is(44, chunked):
			if m.unkSurface = s.body; len(s.body) > maxSurface {
				return fmt.Errorf("trainer_spec.unk_surface at byte %d is %d bytes long, want at most %d", s.at, len(s.body), maxSurface)
			}
		}
	}
	if s.err != nil {
		return fmt.Errorf("trainer_spec: %w", s.err)
	}
	return nil
}

func (m *model) parseNormaliser(f field) error {
	s := f.message()
	for s.next() {
		switch {
		case s.is(2, chunked):
			m.charsmap = s.body
		case s.is(3, varint):
			m.dummyPrefix = s.val != 0
		case s.is(4, varint):
			m.squeeze = s.val != 0
		case s.is(5, varint):
			m.escape = s.val != 0
		}
	}
	if s.err != nil {
		return fmt.Errorf("normalizer_spec: %w", s.err)
	}
	return nil
}

// Wire types of the protocol buffer encoding.
const (
	varint  = 0
	fixed64 = 1
	chunked = 2
	fixed32 = 5
)

// circulating is the size in bytes of a truncated copy of beit3.spm that is in circulation.
const circulating = 768 << 10

// errCut marks a message that ends within a field.
var errCut = errors.New("cut off")

// field is one field of a message.
type field struct {
	num   uint64
	wire  int
	at    int    // offset in the file
	val   uint64 // value of a varint or fixed field
	body  []byte // contents of a chunked field
	inner int    // offset of body in the file
}

// message returns an iterator over the fields of the message in f.
func (f field) message() fields { return fields{data: f.body, base: f.inner} }

// fields iterates over the fields of a message. After the last one, err is nil or describes the
// damage.
type fields struct {
	data []byte
	base int // offset of data in the file
	pos  int
	field
	err error
}

// next reads the next field and reports whether there was one.
func (s *fields) next() bool {
	if s.err != nil || s.pos == len(s.data) {
		return false
	}
	s.field = field{at: s.base + s.pos}
	tag := s.uvarint()
	s.num, s.wire = tag>>3, int(tag&7)
	size := uint64(0)
	switch s.wire {
	case varint:
		s.val = s.uvarint()
	case fixed64:
		size = 8
	case fixed32:
		size = 4
	case chunked:
		size = s.uvarint()
	default:
		s.fail(fmt.Errorf("byte %d: field %d has wire type %d, which model files do not use", s.at, s.num, s.wire))
	}
	if s.num == 0 {
		s.fail(fmt.Errorf("byte %d: field number 0 is not possible", s.at))
	}
	if left := len(s.data) - s.pos; size > uint64(left) {
		s.fail(fmt.Errorf("%w: field %d at byte %d needs %d bytes, %d are left", errCut, s.num, s.at, size, left))
	}
	if s.err != nil {
		return false
	}
	s.inner = s.base + s.pos
	s.body = s.data[s.pos : s.pos+int(size)]
	s.pos += int(size)
	switch s.wire {
	case fixed64:
		s.val = binary.LittleEndian.Uint64(s.body)
	case fixed32:
		s.val = uint64(binary.LittleEndian.Uint32(s.body))
	}
	return true
}

// uvarint reads a base-128 varint.
func (s *fields) uvarint() uint64 {
	v, n := binary.Uvarint(s.data[s.pos:])
	switch {
	case n == 0:
		s.fail(fmt.Errorf("%w: the number at byte %d does not end", errCut, s.base+s.pos))
	case n < 0:
		s.fail(fmt.Errorf("byte %d: the number is longer than 64 bits", s.base+s.pos))
	default:
		s.pos += n
	}
	return v
}

// is reports whether the field has this number. A wire type that differs from the schema's is
// an error.
func (s *fields) is(num uint64, wire int) bool {
	if s.num != num {
		return false
	}
	if s.wire != wire {
		s.fail(fmt.Errorf("byte %d: field %d has wire type %d, want %d", s.at, num, s.wire, wire))
		return false
	}
	return true
}

// fail records the first error.
func (s *fields) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}
