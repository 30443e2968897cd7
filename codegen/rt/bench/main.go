package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/multiway-go/multiway/codegen/rt"
)

// Main is the main function of a program that times packages side by side. Its arguments are
// the packages' weight files. It reads Options as JSON from standard input and writes the
// Report as JSON to standard output. After each measurement it writes a line to standard error,
// which [Done] parses. It exits with status 1 on an error.
func Main(packages ...*rt.Package) {
	if err := serve(packages, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// doneLine is the format of the progress line: measurements done and in total.
const doneLine = "timed %d of %d"

// Done parses a progress line of Main; ok reports whether line is one.
func Done(line string) (done, total int, ok bool) {
	n, err := fmt.Sscanf(line, doneLine, &done, &total)
	return done, total, n == 2 && err == nil
}

func serve(packages []*rt.Package, weights []string, in io.Reader, out, errs io.Writer) error {
	if len(weights) != len(packages) {
		return fmt.Errorf("got %d weight files, want one for each of %d packages", len(weights), len(packages))
	}
	var o Options
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	var subjects []Subject
	for i, p := range packages {
		subjects = append(subjects, Subject{p, func(opts ...rt.Option) (*rt.Model, error) { return p.Open(weights[i], opts...) }})
	}
	r, err := Run(context.Background(), subjects, o, func(done, total int) { fmt.Fprintf(errs, doneLine+"\n", done, total) })
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}
