package asmtest

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm"
)

// EnvMustRun is the environment variable that lists features, separated by commas. A test that needs a listed feature fails if the
// machine lacks it; a test that needs another one is skipped.
const EnvMustRun = "MULTIWAY_MUST_RUN"

// Features that any machine has, but whose tests run only if EnvMustRun lists them. Every other feature is a CPU level, or a tool or
// a system that not every machine has.
const (
	Full = "full" // the tests take minutes
	Base = "base" // the tests run a model of real size under emulation
	Bare = "bare" // the tests start with empty caches of the go command
)

// Features maps each feature to what its tests need. Do not modify it.
var Features = features()

func features() map[string]string {
	all := map[string]string{
		Full:           EnvMustRun + "=full, and minutes; .ci/run runs it",
		Base:           EnvMustRun + "=base, and minutes; make test-arm64 runs it",
		Bare:           EnvMustRun + "=bare, a network, and minutes; make bare runs it",
		"as":           "GNU as of binutils 2.34 or later; on Debian: apt-get install binutils",
		"as-arm64":     "GNU as and objdump for arm64; on Debian: apt-get install binutils-aarch64-linux-gnu",
		"bochs":        "an emulator of CPUs with AVX-512, and minutes: make test-avx512 makes it and runs these",
		"full-dev":     "/dev/full, a device that is always full",
		"links":        "a file system with symbolic links under TMPDIR",
		"holes":        "a file system with holes in files under TMPDIR",
		"qemu":         "user emulators of arm and s390x; on Debian: apt-get install qemu-user-static",
		"torch":        "Python with torch, safetensors, numpy and Pillow, as python3 or as MULTIWAY_PYTHON names it",
		"transformers": "Python with what torch needs, transformers and open_clip_torch",
		"wine":         "Wine, on amd64; on Debian: apt-get install wine wine64",
		"pagemap":      "Linux with /proc, which tells what of a process is in memory",
	}
	for _, l := range asm.Levels {
		switch {
		case l.Arch == "arm64":
			all[string(l.ISA)] = "an arm64 CPU (not -tags noasm), or make test-arm64"
		case l.Arch == "amd64":
			all[string(l.ISA)] = "an amd64 CPU with " + strings.Join(l.Features, ", ") + " (not -tags noasm)"
			if l.Base != asm.Generic {
				all[string(l.ISA)] += ", or make test-avx512"
			}
		}
	}
	return all
}

// MustRun returns the features that EnvMustRun lists.
func MustRun() (map[string]bool, error) {
	must := map[string]bool{}
	for name := range strings.SplitSeq(os.Getenv(EnvMustRun), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if _, ok := Features[name]; !ok {
			return nil, fmt.Errorf("%s: unknown feature %q, want any of %s", EnvMustRun, name, strings.Join(slices.Sorted(maps.Keys(Features)), ", "))
		}
		must[name] = true
	}
	return must, nil
}

// Missing ends a test that this machine cannot run because it lacks a feature; why says how it was found out. The test fails if
// EnvMustRun lists the feature, otherwise it is skipped, with a message that golden/suite parses. On other CPUs a level of arm64
// is always skipped: golden/emulated tests it there.
func Missing(t testing.TB, feature, why string) {
	t.Helper()
	must := asked(t, feature)
	if l, _ := asm.ISA(feature).Level(); must && (l.Arch != "arm64" || runtime.GOARCH == "arm64") {
		t.Fatalf("%s names %s: %s; it takes %s", EnvMustRun, feature, why, Features[feature])
	}
	skip(t, feature, why)
}

// Asked skips a test unless EnvMustRun lists the feature.
func Asked(t testing.TB, feature string) {
	t.Helper()
	if !asked(t, feature) {
		skip(t, feature, "it runs where "+EnvMustRun+" names it")
	}
}

// asked reports whether EnvMustRun lists the feature.
func asked(t testing.TB, feature string) bool {
	t.Helper()
	if _, ok := Features[feature]; !ok {
		t.Fatalf("%q is not in asmtest.Features", feature)
	}
	must, err := MustRun()
	if err != nil {
		t.Fatal(err)
	}
	return must[feature]
}

func skip(t testing.TB, feature, why string) {
	t.Helper()
	t.Skipf("lacks %s: %s; it takes %s", feature, why, Features[feature])
}

// envSoak is the environment variable that enables tests which take many minutes.
const envSoak = "MULTIWAY_SOAK"

// Soak skips a test that only make soak runs; its name begins with TestSoak.
func Soak(t testing.TB) {
	t.Helper()
	if os.Getenv(envSoak) == "" {
		t.Skip("soak: make soak runs it")
	}
}

// Slow skips a test that takes more than two seconds if -short is given, as by make quick.
func Slow(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds: make test runs it")
	}
}
