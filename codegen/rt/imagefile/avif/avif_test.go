//go:build nodynamic

package avif

import (
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/imagefile/heif/heiftest"
)

func TestPictures(t *testing.T) { heiftest.Pictures(t, "avif", 5, 0.65) }
