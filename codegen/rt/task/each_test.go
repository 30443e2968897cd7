package task

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/rt"
)

// count yields the numbers from 0 on, and sets read to how many were yielded.
func count(n int, read *int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			*read = i + 1
			if !yield(i) {
				return
			}
		}
	}
}

// double is a method for several inputs. Those that bad reports fail.
func double(bad func(int) bool) func(context.Context, []int) ([]string, error) {
	return func(ctx context.Context, all []int) ([]string, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows, errs := make([]string, len(all)), make([]error, len(all))
		failed := false
		for i, x := range all {
			if rows[i] = fmt.Sprint(2 * x); bad(x) {
				failed = true
				rows[i], errs[i] = "", &funcError{"double", &rt.InputError{Index: i, Field: "number", Err: errors.New("it is bad")}}
			}
		}
		if failed {
			return rows, &rt.BatchError{Errs: errs}
		}
		return rows, nil
	}
}

func never(int) bool { return false }

// Results come in order, inputs that fail yield their errors, and never are more inputs read than two calls take.
func TestEach(t *testing.T) {
	for _, n := range []int{0, 1, batch - 1, batch, batch + 1, 2 * batch, 5*batch + 3} {
		read, at, most := 0, 0, 0
		bad := func(x int) bool { return x%10 == 3 }
		for row, err := range Each(t.Context(), count(n, &read), double(bad)) {
			most = max(most, read-at)
			in := (*rt.InputError)(nil)
			switch {
			case !bad(at) && (err != nil || row != fmt.Sprint(2*at)):
				t.Errorf("%d of %d: %q, %v", at, n, row, err)
			case bad(at) && (!errors.As(err, &in) || in.Index != at || row != "" || err.Error() != fmt.Sprintf("double: input %d: number: it is bad", at)):
				t.Errorf("%d of %d, which fails: %q, %v", at, n, row, err)
			}
			at++
		}
		if at != n || most > 2*batch {
			t.Errorf("%d results of %d inputs, of which up to %d were held", at, n, most)
		}
	}
}

// A loop that is left leaves nothing behind: the inputs end, and so does the call under way.
func TestEachEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, leave := range []int{0, 1, batch - 1, batch, 2*batch + 1} {
		read, calls, ended := 0, 0, 0
		many := func(ctx context.Context, all []int) ([]int, error) {
			if calls++; calls > leave/batch+1 {
				<-ctx.Done() // a call that takes for ever
				ended++
				return nil, ctx.Err()
			}
			return all, nil
		}
		at := 0
		for row, err := range Each(t.Context(), count(100*batch, &read), many) {
			if err != nil || row != at {
				t.Fatalf("%d: %v, %v", at, row, err)
			}
			if at == leave {
				break
			}
			at++
		}
		n := runtime.NumGoroutine()
		for until := time.Now().Add(10 * time.Second); n > before && time.Now().Before(until); n = runtime.NumGoroutine() {
			time.Sleep(time.Millisecond) // one that has said that it is done may not have ended
		}
		if n > before || read > leave+2*batch || ended != calls-leave/batch-1 {
			t.Errorf("left at %d: %d goroutines, %d before; %d inputs read; %d of %d calls ended", leave, n, before, read, ended, calls)
		}
	}
}

// An error that is not an input's is yielded once, and is the last.
func TestEachFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, at := 0, 0
	var errs []error
	for _, err := range Each(ctx, count(10*batch, &read), double(never)) {
		if at++; at == batch/2 {
			cancel()
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) != 1 || !errors.Is(errs[0], context.Canceled) || at > 3*batch+1 {
		t.Errorf("%d turns with errors %v, want one of the context", at, errs)
	}
	for _, err := range Each(t.Context(), count(10, &read), func(context.Context, []int) ([]int, error) { return nil, rt.ErrClosed }) {
		if err != rt.ErrClosed {
			t.Errorf("got error %v", err)
		}
		at = -1
	}
	if at != -1 {
		t.Error("no error of a model that is closed")
	}
}

// Each works with the methods of models and of sessions.
func TestEachModel(t *testing.T) {
	m := open(t, nil)
	f := m.Func("text")
	var texts []string
	for i := range 3*batch + 7 {
		texts = append(texts, []string{"a", "ab", "abc"}[i%3])
	}
	want, err := m.Texts(t.Context(), f, texts)
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewSession()
	for name, many := range map[string]func(context.Context, []string) ([][]float32, error){
		"model":   func(ctx context.Context, part []string) ([][]float32, error) { return m.Texts(ctx, f, part) },
		"session": func(ctx context.Context, part []string) ([][]float32, error) { return s.Texts(ctx, f, part) },
	} {
		var got [][]float32
		for row, err := range Each(t.Context(), slices.Values(texts), many) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, slices.Clone(row))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
}
