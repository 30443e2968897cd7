package heif

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
)

// FuzzParse reads boxes and parameter sets, in which every number comes from outside.
func FuzzParse(f *testing.F) {
	for _, format := range []string{"heic", "avif"} {
		archive, err := os.Open("../" + format + "/testdata/pictures.tar.gz")
		if err != nil {
			f.Fatal(err)
		}
		defer archive.Close()
		z, err := gzip.NewReader(archive)
		if err != nil {
			f.Fatal(err)
		}
		files := tar.NewReader(z)
		for {
			h, err := files.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				f.Fatal(err)
			}
			data, err := io.ReadAll(files)
			if err != nil {
				f.Fatal(err)
			}
			if !strings.HasSuffix(h.Name, ".png") {
				f.Add(data)
			}
		}
	}
	f.Add(grid(3, 2, 64, 48))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, codec := range []string{"hvc1", "av01"} {
			p, err := Parse(data, codec)
			if err != nil {
				continue
			}
			if p.Size.X < 1 || p.Size.Y < 1 || p.Orientation < 1 || p.Orientation > 8 || p.coded() < 1 {
				t.Errorf("it is %+v", p)
			}
			if p.Alpha != nil && p.Alpha.Size != p.Size {
				t.Errorf("its transparency is of %v, it of %v", p.Alpha.Size, p.Size)
			}
			for _, c := range p.tiles {
				if _, err := c.File(false, c.Colour); err == nil && len(c.Config) == 0 {
					t.Error("a file is made without what its decoder needs")
				}
				ReadHEVC(c.Config)
			}
		}
	})
}
