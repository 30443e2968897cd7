package golden_test

import (
	"go/format"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// howTos returns the how-tos of README's section "Changing it" by their titles.
func howTos(t *testing.T) map[string]string {
	t.Helper()
	text := asmtest.Read(t, "../README.md")
	_, section, _ := strings.Cut(string(text), "\n## Changing it\n")
	section, _, _ = strings.Cut(section, "\n## ")
	all := map[string]string{}
	for _, s := range strings.Split(section, "\n### ")[1:] {
		title, body, _ := strings.Cut(s, "\n")
		all[title] = body
	}
	return all
}

var (
	block   = regexp.MustCompile("(?s) *```.*?```")
	link    = regexp.MustCompile(`\]\(([^)#:]+)\)`)
	code    = regexp.MustCompile("`([^`]+)`")
	like    = regexp.MustCompile("((?:\\[[^]]+\\]\\([^)]+\\)(?: and | or )?)+), like ((?:`[^`]+`(?:, | and )?)+)")
	likeOf  = regexp.MustCompile("like ((?:`[^`]+`(?:, | and )?)+) of (\\[[^]]+\\]\\([^)]+\\))")
	item    = regexp.MustCompile(`(?m)^\d+\. `)
	command = regexp.MustCompile("(?s)Test: `([^`]+)`")
	runFlag = regexp.MustCompile(`-run '?([^' ]+)`)
)

// TestHowTos checks that the files which README says to edit exist and contain the code to copy, and that the tests which it says
// to run exist.
func TestHowTos(t *testing.T) {
	all := howTos(t)
	for _, title := range []string{"A pass", "A primitive op", "A fused op", "A kernel", "An activation", "A tile", "A format of weights",
		"A family of models", "A task", "A command of multiway", "A CPU level"} {
		if all[title] == "" {
			t.Errorf("README has no how-to %q; it has %q", title, slices.Sorted(maps.Keys(all)))
		}
	}
	for title, body := range all {
		t.Run(title, func(t *testing.T) {
			prose := strings.Join(strings.Fields(block.ReplaceAllString(body, "")), " ")
			for _, l := range link.FindAllStringSubmatch(prose, -1) {
				if _, err := os.Stat(filepath.Join("..", l[1])); err != nil {
					t.Error(err)
				}
			}
			pairs := like.FindAllStringSubmatch(prose, -1)
			for _, m := range likeOf.FindAllStringSubmatch(prose, -1) {
				pairs = append(pairs, []string{m[0], m[2], m[1]})
			}
			for _, pair := range pairs {
				for _, file := range link.FindAllStringSubmatch(pair[1], -1) {
					text, err := os.ReadFile(filepath.Join("..", file[1]))
					if err != nil {
						t.Error(err)
						continue
					}
					for _, name := range code.FindAllStringSubmatch(pair[2], -1) {
						if !strings.Contains(string(text), name[1]) {
							t.Errorf("%s does not mention %s any more", file[1], name[1])
						}
					}
				}
			}
			if items := len(item.FindAllString(body, -1)); items < 2 || len(pairs) < items {
				t.Errorf("%d items, and %d files to copy from; want one for each item", items, len(pairs))
			}
			tests := command.FindStringSubmatch(body)
			if tests == nil {
				t.Fatal("no line begins with Test:")
			}
			for part := range strings.SplitSeq(tests[1], "&&") {
				checkTestCommand(t, strings.TrimSpace(part))
			}
		})
	}
}

// checkTestCommand checks that the packages of a go test command exist, and have tests with its names.
func checkTestCommand(t *testing.T, line string) {
	var tests strings.Builder
	for word := range strings.FieldsSeq(line) {
		if !strings.HasPrefix(word, "./") {
			continue
		}
		dir := filepath.Join("..", strings.TrimSuffix(word, "/..."))
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text := asmtest.Read(t, f)
			tests.Write(text)
		}
	}
	if run := runFlag.FindStringSubmatch(line); run != nil {
		for name := range strings.SplitSeq(run[1], "|") {
			name, _, _ = strings.Cut(name, "/")
			if !strings.Contains(tests.String(), "func "+strings.TrimSuffix(name, "$")) {
				t.Errorf("`%s`: no test is called %s", line, name)
			}
		}
	}
}

// newFile matches a file of a how-to's example: its name, and its indented text.
var newFile = regexp.MustCompile("(?s)\\d+\\. `([^`*]+\\.go)`, new[^`]*.*?```go\n(.*?) *```")

// example copies the compiler and adds the example of a how-to to it. rows are the additions to existing files: a file, the line
// to insert before, and the new row.
func example(t *testing.T, howTo string, rows ...[3]string) (root string) {
	t.Helper()
	asmtest.Slow(t)
	root = t.TempDir()
	for _, name := range strings.Fields("go.mod go.sum asm cmd/multiway codegen codegen/rt/token/testdata/wordpiece.txt generated/kernels generated/vlmotiny golden ir passes") {
		err := filepath.WalkDir(filepath.Join("..", name), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() && d.Name() != "testdata" {
				return err
			}
			if d.IsDir() {
				return fs.SkipDir
			}
			if strings.HasSuffix(path, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			asmtest.Write(t, filepath.Join(root, strings.TrimPrefix(path, "..")), text)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	body := howTos(t)[howTo]
	for _, m := range newFile.FindAllStringSubmatch(body, -1) {
		text := outdented(m[2])
		if formatted, err := format.Source([]byte(text)); err != nil || string(formatted) != text {
			t.Errorf("README's %s is not as gofmt writes it (%v):\n%s", m[1], err, formatted)
		}
		asmtest.Write(t, filepath.Join(root, m[1]), text)
	}
	for _, r := range rows {
		file := filepath.Join(root, r[0])
		text := asmtest.Read(t, file)
		if strings.Count(string(text), r[1]) != 1 || !strings.Contains(body, r[2]) {
			t.Fatalf("%s: want one line %q to put %q before, as README says", r[0], r[1], r[2])
		}
		asmtest.Write(t, file, strings.Replace(string(text), r[1], r[2]+"\n"+r[1], 1))
	}
	return root
}

// outdented removes the indentation of list items.
func outdented(text string) string { return strings.ReplaceAll("\n"+text, "\n   ", "\n")[1:] }

// build returns the command with which the compiler at root compiles a description into package dir, which it checks against
// the interpreter.
func build(root, dir, description string) *exec.Cmd {
	cmd := exec.Command("go", "run", "-trimpath", "./cmd/multiway", "build", "-o", dir, description)
	cmd.Dir = root
	return cmd
}

// TestFusedOpOfREADME builds a package with the fused op that README adds. The error of a build with a wrong step names the
// step.
func TestFusedOpOfREADME(t *testing.T) {
	root := example(t, "A fused op", [3]string{"passes/passes.go", "\tNarrow, ", "\tFuseLinTanh, // anywhere among the fusions: no other pattern has a tanh"})
	dir := filepath.Join(t.TempDir(), "vlmotiny")
	asmtest.Run(t, build(root, dir, "generated/vlmotiny/vlmotiny.yaml"))
	text := asmtest.Read(t, filepath.Join(dir, "pair.go"))
	if !strings.Contains(string(text), "e.LinTanh(") {
		t.Errorf("no step LinTanh:\n%s", text)
	}
	step := filepath.Join(root, "codegen/rt/exec/lintanh.go")
	asmtest.Write(t, step, strings.Replace(string(asmtest.Read(t, step)), "e.Tanh(dst, dst)", "e.Gelu(dst, dst)", 1))
	out, err := build(root, dir, "generated/vlmotiny/vlmotiny.yaml").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the first step of pair that differs is `cls_feats = lintanh ") {
		t.Errorf("a build with a step that is not the op's: %v\n%s", err, out)
	}
}

// TestTaskOfREADME builds a package with the task that README adds.
func TestTaskOfREADME(t *testing.T) {
	const table = "\t}\n\ttasks = slices.Concat(tasks, "
	root := example(t, "A task", [3]string{"ir/model/tasks.go", table, "\t\tscore,"})
	body := howTos(t)["A task"]
	_, description, _ := strings.Cut(body, "```yaml\n")
	description, _, _ = strings.Cut(description, "```")
	file := filepath.Join(t.TempDir(), "score.yaml")
	asmtest.Write(t, file, outdented(description))
	dir := filepath.Join(t.TempDir(), "score")
	asmtest.Run(t, build(root, dir, file))
	if _, err := os.Stat(filepath.Join(dir, "vision_score.go")); err != nil {
		t.Error(err)
	}
}
