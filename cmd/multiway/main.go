// Command multiway compiles Multiway Transformers to Go packages and binaries.
//
// Run `multiway help` for its commands: build makes a package or a binary from a
// model description, dump shows the program at any stage, golden check judges the
// compiler by golden cases.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	if err := root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "multiway:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "multiway",
		Short: "Compile Multiway Transformers to Go packages and binaries",
		Long: `multiway compiles a Multiway Transformer (BEiT-3) to a Go package with its own
assembly, or to one static binary: no cgo, no Python, nothing to install beside it.`,
		Example: `  multiway build -o mymodel model.yaml            # a package, for go generate
  multiway build --binary bin/mymodel model.yaml  # one file that answers by itself
  multiway dump --preset beit3-base-patch16-224-retrieval --entry vision --after fuse-ffn`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.AddCommand(buildCommand(), dumpCommand(), goldenCommand())
	return c
}
