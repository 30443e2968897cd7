package arm64

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/generated/kernels"
)

// TestKernelsAreLinked has the linker keep the kernels in this package's test program, which TestDisassembly disassembles.
func TestKernelsAreLinked(t *testing.T) {
	if len(kernels.All()) == 0 {
		t.Error("no kernels")
	}
}

// TestDisassembly builds a program with all kernels and compares its disassembly with the texts of the generators, instruction
// by instruction.
func TestDisassembly(t *testing.T) {
	asmtest.Slow(t)
	need(t, "aarch64-linux-gnu-objdump")
	exe := filepath.Join(t.TempDir(), "kernels.exe")
	cmd := exec.Command("go", "test", "-c", "-o", exe, ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0", "GOFLAGS=")
	asmtest.Run(t, cmd)
	const pkg = "github.com/multiway-go/multiway/generated/kernels."
	total := 0
	for _, k := range native() {
		got := disassembly(asmtest.Run(t, exec.Command("aarch64-linux-gnu-objdump", "--no-show-raw-insn", "--disassemble="+pkg+k.Name()+".abi0", exe)))
		want := write(t, k).lines
		for i, l := range want {
			if i >= len(got) {
				t.Errorf("%s: %d instructions, want %d", k.Name(), len(got), len(want))
				break
			}
			total++
			text := normal(l.text)
			if mnemonic, _, _ := strings.Cut(got[i], " "); got[i] != text && mnemonic != text {
				t.Errorf("%s: instruction %d is %s, want %s", k.Name(), i, got[i], text)
				break
			}
		}
		// Between functions the linker pads with zeros and traps.
		for _, rest := range got[min(len(want), len(got)):] {
			if rest != "udf #0" && rest != "nop" && rest != "..." {
				t.Errorf("%s: more than %d instructions: %s", k.Name(), len(want), rest)
				break
			}
		}
	}
	t.Logf("%d instructions of %d kernels", total, len(native()))
}

// code matches the instruction in a line of objdump, without the notes on addresses that objdump adds.
var code = regexp.MustCompile(`(?m)^\s*[0-9a-f]+:\t([^/<\n]*)`)

// disassembly returns the instructions in objdump's output.
func disassembly(out string) []string {
	var found []string
	for _, m := range code.FindAllStringSubmatch(out, -1) {
		found = append(found, normal(m[1]))
	}
	return found
}

var (
	hexadecimal = regexp.MustCompile(`#0x[0-9a-f]+`)
	orZero      = regexp.MustCompile(`^orr (x\d+), xzr, `)
)

// normal normalises the text of an instruction: blanks, numbers, offsets of zero, constants.
func normal(text string) string {
	text = orZero.ReplaceAllString(strings.Join(strings.Fields(text), " "), "mov $1, ")
	text = hexadecimal.ReplaceAllStringFunc(text, func(s string) string {
		v, err := strconv.ParseUint(s[3:], 16, 64)
		if err != nil {
			return s
		}
		return "#" + strconv.FormatUint(v, 10)
	})
	return strings.NewReplacer(", #0]", "]", "xzr", "#0").Replace(text)
}
