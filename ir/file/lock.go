package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrLocked is found by errors.Is in the error of Lock if another process, or another lock of this one, has locked the file.
var ErrLocked = errors.New("another process has locked it")

// Lock locks the file at path until unlock is called or the process ends, without waiting. An empty file is made if there is none;
// unlock leaves it there, since a process that has opened it may be about to lock it. On a file system without locks, nothing is
// locked.
func Lock(path string) (unlock func(), err error) {
	for try := 1; ; try++ {
		f, held, err := openLocked(path)
		switch {
		case err == nil:
			return func() { f.Close(); held.Close() }, nil
		case errors.Is(err, errTaken):
			return nil, fmt.Errorf("%s: %w", Quote(path), ErrLocked)
		case !errors.Is(err, fs.ErrNotExist) || try > 2:
			return nil, PathError(path, err)
		}
		if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
			return nil, PathError(path, err)
		}
		f.Close()
	}
}
