package passes

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/multiway-go/multiway/ir"
)

// After any replacement of arguments, the updated counts equal a new count.
func TestCountsStayRight(t *testing.T) {
	for seed := range int64(50) {
		r := rand.New(rand.NewSource(seed))
		f := &ir.Func{Params: []*ir.Value{{Name: "x"}}}
		values := slices.Clone(f.Params)
		some := func(below int) (args []*ir.Value) {
			for range r.Intn(3) {
				args = append(args, values[r.Intn(below)])
			}
			return args
		}
		for i := range 30 {
			v := &ir.Value{Args: some(i + 1)}
			f.Values, values = append(f.Values, v), append(values, v)
		}
		f.Results = []*ir.Value{values[30], values[17]}
		count := uses(f)
		for step := range 100 {
			i := r.Intn(len(f.Values))
			v := f.Values[i]
			before := v.Args
			v.Args = some(i + 1)
			count.moved(v, before)
			want := uses(f)
			for i, v := range values {
				if count[v] != want[v] {
					t.Fatalf("seed %d, step %d: value %d has %d uses, want %d", seed, step, i, count[v], want[v])
				}
			}
		}
	}
}
