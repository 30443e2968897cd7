package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// Bounds on a checkpoint in several files, all of which are open at a time.
const (
	maxShards    = 256
	maxShardText = 4 * maxHeader // of the headers, pickles and zip directories of all, in bytes
)

// shards is a checkpoint in several files.
type shards struct {
	index[Source] // the file of each tensor
	files         []Source
}

// openShards reads an index: {"weight_map": {tensor: file, ...}}; other fields are ignored. The
// files are in the folder of the index. Tensors that the index does not name are left out.
func openShards(f *os.File, path string) (Source, error) {
	s := &shards{}
	s.name = path
	text, err := io.ReadAll(io.LimitReader(file.Text(f), maxHeader+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	if len(text) > maxHeader {
		return nil, fmt.Errorf("%s: more than %d bytes; the index of a checkpoint in several files is smaller", s, maxHeader)
	}
	where, err := weightMap(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	if err := s.open(filepath.Dir(path), where); err != nil {
		s.Close()
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	return s, nil
}

func (s *shards) open(dir string, where map[string]string) error {
	byFile := map[string][]string{}
	for name, file := range where {
		byFile[file] = append(byFile[file], name)
	}
	if len(byFile) > maxShards {
		return fmt.Errorf("it names %d files, want at most %d", len(byFile), maxShards)
	}
	var files []string
	for f := range byFile {
		files = append(files, f)
	}
	sort.Strings(files)
	listed := 0 // tensors that the index does not name count too, since they are held in memory
	text := int64(0)
	for _, name := range files {
		src, _, err := open(filepath.Join(dir, name), "", false)
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the file %s with %d tensors is missing; it belongs beside the index", file.Quote(name), len(byFile[name]))
		}
		if err != nil {
			return err
		}
		s.files = append(s.files, src)
		if listed += len(src.Tensors()); listed > 2*maxTensors {
			return fmt.Errorf("its files list more than %d tensors", 2*maxTensors)
		}
		if text += src.(interface{ textSize() int64 }).textSize(); text > maxShardText {
			return fmt.Errorf("its files describe their tensors in more than %d bytes in all", maxShardText)
		}
		tensors := byFile[name]
		sort.Strings(tensors)
		for _, tensor := range tensors {
			t, ok := Find(src, tensor)
			if !ok {
				return fmt.Errorf("tensor %s is not in %s, as the index says", quote(tensor), file.Quote(name))
			}
			if err := s.add(t, src); err != nil {
				return err
			}
		}
	}
	s.sort()
	return nil
}

// weightMap reads the index token by token, because encoding/json would accept a name that
// occurs twice.
func weightMap(text []byte) (map[string]string, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var where map[string]string
	for d.More() {
		key, err := headerKey(d)
		if err != nil {
			return nil, err
		}
		if key != "weight_map" {
			if err := skip(d); err != nil {
				return nil, err
			}
			continue
		}
		if where != nil {
			return nil, errors.New("weight_map is there twice")
		}
		if where, err = shardNames(d); err != nil {
			return nil, fmt.Errorf("weight_map: %w", err)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("not closed: %w", err)
	}
	if where == nil {
		return nil, errors.New("found JSON without weight_map, want an index of a checkpoint in several files, or a checkpoint")
	}
	return where, nil
}

func shardNames(d *json.Decoder) (map[string]string, error) {
	if err := begin(d, '{', "{tensor: file}"); err != nil {
		return nil, err
	}
	where := map[string]string{}
	for d.More() {
		name, err := headerKey(d)
		if err != nil {
			return nil, err
		}
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		file, ok := tok.(string)
		switch {
		case !ok:
			return nil, fmt.Errorf("tensor %s: found %s, want the name of a file", quote(name), found(tok))
		case !plainName(file):
			return nil, fmt.Errorf("tensor %s: got %s, want the name of a file in this folder", quote(name), quote(file))
		case where[name] != "":
			return nil, fmt.Errorf("tensor %s is there twice", quote(name))
		case len(where) == maxTensors:
			return nil, fmt.Errorf("more than %d tensors", maxTensors)
		}
		where[name] = file
	}
	_, err := d.Token()
	return where, err
}

// plainName reports whether a name does not lead out of its folder.
func plainName(s string) bool {
	return s != "" && len(s) <= 255 && filepath.IsLocal(s) && !strings.ContainsAny(s, "/\\:\x00\n")
}

func (s *shards) Read(name string, at int, dst []byte) error {
	src, ok := s.data[name]
	if !ok {
		return fmt.Errorf("%s: tensor %s is missing", s, quote(name))
	}
	return src.Read(name, at, dst)
}

func (s *shards) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Files returns the paths of the files that a source reads.
func Files(s Source) []string {
	var paths []string
	switch s := s.(type) {
	case *renamed:
		return Files(s.Source)
	case *rounded:
		return Files(s.Source)
	case *pytorch:
		paths = []string{s.name}
	case *safetensors:
		paths = []string{s.name}
	case *shards:
		paths = []string{s.name}
		for _, f := range s.files {
			paths = append(paths, Files(f)...)
		}
	}
	return paths
}
