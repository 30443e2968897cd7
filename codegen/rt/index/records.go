//go:build !js

package index

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/ir/file"
)

// The buckets of the file of records. Numbers in keys are big-endian, so that keys are in numerical order.
var (
	bucketAbout    = []byte("about")    // about -> JSON of about
	bucketRoots    = []byte("roots")    // path of a root -> its number
	bucketFiles    = []byte("files")    // root's number, path -> record
	bucketPaths    = []byte("paths")    // slot, root's number, path -> nothing: the files that have a vector
	bucketContents = []byte("contents") // SHA-256 -> slot
	bucketPanels   = []byte("panels")   // panel's number -> panel

	buckets = [][]byte{bucketAbout, bucketRoots, bucketFiles, bucketPaths, bucketContents, bucketPanels}
)

// about is what an index says of itself.
type about struct {
	Format      int    `json:"format"`
	ID          uint64 `json:"id,string"`
	Dim         int    `json:"dim"`
	Model       string `json:"model"`
	Fingerprint string `json:"fingerprint"`
	Settings    string `json:"settings"`
	Commit      uint64 `json:"commit"` // raised by every change
}

const format = 1

// record is what is known of a file. Slot is noSlot for a file that could not be read. Each has a checksum, of its key too, so that
// records can be told from damaged ones.
type record struct {
	Size    int64
	ModTime int64
	Taken   int64
	SHA256  [32]byte
	Slot    uint32
	Err     string
}

const (
	noSlot     = ^uint32(0)
	recordSize = 4 + 8 + 8 + 8 + 32 + 4
)

func (r *record) bytes(key []byte) []byte {
	b := make([]byte, 4, recordSize+len(r.Err))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Size))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.ModTime))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Taken))
	b = append(b, r.SHA256[:]...)
	b = binary.LittleEndian.AppendUint32(b, r.Slot)
	b = append(b, r.Err...)
	binary.LittleEndian.PutUint32(b, recordSum(key, b[4:]))
	return b
}

func recordSum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func parseRecord(key, b []byte) (r record, err error) {
	if len(b) < recordSize || binary.LittleEndian.Uint32(b) != recordSum(key, b[4:]) {
		return r, errRecord
	}
	b = b[4:]
	r.Size = int64(binary.LittleEndian.Uint64(b))
	r.ModTime = int64(binary.LittleEndian.Uint64(b[8:]))
	r.Taken = int64(binary.LittleEndian.Uint64(b[16:]))
	r.SHA256 = [32]byte(b[24:])
	r.Slot = binary.LittleEndian.Uint32(b[56:])
	r.Err = string(b[recordSize-4:])
	return r, nil
}

var errRecord = errors.New("a record is not as it is written")

// panelRecord says which lanes of a panel hold vectors, and the CRC-32C of the panel with zeros in the others.
type panelRecord struct {
	lanes uint16
	sum   uint32
}

func (p panelRecord) bytes() []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint16(nil, p.lanes), p.sum)
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// tx is a transaction on the records.
type tx struct{ *bbolt.Tx }

func (t tx) get(bucket, key []byte) []byte       { return t.Bucket(bucket).Get(key) }
func (t tx) put(bucket, key, value []byte) error { return t.Bucket(bucket).Put(key, value) }
func (t tx) delete(bucket, key []byte) error     { return t.Bucket(bucket).Delete(key) }

// each yields the pairs whose keys begin with a prefix, in the order of keys. They are valid until the next change of the bucket.
func (t tx) each(bucket, prefix []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := t.Bucket(bucket).Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if !yield(k, v) {
				return
			}
		}
	}
}

func (t tx) about() (a about, err error) {
	for _, name := range buckets {
		if t.Bucket(name) == nil {
			return a, fmt.Errorf("it lacks %s", name)
		}
	}
	err = json.Unmarshal(t.get(bucketAbout, bucketAbout), &a)
	return a, err
}

func (t tx) setAbout(a about) error {
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return t.put(bucketAbout, bucketAbout, b)
}

// roots returns the paths of roots by their numbers.
func (t tx) roots() map[uint32]string {
	m := map[uint32]string{}
	for k, v := range t.each(bucketRoots, nil) {
		if len(v) == 4 {
			m[binary.BigEndian.Uint32(v)] = string(k)
		}
	}
	return m
}

// root returns the number of a root, made if it is new and add is set.
func (t tx) root(path string, add bool) (n uint32, ok bool, err error) {
	if v := t.get(bucketRoots, []byte(path)); len(v) == 4 {
		return binary.BigEndian.Uint32(v), true, nil
	}
	if !add {
		return 0, false, nil
	}
	for is := range t.roots() {
		n = max(n, is+1)
	}
	return n, true, t.put(bucketRoots, []byte(path), number(n))
}

// wait is how long a process waits for others that read or change the records at this moment; a backup takes longest.
const wait = 5 * time.Minute

// records opens the file of records at path and calls f within a transaction, while no other process changes the records. A
// writer's file may be new.
func records(path string, write bool, f func(db *bbolt.DB) error) (err error) {
	defer guard(blob.Watch(), path, nil, &err)
	db, err := bbolt.Open(path, 0o666, &bbolt.Options{ReadOnly: !write, Timeout: wait, FreelistType: bbolt.FreelistMapType, NoStatistics: true})
	var system syscall.Errno
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%s: another process has held it for %v", file.Quote(path), wait)
	case errors.As(err, &system):
		return file.PathError(path, err)
	case err != nil: // it does not look like such a file
		return damaged(path, err)
	}
	db.AllocSize = 1 << 20
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
	}()
	return f(db)
}

// paths of the files of an index.
func recordsPath(dir string) string { return filepath.Join(dir, "records.db") }
func vectorsPath(dir string) string { return filepath.Join(dir, "vectors.f16") }
func lockPath(dir string) string    { return filepath.Join(dir, "lock") }

// exists reports whether there is something at a path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
