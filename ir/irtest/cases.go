package irtest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
)

// Update is the flag -update of tests: write the files that they compare with.
var Update = flag.Bool("update", false, "write the files that tests compare with, such as the after sections of text cases")

const marker = "-- after --\n"

// Cases runs every file dir/*.ir: parse and verify, rewrite with run, verify,
// compare float64 results within tol (see Equivalent), compare the text with the
// after section, and parse the text back. A folder without cases fails.
func Cases(t *testing.T, dir string, run func(*testing.T, *ir.Program) error, tol float64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ir"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no .ir files (%v)", dir, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".ir")
		t.Run(name, func(t *testing.T) { runCase(t, file, run, tol) })
	}
}

// Read returns the program of a file. For a case it is the program before the rewrite.
func Read(t testing.TB, file string) *ir.Program {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), marker)
	p, err := ir.Parse(file, []byte(before))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func runCase(t *testing.T, file string, run func(*testing.T, *ir.Program) error, tol float64) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want, found := bytes.Cut(text, []byte(marker))
	before := parse(t, file, input)
	after := parse(t, file, input)
	if err := run(t, after); err != nil {
		t.Fatalf("run: %v", err)
	}
	if err := ir.Verify(after); err != nil {
		t.Fatalf("after: %v\n%s", err, ir.Print(after))
	}
	Equivalent(t, before, after, tol)

	printed := ir.Print(after)
	if again, err := ir.Parse("after", []byte(printed)); err != nil {
		t.Errorf("the result does not parse back: %v", err)
	} else if diff := cmp.Diff(printed, ir.Print(again)); diff != "" {
		t.Errorf("the result parses back to another text (-printed +again):\n%s", diff)
	}

	got := Changes(before, after)
	if *Update {
		if !bytes.HasSuffix(input, []byte("\n")) {
			input = append(input, '\n')
		}
		if err := os.WriteFile(file, append(input, marker+got...), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !found {
		t.Fatalf("the after section is missing; run go test -update to write it")
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
}

// parse parses a program and gives it random weights.
func parse(t *testing.T, file string, text []byte) *ir.Program {
	t.Helper()
	p, err := ir.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	RandomWeights(p)
	return p
}

// Changes returns the text of an after section: dropped weights as comments, new and
// changed weights, and all functions.
func Changes(before, after *ir.Program) string {
	var b strings.Builder
	for _, w := range before.Weights {
		if after.Weight(w.Name) == nil {
			fmt.Fprintf(&b, "// dropped: @%s\n", w.Name)
		}
	}
	for _, w := range after.Weights {
		old := before.Weight(w.Name)
		if line := ir.PrintWeight(w); old == nil || ir.PrintWeight(old) != line {
			fmt.Fprintf(&b, "%s\n", line)
		}
	}
	for _, f := range after.Funcs {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(ir.PrintFunc(f))
	}
	return b.String()
}
