//go:build unix

package compile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
)

// A pipe, a device or a folder in place of any input file of the compiler is refused at once.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	for _, kind := range []struct {
		what, says string
		make       func(path string) error
	}{
		{"pipe", "is a pipe, want a regular file", func(path string) error { return syscall.Mkfifo(path, 0o666) }},
		{"endless device", "is a device, want a regular file", func(path string) error { return os.Symlink("/dev/zero", path) }},
		{"folder", "is a folder, want a regular file", func(path string) error { return os.Mkdir(path, 0o777) }},
	} {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		describe := func(lines string) string {
			asmtest.Write(t, at("m.yaml"), smallest+lines)
			return at("m.yaml")
		}
		open := func(path string) error {
			_, err := compile.Open(path)
			return err
		}
		if err := kind.make(at("special")); err != nil {
			t.Fatal(err)
		}
		for what, read := range map[string]func() error{
			"description": func() error { return open(at("special")) },
			"checkpoint":  func() error { return open(describe("checkpoint: special\n")) },
			"tokenizer":   func() error { return open(describe("seed: 1\ntokenizer: special\n")) },
			"labels":      func() error { return open(describe("seed: 1\ntasks: [{classification: {labels: special}}]\n")) },
			"init": func() error {
				_, err := compile.Init(at("special"), compile.InitOptions{Out: at("out.yaml")})
				return err
			},
			"shard": func() error {
				if err := os.WriteFile(at("index.json"), []byte(`{"weight_map": {"a": "special"}}`), 0o666); err != nil {
					return err
				}
				_, err := checkpoint.OpenFile(at("index.json"))
				return err
			},
		} {
			if kind.what == "folder" && what == "init" {
				continue // which takes folders, and says what one has to hold
			}
			if err := read(); !errors.Is(err, file.ErrNotRegular) || !strings.Contains(err.Error(), kind.says) {
				t.Errorf("%s as %s: %v, want %q", kind.what, what, err, kind.says)
			}
		}
	}
}
