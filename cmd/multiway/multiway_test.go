package main

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/multiway-go/multiway/passes"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"multiway": main}) }

// TestScripts runs the command as users do. Scripts find the repository's root in
// $REPO, checkpoints of PyTorch in $TORCH, what it computes in $EXPECT, and a small checkpoint with its description in $REPO/golden/testdata.
func TestScripts(t *testing.T) { testscript.Run(t, scripts(t, "testdata")) }

// scripts are those of a folder, with what they may use.
func scripts(t *testing.T, dir string) testscript.Params {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	settings := []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOAUTH"}
	out, err := exec.Command("go", append([]string{"env"}, settings...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	values := strings.Split(string(out), "\n")
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			var names []string
			for _, p := range passes.All {
				names = append(names, p.Name)
			}
			for _, v := range [][2]string{
				{"REPO", root}, {"TORCH", filepath.Join(root, "codegen", "compile", "testdata", "torch")}, {"EXPECT", filepath.Join(root, "codegen", "compile", "testdata", "expect")}, {"CASES", filepath.Join(root, "golden", "testdata")}, {"PASSES", strings.Join(names, " ")},
				{"GOFLAGS", ""}, {"GOTOOLCHAIN", "local"},
			} {
				e.Setenv(v[0], v[1])
			}
			// Caches are shared; what a build did not need may have to be downloaded.
			for i, name := range settings {
				e.Setenv(name, values[i])
			}
			for _, v := range os.Environ() {
				name, _, _ := strings.Cut(strings.ToUpper(v), "=")
				if strings.HasSuffix(name, "_PROXY") || strings.HasPrefix(name, "SSL_CERT_") {
					e.Vars = append(e.Vars, v)
				}
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"cutoff": cutoff, "setlast": setLast, "roundtrip": roundTrip,
			"clone": clone, "publish": publish, "readme": readme, "readonly": readonly, "standsin": standsIn,
		},
	}
}

// cutoff FILE BYTES shortens a file.
func cutoff(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

// setlast FILE VALUE sets the last float32 of a file.
func setLast(ts *testscript.TestScript, neg bool, args []string) {
	v, err := strconv.ParseFloat(args[1], 32)
	ts.Check(err)
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	binary.LittleEndian.PutUint32(data[len(data)-4:], math.Float32bits(float32(v)))
	ts.Check(os.WriteFile(path, data, 0o666))
}

// roundtrip ARG... dumps what ARG say as described and after every pass, and wants
// the dump of each text to be that text.
func roundTrip(ts *testscript.TestScript, neg bool, args []string) {
	for _, pass := range append([]string{""}, strings.Fields(ts.Getenv("PASSES"))...) {
		dump := append([]string{"dump"}, args...)
		if pass != "" {
			dump = append(dump, "--after", pass)
		}
		ts.Check(ts.Exec("multiway", dump...))
		want := ts.ReadFile("stdout")
		path := ts.MkAbs("round.ir")
		ts.Check(os.WriteFile(path, []byte(want), 0o666))
		ts.Check(ts.Exec("multiway", "dump", path))
		if got := ts.ReadFile("stdout"); got != want || len(got) < 100 {
			ts.Fatalf("dump %s prints %d bytes, their own dump %d", strings.Join(dump[1:], " "), len(want), len(got))
		}
	}
}
