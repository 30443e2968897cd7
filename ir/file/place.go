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

// File is a file that is being written: an open temporary file, and the path that it will get. It is not safe for concurrent use.
type File struct {
	*os.File          // closed by Commit and Abandon
	held     *os.File // holds the lock until the file has its name; it may be the same *os.File
	path     string
	part     bool // Abandon keeps it, unless it is empty
	done     bool // committed or abandoned
}

// Create starts a file that Commit will put at path. The folder must exist. Its permissions, from the start, are perm without
// the umask: 0o666, or 0o777 for a program.
//
// Commit replaces a file or a symbolic link at path. A folder, a pipe, a device, or a link to one of them, is refused with
// ErrNotRegular.
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

// PartSuffix is the suffix of unfinished files of Part.
const PartSuffix = ".part"

// ErrPart is the error of Part if an unfinished file of an earlier run exists and is not to be continued.
var ErrPart = errors.New("the unfinished file of an earlier run")

// Part is like Create, for long work that a later run can continue. The temporary file is called path.part and, unless it is
// empty, stays after Abandon or if the process ends before Commit. With resume, an existing path.part is opened at its
// beginning for reading and writing; without, it is the error ErrPart. The file is locked: a second process gets an error.
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
	case there:
		f, held, err = openPart(part, resume)
	default:
		f, held, err = createLocked(part, perm)
	}
	if errors.Is(err, errTaken) || errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s: another process is writing it; wait for it to end", Quote(part))
	}
	if errors.Is(err, ErrPart) {
		return nil, fmt.Errorf("%s is %w", Quote(part), ErrPart)
	}
	if err != nil {
		return nil, PathError(part, err)
	}
	t := &File{File: f, held: held, path: path, part: true}
	live.items = append(live.items, t)
	return t, nil
}

// openPart opens and locks an unfinished file. Unless it is to be resumed, it must be empty.
func openPart(part string, resume bool) (f, held *os.File, err error) {
	if f, held, err = openLocked(part); err != nil {
		return nil, nil, err
	}
	is, err := f.Stat()
	if err == nil {
		at, lerr := os.Lstat(part)
		switch {
		case lerr != nil || !os.SameFile(is, at): // the process that had locked it gave it its name
			err = errTaken
		case !resume && is.Size() > 0:
			err = ErrPart
		}
	}
	if err != nil {
		f.Close()
		held.Close()
		return nil, nil, err
	}
	return f, held, nil
}

// Takes returns an error if no file can be created in a folder, or if the folder cannot be made. It tries a temporary file in
// the folder, or in its nearest existing parent. Callers ask it before long work.
func Takes(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
			continue // Create reports any other error
		}
		f, err := Create(filepath.Join(at, "output"), 0o666)
		if err != nil {
			return fmt.Errorf("%s: no file can be created here: %w", Quote(dir), err)
		}
		f.Abandon()
		return nil
	}
}

// Write writes a file and puts it at path. An old file stays unless the function and Commit succeed.
func Write(path string, perm fs.FileMode, write func(io.Writer) error) error {
	var s Set
	defer s.Abandon()
	if err := s.Write(path, perm, write); err != nil {
		return err
	}
	return s.Commit()
}

// Bytes returns a function for Write that writes data.
func Bytes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

// Place returns the path that Commit gives the file; Name returns the path of the temporary file.
func (f *File) Place() string { return f.path }

// Commit syncs the file to disk, gives it its name and closes it. If that fails, an old file at the path is still there.
func (f *File) Commit() error {
	s := Set{steps: []step{{file: f}}}
	return s.Commit()
}

// Abandon closes and removes the temporary file. After Commit it does nothing.
func (f *File) Abandon() {
	live.Lock()
	defer live.Unlock()
	f.finish()
}

// finish closes a file and, unless it has its name, removes it. The caller has locked live.
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

// keeps reports whether Abandon keeps the file.
func (f *File) keeps() bool {
	if !f.part {
		return false
	}
	st, err := f.Stat()
	return err != nil || st.Size() > 0
}

// A Set holds the files of one result, which get their names together. The zero value is ready. It is not safe for concurrent
// use.
type Set struct {
	steps []step
	made  []string   // new folders, the outermost first
	held  []*os.File // locked folders
}

// step is a file to put in place or a path to remove.
type step struct {
	file   *File
	remove string
}

// Create calls the function Create and adds the file to the set.
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
	if werr := b.Flush(); werr != nil { // it also repeats an earlier error of a write
		return PathError(path, werr)
	}
	return err
}

// Add adds a file to the set, which commits or abandons it from then on.
func (s *Set) Add(f *File) { s.steps = append(s.steps, step{file: f}) }

// Remove adds a step in which Commit removes the file at path, if there is one.
func (s *Set) Remove(path string) { s.steps = append(s.steps, step{remove: path}) }

// MkdirAll makes a folder for files of the set, with its parents, and removes temporary files of killed processes from it.
// Abandon removes the new folders that are empty.
func (s *Set) MkdirAll(dir string) error {
	sweep(dir, "")
	live.Lock()
	defer live.Unlock()
	var missing []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break // MkdirAll will report the error
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

// Lock locks a folder until Commit or Abandon, after waiting for other Sets of any process. It is for files that depend on the
// folder's content, and for results that must not be mixed. If folders cannot be locked, it does nothing.
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

// Commit syncs all files to disk and then runs the steps of the set in their order: it gives each file its name and removes
// each path. An interrupt waits for it. An error before the first step changes nothing; a later error says that old and new
// files are mixed.
func (s *Set) Commit() error {
	defer s.Abandon()
	names := map[string]bool{}
	for _, st := range s.steps {
		if f := st.file; f != nil {
			if name := one(f.path); names[name] {
				return fmt.Errorf("%s: two outputs have this name; give one of them another name", Quote(f.path))
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
	// Renames are safe from a power failure once the folders are synced.
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

// one returns the path with all links in its folder resolved, so that paths of the same file are equal.
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

// do runs the steps.
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
			return fmt.Errorf("%w; other files of this result are replaced already: remove the obstacle and run this again", PathError(path, err))
		case err != nil:
			return PathError(path, err)
		}
	}
	s.made = nil
	live.forget(s)
	return nil
}

// Abandon closes and removes the temporary files of the set, and its new folders if they are empty. After Commit it does nothing.
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
	for _, f := range s.held { // a lock file may be in one of the folders
		f.Close()
	}
	s.held = nil
	for _, dir := range slices.Backward(s.made) {
		os.Remove(dir) // fails unless it is empty
	}
	s.made = nil
}

// synced syncs the written data to disk, if the file system supports that.
func synced(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

// Distinct returns an error if writing output would replace one of the inputs: the same file, also through a link, or a file
// in an input folder. It ignores inputs that do not exist and "".
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
					return nil // the reader of the folder will report the error
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
		return fmt.Errorf("%s: it is a folder, %w", Quote(path), ErrNotRegular)
	}
	if special(dir) {
		return fmt.Errorf("%s: it is a name of the system, %w", Quote(path), ErrNotRegular)
	}
	if st, err := os.Stat(path); err == nil {
		return regular(path, st)
	}
	return nil // nothing, or a dangling link; creating the temporary file will report an error of the folder
}
