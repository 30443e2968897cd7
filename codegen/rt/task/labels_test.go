package task

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestReadLabels(t *testing.T) {
	for _, c := range []struct {
		name, src string
		want      []string
		err       string
	}{
		{"lines", "yes\r\n\n  no \nmaybe", []string{"yes", "no", "maybe"}, ""},
		{"a JSON list", ` ["yes", "no way"] `, []string{"yes", "no way"}, ""},
		{"answers", "{\"answer\": \"yes\", \"label\": 0}\n\n{\"label\": 1, \"answer\": \"\"}\n", []string{"yes", ""}, ""},
		{"none", " \n", nil, "0 labels, want 1 to 1048576"},
		{"an empty list", "[]", nil, "0 labels, want 1 to 1048576"},
		{"not text", "\xff\xfe", nil, "not valid UTF-8"},
		{"a list of numbers", "[1, 2]", nil, "want a JSON list of strings"},
		{"a cut list", `["yes"`, nil, "want a JSON list of strings"},
		{"answers out of order", "{\"answer\": \"yes\", \"label\": 1}", nil, `label 0 is "{\"answer\": \"yes\", \"label\": 1}", want a line such as {"answer": "yes", "label": 0}`},
		{"answers without a label", "{\"answer\": \"yes\", \"label\": 0}\n{\"answer\": \"no\"}", nil, "label 1 is"},
		{"another object", `{"classes": ["a"]}`, nil, "label 0 is"},
		{"too many lines", strings.Repeat("a\n", 2*maxLabels), nil, "1048577 labels, want 1 to 1048576"},
		{"too long", strings.Repeat("x", maxLabelBytes+1), nil, "more than 16777216 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadLabels(strings.NewReader(c.src))
			switch {
			case c.err == "" && err != nil:
				t.Fatal(err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Fatalf("got error %v, want one with %q", err, c.err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	broken := errors.New("broken")
	if _, err := ReadLabels(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got error %v, want the reader's", err)
	}
}

func FuzzReadLabels(f *testing.F) {
	f.Add("yes\nno")
	f.Add(`["yes"]`)
	f.Add(`{"answer": "yes", "label": 0}`)
	f.Fuzz(func(t *testing.T, src string) {
		if labels, err := ReadLabels(strings.NewReader(src)); err == nil && len(labels) == 0 {
			t.Error("no labels and no error")
		}
	})
}

func TestProb(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		i      int
		want   float32
	}{{[]float32{0, 0}, 1, 0.5}, {[]float32{1000, -1000}, 0, 1}, {[]float32{1000, -1000}, 1, 0}, {[]float32{7}, 0, 1}} {
		if got := Prob(c.logits, c.i); got != c.want {
			t.Errorf("class %d of %v has probability %v, want %v", c.i, c.logits, got, c.want)
		}
	}
}
