package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/asm/amd64"
)

// kernelsCommand writes the package that tests and times every kernel. It is for
// this repository's go generate.
func kernelsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "kernels DIR",
		Short:  "Write the package of all kernels",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := amd64.Library()
			if err != nil {
				return err
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(args[0], name), text, 0o666); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
