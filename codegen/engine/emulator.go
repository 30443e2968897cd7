package engine

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
)

// emulators lists, by GOARCH, the names of the emulator of that CPU for Linux programs, and
// the Debian package that contains it.
var emulators = map[string]struct {
	programs []string
	debian   string
}{
	"arm64": {[]string{"qemu-aarch64-static", "qemu-aarch64"}, "qemu-user-static"},
}

// Emulator returns the path of an emulator for a GOARCH that is not this machine's, or an
// error that begins with the GOARCH and says what to install.
func Emulator(arch string) (string, error) {
	e, ok := emulators[arch]
	if !ok || runtime.GOOS != "linux" {
		return "", fmt.Errorf("%s: this machine is %s/%s, which cannot emulate it", arch, runtime.GOOS, runtime.GOARCH)
	}
	for _, name := range e.programs {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: this machine is %s and has no %s to emulate it with; on Debian: apt-get install %s", arch, runtime.GOARCH, strings.Join(e.programs, " or "), e.debian)
}
