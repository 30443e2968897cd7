package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/multiway-go/multiway/codegen/rt/file"
)

// maxLabels bounds a labels file in bytes.
const maxLabels = 16 << 20

// Labels reads the names of a task's classes, in the order of its logits. The file
// is text with one name a line, or JSON: a list of strings, an object of lists of
// which list names one, or lines such as {"answer": "yes", "label": 0}, as the official
// code writes its answers. A task without labels has nil.
func (d *Description) Labels(t Task) ([]string, error) {
	if t.Labels == "" {
		return nil, nil
	}
	path := d.Path(t.Labels)
	src, err := file.Read(path, maxLabels)
	if err != nil {
		return nil, err
	}
	labels, err := parseLabels(src, t.List)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	if t.Classes != 0 && len(labels) != t.Classes {
		return nil, fmt.Errorf("%s: %d labels, want %d, the number of classes of task %s", file.Quote(path), len(labels), t.Classes, t.Name)
	}
	return labels, nil
}

// answers matches the first line of the official code's list of answers.
var answers = regexp.MustCompile(`^\{[ \t]*"(answer|label)"[ \t]*:[ \t]*["0-9]`)

func parseLabels(src []byte, list string) ([]string, error) {
	if len(src) > maxLabels {
		return nil, fmt.Errorf("more than %d bytes; want the names of at most %d classes", maxLabels, maxClasses)
	}
	if !utf8.Valid(src) {
		return nil, fmt.Errorf("not valid UTF-8; want text with one label a line, or JSON")
	}
	var labels []string
	switch trimmed := bytes.TrimSpace(src); {
	case bytes.HasPrefix(trimmed, []byte("[")):
		if list != "" {
			return nil, fmt.Errorf("it is one list of labels, so it has no list %s; remove `list`", quote(list))
		}
		if err := json.Unmarshal(src, &labels); err != nil {
			return nil, fmt.Errorf("want a JSON list of strings: %w", err)
		}
	case answers.Match(trimmed):
		if list != "" {
			return nil, fmt.Errorf("it is one list of answers, so it has no list %s; remove `list`", quote(list))
		}
		for line := range bytes.Lines(trimmed) {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			var row struct {
				Answer *string
				Label  *int
			}
			if err := json.Unmarshal(line, &row); err != nil || row.Answer == nil || row.Label == nil || *row.Label != len(labels) {
				return nil, fmt.Errorf("label %d is %s, want a line such as {\"answer\": \"yes\", \"label\": %d}", len(labels), quote(string(bytes.TrimSpace(line))), len(labels))
			}
			labels = append(labels, *row.Answer)
		}
	case bytes.HasPrefix(trimmed, []byte("{")):
		var lists map[string]json.RawMessage
		if err := json.Unmarshal(src, &lists); err != nil {
			return nil, fmt.Errorf("want a JSON object of lists: %w", err)
		}
		var known []string
		for k := range lists {
			known = append(known, k)
		}
		slices.Sort(known)
		if list == "" {
			return nil, fmt.Errorf("it holds the lists %s; say which one with `list: NAME`", clip(strings.Join(known, ", ")))
		}
		raw, ok := lists[list]
		if !ok {
			return nil, fmt.Errorf("%s", unknown("list", list, known))
		}
		if err := json.Unmarshal(raw, &labels); err != nil {
			return nil, fmt.Errorf("%s: want a JSON list of strings: %w", list, err)
		}
	default:
		if list != "" {
			return nil, fmt.Errorf("it is plain text, so it has no list %s; remove `list`", quote(list))
		}
		for line := range strings.Lines(string(src)) {
			if line = strings.TrimSpace(line); line != "" {
				labels = append(labels, line)
			}
		}
	}
	if len(labels) == 0 || len(labels) > maxClasses {
		return nil, fmt.Errorf("%d labels, want 1 to %d", len(labels), maxClasses)
	}
	return labels, nil
}

// countLabels sets the number of classes of tasks that have only labels.
func (d *Description) countLabels() error {
	for i := range d.Tasks {
		labels, err := d.Labels(d.Tasks[i])
		if err != nil {
			return err
		}
		if labels != nil {
			d.Tasks[i].Classes = len(labels)
		}
	}
	return nil
}
