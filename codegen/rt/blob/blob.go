package blob

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"sync"
	"unsafe"

	"github.com/multiway-go/multiway/ir/file"
)

// Blob is an open weight file. It is immutable and safe for concurrent use, Close included.
//
// A file is memory-mapped if the system supports it, so it must not change while it is open. To
// replace it, write the new file beside it and rename it over the old one; open blobs keep the
// old one. If the file is truncated nevertheless, methods that read the missing part return
// [ErrFault], but reading the result of [Blob.Data] there crashes the process.
type Blob struct {
	Packing uint32
	Layout  [32]byte // of the table
	Hash    [32]byte // of the payload, according to the header; see Verify
	Tensors []Tensor
	Source  string // where it came from: a path, "embedded", or "memory"

	open    sync.RWMutex // held for reading while payload is read, for writing by Close
	payload []byte       // nil after Close
	size    int64        // of the payload
	mapped  []byte       // the file, nil if it is not mapped
	release func() error // frees the payload; nil: the garbage collector does
}

// Read opens a weight file in memory, which it uses in place: data must not change
// while the blob is in use. Only the header and the table are read.
func Read(data []byte) (*Blob, error) {
	b := &Blob{Source: "memory"}
	if err := b.parse(data); err != nil {
		return nil, err
	}
	return b, nil
}

// parse reads header and table of a whole file.
func (b *Blob) parse(data []byte) (err error) {
	defer b.caught(Watch(), &err)
	h, err := parseHeader(data[:min(len(data), headerSize)], int64(len(data)))
	if err != nil {
		return err
	}
	tensors, err := parseTable(data[headerSize:headerSize+h.table], h)
	if err != nil {
		return err
	}
	b.Packing, b.Layout, b.Hash, b.Tensors = h.packing, h.layout, h.hash, tensors
	b.payload, b.size = data[h.start:], h.size
	return nil
}

// Open opens a weight file, which must be a regular file, and maps it if the system supports it.
func Open(path string) (*Blob, error) {
	f, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return openAt(f, 0, st.Size(), path)
}

// openAt opens the weight file of size bytes at off inside f. The header is
// checked before anything is mapped or allocated.
func openAt(f *os.File, off, size int64, source string) (*Blob, error) {
	fail := func(err error) (*Blob, error) { return nil, fmt.Errorf("%s: %w", file.Quote(source), err) }
	head := make([]byte, min(size, headerSize))
	if _, err := f.ReadAt(head, off); err != nil {
		return fail(err)
	}
	if _, err := parseHeader(head, size); err != nil {
		return fail(err)
	}
	if size > math.MaxInt {
		return fail(fmt.Errorf("%d bytes do not fit the address space of this %d-bit program", size, bits.UintSize))
	}
	data, release, err := Map(f, off, int(size))
	if err != nil {
		return fail(err)
	}
	b := &Blob{Source: source, release: release}
	if release != nil {
		b.mapped = data
	}
	if err := b.parse(data); err != nil {
		b.Close()
		return fail(err)
	}
	return b, nil
}

// readFile reads size bytes of f at off into aligned memory, which the garbage collector frees.
func readFile(f *os.File, off int64, size int) ([]byte, func() error, error) {
	words := AlignedFloats((size + 3) / 4)
	data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), size)
	if _, err := io.ReadFull(io.NewSectionReader(f, off, int64(size)), data); err != nil {
		return nil, nil, err
	}
	return data, nil, nil
}

// Data returns the packed bytes of tensor i, nil after Close. They must not be written, and are
// valid until Close.
func (b *Blob) Data(i int) []byte {
	b.open.RLock()
	defer b.open.RUnlock()
	return b.data(i)
}

func (b *Blob) data(i int) []byte {
	if b.payload == nil {
		return nil
	}
	t := b.Tensors[i]
	return b.payload[t.Offset : t.Offset+t.Bytes : t.Offset+t.Bytes]
}

// Scalar returns the first value of the f32 tensor called name, NaN if there is no such
// tensor or the blob is closed.
func (b *Blob) Scalar(name string) float32 {
	v := float32(math.NaN())
	b.Read(func() {
		for i, t := range b.Tensors {
			if data := b.data(i); t.Name == name && t.DType == F32 && len(data) >= 4 {
				v = math.Float32frombits(binary.LittleEndian.Uint32(data))
			}
		}
	})
	return v
}

// Size returns the size of the payload in bytes.
func (b *Blob) Size() int64 { return b.size }

// Verify reads the whole payload and compares it with the header's hash.
func (b *Blob) Verify() error {
	var sum [32]byte
	if err := b.Read(func() { sum = sha256.Sum256(b.payload) }); err != nil {
		return err
	}
	if sum != b.Hash {
		return fmt.Errorf("%s: the weights do not match their hash; copy the weight file again", file.Quote(b.Source))
	}
	return nil
}

// Read calls f, during which the payload stays open. The error wraps [ErrClosed] if the blob is closed, and [ErrFault] if f could
// not read a part of the payload.
func (b *Blob) Read(f func()) (err error) {
	b.open.RLock()
	defer b.open.RUnlock()
	if b.payload == nil {
		return fmt.Errorf("%s: %w", file.Quote(b.Source), ErrClosed)
	}
	defer b.caught(Watch(), &err)
	f()
	return nil
}

// Close waits for methods that read the payload and then frees its memory.
func (b *Blob) Close() error {
	b.open.Lock()
	defer b.open.Unlock()
	r := b.release
	b.payload, b.mapped, b.release = nil, nil, nil
	if r == nil {
		return nil
	}
	return r()
}

// Floats returns the address of the payload. It copies a payload that is not aligned to four bytes,
// such as an embedded string may be. It must not be called concurrently with other methods.
func (b *Blob) Floats() *float32 {
	if len(b.payload) == 0 {
		return &AlignedFloats(1)[0]
	}
	p := unsafe.Pointer(unsafe.SliceData(b.payload))
	if uintptr(p)%4 != 0 {
		words := AlignedFloats((len(b.payload) + 3) / 4)
		data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(b.payload))
		copy(data, b.payload)
		b.payload = data
		p = unsafe.Pointer(unsafe.SliceData(words))
	}
	return (*float32)(p)
}

// MoveHuge copies the payload into huge pages and reports whether the system provided them. It must not be called concurrently
// with other methods.
func (b *Blob) MoveHuge() (moved bool, err error) {
	if len(b.payload) == 0 {
		return false, nil
	}
	defer b.caught(Watch(), &err)
	data, release, ok := copyHuge(b.payload)
	if !ok {
		return false, nil
	}
	old := b.release
	b.payload, b.mapped, b.release = data, nil, release
	if old != nil {
		err = old()
	}
	return true, err
}
