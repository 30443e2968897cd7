//go:build nodynamic

package avif

import (
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/imagefile/heif/heiftest"
)

func TestPictures(t *testing.T) { heiftest.Pictures(t, "avif", 3, 0.65) }

func TestLinked(t *testing.T) { heiftest.Linked(t, "avif", ".avif", ".avifs") }

func TestDamaged(t *testing.T) { heiftest.Damaged(t) }

func FuzzDecode(f *testing.F) { heiftest.Fuzz(f) }

func TestMemory(t *testing.T) { heiftest.Memory(t, program) }
