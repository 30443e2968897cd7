package asmtest

import (
	"runtime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Allocated returns how many bytes f allocates, counting those that are freed again. Nothing else may run meanwhile.
func Allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// maxErrorText is the largest length of an error, in bytes: package file limits texts to MaxError, and paths and positions are
// added to that.
const maxErrorText = 10_000

// unprintable reports whether a terminal may interpret r as a command.
func unprintable(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' && r != '\t' }

// Harmless checks the error about a hostile file: it is not nil, short and printable, and contains what.
func Harmless(t testing.TB, err error, what string) {
	t.Helper()
	if err == nil {
		t.Fatal("the file is accepted")
	}
	text := err.Error()
	if len(text) > maxErrorText || !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		t.Errorf("an error of %d bytes: %.300q", len(text), text)
	}
	if !strings.Contains(text, what) {
		t.Errorf("an error of %d bytes, %.300q, want %q in it", len(text), text, what)
	}
}
