package asmtest_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// The features in the environment of this test run must be known.
func TestMustRun(t *testing.T) {
	if _, err := asmtest.MustRun(); err != nil {
		t.Error(err)
	}
	t.Setenv(asmtest.EnvMustRun, "avx2, holes,")
	must, err := asmtest.MustRun()
	if err != nil || len(must) != 2 || !must["avx2"] || !must["holes"] {
		t.Errorf("%v %v, want avx2 and holes", must, err)
	}
	t.Setenv(asmtest.EnvMustRun, "avx2,avx9")
	if _, err := asmtest.MustRun(); err == nil || !strings.Contains(err.Error(), `"avx9"`) {
		t.Errorf("error %v, want one that names avx9", err)
	}
}

// verdict stands in for a test: it records how the test would end.
type verdict struct {
	testing.TB
	failed, skipped string
}

func (v *verdict) Helper()           {}
func (v *verdict) Fatal(args ...any) { v.failed = args[0].(error).Error(); panic(v) }
func (v *verdict) Fatalf(format string, args ...any) {
	v.failed = format
	panic(v)
}
func (v *verdict) Skipf(format string, args ...any) {
	v.skipped = args[0].(string)
	panic(v)
}

// A test that lacks a feature is skipped, or fails if EnvMustRun lists the feature.
func TestMissing(t *testing.T) {
	foreign := "neon" // golden/emulated answers for it
	if runtime.GOARCH == "arm64" {
		foreign = "holes"
	}
	for _, row := range []struct {
		must, lacks string
		end         func(testing.TB, string)
		fails       bool
	}{
		{"", "avx512", missing, false},
		{"avx2", "avx512", missing, false},
		{"avx2,avx512", "avx512", missing, true},
		{"avx2,avx512", "holes", missing, false},
		{"holes", "holes", missing, true},
		{foreign, foreign, missing, foreign != "neon"},
		{"", "nothing", missing, true},
		{"nothing", "avx2", missing, true},
		{"avx2", "full", asmtest.Asked, false},
	} {
		t.Setenv(asmtest.EnvMustRun, row.must)
		v := &verdict{}
		func() {
			defer func() { recover() }()
			row.end(v, row.lacks)
		}()
		if (v.failed != "") != row.fails || (v.skipped == row.lacks) == row.fails {
			t.Errorf("must run %q, lacks %q: failed %q, skipped for %q", row.must, row.lacks, v.failed, v.skipped)
		}
	}
	t.Setenv(asmtest.EnvMustRun, "full")
	asmtest.Asked(t, "full")
}

func missing(t testing.TB, feature string) { asmtest.Missing(t, feature, "it is not here") }
