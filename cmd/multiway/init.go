package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/ir/file"
)

func initCommand(stdout io.Writer) *cobra.Command {
	var o compile.InitOptions
	var force bool
	c := &cobra.Command{
		Use:   "init [-o FILE] CHECKPOINT|FOLDER",
		Short: "Write the description of a checkpoint",
		Long: `init reads the names and shapes of a checkpoint's tensors and writes a model
description: family, sizes, picture size, tasks, and the released model with these sizes.
Comments in the file say where each fact comes from, what else is needed, and which tensors
are not used. Check them, then build:

  multiway init beit3_base_patch16_384_coco_retrieval.pth
  multiway build -o mymodel model.yaml

The argument may be a folder of a published model, or a model's folder in the cache of the
Hugging Face Hub. For CLIP, SigLIP, Chinese-CLIP and BEiT init reads the configuration files
beside the checkpoint: config.json, preprocessor_config.json or processor_config.json, and
tokenizer_config.json of Hugging Face's transformers, or open_clip_config.json. They determine
the activation, the heads, the epsilon, the picture size, the preprocessing and the names of
classes, which tensors do not. Comments say what was taken from which file, and what is
assumed. A file that contradicts the tensors is an error.

Tensors do not determine the preprocessing of pictures: a comment says what is assumed, and
"preprocess:" changes it (see "multiway docs description"). Nor do they determine the number
of attention heads, which is taken from a configuration file, from the released model of the
same sizes, or from --heads. Its name is encoder_attention_heads in BEiT-3's code, num_heads
in VLMo's. If the checkpoint cannot be compiled, init only prints the description, with the
reason, and its exit status is 1.

A file may have several sets of weights, such as model and model_ema: init takes the usual
one, or the one of --key. It drops the parts of names that wrapper modules add (module,
_orig_mod, model). The description mentions both.`,
		Example: `  multiway init beit3_base_patch16_384_coco_retrieval.pth
  multiway init -o - --image 480 beit3_base_itc_patch16_224.pth
  multiway init ~/.cache/huggingface/hub/models--openai--clip-vit-base-patch32
  multiway init --heads 8 --tokenizer my.spm my.safetensors`,
		Args: arguments(1, 1, "a checkpoint, or a folder with one"),
		RunE: func(_ *cobra.Command, args []string) error {
			out := o.Out
			if out == "-" {
				o.Out = ""
			} else if _, err := os.Lstat(out); err == nil && !force {
				return fmt.Errorf("%s exists; name another file with -o, or overwrite it with --force", file.Quote(out))
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return file.PathError(out, err)
			}
			r, err := compile.Init(args[0], o)
			if err != nil {
				return err
			}
			if _, err := stdout.Write(r.YAML); err != nil {
				return err
			}
			also := ""
			if r.Guess.Preprocess != nil {
				also = " and --text-heads, or put the model's config.json or open_clip_config.json beside it"
			}
			unwritten := ""
			if out != "-" {
				unwritten = "; " + file.Quote(out) + " is not written"
			}
			switch {
			case r.Guess.Sizes.Heads == 0 && r.Used != nil:
				return fmt.Errorf("%s: the number of attention heads is missing%s: give it with --heads%s. A wrong number builds, but gives wrong results; `multiway build --expect` compares the package with outputs of your own PyTorch", file.Quote(args[0]), unwritten, also)
			case r.Problem != nil:
				lines := strings.SplitN(r.Problem.Error(), "\n", 3)
				reason := lines[0]
				if len(lines) > 1 {
					reason += "; " + strings.TrimSpace(lines[1])
				}
				if len(lines) > 2 {
					reason += "; and more at the end of the description above"
				}
				return fmt.Errorf("%s: multiway cannot compile it%s: %s", file.Quote(args[0]), unwritten, reason)
			case out == "-":
				return nil
			}
			if err := put(out, r.YAML); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "\n%s is written. %s: %s\n", file.Quote(out), file.Quote(args[0]), r.Guess.Looks())
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&o.Out, "out", "o", "model.yaml", "file to write; - prints it")
	f.BoolVar(&force, "force", false, "overwrite the file")
	f.StringVar(&o.Key, "key", "", "`key` of one of several sets of weights in the file, such as model_ema")
	f.IntVar(&o.Heads, "heads", 0, "attention heads, if no released model has these sizes")
	f.IntVar(&o.TextHeads, "text-heads", 0, "attention heads of the text tower, if the model has one")
	f.IntVar(&o.Image, "image", 0, "side of the pictures to compile for (default: the checkpoint's)")
	f.StringVar(&o.Tokenizer, "tokenizer", "", "tokenizer file (default: the one that fits beside the checkpoint)")
	f.StringVar(&o.Labels, "labels", "", "file with the names of the classes")
	return c
}
