package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/build"
	"github.com/multiway-go/multiway/codegen/rt/file"
)

func initCommand() *cobra.Command {
	var o build.InitOptions
	var force bool
	c := &cobra.Command{
		Use:   "init [-o FILE] CHECKPOINT",
		Short: "Look at a checkpoint and write its description",
		Long: `init reads the names and shapes of a checkpoint's tensors and writes the model
description: family, sizes, picture size, tasks, the released model it looks like,
what it needs beside the checkpoint, and what it leaves unused. Comments in the file
say where each fact comes from. Check them, then build:

  multiway init beit3_base_patch16_384_coco_retrieval.pth
  multiway build -o mymodel model.yaml

Tensors do not tell the number of attention heads: it is that of the released model of
the same sizes, or --heads.`,
		Example: `  multiway init beit3_base_patch16_384_coco_retrieval.pth
  multiway init -o - --image 480 beit3_base_itc_patch16_224.pth
  multiway init --heads 8 --tokenizer my.spm my.safetensors`,
		Args: arguments(1, 1, "a checkpoint"),
		RunE: func(_ *cobra.Command, args []string) error {
			out := o.Out
			if out == "-" {
				o.Out = ""
			} else if _, err := os.Lstat(out); err == nil && !force {
				return fmt.Errorf("%s is there already; name another file with -o, or overwrite it with --force", file.Quote(out))
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return file.PathError(out, err)
			}
			r, err := build.Init(args[0], o)
			if err != nil {
				return err
			}
			if out == "-" {
				_, err = stdout.Write(r.YAML)
				return err
			}
			if err := put(out, r.YAML); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s\n%s: %s\n", bytes.TrimSpace(r.YAML), file.Quote(out), r.Guess.Looks())
			if !r.Guess.Certain {
				fmt.Fprintf(stdout, "heads: %s; or give --heads\n", r.Guess.Heads)
			} else if r.Problem != nil {
				fmt.Fprintf(stdout, "multiway cannot compile it as it is: %v\n", r.Problem)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&o.Out, "out", "o", "model.yaml", "file to write; - prints it")
	f.BoolVar(&force, "force", false, "overwrite the file")
	f.IntVar(&o.Heads, "heads", 0, "attention heads, if no released model has these sizes")
	f.IntVar(&o.Image, "image", 0, "picture size to compile for, if not the checkpoint's")
	f.StringVar(&o.Tokenizer, "tokenizer", "", "tokenizer file (default: the only .spm beside the checkpoint)")
	f.StringVar(&o.Labels, "labels", "", "file with the names of the classes")
	return c
}
