package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/file"
)

// followed does as texts say: each row is of the text that holds its words, with a command line that leads to it and the
// same after its advice. DIR is a folder that is made anew.
var followed = []struct{ words, before, after string }{
	{"without either, each input is looked at", "embed --image --text red", "embed red"},
	{"--resume goes with -o FILE", "embed --resume red", "embed --resume -o DIR/red.npy red"},
	{"if it is a text, use --text", "embed pics/coffee.jpgg", "embed --text pics/coffee.jpgg"},
	{"without --resume it is made anew", "embed --resume -o DIR/whole.jsonl red", "embed -o DIR/whole.jsonl red"},
	{"--resume goes on with it; to begin anew, remove it", "embed -o DIR/begun.jsonl red", "embed --resume -o DIR/begun.jsonl red"},
	{"--resume, remove it, or give another name", "embed -o DIR/begun.npy red", "embed --resume -o DIR/begun.jsonl red"},
	{"go on so, or remove it", "embed --resume --exif=false -o DIR/begun.jsonl red", "embed --resume --exif=true -o DIR/begun.jsonl red"},
	{"give a text, or a picture with --image", "search --folder DIR", "search --folder DIR red"},
	{"--texts goes with --image", "search --texts DIR/notes.txt red", "search --texts DIR/notes.txt --image DIR/apple.png"},
	{"so do --folder, --texts and, with --image, texts; give one of them", "search --embeddings DIR/whole.jsonl --folder DIR red", "search --folder DIR red"},
	{"where is the index? give --index PATH", "index DIR", "index DIR --index DIR/all.index"},
	{"--index says what to search in, so do", "search --index DIR/all.index --folder DIR red", "search --folder DIR red"},
	{"--folder goes with a text, --image with texts", "search --folder DIR --image DIR/apple.png", "search --image DIR/apple.png red"},
	{"give a folder of pictures with --folder", "search red", "search red --folder DIR"},
	{"give some as arguments or in a file with --texts", "search --image DIR/apple.png", "search --image DIR/apple.png --texts DIR/notes.txt"},
	{"files were left out, which --strict refuses", "classify --strict DIR/left", "classify DIR/left"},
	{", which --strict refuses", "embed --resume --strict -o DIR/begun.jsonl green", "embed --resume -o DIR/begun.jsonl green"},
	{"shorten them, or omit --strict", "match --strict DIR/apple.png longlonglonglonglonglonglonglong", "match DIR/apple.png longlonglonglonglonglonglonglong"},
	{"shorten it, or omit --strict", "embed --strict longlonglonglonglonglonglonglong", "embed longlonglonglonglonglonglonglong"},
	{"were truncated; --strict refuses them", "", ""}, // a warning
	{"build it with --check quick or full", "", ""},   // of multiway build, whose default is that
	{"the limit of the build", "", ""}, // says no more than that there is one
}

// Flags that texts name exist, and doing as a text says leads to no error.
func TestHints(t *testing.T) {
	b := colourBinary(t)
	root := (&App{Binary: colourBinary(t, everyFunc...)}).root()
	prompted := (&App{Binary: colourBinary(t, colourFuncs[:2]...)}).root()
	commands := slices.Concat(root.Commands(), prompted.Commands(), []*cobra.Command{root})
	isFlag := func(name string) bool {
		return name == "help" || name == "check" || slices.ContainsFunc(commands, func(c *cobra.Command) bool { // --check is of multiway build
			return c.Flags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil
		})
	}
	seen := map[string]bool{}
	for _, h := range asmtest.Hints(t, ".") {
		for _, f := range h.Flags {
			if !isFlag(f) {
				t.Errorf("%s: no command has the flag --%s: %s", h.Place, f, h.Text)
			}
		}
		i := slices.IndexFunc(followed, func(row struct{ words, before, after string }) bool { return strings.Contains(h.Text, row.words) })
		if i >= 0 {
			seen[followed[i].words] = true
		} else if h.Advises() {
			t.Errorf("%s: nothing here does as it says: %s", h.Place, h.Text)
		}
	}
	for _, row := range followed {
		if !seen[row.words] {
			t.Errorf("no text says %q any more", row.words)
		}
		if row.before == "" {
			continue
		}
		dir := folderOf(t)
		left := filepath.Join(dir, "left")
		if err := os.Mkdir(left, 0o777); err != nil {
			t.Fatal(err)
		}
		for name, from := range map[string]string{"left/apple.png": "apple.png", "left/film.mov": "notes.txt"} {
			data, err := os.ReadFile(filepath.Join(dir, from))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), data, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if r := run(b, "", "embed", "-o", filepath.Join(dir, "whole.jsonl"), "red"); r.status != 0 {
			t.Fatal(r.errs)
		}
		if r := run(b, "", "embed", "-o", filepath.Join(dir, "begun.jsonl"), "red"); r.status != 0 {
			t.Fatal(r.errs)
		}
		for _, name := range []string{"begun.jsonl", "begun.model.json"} {
			if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+file.PartSuffix)); err != nil {
				t.Fatal(err)
			}
		}
		do := func(line string) ran {
			return run(b, "", strings.Fields(strings.ReplaceAll(line, "DIR", filepath.ToSlash(dir)))...)
		}
		// The text appears, apart from its formatted values.
		if r := do(row.before); r.status == 0 || !strings.Contains(r.errs, row.words) {
			t.Errorf("%s: status %d, want %q: %s", row.before, r.status, row.words, r.errs)
		}
		if r := do(row.after); r.status != 0 {
			t.Errorf("%s: status %d: %s", row.after, r.status, r.errs)
		}
	}
}
