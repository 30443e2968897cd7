package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a\nb")
	asmtest.Write(t, path, "12345")
	if got, err := Read(path, 5); err != nil || string(got) != "12345" {
		t.Errorf("Read = %q, %v", got, err)
	}
	if _, err := Read(path, 4); err == nil || !strings.Contains(err.Error(), `a\nb": it has 5 bytes, want at most 4`) {
		t.Errorf("a file over the limit: %v", err)
	}
	if _, err := Read(dir, 5); !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "none"), 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Read("", 5); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), `"": `) {
		t.Errorf("no name: %v", err)
	}
	if _, err := Read(os.DevNull, 5); !errors.Is(err, ErrNotRegular) {
		t.Errorf("%s: %v", os.DevNull, err)
	}
}

// lacks skips a test of a feature that a system may lack; on Linux it fails the test.
func lacks(t *testing.T, what string, err error) {
	t.Helper()
	if runtime.GOOS == "linux" {
		t.Fatalf("this Linux has no %s: %v", what, err)
	}
	t.Skipf("this system has no %s: %v", what, err)
}

// Some files are reported as regular although reading may wait. Those with a size, such as files of FUSE, are read.
func TestReadWaiting(t *testing.T) {
	for path, want := range map[string]error{"/proc/self/mountinfo": ErrNotRegular, "/sys/devices/system/cpu/online": nil} {
		if _, err := os.Stat(path); err != nil {
			lacks(t, path, err)
		}
		if _, err := Read(path, 1<<20); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for name, want := range map[string]string{
		"":                           "",
		"holiday photos/Zoë 犬.jpg":   "holiday photos/Zoë 犬.jpg",
		`back\slash "quote"`:         `back\slash "quote"`,
		"a.png\n  1  0.999  b":       `"a.png\n  1  0.999  b"`,
		"\x1b]0;title\a":             `"\x1b]0;title\a"`,
		"a\u202egnp.exe":             `"a\u202egnp.exe"`,
		"\xff\xfe":                   `"\xff\xfe"`,
		"Screenshot 9.41\u202fAM":    "Screenshot 9.41\u202fAM",
		"\U0001f469\u200d\U0001f52c": "\U0001f469\u200d\U0001f52c",
		"replacement \ufffd":         "replacement \ufffd",
	} {
		if got := Quote(name); got != want {
			t.Errorf("Quote(%q) = %s, want %s", name, got, want)
		}
	}
	if got, want := Escape("a\x1b[2J\u202e\xff \"q\"\n\tb\u200d"), "a\\x1b[2J\\u202e\\xff \"q\"\n\tb\u200d"; got != want {
		t.Errorf("Escape gives %q, want %q", got, want)
	}
	if got, want := Quote("x"+strings.Repeat("犬", 500)), "x"+strings.Repeat("犬", 85)+"…"+strings.Repeat("犬", 85); got != want {
		t.Errorf("a long name is %s, want %s", got, want)
	}
	for text, want := range map[string]string{
		`{"a":"b\"\u001b"}`:                   `{"a":"b\"\u001b"}`,
		`{"犬":"\u200d"}`:                      `{"犬":"\u200d"}`,
		"[\"a\u202e\u009b2J\x7f\U000e0001\"]": `["a\u202e\u009b2J\u007f\udb40\udc01"]`,
	} {
		if got := string(EscapeJSON([]byte(text))); got != want {
			t.Errorf("EscapeJSON(%q) = %s, want %s", text, got, want)
		}
	}
	for _, message := range []string{strings.Repeat("\x01", 5000), strings.Repeat("\x01", 50000), strings.Repeat("x", 50000)} {
		if got := Brief("begin " + message + " end"); len(got) > MaxError || !strings.HasPrefix(got, "begin ") || !strings.HasSuffix(got, " end") || Escape(got) != got {
			t.Errorf("Brief of %d bytes takes %d: %.20q", len(message), len(got), got)
		}
	}
	if got := Quote(strings.Repeat("x", 5000)); len(got) > 2*maxQuoted {
		t.Errorf("a name of 5000 bytes takes %d", len(got))
	}
}
