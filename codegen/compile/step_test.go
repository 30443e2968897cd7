package compile

import (
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/ir"
)

// TestEveryValue checks that the values in the search for a wrong step can be results, and that a row of joined values is found
// in its part.
func TestEveryValue(t *testing.T) {
	p, err := ir.Parse("f.ir", []byte(`program p T<=4
weight @p.w f32[4,4]
weight @a.q.w f32[4,4]
weight @a.k.w f32[4,4]
weight @a.v.w f32[4,4]
func f(x: f32[2,4], y: f32[T,4]) {
  a = linear x, @p : f32[2,4]
  n = layernorm a {eps=1} : f32[2,4]
  b = linear y, @p : f32[T,4]
  j = concat a, b : f32[2+T,4]
  i = qkv j, @a {heads=2} : f32[2+T,12]
  c = selfattention i {heads=2} : f32[2+T,4]
  r = rows c {at=0 len=2} : f32[2,4]
  g = gelu r : f32[2,4]
  return g, n
}
`))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	all := everyValue(p.Funcs[0])
	for _, v := range all {
		names = append(names, v.Name)
	}
	if got := strings.Join(names, " "); got != "j n c g" {
		t.Errorf("values %s, want j n c g", got)
	}
	j := all[slices.Index(names, "j")]
	for row, want := range []string{"a", "a", "b", "b", "b"} {
		if got := part(j, row, 3); got.Name != want {
			t.Errorf("row %d of j is one of %s, want %s", row, got.Name, want)
		}
	}
}
