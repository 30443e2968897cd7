package golden_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/multiway-go/multiway/"

// ladder lists what each package may import besides the standard library. A package imports only
// packages of rows above its own, and the packages of a folder are adjacent, so that imports of
// folders have no cycles either. Kernels (asm) and the intermediate representation (ir) are first,
// then rewrites (passes), then the runtime of generated packages (codegen/rt), which knows nothing
// of the compiler, then the compiler (codegen), then tests and commands. Large libraries are
// imported only by leaves.
//
// A path ending in /... stands for itself and everything below it. A new import is a decision about
// the architecture and needs a reason.
var ladder = []rung{
	{path: "asm"}, // plain data: neither the IR's programs nor an emitter
	{path: "asm/asmtest", imports: "asm " + goCmp},
	{path: "asm/amd64", imports: "asm github.com/mmcloughlin/avo/..."},
	{path: "asm/arm64", imports: "asm", tests: "generated/kernels"},

	{path: "ir/file", imports: "golang.org/x/sys/..."}, // a leaf that both sides read and write files by
	{path: "ir/spelling"},
	{path: "ir/half"}, // a leaf
	{path: "ir", imports: "ir/half", tests: "ir/irtest"},
	{path: "ir/irtest", imports: "ir " + goCmp},
	{path: "ir/precision", imports: "ir"},
	{path: "ir/checkpoint", imports: "ir ir/half ir/spelling ir/file"},
	{path: "ir/checkpoint/checkpointtest", imports: "ir ir/checkpoint"}, // for tests only
	{path: "ir/checkpoint/torchsave", imports: "ir/checkpoint ir/file"},
	{path: "ir/model", imports: "asm ir ir/precision ir/spelling ir/file github.com/goccy/go-yaml/..."},

	{path: "passes", imports: "ir ir/precision asm", tests: "ir/irtest"},

	{path: "codegen/rt/interrupt", imports: "ir/file"}, // what main functions end by; it links os/exec and os/signal, which packages of models do not
	{path: "codegen/rt/blob", imports: "ir/file golang.org/x/sys/..."},
	{path: "codegen/rt/kernel", imports: "golang.org/x/sys/...", tests: "codegen/rt/kernel/kerneltest"},
	{path: "codegen/rt/kernel/kerneltest", imports: "codegen/rt/kernel"}, // for tests only
	{path: "codegen/rt/exec", imports: "codegen/rt/blob codegen/rt/kernel", tests: "codegen/rt/kernel/kerneltest"},
	{path: "codegen/rt", imports: "codegen/rt/blob codegen/rt/kernel codegen/rt/exec ir/file", tests: "codegen/rt/kernel/kerneltest generated/kernels generated/beit3tiny golang.org/x/sys/..."},
	{path: "codegen/rt/rttest", imports: "codegen/rt codegen/rt/exec codegen/rt/kernel codegen/rt/kernel/kerneltest codegen/rt/blob asm/asmtest"},
	{path: "codegen/rt/token"},
	{path: "codegen/rt/pixel", imports: "golang.org/x/sys/...", tests: "ir/checkpoint"},
	{path: "codegen/rt/memory"},
	{path: "codegen/rt/flow", imports: "codegen/rt/memory"}, // any inputs and any workers
	{path: "codegen/rt/imagefile/jpeg", imports: "codegen/rt/pixel golang.org/x/sys/..."},
	{path: "codegen/rt/imagefile", imports: "ir/file codegen/rt/memory codegen/rt/pixel codegen/rt/imagefile/jpeg golang.org/x/image/..."},
	{path: "codegen/rt/imagefile/heif", imports: "codegen/rt/imagefile codegen/rt/pixel github.com/tetratelabs/wazero/..."},
	{path: "codegen/rt/imagefile/heif/heiftest", imports: "codegen/rt/imagefile codegen/rt/imagefile/heif asm/asmtest"},
	{path: "codegen/rt/imagefile/heic", imports: "codegen/rt/imagefile codegen/rt/imagefile/heif github.com/gen2brain/heic", tests: "codegen/rt/imagefile/heif/heiftest"}, // LGPL: linked only where it is asked for
	{path: "codegen/rt/imagefile/avif", imports: "codegen/rt/imagefile codegen/rt/imagefile/heif github.com/gen2brain/avif", tests: "codegen/rt/imagefile/heif/heiftest"},
	{path: "codegen/rt/decode"},
	{path: "codegen/rt/plot"}, // for mains: it knows nothing of models
	{path: "codegen/rt/caption", imports: "codegen/rt codegen/rt/exec", tests: "codegen/rt/rttest"},
	{path: "codegen/rt/task", imports: "codegen/rt codegen/rt/exec codegen/rt/caption codegen/rt/token codegen/rt/pixel codegen/rt/imagefile", tests: "codegen/rt/rttest generated/beit3tiny generated/emoji"}, // the load is of compiled models
	{path: "codegen/rt/bench", imports: "codegen/rt codegen/rt/exec codegen/rt/kernel codegen/rt/blob codegen/rt/caption codegen/rt/task codegen/rt/token", tests: "generated/beit3tiny generated/emoji generated/kernels"},
	{path: "codegen/rt/engineproc", imports: "codegen/rt codegen/rt/caption codegen/rt/bench codegen/rt/interrupt", tests: "codegen/rt/rttest"},
	{path: "codegen/rt/index", imports: "codegen/rt/blob codegen/rt/kernel ir/file ir/half go.etcd.io/bbolt/...", tests: "generated/kernels"},
	{path: "codegen/rt/cli", imports: "codegen/rt/... ir/file github.com/spf13/cobra golang.org/x/term", tests: testscript},

	{path: "codegen/library", imports: "ir asm asm/amd64 asm/arm64 ir/file github.com/dave/jennifer/jen"},
	{path: "codegen", imports: "ir asm codegen/rt/blob codegen/rt/exec ir/file codegen/rt/caption codegen/rt/pixel codegen/rt/token github.com/dave/jennifer/jen", tests: "ir/irtest passes codegen/onnx"},
	{path: "codegen/onnx", imports: "ir ir/file", tests: "ir/irtest ir/model ir/checkpoint passes"},
	{path: "codegen/engine", imports: "ir asm codegen codegen/rt/... ir/file", tests: "ir/irtest ir/precision passes codegen/inputs"},
	{path: "codegen/inputs", imports: "ir codegen/rt codegen/rt/caption ir/file codegen/rt/flow codegen/rt/imagefile codegen/rt/pixel codegen/rt/task codegen/rt/token", tests: "ir/model"},
	{path: "codegen/tune", imports: "ir ir/model ir/precision asm passes codegen/inputs codegen/rt", tests: "ir/checkpoint/..."},
	{path: "codegen/compile", imports: "ir ir/model ir/checkpoint ir/precision asm passes codegen codegen/engine codegen/inputs codegen/tune codegen/rt/... ir/file", tests: "ir/checkpoint/torchsave ir/checkpoint/checkpointtest ir/irtest"}, // the one package that sees both ends

	{path: "generated/kernels", imports: "codegen/rt/kernel"},
	{path: "generated/...", imports: "generated/kernels codegen/rt codegen/rt/exec codegen/rt/blob codegen/rt/task codegen/rt/caption codegen/rt/token codegen/rt/pixel", tests: "golden/cases/casetest"}, // packages of models; rt/cli is for mains

	{path: "golden/suite", imports: "asm asm/asmtest"},
	{path: "golden/peers", imports: "codegen/rt/plot"},
	{path: "golden/emulated"}, // drives commands
	{path: "golden/emulated/bochs", imports: "ir/file golang.org/x/sys/...", tests: "asm codegen/engine"},
	{path: "golden/emulated/bochs/init", imports: "golden/emulated/bochs golang.org/x/sys/..."},
	{path: "golden/cases", imports: "ir/checkpoint ir/file"},
	{path: "golden/cases/casetest", imports: "golden/cases codegen/rt codegen/rt/exec codegen/rt/kernel"},
	{path: "golden", imports: "ir ir/model ir/checkpoint ir/precision asm codegen/compile codegen/engine codegen/inputs codegen/rt/... ir/file golden/cases", tests: "asm/amd64 codegen codegen/library passes generated/... golden/cases/casetest golang.org/x/sys/..."},

	{path: "cmd/multiway", imports: "ir/... asm/... passes codegen codegen/compile codegen/onnx codegen/rt/... generated/kernels golden " + "github.com/spf13/cobra github.com/rogpeppe/go-internal/diff", tests: testscript},
	{path: "cmd/emoji", imports: "generated/emoji generated/emoji/source codegen/rt/... ir/file github.com/spf13/cobra", tests: "ir/checkpoint ir/precision codegen codegen/compile " + testscript},
}

// rung lists the imports of a package, and further imports of its tests.
type rung struct{ path, imports, tests string }

const (
	goCmp      = "github.com/google/go-cmp/cmp/..."
	anyTest    = goCmp + " asm/asmtest" // what any test may use: the second says what a machine lacks
	testscript = "github.com/rogpeppe/go-internal/..."
)

// allows reports whether the list has the import.
func allows(list, path string) bool {
	return slices.ContainsFunc(strings.Fields(list), func(p string) bool {
		whole, below := strings.CutSuffix(p, "/...")
		return path == whole || below && strings.HasPrefix(path, whole+"/")
	})
}

// rowOf returns the ladder's row of a package, -1 if there is none.
func rowOf(path string) int {
	return slices.IndexFunc(ladder, func(r rung) bool { return allows(r.path, path) })
}

// buildOutput lists names of folders that tools ignore as build output.
var buildOutput = strings.Fields("bin build builds coverage debug dist lib node_modules obj out output release target third_party tmp vendor")

// TestLadder parses every Go file, whatever its build constraints, and refuses imports that the
// ladder does not list or that are below the package in it.
func TestLadder(t *testing.T) {
	seen := map[string]bool{}
	edges := 0
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "testdata" || path == "bin" || path != "." && strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			if slices.Contains(buildOutput, d.Name()) {
				t.Errorf("%s is called like build output, which tools pass over; call it by what it holds", path)
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		row := rowOf(dir)
		if row < 0 {
			t.Errorf("package %s is not in the ladder: say in this test what it may import", dir)
			return nil
		}
		seen[dir] = true
		list, test := ladder[row].imports, strings.HasSuffix(path, "_test.go")
		if test {
			list += " " + ladder[row].tests + " " + anyTest + " " + dir
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
			if ours && !test && rowOf(imported) >= row {
				t.Errorf("%s imports %s, whose row does not stand above that of %s", path, imported, dir)
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

// TestNoNetwork checks that generated programs link no network code. Their main packages import
// only packages below codegen/rt.
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

// TestLadderOfFolders checks that the packages of each folder are adjacent.
func TestLadderOfFolders(t *testing.T) {
	closed := map[string]string{} // folders, and the package that followed their last one
	var open []string             // those of the row before
	for _, r := range ladder {
		var folders []string
		for dir := strings.TrimSuffix(r.path, "/..."); dir != "."; dir = path.Dir(dir) {
			folders = append(folders, dir)
			if between, ok := closed[dir]; ok {
				t.Errorf("%s stands apart from the other packages of %s: %s is between them", r.path, dir, between)
			}
		}
		for _, dir := range open {
			if !slices.Contains(folders, dir) {
				closed[dir] = r.path
			}
		}
		open = folders
	}
}

// TestLadderIsStrict checks that some forbidden imports are refused.
func TestLadderIsStrict(t *testing.T) {
	for _, edge := range [][2]string{
		{"ir", "asm"},
		{"ir", "github.com/goccy/go-yaml"},
		{"asm", "asm/amd64"},
		{"asm", "github.com/mmcloughlin/avo/build"},
		{"passes", "asm/amd64"},
		{"passes", "codegen"},
		{"codegen", "passes"},
		{"codegen", "asm/amd64"},
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
		{"codegen/compile", "golden/cases"},
		{"generated/emoji", "ir"},
		{"generated/emoji", "codegen/rt/cli"},
	} {
		if allows(ladder[rowOf(edge[0])].imports, edge[1]) {
			t.Errorf("the ladder lets %s import %s", edge[0], edge[1])
		}
	}
}
