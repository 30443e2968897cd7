//go:build !js

package cli

import (
	"bytes"
	"encoding/json"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// paint writes a picture of one colour.
func paint(t *testing.T, path string, c color.NRGBA) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, plain(c, 4, 4)); err != nil {
		t.Fatal(err)
	}
	asmtest.Write(t, path, b.Bytes())
}

// An index follows its folders.
func TestIndex(t *testing.T) {
	p, err := newColours(colourFuncs)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	photos, path := filepath.Join(dir, "photos"), filepath.Join(dir, "photos.index")
	in := func(name string) string { return filepath.Join(photos, filepath.FromSlash(name)) }
	run := func(status int, args ...string) (string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		if got := Run(binaryOf(p), args, strings.NewReader(""), &out, &errs); got != status {
			t.Fatalf("%v: status %d, want %d: %s", args, got, status, errs.String())
		}
		return out.String(), errs.String()
	}
	indexes := func(want indexed, folders ...string) {
		t.Helper()
		if folders == nil {
			folders = []string{photos}
		}
		out, errs := run(0, append([]string{"index", "--json", "--index", path}, folders...)...)
		var got indexed
		if err := json.Unmarshal([]byte(out), &got); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v; it says %q", got, err, want, errs)
		}
	}
	// The same pictures in the same order as without an index.
	agrees := func() {
		t.Helper()
		type line struct{ Results []struct{ Image string } }
		var got, want line
		for in, of := range map[*line][]string{&got: {"--index", path}, &want: {"--folder", photos}} {
			out, _ := run(0, append([]string{"search", "--json", "-k", "0", "green"}, of...)...)
			if err := json.Unmarshal([]byte(out), in); err != nil {
				t.Fatal(err)
			}
		}
		names := map[string]bool{}
		for _, r := range want.Results {
			names[r.Image] = true
		}
		for _, r := range got.Results {
			if !names[r.Image] {
				t.Errorf("%s is found in the index only", r.Image)
			}
		}
		if len(got.Results) != len(want.Results) || got.Results[0].Image != want.Results[0].Image {
			t.Errorf("found %v, want %v", got, want)
		}
	}
	paint(t, in("a/red.png"), color.NRGBA{255, 10, 0, 255})
	paint(t, in("a/green.png"), color.NRGBA{0, 255, 0, 255})
	paint(t, in("b/green again.png"), color.NRGBA{0, 255, 0, 255})
	paint(t, in("b/blue.png"), color.NRGBA{0, 20, 255, 255})
	asmtest.Write(t, in("broken.png"), "no picture")
	indexes(indexed{Added: 4, Failed: 1})
	agrees()
	indexes(indexed{Unchanged: 4, Failed: 1})

	now := time.Now().Add(time.Hour)
	if err := os.Chtimes(in("a/red.png"), now, now); err != nil {
		t.Fatal(err)
	}
	indexes(indexed{Unchanged: 4, Failed: 1})
	if err := os.Rename(in("a/green.png"), in("b/moved.png")); err != nil {
		t.Fatal(err)
	}
	paint(t, in("b/blue.png"), color.NRGBA{30, 0, 255, 255})
	paint(t, in("broken.png"), color.NRGBA{200, 255, 0, 255})
	indexes(indexed{Added: 1, Changed: 2, Removed: 1, Unchanged: 2})
	agrees()

	// A part of the folder; an unreadable or empty one; another model's or setting's.
	os.RemoveAll(in("b/blue.png"))
	indexes(indexed{Removed: 1, Unchanged: 2}, in("b"))
	if _, errs := run(1, "index", "--index", path, dir); !strings.Contains(errs, "the index has its part") {
		t.Errorf("a folder around it: %s", errs)
	}
	os.Rename(photos, photos+" away")
	if _, errs := run(1, "index", "--index", path, photos); !strings.Contains(errs, "nothing was dropped") {
		t.Errorf("no folder: %s", errs)
	}
	os.Mkdir(photos, 0o777)
	if _, errs := run(1, "index", "--index", path, photos); !strings.Contains(errs, "is a disk not mounted?") {
		t.Errorf("an empty folder: %s", errs)
	}
	os.Remove(photos)
	os.Rename(photos+" away", photos)
	indexes(indexed{Unchanged: 4})
	for _, args := range [][]string{{"index", "--index", path, photos}, {"search", "--index", path, "red"}, {"index", "--check", path}} {
		if _, errs := run(1, append(args, "--exif=false")...); !strings.Contains(errs, "its vectors were made with --exif=true") {
			t.Errorf("%v: %s", args, errs)
		}
	}
	if out, _ := run(0, "index", "--check", path); !strings.Contains(out, "4 files, 3 different") {
		t.Errorf("the check says %q", out)
	}

	// Like a picture: one that the index has, and another.
	out, _ := run(0, "search", "--index", path, "--like", in("a/red.png"), "-k", "1", "--json")
	if !strings.Contains(out, "red.png\",\"score\":1") && !strings.Contains(out, "red.png\",\"score\":0.99") {
		t.Errorf("like a picture: %s", out)
	}
	other := filepath.Join(dir, "other.png")
	paint(t, other, color.NRGBA{250, 20, 0, 255})
	if out, _ := run(0, "search", "--index", path, "--like", other, "-k", "1"); !strings.Contains(out, "red.png") {
		t.Errorf("like another picture: %s", out)
	}

	// A copy, and the embeddings as embed writes them, whose search finds the same.
	backup, export := filepath.Join(dir, "backup"), filepath.Join(dir, "photos.npy")
	run(0, "index", "--index", path, "--backup", backup, "--export", export)
	want, _ := run(0, "search", "--index", path, "-k", "0", "--json", "red")
	if got, _ := run(0, "search", "--index", backup, "-k", "0", "--json", "red"); got != want {
		t.Errorf("the copy finds %s, want %s", got, want)
	}
	if got, _ := run(0, "search", "--embeddings", export, "-k", "0", "--json", "red"); strings.Count(got, `"image"`) != 4 {
		t.Errorf("the embeddings find %s, want %s", got, want)
	}

	// A damaged vector is refused, dropped by the check, and made again.
	name := filepath.Join(path, "vectors.f16")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 32 { // a value of every lane of the last panel
		data[len(data)-32+i] ^= 1
	}
	os.WriteFile(name, data, 0o666)
	if _, errs := run(1, "search", "--index", path, "red"); !strings.Contains(errs, "the index is damaged") {
		t.Errorf("a damaged index: %s", errs)
	}
	if _, errs := run(0, "index", "--check", path); !strings.Contains(errs, "of 4 files had damaged embeddings") {
		t.Errorf("the check says %s", errs)
	}
	indexes(indexed{Added: 4})
	agrees()

	for _, args := range [][]string{
		{"index", photos}, {"index", "--index", path}, {"index", "--check", path, photos}, {"search", "--like", other},
		{"index", "--backup", backup + "2"}, {"index", "--index", path, "--export", "x.txt"}, {"index", "--index", path, "--backup", backup + "2", photos},
		{"search", "--index", path}, {"search", "--index", path, "--folder", photos, "red"},
	} {
		run(2, args...)
	}
}
