//go:build !noasm

package emulated

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

const (
	root     = "../.."
	emulator = "qemu-aarch64-static"
	module   = "github.com/multiway-go/multiway/"
)

// tools lists the programs that emulation needs, by Debian package.
var tools = map[string]string{
	"qemu-user-static":           emulator,
	"binutils-aarch64-linux-gnu": "aarch64-linux-gnu-objdump",
}

// asked skips the test unless it is asked for, and fails it if tools are missing then.
func asked(t *testing.T) {
	t.Helper()
	asmtest.Asked(t, "neon")
	if runtime.GOARCH == "arm64" {
		t.Skip("this CPU is arm64: the other tests run its kernels")
	}
	for pkg, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not installed; on Debian: apt-get install %s", tool, pkg)
		}
	}
}

// guest is the environment of programs for arm64. The features that tests must have are those of the emulated CPU.
func guest() []string {
	return append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0", "MULTIWAY_EXEC="+emulator, asmtest.EnvMustRun+"=neon,neondot,neoni8mm")
}

// command runs a program for arm64 at the root of the module and returns its output.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	return runIn(t, guest(), name, args)
}

// native is like command, for this machine.
func native(t *testing.T, name string, args ...string) string {
	t.Helper()
	return runIn(t, os.Environ(), name, args)
}

func runIn(t *testing.T, env []string, name string, args []string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = root, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, fine.ReplaceAll(out, nil))
	}
	return string(out)
}

// fine matches the lines of go test -v that are not about a failure.
var fine = regexp.MustCompile(`(?m)^\s*(=== \w+|--- (PASS|SKIP):) .*\n`)

// build compiles a command for arm64 and returns its path.
func build(t *testing.T, name string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), name)
	command(t, "go", "build", "-o", exe, "./cmd/"+name)
	return exe
}

// TestArm64 runs all packages with assembly on an emulated CPU.
func TestArm64(t *testing.T) {
	asked(t)
	t.Run("vet", func(t *testing.T) { // compares the assembly's frames with its Go declarations
		command(t, "go", "vet", "./generated/...")
	})
	t.Run("kernels", func(t *testing.T) {
		test(t, "TestKernels|TestKernelTable|TestSameBits|TestTiny", "^$", "./golden")
	})
	// Code that must give the same bits on every CPU has tests with constants. The emulator does not report the address of a fault.
	t.Run("bits", func(t *testing.T) {
		test(t, ".", "TestBlocksDoNotShow|TestBlockingsGiveTheSameBits|TestLongText|TestCollection|TestWeightsCutOff", "./asm", "./codegen/rt", "./codegen/rt/exec", "./codegen/rt/kernel", "./codegen/rt/blob", "./codegen/rt/pixel", "./codegen/rt/token", "./codegen/rt/imagefile/jpeg", "./ir/checkpoint")
	})
	t.Run("generated", func(t *testing.T) {
		test(t, "TestFresh", "^$", "./golden")
	})
}

// test runs tests under emulation, except the tests in skip, which would take minutes.
func test(t *testing.T, run, skip string, packages ...string) {
	t.Helper()
	out := command(t, "go", slices.Concat([]string{"test", "-v", "-timeout", "30m", "-exec", emulator, "-run", run, "-skip", skip}, packages)...)
	for _, p := range packages {
		if !regexp.MustCompile(`(?m)^ok\s+` + module + strings.TrimPrefix(p, "./") + `\s`).MatchString(out) {
			t.Errorf("%s did not run:\n%s", p, out)
		}
	}
	t.Log("\n" + out)
}

// wrong has, by the name of a kernel, a wrong replacement in its assembly: another register as an operand.
var wrong = map[string]asmtest.Edit{
	"gelu_f32_neon":                {Find: regexp.MustCompile(`\$0x4e3(\w{5}) // fmla`), With: "$$0x4e2$1 // fmla"},
	"gemm_i8_1x16_neondot":         {Find: regexp.MustCompile(`\$0x4f8\w(\w{4}) // sdot`), With: "$$0x4f8f$1 // sdot"},
	"gemm_eights_i8_1x16_neoni8mm": {Find: regexp.MustCompile(`\$0x4e8\w(\w{4}) // usmmla`), With: "$$0x4e8f$1 // usmmla"},
	"regroup_i8_neoni8mm":          {Find: regexp.MustCompile(`\$0x4e8\w(\w{4}) // zip2`), With: "$$0x4e8f$1 // zip2"},
}

// TestArm64Wrong checks that wrong kernels fail under emulation, and no others.
func TestArm64Wrong(t *testing.T) {
	asked(t)
	source, err := filepath.Abs(filepath.Join(root, "generated/kernels/kernels_arm64.s"))
	if err != nil {
		t.Fatal(err)
	}
	right := []string{"softmax_f32_neon", "gemm_i8_2x16_neondot", "gemm_eights_i8_2x16_neoni8mm"}
	names := slices.Sorted(maps.Keys(wrong))
	cmd := exec.Command("go", "test", "-v", "-overlay", asmtest.Overlay(t, source, wrong), "-exec", emulator, "-run", "TestKernels$/^("+strings.Join(slices.Concat(names, right), "|")+")$", "./golden")
	cmd.Dir, cmd.Env = root, guest()
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		t.Errorf("got error %v, want tests that fail", err)
	}
	want := asmtest.All("FAIL", names)
	maps.Copy(want, asmtest.All("PASS", right))
	if d := cmp.Diff(want, asmtest.Verdicts(out, "TestKernels/")); d != "" {
		t.Errorf("kernels (-want +got):\n%s%s", d, out)
	}
}

// TestArm64Cases runs every golden case with the compiled package under emulation. The compiler runs natively. Base has 222 million
// parameters.
func TestArm64Cases(t *testing.T) {
	asked(t)
	here := filepath.Join(t.TempDir(), "multiway")
	native(t, "go", "build", "-o", here, "./cmd/multiway")
	found, err := filepath.Glob(filepath.Join(root, "golden/testdata/*/case.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range found {
		if name := filepath.Base(filepath.Dir(f)); name != "base" {
			all = append(all, "golden/testdata/"+name)
		}
	}
	if len(all) < 14 {
		t.Errorf("only %d cases", len(all))
	}
	base := []string{"golden/testdata/base"}
	for _, c := range []struct {
		precision, level string
		cases            []string
		outputs          int // at least
	}{
		{"f32", "neon", all, 179},
		{"f32", "neon", base, 1},
		{"f16", "neon", []string{"golden/testdata/encode_t1"}, 28},
		{"bf16", "neon", []string{"golden/testdata/encode_t1"}, 28},
		{"int8", "neon", []string{"golden/testdata/classification"}, 4},
		{"int8", "neondot", []string{"golden/testdata/classification"}, 4},
		{"int8", "neoni8mm", []string{"golden/testdata/classification"}, 4},
		{"int7", "neoni8mm", []string{"golden/testdata/classification"}, 4},
		{"int8x2", "neoni8mm", []string{"golden/testdata/classification"}, 4},
		{"bf16dot", "neon", []string{"golden/testdata/classification"}, 4},
	} {
		t.Run(c.precision+"_"+c.level, func(t *testing.T) {
			if slices.Equal(c.cases, base) {
				asmtest.Asked(t, asmtest.Base)
			}
			out := native(t, here, slices.Concat([]string{"golden", "check", "--engine", "binary", "--precision", c.precision, "--level", c.level}, c.cases)...)
			if n := len(regexp.MustCompile(`(?m) binary `+c.level+` .* ok$`).FindAllString(out, -1)); n < c.outputs {
				t.Errorf("only %d outputs at level %s:\n%s", n, c.level, out)
			}
			t.Log("\n" + strings.Join(summary.FindAllString(out, -1), "\n"))
		})
	}
}

// summary matches the last lines of a check.
var summary = regexp.MustCompile(`(?m)^(not run, .*|\d+ passed, .*)$`)

// TestArm64Compiler runs the compiler under emulation too: it checks a case at the levels of a CPU with everything, of one with dot
// products and of one without.
func TestArm64Compiler(t *testing.T) {
	asked(t)
	multiway := build(t, "multiway")
	for cpu, want := range map[string]map[string]int{
		"max":         {"generic": 4, "neon": 4, "neondot": 4, "neoni8mm": 4},
		"neoverse-n1": {"generic": 4, "neon": 4, "neondot": 4},
		"cortex-a53":  {"generic": 4, "neon": 4},
	} {
		t.Run(cpu, func(t *testing.T) {
			t.Setenv("QEMU_CPU", cpu)
			out := command(t, emulator, multiway, "golden", "check", "--precision", "int8", "golden/testdata/classification")
			got := map[string]int{}
			for _, m := range regexp.MustCompile(`(?m) binary (\w+) .* ok$`).FindAllStringSubmatch(out, -1) {
				got[m[1]]++
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("outputs by level (-want +got):\n%s%s", d, out)
			}
		})
	}
	t.Run("unfused", func(t *testing.T) { unfused(t, multiway) })
}

// unfused looks for fused multiply-adds in code that must give the same bits on every CPU: Go fuses x*y + z on arm64, but not on
// amd64. The float64 interpreter and code that only measures may have them.
func unfused(t *testing.T, exe string) {
	out := command(t, "go", "tool", "objdump", "-s", "^"+module+"(asm|passes|ir/checkpoint|codegen)[./]", exe)
	free := regexp.MustCompile(`^` + module + `codegen/compile\.\(\*checker\)`)
	name, functions := "", 0
	for line := range strings.Lines(out) {
		if f, ok := strings.CutPrefix(line, "TEXT "); ok {
			name, _, _ = strings.Cut(f, "(SB)")
			functions++
		} else if fused.MatchString(line) && !free.MatchString(name) {
			t.Errorf("%s: %s: write float64(x*y) + z or float32(x*y) + z", name, strings.Join(strings.Fields(line), " "))
		}
	}
	if functions < 500 {
		t.Errorf("only %d functions found", functions)
	}
}

var fused = regexp.MustCompile(`\sFN?M(ADD|SUB)[SD]\s`)

// TestArm64Demo runs the demo binary.
func TestArm64Demo(t *testing.T) {
	asked(t)
	emoji := build(t, "emoji")
	out := command(t, emulator, emoji, "check")
	t.Log("\n" + out)
	if n := strings.Count(out, "gemm_f32_6x16_neon"); n < 3 || strings.Contains(out, "FAIL") {
		t.Errorf("check has %d lines of NEON kernels:\n%s", n, out)
	}
	// It finds the same pictures, in the same order, as natively.
	query := []string{"search", "--top", "3", "--folder", "golden/testdata/emoji/images", "a monkey"}
	here := filepath.Join(t.TempDir(), "here")
	native(t, "go", "build", "-o", here, "./cmd/emoji")
	want := native(t, here, query...)
	if got := command(t, emulator, append([]string{emoji}, query...)...); got != want {
		t.Errorf("search finds\n%s\nwant\n%s", got, want)
	}
}
