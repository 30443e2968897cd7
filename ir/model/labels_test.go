package model

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// TestLabelsOfWindows reads labels as Notepad and PowerShell write them.
func TestLabelsOfWindows(t *testing.T) {
	dir := t.TempDir()
	d := &Description{File: filepath.Join(dir, "model.yaml")}
	for name, text := range map[string]string{
		"mark":        "\ufefffirst\r\nsecond\r\n",
		"UTF-16":      "\xff\xfef\x00i\x00r\x00s\x00t\x00\r\x00\n\x00s\x00e\x00c\x00o\x00n\x00d\x00",
		"UTF-16, big": "\xfe\xff\x00f\x00i\x00r\x00s\x00t\x00\n\x00s\x00e\x00c\x00o\x00n\x00d\x00\n",
		"JSON":        "\ufeff[\"first\", \"second\"]\r\n",
	} {
		asmtest.Write(t, filepath.Join(dir, "labels"), text)
		got, err := d.Labels(Task{Labels: "labels"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]string{"first", "second"}, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	asmtest.Write(t, filepath.Join(dir, "labels"), "f\x00i\x00\n\x00s\x00")
	if got, err := d.Labels(Task{Labels: "labels"}); err == nil {
		t.Errorf("UTF-16 without a mark: %q", got)
	}
}

// Of a JSON object only lists are offered.
func TestLabelsOfObjects(t *testing.T) {
	for text, want := range map[string]string{
		`{"cat": 0, "dog": 1}`:                                 "a JSON object without lists; want names in the order of their classes",
		`{"a": ["cat"], "b": {"0": "cat"}, "c": {"x": "cat"}}`: "it holds the lists a, b; say which one with `list: NAME`",
		`{"0": "cat", "x": "dog"}`:                             "\"x\" is no such number",
		`{"0": "cat", "00": "dog"}`:                            "it has 0 twice",
		`{"0": "cat", "1": 2}`:                                 "that of 1 is not a string",
		`{"0": "cat"`:                                          "want a JSON object of names by the numbers of their classes",
		`{"0": "cat"} {}`:                                      "something follows the JSON of the labels",
	} {
		if _, err := parseLabels([]byte(text), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// Names by the numbers of their classes are in the order of the numbers.
func TestLabelsByNumber(t *testing.T) {
	const names = `{"10": "owl", "0": "cat", "2": "dog"}`
	for text, list := range map[string]string{names: "", `{"x": 1, "id2label": ` + names + `, "y": ["a"]}`: "id2label"} {
		got, err := parseLabels([]byte(text), list)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff([]string{"cat", "dog", "owl"}, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
	}
	if _, err := parseLabels([]byte(names), "id2label"); err == nil || !strings.Contains(err.Error(), "it has no list") {
		t.Errorf("a list of one list: %v", err)
	}
}
