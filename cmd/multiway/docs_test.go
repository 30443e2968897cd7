package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/model"
)

var tableFile = flag.String("table", "", "file whose table is written anew; make builds and make docs give it")

// README's tables of a description's keys are those that the parser reads by.
func TestDescriptionTable(t *testing.T) {
	var b bytes.Buffer
	markFields(&b)
	if *tableFile != "" {
		rewrite(t, *tableFile, "docs", b.String())
	}
	if diff := cmp.Diff(b.String(), between(t, "../../README.md", "docs")[1]); diff != "" {
		t.Errorf("README.md is stale; run make docs (-want +got):\n%s", diff)
	}
}

func TestDocs(t *testing.T) {
	out, err := exec.Command("multiway", "docs", "description").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(out), "preprocess: ") || !strings.Contains(string(out), "\npreprocess.resize\n") {
		t.Errorf("it begins with %.100q, want what preprocess is", out)
	}
	fits(t, "docs description", string(out), columns)
	out, err = exec.Command("multiway", "docs", "description", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var fields []model.Field
	if err := json.Unmarshal(out, &fields); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(model.Fields(), fields); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if out, err = exec.Command("multiway", "docs").Output(); err != nil || !strings.Contains(string(out), "\n  description ") {
		t.Errorf("docs does not list description: %v\n%s", err, out)
	}
	out, err = exec.Command("multiway", "docs", "descripton").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "descripton") {
		t.Errorf("an unknown page: %v\n%s", err, out)
	}
}

// between returns a file's text before, between and after the marks of what a target of make makes.
func between(t *testing.T, path, target string) [3]string {
	t.Helper()
	begin, end := "<!-- made by: make "+target+" -->\n", "<!-- end of "+target+" -->"
	data := asmtest.Read(t, path)
	before, rest, ok1 := strings.Cut(string(data), begin)
	made, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s lacks the marks %q and %q", path, begin, end)
	}
	return [3]string{before + begin, made, end + after}
}

// rewrite replaces what stands between the marks of a target in a file.
func rewrite(t *testing.T, path, target, text string) {
	t.Helper()
	parts := between(t, path, target)
	asmtest.Write(t, path, parts[0]+text+parts[2])
}
