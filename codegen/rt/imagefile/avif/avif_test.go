//go:build nodynamic

package avif

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/imagefile/heif"
	"github.com/multiway-go/multiway/codegen/rt/imagefile/heif/heiftest"
)

func TestPictures(t *testing.T) { heiftest.Pictures(t, "avif", 5, 0.65) }

func TestLinked(t *testing.T) { heiftest.Linked(t, "avif", ".avif") }

func TestDamaged(t *testing.T) { heiftest.Damaged(t) }

func FuzzDecode(f *testing.F) { heiftest.Fuzz(f) }

// The decoder's memory ends where it is told.
func TestMemory(t *testing.T) {
	err := heif.NewSandbox(program).Run(heif.NewMemory(4<<20), func(r heif.Run) error {
		_, _, err := r.Bytes(8 << 20)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "takes more memory") {
		t.Errorf("error is %v, want that it takes more memory", err)
	}
}
