package file

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// File is a file under way to its place: the open temporary, and where it belongs. It is not safe for concurrent use.
type File struct {
	*os.File          // closed by Commit and Abandon
	held     *os.File // the lock until it has its name; it may be the File
	path     string
	part     bool // stays when it is abandoned, unless it is empty
	done     bool // committed or abandoned
}

// Create starts the file that Commit puts at path, whose folder must exist. Its permissions will be perm less the umask,
// which also hold while it is written: 0o666, or 0o777 for a program.
//
// A file or a symbolic link that is at path will be replaced, not written through. A folder, a pipe, a device, or a link to
// one, is refused with ErrNotRegular.
func Create(path string, perm fs.FileMode) (*File, error) {
	if err := replaceable(path); err != nil {
		return nil, err
	}
	dir, base := filepath.Split(path)
	sweep(dir, base)
	live.Lock()
	defer live.Unlock()
	for try := 1; ; try++ {
		f, held, err := createLocked(dir+temporary(base), perm)
		switch {
		case again(err, try):
			continue
		case err != nil:
			return nil, PathError(path, err)
		}
		t := &File{File: f, held: held, path: path}
		live.items = append(live.items, t)
		return t, nil
	}
}

// PartSuffix ends the names of the files that Part writes to.
const PartSuffix = ".part"

// ErrPart says that an earlier run left something unfinished.
var ErrPart = errors.New("the unfinished file of an earlier run")

// Part is Create for long work that a later run can continue: the temporary is called path.part and, unless it is empty,
// stays after Abandon or when the process ends before Commit. With resume an existing path.part is opened at its beginning for
// reading and writing; without resume it is an error that is ErrPart. The open file is locked: a second process that opens it
// gets an error.
func Part(path string, perm fs.FileMode, resume bool) (*File, error) {
	if err := replaceable(path); err != nil {
		return nil, err
	}
	part := path + PartSuffix
	live.Lock()
	defer live.Unlock()
	var f, held *os.File
	st, err := os.Lstat(part)
	there := err == nil
	switch {
	case there && !st.Mode().IsRegular():
		return nil, irregular(part, "no file that a run left")
	case there && (resume || st.Size() == 0):
		f, held, err = openLocked(part)
	case there:
		return nil, fmt.Errorf("%s: there is %w", Quote(part), ErrPart)
	default:
		f, held, err = createLocked(part, perm)
	}
	if errors.Is(err, errTaken) || errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s: another process writes it; wait for its end", Quote(part))
	}
	if err != nil {
		return nil, PathError(part, err)
	}
	t := &File{File: f, held: held, path: path, part: true}
	live.items = append(live.items, t)
	return t, nil
}

// Takes returns an error if no file can be put into a folder, or made a folder in: by making a temporary in it, or in the
// nearest above it that there is. For who asks before long work what would fail after it.
func Takes(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
			continue // Create reports any other error
		}
		f, err := Create(filepath.Join(at, "output"), 0o666)
		if err != nil {
			return fmt.Errorf("%s: no file can be put here: %w", Quote(dir), err)
		}
		f.Abandon()
		return nil
	}
}

// Write writes a whole file and puts it at path. What was there stays unless the function and Commit succeed.
func Write(path string, perm fs.FileMode, write func(io.Writer) error) error {
	var s Set
	defer s.Abandon()
	if err := s.Write(path, perm, write); err != nil {
		return err
	}
	return s.Commit()
}

// Bytes is a function for Write that writes data.
func Bytes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

// Place returns the path that Commit gives the file; Name is the path of the temporary.
func (f *File) Place() string { return f.path }

// Commit makes what was written safe from a power failure, gives the file its name and closes it. If that fails what was
// at the path is still there.
func (f *File) Commit() error {
	s := Set{steps: []step{{file: f}}}
	return s.Commit()
}

// Abandon closes and removes the temporary. After Commit it does nothing.
func (f *File) Abandon() {
	live.Lock()
	defer live.Unlock()
	f.finish()
}

// finish ends a file that has no name or has got it; live is locked.
func (f *File) finish() {
	if !f.done {
		f.abandon()
		f.Close()
		f.forget()
	}
}

func (f *File) forget() {
	f.done = true
	f.held.Close()
	live.forget(f)
}

func (f *File) abandon() {
	if !f.keeps() {
		os.Remove(f.Name())
	}
}

// keeps reports whether the file stays when it is abandoned.
func (f *File) keeps() bool {
	if !f.part {
		return false
	}
	st, err := f.Stat()
	return err != nil || st.Size() > 0
}

// A Set is the files of one result, which get their names together. The zero value is ready. It is not safe for concurrent
// use.
type Set struct {
	steps []step
	made  []string   // folders, the outermost first
	held  []*os.File // folders that are locked
}

// step is a file to put in its place, or else a path to remove.
type step struct {
	file   *File
	remove string
}

// Create is Create, and Add of the file.
func (s *Set) Create(path string, perm fs.FileMode) (*File, error) {
	f, err := Create(path, perm)
	if err == nil {
		s.Add(f)
	}
	return f, err
}

// Write creates the file, lets the function write to it through a buffer, and commits it.
func (s *Set) Write(path string, perm fs.FileMode, write func(io.Writer) error) error {
	f, err := s.Create(path, perm)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(f, 1<<16)
	err = write(b)
	if werr := b.Flush(); werr != nil { // also if it was what failed before
		return PathError(path, werr)
	}
	return err
}

// Add makes a file part of the set: from now on it is the set's to commit and abandon.
func (s *Set) Add(f *File) { s.steps = append(s.steps, step{file: f}) }

// Remove has Commit remove the file at path, if there is one, in turn with the files that get their names.
func (s *Set) Remove(path string) { s.steps = append(s.steps, step{remove: path}) }

// MkdirAll makes a folder for files of the set, and those above it, and removes what killed processes left in it. Abandon
// removes the folders that it made and that are empty.
func (s *Set) MkdirAll(dir string) error {
	sweep(dir, "")
	live.Lock()
	defer live.Unlock()
	var missing []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break // MkdirAll says what is wrong with it
		}
		missing = append(missing, at)
	}
	slices.Reverse(missing)
	if s.made = append(s.made, missing...); len(s.made) > 0 && !slices.Contains(live.items, unfinished(s)) {
		live.items = append(live.items, s)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return PathError(dir, err)
	}
	return nil
}

// Lock waits until no other Set, of any process, holds a folder, and holds it until Commit or Abandon: for files that are made
// from what the folder has, or that two results must not mix. Where folders cannot be locked it does nothing.
func (s *Set) Lock(dir string) error {
	f, err := lockFolder(dir)
	if err != nil {
		return PathError(dir, err)
	}
	if f != nil {
		live.Lock()
		defer live.Unlock()
		s.held = append(s.held, f)
	}
	return nil
}

// Commit makes all that was written safe from a power failure, and then does the steps of the set in the order in which
// they were asked for: gives each file its name, removes each path. An interrupt waits for that. An error before the first
// step leaves everything as it was; one that comes later says that the result is mixed.
func (s *Set) Commit() error {
	defer s.Abandon()
	names := map[string]bool{}
	for _, st := range s.steps {
		if f := st.file; f != nil {
			if name := one(f.path); names[name] {
				return fmt.Errorf("%s: two outputs have this name; give one another", Quote(f.path))
			} else {
				names[name] = true
			}
			if err := synced(f.File); err != nil {
				return PathError(f.path, err)
			}
			if err := replaceable(f.path); err != nil {
				return err
			}
		}
	}
	if err := s.do(); err != nil {
		return err
	}
	// The names are safe when the folders are.
	var dirs []string
	for _, st := range s.steps {
		if f := st.file; f != nil && !slices.Contains(dirs, filepath.Dir(f.path)) {
			dirs = append(dirs, filepath.Dir(f.path))
		}
	}
	for _, dir := range append(dirs, s.made...) {
		if err := syncFolder(dir); err != nil {
			return PathError(dir, err)
		}
	}
	return nil
}

// one is a path that is the same for all paths of a place, by whichever links its folder is reached.
func one(path string) string {
	dir, base := filepath.Split(path)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return filepath.Join(dir, base)
}

// do does the steps.
func (s *Set) do() error {
	live.Lock()
	defer live.Unlock()
	for i, st := range s.steps {
		path := st.remove
		var err error
		if f := st.file; f != nil {
			path = f.path
			if err = rename(f.File, path); err == nil {
				f.forget()
			}
		} else if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		switch {
		case err != nil && i > 0:
			return fmt.Errorf("%w; files that belong with it are replaced already: remove what is in the way and run this again", PathError(path, err))
		case err != nil:
			return PathError(path, err)
		}
	}
	s.made = nil
	live.forget(s)
	return nil
}

// Abandon closes and removes every temporary of the set, and the empty folders that it made. After Commit it does nothing.
func (s *Set) Abandon() {
	live.Lock()
	defer live.Unlock()
	for _, st := range s.steps {
		if st.file != nil {
			st.file.finish()
		}
	}
	s.steps = nil
	s.abandon()
	live.forget(s)
}

func (s *Set) abandon() {
	for _, f := range s.held { // which may be in one of the folders
		f.Close()
	}
	s.held = nil
	for _, dir := range slices.Backward(s.made) {
		os.Remove(dir) // goes only if it is empty
	}
	s.made = nil
}

// synced makes the written data safe from a power failure, where the file system can.
func synced(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

// Distinct returns an error if writing output would replace one of the inputs: the same file, also through a link, or a file
// inside an input folder. Inputs that do not exist, and "", are left to their reader.
func Distinct(output string, inputs ...string) error {
	out, err := os.Stat(output)
	if err != nil {
		return nil
	}
	for _, path := range inputs {
		in, err := os.Stat(path)
		if err != nil {
			continue
		}
		same := os.SameFile(in, out)
		if in.IsDir() {
			root := path
			if real, err := filepath.EvalSymlinks(path); err == nil {
				root = real // WalkDir follows no link
			}
			filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return nil // whoever reads the folder says what is wrong with it
				}
				if st, err := os.Stat(p); err == nil && os.SameFile(st, out) {
					same = true
					return fs.SkipAll
				}
				return nil
			})
		}
		if same {
			return fmt.Errorf("%s: the output would replace the input %s; give it another name", Quote(output), Quote(path))
		}
	}
	return nil
}

// replaceable returns an error if path must not be replaced by a file.
func replaceable(path string) error {
	dir, base := filepath.Split(path)
	if base == "" || base == "." || base == ".." {
		return fmt.Errorf("%s: is a folder, %w", Quote(path), ErrNotRegular)
	}
	if special(dir) {
		return fmt.Errorf("%s: is a name of the system, %w", Quote(path), ErrNotRegular)
	}
	if st, err := os.Stat(path); err == nil {
		return regular(path, st)
	}
	return nil // nothing, or a link that leads nowhere; creating the temporary says what is wrong with the folder
}
