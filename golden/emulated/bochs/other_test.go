//go:build !linux || !amd64 || noasm

package bochs

import (
	"runtime"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// Who asks for the emulator where it is not is told so.
func TestAVX512(t *testing.T) {
	asmtest.Asked(t, "bochs")
	t.Fatalf("AVX-512 is emulated on linux/amd64, without -tags noasm; this is %s/%s", runtime.GOOS, runtime.GOARCH)
}
