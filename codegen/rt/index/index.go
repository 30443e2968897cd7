//go:build !js

package index

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/ir/file"
)

// Errors that are found by errors.Is.
var (
	ErrNoIndex = errors.New("there is no index here")
	ErrOther   = errors.New("vectors that were made in two ways do not compare; make a new index")
	ErrDamaged = errors.New("the index is damaged")
	ErrLocked  = errors.New("another process is changing the index; wait for it to end")
	ErrClosed  = errors.New("the index is closed")
	ErrRead    = errors.New("the index is open for reading only")
)

// damaged is the error about a damaged file of an index.
func damaged(path string, cause error) error {
	return fmt.Errorf("%s: %w: %w", file.Quote(path), ErrDamaged, cause)
}

// Config says what an index holds and how it is searched. An index is opened only with the Model's fingerprint, Settings and Dim
// that it was made with.
type Config struct {
	Model       string // name of the model, for messages
	Fingerprint string // of the model that makes the vectors: rt.Model.Fingerprint
	Settings    string // of reading inputs, as far as they change vectors; in words, for messages
	Dim         int    // values of a vector, 1 to 65536

	// Kernels are the tables to choose from to search with, those of the model's package: rt.Package.Kernels. Without kernels for
	// f16 weights, as nil has none, the search is in plain Go, which gives the same results but for rounding and takes several
	// times as long.
	Kernels []*kernel.Table
	Level   string // CPU level of the kernels; "" is the best
	Threads int    // of a search; 0: one per core
}

const (
	maxDim   = 1 << 16
	maxFiles = 1<<31 - 1
)

// Name names a file: the absolute path of a root folder, and the path in it, with slashes.
type Name struct{ Root, Path string }

// Join returns the path of the file.
func (n Name) Join() string { return filepath.Join(n.Root, filepath.FromSlash(n.Path)) }

// File is what an index knows of a file.
type File struct {
	Name
	Size    int64    // in bytes
	ModTime int64    // in nanoseconds since 1970
	Taken   int64    // when the picture was taken, in seconds since 1970; 0: unknown
	SHA256  [32]byte // of its bytes
	Err     string   // why it could not be read; "" if it has a vector
}

// Item is a file to add. A file that could not be read (Err is set) has no vector. Other files may have none if the index, or an
// earlier item of the same call, has the vector of the same SHA256.
type Item struct {
	File
	Vector []float32 // Dim finite values of at most 65504
}

// Hit is a file that was found, and the dot product of its vector and the query's.
type Hit struct {
	File
	Score float32
}

// Index is an open index. Its methods are safe for concurrent use. One Index of one process can be open for changes, while any
// number are open for reading, which see every change when it is complete.
type Index struct {
	dir     string
	config  Config
	scan    scanner
	unlock  func()   // nil: open for reading
	vectors *os.File // of a writer
	changes sync.Mutex
	repair  bool
	step    func(what string) // of tests: called before each step that changes files

	mu    sync.RWMutex // held for reading while a snapshot is used
	state *snapshot    // nil: none is loaded, or the index is closed
	done  bool
}

// Open opens the index at a path for reading, to search in it.
func Open(path string, c Config) (*Index, error) { return open(path, c, false, false) }

// Create opens the index at a path for changes, and makes it if there is none. The folder that contains it must exist. While it is
// open, every other Create of the path fails with ErrLocked.
func Create(path string, c Config) (*Index, error) { return open(path, c, true, false) }

func open(path string, c Config, write, repair bool) (_ *Index, err error) {
	if c.Dim < 1 || c.Dim > maxDim {
		return nil, fmt.Errorf("an index of vectors of %d values, want 1 to %d", c.Dim, maxDim)
	}
	x := &Index{dir: path, config: c, repair: repair, step: func(string) {}}
	if x.scan, err = newScanner(c); err != nil {
		return nil, err
	}
	if err := x.place(write); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			x.Close()
		}
	}()
	if write {
		if x.unlock, err = file.Lock(lockPath(path)); errors.Is(err, file.ErrLocked) {
			return nil, fmt.Errorf("%s: %w", file.Quote(path), ErrLocked)
		}
		if err == nil {
			err = x.begin()
		}
		if err != nil {
			return nil, err
		}
	}
	if err := x.read(func(tx, *snapshot) error { return nil }); err != nil {
		return nil, err
	}
	if write {
		if x.vectors, err = os.OpenFile(vectorsPath(path), os.O_RDWR, 0); err != nil {
			return nil, file.PathError(vectorsPath(path), err)
		}
	}
	return x, nil
}

// place looks at the folder of the index, and makes it if it is to be written. A folder with anything else in it is refused.
func (x *Index) place(write bool) error {
	entries, err := os.ReadDir(x.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && write:
		if err := os.Mkdir(x.dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return file.PathError(x.dir, err)
		}
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", file.Quote(x.dir), ErrNoIndex)
	case err != nil:
		return file.PathError(x.dir, err)
	}
	for _, e := range entries {
		switch name := filepath.Join(x.dir, e.Name()); {
		case name == recordsPath(x.dir), name == vectorsPath(x.dir), name == lockPath(x.dir):
		case strings.HasPrefix(e.Name(), "."): // of the system, or a temporary file of a process that was killed
		default:
			return fmt.Errorf("%s: %w: the folder holds %s", file.Quote(x.dir), ErrNoIndex, file.Quote(e.Name()))
		}
	}
	return nil
}

// begin makes the files of a new index. The file of vectors is last: an index has one, and without it what there is of records is
// the rest of an earlier begin.
func (x *Index) begin() error {
	if exists(vectorsPath(x.dir)) {
		return nil
	}
	records := recordsPath(x.dir)
	x.step("remove records")
	if err := os.Remove(records); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return file.PathError(records, err)
	}
	m := mark{id: rand.Uint64(), dim: uint32(x.config.Dim)}
	x.step("create records")
	err := update(records, func(t tx) error {
		for _, name := range buckets {
			if _, err := t.CreateBucket(name); err != nil {
				return err
			}
		}
		c := &x.config
		return t.setAbout(about{format, m.id, c.Dim, c.Model, c.Fingerprint, c.Settings, 0})
	})
	if err == nil {
		err = m.setClean(records)
	}
	if err != nil {
		return err
	}
	f, err := file.Create(vectorsPath(x.dir), 0o666)
	if err != nil {
		return err
	}
	defer f.Abandon()
	for range 2 {
		if err == nil {
			err = m.write(f.File)
		}
	}
	if err == nil {
		err = f.Truncate(vectorsHead)
	}
	if err != nil {
		return file.PathError(vectorsPath(x.dir), err)
	}
	x.step("create vectors")
	return f.Commit()
}

// Close closes the index. Methods that are called later return ErrClosed.
func (x *Index) Close() error {
	x.changes.Lock()
	defer x.changes.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	var err error
	if x.state != nil {
		err = x.state.release()
		x.state = nil
	}
	if x.vectors != nil {
		err = errors.Join(err, x.vectors.Close())
		x.vectors = nil
	}
	if x.unlock != nil {
		x.unlock()
		x.unlock = nil
	}
	x.done = true
	return err
}

// update changes the records at path by one transaction.
func update(path string, f func(t tx) error) error {
	return records(path, true, func(db *bbolt.DB) error {
		return db.Update(func(t *bbolt.Tx) error { return f(tx{t}) })
	})
}

// read calls f with the records and the snapshot that belongs to them, while no process changes either.
func (x *Index) read(f func(t tx, s *snapshot) error) error {
	path := recordsPath(x.dir)
	switch has := exists(path); {
	case has != exists(vectorsPath(x.dir)):
		return damaged(x.dir, fmt.Errorf("of %s and %s one is missing", filepath.Base(path), filepath.Base(vectorsPath(x.dir))))
	case !has:
		return fmt.Errorf("%s: %w", file.Quote(x.dir), ErrNoIndex)
	}
	return records(path, false, func(db *bbolt.DB) error {
		if err := x.refresh(db); err != nil {
			return err
		}
		return db.View(func(t *bbolt.Tx) error {
			x.mu.RLock()
			defer x.mu.RUnlock()
			if x.state == nil {
				return ErrClosed
			}
			return f(tx{t}, x.state)
		})
	})
}

// refresh loads the snapshot that belongs to the records, unless it is loaded. As long as the records stay open, it is the only
// one that refresh loads.
func (x *Index) refresh(db *bbolt.DB) error {
	v, err := file.Open(vectorsPath(x.dir))
	if err != nil {
		return err
	}
	defer v.Close()
	m, err := readMark(v)
	if err != nil {
		return damaged(vectorsPath(x.dir), err)
	}
	x.mu.RLock()
	same := x.state != nil && x.state.mark == m
	x.mu.RUnlock()
	if same {
		return nil
	}
	if err := m.check(db.Path()); err != nil {
		return damaged(db.Path(), err)
	}
	return db.View(func(t *bbolt.Tx) error { return x.load(tx{t}, m, v) })
}

// load makes a new snapshot of the records and the vectors in v.
func (x *Index) load(t tx, m mark, v *os.File) error {
	a, err := t.about()
	path := recordsPath(x.dir)
	if err != nil {
		return damaged(path, err)
	}
	switch {
	case a.Format != format:
		return fmt.Errorf("%s: an index of format %d, this program reads format %d", file.Quote(x.dir), a.Format, format)
	case a.ID != m.id || a.Dim != int(m.dim):
		return damaged(vectorsPath(x.dir), errors.New("it belongs to another index"))
	case a.Fingerprint != x.config.Fingerprint || a.Dim != x.config.Dim:
		return fmt.Errorf("%s: its vectors are of model %s, fingerprint %s, and this is %s, %s: %w", file.Quote(x.dir),
			file.Quote(a.Model), file.Quote(a.Fingerprint), file.Quote(x.config.Model), x.config.Fingerprint, ErrOther)
	case a.Settings != x.config.Settings:
		return fmt.Errorf("%s: its vectors were made with %s, and now it is %s: %w", file.Quote(x.dir), file.Quote(a.Settings), file.Quote(x.config.Settings), ErrOther)
	}
	s, err := newSnapshot(t, m, a, v, x.repair)
	if err != nil {
		return fmt.Errorf("%s: %w", file.Quote(x.dir), err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done {
		s.release()
		return ErrClosed
	}
	if x.state != nil && x.state.mark == m { // another goroutine was first
		return s.release()
	}
	if x.state != nil {
		err = x.state.release()
	}
	x.state = s
	return err
}

// name returns the file's name that a key of the files says.
func (t tx) name(roots map[uint32]string, key []byte) (Name, error) {
	if len(key) < 4 {
		return Name{}, errRecord
	}
	root, ok := roots[binary.BigEndian.Uint32(key)]
	if !ok {
		return Name{}, errRecord
	}
	return Name{root, string(key[4:])}, nil
}

func (r *record) file(n Name) File { return File{n, r.Size, r.ModTime, r.Taken, r.SHA256, r.Err} }

// find returns the record of a file.
func (t tx) find(n Name) (r record, ok bool, err error) {
	root, ok, _ := t.root(n.Root, false)
	if !ok {
		return r, false, nil
	}
	key := append(number(root), n.Path...)
	v := t.get(bucketFiles, key)
	if v == nil {
		return r, false, nil
	}
	r, err = parseRecord(key, v)
	return r, err == nil, err
}

// Lookup returns what the index knows of files, nil for those that it does not know.
func (x *Index) Lookup(names ...Name) ([]*File, error) {
	files := make([]*File, len(names))
	return files, x.read(func(t tx, _ *snapshot) error {
		for i, n := range names {
			r, ok, err := t.find(n)
			if err != nil {
				return damaged(recordsPath(x.dir), err)
			}
			if ok {
				f := r.file(n)
				files[i] = &f
			}
		}
		return nil
	})
}

// Has reports whether the index has the vector of a file's bytes.
func (x *Index) Has(sum [32]byte) (has bool, err error) {
	err = x.read(func(t tx, _ *snapshot) error {
		has = t.get(bucketContents, sum[:]) != nil
		return nil
	})
	return has, err
}

// Vector returns the vector of a file, nil if it has none.
func (x *Index) Vector(n Name) (v []float32, err error) {
	err = x.read(func(t tx, s *snapshot) error {
		r, ok, err := t.find(n)
		if err != nil {
			return damaged(recordsPath(x.dir), err)
		}
		if ok && r.Slot != noSlot {
			v, err = s.vector(r.Slot)
		}
		return err
	})
	return v, err
}

// filesAtOnce is the number of files that Files reads at a time.
const filesAtOnce = 1024

// Roots returns the roots that files were added of, in lexical order.
func (x *Index) Roots() (roots []string, err error) {
	err = x.read(func(t tx, _ *snapshot) error {
		for k := range t.each(bucketRoots, nil) {
			roots = append(roots, string(k))
		}
		return nil
	})
	return roots, err
}

// Entry is a file and its vector, nil if it could not be read.
type Entry struct {
	File
	Vector []float32
}

// Files yields the files of a root whose paths begin with a prefix, in the order of the paths' bytes. They are read in parts, so
// that changes meanwhile show in those that follow. If reading fails, the last pair yielded holds the error.
func (x *Index) Files(root, prefix string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for e, err := range x.entries(root, prefix, false) {
			if !yield(e.File, err) {
				return
			}
		}
	}
}

// Entries is Files with the vectors.
func (x *Index) Entries(root, prefix string) iter.Seq2[Entry, error] {
	return x.entries(root, prefix, true)
}

func (x *Index) entries(root, prefix string, vectors bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		last, begun := "", false
		for {
			part := make([]Entry, 0, filesAtOnce)
			err := x.read(func(t tx, s *snapshot) error {
				n, ok, _ := t.root(root, false)
				if !ok {
					return nil
				}
				from := cmp.Or(last, prefix)
				c := t.Bucket(bucketFiles).Cursor()
				for k, v := c.Seek(append(number(n), from...)); k != nil && len(part) < filesAtOnce; k, v = c.Next() {
					if len(k) < 4 || binary.BigEndian.Uint32(k) != n || !strings.HasPrefix(string(k[4:]), prefix) {
						return nil
					}
					if begun && string(k[4:]) == last {
						continue
					}
					r, err := parseRecord(k, v)
					if err != nil {
						return damaged(recordsPath(x.dir), err)
					}
					e := Entry{File: r.file(Name{root, string(k[4:])})}
					if vectors && r.Slot != noSlot {
						if e.Vector, err = s.vector(r.Slot); err != nil {
							return err
						}
					}
					part = append(part, e)
				}
				return nil
			})
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range part {
				if !yield(e, nil) {
					return
				}
				last, begun = e.Path, true
			}
			if len(part) < filesAtOnce {
				return
			}
		}
	}
}

// Stats are the numbers of an index.
type Stats struct {
	Files   int // with a vector
	Failed  int // that could not be read
	Vectors int // of different contents
}

// Stats counts what the index holds.
func (x *Index) Stats() (st Stats, err error) {
	err = x.read(func(t tx, s *snapshot) error {
		st.Vectors = s.live
		for range t.each(bucketPaths, nil) {
			st.Files++
		}
		for range t.each(bucketFiles, nil) {
			st.Failed++
		}
		st.Failed -= st.Files
		return nil
	})
	return st, err
}

// Search returns for each query the k files whose vectors have the largest dot products with it, all for k = 0, best first. Files
// of equal scores are in the order in which their contents were given places in the index; files of the same content all count.
// A query has Dim finite values. The result is exact for the vectors as they are stored, in f16, and does not depend on Threads.
// Memory: with k = 0, about 100 bytes a file; else a constant.
func (x *Index) Search(ctx context.Context, queries [][]float32, k int) ([][]Hit, error) {
	if k < 0 {
		return nil, fmt.Errorf("%d results, want a number, 0 for all", k)
	}
	for i, q := range queries {
		if len(q) != x.config.Dim {
			return nil, fmt.Errorf("query %d has %d values, want %d", i, len(q), x.config.Dim)
		}
		if slices.ContainsFunc(q, func(v float32) bool { return v-v != 0 }) {
			return nil, fmt.Errorf("query %d has a value that is not finite", i)
		}
	}
	// The scan takes the longest, and runs first, with the records unlocked. If they changed meanwhile, it is done again.
	found, commit, err := x.found(ctx, queries, k)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return nil, err
	}
	results := make([][]Hit, len(queries))
	return results, x.read(func(t tx, s *snapshot) error {
		if s.about.Commit != commit || err != nil {
			if found, err = s.search(ctx, &x.scan, queries, k); err != nil {
				return err
			}
		}
		roots := t.roots()
		for q := range queries {
			for _, slot := range found[q] {
				if k > 0 && len(results[q]) >= k {
					break
				}
				for key := range t.each(bucketPaths, number(slot.slot)) {
					n, err := t.name(roots, key[4:])
					if err == nil {
						var r record
						if r, err = parseRecord(key[4:], t.get(bucketFiles, key[4:])); err == nil {
							results[q] = append(results[q], Hit{r.file(n), slot.score})
						}
					}
					if err != nil {
						return damaged(recordsPath(x.dir), err)
					}
				}
			}
			if k > 0 && len(results[q]) > k {
				results[q] = results[q][:k]
			}
		}
		return nil
	})
}

// found searches in the snapshot that is loaded, and says which commit that is of.
func (x *Index) found(ctx context.Context, queries [][]float32, k int) ([][]scored, uint64, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.state == nil {
		return nil, 0, ErrClosed
	}
	found, err := x.state.search(ctx, &x.scan, queries, k)
	return found, x.state.about.Commit, err
}

// Add adds files, or replaces what is known of them, all at once: after an error, or if the process ends meanwhile, the index is as
// it was.
func (x *Index) Add(items ...Item) error { return x.change(items, nil) }

// Remove removes files, all at once as Add does. Files that are not in the index are passed over.
func (x *Index) Remove(names ...Name) error { return x.change(nil, names) }

// largest is the largest value of a vector: that of an f16.
const largest = 65504

func (x *Index) checkItem(it *Item) error {
	switch {
	case it.Root == "" || it.Path == "":
		return fmt.Errorf("%s: want a root and a path in it", file.Quote(it.Join()))
	case len(it.Root) > maxPath || len(it.Path) > maxPath || len(it.Err) > maxPath:
		return fmt.Errorf("a name or an error of more than %d bytes", maxPath)
	case it.Err != "" && it.Vector != nil:
		return fmt.Errorf("%s: it could not be read and has a vector", file.Quote(it.Join()))
	case it.Vector != nil && len(it.Vector) != x.config.Dim:
		return fmt.Errorf("%s: a vector of %d values, want %d", file.Quote(it.Join()), len(it.Vector), x.config.Dim)
	}
	for _, v := range it.Vector {
		if !(math.Abs(float64(v)) <= largest) {
			return fmt.Errorf("%s: its vector has the value %v, want finite ones of at most %d", file.Quote(it.Join()), v, largest)
		}
	}
	return nil
}

// maxPath is the length in bytes up to which the records take a path.
const maxPath = 1 << 14

// guard turns a panic while a file of an index is read into an error: a fault in a mapping of the file, whose disk failed or which
// was cut, or whatever damaged records make package bbolt do. It must be deferred, with what [blob.Watch] returned; mapped limits it
// to faults in that memory.
func guard(before bool, path string, mapped []byte, err *error) {
	restore(before)
	r := recover()
	if r == nil {
		return
	}
	f, fault := r.(blob.Fault)
	if mapped != nil && !(fault && within(f.Addr(), mapped)) {
		panic(r)
	}
	*err = damaged(path, fmt.Errorf("%v", r))
}
