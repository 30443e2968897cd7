package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/multiway-go/multiway/ir/file"
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
	src, err := file.ReadText(path, maxLabels)
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

// numbered matches the beginning of a JSON object of names by the numbers of their classes.
var numbered = regexp.MustCompile(`^\{\s*"[0-9]{1,9}"\s*:\s*"`)

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
	var err error
	switch trimmed := bytes.TrimSpace(src); {
	case bytes.HasPrefix(trimmed, []byte("[")):
		if list != "" {
			return nil, fmt.Errorf("it is one list of labels, so it has no list %s; remove `list`", quote(list))
		}
		d := json.NewDecoder(bytes.NewReader(trimmed))
		if labels, err = stringList(d); err == nil && len(labels) <= maxClasses {
			err = ended(d)
		}
		if err != nil {
			return nil, err
		}
	case numbered.Match(trimmed):
		if list != "" {
			return nil, fmt.Errorf("it is one list of labels, so it has no list %s; remove `list`", quote(list))
		}
		d := json.NewDecoder(bytes.NewReader(trimmed))
		if labels, err = numberedList(d); err == nil && len(labels) <= maxClasses {
			err = ended(d)
		}
		if err != nil {
			return nil, err
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
			if labels = add(labels, *row.Answer); len(labels) > maxClasses {
				break
			}
		}
	case bytes.HasPrefix(trimmed, []byte("{")):
		if labels, err = listNamed(trimmed, list); err != nil {
			return nil, err
		}
	default:
		if list != "" {
			return nil, fmt.Errorf("it is plain text, so it has no list %s; remove `list`", quote(list))
		}
		for line := range strings.Lines(string(src)) {
			if line = strings.TrimSpace(line); line != "" {
				if labels = add(labels, line); len(labels) > maxClasses {
					break
				}
			}
		}
	}
	if n := len(labels); n == 0 || n > maxClasses {
		return nil, fmt.Errorf("%d labels, want 1 to %d", n, maxClasses)
	}
	return labels, nil
}

// add appends a label to as many as there may be, one more at most. It doubles the list: append alone makes many more copies
// of a long one.
func add(labels []string, label string) []string {
	if n := len(labels); n == cap(labels) {
		labels = append(make([]string, 0, min(2*n+8, maxClasses+1)), labels...)
	}
	return append(labels, label)
}

// ended returns an error if anything follows the value that was read.
func ended(d *json.Decoder) error {
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON of the labels; remove it")
	}
	return nil
}

// stringList reads a JSON list of strings, one more than maxClasses at most.
func stringList(d *json.Decoder) ([]string, error) {
	d.UseNumber()
	const want = "want a JSON list of strings"
	if tok, err := d.Token(); err != nil || tok != json.Delim('[') {
		return nil, errors.New(want)
	}
	list := []string{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf(want+": %w", err)
		}
		s, ok := tok.(string)
		if !ok {
			return nil, fmt.Errorf(want+"; item %d is not a string", len(list))
		}
		if list = add(list, s); len(list) > maxClasses {
			return list, nil
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf(want+": %w", err)
	}
	return list, nil
}

// numberedList reads a JSON object of names by the numbers of their classes, one more than maxClasses at most. Names are in the
// order of the numbers, which may leave some out: of ImageNet-22k models have fewer classes than there are numbers.
func numberedList(d *json.Decoder) ([]string, error) {
	const want = "want a JSON object of names by the numbers of their classes"
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New(want)
	}
	names := map[int]string{}
	for d.More() && len(names) <= maxClasses {
		tok, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf(want+": %w", err)
		}
		key, _ := tok.(string)
		n, err := strconv.Atoi(key)
		if err != nil || n < 0 {
			return nil, fmt.Errorf(want+"; %s is no such number", quote(key))
		}
		if _, ok := names[n]; ok {
			return nil, fmt.Errorf(want+"; it has %d twice", n)
		}
		tok, err = d.Token()
		if err != nil {
			return nil, fmt.Errorf(want+": %w", err)
		}
		name, ok := tok.(string)
		if !ok {
			return nil, fmt.Errorf(want+"; that of %d is not a string", n)
		}
		names[n] = name
	}
	if len(names) <= maxClasses {
		if _, err := d.Token(); err != nil {
			return nil, fmt.Errorf(want+": %w", err)
		}
	}
	list := []string{}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		list = add(list, names[n])
	}
	return list, nil
}

// listNamed reads the list called name of a JSON object of lists, or of objects as [numberedList] reads them.
func listNamed(src []byte, name string) ([]string, error) {
	const want = "want a JSON object of lists: %w"
	d := json.NewDecoder(bytes.NewReader(src))
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf(want, err)
	}
	var known []string
	var labels []string
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf(want, err)
		}
		key, _ := tok.(string) // a key of an object is a string, or the decoder says no
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf(want, err)
		}
		if key == name && name != "" {
			read := stringList
			if value[0] == '{' {
				read = numberedList
			}
			if labels, err = read(json.NewDecoder(bytes.NewReader(value))); err != nil {
				return nil, fmt.Errorf("%s: %w", quote(key), err)
			}
			if len(labels) > maxClasses {
				return labels, nil
			}
			continue
		}
		if len(known) < maxLists && (value[0] == '[' || numbered.Match(value)) {
			known = append(known, key)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf(want, err)
	}
	if err := ended(d); err != nil {
		return nil, err
	}
	slices.Sort(known)
	if labels == nil && known == nil {
		return nil, errors.New("a JSON object without lists; want names in the order of their classes, one a line, or a JSON list of strings")
	}
	if name == "" {
		return nil, fmt.Errorf("it holds the lists %s; say which one with `list: NAME`", listed(known, ", "))
	}
	if labels == nil {
		return nil, errors.New(unknown("list", name, known))
	}
	return labels, nil
}

// maxLists is how many names of lists are kept for errors.
const maxLists = 1 << 10

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
