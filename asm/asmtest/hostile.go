package asmtest

import (
	"runtime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Allocated is what f allocates in all, in bytes, what is freed again included. Nothing else may run meanwhile.
func Allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// maxErrorText is how long an error may be, in bytes. Texts end at MaxError of package file; paths and places come to it.
const maxErrorText = 10_000

// unprintable reports what a terminal may act on.
func unprintable(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' && r != '\t' }

// Harmless checks an error about a stranger's file: there is one, it is short, holds nothing that a terminal acts on, and
// what is in it.
func Harmless(t testing.TB, err error, what string) {
	t.Helper()
	if err == nil {
		t.Fatal("it is taken")
	}
	text := err.Error()
	if len(text) > maxErrorText || !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		t.Errorf("an error of %d bytes: %.300q", len(text), text)
	}
	if !strings.Contains(text, what) {
		t.Errorf("an error of %d bytes, %.300q, want %q in it", len(text), text, what)
	}
}
