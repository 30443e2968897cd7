package asmtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// telling lists the functions whose arguments are messages for users.
var telling = []string{"Errorf", "Usagef", "New", "Sprintf", "Fprintf", "wrong", "fail", "placed", "log", "logged", "warn"}

var (
	flagNamed  = regexp.MustCompile(`(?:^|[^\w-])--([a-z][a-z-]*)`)
	fieldNamed = regexp.MustCompile("`([a-z_]+): |\\b((?:sizes|preprocess|limits|precision|keys)\\.[a-z_]+)")
	advice     = regexp.MustCompile(`(?i)\b(add|give|take them|takes one|write|leave|leaves|name|overwrite|build|remove|without|lower one|adds|refuses)\b`)
)

// Hint is a message for users that names flags or fields of a description. Flags are without dashes.
type Hint struct {
	Place, Text   string
	Flags, Fields []string
}

// Advises reports whether the message says what to do, judged by the words in it.
func (h Hint) Advises() bool { return advice.MatchString(h.Text) }

// Hints lists the hints in the messages that code in the folders, except tests, passes to functions that make errors or print.
func Hints(t *testing.T, dirs ...string) []Hint {
	t.Helper()
	var all []Hint
	for _, dir := range dirs {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || paths == nil {
			t.Fatal(dir, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				name := ""
				switch f := call.Fun.(type) {
				case *ast.SelectorExpr:
					name = f.Sel.Name
				case *ast.Ident:
					name = f.Name
				}
				if !slices.Contains(telling, name) {
					return true
				}
				for _, arg := range call.Args {
					lit, ok := arg.(*ast.BasicLit)
					if !ok || lit.Kind != token.STRING {
						continue
					}
					h := Hint{Place: set.Position(lit.Pos()).String()}
					if h.Text, err = strconv.Unquote(lit.Value); err != nil {
						t.Fatal(err)
					}
					for _, m := range flagNamed.FindAllStringSubmatch(h.Text, -1) {
						h.Flags = append(h.Flags, m[1])
					}
					for _, m := range fieldNamed.FindAllStringSubmatch(h.Text, -1) {
						h.Fields = append(h.Fields, m[1]+m[2])
					}
					if h.Flags != nil || h.Fields != nil {
						all = append(all, h)
					}
				}
				return true
			})
		}
	}
	return all
}
