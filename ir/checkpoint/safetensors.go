package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// maxHeader bounds the JSON header of a safetensors file. Those of the largest published
// models are far smaller.
const maxHeader = 16 << 20

// safetensorsTypes maps the format's names of types to those of DType. Other names are kept.
var safetensorsTypes = map[string]DType{
	"F64": F64, "F32": F32, "F16": F16, "BF16": BF16, "I64": I64, "I32": I32, "U8": U8, "BOOL": Bool,
}

// sizeOnly has the element sizes of types that are checked but cannot be read.
var sizeOnly = map[string]int{
	"U64": 8, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "C64": 8,
}

type safetensors struct {
	index[int64] // file offset of each tensor
	r            io.ReaderAt
	close        func() error
}

// Safetensors reads the index of a safetensors file of the given size. Tensors are read from r
// on demand; Close does not close r. name is used in errors.
//
// The format is 8 bytes of little-endian header length, a JSON header, and the data. The
// header must be exact: every tensor is inside the file and has the size of its shape and
// type, tensors do not overlap, leave no gap and no rest, and no name occurs twice.
func Safetensors(r io.ReaderAt, size int64, name string) (Source, error) {
	s := &safetensors{r: r, close: func() error { return nil }}
	s.name = name
	if err := s.open(size); err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	return s, nil
}

func (s *safetensors) Close() error { return s.close() }

func (s *safetensors) Read(name string, at int, dst []byte) error {
	t, off, err := s.at(name, at, dst)
	if err != nil {
		return err
	}
	return readFull(s.r, dst, off+int64(at)*int64(t.DType.Size()), s.String(), name)
}

// readFull fills dst with the bytes of r from off on. If the file has become shorter, the error names the source and the
// tensor.
func readFull(r io.ReaderAt, dst []byte, off int64, source, tensor string) error {
	n, err := r.ReadAt(dst, off)
	if n == len(dst) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%s: tensor %s: read %d of %d bytes at offset %d: %w", source, quote(tensor), n, len(dst), off, err)
}

func (s *safetensors) open(size int64) error {
	var head [8]byte
	if size < 8 {
		return fmt.Errorf("not a safetensors file: %d bytes, want at least 8", size)
	}
	if _, err := s.r.ReadAt(head[:], 0); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(head[:])
	switch {
	case n > maxHeader:
		return fmt.Errorf("not a safetensors file: its header would be %d bytes, at most %d are supported", n, maxHeader)
	case int64(n) > size-8:
		return fmt.Errorf("truncated: the safetensors header needs %d bytes, the file has %d; copy or download the file again", n+8, size)
	}
	s.text = int64(n)
	text := make([]byte, n)
	if _, err := s.r.ReadAt(text, 8); err != nil && err != io.EOF {
		return err
	}
	list, err := parseHeader(text)
	if err != nil {
		return fmt.Errorf("safetensors header: %w", err)
	}
	base, end := int64(8+n), int64(0)
	for _, t := range list {
		end = max(end, t.end)
	}
	if end > size-base {
		return fmt.Errorf("truncated: its tensors need %d bytes, the file has %d; copy or download the file again", uint64(base)+uint64(end), size)
	}
	if end < size-base {
		return fmt.Errorf("corrupt: %d bytes follow the last tensor", size-base-end)
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].begin != list[j].begin {
			return list[i].begin < list[j].begin
		}
		return list[i].end < list[j].end
	})
	at := int64(0)
	for i, t := range list {
		if t.begin < at {
			return fmt.Errorf("safetensors header: tensors %s and %s overlap", quote(list[i-1].info.Name), quote(t.info.Name))
		}
		if t.begin > at {
			return fmt.Errorf("safetensors header: %d bytes before tensor %s belong to no tensor", t.begin-at, quote(t.info.Name))
		}
		at = t.end
		if err := s.add(t.info, base+t.begin); err != nil {
			return fmt.Errorf("safetensors header: %w", err)
		}
	}
	s.sort()
	return nil
}

type headerEntry struct {
	info       Info
	begin, end int64
}

// jsonSpace lists the bytes allowed between the tokens of JSON.
const jsonSpace = " \t\r\n"

// parseHeader reads the JSON header token by token, because encoding/json would accept a
// name that occurs twice.
func parseHeader(text []byte) ([]headerEntry, error) {
	if blank := bytes.TrimLeft(text, jsonSpace); len(blank) == 0 || blank[0] != '{' {
		return nil, errors.New("does not start with {")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var list []headerEntry
	seen := map[string]bool{}
	for d.More() {
		name, err := headerKey(d)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("tensor %s is there twice", quote(name))
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := skipMetadata(d); err != nil {
				return nil, fmt.Errorf("__metadata__: %w", err)
			}
			continue
		}
		e, err := parseEntry(d)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", quote(name), err)
		}
		e.info.Name = name
		if len(list) >= maxTensors {
			return nil, fmt.Errorf("more than %d tensors", maxTensors)
		}
		list = append(list, e)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("not closed: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is text after the closing }")
	}
	return list, nil
}

func headerKey(d *json.Decoder) (string, error) {
	tok, err := d.Token()
	if err != nil {
		return "", err
	}
	name, ok := tok.(string)
	if !ok {
		return "", fmt.Errorf("found %s, want a name", found(tok))
	}
	if len(name) > maxName {
		return "", fmt.Errorf("a name has %d bytes, at most %d are supported", len(name), maxName)
	}
	return name, nil
}

// parseEntry reads {"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}.
func parseEntry(d *json.Decoder) (headerEntry, error) {
	var e headerEntry
	if err := begin(d, '{', "{dtype, shape, data_offsets}"); err != nil {
		return e, err
	}
	var dtype string
	var shape, offsets []int64
	seen := map[string]bool{}
	for d.More() {
		key, err := headerKey(d)
		if err != nil {
			return e, err
		}
		if known := key == "dtype" || key == "shape" || key == "data_offsets"; known && seen[key] {
			return e, fmt.Errorf("%s is there twice", key)
		} else if known {
			seen[key] = true
		}
		switch key {
		case "dtype":
			dtype, err = dtypeName(d)
		case "shape":
			shape, err = sizes(d, maxRank)
		case "data_offsets":
			offsets, err = sizes(d, 2)
		default: // the reference library ignores unknown keys too
			err = skip(d)
		}
		if err != nil {
			return e, fmt.Errorf("%s: %w", file.Quote(key), err)
		}
	}
	if _, err := d.Token(); err != nil {
		return e, err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[key] {
			return e, fmt.Errorf("%s is missing", key)
		}
	}
	if len(offsets) != 2 || offsets[1] < offsets[0] {
		return e, fmt.Errorf("data_offsets are %v, want [begin, end]", offsets)
	}
	e.begin, e.end = offsets[0], offsets[1]
	e.info.Shape = make([]int, len(shape))
	for i, v := range shape {
		if v > math.MaxInt {
			return e, fmt.Errorf("shape %v is too large", shape)
		}
		e.info.Shape[i] = int(v)
	}
	var known bool
	if e.info.DType, known = safetensorsTypes[dtype]; !known {
		e.info.DType = DType(strings.ToLower(dtype))
		e.info.Problem = fmt.Sprintf("its type %s is not supported; want %s", dtype, readableType)
	}
	size := e.info.DType.Size()
	if !known {
		size = sizeOnly[dtype]
	}
	n, err := elements(e.info.Shape, size)
	if err != nil {
		return e, err
	}
	if size > 0 && int64(n)*int64(size) != e.end-e.begin {
		return e, fmt.Errorf("%s%s needs %d bytes, data_offsets %v hold %d", dtype, shapeString(e.info.Shape), int64(n)*int64(size), offsets, e.end-e.begin)
	}
	return e, nil
}

// begin reads bracket, which opens an object or a list. want describes that object or list in the error about any other
// token.
func begin(d *json.Decoder, bracket json.Delim, want string) error {
	tok, err := d.Token()
	if err == nil && tok != any(bracket) {
		err = fmt.Errorf("found %s, want %s", found(tok), want)
	}
	return err
}

// dtypeName reads the name of an element type.
func dtypeName(d *json.Decoder) (string, error) {
	tok, err := d.Token()
	if err != nil {
		return "", err
	}
	name, ok := tok.(string)
	if !ok || !typeName(name) {
		return "", fmt.Errorf("found %s, want the name of an element type, such as F32", found(tok))
	}
	return name, nil
}

// skipMetadata reads {"KEY": "VALUE", ...} or null and drops it.
func skipMetadata(d *json.Decoder) error {
	switch tok, err := d.Token(); {
	case err != nil:
		return err
	case tok == nil:
		return nil
	case tok != json.Delim('{'):
		return fmt.Errorf("found %s, want {key: text}", found(tok))
	}
	for d.More() {
		key, err := d.Token() // the decoder returns an error unless a key is a string
		if err != nil {
			return err
		}
		tok, err := d.Token()
		if err != nil {
			return err
		}
		if _, ok := tok.(string); !ok {
			return fmt.Errorf("%s: found %s, want text", found(key), found(tok))
		}
	}
	_, err := d.Token()
	return err
}

// skip reads a value of any kind and drops it.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxSkipped {
				return fmt.Errorf("the value has more than %d nested brackets", maxSkipped)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// maxSkipped bounds the nesting of a value that skip reads.
const maxSkipped = 1000

// sizes reads a list of at most limit integers of at least 0.
func sizes(d *json.Decoder, limit int) ([]int64, error) {
	if err := begin(d, '[', "a list of integers"); err != nil {
		return nil, err
	}
	var list []int64
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		num, ok := tok.(json.Number)
		v, err := num.Int64()
		if !ok || err != nil || v < 0 {
			return nil, fmt.Errorf("found %s, want an integer of at least 0", found(tok))
		}
		if len(list) == limit {
			return nil, fmt.Errorf("more than %d numbers", limit)
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

// WriteSafetensors writes tensors, sorted by name, and metadata, which may be nil. Floats are
// rounded to the nearest number of the tensor's type, ties to even; a number that overflows it
// is an error. The same tensors give the same bytes.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	list := append([]Tensor(nil), tensors...)
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	infos := make([]Info, len(list))
	for i, t := range list {
		if err := t.check(); err != nil {
			return err
		}
		infos[i] = Info{Name: t.Name, DType: t.DType, Shape: t.Shape}
	}
	return writeSafetensors(w, infos, metadata, func(i, at int, dst []byte) error { return list[i].put(dst, at) })
}

// CopySafetensors writes the tensors of a source, and metadata, which may be nil. It needs little memory.
func CopySafetensors(w io.Writer, src Source, metadata map[string]string) error {
	infos := src.Tensors()
	for _, t := range infos {
		if _, err := readable(src, t.Name); err != nil {
			return err
		}
	}
	return writeSafetensors(w, infos, metadata, func(i, at int, dst []byte) error { return src.Read(infos[i].Name, at, dst) })
}

// writeSafetensors writes tensors, which are sorted by name. read fills dst with elements of tensor i from element at on.
func writeSafetensors(w io.Writer, tensors []Info, metadata map[string]string, read func(i, at int, dst []byte) error) error {
	var head bytes.Buffer
	sep := "{"
	if len(metadata) > 0 {
		text, err := json.Marshal(metadata)
		if err != nil {
			return err
		}
		fmt.Fprintf(&head, `{"__metadata__":%s`, text)
		sep = ","
	}
	names := map[DType]string{}
	for name, d := range safetensorsTypes {
		names[d] = name
	}
	at := int64(0)
	for i, t := range tensors {
		if i > 0 && tensors[i-1].Name == t.Name || t.Name == "__metadata__" {
			return fmt.Errorf("tensor %s: the name is taken", quote(t.Name))
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&head, `%s%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, sep, name, names[t.DType], shapeString(t.Shape), at, at+t.Bytes())
		sep = ","
		at += t.Bytes()
	}
	if sep == "{" {
		head.WriteByte('{')
	}
	head.WriteByte('}')
	for head.Len()%8 != 0 {
		head.WriteByte(' ')
	}
	if head.Len() > maxHeader {
		return fmt.Errorf("the safetensors header would be %d bytes, at most %d are supported", head.Len(), maxHeader)
	}
	if err := binary.Write(w, binary.LittleEndian, uint64(head.Len())); err != nil {
		return err
	}
	if _, err := w.Write(head.Bytes()); err != nil {
		return err
	}
	const block = 1 << 15 // elements
	buf := make([]byte, 8*block)
	for i, t := range tensors {
		n, size := t.Len(), t.DType.Size()
		for at := 0; at < n; at += block {
			b := buf[:size*min(block, n-at)]
			if err := read(i, at, b); err != nil {
				return err
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteSafetensorsFile is [WriteSafetensors] to a new or replaced file. On error an old file
// stays.
func WriteSafetensorsFile(path string, tensors []Tensor, metadata map[string]string) error {
	return file.Write(path, 0o666, func(w io.Writer) error {
		if err := WriteSafetensors(w, tensors, metadata); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
}
