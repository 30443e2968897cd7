package asmtest

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"iter"
	"os"
	"testing"
)

// Archive yields the names and contents of the files in a .tar.gz, in their order. The test fails if one cannot be read.
func Archive(t testing.TB, path string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for files := tar.NewReader(z); ; {
			h, err := files.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(files)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(h.Name, data) {
				return
			}
		}
	}
}
