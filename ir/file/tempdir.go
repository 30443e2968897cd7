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
	held *os.File // locked while the process lives
}

// holder is the file in a temporary folder that its process holds.
const holder = ".multiway"

// TempDir makes a folder in os.TempDir that nobody else can read. Remove removes it, AbandonAll too, and where files can be
// locked the next TempDir if the process is killed.
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
			err = errTaken // the folder is gone
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

// Remove removes the folder and all that is in it.
func (d *Dir) Remove() error {
	live.Lock()
	defer live.Unlock()
	d.held.Close()
	live.forget(d)
	return removeFolder(d.Path)
}

// removeFolder removes a temporary folder, what its process holds last: until then a leftover can be told for one.
func removeFolder(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // another process may have taken it for a leftover just now
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

// abandon removes the folder although this process, or a child that it killed, may still be making files in it.
func (d *Dir) abandon() {
	d.held.Close()
	for range 50 {
		if removeFolder(d.Path) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// sweepFolder removes a temporary folder that no process holds. In a folder that others can write too, such as /tmp, only
// what is this user's is looked into: nobody else can have it lead elsewhere.
func sweepFolder(path string) {
	st, err := os.Lstat(path)
	if err != nil || !st.IsDir() || !own(st) {
		return
	}
	f := lockLeftover(filepath.Join(path, holder))
	if f == nil {
		if locks {
			os.Remove(path) // goes only if it is empty: killed before it was held
		}
		return
	}
	removeFolder(path) // while it is locked: its process may be about to lock it
	f.Close()
	os.RemoveAll(path) // where an open file cannot go
}
