//go:build !js

package index

import (
	"fmt"
	"io"
	"io/fs"

	"github.com/multiway-go/multiway/ir/file"
)

// Backup copies the index, as it is at this moment, to a new folder at a path, and proves all vectors first. Searches go on
// meanwhile, and a change waits until it is done. If it fails, or the process ends, there is no index at the path.
func (x *Index) Backup(path string) error {
	if exists(path) {
		return fmt.Errorf("%s: %w", file.Quote(path), fs.ErrExist)
	}
	var set file.Set
	defer set.Abandon()
	return x.read(func(_ tx, s *snapshot) error {
		if err := s.proveAll(); err != nil {
			return err
		}
		if err := set.MkdirAll(path); err != nil {
			return err
		}
		copied := func(to, from string, size int64) error {
			f, err := file.Open(from)
			if err != nil {
				return err
			}
			defer f.Close()
			return set.Write(to, 0o666, func(w io.Writer) error {
				_, err := io.Copy(w, io.LimitReader(f, size))
				return err
			})
		}
		if err := copied(recordsPath(path), recordsPath(x.dir), 1<<62); err != nil {
			return err
		}
		if err := copied(vectorsPath(path), vectorsPath(x.dir), vectorsHead+int64(len(s.panels))*s.panelBytes()); err != nil {
			return err
		}
		return set.Commit()
	})
}
