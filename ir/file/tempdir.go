package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Dir is a temporary folder of this process.
type Dir struct {
	Path string
	held *os.File // the locked file holder
}

// holder is the name of the file in a temporary folder that the folder's process keeps locked.
const holder = ".multiway"

// TempDir makes a folder in os.TempDir that no other user can read. Remove and AbandonAll remove it. If the process is killed,
// the next TempDir removes it, on systems with file locks.
func TempDir() (*Dir, error) {
	root, err := filepath.Abs(os.TempDir())
	if err != nil {
		return nil, err
	}
	each(root, func(path, name string) {
		if name == mark {
			sweepFolder(path)
		}
	})
	live.Lock()
	defer live.Unlock()
	for try := 1; ; try++ {
		path := filepath.Join(root, mark+random())
		if err := os.Mkdir(path, 0o700); again(err, try) {
			continue
		} else if err != nil {
			return nil, PathError(path, err)
		}
		f, held, err := createLocked(filepath.Join(path, holder), 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			err = errTaken // the folder does not exist any more
		}
		if again(err, try) {
			continue
		}
		if err != nil {
			os.Remove(path)
			return nil, PathError(path, err)
		}
		if f != held {
			f.Close()
		}
		d := &Dir{path, held}
		live.items = append(live.items, d)
		return d, nil
	}
}

// Remove removes the folder with its content.
func (d *Dir) Remove() error {
	live.Lock()
	defer live.Unlock()
	d.held.Close()
	live.forget(d)
	return removeFolder(d.Path)
}

// removeFolder removes a temporary folder, its lock file last: until then it can be recognised as a leftover.
func removeFolder(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // another process may be removing it as a leftover
		return err
	}
	for _, e := range entries {
		if e.Name() != holder {
			if err := os.RemoveAll(filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(path)
}

// abandon removes the folder even if this process, or a child that it killed, still creates files in it.
func (d *Dir) abandon() {
	d.held.Close()
	for range 50 {
		if removeFolder(d.Path) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// sweepFolder removes a temporary folder that no process has locked. In a folder that others can write to, such as /tmp, it
// enters only folders of this user, which nobody else can replace by links.
func sweepFolder(path string) {
	st, err := os.Lstat(path)
	if err != nil || !st.IsDir() || !own(st) {
		return
	}
	f := lockLeftover(filepath.Join(path, holder))
	if f == nil {
		if locks {
			os.Remove(path) // fails unless it is empty: its process was killed before it locked it
		}
		return
	}
	removeFolder(path) // with the lock held, since its process may be about to lock it
	f.Close()
	os.RemoveAll(path) // where an open file cannot be removed
}
