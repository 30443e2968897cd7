package compile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/precision"
)

const tiny = `model: 1
name: tiny
family: beit3
sizes: {dim: 24, heads: 2, ffn: 40, layers: 3, image: 16, patch: 8, vocab: 50, positions: 12}
seed: 7
tasks: [retrieval]
`

// engineOf compiles a program of the model; weights is the path for its weights, "" for a temporary one.
func engineOf(t *testing.T, m *compile.Model, p *ir.Program, weights string) *engine.Engine {
	t.Helper()
	planned, err := m.Plan(p)
	if err != nil {
		t.Fatal(err)
	}
	opt, err := m.CodeOptions()
	if err != nil {
		t.Fatal(err)
	}
	if weights != "" {
		if err := codegen.WriteWeights(weights, planned, nil); err != nil {
			t.Fatal(err)
		}
	}
	e, err := engine.New(planned, opt, weights, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func TestWrite(t *testing.T) {
	m := compile.OpenText(t, tiny)
	dir := filepath.Join(t.TempDir(), "tiny")
	var told []string
	var last, total int64
	r, err := m.Write(compile.Options{Dir: dir,
		Log: func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) },
		Progress: func(done, all int64) {
			if done <= last {
				t.Errorf("progress goes from %d to %d", last, done)
			}
			last, total = done, all
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"compiling vision_retrieval, language_retrieval",
		"note: without a tokenizer texts are token ids, in a binary --ids 0,17,2; `tokenizer: FILE` in the description adds one",
		"packing weights", "checking the compiled package", "running the float64 interpreter (0.0 GFLOP)"}
	told = slices.DeleteFunc(told, func(line string) bool { return strings.HasPrefix(line, "still compiling") }) // on a busy machine
	if d := cmp.Diff(want, told); d != "" {
		t.Errorf("log (-want +got)\n%s", d)
	}
	if last != total || last == 0 {
		t.Errorf("progress ends at %d of %d", last, total)
	}
	if len(r.Results) != 4 {
		t.Errorf("the self-check has %d results, want two judges for each of two functions", len(r.Results))
	}
	for _, x := range r.Results {
		if !x.OK() || x.Bound == 0 || !strings.HasSuffix(x.String(), "ok") {
			t.Errorf("%v", x)
		}
	}
	first := asmtest.Tree(t, dir)
	for _, name := range r.Files {
		if first[name] == "" {
			t.Errorf("%s is missing or empty", name)
		}
	}
	if len(first) != len(r.Files) {
		t.Errorf("the folder has %d files, the report %d", len(first), len(r.Files))
	}
	if n := int64(len(first["weights.bin"])); n != r.Weights {
		t.Errorf("weights.bin has %d bytes, the report says %d", n, r.Weights)
	}
	b, err := blob.Open(filepath.Join(dir, "weights.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
	b.Close()

	// The same input gives the same bytes.
	again := filepath.Join(t.TempDir(), "again")
	if _, err := m.Write(compile.Options{Dir: again}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(first, asmtest.Tree(t, again)); d != "" {
		t.Errorf("another build gives other bytes (-first +second)\n%s", d)
	}
}

// Embedded weights are part of the program, a weight file is opened by name.
func TestWritePlacement(t *testing.T) {
	m := compile.OpenText(t, tiny)
	for place, embedded := range map[codegen.Placement]bool{codegen.Embed: true, codegen.File: false, "": true} {
		dir := t.TempDir()
		if _, err := m.Write(compile.Options{Dir: dir, Weights: place, Check: compile.Off}); err != nil {
			t.Fatal(err)
		}
		all := asmtest.Tree(t, dir)
		if got := strings.Contains(all["model.go"], "//go:embed weights.bin"); got != embedded {
			t.Errorf("placement %q: weights embedded is %t, want %t", place, got, embedded)
		}
		if all["check.json"] != "[]\n" {
			t.Errorf("placement %q: a package that was not checked has vectors %.40q", place, all["check.json"])
		}
	}
}

// Every class and module is stored in the format of the description. The compiled package equals
// the interpreter with these weights, or is close to the model if products round their inputs.
func TestWritePrecision(t *testing.T) {
	asmtest.Slow(t)
	for _, c := range []struct {
		precision string
		judges    []string
		stored    map[string]blob.DType
	}{
		{"{default: bf16, embedding: int8, ffn: f16, keep: {l1: f32, l1.attn.out: bf16}}",
			[]string{"generic", "interpreter", "the model in float64"},
			map[string]blob.DType{
				"language.embed.tok.w": blob.I8, "language.embed.pos.w": blob.F32, "vision.embed.proj.w": blob.F32,
				"l0.attn.vision.q.w": blob.BF16, "l0.ffn.vision.fc2.w": blob.F16, "l0.ffn.vision.fc2.b": blob.F32,
				"l1.attn.vision~f.k.w": blob.F32, "l1.attn.vision~f.out.w": blob.BF16, "l1.ffn.language~f.fc1.w": blob.F32,
				"retrieval.vision.w": blob.BF16,
			}},
		{"{default: int8, retrieval: int8, patches: bf16, keep: {l0.attn: bf16}}",
			[]string{"generic", "the model in float64"},
			map[string]blob.DType{
				"language.embed.tok.w": blob.I8, "vision.embed.proj.w": blob.BF16,
				"l0.attn.vision.q.w": blob.BF16, "l0.ffn.vision~f.fc2.w": blob.I8,
				"l1.attn.vision~f.v.w": blob.I8, "retrieval~f.vision.w": blob.I8,
			}},
		{"{default: int8x2, embedding: int8x2, keep: {l0.attn: bf16}}",
			[]string{"generic", "interpreter", "the model in float64"},
			map[string]blob.DType{
				"language.embed.tok.w": blob.I8, "vision.embed.proj.w": blob.I8X2,
				"l0.attn.vision.q.w": blob.BF16, "l0.ffn.vision~f.fc2.w": blob.I8X2,
				"l1.attn.vision~f.v.w": blob.I8X2, "retrieval~f.vision.w": blob.I8X2,
			}},
		{"bf16dot",
			[]string{"generic", "the model in float64"},
			map[string]blob.DType{
				"language.embed.tok.w": blob.BF16, "vision.embed.proj.w": blob.F32,
				"l0.attn.vision~f.q.w": blob.F32, "l0.ffn.vision.fc2.w": blob.BF16Dot,
				"l1.attn.vision.v.w": blob.BF16Dot, "retrieval.vision.w": blob.BF16,
			}},
	} {
		m := compile.OpenText(t, tiny+"precision: "+c.precision+"\ncosine: 0.5\n")
		dir := t.TempDir()
		r, err := m.Write(compile.Options{Dir: dir})
		if err != nil {
			t.Errorf("%s: %v", c.precision, err)
			continue
		}
		var judges []string
		for _, x := range r.Results {
			if !slices.Contains(judges, x.Judge) {
				judges = append(judges, x.Judge)
			}
			if x.Rows > 0 && x.Cosine < 0.999 {
				t.Errorf("%s: %v", c.precision, x)
			}
		}
		if r.Precision != m.Desc.Precision.String() {
			t.Errorf("%s: precision %q", c.precision, r.Precision)
		}
		if d := cmp.Diff(c.judges, judges); d != "" {
			t.Errorf("%s: judges (-want +got)\n%s", c.precision, d)
		}
		b, err := blob.Open(filepath.Join(dir, "weights.bin"))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]blob.DType{}
		for _, x := range b.Tensors {
			if c.stored[x.Name] != 0 {
				got[x.Name] = x.DType
			}
		}
		if d := cmp.Diff(c.stored, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.precision, d)
		}
		b.Close()
	}
}

// Every matrix of a model with odd depths can be stored in 16 bits, and the compiled package equals the interpreter at every
// level.
func TestOddDepths(t *testing.T) {
	asmtest.Slow(t)
	const odd = `model: 1
name: odd
family: beit3
sizes: {dim: 27, heads: 3, ffn: 41, layers: 2, image: 21, patch: 7, vocab: 50, positions: 14}
seed: 7
tasks: [retrieval]
`
	for _, c := range []struct {
		word  string
		dtype ir.DType
		most  float64 // of the largest value
	}{{"f16", ir.F16, 1e-5}, {"bf16", ir.BF16, 1e-5}, {precision.BF16Dot, ir.BF16Dot, 1e-2}} {
		t.Run(c.word, func(t *testing.T) {
			m := compile.OpenText(t, odd+fmt.Sprintf("precision: {default: %[1]s, embedding: %[1]s, patches: %[1]s, heads: %[1]s}\n", c.word))
			if _, err := m.Write(compile.Options{Dir: t.TempDir()}); err != nil {
				t.Fatal(err)
			}
			described, _, err := m.Lower(nil)
			if err != nil {
				t.Fatal(err)
			}
			p, err := m.Plan(described)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range p.Weights {
				if d := w.Type.DType; strings.HasSuffix(w.Name, ".fc2.w") && d != c.dtype || w.Name == "language.embed.tok.w" && d != c.dtype.Table() {
					t.Errorf("@%s is stored as %v", w.Name, d)
				}
			}
			e := engineOf(t, m, described, "")
			for _, level := range kernel.Levels() {
				proc, err := e.Start(level)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range p.Funcs {
					seqs := batch(f, []int{9, 1, 4, 7, 3})
					outs, err := proc.Run(f.Name, seqs)
					if err != nil {
						t.Fatalf("%s at %s: %v", f.Name, level, err)
					}
					for i, s := range seqs {
						in, n := inputs.Tensors(f, s)
						want, err := p.Run(f.Name, n, in)
						if err != nil {
							t.Fatal(err)
						}
						for j, o := range outs {
							w := want[f.Results[j].Name].F
							worst, peak := 0.0, 0.0
							for k, x := range o.Seqs[i] {
								worst, peak = max(worst, math.Abs(float64(x)-w[k])), max(peak, math.Abs(w[k]))
							}
							if !(worst <= c.most*peak) {
								t.Errorf("%s at %s: output %d of sequence %d is off by %.2e of %.2e", f.Name, level, j, i, worst, peak)
							}
						}
					}
				}
				if err := proc.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// At int8 a model is a quarter of its size, tables, scales and padding included.
func TestInt8Sizes(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("the tables of these models are too large for a 32-bit compiler")
	}
	for _, c := range []struct {
		preset string
		most   int64
	}{
		{"beit3-base-patch16-384-coco-retrieval", 235e6},
		{"beit3-base-patch16-224-retrieval", 235e6},
		{"beit3-base-patch16-480-coco-captioning", 290e6},
	} {
		m, err := compile.Preset(c.preset, 1)
		if err != nil {
			t.Fatal(err)
		}
		if m, err = m.AtPrecision("int8"); err != nil {
			t.Fatal(err)
		}
		described, _, err := m.Lower(nil)
		if err != nil {
			t.Fatal(err)
		}
		planned, err := m.Plan(described)
		if err != nil {
			t.Fatal(err)
		}
		if n := codegen.BlobSize(planned); n >= c.most || n < c.most*8/10 {
			t.Errorf("%s takes %d bytes at int8, want less than %d", c.preset, n, c.most)
		}
	}
}

// shifty is a checkpoint whose weights change when moved is set.
type shifty struct {
	checkpoint.Source
	moved bool
}

func (s *shifty) Read(name string, at int, dst []byte) error {
	if err := s.Source.Read(name, at, dst); err != nil || !s.moved || !strings.Contains(name, "fc1.weight") {
		return err
	}
	for i := 0; i+4 <= len(dst); i += 4 {
		x := math.Float32frombits(binary.LittleEndian.Uint32(dst[i:]))
		binary.LittleEndian.PutUint32(dst[i:], math.Float32bits(1.01*x))
	}
	return nil
}

// A package with wrong results is refused, and old files stay.
func TestSelfCheckRefuses(t *testing.T) {
	asmtest.Slow(t)
	m := compile.OpenText(t, tiny)
	dir := t.TempDir()
	if _, err := m.Write(compile.Options{Dir: dir, Check: compile.Off}); err != nil {
		t.Fatal(err)
	}
	before := asmtest.Tree(t, dir)

	p, _, err := m.Lower(nil)
	if err != nil {
		t.Fatal(err)
	}
	seeded, err := checkpoint.SeededFor(p, 7)
	if err != nil {
		t.Fatal(err)
	}
	src := &shifty{Source: seeded}
	bad := *m
	bad.Source = src
	// The packed weights differ by 1% from the weights that the interpreter reads.
	_, err = bad.Write(compile.Options{Dir: dir, Log: func(format string, args ...any) { src.moved = strings.HasPrefix(format, "checking") || src.moved }})
	if err == nil {
		t.Fatal("a wrong package was written")
	}
	for _, part := range []string{"the compiled package is wrong; nothing was written", "vision_retrieval", "against interpreter", "FAIL", "max abs error"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q:\n%v", part, err)
		}
	}
	if d := cmp.Diff(before, asmtest.Tree(t, dir)); d != "" {
		t.Errorf("the refused build changed the folder (-before +after)\n%s", d)
	}
}

// The quick check of a large model interprets only its first layers, which finds the same errors.
func TestQuickCheckOfLargeModel(t *testing.T) {
	asmtest.Slow(t)
	m := compile.OpenText(t, tiny)
	m.Quick = 1 // every model is large
	r, err := m.Write(compile.Options{Dir: filepath.Join(t.TempDir(), "large")})
	if err != nil {
		t.Fatal(err)
	}
	var judges []string
	for _, x := range r.Results {
		judges = append(judges, x.Judge)
	}
	if d := cmp.Diff([]string{"generic", "generic", "interpreter, 2 layers", "interpreter, 2 layers"}, judges); d != "" {
		t.Errorf("judges (-want +got)\n%s", d)
	}
}

func TestWriteErrors(t *testing.T) {
	m := compile.OpenText(t, tiny)
	file := filepath.Join(t.TempDir(), "file")
	asmtest.Write(t, file, "")
	for _, row := range []struct {
		name string
		opt  compile.Options
		want string
	}{
		{"nothing asked", compile.Options{}, "nothing to build"},
		{"a package name", compile.Options{Dir: t.TempDir(), Package: "my-model"}, `package name "my-model": want a Go identifier`},
		{"package main", compile.Options{Dir: t.TempDir(), Package: "main"}, `package name "main"`},
		{"an entry", compile.Options{Dir: t.TempDir(), Entries: []string{"audio"}}, `unknown entry "audio"`},
		{"a folder that is a file", compile.Options{Dir: file}, "file"},
	} {
		_, err := m.Write(row.opt)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got error %v, want one with %q", row.name, err, row.want)
		}
	}
}

// The arena is proportional to the limit of rows and depends on nothing else. The other memory of a
// call does not depend on the rows.
func TestArenaGrowsWithRowsAlone(t *testing.T) {
	arena := func(rows, text int) map[string]int64 {
		m := compile.OpenText(t, strings.Replace(tiny, "[retrieval]", "[encode]", 1)+fmt.Sprintf("limits: {rows: %d, text: %d}\n", rows, text))
		p, _, err := m.Lower(nil)
		if err != nil {
			t.Fatal(err)
		}
		if p, err = m.Plan(p); err != nil {
			t.Fatal(err)
		}
		sizes := map[string]int64{}
		for _, f := range p.Funcs {
			sizes[f.Name] = f.Arena
		}
		return sizes
	}
	const rows, text = 1024, 9
	one, two, four := arena(rows, text), arena(2*rows, text), arena(4*rows, text)
	for name := range one {
		if first, second := two[name]-one[name], four[name]-two[name]; first <= 0 || second != 2*first {
			t.Errorf("%s: the arena has %d, %d and %d bytes for %d, %d and %d rows", name, one[name], two[name], four[name], rows, 2*rows, 4*rows)
		}
	}
	if d := cmp.Diff(one, arena(rows, text/3)); d != "" || len(one) != 3 {
		t.Errorf("longer texts take another arena (-longer +shorter)\n%s", d)
	}
}

// A binary carries its weights at its end.
func TestWriteBinary(t *testing.T) {
	asmtest.Slow(t)
	m := compile.OpenText(t, tiny)
	path := filepath.Join(t.TempDir(), "bin", "tiny")
	if _, err := m.Write(compile.Options{Binary: path, Check: compile.Off}); err != nil {
		t.Fatal(err)
	}
	b, err := blob.OpenAppended(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode()&0o111 == 0 {
		t.Errorf("mode %v, %v; want an executable", st.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the binary: %v, %v", left, err)
	}
	head := make([]byte, 4)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Read(head); err != nil || bytes.Equal(head, make([]byte, 4)) {
		t.Errorf("the file begins with % x, %v", head, err)
	}
}
