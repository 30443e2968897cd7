//go:build linux

package bochs

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// cpio writes an archive in the format of Linux's initial file system. close returns the first error.
type cpio struct {
	w       io.Writer
	inode   int
	folders map[string]bool
	err     error
}

func newCpio(w io.Writer) *cpio { return &cpio{w: w, folders: map[string]bool{"/": true}} }

// The file types in the mode of an entry, as in Unix.
const (
	folderType = 0o040000
	fileType   = 0o100000
)

// entry writes a file's header and its contents, of size bytes, to the archive. The folders that contain the file are
// written before it.
func (c *cpio) entry(name string, mode, size int64, contents io.Reader) {
	if parent := path.Dir(name); !c.folders[parent] {
		c.folder(parent)
	}
	if c.err != nil {
		return
	}
	c.inode++
	name = strings.TrimPrefix(name, "/")
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", c.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)
	for _, part := range []struct {
		r    io.Reader
		size int64
	}{{strings.NewReader(head), int64(len(head))}, {contents, size}} {
		if _, c.err = io.CopyN(c.w, part.r, part.size); c.err != nil {
			c.err = fmt.Errorf("%s: %w", name, c.err)
			return
		}
		if _, c.err = c.w.Write(make([]byte, -part.size&3)); c.err != nil {
			return
		}
	}
}

// folder writes a folder called name to the archive, unless the archive already has it.
func (c *cpio) folder(name string) {
	if !c.folders[name] {
		c.folders[name] = true
		c.entry(name, folderType|0o755, 0, strings.NewReader(""))
	}
}

// data writes an executable file called name with the given contents to the archive.
func (c *cpio) data(name string, contents []byte) {
	c.entry(name, fileType|0o755, int64(len(contents)), strings.NewReader(string(contents)))
}

// tree writes a file of this machine, or a folder with all that is in it, to the archive as name.
func (c *cpio) tree(name, from string) {
	if c.err != nil {
		return
	}
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		to := path.Join(name, filepath.ToSlash(rel))
		if d.IsDir() {
			c.folder(to)
			return c.err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		c.entry(to, fileType|0o755, info.Size(), f)
		return c.err
	})
	if c.err == nil {
		c.err = err
	}
}

// close writes the end of the archive and returns the first error of all writes.
func (c *cpio) close() error {
	c.entry("/TRAILER!!!", 0, 0, strings.NewReader(""))
	return c.err
}
