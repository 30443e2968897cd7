package task

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A file of labels has at most maxLabelBytes bytes and maxLabels labels.
const (
	maxLabelBytes = 16 << 20
	maxLabels     = 1 << 20
)

// ReadLabels reads the names of a model's classes in the order of its logits: text with
// one name a line, a JSON list of strings, or lines of JSON such as
// {"answer": "yes", "label": 0}, as the official code writes its answers.
func ReadLabels(r io.Reader) ([]string, error) {
	src, err := io.ReadAll(io.LimitReader(r, maxLabelBytes+1))
	if err != nil {
		return nil, err
	}
	if len(src) > maxLabelBytes {
		return nil, fmt.Errorf("more than %d bytes; want the names of at most %d classes", maxLabelBytes, maxLabels)
	}
	if !utf8.Valid(src) {
		return nil, fmt.Errorf("not valid UTF-8; want text with one label a line, or JSON")
	}
	var labels []string
	switch text := bytes.TrimSpace(src); {
	case bytes.HasPrefix(text, []byte("[")):
		if err := json.Unmarshal(text, &labels); err != nil {
			return nil, fmt.Errorf("want a JSON list of strings: %w", err)
		}
	case bytes.HasPrefix(text, []byte("{")):
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, maxLabelBytes)
		for lines.Scan() {
			if strings.TrimSpace(lines.Text()) == "" {
				continue
			}
			var row struct {
				Answer *string `json:"answer"`
				Label  *int    `json:"label"`
			}
			if err := json.Unmarshal(lines.Bytes(), &row); err != nil || row.Answer == nil || row.Label == nil || *row.Label != len(labels) {
				return nil, fmt.Errorf("label %d is %.60q, want a line such as {\"answer\": \"yes\", \"label\": %d}", len(labels), lines.Text(), len(labels))
			}
			if labels = append(labels, *row.Answer); len(labels) > maxLabels {
				break
			}
		}
	default:
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" {
				if labels = append(labels, line); len(labels) > maxLabels {
					break
				}
			}
		}
	}
	if len(labels) == 0 || len(labels) > maxLabels {
		return nil, fmt.Errorf("%d labels, want 1 to %d", len(labels), maxLabels)
	}
	return labels, nil
}
