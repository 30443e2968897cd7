package main

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// A binary that was asked to reads HEIC and AVIF, and needs neither a loader nor a library.
func TestDecoders(t *testing.T) {
	dir := t.TempDir()
	for _, format := range []string{"heic", "avif"} {
		for name, data := range asmtest.Archive(t, "../../codegen/rt/imagefile/"+format+"/testdata/pictures.tar.gz") {
			if !strings.HasPrefix(name, "grid."+format) {
				continue
			}
			asmtest.Write(t, filepath.Join(dir, name), data)
		}
	}
	build := func(how ...string) string {
		exe := filepath.Join(dir, "model.exe")
		args := append([]string{"build", "--check", "off", "--binary", exe}, how...)
		cmd := exec.Command("multiway", append(args, "../../generated/beit3tiny/beit3tiny.yaml")...)
		// Tags of the user's own stay.
		cmd.Env = append(cmd.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -tags=noasm")
		asmtest.Run(t, cmd)
		return exe
	}
	embed := func(exe, name string) (vector []float64, message string) {
		out, err := exec.Command(exe, "embed", filepath.Join(dir, name)).Output()
		if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
			return nil, string(failed.Stderr)
		}
		var line struct{ Embedding []float64 }
		if err != nil || json.Unmarshal(out, &line) != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return line.Embedding, ""
	}

	exe := build("--decoders", "heic,avif")
	for _, format := range []string{"heic", "avif"} {
		got, message := embed(exe, "grid."+format)
		want, _ := embed(exe, "grid."+format+".png")
		dot := 0.0
		for i := range got {
			dot += got[i] * want[i]
		}
		if got == nil || dot < 0.9995 {
			t.Errorf("%s: %s; its cosine to what the reference makes of it is %v", format, message, dot)
		}
	}
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(info.Settings, debug.BuildSetting{Key: "-tags", Value: "noasm,nodynamic"}) {
		t.Errorf("it was built with %v, want the user's own tags besides", info.Settings)
	}
	if runtime.GOOS == "linux" {
		f, err := elf.Open(exe)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("the binary has a part of kind %v", p.Type)
			}
		}
	}

	exe = build()
	for _, format := range []string{"heic", "avif"} {
		want := "built without a decoder: build with --decoders " + format + ", "
		if _, message := embed(exe, "grid."+format); !strings.Contains(message, want) {
			t.Errorf("%s: it says %q, want %q", format, message, want)
		}
	}
	out, err := exec.Command("multiway", "build", "--decoders", "jxl", "--binary", exe, "../../generated/beit3tiny/beit3tiny.yaml").CombinedOutput()
	if err == nil || !strings.Contains(string(out), `--decoders: unknown decoder "jxl"; want one of heic, avif`) {
		t.Errorf("an unknown decoder: %s (%v)", out, err)
	}
}
