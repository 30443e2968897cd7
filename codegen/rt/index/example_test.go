//go:build !js

package index_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/multiway-go/multiway/codegen/rt/index"
)

// A photo application adds the embeddings of its pictures, and finds those that fit a query best. Vectors come from a model, such as
// those that its task.Model gives for retrieval.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	x, err := index.Create(filepath.Join(dir, "photos.index"), index.Config{
		Model: "mymodel", Fingerprint: "0123", Settings: "exif=true", // m.Package().Name, m.Fingerprint()
		Dim: 2, Kernels: nil, // m.Package().Kernels
	})
	if err != nil {
		log.Fatal(err)
	}
	defer x.Close()

	for path, vector := range map[string][]float32{"2024/dog.jpg": {0.8, 0.6}, "2025/cat.jpg": {0, 1}} {
		n := index.Name{Root: "/photos", Path: path}
		err := x.Add(index.Item{File: index.File{Name: n, SHA256: sha256.Sum256([]byte(path))}, Vector: vector})
		if err != nil {
			log.Fatal(err)
		}
	}
	found, err := x.Search(context.Background(), [][]float32{{1, 0}}, 1)
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range found[0] {
		fmt.Printf("%.2f %s\n", h.Score, h.Path)
	}
	// Output: 0.80 2024/dog.jpg
}
