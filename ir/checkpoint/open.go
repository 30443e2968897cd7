package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// OpenFile opens a checkpoint. Its format is known by its first bytes: safetensors, the index
// of safetensors in several files, or PyTorch's format. The caller closes the source after
// the last read.
func OpenFile(path string) (Source, error) { return OpenSet(path, "") }

// OpenSet is like OpenFile, for one of several sets of weights in a file. In a pickle the key is the name of a dict of tensors,
// such as model_ema, or ema.module for a dict in a dict. In any file it may be a prefix: the set has the tensors whose names
// begin with the key and a dot, without that prefix. Key "" is the usual set.
func OpenSet(path, key string) (Source, error) {
	src, rest, err := open(path, key, true)
	if err != nil || rest == "" {
		return src, err
	}
	set, err := narrow(src, rest)
	if err != nil {
		src.Close()
	}
	return set, err
}

// open opens a checkpoint; index says whether it may be the index of several files, so that an
// index cannot name an index. It returns the rest of the key, which is a prefix of the tensors' names.
func open(path, key string, index bool) (Source, string, error) {
	f, err := file.Open(path)
	if errors.Is(err, file.ErrNotRegular) {
		return nil, "", fmt.Errorf("%w: a checkpoint (.safetensors, .safetensors.index.json or .pth)%s", err, inFolder(path))
	}
	if err != nil {
		return nil, "", err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, "", fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	src, rest, err := openFile(f, path, key, st.Size(), index)
	if err != nil {
		f.Close()
		return nil, "", err
	}
	return src, rest, nil
}

// inFolder returns the advice to open a checkpoint in the folder, if it has one.
func inFolder(dir string) string {
	for _, name := range []string{"model.safetensors.index.json", "model.safetensors", "pytorch_model.bin"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return "; it holds " + name
		}
	}
	return ""
}

func openFile(f *os.File, path, key string, size int64, index bool) (Source, string, error) {
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, "", err
	}
	kind, err := sniff(head[:n])
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	switch kind {
	case pytorchFile:
		src, err := openPyTorch(f, size, path, key)
		if err != nil {
			return nil, "", err
		}
		src.close = f.Close
		return src, src.key, nil
	case indexFile:
		if !index {
			return nil, "", fmt.Errorf("%s: found an index or other JSON, want a file with tensors", file.Quote(path))
		}
		defer f.Close()
		src, err := openShards(f, path)
		return src, key, err
	}
	src, err := Safetensors(f, size, path)
	if err != nil {
		return nil, "", err
	}
	src.(*safetensors).close = f.Close
	return src, key, nil
}

type fileKind int

const (
	safetensorsFile fileKind = iota
	pytorchFile              // zip or legacy stream
	indexFile                // of safetensors in several files
)

// wrongFormats lists formats that people mistake for checkpoints.
var wrongFormats = []struct{ start, what string }{
	{"\x80", "a bare Python pickle; save the weights with torch.save"},
	{"version https://git-lfs", "a git-lfs pointer, not the checkpoint; fetch the file with git lfs pull"},
	{"<", "an HTML or XML page, not a checkpoint; the download went wrong: fetch it again"},
	{"\x1f\x8b", "compressed with gzip; unpack it first"},
	{"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"},
	{"\xfd7zXZ", "compressed with xz; unpack it first"},
	{"BZh", "compressed with bzip2; unpack it first"},
	{"\x93NUMPY", "a NumPy array; save the weights as safetensors"},
	{"\x89HDF", "an HDF5 file; save the weights as safetensors"},
	{"GGUF", "a GGUF file; use the original safetensors or .pth"},
	{"MWBLOB", "a compiled weight blob; use the checkpoint it was made from"},
	{"PK\x05\x06", "an empty zip archive"},
}

func sniff(head []byte) (fileKind, error) {
	if len(head) == 0 {
		return 0, errors.New("the file is empty")
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || legacyStart(head) > 0 {
		return pytorchFile, nil
	}
	if len(head) > 8 && binary.LittleEndian.Uint64(head) < 1<<40 {
		if blank := bytes.TrimLeft(head[8:], jsonSpace); len(blank) == 0 || blank[0] == '{' {
			return safetensorsFile, nil
		}
	}
	text := strings.TrimLeft(strings.TrimPrefix(string(head), "\ufeff"), " \t\r\n")
	if strings.HasPrefix(text, "{") {
		return indexFile, nil
	}
	for _, f := range wrongFormats {
		if strings.HasPrefix(string(head), f.start) || f.start == "<" && strings.HasPrefix(text, f.start) {
			return 0, errors.New("it is " + f.what)
		}
	}
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return 0, errors.New("it is a tar archive; unpack it first")
	}
	// Formats without a signature: ONNX is a protocol buffer that starts with its version and then has its producer or graph;
	// Flax's file is a MessagePack map whose first key is a text.
	if len(head) > 2 && head[0] == 0x08 && head[1] < 0x20 && (head[2] == 0x12 || head[2] == 0x3a) {
		return 0, errors.New("it is an ONNX file; use the checkpoint it was made from")
	}
	if len(head) > 1 && head[0] > 0x80 && head[0] < 0x90 && (head[1]&0xe0 == 0xa0 || head[1] == 0xd9) {
		return 0, errors.New("it is a MessagePack file, as Flax writes; use the safetensors or .bin of the same model")
	}
	return 0, fmt.Errorf("not a checkpoint: it starts with %q, want safetensors or a zip archive of torch.save", head[:min(len(head), 16)])
}
