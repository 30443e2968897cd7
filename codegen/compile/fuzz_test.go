package compile_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/checkpoint/torchsave"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/passes"
)

// within runs a reader of n untrusted bytes. It fails if the reader allocates more memory than a file of that size may need, or
// if its error is long or has characters that control a terminal.
func within(t *testing.T, n int, read func() error) {
	t.Helper()
	var err error
	if got, most := asmtest.Allocated(func() { err = read() }), 128<<20+100*n; got > most {
		t.Errorf("%d bytes take %d MB in all, want at most %d", n, got>>20, most>>20)
	}
	if err != nil {
		asmtest.Harmless(t, err, "")
	}
}

// smallest is a description of the smallest model.
const smallest = "model: 1\nname: tiny\nfamily: beit3\nsizes: {dim: 4, heads: 1, ffn: 4, layers: 1, image: 4, patch: 4, vocab: 8, positions: 9}\nlimits: {text: 3, rows: 8}\n"

// uncheck removes the checksums from the directory of a zip archive, so that changed entries are read.
func uncheck(data []byte) []byte {
	data = bytes.Clone(data)
	for at := 0; ; at += 4 {
		i := bytes.Index(data[at:], []byte("PK\x01\x02"))
		if i < 0 || at+i+20 > len(data) {
			return data
		}
		at += i
		binary.LittleEndian.PutUint32(data[at+16:], 0)
	}
}

// FuzzInit: init describes or refuses a checkpoint of any bytes, and can read its own description. kind is the form of the
// file: 0 .pth, 1 safetensors, 2 the index of one safetensors file beside it.
func FuzzInit(f *testing.F) {
	dir := f.TempDir()
	d, err := model.Parse("m.yaml", []byte(smallest))
	if err != nil {
		f.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	index := `{"weight_map": {"x": "part.safetensors"`
	for _, x := range model.Tensors(d) {
		n := 1
		for _, s := range x.Shape {
			n *= s
		}
		tensors = append(tensors, checkpoint.Tensor{Name: x.Name, DType: checkpoint.F32, Shape: x.Shape, Floats: make([]float32, n)})
		index += `, "` + x.Name + `": "part.safetensors"`
	}
	src, err := checkpoint.Memory("m", tensors)
	if err != nil {
		f.Fatal(err)
	}
	for i, style := range torchsave.Styles {
		var pth bytes.Buffer
		if err := torchsave.Write(&pth, src, torchsave.Options{Style: style, Legacy: i%2 == 0}); err != nil {
			f.Fatal(err)
		}
		f.Add(byte(0), uncheck(pth.Bytes()))
	}
	var b bytes.Buffer
	if err := checkpoint.WriteSafetensors(&b, tensors, nil); err != nil {
		f.Fatal(err)
	}
	asmtest.Write(f, filepath.Join(dir, "part.safetensors"), b.Bytes())
	f.Add(byte(1), b.Bytes())
	f.Add(byte(2), []byte(strings.Replace(index, `"x": "part.safetensors", `, "", 1)+"}}"))
	f.Add(byte(2), []byte(index+"}}"))
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		path := filepath.Join(dir, [...]string{"m.pth", "m.safetensors", "m.index.json"}[kind%3])
		asmtest.Write(t, path, data)
		within(t, len(data), func() error {
			out := filepath.Join(dir, "m.yaml")
			r, err := compile.Init(path, compile.InitOptions{Out: out, Heads: 1})
			if err != nil {
				return err
			}
			if _, err := model.Parse(out, r.YAML); r.Problem == nil && err != nil {
				t.Errorf("what init writes cannot be read: %v\n%s", err, r.YAML)
			}
			return r.Problem
		})
	})
}

// FuzzLower: a description is refused, or its program passes all passes and parses back before and after them.
func FuzzLower(f *testing.F) {
	f.Add([]byte(smallest))
	for _, tail := range []string{
		"tasks: [retrieval, {classification: {classes: 3}}]\nprecision: int8\ntune: off\n",
		"tasks: [captioning]\nlimits: {text: 3, rows: 8, max_new: 2, ban: [0, 5..7]}\n",
		"tasks: [{vqa: {classes: 3}}, nlvr2]\nprecision: {default: f32, ffn: int8, keep: {l0.attn: bf16}}\n",
	} {
		head, _, _ := strings.Cut(smallest, "limits:")
		f.Add([]byte(head + tail))
	}
	f.Add([]byte("model: 1\nfamily: mwt\nsizes: {dim: 4, heads: 1, layers: 2, vl_layers: 1, image: 4, patch: 4, vocab: 8, positions: 5}\ntasks: [retrieval]\n"))
	f.Add([]byte("model: 1\nfamily: vlmo\nsizes: {dim: 4, heads: 1, layers: 2, vl_layers: 1, image: 4, patch: 4, vocab: 8, reach: 4, absolute: true, scale: true}\ntasks: [itm, retrieval]\n"))
	for _, patch := range []string{"patch: 4", "stem: [2, 2], stem_dim: 3, stem_norm: 1.0e-5"} {
		f.Add([]byte("model: 1\nmodalities: [{name: vision, embedder: patch, size: [4, 8], " + patch + "}, {name: language, embedder: token, vocab: 8, positions: 5}]\n" +
			"layers: [{range: 0..1, attn: shared, ffn: pooled}]\nsizes: {dim: 4, heads: 1}\ntasks: [encode]\n"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := model.Parse("m.yaml", text)
		if err == nil && d.Sizes.Layers > 8 {
			return // nothing new, and slow
		}
		within(t, len(text), func() error {
			d, err := model.Parse("m.yaml", text)
			if err != nil {
				return err
			}
			p, err := model.Lower(d, model.Options{})
			if err != nil {
				return err
			}
			reads(t, p)
			q, err := passes.Run(p, passes.Options{Rows: d.Limits.Rows, Precision: d.Precision})
			if err == nil {
				reads(t, q)
			}
			return err
		})
	})
}

// reads checks that the text of a program is read back to itself.
func reads(t *testing.T, p *ir.Program) {
	t.Helper()
	text := ir.Print(p)
	again, err := ir.Parse("printed", []byte(text))
	if err != nil {
		t.Fatalf("what is printed does not parse: %v\n%s", err, text)
	}
	if ir.Print(again) != text {
		t.Fatalf("what is printed parses to another program\n%s", text)
	}
}

// FuzzTokenizer: a description whose tokenizer is any file opens, or is refused; ids are those of the model.
func FuzzTokenizer(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "m.yaml")
	asmtest.Write(f, path, smallest+"seed: 1\ntokenizer: tokens\n")
	spm := asmtest.Read(f, "../../generated/emoji/source/emoji.spm")
	f.Add(spm[:min(len(spm), 4<<10)])
	f.Add([]byte("[CLS]\n[SEP]\n[PAD]\n[UNK]\na\n##b\n"))
	f.Add([]byte("\n\x09\n\x05<unk>\x18\x02\n\x07\n\x03<s>\x18\x03\n\x08\n\x04</s>\x18\x03\n\x03\n\x01a\x1a\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		asmtest.Write(t, filepath.Join(dir, "tokens"), data)
		within(t, len(data), func() error {
			m, err := compile.Open(path)
			if err != nil {
				return err
			}
			defer m.Close()
			tok, err := token.Open(m.Tokenizer, token.Form(m.Desc.Form))
			if err != nil {
				return err
			}
			for _, text := range []string{"", "a b", "<s>[CLS]", "\xff\u200b犬ﷺ"} {
				for _, id := range tok.Encode(text, 5) {
					if id < 0 || int(id) >= 8 {
						t.Errorf("%q has id %d of 8", text, id)
					}
				}
			}
			_, err = m.CodeOptions()
			return err
		})
	})
}
