//go:build nodynamic

package heic

import (
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/imagefile/heif/heiftest"
)

func TestPictures(t *testing.T) { heiftest.Pictures(t, "heic", 1, 0.5) }

func TestLinked(t *testing.T) {
	heiftest.Linked(t, "heic", ".heic", ".heif", ".hif", ".heics", ".heifs")
}

func TestDamaged(t *testing.T) { heiftest.Damaged(t) }

func FuzzDecode(f *testing.F) { heiftest.Fuzz(f) }

func TestMemory(t *testing.T) { heiftest.Memory(t, program) }
