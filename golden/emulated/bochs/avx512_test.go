//go:build linux && amd64 && !noasm

package bochs_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/golden/emulated/bochs"
)

const root = "../../.."

// cpus lists a CPU model for each level of amd64, lowest first. Its highest level is this level.
var cpus = []struct {
	level  asm.ISA
	model  string    // of Bochs
	beside []asm.ISA // levels that it has and its level does not include
}{
	{asm.AVX2, "corei7_haswell_4770", nil},
	{asm.AVXVNNI, "arrow_lake", nil},
	{asm.AVX512, "corei7_skylake_x", nil},
	{asm.AVX512VNNI, "corei7_icelake_u", nil},
	{asm.AVX512BF16, "sapphire_rapids", []asm.ISA{asm.AVXVNNI}},
}

// highest returns the model with every level.
func highest() string { return cpus[len(cpus)-1].model }

// TestCPUs checks that every level of amd64 has a CPU.
func TestCPUs(t *testing.T) {
	var got, want []asm.ISA
	for _, c := range cpus {
		got = append(got, c.level)
	}
	for _, l := range asm.Levels {
		if l.Arch == "amd64" {
			want = append(want, l.ISA)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("levels with a CPU (-want +got):\n%s", d)
	}
}

// emulator returns the emulator, or skips the test unless it is asked for.
func emulator(t *testing.T) *bochs.Machine {
	t.Helper()
	asmtest.Asked(t, "bochs")
	m, err := bochs.Open(t.Context(), t.TempDir(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// amd64 runs the go command at the root of the module, to build for guests.
func amd64(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	asmtest.Run(t, cmd)
}

// tester compiles the tests of package golden and returns the program's path.
func tester(t *testing.T, flags ...string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "golden.test")
	amd64(t, slices.Concat([]string{"test", "-c", "-ldflags=-s -w", "-o", exe}, flags, []string{"./golden"})...)
	return exe
}

// tests returns a job that runs some tests of package golden.
func tests(exe, cpu, run string) bochs.Job {
	return bochs.Job{
		CPU:   cpu,
		Files: map[string]string{"golden/golden.test": exe},
		Command: bochs.Command{
			Args: []string{"golden/golden.test", "-test.v", "-test.run", run},
			Dir:  "golden",
		},
	}
}

// kernelTests returns the pattern that selects the tests of kernels.
func kernelTests(names ...string) string {
	return "TestKernels$/^(" + strings.Join(names, "|") + ")$"
}

// TestAVX512 runs kernels and models with AVX-512 on emulated CPUs.
func TestAVX512(t *testing.T) {
	m := emulator(t)
	exe := tester(t)

	// Each kernel is compared with its twin on a CPU whose highest level is the kernel's.
	for _, c := range cpus {
		var names []string
		for _, k := range asm.Catalogue {
			if k.ISA == c.level && c.level != asm.AVX2 { // which CI has, and asks for
				names = append(names, k.Name())
			}
		}
		if names == nil {
			continue
		}
		t.Run("kernels/"+string(c.level), func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := m.Run(t.Context(), tests(exe, c.model, kernelTests(names...)), &out)
			t.Logf("\n%s", &out)
			if err != nil {
				t.Error(err)
			}
			if d := cmp.Diff(asmtest.All("PASS", names), asmtest.Verdicts(out.Bytes(), "TestKernels/")); d != "" {
				t.Errorf("kernels (-want +got):\n%s", d)
			}
		})
	}

	// A model uses the best level of its CPU, and can use lower ones.
	emoji := filepath.Join(t.TempDir(), "emoji")
	amd64(t, "build", "-ldflags=-s -w", "-o", emoji, "./cmd/emoji")
	for _, c := range cpus {
		var levels []string
		for _, l := range asm.Levels {
			if c.level.Includes(l.ISA) || slices.Contains(c.beside, l.ISA) {
				levels = append(levels, string(l.ISA))
			}
		}
		best := c.level
		for l, _ := best.Level(); l.Only() != ""; l, _ = best.Level() { // for a precision that the demo does not have
			best = l.Base
		}
		want := regexp.MustCompile(fmt.Sprintf(`(?m)^level +%s \(this CPU: %s\)$`, best, strings.Join(levels, ", ")))
		t.Run("info/"+string(c.level), func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := m.Run(t.Context(), bochs.Job{
				CPU:     c.model,
				Files:   map[string]string{"emoji": emoji},
				Command: bochs.Command{Args: []string{"emoji", "info"}},
			}, &out)
			if err != nil || !want.Match(out.Bytes()) {
				t.Errorf("%s: got error %v and\n%s\nwant %v", c.model, err, &out, want)
			}
		})
	}

	for name, run := range models {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runModels(t, m, exe, run)
		})
	}
}

// cases lists golden cases, one of each family.
var cases = []string{"classification", "mwt_paper", "vlmo_rel"}

// models lists tests of whole models, by the name of the guest.
var models = map[string]string{
	"models": "^(TestKernelTable|TestSameBitsOfTiles|TestSameBitsOfCPUs|TestLevels|TestTinyEqualsInterpreter|TestMwtEqualsInterpreter|TestVLMoEqualsInterpreter|TestTinyCheck)$|" +
		"^TestCases$/^(" + strings.Join(cases, "|") + ")$|" +
		"^TestLevelsGiveTheSameBits$/tiny$|^TestLevelsGiveTheSameBits$/^emoji$/^avx", // in plain Go the demo would take most of the time
	"precisions": "^(TestLevelsGiveTheSameBitsAtEveryPrecision|TestCasesInInt8|TestCasesByCosine)$",
}

// runModels runs tests of whole models at every level. This machine compiles the programs and first runs them at its own
// levels.
func runModels(t *testing.T, m *bochs.Machine, exe, run string) {
	engines := t.TempDir()
	here := exec.Command(exe, "-test.v", "-test.run", run)
	here.Dir, here.Env = filepath.Join(root, "golden"), append(os.Environ(), engine.EnvEngines+"="+engines, asmtest.EnvMustRun+"=")
	native, err := here.CombinedOutput()
	if err != nil {
		t.Fatalf("on this machine: %v\n%s", err, native)
	}
	job := tests(exe, highest(), run)
	job.Seconds = 3600
	job.Files["engines"] = engines
	for _, name := range []string{"generated/beit3tiny", "generated/mwttiny", "generated/vlmotiny", "golden/testdata/tokenizer", "codegen/rt/token/testdata"} {
		job.Files[name] = filepath.Join(root, name)
	}
	for _, name := range cases {
		job.Files["golden/testdata/"+name] = filepath.Join(root, "golden/testdata", name)
	}
	var levels []string
	for _, c := range cpus {
		levels = append(levels, string(c.level))
	}
	job.Env = []string{asmtest.EnvMustRun + "=" + strings.Join(levels, ","), engine.EnvEngines + "=" + bochs.Root + "/engines", "GOFLAGS=" + os.Getenv("GOFLAGS")}
	var out bytes.Buffer
	err = m.Run(t.Context(), job, &out)
	t.Logf("\n%s", &out)
	if err != nil {
		t.Error(err)
	}
	passed(t, run, native, out.Bytes())
}

// passed checks that the guest passed all its tests, and ran every test that this machine knows, including those that it skips
// because it lacks a level.
func passed(t *testing.T, run string, native, guest []byte) {
	t.Helper()
	got, here := asmtest.Verdicts(guest, ""), asmtest.Verdicts(native, "")
	names := regexp.MustCompile(`Test\w+`).FindAllString(run, -1)
	want := asmtest.All("PASS", slices.Concat(names, slices.Collect(maps.Keys(here)), slices.Collect(maps.Keys(got))))
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("tests (-want +got):\n%s", d)
	}
}

// wrong has, by the name of a kernel, a wrong replacement in its assembly: another register as an operand of a multiplication.
var wrong = map[string]asmtest.Edit{
	"gelu_f32_avx512":              {Find: regexp.MustCompile(`VFMADD213PS +Z\d+,`), With: "VFMADD213PS Z31,"},
	"gemm_i8_1x16_avxvnni":         {Find: regexp.MustCompile(`BYTE \$0xc\w // VPDPBUSD`), With: "BYTE $$0xc7 // VPDPBUSD"},
	"gemm_i8_1x32_avx512vnni":      {Find: regexp.MustCompile(`VPDPBUSD +Z\d+,`), With: "VPDPBUSD Z31,"},
	"gemm_bf16dot_1x48_avx512bf16": {Find: regexp.MustCompile(`WORD \$0x\w\w52 // VDPBF16PS`), With: "WORD $$0xc052 // VDPBF16PS"},
}

// TestAVX512Wrong checks that wrong kernels fail under emulation, and no others.
func TestAVX512Wrong(t *testing.T) {
	m := emulator(t)
	source, err := filepath.Abs(filepath.Join(root, "generated/kernels/kernels_amd64.s"))
	if err != nil {
		t.Fatal(err)
	}
	overlay := asmtest.Overlay(t, source, wrong)
	right := []string{"softmax_f32_avx512", "gemm_i8_2x32_avx512vnni", "gemm_bf16dot_2x48_avx512bf16"}
	names := slices.Sorted(maps.Keys(wrong))
	want := asmtest.All("FAIL", names)
	maps.Copy(want, asmtest.All("PASS", right))
	var out bytes.Buffer
	err = m.Run(t.Context(), tests(tester(t, "-overlay", overlay), highest(), kernelTests(append(names, right...)...)), &out)
	if exit := (*bochs.ExitError)(nil); !errors.As(err, &exit) || exit.Status != 1 {
		t.Errorf("got error %v, want exit status 1", err)
	}
	if d := cmp.Diff(want, asmtest.Verdicts(out.Bytes(), "TestKernels/")); d != "" {
		t.Errorf("kernels (-want +got):\n%s%s", d, &out)
	}
}
