package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// tree returns the names in a folder, with the content of files.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case d.IsDir():
			all[name+"/"] = ""
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			all[name] = "-> " + filepath.Base(to)
			return err
		default:
			b, err := os.ReadFile(path)
			all[name] = string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func want(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if d := cmp.Diff(files, tree(t, dir)); d != "" {
		t.Errorf("the folder (-want +got):\n%s", d)
	}
}

func text(s string) func(io.Writer) error { return Bytes([]byte(s)) }

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Write(path, 0o666, text("one")); err != nil {
		t.Fatal(err)
	}
	want(t, dir, map[string]string{"a": "one"})
	sick := errors.New("sick")
	if err := Write(path, 0o666, func(w io.Writer) error {
		io.WriteString(w, strings.Repeat("two", 1<<17))
		if n := len(tree(t, dir)); n != 2 {
			t.Errorf("%d files while one is written, want it and its temporary", n)
		}
		return sick
	}); err != sick {
		t.Errorf("Write = %v, want the function's error", err)
	}
	want(t, dir, map[string]string{"a": "one"})
	if err := Write(path, 0o666, text("two")); err != nil {
		t.Fatal(err)
	}
	want(t, dir, map[string]string{"a": "two"})
	long := strings.Repeat("é", 120) // 240 bytes, of 255 that file systems allow
	if err := Write(filepath.Join(dir, long), 0o666, text("long")); err != nil {
		t.Error(err)
	}
	if err := Write(filepath.Join(dir, "none", "a"), 0o666, text("")); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), filepath.Join(dir, "none", "a")+": ") {
		t.Errorf("in no folder: %v", err)
	}
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no permission bits")
	}
	dir := t.TempDir()
	for name, perm := range map[string]fs.FileMode{"data": 0o666, "program": 0o777} {
		path := filepath.Join(dir, name)
		by, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, perm) // as the umask has it
		if err != nil {
			t.Fatal(err)
		}
		by.Close()
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
		if err := Write(path, perm, text("x")); err != nil {
			t.Fatal(err)
		}
		if after, err := os.Stat(path); err != nil || after.Mode() != before.Mode() {
			t.Errorf("%s: mode %v, want %v (%v)", name, after.Mode(), before.Mode(), err)
		}
	}
}

func TestWriteOverLinksAndFolders(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	asmtest.Write(t, at("victim"), "precious")
	if err := os.Mkdir(at("folder"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link": "victim", "loose": "nowhere", "linked": "folder"} {
		if err := os.Symlink(at(to), at(name)); err != nil {
			lacks(t, "symbolic links under TMPDIR", err)
		}
	}
	for _, name := range []string{"folder", "folder/", "linked", ".", "folder/.."} {
		if _, err := Create(at(".")+"/"+name, 0o666); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	for _, path := range []string{os.DevNull, "/dev/stdout", ""} {
		if _, err := Create(path, 0o666); err == nil {
			t.Errorf("%q is not refused", path)
		}
	}
	for _, name := range []string{"link", "loose"} {
		if err := Write(at(name), 0o666, text("new")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	want(t, dir, map[string]string{"victim": "precious", "folder/": "", "link": "new", "loose": "new", "linked": "-> folder"})
}

func TestDistinct(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	if err := errors.Join(os.MkdirAll(at("samples/deep"), 0o777), os.Mkdir(at("folder"), 0o777)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"a", "b", "samples/deep/c", "shown", "folder/in"} {
		asmtest.Write(t, at(n), "")
	}
	if err := os.Link(at("a"), at("link")); err != nil {
		lacks(t, "hard links under TMPDIR", err)
	}
	for name, to := range map[string]string{"symlink": "a", "samples/deep/link": "shown", "folderlink": "folder"} {
		if err := os.Symlink(at(to), at(name)); err != nil {
			lacks(t, "symbolic links under TMPDIR", err)
		}
	}
	for output, distinct := range map[string]bool{
		"a": false, "link": false, "symlink": false, "../" + filepath.Base(dir) + "/a": false, "samples/deep/c": false, "samples": false,
		"shown": false, "samples/deep/link": false, "folder/in": false, "folderlink/in": false,
		"b": true, "none": true,
	} {
		err := Distinct(at(output), "", at("none"), at("samples"), at("folderlink"), at("a"))
		if (err == nil) != distinct || err != nil && !strings.Contains(err.Error(), ": the output would replace the input ") {
			t.Errorf("%s: %v", output, err)
		}
	}
}

func TestSetCommits(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"a", "gone"} {
		asmtest.Write(t, filepath.Join(dir, n), "old")
	}
	begin := func() *Set {
		var s Set
		if err := s.MkdirAll(filepath.Join(dir, "new", "deep")); err != nil {
			t.Fatal(err)
		}
		last, err := Create(filepath.Join(dir, "last"), 0o666)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"a", "new/deep/b"} {
			f, err := s.Create(filepath.Join(dir, filepath.FromSlash(n)), 0o666)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(f, "new ", n)
		}
		s.Remove(filepath.Join(dir, "gone"))
		s.Remove(filepath.Join(dir, "never"))
		s.Add(last)
		return &s
	}
	s := begin()
	if n := len(tree(t, dir)); n != 7 {
		t.Errorf("%d files and folders under way, want 7", n)
	}
	s.Abandon()
	want(t, dir, map[string]string{"a": "old", "gone": "old"})

	s = begin()
	defer s.Abandon()
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	done := map[string]string{"a": "new a", "last": "", "new/": "", "new/deep/": "", "new/deep/b": "new new/deep/b"}
	want(t, dir, done)
	s.Abandon()
	want(t, dir, done)

	// An obstacle that is found before the first step changes nothing.
	s = begin()
	if err := os.Mkdir(filepath.Join(dir, "c"), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := s.Create(filepath.Join(dir, "d"), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	f.path = filepath.Join(dir, "c")
	if err := s.Commit(); !errors.Is(err, ErrNotRegular) {
		t.Errorf("Commit onto a folder: %v", err)
	}
	done["c/"] = ""
	want(t, dir, done)
	t.Chdir(dir)
	for _, same := range []string{filepath.Join(dir, "new", "..", "a"), "a", "./new/../a"} {
		s = begin()
		if _, err := s.Create(same, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(); err == nil || !strings.Contains(err.Error(), "two outputs") {
			t.Errorf("Commit of two files of a name, %s: %v", same, err)
		}
		want(t, dir, done)
	}
	if len(live.items) != 0 {
		t.Errorf("%d things are unfinished at the end", len(live.items))
	}
}

// TestLeftovers begins files and folders and releases their locks, as the end of a killed process does.
func TestLeftovers(t *testing.T) {
	if !locks {
		t.Skip("files cannot be locked on " + runtime.GOOS)
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	path := filepath.Join(dir, "weights.bin")
	kill := func(f *os.File, u unfinished) {
		f.Close()
		live.Lock()
		live.forget(u)
		live.Unlock()
	}
	theirs := map[string]string{
		".weights.bin.multiway-":                  "", // no number
		".weights.bin.multiway-0123456789abcdeg":  "", // not hexadecimal
		".weights.bin.multiway-0123456789abcdef0": "", // too long
		".other.multiway-0123456789abcdef":        "", // of another file
		"multiway-0123456789abcdef":               "", // no folder
	}
	for n := range theirs {
		asmtest.Write(t, filepath.Join(dir, n), "")
	}
	for n, to := range map[string]string{"multiway-00000000000000aa/": "", "multiway-00000000000000aa/precious": "precious", "victim/": "", "victim/" + holder: "", "multiway-notes/": ""} {
		theirs[n] = to
		if base, ok := strings.CutSuffix(n, "/"); ok {
			if err := os.MkdirAll(filepath.Join(dir, base), 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	asmtest.Write(t, filepath.Join(dir, "multiway-00000000000000aa", "precious"), "precious")
	asmtest.Write(t, filepath.Join(dir, "victim", holder), "")
	if os.Symlink(filepath.Join(dir, "victim"), filepath.Join(dir, "multiway-00000000000000bb")) == nil {
		theirs["multiway-00000000000000bb"] = "-> victim"
	}

	dead, err := Create(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	kill(dead.held, dead)
	d, err := TempDir()
	if err != nil {
		t.Fatal(err)
	}
	asmtest.Write(t, filepath.Join(d.Path, "engine"), "")
	kill(d.held, d)
	if err := os.Mkdir(filepath.Join(dir, mark+random()), 0o700); err != nil { // died between two steps
		t.Fatal(err)
	}

	f, err := Create(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Create(path, 0o666) // the first is alive
	if err != nil {
		t.Fatal(err)
	}
	d, err = TempDir()
	if err != nil {
		t.Fatal(err)
	}
	other, err := TempDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{f.Name(), second.Name(), d.Path, other.Path} {
		if _, err := os.Stat(p); err != nil {
			t.Errorf("a living temporary is gone: %v", err)
		}
	}
	for _, err := range []error{f.Commit(), second.Commit(), d.Remove(), other.Remove()} {
		if err != nil {
			t.Error(err)
		}
	}
	theirs["weights.bin"] = ""
	want(t, dir, theirs)
	alive, err := Create(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	var set Set
	if err := set.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	set.Abandon()
	if err := alive.Commit(); err != nil {
		t.Error(err)
	}
	delete(theirs, ".other.multiway-0123456789abcdef")
	want(t, dir, theirs)
}

// A Set that has locked a folder makes another one wait.
func TestLock(t *testing.T) {
	if !locks {
		t.Skip("folders cannot be locked on " + runtime.GOOS)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "count")
	asmtest.Write(t, path, "")
	errs := make(chan error)
	for range 8 {
		go func() {
			errs <- func() error {
				var s Set
				defer s.Abandon()
				if err := s.Lock(dir); err != nil {
					return err
				}
				old, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				if err := s.Write(path, 0o666, text(string(old)+"x")); err != nil {
					return err
				}
				return s.Commit()
			}()
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	want(t, dir, map[string]string{"count": "xxxxxxxx"})
}

// TestConcurrentWrites writes one file and makes folders in many goroutines, none of which removes another's as leftovers.
func TestConcurrentWrites(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	errs := make(chan error)
	for i := range 8 {
		go func() {
			errs <- func() error {
				for range 20 {
					if err := Write(filepath.Join(dir, "a"), 0o666, text(strings.Repeat(fmt.Sprint(i), 1000))); err != nil {
						return err
					}
					d, err := TempDir()
					if err != nil {
						return err
					}
					if err := Write(filepath.Join(d.Path, "a"), 0o666, text("b")); err != nil {
						return err
					}
					if err := d.Remove(); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	all := tree(t, dir)
	if got := all["a"]; len(all) != 1 || len(got) != 1000 || strings.Trim(got, got[:1]) != "" {
		t.Errorf("%d files, the first of %d bytes, want one of 1000 that are equal", len(all), len(got))
	}
}
