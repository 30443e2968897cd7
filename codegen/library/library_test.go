package library_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/library"
)

var update = flag.Bool("update", false, "rewrite generated/kernels and the generated files of codegen/rt")

// TestLibraryIsFresh compares generated/kernels with what the generators write now, byte for byte.
func TestLibraryIsFresh(t *testing.T) {
	dir := filepath.Join("..", "..", "generated", "kernels")
	if *update {
		if err := library.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	want, err := library.Files()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), got); d != "" {
		t.Errorf("files of generated/kernels (-want +got):\n%s", d)
	}
	for name, data := range want {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if d := cmp.Diff(string(data), string(have)); d != "" {
			t.Errorf("generated/kernels/%s is stale, run go generate ./generated/kernels (-want +got):\n%s", name, d)
		}
	}
}

// TestHomesAreFresh compares the generated files of codegen/rt with what the generators write now, byte for byte.
func TestHomesAreFresh(t *testing.T) {
	files, err := library.Homes()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		path := filepath.Join("..", "rt", filepath.FromSlash(name))
		if *update {
			asmtest.Write(t, path, data)
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		} else if d := cmp.Diff(string(data), string(have)); d != "" {
			t.Errorf("codegen/rt/%s is stale, run go generate ./codegen/rt/... (-want +got):\n%s", name, d)
		}
	}
}
