package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

// full is standard output on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

// Every command says so, in a line, when its output cannot be written.
func TestFullOutput(t *testing.T) {
	dir := folderOf(t)
	apple, leaf := filepath.Join(dir, "apple.png"), filepath.Join(dir, "in", "leaf.png")
	all := colourBinary(t)
	pairs := colourBinary(t, pairFuncs...)
	for _, test := range []struct {
		b    Binary
		args []string
	}{
		{all, []string{"--help"}}, {all, []string{"help", "search"}}, {all, nil}, {all, []string{"completion", "bash"}}, {all, []string{"completion", "zsh"}}, {all, []string{"__complete", ""}},
		{all, []string{"info"}}, {all, []string{"check"}}, {all, []string{"classify", apple}}, {all, []string{"embed", "red"}},
		{all, []string{"embed", "red", "--json", "-o", filepath.Join(t.TempDir(), "x.npy")}}, {all, []string{"bench", "--once"}},
		{all, []string{"search", "red", "--folder", dir}}, {all, []string{"search", "--image", apple, "red"}}, {all, []string{"match", apple, "red"}},
		{pairs, []string{"answer", apple, "red?"}}, {pairs, []string{"reason", apple, leaf, "red"}},
	} {
		for _, json := range []bool{false, true} {
			args := test.args
			if json {
				args = append(append([]string{}, args...), "--json")
			}
			var errs strings.Builder
			status := Run(test.b, args, strings.NewReader(""), full{}, &errs)
			lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
			if last := lines[len(lines)-1]; status != exitFailure || !strings.Contains(last, "no space left on device") {
				t.Errorf("%v: status %d: %s", args, status, errs.String())
			}
		}
	}
}

// late is standard output on a full disk of another machine, which says so when it is closed.
type late struct {
	strings.Builder
	closed int
}

func (l *late) Close() error {
	l.closed++
	return &os.PathError{Op: "close", Path: "/dev/stdout", Err: syscall.EDQUOT}
}

// A command fails whose output cannot be closed, and leaves alone one that it did not write to.
func TestClosedOutput(t *testing.T) {
	b := colourBinary(t)
	for _, test := range []struct {
		args           []string
		status, closed int
		errs           string
	}{
		{[]string{"embed", "red"}, exitFailure, 1, "standard output: " + syscall.EDQUOT.Error()},
		{[]string{"embed", "red", "-o", filepath.Join(t.TempDir(), "x.npy")}, 0, 0, ""},
		{[]string{"embed", "--none"}, exitUsage, 0, "--none"},
	} {
		var out late
		var errs strings.Builder
		status := Run(b, test.args, strings.NewReader(""), &out, &errs)
		if status != test.status || out.closed != test.closed || !strings.Contains(errs.String(), test.errs) {
			t.Errorf("%v: status %d, closed %d times: %s", test.args, status, out.closed, errs.String())
		}
	}
}

// An output that the command reads is refused, whatever it is called.
func TestOutputIsNoInput(t *testing.T) {
	dir := folderOf(t)
	list := filepath.Join(dir, "list.jsonl")
	asmtest.Write(t, list, "red\n")
	link := filepath.Join(dir, "link.jsonl")
	if err := os.Symlink("list.jsonl", link); err != nil {
		asmtest.Missing(t, "links", err.Error())
	}
	apple := filepath.Join(dir, "apple.png")
	weights := filepath.Join(dir, "weights.jsonl")
	b := colourBinary(t)
	asmtest.Write(t, weights, b.Package.Blob)
	for _, args := range [][]string{
		{"embed", "--text", "-", "-o", list},
		{"embed", "--text", "-o", link},
		{"embed", "--image", list, "-o", filepath.Join(dir, "in", "..", "list.jsonl")},
		{"embed", "red", "-o", weights, "--weights", weights},
		{"search", "--image", apple, "--texts", list, "--html", link},
		{"search", "--image", apple, "red", "--html", apple},
		{"search", "red", "--folder", apple, "--html", apple},
		{"search", "-", "--folder", dir, "--html", list},
		{"search", "red", "--folder", dir, "--html", filepath.Join(dir, "in", "leaf.png")},
	} {
		in, err := os.Open(list)
		if err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		status := Run(b, args, in, &out, &errs)
		in.Close()
		if status != exitFailure || !strings.Contains(errs.String(), "the output would replace") || out.Len() > 0 {
			t.Errorf("%v: status %d: %s%s", args, status, out.String(), errs.String())
		}
	}
	if data, err := os.ReadFile(list); err != nil || string(data) != "red\n" {
		t.Errorf("the list is %q, %v", data, err)
	}
	in, err := os.Open(list)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	// An output of before may stand beside the inputs.
	for range 2 {
		if _, err := in.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		if status := Run(b, []string{"embed", "--text", "-o", filepath.Join(dir, "other.jsonl")}, in, &out, &errs); status != 0 {
			t.Error(errs.String())
		}
		if status := Run(b, []string{"search", "red", "--folder", dir, "--html", filepath.Join(dir, "found.html")}, in, &out, &errs); status != 0 {
			t.Error(errs.String())
		}
	}
}

// Names, labels and texts with control characters make no row, move no cursor and turn no
// writing.
func TestQuoted(t *testing.T) {
	const bad = "a\n  1  0.999  forged\x1b]0;title\a\u202e"
	dir := t.TempDir()
	name := filepath.Join(dir, "a\n  1  0.999  forged\x1b[2J\u202e.png")
	apple := filepath.Join(folderOf(t), "apple.png")
	data := asmtest.Read(t, apple)
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Skipf("no such names here: %v", err)
	}
	broken := filepath.Join(dir, "b\x1b[2J\nbroken.png")
	asmtest.Write(t, broken, "no picture")
	labels := filepath.Join(dir, "labels\a\n.json")
	asmtest.Write(t, labels, `["a\n  99.9 %  forged", "\u001b[2J", "\u202e"]`)
	all, pairs := colourBinary(t), colourBinary(t, pairFuncs...)
	for _, test := range []struct {
		b    Binary
		args []string
	}{
		{all, []string{"search", "green", "--folder", dir}}, {all, []string{"search", bad, "--folder", dir}}, {all, []string{"search", "--image", name, bad, "red"}},
		{all, []string{"search", "--image", apple, "--texts", filepath.Join(dir, bad)}},
		{all, []string{"search", "green", "--folder", dir, "--html", filepath.Join(dir, "page\a\n.html")}},
		{all, []string{"search", "green", "--folder", filepath.Join(dir, "none\x1b[2J")}},
		{all, []string{"classify", dir, "--labels", labels}}, {all, []string{"classify", "--labels", broken, name}}, {all, []string{"classify", "--labels", bad, name}},
		{all, []string{"embed", broken}}, {all, []string{"embed", "a\n\x1b[2J.png"}}, {all, []string{"embed", "red", "-o", filepath.Join(dir, "no\x1b[2J", "x.npy")}},
		{all, []string{"embed", "red", "-o", bad}}, {all, []string{"embed", name, "red", broken, "-o", filepath.Join(dir, "x\a.npy")}},
		{all, []string{"match", name, bad, "red"}}, {all, []string{"match", broken, "red"}}, {all, []string{"info", "--weights", broken}}, {all, []string{"info", "--level", bad}},
		{pairs, []string{"answer", name, bad, "--labels", labels}}, {pairs, []string{"answer", broken, "red"}}, {pairs, []string{"reason", name, name, bad}},
		{all, []string{bad}}, {all, []string{"--" + bad}}, {all, []string{"search", "-k", bad}},
	} {
		var out, errs strings.Builder
		status := Run(test.b, test.args, strings.NewReader(""), &out, &errs)
		for _, text := range []string{out.String(), errs.String()} {
			if strings.ContainsAny(text, "\x1b\a\u202e") {
				t.Errorf("%q: status %d: a control character in %q", test.args, status, text)
			}
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "  1  0.999  forged") || strings.HasPrefix(line, "broken.png") || strings.HasPrefix(line, "  99.9 %  forged") {
					t.Errorf("%q: status %d: a line is forged: %q", test.args, status, text)
				}
			}
		}
	}
}

// A caption is the text that the model's tokenizer decodes.
func TestQuotedCaption(t *testing.T) {
	var out strings.Builder
	a := &App{Out: &out}
	for _, several := range []bool{false, true} {
		if err := a.printCaption("a\n.png", several, task.Caption{Text: "a cat\x1b[2J\nand"}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "\"a cat\\x1b[2J\\nand\"\n\"a\\n.png\"\t\"a cat\\x1b[2J\\nand\"\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// What is no file is refused before it is opened.
func TestListsAreRegularFiles(t *testing.T) {
	dir := folderOf(t)
	apple := filepath.Join(dir, "apple.png")
	for _, args := range [][]string{
		{"search", "--image", apple, "--texts", os.DevNull},
		{"search", "--image", apple, "--texts", dir},
		{"classify", apple, "--labels", os.DevNull},
		{"classify", os.DevNull},
	} {
		got := run(colourBinary(t), "", args...)
		if got.status != exitFailure || !strings.Contains(got.errs, "want a regular file") {
			t.Errorf("%v: status %d: %s", args, got.status, got.errs)
		}
	}
}
