package golden_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/multiway-go/multiway/"

// ladder says what each package may import besides the standard library. Imports go
// one way: what a model is (ir), then kernels (asm) and rewrites (passes), then the
// emitter (codegen), then judges and commands. What generated packages link to
// (codegen/rt) knows nothing of the compiler. The heavy libraries sit in leaves.
//
// A path ending in /... stands for itself and everything below it. An edge that the table lacks
// is a decision about the architecture: it belongs here only with a reason.
var ladder = map[string]rung{
	"ir":            {tests: "ir/irtest"},
	"ir/irtest":     {imports: "ir " + goCmp},
	"ir/model":      {imports: "ir ir/precision ir/spelling codegen/rt/file github.com/goccy/go-yaml/..."},
	"ir/precision":  {imports: "ir"},
	"ir/checkpoint": {imports: "ir ir/spelling codegen/rt/file"},
	"ir/spelling":   {},

	"ir/checkpoint/torchsave": {imports: "ir/checkpoint codegen/rt/file"},

	"asm":         {}, // plain data: neither the IR's programs nor an emitter
	"asm/asmtest": {imports: "asm " + goCmp},
	"asm/amd64":   {imports: "asm github.com/mmcloughlin/avo/..."},
	"asm/arm64":   {imports: "asm", tests: "generated/kernels"},
	"passes":      {imports: "ir ir/precision asm", tests: "ir/irtest"},

	"codegen":        {imports: "ir asm asm/amd64 asm/arm64 codegen/rt/blob codegen/rt/exec codegen/rt/file codegen/rt/caption codegen/rt/pixel codegen/rt/token github.com/dave/jennifer/jen", tests: "passes codegen/onnx"},
	"codegen/engine": {imports: "ir asm codegen codegen/rt/...", tests: "ir/irtest passes codegen/inputs"},
	"codegen/inputs": {imports: "ir codegen/rt codegen/rt/caption codegen/rt/file codegen/rt/imagefile codegen/rt/pixel codegen/rt/task codegen/rt/token", tests: "ir/model"},
	"codegen/tune":   {imports: "ir ir/model ir/precision asm passes codegen/inputs codegen/rt", tests: "ir/checkpoint"},
	"codegen/compile": {imports: "ir ir/model ir/checkpoint ir/precision asm passes codegen codegen/engine codegen/inputs codegen/tune codegen/rt/...", // the one package that sees both ends
		tests: "ir/checkpoint/torchsave ir/irtest"},

	"codegen/onnx": {imports: "ir codegen/rt/file", tests: "ir/model ir/checkpoint passes"},

	"codegen/rt/file":                    {imports: "golang.org/x/sys/..."}, // a leaf that both sides read and write files by
	"codegen/rt/interrupt":               {imports: "codegen/rt/file"},      // what main functions end by; it links os/exec and os/signal, which packages of models do not
	"codegen/rt/blob":                    {imports: "codegen/rt/file golang.org/x/sys/..."},
	"codegen/rt/kernel":                  {imports: "golang.org/x/sys/...", tests: "codegen/rt/kernel/kerneltest"},
	"codegen/rt/kernel/kerneltest":       {imports: "codegen/rt/kernel"}, // for tests only
	"codegen/rt/exec":                    {imports: "codegen/rt/blob codegen/rt/kernel", tests: "codegen/rt/kernel/kerneltest"},
	"codegen/rt":                         {imports: "codegen/rt/blob codegen/rt/kernel codegen/rt/exec codegen/rt/file", tests: "codegen/rt/kernel/kerneltest generated/kernels golang.org/x/sys/..."},
	"codegen/rt/token":                   {},
	"codegen/rt/pixel":                   {imports: "golang.org/x/sys/...", tests: "ir/checkpoint"},
	"codegen/rt/imagefile":               {imports: "codegen/rt/file codegen/rt/pixel codegen/rt/imagefile/jpeg golang.org/x/image/..."},
	"codegen/rt/imagefile/heif":          {imports: "codegen/rt/imagefile codegen/rt/pixel github.com/tetratelabs/wazero/..."},
	"codegen/rt/imagefile/heif/heiftest": {imports: "codegen/rt/imagefile codegen/rt/imagefile/heif asm/asmtest"},
	"codegen/rt/imagefile/heic":          {imports: "codegen/rt/imagefile codegen/rt/imagefile/heif github.com/gen2brain/heic", tests: "codegen/rt/imagefile/heif/heiftest"}, // LGPL: linked only where it is asked for
	"codegen/rt/imagefile/avif":          {imports: "codegen/rt/imagefile codegen/rt/imagefile/heif github.com/gen2brain/avif", tests: "codegen/rt/imagefile/heif/heiftest"},
	"codegen/rt/imagefile/jpeg":          {imports: "codegen/rt/pixel golang.org/x/sys/..."},
	"codegen/rt/caption":                 {imports: "codegen/rt codegen/rt/exec", tests: "codegen/rt/rttest"},
	"codegen/rt/task": {imports: "codegen/rt codegen/rt/exec codegen/rt/caption codegen/rt/token codegen/rt/pixel",
		tests: "codegen/rt/rttest generated/beit3tiny generated/emoji"}, // the load is of compiled models
	"codegen/rt/engineproc": {imports: "codegen/rt codegen/rt/caption codegen/rt/bench codegen/rt/interrupt", tests: "codegen/rt/rttest"},
	"codegen/rt/rttest":     {imports: "codegen/rt codegen/rt/exec codegen/rt/kernel codegen/rt/blob"},
	"codegen/rt/bench":      {imports: "codegen/rt codegen/rt/exec codegen/rt/kernel codegen/rt/blob codegen/rt/task", tests: "generated/beit3tiny generated/emoji"},
	"codegen/rt/cli": {imports: "codegen/rt/... github.com/spf13/cobra golang.org/x/term",
		tests: testscript},

	"generated/kernels": {imports: "codegen/rt/kernel"},

	"golden/emulated":            {}, // drives commands
	"golden/emulated/bochs":      {imports: "codegen/rt/file golang.org/x/sys/...", tests: "asm codegen/engine"},
	"golden/emulated/bochs/init": {imports: "golden/emulated/bochs golang.org/x/sys/..."},

	"golden/suite":          {imports: "asm asm/asmtest"},
	"golden/cases":          {imports: "ir/checkpoint codegen/rt/file"},
	"golden/cases/casetest": {imports: "golden/cases codegen/rt codegen/rt/exec codegen/rt/kernel"},
	"golden": {imports: "ir ir/model ir/checkpoint ir/precision asm codegen/compile codegen/engine codegen/inputs codegen/rt/... golden/cases",
		tests: "asm/amd64 codegen passes generated/... golden/cases/casetest golang.org/x/sys/..."},
	"cmd/multiway": {imports: "ir/... asm/... passes codegen codegen/compile codegen/onnx codegen/rt/... generated/kernels golden " +
		"github.com/spf13/cobra github.com/rogpeppe/go-internal/diff", tests: testscript},
	"cmd/emoji": {imports: "generated/emoji generated/emoji/source codegen/rt/... github.com/spf13/cobra", tests: "ir/checkpoint ir/precision codegen codegen/compile " + testscript},
}

// rung holds the imports of a package, and those that its tests add.
type rung struct{ imports, tests string }

const (
	goCmp      = "github.com/google/go-cmp/cmp/..."
	anyTest    = goCmp + " asm/asmtest" // what any test may use: the second says what a machine lacks
	testscript = "github.com/rogpeppe/go-internal/..."
)

// generatedRung is what every package of a model under generated may import; rt/cli is for
// mains.
var generatedRung = rung{imports: "generated/kernels codegen/rt codegen/rt/exec codegen/rt/blob codegen/rt/task codegen/rt/caption codegen/rt/token codegen/rt/pixel", tests: "golden/cases/casetest"}

// allows reports whether the list has the import.
func allows(list, path string) bool {
	return slices.ContainsFunc(strings.Fields(list), func(p string) bool {
		whole, below := strings.CutSuffix(p, "/...")
		return path == whole || below && strings.HasPrefix(path, whole+"/")
	})
}

// TestLadder parses every Go file, whatever its build constraints, and refuses
// imports that the ladder does not have.
func TestLadder(t *testing.T) {
	seen := map[string]bool{}
	edges := 0
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "testdata" || name == "bin" || path != "." && strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		r, known := ladder[dir]
		if !known && strings.HasPrefix(dir, "generated/") {
			r, known = generatedRung, true
		}
		if !known {
			t.Errorf("package %s is not in the ladder: say in this test what it may import", dir)
			return nil
		}
		seen[dir] = true
		list := r.imports
		if strings.HasSuffix(path, "_test.go") {
			list += " " + r.tests + " " + anyTest + " " + dir
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", path), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			own, ours := strings.CutPrefix(imported, module)
			if first, _, _ := strings.Cut(imported, "/"); !ours && !strings.Contains(first, ".") {
				if imported == "C" {
					t.Errorf("%s imports C; no package needs a C compiler", path)
				}
				continue // the standard library
			}
			edges++
			if ours {
				imported = own
			}
			if !allows(list, imported) {
				t.Errorf("%s imports %s, which the ladder does not allow: %s may import only %q", path, imported, dir, strings.TrimSpace(list))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if edges < 50 || len(seen) < 15 {
		t.Errorf("%d packages with %d imports were looked at; the walk is broken", len(seen), edges)
	}
}

// TestNoNetwork holds that programs which never speak to a network link nothing that does.
// What a generated main imports is below codegen/rt.
func TestNoNetwork(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../cmd/...", "../codegen/rt/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, module+"codegen/rt/cli") || !slices.Contains(deps, "os") {
		t.Fatalf("go list gives %d packages, not those that are linked", len(deps))
	}
	for _, p := range []string{"net/http", "crypto/tls"} {
		if slices.Contains(deps, p) {
			t.Errorf("%s is linked; go list -deps and go mod why say what brings it", p)
		}
	}
}

// TestLadderIsStrict holds that the table says no where it should.
func TestLadderIsStrict(t *testing.T) {
	for _, edge := range [][2]string{
		{"ir", "asm"},
		{"ir", "github.com/goccy/go-yaml"},
		{"asm", "asm/amd64"},
		{"asm", "github.com/mmcloughlin/avo/build"},
		{"passes", "asm/amd64"},
		{"passes", "codegen"},
		{"codegen", "passes"},
		{"codegen", "ir/model"},
		{"codegen/tune", "codegen/compile"},
		{"codegen/rt", "ir"},
		{"codegen/rt", "codegen/rt/token"},
		{"codegen/rt/blob", "codegen/rt/kernel"},
		{"codegen/rt/kernel", "codegen/rt/blob"},
		{"codegen/rt/exec", "codegen/rt"},
		{"codegen/rt/token", "golang.org/x/text"},
		{"codegen/rt/task", "github.com/spf13/cobra"},
		{"golden", "generated/kernels"},
		{"golden/cases", "asm/amd64"},
		{"cmd/multiway", "generated/emoji"},
	} {
		if allows(ladder[edge[0]].imports, edge[1]) {
			t.Errorf("the ladder lets %s import %s", edge[0], edge[1])
		}
	}
	if allows(generatedRung.imports, "ir") || allows(generatedRung.imports, "codegen/rt/cli") {
		t.Errorf("generated packages may import %q", generatedRung.imports)
	}
}
