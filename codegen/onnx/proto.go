package onnx

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
)

// message is a protocol buffer under construction. It holds its fields in the order in which
// they were added. Elements of large tensors are loaded only when it is written.
type message struct {
	parts []part
	size  int64
}

// part is a piece of a message: bytes, or, if late is not nil, a tensor whose elements are loaded when the message is
// written.
type part struct {
	bytes []byte
	late  *tensor
}

// The wire types of protocol buffers.
const (
	wireVarint = 0
	wireBytes  = 2
	wireFixed4 = 5
)

func (m *message) raw(b []byte) {
	if n := len(m.parts); n > 0 && m.parts[n-1].late == nil {
		m.parts[n-1].bytes = append(m.parts[n-1].bytes, b...)
	} else {
		m.parts = append(m.parts, part{bytes: b})
	}
	m.size += int64(len(b))
}

func (m *message) tag(field, wire int) { m.raw(binary.AppendUvarint(nil, uint64(field<<3|wire))) }

// int adds a varint field.
func (m *message) int(field int, v int64) {
	m.tag(field, wireVarint)
	m.raw(binary.AppendUvarint(nil, uint64(v)))
}

// float adds a fixed32 field.
func (m *message) float(field int, v float32) {
	m.tag(field, wireFixed4)
	m.raw(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
}

// text adds a string field.
func (m *message) text(field int, s string) {
	m.length(field, int64(len(s)))
	m.raw([]byte(s))
}

func (m *message) length(field int, n int64) {
	m.tag(field, wireBytes)
	m.raw(binary.AppendUvarint(nil, uint64(n)))
}

// message adds a nested message, which must not change afterwards.
func (m *message) message(field int, n *message) {
	m.length(field, n.size)
	for _, p := range n.parts {
		if p.late == nil {
			m.raw(p.bytes)
			continue
		}
		m.parts = append(m.parts, p)
		m.size += p.late.size()
	}
}

// late adds a bytes field with the elements of a tensor, which are loaded only when the message
// is written.
func (m *message) late(field int, t *tensor) {
	m.length(field, t.size())
	m.parts = append(m.parts, part{late: t})
	m.size += t.size()
}

// tensor is an initializer: float32 or int64 elements of a shape.
type tensor struct {
	name  string
	shape []int
	ints  []int64                   // elements of an int64 tensor
	load  func() ([]float32, error) // elements of a float32 tensor
}

func (t *tensor) elements() int64 {
	n := int64(1)
	for _, d := range t.shape {
		n *= int64(d)
	}
	return n
}

// size returns the size of all elements in bytes.
func (t *tensor) size() int64 {
	if t.load == nil {
		return 8 * t.elements()
	}
	return 4 * t.elements()
}

// write writes the elements, little-endian.
func (t *tensor) write(w *bufio.Writer) error {
	var word [8]byte
	for _, v := range t.ints {
		binary.LittleEndian.PutUint64(word[:], uint64(v))
		w.Write(word[:]) // a bufio.Writer keeps its first error until Flush
	}
	if t.load == nil {
		return nil
	}
	x, err := t.load()
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	if int64(len(x)) != t.elements() {
		return fmt.Errorf("%s: %d elements were loaded, want shape %v", t.name, len(x), t.shape)
	}
	for _, v := range x {
		binary.LittleEndian.PutUint32(word[:4], math.Float32bits(v))
		w.Write(word[:4])
	}
	return nil
}
