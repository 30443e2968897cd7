package asmtest

import (
	"os"
	"testing"
)

// Missing ends a test that this machine cannot run. why names what it lacks. CI has to have everything, so there the test
// fails; elsewhere it is skipped.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
