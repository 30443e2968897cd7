package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ErrNotRegular is the error about a path of a folder, pipe, device or socket instead of a file.
var ErrNotRegular = errors.New("want a regular file")

// Open opens a regular file for reading. It refuses anything else with ErrNotRegular before opening it, because opening a
// pipe may wait forever and a device may have no end. Errors begin with the path, printed by Quote.
func Open(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, PathError(path, err)
	}
	if err := regular(path, st); err != nil {
		return nil, err
	}
	// The path may have been replaced by a pipe since: do not wait for it.
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, PathError(path, err)
	}
	if st, err = f.Stat(); err == nil {
		err = regular(path, st)
	}
	// Some files of /proc are reported as regular, but reading them waits, as for the next line of a log. Their size is 0; files of
	// FUSE, which also support deadlines, have a size.
	if err == nil && st.Size() == 0 && f.SetDeadline(time.Time{}) == nil {
		err = irregular(path, "one of no size that can be waited for")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openFolder opens a folder. It refuses anything else before opening it.
func openFolder(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	return os.OpenFile(path, os.O_RDONLY|nonblock, 0)
}

// Read returns the content of a regular file of at most limit bytes. A larger file is an error before memory is taken.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, PathError(path, err)
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s: it has %d bytes, want at most %d", Quote(path), st.Size(), limit)
	}
	// The file may grow while it is read, and files of /proc report the size 0.
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, PathError(path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: it has more than %d bytes, want at most these", Quote(path), limit)
	}
	return data, nil
}

func regular(path string, st fs.FileInfo) error {
	kind := ""
	switch m := st.Mode(); {
	case m.IsRegular():
		return nil
	case m.IsDir():
		kind = "a folder"
	case m&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case m&fs.ModeDevice != 0:
		kind = "a device"
	case m&fs.ModeSocket != 0:
		kind = "a socket"
	default:
		kind = m.String()
	}
	return irregular(path, kind)
}

func irregular(path, kind string) error {
	return fmt.Errorf("%s: it is %s, %w", Quote(path), kind, ErrNotRegular)
}

// PathError returns an error of package os as the path, printed by Quote, and the cause.
func PathError(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if path == "" {
		return fmt.Errorf(`"": %w; want a name that is not empty`, err)
	}
	return fmt.Errorf("%s: %w", Quote(path), err)
}
