//go:build !linux || !amd64 || noasm

package bochs

import (
	"runtime"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// On other systems the test fails if it is asked for.
func TestAVX512(t *testing.T) {
	asmtest.Asked(t, "bochs")
	t.Fatalf("AVX-512 is emulated on linux/amd64, without -tags noasm; this is %s/%s", runtime.GOOS, runtime.GOARCH)
}
