//go:build !noasm

package emulated

import (
	"bytes"
	"encoding/binary"
	"errors"
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

// system is an operating system and architecture that this machine runs natively or under an emulator.
type system struct {
	os, arch string
	run      []string // what runs a program
	env      []string
}

// emulates returns the system, or skips the test if this machine cannot run it.
func emulates(t *testing.T, goos, arch, emulator string) system {
	t.Helper()
	asmtest.Asked(t, asmtest.Full)
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the emulators are those of linux/amd64")
	}
	s := system{os: goos, arch: arch, env: append(os.Environ(), asmtest.EnvMustRun+"=")} // which is of this machine
	if emulator != "" {
		s.run = []string{emulator}
		if _, err := exec.LookPath(emulator); err != nil {
			feature := "qemu"
			if goos == "windows" {
				feature = "wine"
			}
			asmtest.Missing(t, feature, emulator+" is not installed")
		}
	}
	return s
}

// build compiles a command for the system and returns its path.
func (s system) build(t *testing.T, name string) string {
	t.Helper()
	return s.compile(t, "./cmd/"+name, "build")
}

// compile compiles a package with the go command and returns the path of the program.
func (s system) compile(t *testing.T, pkg string, how ...string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), filepath.Base(pkg)+".exe")
	runIn(t, append(os.Environ(), "GOOS="+s.os, "GOARCH="+s.arch, "CGO_ENABLED=0"), "go", append(how, "-o", exe, pkg))
	return exe
}

// command runs a program on the system at the root of the module.
func (s system) command(exe string, args ...string) (status int, out, errs string) {
	return s.commandIn(root, exe, args...)
}

func (s system) commandIn(dir, exe string, args ...string) (status int, out, errs string) {
	line := slices.Concat(s.run, []string{exe}, args)
	cmd := exec.Command(line[0], line[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, s.env, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		status = -1
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			status = exit.ExitCode()
		} else {
			stderr.WriteString(err.Error())
		}
	}
	return status, stdout.String(), stderr.String()
}

// checks checks the demo on the system, at no fewer than the given number of levels, and that its
// model is the same as here.
func (s system) checks(t *testing.T, emoji string, levels int) {
	t.Helper()
	status, out, errs := s.command(emoji, "check")
	if n := len(regexp.MustCompile(`(?m) ok\s*$`).FindAllString(out, -1)); status != 0 || n < 6*levels {
		t.Errorf("check: status %d, %d outputs are right, want %d:\n%s%s", status, n, 6*levels, out, errs)
	}
	here := native(t, "go", "run", "./cmd/emoji", "info", "--json")
	_, there, errs := s.command(emoji, "info", "--json")
	fingerprint := regexp.MustCompile(`"fingerprint":"[0-9a-f]{32}"`)
	if want, got := fingerprint.FindString(here), fingerprint.FindString(there); want == "" || got != want {
		t.Errorf("here %q, there %q%s", want, got, errs)
	}
}

// packages checks that the compiler writes the same package there as here, byte for byte.
func (s system) packages(t *testing.T) {
	t.Helper()
	there, here := t.TempDir(), t.TempDir()
	multiway := s.build(t, "multiway")
	for _, precision := range []string{"f32", "int8", "bf16"} {
		args := []string{"build", "--check", "off", "--precision", precision, "--tune", "off", "-o"}
		last := "generated/vlmotiny/vlmotiny.yaml"
		if status, out, errs := s.command(multiway, append(args, filepath.Join(there, precision), last)...); status != 0 {
			t.Fatalf("build: status %d:\n%s%s", status, out, errs)
		}
		native(t, "go", slices.Concat([]string{"run", "./cmd/multiway"}, args, []string{filepath.Join(here, precision), last})...)
		if d := cmp.Diff(asmtest.Tree(t, filepath.Join(here, precision)), asmtest.Tree(t, filepath.Join(there, precision))); d != "" {
			t.Errorf("%s (-here +there):\n%.2000s", precision, d)
		}
	}
}

// pictures checks that pictures of all formats are decoded as on other systems.
func (s system) pictures(t *testing.T) {
	t.Helper()
	for _, pkg := range []string{"codegen/rt/imagefile", "codegen/rt/imagefile/heic", "codegen/rt/imagefile/avif"} {
		exe := s.compile(t, "./"+pkg, "test", "-c", "-tags", "nodynamic")
		status, out, errs := s.commandIn(filepath.Join(root, pkg), exe, "-test.v", "-test.run=^TestPictures$")
		if n := strings.Count(out, "    --- PASS: "); status != 0 || n < 30 {
			t.Errorf("%s: status %d, %d pictures are right\n%s%s", pkg, status, n, out, errs)
		}
	}
}

// Test32Bit runs demo and compiler on 32-bit systems.
func Test32Bit(t *testing.T) {
	for arch, emulator := range map[string]string{"386": "", "arm": "qemu-arm-static"} {
		t.Run(arch, func(t *testing.T) {
			s := emulates(t, "linux", arch, emulator)
			s.checks(t, s.build(t, "emoji"), 1)
			s.packages(t)
			if emulator == "" { // under one, HEIC and AVIF take minutes
				s.pictures(t)
			}
		})
	}
}

// TestBigEndian checks that a model is refused in one line on a big-endian system, and that the
// compiler, which cannot run compiled models there, writes the same packages.
func TestBigEndian(t *testing.T) {
	s := emulates(t, "linux", "s390x", "qemu-s390x-static")
	emoji := s.build(t, "emoji")
	for _, args := range [][]string{{"check"}, {"info"}, {"embed", "a cat"}, {"--version"}} {
		status, out, errs := s.command(emoji, args...)
		if status != 1 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "s390x is big-endian") {
			t.Errorf("%v: status %d, want 1 and one line:\n%s%s", args, status, out, errs)
		}
	}
	s.packages(t)
}

// TestWindows runs the demo under Wine: at every level, and with existing output files. Tests of package file run there too.
func TestWindows(t *testing.T) {
	s := emulates(t, "windows", "amd64", "wine")
	emoji := s.build(t, "emoji")
	prefix := filepath.Join(t.TempDir(), "prefix")
	s.env = append(s.env, "WINEPREFIX="+prefix, "WINEDEBUG=-all", "WINEARCH=win64")
	s.run = []string{"wineboot"}
	if status, out, errs := s.command("--init"); status != 0 {
		t.Fatalf("wineboot: status %d\n%s%s", status, out, errs)
	}
	defer func() {
		s.run = []string{"wineserver"}
		s.command("--kill") // of this prefix
	}()
	s.run = []string{"wine"}
	// Go programs ask this library for random numbers, and old Wines do not have it.
	library := filepath.Join(prefix, "drive_c/windows/system32/bcryptprimitives.dll")
	if _, err := os.Stat(library); err != nil {
		asmtest.Write(t, library, forwarder("bcryptprimitives.dll", "ProcessPrng", "advapi32.SystemFunction036"))
	}
	s.checks(t, emoji, 2)

	// Tests of package file. Old Wines do not support how package os removes folders, so a test may fail in its cleanup, but
	// for no other reason.
	status, out, errs := s.command(s.compile(t, "./ir/file", "test", "-c"), "-test.v", "-test.run=^(TestWrite|TestLock|TestReplaceInUse)$")
	removal := regexp.MustCompile(`(?m)^ +testing\.go:\d+: TempDir RemoveAll cleanup: .* Invalid function\.\n--- FAIL: `)
	rest := removal.ReplaceAllString(out, "--- PASS: ")
	if n := strings.Count(rest, "--- PASS: "); n != 3 || strings.Contains(rest, ".go:") {
		t.Errorf("%d tests of files passed, want 3; status %d\n%s%s", n, status, out, errs)
	}

	dir := t.TempDir()
	there, here := filepath.Join(dir, "there.npy"), filepath.Join(dir, "here.npy")
	for range 2 { // the second time over the first
		if status, out, errs := s.command(emoji, "embed", "--text", "-o", `Z:`+strings.ReplaceAll(there, "/", `\`), "red apple", "fire truck"); status != 0 {
			t.Fatalf("embed: status %d\n%s%s", status, out, errs)
		}
	}
	native(t, "go", "run", "./cmd/emoji", "embed", "--text", "-o", here, "red apple", "fire truck")
	want, err := os.ReadFile(here)
	got, err2 := os.ReadFile(there)
	if err != nil || err2 != nil || !bytes.Equal(want, got) {
		t.Errorf("embeddings differ: %v %v", err, err2)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 6 {
		t.Errorf("files %v, want six: %v", left, err)
	}
}

// forwarder returns a 64-bit Windows library with one function, which forwards to a function of
// another library: "library.function". It has no code, only a section that exports the function.
func forwarder(library, name, target string) []byte {
	const page, sector = 0x1000, 0x200
	le := func(b *bytes.Buffer, values ...any) {
		for _, v := range values {
			if err := binary.Write(b, binary.LittleEndian, v); err != nil {
				panic(err)
			}
		}
	}
	const table, texts = page + 40, page + 52
	called := uint32(texts + len(library) + 1)
	forward := called + uint32(len(name)) + 1
	var list bytes.Buffer
	le(&list, uint32(0), uint32(0), uint32(0), uint32(texts), uint32(1), uint32(1), uint32(1), // flags, time, version, name, base, functions, names
		uint32(table), uint32(table+4), uint32(table+8), // where they are, and their numbers
		forward, called, uint32(0))
	list.WriteString(library + "\x00" + name + "\x00" + target + "\x00")

	var b bytes.Buffer
	b.WriteString("MZ")
	b.Write(make([]byte, 58))
	le(&b, uint32(64))
	b.WriteString("PE\x00\x00")
	le(&b, uint16(0x8664), uint16(1), uint32(0), uint32(0), uint32(0), uint16(240), uint16(0x2022)) // amd64, one section, a library
	le(&b, uint16(0x20b), uint16(0), uint32(0), uint32(sector), uint32(0), uint32(0), uint32(page), uint64(0x180000000), uint32(page), uint32(sector),
		uint16(6), uint16(0), uint16(0), uint16(0), uint16(6), uint16(0), uint32(0), uint32(2*page), uint32(sector), uint32(0), uint16(3), uint16(0x100),
		uint64(1<<20), uint64(page), uint64(1<<20), uint64(page), uint32(0), uint32(16))
	le(&b, [16][2]uint32{{page, uint32(list.Len())}})
	b.WriteString(".edata\x00\x00")
	le(&b, uint32(list.Len()), uint32(page), uint32(sector), uint32(sector), uint32(0), uint32(0), uint32(0), uint32(0x40000040)) // read-only data
	b.Write(make([]byte, sector-b.Len()))
	b.Write(list.Bytes())
	b.Write(make([]byte, 2*sector-b.Len()))
	return b.Bytes()
}
