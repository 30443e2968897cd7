package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"strconv"
	"sync"
	"unicode/utf8"
	"unsafe"

	"github.com/multiway-go/multiway/ir/file"
)

// The weight file. All numbers are little-endian.
//
//	0    "MWBLOB"
//	6    uint16  format (1)
//	8    uint32  packing: the layout of the weights inside a tensor (1: panels of 16)
//	12   uint32  bytes of the table
//	16   uint64  position of the payload, a multiple of 4096
//	24   uint64  bytes of the payload
//	32   SHA-256 of the table
//	64   SHA-256 of the payload
//	96   uint32  number of tensors
//	100  zeros
//	128  table: for each tensor, by ascending offset:
//	       uint16 length of the name, the name (UTF-8)
//	       uint8 dtype, uint8 number of dimensions, uint32 each dimension
//	       uint64 offset in the payload (a multiple of 64), uint64 bytes
//	     zeros up to the payload
//
// The file ends with the payload. The shape is the tensor's meaning; bytes is what
// its packed form takes, at least shape x width.
const (
	blobMagic  = "MWBLOB"
	blobFormat = 1
	headerSize = 128
	blobAlign  = 4096 // of the payload
	tensorGrid = 64   // of the tensors in it

	maxTable = 64 << 20
	maxName  = 1 << 10
	maxDims  = 8
	minEntry = 2 + 2 + 16 // table bytes of a tensor, at least
)

// PackingPanels16 is the packing of float32 weights in panels of 16 columns.
const PackingPanels16 = 1

// DType is the element type of a tensor in a weight file.
type DType uint8

// Size returns the bytes of a value.
func (d DType) Size() int { return dtypes[d].size }

func (d DType) valid() bool { return d >= F32 && int(d) < len(dtypes) }

// String returns "f32" and so on.
func (d DType) String() string {
	if !d.valid() {
		return "dtype(" + strconv.Itoa(int(d)) + ")"
	}
	return dtypes[d].name
}

// Tensor is one row of a weight file's table.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int // logical, before packing
	Offset int64 // bytes into the payload, a multiple of 64
	Bytes  int64 // packed
}

func tensorName(i int, name string) string { return fmt.Sprintf("tensor %d (%s)", i, file.Quote(name)) }

// checkTensors checks what reader and writer promise of a table.
func checkTensors(tensors []Tensor, payload int64) error {
	end := int64(0)
	for i, t := range tensors {
		where := tensorName(i, t.Name)
		switch {
		case t.Name == "" || len(t.Name) > maxName || !utf8.ValidString(t.Name):
			return fmt.Errorf("%s: the name must be 1 to %d bytes of UTF-8", where, maxName)
		case !t.DType.valid():
			return fmt.Errorf("%s: unknown %v", where, t.DType)
		case len(t.Shape) > maxDims:
			return fmt.Errorf("%s: %d dimensions, at most %d are allowed", where, len(t.Shape), maxDims)
		case t.Offset%tensorGrid != 0:
			return fmt.Errorf("%s: offset %d is no multiple of %d", where, t.Offset, tensorGrid)
		case t.Offset < end:
			return fmt.Errorf("%s: offset %d lies before %d, the end of the tensor before it", where, t.Offset, end)
		case t.Bytes < 0 || t.Offset > payload || t.Bytes > payload-t.Offset:
			return fmt.Errorf("%s: bytes %d+%d lie outside the payload of %d bytes", where, t.Offset, t.Bytes, payload)
		}
		need := uint64(dtypes[t.DType].size)
		for _, d := range t.Shape {
			hi, lo := bits.Mul64(need, uint64(d))
			if d < 0 || uint64(d) > math.MaxUint32 || hi != 0 {
				return fmt.Errorf("%s: impossible shape %v", where, t.Shape)
			}
			need = lo
		}
		if need > uint64(t.Bytes) {
			return fmt.Errorf("%s: %d bytes do not hold %v%v", where, t.Bytes, t.DType, t.Shape)
		}
		end = t.Offset + t.Bytes
	}
	return nil
}

// encodeTable returns the table's bytes; tensors were checked.
func encodeTable(tensors []Tensor) []byte {
	var b []byte
	le := binary.LittleEndian
	for _, t := range tensors {
		b = le.AppendUint16(b, uint16(len(t.Name)))
		b = append(b, t.Name...)
		b = append(b, byte(t.DType), byte(len(t.Shape)))
		for _, d := range t.Shape {
			b = le.AppendUint32(b, uint32(d))
		}
		b = le.AppendUint64(b, uint64(t.Offset))
		b = le.AppendUint64(b, uint64(t.Bytes))
	}
	return b
}

// LayoutHash returns the hash that ties a generated package to its weight file.
func LayoutHash(tensors []Tensor) [32]byte { return sha256.Sum256(encodeTable(tensors)) }

// payloadSize returns the payload bytes of a table: up to the last tensor's end,
// on the grid.
func payloadSize(tensors []Tensor) int64 {
	if len(tensors) == 0 {
		return 0
	}
	last := tensors[len(tensors)-1]
	return (last.Offset + last.Bytes + tensorGrid - 1) &^ (tensorGrid - 1)
}

// Write writes a weight file at the start of w: tensors by ascending offset,
// data(i, w) writing exactly the Bytes of tensor i. Gaps are zeros. The same input
// gives the same bytes.
func Write(w io.WriteSeeker, packing uint32, tensors []Tensor, data func(i int, w io.Writer) error) error {
	size := payloadSize(tensors)
	if err := checkTensors(tensors, size); err != nil {
		return err
	}
	table := encodeTable(tensors)
	if len(table) > maxTable {
		return fmt.Errorf("a table of %d tensors takes %d bytes, at most %d are allowed", len(tensors), len(table), maxTable)
	}
	start := int64(headerSize+len(table)+blobAlign-1) &^ (blobAlign - 1)
	if _, err := w.Seek(start, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	out := &counter{w: io.MultiWriter(w, sum)}
	for i, t := range tensors {
		if err := out.zeros(t.Offset - out.n); err != nil {
			return err
		}
		if err := data(i, out); err != nil {
			return fmt.Errorf("%s: %w", tensorName(i, t.Name), err)
		}
		if got := out.n - t.Offset; got != t.Bytes {
			return fmt.Errorf("%s: got %d bytes of data, want %d", tensorName(i, t.Name), got, t.Bytes)
		}
	}
	if err := out.zeros(size - out.n); err != nil {
		return err
	}

	le := binary.LittleEndian
	head := make([]byte, start)
	copy(head, blobMagic)
	le.PutUint16(head[6:], blobFormat)
	le.PutUint32(head[8:], packing)
	le.PutUint32(head[12:], uint32(len(table)))
	le.PutUint64(head[16:], uint64(start))
	le.PutUint64(head[24:], uint64(size))
	hash := sha256.Sum256(table)
	copy(head[32:], hash[:])
	copy(head[64:], sum.Sum(nil))
	le.PutUint32(head[96:], uint32(len(tensors)))
	copy(head[headerSize:], table)
	if _, err := w.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Seek(start+size, io.SeekStart)
	return err
}

// counter counts the bytes that go through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) zeros(n int64) error {
	var page [blobAlign]byte
	for n > 0 {
		k, err := c.Write(page[:min(n, blobAlign)])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// Blob is an open weight file. It is immutable and safe to share, also while it is closed.
//
// A file is mapped where the system can: it must not change while it is open. To replace
// it, write the new file beside it and rename it over the old one; open blobs keep the old
// one. Where a file is cut off all the same, what reads the part that is gone gets
// [ErrFault] or, reading what [Blob.Data] returned, ends the process.
type Blob struct {
	Packing uint32
	Layout  [32]byte // of the table
	Hash    [32]byte // of the payload, as the header says (see Verify)
	Tensors []Tensor
	Source  string // where it came from: a path, "embedded", or "memory"

	open    sync.RWMutex // held for reading while payload is read, for writing by Close
	payload []byte       // nil after Close
	size    int64        // of the payload
	mapped  []byte       // the file, nil if it is not mapped
	release func() error // gives payload back; nil: nothing to do
}

// header is what the first bytes of a weight file say.
type header struct {
	packing      uint32
	table, count int
	start, size  int64
	layout, hash [32]byte
}

// parseHeader checks the first headerSize bytes of a file of total bytes.
func parseHeader(b []byte, total int64) (h header, err error) {
	le := binary.LittleEndian
	if len(b) >= len(blobMagic) && string(b[:len(blobMagic)]) != blobMagic {
		return h, errors.New("this is no multiway weight file; use the weights.bin that was written beside the generated package")
	}
	if len(b) < headerSize {
		return h, fmt.Errorf("the file is cut off: %d bytes, the header alone has %d", total, headerSize)
	}
	if f := le.Uint16(b[6:]); f != blobFormat {
		return h, fmt.Errorf("weight file of format %d, this program reads format %d; build the model again with the same version of multiway", f, blobFormat)
	}
	h.packing = le.Uint32(b[8:])
	table, start, size := uint64(le.Uint32(b[12:])), le.Uint64(b[16:]), le.Uint64(b[24:])
	copy(h.layout[:], b[32:])
	copy(h.hash[:], b[64:])
	count := uint64(le.Uint32(b[96:]))
	if table > maxTable || count*minEntry > table || start != (headerSize+table+blobAlign-1)&^uint64(blobAlign-1) ||
		!bytes.Equal(b[100:headerSize], make([]byte, headerSize-100)) {
		return h, errors.New("the header is corrupt; copy the weight file again")
	}
	if size > math.MaxInt64-start || start+size != uint64(total) {
		return h, fmt.Errorf("the file has %d bytes, its header says %d; it is cut off or corrupt, copy it again", total, start+size)
	}
	if size > math.MaxInt {
		return h, fmt.Errorf("%d bytes of weights are too many for this %d-bit program", size, bits.UintSize)
	}
	h.table, h.count, h.start, h.size = int(table), int(count), int64(start), int64(size)
	return h, nil
}

// parseTable checks and decodes the table.
func parseTable(b []byte, h header) ([]Tensor, error) {
	if sha256.Sum256(b) != h.layout {
		return nil, errors.New("the table does not match its hash; copy the weight file again")
	}
	corrupt := errors.New("the table is corrupt; copy the weight file again")
	le := binary.LittleEndian
	tensors := make([]Tensor, 0, h.count)
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, corrupt
		}
		n := int(le.Uint16(b))
		if len(b) < 4+n {
			return nil, corrupt
		}
		t := Tensor{Name: string(b[2 : 2+n]), DType: DType(b[2+n])}
		dims := int(b[3+n])
		b = b[4+n:]
		if dims > maxDims || len(b) < 4*dims+16 || len(tensors) == h.count {
			return nil, corrupt
		}
		for i := range dims {
			d := le.Uint32(b[4*i:])
			if uint64(d) > math.MaxInt {
				return nil, corrupt
			}
			t.Shape = append(t.Shape, int(d))
		}
		b = b[4*dims:]
		off, size := le.Uint64(b), le.Uint64(b[8:])
		if off > math.MaxInt64 || size > math.MaxInt64 {
			return nil, corrupt
		}
		t.Offset, t.Bytes = int64(off), int64(size)
		b = b[16:]
		tensors = append(tensors, t)
	}
	if len(tensors) != h.count {
		return nil, corrupt
	}
	if err := checkTensors(tensors, h.size); err != nil {
		return nil, err
	}
	if payloadSize(tensors) != h.size {
		return nil, corrupt
	}
	return tensors, nil
}

// Read reads a weight file in memory and uses it in place; data must not
// change while the blob is in use. Only the header and the table are read.
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

// Open opens a weight file, a regular file that is mapped where the system can.
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
		return fail(fmt.Errorf("%d bytes are too many for this %d-bit program", size, bits.UintSize))
	}
	data, release, err := mapFile(f, off, int(size))
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

// readFile reads size bytes of f at off into aligned memory, which the collector releases.
func readFile(f *os.File, off int64, size int) ([]byte, func() error, error) {
	words := AlignedFloats((size + 3) / 4)
	data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), size)
	if _, err := io.ReadFull(io.NewSectionReader(f, off, int64(size)), data); err != nil {
		return nil, nil, err
	}
	return data, nil, nil
}

// Data returns the packed bytes of tensor i, which must not be written. They are valid
// until Close, after which there are none: nil.
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
// tensor, or the blob is closed.
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

// Size returns the bytes of the payload.
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

// Read calls f, which reads the payload, unless the blob is closed. The payload stays until f returns; where it can no
// longer be read the error is [ErrFault].
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

// Close waits for methods that read the payload, and gives the memory back.
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

// Floats returns the start of the payload, as floats. A payload whose start is not even a multiple
// of four bytes (an embedded string promises nothing) is copied. Not safe beside other methods.
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

// MoveHuge moves the payload into huge pages, and reports whether the system gave them. Not safe beside other methods.
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

// A weight file at the end of an executable is followed by a trailer:
//
//	uint64 position of the weight file, uint64 its bytes,
//	first 8 bytes of the SHA-256 of these 16, "MWTRAIL\n"
const (
	trailerMagic = "MWTRAIL\n"
	trailerSize  = 32
	appendAlign  = 1 << 16 // a multiple of every page size
)

// ErrNoWeights says that a file has no weight file appended.
var ErrNoWeights = errors.New("no weights are appended")

func trailer(off, size int64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(off))
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	sum := sha256.Sum256(b)
	b = append(b, sum[:8]...)
	return append(b, trailerMagic...)
}

// findAppended returns where the appended weight file of f lies.
func findAppended(f *os.File) (off, size int64, err error) {
	st, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	if st.Size() < trailerSize {
		return 0, 0, ErrNoWeights
	}
	var b [trailerSize]byte
	if _, err := f.ReadAt(b[:], st.Size()-trailerSize); err != nil {
		return 0, 0, err
	}
	if string(b[24:]) != trailerMagic {
		return 0, 0, ErrNoWeights
	}
	off, size = int64(binary.LittleEndian.Uint64(b[:])), int64(binary.LittleEndian.Uint64(b[8:]))
	end := st.Size() - trailerSize
	if !bytes.Equal(b[:], trailer(off, size)) || off < 0 || size < 0 || off > end || size != end-off {
		return 0, 0, errors.New("the trailer of the appended weights is corrupt; build the program again")
	}
	return off, size, nil
}

// Append appends a weight file to an executable that has none yet. exe must be
// open for reading and writing.
func Append(exe *os.File, blob io.Reader) error {
	if _, _, err := findAppended(exe); err == nil {
		return fmt.Errorf("%s: weights are appended already; start from the executable as the linker wrote it", file.Quote(exe.Name()))
	} else if !errors.Is(err, ErrNoWeights) {
		return fmt.Errorf("%s: %w", file.Quote(exe.Name()), err)
	}
	end, err := exe.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	off := (end + appendAlign - 1) &^ (appendAlign - 1)
	if _, err := exe.Write(make([]byte, off-end)); err != nil {
		return err
	}
	n, err := io.Copy(exe, blob)
	if err != nil {
		return err
	}
	_, err = exe.Write(trailer(off, n))
	return err
}

// OpenAppended opens the weight file at the end of an executable. The error is
// ErrNoWeights when there is none.
func OpenAppended(path string) (*Blob, error) {
	f, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	off, size, err := findAppended(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	return openAt(f, off, size, path)
}
