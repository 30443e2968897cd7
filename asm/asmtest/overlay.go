package asmtest

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Edit replaces the first match of a pattern in the assembly of a kernel, by With in the syntax of [regexp.Regexp.Expand].
type Edit struct {
	Find *regexp.Regexp
	With string
}

// Overlay returns a file for the flag -overlay of the go command that makes edits, by the names of their kernels, in a file of
// assembly. Source is its absolute path.
func Overlay(t testing.TB, source string, edits map[string]Edit) string {
	t.Helper()
	text := Read(t, source)
	for name, edit := range edits {
		at := bytes.Index(text, []byte("\nTEXT ·"+name+"(SB)"))
		if at < 0 {
			t.Fatalf("%s has no %s", source, name)
		}
		found := edit.Find.FindIndex(text[at:])
		if found == nil || bytes.Contains(text[at+1:at+found[0]], []byte("\nTEXT ")) {
			t.Fatalf("%s has no %v", name, edit.Find)
		}
		text = slices.Concat(text[:at+found[0]], edit.Find.ReplaceAll(text[at+found[0]:at+found[1]], []byte(edit.With)), text[at+found[1]:])
	}
	dir := t.TempDir()
	altered, overlay := filepath.Join(dir, filepath.Base(source)), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{source: altered}})
	if err != nil {
		t.Fatal(err)
	}
	Write(t, altered, text)
	Write(t, overlay, list)
	return overlay
}

// verdict matches the line of go test -v with the verdict of a test.
var verdict = regexp.MustCompile(`(?m)^ *--- (\w+): (\S+)`)

// Verdicts returns the verdicts, such as PASS, of the tests whose names have the prefix, by the rest of their names, from the
// output of go test -v.
func Verdicts(out []byte, prefix string) map[string]string {
	got := map[string]string{}
	for _, m := range verdict.FindAllSubmatch(out, -1) {
		if name, ok := bytes.CutPrefix(m[2], []byte(prefix)); ok {
			got[string(name)] = string(m[1])
		}
	}
	return got
}

// All returns the same verdict for every name.
func All(verdict string, names []string) map[string]string {
	want := map[string]string{}
	for _, n := range names {
		want[n] = verdict
	}
	return want
}
