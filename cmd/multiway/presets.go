package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/passes"
)

// presetRow is a line of the presets command.
type presetRow struct {
	Name       string `json:"name"`
	Family     string `json:"family"`
	Task       string `json:"task"`
	Dim        int    `json:"dim"`
	Layers     int    `json:"layers"`
	Image      int    `json:"image"`
	Checkpoint string `json:"checkpoint,omitempty"`
	presetSize
}

// presetSize is the size and cost of a preset, compiled for its task.
type presetSize struct {
	Parameters int64          `json:"parameters"` // of the checkpoint
	Functions  []functionSize `json:"functions"`
	Blob       int64          `json:"blob_bytes"` // weights of all functions, packed; to a ten-thousandth: pages end where they end
}

type functionSize struct {
	Name  string `json:"name"`
	FLOPs int64  `json:"flops"` // of one sequence with the longest text
}

func presetsCommand(stdout io.Writer) *cobra.Command {
	var asJSON, wide bool
	c := &cobra.Command{
		Use:   "presets",
		Short: "List the models that a description can name, with their sizes",
		Long: `presets lists the models that "preset:" in a description, "dump --preset" and
"bench --preset" accept, by task: the released files, with - for _ in their names, the models
that the reference implementations register, and the giant model of the paper. The columns are

  PARAMS   number of parameters of the checkpoint
  MB, f32  size of the weights of all functions, as float32
  GFLOP    work of the most expensive function for one sequence, with a text of 64 tokens
           if it takes one (VLMo: 40)
  FILE     end of the name of the released checkpoint; before it is the preset's name with _
           for -; "-" if it is not published

--wide prints lines of more than 200 columns, with sizes, each function and whole names of
files.`,
		Args: arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			rows, err := presetRows()
			if err != nil {
				return err
			}
			var b bytes.Buffer
			switch {
			case asJSON:
				err = json.NewEncoder(&b).Encode(rows)
			case wide:
				err = printWide(&b, rows)
			default:
				err = printByTask(&b, rows)
			}
			if err != nil {
				return err
			}
			_, err = b.WriteTo(stdout)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	c.Flags().BoolVar(&wide, "wide", false, "print more columns than fit a narrow terminal")
	return c
}

// printByTask prints the presets by task in 80 columns.
func printByTask(out io.Writer, rows []presetRow) error {
	var tasks []string
	for _, r := range rows {
		if !slices.Contains(tasks, r.Task) {
			tasks = append(tasks, r.Task)
		}
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, t := range tasks {
		if i > 0 {
			fmt.Fprint(w, "\t\t\t\t\n") // a line without columns would end them
		}
		fmt.Fprintf(w, "%s\tPARAMS\tMB, f32\tGFLOP\tFILE\n", strings.ToUpper(t))
		for _, r := range rows {
			if r.Task != t {
				continue
			}
			most := int64(0)
			for _, f := range r.Functions {
				most = max(most, f.FLOPs)
			}
			fmt.Fprintf(w, "%s\t%.0f M\t%.0f\t%.4g\t%s\n", r.Name, float64(r.Parameters)/1e6, float64(r.Blob)/1e6, float64(most)/1e9, r.ending())
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// ending is how the name of the checkpoint goes on after the preset's, or all of it.
func (r *presetRow) ending() string {
	if r.Checkpoint == "" {
		return "-"
	}
	return strings.TrimPrefix(r.Checkpoint, strings.ReplaceAll(r.Name, "-", "_"))
}

func printWide(out io.Writer, rows []presetRow) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PRESET\tTASK\tDIM x LAYERS\tIMAGE\tPARAMETERS\tWEIGHTS, f32\tGFLOP A CALL\tCHECKPOINT")
	for _, r := range rows {
		var calls []string
		for _, f := range r.Functions {
			calls = append(calls, fmt.Sprintf("%s %.4g", f.Name, float64(f.FLOPs)/1e9))
		}
		fmt.Fprintf(w, "%s\t%s\t%d x %d\t%d\t%.0f M\t%.0f MB\t%s\t%s\n", r.Name, r.Task, r.Dim, r.Layers, r.Image,
			float64(r.Parameters)/1e6, float64(r.Blob)/1e6, strings.Join(calls, ", "), cmp.Or(r.Checkpoint, "-"))
	}
	return w.Flush()
}

// presetRows compiles every preset as far as its weights have places, with few layers: one more adds the same again. Presets
// that differ in nothing but their name are compiled once.
func presetRows() ([]presetRow, error) {
	type key struct {
		family, task string
		sizes        model.Sizes
		classes      int
	}
	known := map[key]presetSize{}
	var rows []presetRow
	for _, p := range model.Presets() {
		k := key{p.Family, p.Task, p.Sizes, p.Classes}
		size, ok := known[k]
		if !ok {
			var err error
			if size, err = grown(p); err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			known[k] = size
		}
		rows = append(rows, presetRow{p.Name, p.Family, p.Task, p.Sizes.Dim, p.Sizes.Layers, p.Sizes.Image, p.File, size})
	}
	return rows, nil
}

// grown is the size of a preset, from those with fewer layers without joint experts; that of its weights is not exact, since
// layers share pages.
func grown(p model.PresetInfo) (presetSize, error) {
	const few = 2
	more := int64(p.Sizes.Layers - p.Sizes.VLLayers - few)
	if more <= 0 {
		return sizeOf(p, p.Sizes.Layers)
	}
	less, err := sizeOf(p, p.Sizes.VLLayers+few-1)
	if err != nil {
		return less, err
	}
	s, err := sizeOf(p, p.Sizes.VLLayers+few)
	s.Parameters += more * (s.Parameters - less.Parameters)
	s.Blob += more * (s.Blob - less.Blob)
	for i := range s.Functions {
		s.Functions[i].FLOPs += more * (s.Functions[i].FLOPs - less.Functions[i].FLOPs)
	}
	return s, err
}

// sizeOf compiles a preset with another number of layers.
func sizeOf(preset model.PresetInfo, layers int) (s presetSize, err error) {
	d, err := model.Preset(preset.Name)
	if err != nil {
		return s, err
	}
	d.Preset, d.Sizes.Layers = "", layers
	for _, x := range model.Tensors(d) {
		n := int64(1)
		for _, k := range x.Shape {
			n *= int64(k)
		}
		s.Parameters += n
	}
	p, err := model.Lower(d, model.Options{})
	if err != nil {
		return s, err
	}
	if p, err = passes.Run(p, passes.Options{Rows: d.Limits.Rows, Upto: passes.Pack.Name}); err != nil {
		return s, err
	}
	for _, f := range p.Funcs {
		s.Functions = append(s.Functions, functionSize{f.Name, ir.FuncCost(p, f, p.MaxT).FLOPs})
	}
	s.Blob = codegen.BlobSize(p)
	return s, nil
}
