package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

const locks = true

func createLocked(path string, _ fs.FileMode) (f, held *os.File, err error) {
	if f, err = open(path, windows.CREATE_NEW); err != nil {
		return nil, nil, err
	}
	if lock(f) != nil {
		f.Close()
		return nil, nil, errTaken
	}
	is, err := f.Stat()
	if err == nil {
		var at fs.FileInfo
		if at, err = os.Lstat(path); err == nil && os.SameFile(is, at) {
			return f, f, nil
		}
	}
	f.Close()
	return nil, nil, errTaken
}

func openLocked(path string) (f, held *os.File, err error) {
	if f, err = open(path, windows.OPEN_EXISTING); err != nil {
		return nil, nil, err
	}
	if lock(f) != nil {
		f.Close()
		return nil, nil, errTaken
	}
	return f, f, nil
}

func lockLeftover(path string) *os.File {
	f, err := open(path, windows.OPEN_EXISTING)
	if err != nil {
		return nil
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() || lock(f) != nil {
		f.Close()
		return nil
	}
	return f
}

// open opens a file, but no link, and allows others to rename and remove it meanwhile, which package os does not.
func open(path string, how uint32) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil, how,
		windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// lock locks a byte far behind the end of any file, so that others can read the content.
func lock(f *os.File) error {
	at := windows.Overlapped{OffsetHigh: 1 << 30}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
}

// lockFolder locks a folder by a file in it that only one process can open, after waiting for other processes. Folders
// themselves have no locks on Windows. The file is removed when it is closed or the process ends. It is nil if it cannot be
// made.
func lockFolder(dir string) (*os.File, error) {
	path := filepath.Join(dir, "."+mark+"lock")
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	for refused := 0; ; time.Sleep(10 * time.Millisecond) {
		h, err := windows.CreateFile(name, windows.GENERIC_WRITE|windows.DELETE, 0, nil, windows.OPEN_ALWAYS,
			windows.FILE_ATTRIBUTE_HIDDEN|windows.FILE_FLAG_DELETE_ON_CLOSE|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
		switch err {
		case nil:
			return os.NewFile(uintptr(h), path), nil
		case windows.ERROR_SHARING_VIOLATION:
			refused = 0
		case windows.ERROR_ACCESS_DENIED: // while the file is removed, or always if the folder is not writable
			if refused++; refused == 100 {
				return nil, nil
			}
		default:
			return nil, err
		}
	}
}
