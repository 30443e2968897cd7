//go:build nodynamic

package heic

import (
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/imagefile/heif/heiftest"
)

func TestPictures(t *testing.T) { heiftest.Pictures(t, "heic", 1, 0.5) }
