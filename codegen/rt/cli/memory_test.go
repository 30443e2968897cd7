package cli

import (
	"bytes"
	"fmt"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// A picture that takes more memory than there is is refused in words, by every command.
func TestPictureLargerThanMemory(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"small": 10, "large": 100} {
		var b bytes.Buffer
		if err := png.Encode(&b, plain(green, size, size)); err != nil {
			t.Fatal(err)
		}
		asmtest.Write(t, filepath.Join(dir, name+".png"), b.Bytes())
	}
	colours, pairs := colourBinary(t), colourBinary(t, pairFuncs...)
	for _, c := range []struct {
		b          Binary
		args, more []string
	}{
		{colours, []string{"embed"}, nil}, {colours, []string{"classify"}, nil}, {colours, []string{"match"}, []string{"green"}},
		{colours, []string{"search", "--image"}, []string{"green"}}, {pairs, []string{"answer"}, []string{"green?"}},
	} {
		for name, status := range map[string]int{"small": 0, "large": 1} {
			args := slices.Concat(c.args, []string{filepath.Join(dir, name+".png")}, c.more)
			got := runApp(&App{Binary: c.b, pictureMemory: 20_000}, "", args...)
			if got.status != status || strings.Contains(got.errs, "100 x 100 pixels: decoding may take ") != (status == 1) {
				t.Errorf("%v: status %d, want %d:\n%s", args, got.status, status, got.errs)
			}
		}
	}
}

// A list of pictures is read whatever room there is.
func TestDecodeInLittleMemory(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		var b bytes.Buffer
		if err := png.Encode(&b, plain(green, 60, 40)); err != nil {
			t.Fatal(err)
		}
		asmtest.Write(t, filepath.Join(dir, fmt.Sprintf("%02d.png", i)), b.Bytes())
	}
	got := runApp(&App{Binary: colourBinary(t), decodeMemory: 1}, "", "search", "green", "--folder", dir, "-k", "20")
	if got.status != 0 {
		t.Fatal(got.errs)
	}
	follows(t, "results", got.out, []string{"00.png", "10.png", "19.png"})
}
