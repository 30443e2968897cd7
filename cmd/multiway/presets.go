package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/ir/model"
)

// presetRow is a line of the presets command.
type presetRow struct {
	Name       string `json:"name"`
	Task       string `json:"task"`
	Dim        int    `json:"dim"`
	Layers     int    `json:"layers"`
	Image      int    `json:"image"`
	Checkpoint string `json:"checkpoint,omitempty"`
	Built      bool   `json:"built"` // this multiway can compile it
}

func presetsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "presets",
		Short: "List the released models that a description can name",
		Long: `presets lists the models that "preset:" in a description and "dump --preset" know:
the released files, named as they are with - for _, and the models that the original
code registers. A model whose task is not built yet is marked.`,
		Args: arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			var rows []presetRow
			for _, p := range model.Presets() {
				d, err := model.Preset(p.Name)
				if err == nil {
					_, err = model.Lower(d, model.Options{})
				}
				rows = append(rows, presetRow{p.Name, p.Task, p.Sizes.Dim, p.Sizes.Layers, p.Sizes.Image, p.File, err == nil})
			}
			if asJSON {
				return json.NewEncoder(os.Stdout).Encode(rows)
			}
			w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "PRESET\tTASK\tDIM x LAYERS\tIMAGE\tCHECKPOINT")
			for _, r := range rows {
				task, file := r.Task, r.Checkpoint
				if !r.Built {
					task += " (not built yet)"
				}
				if file == "" {
					file = "-"
				}
				fmt.Fprintf(w, "%s\t%s\t%d x %d\t%d\t%s\n", r.Name, task, r.Dim, r.Layers, r.Image, file)
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return c
}
