package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// legacyMagic is the start of a checkpoint of PyTorch before 1.6: the pickle of one large
// number.
const legacyMagic = "\x80\x02" + legacyNumber

const legacyNumber = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."

// legacyStart returns the length of the magic number that head starts with, 0 without one; later protocols frame it.
func legacyStart(head []byte) int {
	for _, start := range []string{"\x80\x02", "\x80\x03", "\x80\x04\x95\x0d\x00\x00\x00\x00\x00\x00\x00", "\x80\x05\x95\x0d\x00\x00\x00\x00\x00\x00\x00"} {
		if bytes.HasPrefix(head, []byte(start+legacyNumber)) {
			return len(start + legacyNumber)
		}
	}
	return 0
}

// legacyProtocol is the only version of the stream since PyTorch 0.1.
const legacyProtocol = 1001

// openLegacy reads the stream of PyTorch before 1.6: pickles of the magic number,
// the protocol, the machine (byte order), the object and the keys of its storages;
// then each storage in the order of the keys, as its number of elements in 8 bytes
// and the elements.
func (p *pytorch) openLegacy(size int64) error {
	// The length of the pickles is not known, so read more and more of the file.
	limit := min(size, maxPickle)
	for n := min(limit, 1<<20); ; n = min(limit, 4*n) {
		data := make([]byte, n)
		if got, err := p.r.ReadAt(data, 0); got < len(data) {
			return err
		}
		p.text += n
		loader := newLoader(len(data), size)
		top, keys, end, err := loader.legacy(data)
		switch {
		case errors.Is(err, errTruncated) && n < limit:
			continue
		case errors.Is(err, errTruncated) && limit < size:
			return fmt.Errorf("its pickles take more than %d bytes, want at most these", maxPickle)
		case err != nil:
			return err
		}
		if err := loader.placeLegacy(p.r, size, keys, int64(end)); err != nil {
			return err
		}
		return p.list(top, loader.budget, func(s *torchStorage) error {
			root := s
			if s.root != nil {
				root = s.root
			}
			if root.data == nil && root.size != 0 {
				return fmt.Errorf("storage %s is not in the file", quote(s.key))
			}
			s.data, s.offset = root.data, root.offset+int64(s.at)*int64(s.size)
			return nil
		})
	}
}

// legacy reads the pickles at the start of data and returns the object, the keys of the
// storages and the offset of the first storage.
func (l *torchLoader) legacy(data []byte) (top any, keys *pyList, end int, err error) {
	u := l.unpickler(data)
	u.pos = legacyStart(data)
	next := func() any {
		if err != nil {
			return nil
		}
		var v any
		v, err = u.run()
		return v
	}
	version, machine := next(), next()
	top = next()
	list := next()
	if err != nil {
		return nil, nil, 0, err
	}
	if version != any(int64(legacyProtocol)) {
		return nil, nil, 0, fmt.Errorf("PyTorch's legacy stream of protocol %s, want %d", numberOr(version), legacyProtocol)
	}
	if m, ok := machine.(*pyDict); !ok || m.vals["little_endian"] != any(true) {
		return nil, nil, 0, errors.New("it was written on a big-endian machine, only little-endian is supported; save it again on another machine")
	}
	keys, ok := list.(*pyList)
	if !ok {
		return nil, nil, 0, fmt.Errorf("PyTorch's legacy stream: the keys of its storages are a %s, want a list", kindOf(list))
	}
	return top, keys, u.pos, nil
}

// keyOr returns a storage's key for errors, or the kind of a value that is not a key.
func keyOr(v any) string {
	if s, ok := v.(string); ok {
		return quote(s)
	}
	return numberOr(v)
}

// placeLegacy finds the storages, the first of which is at byte at of the file.
func (l *torchLoader) placeLegacy(r io.ReaderAt, size int64, keys *pyList, at int64) error {
	whole := func() (io.ReaderAt, error) { return r, nil }
	for _, k := range keys.items {
		key, _ := k.(string)
		s := l.storages[key]
		switch {
		case s == nil:
			return fmt.Errorf("PyTorch's legacy stream: nothing uses the storage %s, so its size is unknown", keyOr(k))
		case s.data != nil:
			return fmt.Errorf("PyTorch's legacy stream: storage %s is there twice", quote(key))
		case s.size == 0:
			return fmt.Errorf("PyTorch's legacy stream: storage %s is of the unknown type %s, so what follows cannot be found", quote(key), s.dtype)
		}
		var head [8]byte
		if n, err := r.ReadAt(head[:], at); n < len(head) {
			if err == io.EOF {
				err = fmt.Errorf("truncated: storage %s begins at byte %d, the file has %d", quote(key), at, size)
			}
			return err
		}
		if n := binary.LittleEndian.Uint64(head[:]); n != uint64(s.n) {
			return fmt.Errorf("corrupt: storage %s has %d elements at byte %d, want %d", quote(key), n, at, s.n)
		}
		at += int64(len(head))
		if int64(s.n) > (size-at)/int64(s.size) {
			return fmt.Errorf("truncated: storage %s needs %d bytes from byte %d, the file has %d", quote(key), s.n*s.size, at, size)
		}
		s.offset, s.data = at, whole
		at += int64(s.n) * int64(s.size)
	}
	return nil
}
