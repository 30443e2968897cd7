package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/multiway-go/multiway/codegen/rt"
)

// Main is the whole main function of a program that times packages side by side: its
// arguments are their weight files, it reads Options as JSON from standard input and
// writes the Report as JSON to standard output. The exit status of an error is 1.
func Main(packages ...*rt.Package) {
	if err := serve(packages, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(packages []*rt.Package, weights []string, in io.Reader, out io.Writer) error {
	if len(weights) != len(packages) {
		return fmt.Errorf("%d weight files for %d packages", len(weights), len(packages))
	}
	var o Options
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	var subjects []Subject
	for i, p := range packages {
		subjects = append(subjects, Subject{p, func(opts ...rt.Option) (*rt.Model, error) { return p.Open(weights[i], opts...) }})
	}
	r, err := Run(context.Background(), subjects, o, nil)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}
