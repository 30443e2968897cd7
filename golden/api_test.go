package golden_test

import (
	"context"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/generated/beit3tiny"
	"github.com/multiway-go/multiway/generated/emoji"
	"github.com/multiway-go/multiway/generated/mwttiny"
	"github.com/multiway-go/multiway/generated/vlmotiny"
)

// computesNothing lists the methods of Model and Session that only open, close or describe.
var computesNothing = strings.Fields("Close Fingerprint Info LogitBias LogitScale LogitScaleVL NewSession Task Verify")

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
	seqsType    = reflect.TypeFor[[]rt.Seq]()
)

// plural returns the name of a method's form for several inputs.
func plural(one string) string {
	for _, suffix := range []string{"VL", "With"} {
		if rest, ok := strings.CutSuffix(one, suffix); ok {
			return plural(rest) + suffix
		}
	}
	if rest, ok := strings.CutSuffix(one, "y"); ok {
		return rest + "ies"
	}
	return one + "s"
}

// TestTypedAPI checks that methods which compute take a context first and return an error last, that Model and Session have the
// same methods, each for one input and for several, and that task.Each accepts the latter.
func TestTypedAPI(t *testing.T) {
	for _, m := range []any{&beit3tiny.Model{}, &emoji.Model{}, &mwttiny.Model{}, &vlmotiny.Model{}} {
		model := reflect.TypeOf(m)
		newSession, _ := model.MethodByName("NewSession")
		session := newSession.Type.Out(0)
		pairs := 0
		for _, typ := range []reflect.Type{model, session} {
			for i := range typ.NumMethod() {
				f := typ.Method(i)
				name := typ.String() + "." + f.Name
				if slices.Contains(computesNothing, f.Name) {
					continue
				}
				if f.Type.NumIn() < 2 || f.Type.In(1) != contextType || f.Type.NumOut() < 1 || f.Type.Out(f.Type.NumOut()-1) != errorType {
					t.Errorf("%s is %v, want a context first and an error last", name, f.Type)
					continue
				}
				// Classes that a model makes are for its sessions, too.
				if f.Name == "Do" || f.Name == "NewClasses" || f.Type.In(2) == seqsType {
					continue
				}
				other := map[reflect.Type]reflect.Type{model: session, session: model}[typ]
				if g, ok := other.MethodByName(f.Name); !ok || g.Type.NumIn() != f.Type.NumIn() || g.Type.Out(0) != f.Type.Out(0) {
					t.Errorf("%s: %v has no such method", name, other)
				}
				if many, ok := typ.MethodByName(plural(f.Name)); ok {
					pairs++
					options := 0
					if strings.HasSuffix(f.Name, "With") {
						options = 1
					}
					if m := many.Type; m.NumIn() != 3+options || m.In(2).Kind() != reflect.Slice || m.NumOut() != 2 || m.Out(0) != reflect.SliceOf(f.Type.Out(0)) {
						t.Errorf("%s.%s is %v, want lists of what %s takes and returns", typ, many.Name, m, f.Name)
					}
				} else if in := f.Type.In(2); in.Kind() != reflect.Slice {
					t.Errorf("%s has no form %s for several inputs", name, plural(f.Name))
				}
			}
		}
		if pairs < 4 {
			t.Errorf("%v: %d methods for one and for several inputs", model, pairs)
		}
	}
}

// TestFirstProgram checks that README's first program, which opens a model and handles a file, its limits and errors, is short.
func TestFirstProgram(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(text), "\n```go\n")
	program, _, _ = strings.Cut(program, "```")
	if n := strings.Count(program, "\n"); !strings.HasPrefix(program, "package main\n") || n >= 25 {
		t.Errorf("it has %d lines, want fewer than 25:\n%s", n, program)
	}
}

// TestGoDoc checks that go doc of a generated package, and of each of its types, fits on two screens.
func TestGoDoc(t *testing.T) {
	for _, name := range []string{"", ".Model", ".Session"} {
		out, err := exec.Command("go", "doc", "../generated/emoji"+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(out), "\n"); n < 10 || n > 100 {
			t.Errorf("go doc of emoji%s has %d lines, want at most 100:\n%s", name, n, out)
		}
	}
}
