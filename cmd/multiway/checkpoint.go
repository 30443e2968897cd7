package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/checkpoint/torchsave"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/model"
)

// safetensors is the style of checkpointCommand that is not one of package torchsave.
const safetensors = "safetensors"

// checkpointCommand returns the command that writes a checkpoint of random numbers, with the
// tensors and sizes of a released one.
func checkpointCommand(stdout io.Writer) *cobra.Command {
	var preset, style, out string
	var seed uint64
	var legacy bool
	var styles []string
	for _, s := range torchsave.Styles {
		styles = append(styles, string(s))
	}
	styles = append(styles, safetensors)
	c := &cobra.Command{
		Use:   "checkpoint --preset NAME -o FILE",
		Short: "Write a checkpoint of random numbers in the form and size of a released one",
		Long: `checkpoint writes a .pth file with the tensors of a released model, in their real sizes
and with random numbers, for measurements and tests without the released file. Styles:

  model        {"model": weights}, as released
  finetune     model, and the optimizer (two moments per weight: three times the size),
               epoch, gradient scaler and argparse.Namespace
  deepspeed    {"module": weights in half precision, ...}
  state_dict   {"state_dict": weights, ...}
  bare         the weights
  views        like finetune without moments; tensors share storages or are column-major
  safetensors  the weights, not as .pth but as transformers writes model.safetensors`,
		Example: `  multiway golden checkpoint --preset beit3-base-patch16-224 --style finetune -o base.pth
  multiway golden checkpoint --preset beit3-large-patch16-224 --style deepspeed -o large.pth
  multiway golden checkpoint --preset clip-vit-base-patch32 --style safetensors -o model.safetensors`,
		Args: arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			if preset == "" || out == "" {
				return cli.Usagef("give --preset NAME and -o FILE; `multiway presets` lists the names")
			}
			if !slices.Contains(styles, style) {
				return cli.Usagef("--style is %q, want %v", style, styles)
			}
			if legacy && style == safetensors {
				return cli.Usagef("--legacy is for files of PyTorch, not for --style %s", safetensors)
			}
			d, err := model.Preset(preset)
			if err != nil {
				return err
			}
			var list []checkpoint.SeededTensor
			for _, t := range model.Tensors(d) {
				list = append(list, checkpoint.NewSeededTensor(t.Name, t.Shape))
			}
			src, err := checkpoint.Seeded(seed, list)
			if err != nil {
				return err
			}
			if style == safetensors {
				err = file.Write(out, 0o666, func(w io.Writer) error {
					return checkpoint.CopySafetensors(w, src, map[string]string{"format": "pt"})
				})
			} else {
				err = torchsave.WriteFile(out, src, torchsave.Options{Style: torchsave.Style(style), Legacy: legacy})
			}
			if err != nil {
				return err
			}
			st, err := os.Stat(out)
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s: %d tensors, %.1f MB\n", file.Quote(out), len(list), float64(st.Size())/1e6)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&preset, "preset", "", "released model with the tensors to write")
	f.StringVarP(&out, "out", "o", "", "file to write")
	f.StringVar(&style, "style", string(torchsave.Model), "content of the file besides the weights")
	f.BoolVar(&legacy, "legacy", false, "write the format of PyTorch before 1.6")
	f.Uint64Var(&seed, "seed", 1, "seed of the random numbers")
	return c
}
