package heif

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// FuzzParse reads boxes and parameter sets, in which every number comes from outside.
func FuzzParse(f *testing.F) {
	for _, format := range []string{"heic", "avif"} {
		for name, data := range asmtest.Archive(f, "../"+format+"/testdata/pictures.tar.gz") {
			if !strings.HasSuffix(name, ".png") {
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
