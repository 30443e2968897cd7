//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package file

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// locks is true if a file in use can be told from a leftover of a killed process.
const locks = true

// createLocked makes a new file and locks it until held is closed. The error is errTaken if another process removed it before
// it was locked. On a file system without locks, or without locks for readers, the file is made without a lock; no process
// can then remove it as a leftover.
func createLocked(path string, perm fs.FileMode) (f, held *os.File, err error) {
	if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm); err != nil {
		return nil, nil, err
	}
	if held, err = openHeld(path); err == nil {
		if err = lock(held); !errors.Is(err, syscall.EWOULDBLOCK) {
			var is, at fs.FileInfo
			if is, err = f.Stat(); err == nil {
				at, err = os.Lstat(path)
			}
			if err == nil && os.SameFile(is, at) {
				return f, held, nil
			}
		}
		held.Close()
	}
	f.Close()
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil, errTaken
	}
	os.Remove(path)
	return nil, nil, err
}

// openLocked opens an unfinished file and locks it. The error is errTaken if another process has locked it.
func openLocked(path string) (f, held *os.File, err error) {
	if f, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|nonblock, 0); err != nil {
		return nil, nil, err
	}
	if held, err = openHeld(path); err == nil {
		if err = lock(held); !errors.Is(err, syscall.EWOULDBLOCK) {
			return f, held, nil
		}
		held.Close()
		err = errTaken
	}
	f.Close()
	return nil, nil, err
}

// openHeld opens a file to lock it, only for reading: the system does not run a program that is open for writing, and a file
// stays locked until after it has its name.
func openHeld(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|nonblock, 0)
}

// lockLeftover opens and locks a regular file that no process has locked, or returns nil.
func lockLeftover(path string) *os.File {
	f, err := openHeld(path)
	if err != nil {
		return nil
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() || lock(f) != nil {
		f.Close()
		return nil
	}
	return f
}

// lockFolder opens a folder and locks it, after waiting for other processes. The file is nil if the folder cannot be locked.
func lockFolder(dir string) (*os.File, error) {
	f, err := openFolder(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil // the folder may be writable but not readable
	}
	if err != nil {
		return nil, err
	}
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err {
		case nil:
			return f, nil
		case syscall.EINTR:
		default:
			f.Close()
			return nil, nil
		}
	}
}

// lock locks an open file until it is closed or the process ends. It does not wait.
func lock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EINTR {
			return err
		}
	}
}
