package passes

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/irtest"
	"github.com/multiway-go/multiway/ir/precision"
)

// rows is the limit of the text cases: small, so that offsets are readable.
const rows = 16

// TestCases runs every pass on the files of its folder. The passes from select on need each other's
// attributes, so their cases also run the passes from select on before them.
func TestCases(t *testing.T) {
	first := slices.Index(All, Select)
	for i, pass := range All {
		chain := All[i : i+1]
		if i > first {
			chain = All[first : i+1]
		}
		tol := 0.0
		for _, c := range chain {
			tol = max(tol, c.Numeric.Tolerance())
		}
		t.Run(pass.Name, func(t *testing.T) {
			irtest.Cases(t, filepath.Join("testdata", pass.Name), func(t *testing.T, p *ir.Program) error {
				var set []*Property
				for _, need := range chain[0].Needs {
					if err := need.Check(p, Options{}); err != nil {
						return err
					}
					set = append(set, need)
				}
				before := clone(p)
				for _, c := range chain {
					o := Options{Rows: rows, Refused: func(why string) { t.Log(why) }}
					switch c {
					case Smooth:
						o.Smooth = smoothings(p)
					case Narrow: // int8, but for what is called halves
						o.Precision = precision.Map{Default: precision.Int8, Overrides: []precision.Override{{Module: "halves", Format: "bf16"}}}
					}
					if err := apply(c, p, o, &set); err != nil {
						return err
					}
				}
				if pass == Plan {
					simulate(t, before, p, rows)
				}
				return nil
			}, tol)
		})
	}
}

// smoothings returns random gains and biases for every norm of p that can be smoothed.
func smoothings(p *ir.Program) map[string]Smoothing {
	all := map[string]Smoothing{}
	for _, n := range Smoothable(p, precision.Map{}) {
		var s Smoothing
		for i := range n.Cols() {
			s.Gain, s.Bias = append(s.Gain, float32(i+1)/2), append(s.Bias, float32(i)-1.5)
		}
		all[n.Name] = s
	}
	return all
}

// TestAllPassesOnModels runs all passes on the programs that tests of package model print.
func TestAllPassesOnModels(t *testing.T) {
	files, err := filepath.Glob("../ir/model/testdata/*.ir")
	if err != nil || len(files) == 0 {
		t.Fatalf("no model programs (%v)", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p := irtest.Read(t, file)
			irtest.RandomWeights(p)
			tol := 0.0
			after := map[string]*ir.Program{}
			_, err := Run(p, Options{Rows: 64, After: func(pass *Pass, q *ir.Program) error {
				if pass != Narrow { // at float32 it changes nothing
					tol = max(tol, pass.Numeric.Tolerance())
				}
				irtest.Equivalent(t, p, q, tol)
				after[pass.Name] = clone(q)
				printed := ir.Print(q)
				if again, err := ir.Parse(pass.Name, []byte(printed)); err != nil {
					t.Errorf("the program after %s does not parse back: %v", pass.Name, err)
				} else if got := ir.Print(again); got != printed {
					t.Errorf("the program after %s parses back to another text:\n%s", pass.Name, cmp.Diff(printed, got))
				}
				return nil
			}})
			if half := slices.ContainsFunc(p.Weights, func(w *ir.Weight) bool { return w.Type.DType != ir.F32 }); half {
				if err == nil || !strings.Contains(err.Error(), "no kernel reads") {
					t.Fatalf("error %v, want one about weights stored in 16 bits", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			simulate(t, p, after["plan"], 64)
			last := fusions()[len(fusions())-1].Name
			smooth(t, p, last, after[last])
			for _, f := range after[last].Funcs {
				for _, v := range f.Values {
					switch v.Op {
					case ir.OpLinear, ir.OpAttention, ir.OpGelu, ir.OpAdd, ir.OpAddRows, ir.OpLookup, ir.OpPatches:
						// A task's head has one row per sequence, and is not a block of a layer.
						if v.Type.Rows() == ir.C(1) && (v.Op == ir.OpGelu || strings.Contains(v.Bundle, ".head.")) {
							continue
						}
						// Nor is a stage of a stem before its last linear.
						if strings.Contains(v.Name, ".stem") {
							continue
						}
						if _, head := cutLast(v.Bundle); v.Op != ir.OpLinear || head == "q" || head == "fc1" {
							t.Errorf("%s: not fused: %s", f.Name, ir.PrintValue(v))
						}
					}
				}
			}
		})
	}
}

// fusions lists the passes that fuse.
func fusions() (list []*Pass) {
	for _, pass := range All {
		if strings.HasPrefix(pass.Name, "fuse-") {
			list = append(list, pass)
		}
	}
	return list
}

// TestFusionsDoNotTakeFromEachOther checks that no fusion fuses a part of a larger pattern before the larger pattern is tried: a
// value that is in a fused op without some fusion is in a fused op of at least that size with it.
func TestFusionsDoNotTakeFromEachOther(t *testing.T) {
	// fused runs the passes up to the last fusion, except one, and returns the number of primitives in the expansion of each
	// value, and the name of its op.
	fused := func(t *testing.T, p *ir.Program, but *Pass) (sizes map[string]int, ops map[string]string) {
		p = clone(p)
		var set []*Property
		for _, pass := range All {
			if pass == Narrow {
				break
			}
			if pass == but {
				continue
			}
			if err := apply(pass, p, Options{}, &set); err != nil {
				t.Fatal(err)
			}
		}
		sizes, ops = map[string]int{}, map[string]string{}
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				key := f.Name + ": " + v.Name
				sizes[key], ops[key] = 1, v.Op.Name
				if v.Op.Fused() {
					g, err := p.Expand(v)
					if err != nil {
						t.Fatal(err)
					}
					sizes[key] = len(g.Values)
				}
			}
		}
		return sizes, ops
	}
	files, err := filepath.Glob("../ir/model/testdata/*.ir")
	if err != nil || len(files) == 0 {
		t.Fatalf("no model programs (%v)", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p := irtest.Read(t, file)
			irtest.RandomWeights(p)
			with, ops := fused(t, p, nil)
			for _, pass := range fusions() {
				without, larger := fused(t, p, pass)
				for _, key := range slices.Sorted(maps.Keys(without)) {
					if n, ok := with[key]; ok && n < without[key] {
						t.Errorf("%s is %s, and with %s it is %s: put %[3]s after the pass that makes %[2]s in All of passes.go, since the larger pattern goes first",
							key, larger[key], pass.Name, ops[key])
						break
					}
				}
			}
		})
	}
}

// TestRefusals checks that a fused op which does not equal the program is refused, with the first difference.
func TestRefusals(t *testing.T) {
	for _, c := range []struct{ name, kept, first, residual, result, want string }{
		{"another op", "p", "q", "x", "y, k", "the expansion has `h = linear x, @p.fc1`, the program `h = linear x, @q.fc1`"},
		{"another argument", "p", "p", "z", "y", "the expansion has z, the program x"},
		{"another reader", "p", "p", "x", "y, g", "g would vanish, and another value or a result reads it"},
		{"no such weight", "q", "q", "x", "y", "ffn does not expand: h = linear x, @p.fc1: there is no weight @p.fc1.w; linear needs w b?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := ir.Parse("f.ir", []byte(`program p
weight @p.fc1.w f32[8,4]
weight @q.fc1.w f32[8,4]
weight @p.fc2.w f32[4,8]
func f(x: f32[3,4], z: f32[3,4]) {
  h = linear x, @`+c.first+`.fc1 : f32[3,8]
  g = gelu h : f32[3,8]
  o = linear g, @p.fc2 : f32[3,4]
  y = add `+c.residual+`, o : f32[3,4]
  k = linear z, @`+c.kept+`.fc1 : f32[3,8]
  return `+c.result+`
}
`))
			if err != nil {
				t.Fatal(err)
			}
			irtest.RandomWeights(p)
			var got []string
			if _, err := Run(p, Options{Upto: FuseFFN.Name, Refused: func(why string) { got = append(got, why) }}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"fuse-ffn: f: ffn at y is refused: " + c.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestFolders checks that each folder of cases belongs to a pass of All.
func TestFolders(t *testing.T) {
	folders, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if _, err := Named(f.Name()); err != nil {
			t.Errorf("testdata/%s: %v; All in passes.go lists the passes", f.Name(), err)
		}
	}
}

// TestBlobSize compares the size of the weight file of real models with their parameters.
func TestBlobSize(t *testing.T) {
	p := &ir.Program{Name: "base", MaxT: 64}
	for i, entry := range []string{"vision", "language"} {
		b := ir.NewBuilder(p, entry)
		linear := func(x *ir.Value, name string, out int) *ir.Value {
			b.Weight(name+".w", ir.Mat(ir.C(out), x.Type.Cols()), nil)
			b.Weight(name+".b", ir.Of(ir.F32, ir.C(out)), nil)
			return b.Linear(x, name)
		}
		norm := func(x *ir.Value, name string) *ir.Value {
			b.Weight(name+".g", ir.Of(ir.F32, ir.C(x.Type.Cols())), nil)
			b.Weight(name+".b", ir.Of(ir.F32, ir.C(x.Type.Cols())), nil)
			return b.LayerNorm(x, name, 1e-5)
		}
		x := b.Param("x", ir.Mat([]ir.Dim{ir.C(197), ir.T}[i], 768))
		attn, ffn := "l0.attn."+entry, "l0.ffn."+entry
		n := norm(x, attn+".ln")
		c := b.Attention(linear(n, attn+".q", 768), linear(n, attn+".k", 768), linear(n, attn+".v", 768), 12)
		a := b.Add(x, linear(norm(c, attn+".sub"), attn+".out", 768))
		h := b.Gelu(linear(norm(a, ffn+".ln"), ffn+".fc1", 3072))
		b.Return(b.Add(a, linear(norm(h, ffn+".sub"), ffn+".fc2", 768)))
		if _, err := b.Done(); err != nil {
			t.Fatal(err)
		}
	}
	params := int64(0)
	for _, w := range p.Weights {
		params += w.Type.Elements(0)
	}
	q, err := Run(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	last := q.Weights[len(q.Weights)-1]
	size, err := storedBytes(last)
	if err != nil {
		t.Fatal(err)
	}
	if blob, bound := last.Offset+size, params*4*101/100; blob > bound {
		t.Errorf("the blob has %d bytes, want %d at most for %d parameters", blob, bound, params)
	}
}

func TestErrors(t *testing.T) {
	const head = "program p T<=4\nweight @a.w f32[4,4]\nweight @b.w f32[4,4]\nweight @n.g f32[4]\nweight @n.b f32[4]\n"
	for _, c := range []struct {
		name, text string
		o          Options
		want       string
	}{
		{"two joins", "func f(x: f32[3,4]) {\n h = linear x, @a : f32[3,4]\n g = gelu h : f32[3,4]\n i = concat h, g : f32[6,4]\n j = concat h, g : f32[6,4]\n y = add i, j : f32[6,4]\n return y\n}",
			Options{}, "h is part of i already"},
		{"joined view", "func f(x: f32[3+T,4]) {\n h = gelu x : f32[3+T,4]\n r = rows h {at=0 len=3} : f32[3,4]\n g = gelu r : f32[3,4]\n j = concat r, g : f32[6,4]\n return j, h\n}",
			Options{}, "r is a view of h"},
		{"rows inside", "func f(x: f32[3,4]) {\n r = rows x {at=1 len=2} : f32[2,4]\n y = gelu r : f32[2,4]\n return y\n}",
			Options{}, "rows reads whole sections"},
		{"arrangements", "func f(x: f32[1,4], z: f32[2,4], u: f32[3,4]) {\n j = concat x, z : f32[3,4]\n y = add j, u : f32[3,4]\n return y\n}",
			Options{}, "arrange their rows differently"},
		{"long sequence", "func f(x: f32[30,4]) {\n y = gelu x : f32[30,4]\n return y\n}",
			Options{Rows: 20}, "limits.rows is 20, but one sequence can have 30 rows"},
		{"long text", "func f(x: f32[T,4]) {\n y = gelu x : f32[T,4]\n return y\n}",
			Options{Rows: 2}, "limits.rows is 2, but one sequence can have 4 rows"},
		{"negative limit", "func f(x: f32[T,4]) {\n y = gelu x : f32[T,4]\n return y\n}",
			Options{Rows: -1}, "limits.rows is -1"},
		{"large arena", "weight @w.w f32[1000000,4]\nfunc f(x: f32[1,4]) {\n y = linear x, @w : f32[1,1000000]\n return y\n}",
			Options{Rows: ir.MaxDim}, "lower limits.rows"},
		{"unknown pass", "func f(x: f32[T,4]) {\n y = gelu x : f32[T,4]\n return y\n}",
			Options{Upto: "fuse"}, `unknown pass "fuse"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := ir.Parse(c.name, []byte(head+c.text))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Run(p, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestRunStops checks Upto and After, and that an error of After is the run's.
func TestRunStops(t *testing.T) {
	p := irtest.Read(t, "testdata/route/layer.ir")
	var seen []*Pass
	_, err := Run(p, Options{Upto: Fold.Name, After: func(pass *Pass, _ *ir.Program) error {
		seen = append(seen, pass)
		return nil
	}})
	if want := All[:slices.Index(All, Fold)+1]; err != nil || !slices.Equal(seen, want) {
		t.Errorf("error %v, %d passes, want %d", err, len(seen), len(want))
	}
	stop := errors.New("stop")
	if _, err := Run(p, Options{After: func(*Pass, *ir.Program) error { return stop }}); err != stop {
		t.Errorf("error %v, want that of After", err)
	}
}

// TestRunCatchesBrokenProperties checks that a pass which breaks what an earlier one established is caught.
func TestRunCatchesBrokenProperties(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(p *ir.Program)
		want  string
	}{
		{"verify", func(p *ir.Program) { p.Funcs[0].Values[0].Type = ir.Mat(ir.C(9), 9) }, "does not verify"},
		{"routed", func(p *ir.Program) {
			v := p.Funcs[0].Values[0]
			v.Attrs = v.Op.Sort(v.Attrs.With(ir.SymbolAttr("route", "vl")))
		}, "not routed"},
		{"selected", func(p *ir.Program) { p.Funcs[0].Values[0].Attrs = without(p.Funcs[0].Values[0].Attrs, "kernel") }, "not selected"},
		{"overlapping weights", func(p *ir.Program) { p.Weights[1].Offset = p.Weights[0].Offset }, "not packed"},
		{"weights apart", func(p *ir.Program) {
			for _, w := range p.Weights[1:] {
				w.Offset += weightAlign
			}
		}, "not neighbours"},
		{"layout", func(p *ir.Program) { p.Weights[0].Layout = "" }, "layout"},
		{"a value over another", func(p *ir.Program) { value(p, "a").Offset = value(p, "i").Offset }, "not planned"},
		{"scratch over an argument", func(p *ir.Program) {
			v := value(p, "a")
			v.Attrs = v.Attrs.With(ir.IntAttr("tmp", int(value(p, "c").Offset)))
		}, "writes tmp over c"},
		{"scratch over the result", func(p *ir.Program) {
			v := value(p, "y")
			v.Attrs = v.Attrs.With(ir.IntAttr("hidden", int(v.Offset)))
		}, "not planned"},
		{"outside", func(p *ir.Program) { p.Funcs[0].Arena -= weightAlign }, "want them inside the arena"},
		{"ld", func(p *ir.Program) {
			v := value(p, "a")
			v.Attrs = v.Attrs.With(ir.IntAttr("ld", 8))
		}, "ld is 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := irtest.Read(t, "testdata/plan/layer.ir")
			var set []*Property
			for _, pass := range All {
				if err := apply(pass, p, Options{Rows: rows}, &set); err != nil {
					t.Fatal(err)
				}
			}
			spoil := &Pass{Name: "spoil", Run: func(p *ir.Program, _ Options) error { c.spoil(p); return nil }}
			if err := apply(spoil, p, Options{Rows: rows}, &set); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
	if err := apply(Fold, &ir.Program{Name: "p"}, Options{}, new([]*Property)); err == nil || !strings.Contains(err.Error(), "routed") {
		t.Errorf("fold before route: error %v", err)
	}
}

func value(p *ir.Program, name string) *ir.Value {
	for _, v := range p.Funcs[0].Values {
		if v.Name == name {
			return v
		}
	}
	panic("no value " + name)
}

// FuzzRun: a program that verifies passes all passes or gives an error, and its text after each pass parses back.
func FuzzRun(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.ir")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text := asmtest.Read(f, file)
		before, _, _ := strings.Cut(string(text), "-- after --\n")
		f.Add([]byte(before))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ir.Parse("fuzz", text)
		if err != nil {
			return
		}
		Run(p, Options{Rows: rows, After: func(pass *Pass, p *ir.Program) error {
			text := ir.Print(p)
			again, err := ir.Parse("printed", []byte(text))
			if err != nil {
				t.Fatalf("after %s: what is printed does not parse: %v\n%s", pass.Name, err, text)
			}
			if ir.Print(again) != text {
				t.Fatalf("after %s: what is printed parses to another program\n%s", pass.Name, text)
			}
			return nil
		}})
	})
}

// The time of plan is linear in the values, and too many values that are alive at the same time are an error.
func TestPlanOfManyValues(t *testing.T) {
	const n = 30_000
	var chain strings.Builder
	chain.WriteString("program x T<=4\nfunc f(a: f32[4,4]) {\n  v0 = add a, a : f32[4,4]\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&chain, "  v%d = add v%d, a : f32[4,4]\n", i, i-1)
	}
	p, err := ir.Parse("chain", []byte(chain.String()+fmt.Sprintf("  return v%d\n}\n", n-1)))
	if err == nil {
		_, err = Run(p, Options{})
	}
	if err != nil {
		t.Error(err)
	}
	var alive strings.Builder
	alive.WriteString("program x T<=4\nfunc f(a: f32[4,4]) {\n")
	for i := range n {
		fmt.Fprintf(&alive, "  v%d = add a, a : f32[4,4]\n", i)
	}
	last := "v0"
	for i := 1; i < n; i++ {
		fmt.Fprintf(&alive, "  w%d = add %s, v%d : f32[4,4]\n", i, last, i)
		last = fmt.Sprintf("w%d", i)
	}
	if p, err = ir.Parse("alive", []byte(alive.String()+"  return "+last+"\n}\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(p, Options{}); !errors.Is(err, errWork) {
		t.Errorf("%d values alive at the same time: %v", n, err)
	}
}

// The time of fold is linear in the values, and too many rules for one bundle are an error.
func TestFoldOfManyValues(t *testing.T) {
	scaled := func(n, scales int) *ir.Program {
		var weights, values strings.Builder
		for i := range scales {
			fmt.Fprintf(&weights, "weight @g%d.g f32[4]\n", i)
		}
		last := "x"
		for i := range n {
			fmt.Fprintf(&values, "  a%d = linear %s, @l : f32[4,4]\n  s%d = scale a%d, @g%d : f32[4,4]\n", i, last, i, i, i%scales)
			last = fmt.Sprintf("s%d", i)
		}
		p, err := ir.Parse("scaled", []byte("program x T<=4\nweight @l.w f32[4,4]\nweight @l.b f32[4]\n"+weights.String()+
			"func f(x: f32[4,4]) {\n"+values.String()+"  return "+last+"\n}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const n = 30_000
	p, err := Run(scaled(n, maxFolded/2), Options{Upto: Fold.Name})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(p.Funcs[0].Values); got != n {
		t.Errorf("%d values are left, want the %d linears", got, n)
	}
	if _, err := Run(scaled(n, n), Options{Upto: Fold.Name}); !errors.Is(err, errFolded) {
		t.Errorf("%d scales after one linear: %v", n, err)
	}
}
