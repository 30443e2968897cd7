package compile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/model"
)

// weightFiles are the names of published checkpoints. Of several in a folder, which have the same weights, the first counts.
var weightFiles = []string{
	"model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors", "open_clip_model.safetensors.index.json",
	"pytorch_model.bin", "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin", "open_clip_pytorch_model.bin.index.json",
}

// shard is the name of one of several files of a checkpoint.
var shard = regexp.MustCompile(`^(.*)-[0-9]{5}-of-([0-9]{5})\.(safetensors|bin)$`)

// published returns the paths of the checkpoints that path may stand for. A file stands for itself. A folder stands for those of
// weightFiles in it, or else for its only file with the suffix of a checkpoint. The folder of a model in the cache of Hugging
// Face's hub stands for the folder of its revision.
func published(path string) ([]string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, missing(path, err)
	}
	if !st.IsDir() {
		if m := shard.FindStringSubmatch(filepath.Base(path)); m != nil {
			index := m[1] + "." + m[3] + ".index.json"
			return nil, fmt.Errorf("%s: is one of %s files of a checkpoint; give %s, which stands beside it and lists them", file.Quote(path), strings.TrimLeft(m[2], "0"), file.Quote(index))
		}
		return []string{path}, nil
	}
	dir, err := revision(path)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, file.PathError(dir, err)
	}
	all := weightsIn(dir, entries)
	if all == nil {
		var others []string // a checkpoint of another name
		for _, e := range entries {
			if slices.Contains([]string{".safetensors", ".bin", ".pt", ".pth"}, filepath.Ext(e.Name())) && !strings.HasPrefix(e.Name(), "adapter_") && !shard.MatchString(e.Name()) {
				others = append(others, e.Name())
			}
		}
		if len(others) != 1 {
			return nil, noWeights(dir, entries, others)
		}
		all = []string{filepath.Join(dir, others[0])}
	}
	for _, p := range all {
		if _, err := os.Stat(p); err != nil {
			return nil, missing(p, err)
		}
	}
	return all, nil
}

// weightsIn lists the paths of those of weightFiles that a folder with these entries has.
func weightsIn(dir string, entries []fs.DirEntry) (all []string) {
	for _, name := range weightFiles {
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name }) {
			all = append(all, filepath.Join(dir, name))
		}
	}
	return all
}

// otherFormats are suffixes of files with weights in formats that are not read.
var otherFormats = map[string]string{".onnx": "ONNX", ".h5": "TensorFlow", ".msgpack": "Flax", ".gguf": "GGUF", ".tflite": "TensorFlow Lite", ".mlpackage": "Core ML", ".ot": "rust-bert"}

// noWeights returns the error about a folder without one certain checkpoint. others are files of it that may be checkpoints.
func noWeights(dir string, entries []fs.DirEntry, others []string) error {
	for _, e := range entries {
		switch m := shard.FindStringSubmatch(e.Name()); {
		case m != nil:
			return fmt.Errorf("%s: has %s, one of several files of a checkpoint, but not the index of them, %s; download it too", file.Quote(dir), file.Quote(e.Name()), file.Quote(m[1]+"."+m[3]+".index.json"))
		case e.Name() == "adapter_config.json":
			return fmt.Errorf("%s: has an adapter (LoRA and its like), which changes another model and is not a model by itself: merge it and save the whole model, in Python with peft: model.merge_and_unload().save_pretrained(...)", file.Quote(dir))
		}
	}
	if others != nil {
		return fmt.Errorf("%s: has several checkpoints, %s; give one of them", file.Quote(dir), strings.Join(quoted(others), ", "))
	}
	var below []string // folders in it that have weights
	format, example := "", ""
	look := func(sub string, entries []fs.DirEntry) {
		for _, e := range entries {
			if f := otherFormats[filepath.Ext(e.Name())]; f != "" && format == "" {
				format, example = f, filepath.Join(sub, e.Name())
			}
		}
	}
	look("", entries)
	for _, e := range entries[:min(len(entries), maxFolders)] {
		sub := filepath.Join(dir, e.Name())
		in, err := os.ReadDir(sub)
		if err != nil {
			continue // a file
		}
		if look(e.Name(), in); weightsIn(sub, in) != nil {
			below = append(below, e.Name())
		}
	}
	_, err := file.Open(dir) // which says that it is a folder
	switch {
	case below != nil:
		return fmt.Errorf("%w; its weights are in %s: give that folder", err, strings.Join(quoted(below), ", or in "))
	case format != "":
		return fmt.Errorf("%s: has its weights as %s only, in %s, which is not read; give the model that they were made from, as safetensors or of PyTorch", file.Quote(dir), format, file.Quote(example))
	}
	return fmt.Errorf("%w: the weights, or a folder that has them as %s", err, strings.Join(weightFiles, ", "))
}

// maxFolders bounds the folders within a folder in which weights are looked for.
const maxFolders = 256

// quoted quotes names of files, at most eight.
func quoted(names []string) (all []string) {
	for _, n := range names[:min(len(names), 8)] {
		all = append(all, file.Quote(n))
	}
	return all
}

// hubName matches addresses, and names of models on Hugging Face's hub: OWNER/NAME.
var hubName = regexp.MustCompile(`^https?://|^[A-Za-z0-9][\w.-]*/[\w.-]+$`)

// missing is the error about a file that cannot be looked at. In the hub's cache files are links to where their content is.
func missing(path string, err error) error {
	if to, e := os.Readlink(path); e == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: is a link to %s, which is not there; the download was not finished: run it again", file.Quote(path), file.Quote(to))
	}
	if hubName.MatchString(path) && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; init downloads nothing: a model on a hub has to be fetched before, and init takes its folder on this machine", file.PathError(path, err))
	}
	return file.PathError(path, err)
}

// revision returns the folder with a model's files: dir itself, or, if dir is a model's folder in the cache of Hugging Face's
// hub, the folder of its only revision or of the one called main.
func revision(dir string) (string, error) {
	snapshots := filepath.Join(dir, "snapshots")
	revisions, err := os.ReadDir(snapshots)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", file.PathError(snapshots, err)
	}
	var names []string
	for _, r := range revisions {
		names = append(names, r.Name())
	}
	if len(names) == 1 {
		return filepath.Join(snapshots, names[0]), nil
	}
	main, err := file.Read(filepath.Join(dir, "refs", "main"), 1<<10)
	if name := strings.TrimSpace(string(main)); err == nil && slices.Contains(names, name) {
		return filepath.Join(snapshots, name), nil
	}
	if names == nil {
		return "", fmt.Errorf("%s: has no revision of the model; the download was not finished: run it again", file.Quote(snapshots))
	}
	return "", fmt.Errorf("%s: has %d revisions of the model and no main one; give the folder of one", file.Quote(snapshots), len(names))
}

// repository returns the folder that a checkpoint's folder is called by: in the hub's cache, models--OWNER--NAME.
func repository(folder string) string {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return folder
	}
	if up := filepath.Dir(abs); filepath.Base(up) == "snapshots" {
		return filepath.Dir(up)
	}
	return abs
}

// nameOf is the name of a checkpoint's model. Files that are called like all others are called like their folder.
func nameOf(path string) string {
	if !slices.Contains(weightFiles, filepath.Base(path)) {
		return model.NameOf(path)
	}
	return model.NameOf(filepath.Join(repositoryName(path), "model.yaml"))
}

// repositoryName is the name of a checkpoint's repository, without the owner.
func repositoryName(path string) string {
	parts := strings.Split(filepath.Base(repository(filepath.Dir(path))), "--")
	return parts[len(parts)-1]
}

// fileName is the name by which a checkpoint is known among released ones.
func fileName(path string) string {
	if base := filepath.Base(path); !slices.Contains(weightFiles, base) {
		return base
	}
	return repositoryName(path) + filepath.Ext(path)
}

// readConfigs reads the files of model.ConfigFiles that exist in a folder; none if models like the guess have none. A config.json
// of a class that is not supported is an error, unless open_clip's configuration stands beside it.
func readConfigs(folder string, g *model.Guess) ([]*model.Config, error) {
	var all []*model.Config
	var other error
	if !g.Configured() {
		return nil, nil
	}
	for _, name := range model.ConfigFiles() {
		path := filepath.Join(folder, name)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return nil, missing(path, err)
		}
		data, err := file.Read(path, model.MaxConfig)
		if err != nil {
			return nil, err
		}
		c, err := model.ReadConfig(name, data)
		if e := (*model.OtherModelError)(nil); errors.As(err, &e) {
			other = fmt.Errorf("%s: %w", file.Quote(folder), err) // beside files of open_clip it may be anything
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Quote(folder), err)
		}
		all = append(all, c)
	}
	if other != nil && !slices.ContainsFunc(all, func(c *model.Config) bool { return c.Class == "open_clip" }) {
		return nil, other
	}
	return all, nil
}

// tokenizerNames are the names of published tokenizers, in the order in which they are tried.
var tokenizerNames = []string{"bpe_simple_vocab_16e6.txt.gz", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "vocab.txt", "tokenizer.json", "merges.txt"}

// tokenizerBeside returns the first published tokenizer in a folder that fits the model, or else the only SentencePiece model there
// if it does. If none does, path is "" and why says of each tokenizer in the folder why not.
func tokenizerBeside(folder string, g *model.Guess) (path string, why []string) {
	names := tokenizerNames
	if g.Sizes.Text == (model.TowerSizes{}) {
		names = nil
	}
	if found, err := filepath.Glob(filepath.Join(folder, "*.spm")); err == nil && len(found) == 1 {
		names = append(slices.Clip(names), filepath.Base(found[0]))
	}
	for _, name := range names {
		path := filepath.Join(folder, name)
		_, err := formOf(path, g)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			reason := strings.TrimPrefix(err.Error(), file.Quote(path)+": ")
			why = append(why, file.Brief(fmt.Sprintf("Not taken as the tokenizer: %s: %s.", file.Quote(name), reason)))
		}
	}
	return "", why
}

// kindOf is the word for a tokenizer's kind that the table of families has.
func kindOf(tok token.Tokenizer) string {
	switch tok.(type) {
	case *token.CLIP:
		return "CLIP"
	case *token.SigLIP:
		return "SigLIP"
	case *token.WordPiece:
		return "WordPiece"
	}
	return "Unigram"
}

// formOf returns the form of a tokenizer for a model, "" if its file tells it. It is an error if the model cannot have the tokenizer.
func formOf(path string, g *model.Guess) (token.Form, error) {
	data, err := readTokenizer(path)
	if err != nil {
		return "", err
	}
	tok, err := token.Open(data, "")
	if err == nil {
		err = fits(tok, g.Sizes.Vocab, model.Unreached(g.Family))
	}
	if kinds := g.Tokenizers(); err == nil && !slices.Contains(kinds, kindOf(tok)) {
		err = fmt.Errorf("it is a tokenizer of kind %s, and models of family %s have %s", kindOf(tok), g.Family, strings.Join(kinds, " or "))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	form := token.HF
	if g.OpenCLIP() {
		form = token.OpenCLIP
	}
	usual, other := token.Loader(data, ""), token.Loader(data, form)
	if usual == other {
		return "", nil
	}
	return form, nil
}
