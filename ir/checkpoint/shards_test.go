package checkpoint

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// writeShards writes two files of the sample tensors and an index.
func writeShards(t testing.TB, index string) string {
	t.Helper()
	dir := t.TempDir()
	for name, list := range map[string][]Tensor{"a-1.safetensors": sampleTensors()[:3], "a-2.safetensors": sampleTensors()[3:]} {
		if err := WriteSafetensorsFile(filepath.Join(dir, name), list, nil); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "model.safetensors.index.json")
	asmtest.Write(t, path, index)
	return path
}

const goodIndex = `{"metadata": {"total_size": 100}, "weight_map": {
	"f": "a-1.safetensors", "h": "a-1.safetensors", "l": "a-2.safetensors", "scalar \"é\"": "a-2.safetensors"}}`

func TestShards(t *testing.T) {
	path := writeShards(t, "\ufeff"+goodIndex)
	src, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range src.Tensors() {
		got = append(got, x.Name+" "+x.String())
	}
	if diff := cmp.Diff([]string{"f f32[2,3]", "h f16[3]", "l i64[2]", "scalar \"é\" f32[]"}, got); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	f, err := Load(src, "f")
	if diff := cmp.Diff([]float32{1, -2, 3.5, 0, 1e-30, 7}, f); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	ints, err := LoadInts(src, "l")
	if diff := cmp.Diff([]int64{-1, 1 << 40}, ints); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := src.Read("b", 0, nil); err == nil {
		t.Error("a tensor that the index does not name was read")
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Load(src, "f"); err == nil {
		t.Error("read after Close")
	}
	_, err = OpenFile(filepath.Dir(path))
	asmtest.ErrorSays(t, err, "is a folder", "; it holds model.safetensors.index.json")
}

func TestShardErrors(t *testing.T) {
	for _, c := range []struct{ name, index, want string }{
		{"other JSON", `{"architectures": ["X"]}`, "JSON without weight_map"},
		{"not closed", `{"weight_map": {"f": "a-1.safetensors"}`, "not closed"},
		{"no text", `{"weight_map": {"f": 1}}`, `tensor "f": found 1, want the name of a file`},
		{"list", `{"weight_map": []}`, "weight_map: found [, want {tensor: file}"},
		{"two maps", `{"weight_map": {}, "weight_map": {}}`, "weight_map is there twice"},
		{"twice", `{"weight_map": {"f": "a-1.safetensors", "f": "a-2.safetensors"}}`, `tensor "f" is there twice`},
		{"up", `{"weight_map": {"f": "../a-1.safetensors"}}`, `got "../a-1.safetensors", want the name of a file in this folder`},
		{"absolute", `{"weight_map": {"f": "/etc/passwd"}}`, `got "/etc/passwd", want the name of a file in this folder`},
		{"folder", `{"weight_map": {"f": "x/a-1.safetensors"}}`, "want the name of a file in this folder"},
		{"no file", `{"weight_map": {"f": "a-3.safetensors"}}`, "the file a-3.safetensors with 1 tensors is missing"},
		{"other file", `{"weight_map": {"f": "a-2.safetensors"}}`, `tensor "f" is not in a-2.safetensors`},
		{"itself", `{"weight_map": {"f": "model.safetensors.index.json"}}`, "found an index or other JSON, want a file with tensors"},
		{"many files", `{"weight_map": {` + manyFiles() + `}}`, "it names 257 files, want at most 256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeShards(t, c.index)
			_, err := OpenFile(path)
			asmtest.ErrorSays(t, err, path+": ", c.want)
		})
	}
}

func manyFiles() string {
	var b strings.Builder
	for i := range maxShards + 1 {
		if i > 0 {
			b.WriteByte(',')
		}
		name := fmt.Sprint("x", i)
		b.WriteString(`"` + name + `": "` + name + `.safetensors"`)
	}
	return b.String()
}

func FuzzShards(f *testing.F) {
	f.Add(goodIndex)
	f.Add(`{"weight_map": {"f": "../a"}}`)
	f.Fuzz(func(t *testing.T, index string) {
		where, err := weightMap([]byte(index))
		if err != nil {
			return
		}
		for name, file := range where {
			if !plainName(file) {
				t.Errorf("tensor %q is in %q", name, file)
			}
		}
	})
}
