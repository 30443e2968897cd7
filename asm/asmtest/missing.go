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

// EnvMustRun is the environment variable that names features, separated by commas. A test that one of them stands for is
// run, or fails; without it such a test is skipped where the machine lacks the feature.
const EnvMustRun = "MULTIWAY_MUST_RUN"

// The features of tests that any machine can run, and that run where EnvMustRun names them. Every other feature is a CPU level,
// or a tool or a system that not every machine has.
const (
	Full = "full" // they take minutes
	Base = "base" // a model of real size runs under emulation
	Bare = "bare" // they begin with empty caches of the go command
)

// Features says of each feature what its tests take. Do not modify it.
var Features = features()

func features() map[string]string {
	all := map[string]string{
		Full:       EnvMustRun + "=full, and minutes; .ci/run runs it",
		Base:       EnvMustRun + "=base, and minutes; make test-arm64 runs it",
		Bare:       EnvMustRun + "=bare, a network, and minutes; make bare runs it",
		"as":       "GNU as of binutils 2.34 or later; on Debian: apt-get install binutils",
		"as-arm64": "GNU as and objdump for arm64; on Debian: apt-get install binutils-aarch64-linux-gnu",
		"bochs":    "an emulator of CPUs with AVX-512, and minutes: make test-avx512 makes it and runs these",
		"full-dev": "/dev/full, a device that is always full",
		"links":    "a file system with symbolic links under TMPDIR",
		"holes":    "a file system with holes in files under TMPDIR",
		"qemu":     "user emulators of arm and s390x; on Debian: apt-get install qemu-user-static",
		"torch":    "Python with torch, safetensors, numpy and Pillow, as python3 or as MULTIWAY_PYTHON names it",
		"wine":     "Wine, on amd64; on Debian: apt-get install wine wine64",
		"pagemap":  "Linux with /proc, which tells what of a process is in memory",
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

// MustRun returns what EnvMustRun names.
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

// Missing ends a test that this machine cannot run because it lacks a feature; why says how that shows. The test fails if
// EnvMustRun names the feature, else it is skipped, in words that golden/suite reads. A level of arm64 is skipped on every
// other CPU: package golden/emulated answers for it.
func Missing(t testing.TB, feature, why string) {
	t.Helper()
	must := asked(t, feature)
	if l, _ := asm.ISA(feature).Level(); must && (l.Arch != "arm64" || runtime.GOARCH == "arm64") {
		t.Fatalf("%s names %s: %s; it takes %s", EnvMustRun, feature, why, Features[feature])
	}
	skip(t, feature, why)
}

// Asked skips a test that runs only where EnvMustRun names the feature.
func Asked(t testing.TB, feature string) {
	t.Helper()
	if !asked(t, feature) {
		skip(t, feature, "it runs where "+EnvMustRun+" names it")
	}
}

// asked reports whether EnvMustRun names the feature.
func asked(t testing.TB, feature string) bool {
	t.Helper()
	if _, ok := Features[feature]; !ok {
		t.Fatalf("%q is none of asmtest.Features", feature)
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

// envSoak is the environment variable that has tests run that take many minutes.
const envSoak = "MULTIWAY_SOAK"

// Soak skips a test, called TestSoak and more, that only make soak runs.
func Soak(t testing.TB) {
	t.Helper()
	if os.Getenv(envSoak) == "" {
		t.Skip("soak: make soak runs it")
	}
}

// Slow skips a test of more than a second or two under -short, which make quick gives.
func Slow(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds: make test runs it")
	}
}
