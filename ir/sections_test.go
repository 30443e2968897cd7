package ir_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
)

// The row of an op that changes the number of rows has to say so.
func TestSectionsOfAnOpThatReduces(t *testing.T) {
	p, err := ir.Parse("p.ir", []byte("program p\nfunc f(x: f32[3,4]) {\n  y = mean x : f32[1,4]\n  return y\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	mean := *ir.OpMean
	p.Funcs[0].Values[0].Op = &mean
	for _, mean.Batch = range []ir.Batch{ir.RowWise, ir.PerSeq} {
		_, err = ir.Sections(p.Funcs[0])
		if want := "y     = mean x : f32[1,4]: the result has 1 rows and x has 3; the row of an op that changes their number (ir/op_*.go) says Batch: Reducing"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A batch is bounded by the rows after the joins, which are as wide as several rows before.
func TestLongestSection(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"rows before a join", "  t = tanh x : f32[16,4]\n  j = join t {side=2 width=4} : f32[4,16]\n  g = gelu j : f32[4,16]\n  k = join g {side=2 width=2} : f32[1,64]\n  m = concat y, y : f32[10,4]\n  return k, m", 5},
		{"rows beside it", "  p = patches image {patch=1} : f32[64,3]\n  j = join x {side=2 width=4} : f32[4,16]\n  return j, p", 64},
		{"rows that attention reads", "  c = attention x, x, x {heads=2} : f32[16,4]\n  j = join c {side=2 width=4} : f32[4,16]\n  return j", 16},
	} {
		p, err := ir.Parse("p.ir", []byte("program p T<=4\nfunc f(image: f32[3,8,8], ids: i32[T], x: f32[16,4], y: f32[5,4]) {\n"+c.body+"\n}\n"))
		if err != nil {
			t.Fatal(err)
		}
		sections, err := ir.Sections(p.Funcs[0])
		if err != nil {
			t.Fatal(err)
		}
		if n := ir.LongestSection(p.Funcs[0], func(v *ir.Value) []ir.Dim { return sections[v] }); n != c.want {
			t.Errorf("%s: got %d, want %d", c.name, n, c.want)
		}
	}
}

func TestSections(t *testing.T) {
	const head = "program p T<=4\nweight @w.w f32[4,4]\n\nfunc f(image: f32[3,4,4], ids: i32[T], x: f32[3,4], y: f32[T,4], z: f32[2+T,4]) {\n"
	for _, row := range []struct {
		name, body string
		want       string // of each value, or a part of the error
	}{
		{"joined", `  j = concat x, y : f32[3+T,4]
  h = linear j, @w : f32[3+T,4]
  l = rows h {at=3 len=T} : f32[T,4]
  s = select h {row=3} : f32[1,4]
  c = attention h, h, h {heads=2} : f32[3+T,4]
  return c`, "j: 3 T; h: 3 T; l: T; s: 1; c: 3 T"},
		{"both in one parameter", "  h = gelu z : f32[2+T,4]\n  v = rows h {at=0 len=2} : f32[2,4]\n  return v", "h: 2 T; v: 2"},
		{"joined twice", "  a = concat x, y : f32[3+T,4]\n  b = concat x, a : f32[6+T,4]\n  r = rows b {at=3 len=3+T} : f32[3+T,4]\n  return r", "a: 3 T; b: 3 3 T; r: 3 T"},
		{"inside a segment", "  r = rows x {at=1 len=2} : f32[2,4]\n  return r", "rows reads whole sections"},
		{"across segments", "  a = concat x, x : f32[6,4]\n  r = rows a {at=2 len=3} : f32[3,4]\n  return r", "rows reads whole sections"},
		{"other runs", "  a = concat x, x : f32[6,4]\n  b = concat a, x : f32[9,4]\n  c = concat x, a : f32[9,4]\n  d = add b, c : f32[9,4]\n  e = rows d {at=0 len=3} : f32[3,4]\n  return e",
			"a: 3 3; b: 3 3 3; c: 3 3 3; d: 3 3 3; e: 3"},
		{"unlike runs", "  a = concat x, x : f32[6,4]\n  b = concat x, y : f32[3+T,4]\n  c = concat x, b : f32[6+T,4]\n  d = concat a, y : f32[6+T,4]\n  g = linear d, @w : f32[6+T,4]\n  k = linear z, @w : f32[2+T,4]\n  l = concat k, a : f32[8+T,4]\n  m = concat a, k : f32[8+T,4]\n  n = add l, m : f32[8+T,4]\n  return n",
			"arrange their rows differently"},
	} {
		t.Run(strings.ReplaceAll(row.name, " ", "-"), func(t *testing.T) {
			p, err := ir.Parse("p.ir", []byte(head+row.body+"\n}\n"))
			if err != nil {
				t.Fatal(err)
			}
			m, err := ir.Sections(p.Func("f"))
			if err != nil {
				if !strings.Contains(err.Error(), row.want) {
					t.Errorf("got error %v, want %q", err, row.want)
				}
				return
			}
			var got []string
			for _, v := range p.Func("f").Values {
				s := v.Name + ":"
				for _, d := range m[v] {
					s += " " + d.String()
				}
				got = append(got, s)
				if ir.TotalRows(m[v]) != v.Type.Rows() {
					t.Errorf("%s has %v rows in runs of %v", v.Name, v.Type.Rows(), m[v])
				}
			}
			if d := cmp.Diff(row.want, strings.Join(got, "; ")); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}
