package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/multiway-go/multiway/ir/file"
)

// A weight file at the end of an executable is followed by a trailer:
//
//	uint64 offset of the weight file, uint64 its size,
//	first 8 bytes of the SHA-256 of these 16, "MWTRAIL\n"
const (
	trailerMagic = "MWTRAIL\n"
	trailerSize  = 32
	appendAlign  = 1 << 16 // a multiple of every page size
)

// ErrNoWeights says that no weight file is appended to a file.
var ErrNoWeights = errors.New("no weights are appended")

func trailer(off, size int64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(off))
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	sum := sha256.Sum256(b)
	b = append(b, sum[:8]...)
	return append(b, trailerMagic...)
}

// findAppended returns offset and size of the weight file that is appended to f.
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

// Append appends a weight file to an executable, which must not have one yet. exe must
// be open for reading and writing.
func Append(exe *os.File, blob io.Reader) error {
	if _, _, err := findAppended(exe); err == nil {
		return fmt.Errorf("%s: weights are already appended; start from the executable as the linker wrote it", file.Quote(exe.Name()))
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
	chunks := &chunks{w: exe, at: off}
	n, err := io.Copy(chunks, blob)
	if err != nil {
		return err
	}
	if err := chunks.flush(); err != nil {
		return err
	}
	_, err = exe.Write(trailer(off, n))
	return err
}

// OpenAppended opens the weight file at the end of an executable. The error wraps
// ErrNoWeights if there is none.
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
