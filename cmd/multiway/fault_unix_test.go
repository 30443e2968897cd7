//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

func init() { asmtest.LimitFiles() }

// faults is where a test runs the command: a description of a small model, made from seed 1, with its tokenizer, and a
// folder for temporary files.
type faults struct {
	t         *testing.T
	dir, temp string
}

func newFaults(t *testing.T) *faults {
	t.Helper()
	f := &faults{t, t.TempDir(), t.TempDir()}
	for to, from := range map[string]string{
		"m.yaml": "generated/beit3tiny/beit3tiny.yaml", "labels.txt": "generated/beit3tiny/labels.txt", "tiny.spm": "golden/testdata/tokenizer/tiny.spm",
	} {
		data := asmtest.Read(t, filepath.Join("../..", filepath.FromSlash(from)))
		f.put(to, string(data))
	}
	text := f.read("m.yaml")
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "tokenizer:") {
			text = strings.Replace(text, line, "tokenizer: tiny.spm", 1)
		}
	}
	f.put("m.yaml", text)
	return f
}

func (f *faults) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f *faults) put(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), []byte(text), 0o666); err != nil {
		f.t.Fatal(err)
	}
}

func (f *faults) read(name string) string {
	f.t.Helper()
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

// command is multiway with arguments; names of files in them begin with "./".
func (f *faults) command(args ...string) *exec.Cmd {
	args = slices.Clone(args)
	for i, a := range args {
		if name, ok := strings.CutPrefix(a, "./"); ok {
			args[i] = f.path(name)
		}
	}
	cmd := exec.Command("multiway", args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+f.temp)
	return cmd
}

// run wants the command to end with a status and to say something.
func (f *faults) run(cmd *exec.Cmd, status int, says string) {
	f.t.Helper()
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != status || !strings.Contains(string(out), says) {
		f.t.Errorf("%v: status %d (%v), want %d and %q:\n%s", cmd.Args[1:], code, err, status, says, out)
	}
}

// together wants commands to succeed at the same time, and calls then whenever one has ended.
func (f *faults) together(then func(), commands ...func() *exec.Cmd) {
	f.t.Helper()
	var all []*exec.Cmd
	for _, command := range commands {
		cmd := command()
		if err := cmd.Start(); err != nil {
			f.t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			f.t.Errorf("%v: %v", cmd.Args[1:], err)
		}
		then()
	}
}

// state returns the hashes of the files of a folder, by name, nil if there is none.
func (f *faults) state(name string) map[string]string {
	f.t.Helper()
	var all map[string]string
	err := filepath.WalkDir(f.path(name), func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if all == nil {
			all = map[string]string{}
		}
		if !d.IsDir() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(f.path(name), path)
			if err != nil {
				return err
			}
			all[filepath.ToSlash(name)] = fmt.Sprintf("%x", sha256.Sum256(data))
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func (f *faults) wantState(name string, want map[string]string) {
	f.t.Helper()
	if d := cmp.Diff(want, f.state(name)); d != "" {
		f.t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// clean wants no temporary folder, and no temporary besides what the test has made.
func (f *faults) clean() {
	f.t.Helper()
	for _, dir := range []string{f.temp, f.dir} {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && path != dir && (dir == f.temp || strings.Contains(d.Name(), "multiway-")) {
				f.t.Errorf("%s is left", path)
				if d.IsDir() {
					return fs.SkipDir
				}
			}
			return err
		})
	}
}

func TestFullOutput(t *testing.T) {
	asmtest.Slow(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		asmtest.Missing(t, "full-dev", err.Error())
	}
	defer full.Close()
	f := newFaults(t)
	for _, args := range []string{
		"dump ./m.yaml", "dump --cost ./m.yaml", "dump --diff --after fold ./m.yaml", "presets", "presets --json", "--help", "help build", "--version",
		"golden check --engine interp ../../golden/testdata/encode_t1", "build --check off -o ./p ./m.yaml", "build --check off --json -o ./p ./m.yaml",
		"export --onnx ./v.onnx --entry vision ./m.yaml",
	} {
		cmd := f.command(strings.Fields(args)...)
		cmd.Stdout = full
		var errs bytes.Buffer
		cmd.Stderr = &errs
		err := cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(errs.String(), "no space left on device") {
			t.Errorf("%s: status %d (%v), it says %q", args, code, err, errs.String())
		}
	}
	f.clean()
}

// Where there is no room for an output the command says so, what was there stays, and nothing else does.
func TestFullDisk(t *testing.T) {
	asmtest.Slow(t)
	f := newFaults(t)
	for _, args := range []string{"build --check off -o ./p --binary ./b ./m.yaml", "export --onnx ./v.onnx --external --entry vision ./m.yaml"} {
		f.run(f.command(strings.Fields(args)...), 0, "")
	}
	checkpoint, err := filepath.Abs("../../golden/testdata/encode_t1/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	f.put("i.yaml", "precious")
	before := f.state("")
	f.put("m.yaml", strings.Replace(f.read("m.yaml"), "\nseed: ", "\nseed: 9", 1))
	before["m.yaml"] = f.state("")["m.yaml"]
	for _, test := range []struct {
		most int
		args []string
	}{
		{100 << 10, strings.Fields("build --check off -o ./p ./m.yaml")},                       // the weights
		{100 << 10, strings.Fields("build --check off -o ./new/p ./m.yaml")},                   // and a folder that was made for them
		{len(f.read("b")) - 1, strings.Fields("build --check off --binary ./b ./m.yaml")},      // the weights behind the program
		{100 << 10, strings.Fields("build --binary ./new/b ./m.yaml")},                         // what the go command writes
		{3 << 10, strings.Fields("export --onnx ./v.onnx --external --entry vision ./m.yaml")}, // the second file
		{100, []string{"init", "--force", "--heads", "4", "-o", "./i.yaml", checkpoint}},
	} {
		cmd := f.command(test.args...)
		cmd.Env = append(cmd.Env, fmt.Sprint(asmtest.EnvMaxFile, "=", test.most))
		f.run(cmd, 1, "file too large")
		f.wantState("", before)
	}
	f.clean()
	if _, err := os.Stat(f.path("new")); err == nil {
		t.Error("a folder is left")
	}
}

// An output that is an input is refused before any work, also by a link.
func TestOutputIsNoInput(t *testing.T) {
	f := newFaults(t)
	for to, link := range map[string]func(string, string) error{"hard": os.Link, "soft": os.Symlink} {
		if err := link(f.path("m.yaml"), f.path(to)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"samples", "case"} {
		if err := os.Mkdir(f.path(dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	f.put("samples/a.txt", "a red one\n")
	f.run(f.command("golden", "record", "-o", "./case", "--text", "a", "./m.yaml"), 0, "")
	small := asmtest.Read(t, "../../golden/testdata/encode_t1/model.safetensors")
	f.put("x.safetensors", string(small))
	f.put("x\x01.safetensors", string(small))
	before := f.state("")
	for _, args := range []string{
		"build --binary ./m.yaml ./m.yaml", "build --binary ./hard ./m.yaml", "build --binary ./soft ./m.yaml", "build --binary ./labels.txt ./m.yaml",
		"build --binary ./tiny.spm ./m.yaml", "build --binary ./samples/a.txt --samples ./samples ./m.yaml",
		"init --force -o ./x.safetensors ./x.safetensors", "init --force -o ./x\x01.safetensors ./x\x01.safetensors", "bench --json ./m.yaml ./m.yaml", "export --entry vision --onnx ./p.onnx ./p.onnx",
		"golden record -o ./r --text a ./r/truth.safetensors",
		"build -o ./package --binary ./case/case.json --golden ./case ./m.yaml",
	} {
		if strings.Contains(args, "./p.onnx") {
			if err := os.Symlink(f.path("m.yaml"), f.path("p.onnx")); err != nil {
				t.Fatal(err)
			}
			before["p.onnx"] = before["m.yaml"]
		}
		if strings.Contains(args, "./r/") {
			if err := os.Mkdir(f.path("r"), 0o777); err != nil {
				t.Fatal(err)
			}
			f.put("r/truth.safetensors", strings.ReplaceAll(strings.ReplaceAll(f.read("m.yaml"), "tiny.spm", "../tiny.spm"), "labels.txt", "../labels.txt"))
			before["r/truth.safetensors"] = f.state("r")["truth.safetensors"]
		}
		f.run(f.command(strings.Fields(args)...), 1, ": the output would replace the input ")
		f.wantState("", before)
	}
	f.clean()
}

// until starts a command and waits for a line of its standard error that begins with what. The rest of it is read on.
func (f *faults) until(cmd *exec.Cmd, what string) (rest func() string) {
	f.t.Helper()
	errs, err := cmd.StderrPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	r := bufio.NewReader(errs)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			f.t.Fatalf("%v ended before it said %q", cmd.Args[1:], what)
		}
		if strings.HasPrefix(line, what) {
			break
		}
	}
	return func() string {
		text, _ := io.ReadAll(r)
		cmd.Wait()
		return string(text)
	}
}

// A signal ends a command whatever it does, and nothing unfinished stays.
func TestSignals(t *testing.T) {
	asmtest.Slow(t)
	build := strings.Fields("build -o ./new/p --binary ./new/b ./m.yaml")
	for _, test := range []struct {
		args   []string
		says   string // when the signal comes
		signal syscall.Signal
	}{
		{build, "multiway: packing", syscall.SIGINT},
		{build, "multiway: checking", syscall.SIGTERM}, // the go command runs
		{build, "multiway: building", syscall.SIGINT},
		{strings.Fields("golden record -o ./new/case --text red ./m.yaml"), "multiway: compiling to plain Go", syscall.SIGTERM},
		{strings.Fields("bench --entry language --tokens 4 --time 1000s ./m.yaml"), "multiway: timing", syscall.SIGINT}, // the program that it compiled runs
	} {
		t.Run(test.args[0]+test.says, func(t *testing.T) {
			f := newFaults(t)
			cmd := f.command(test.args...)
			rest := f.until(cmd, test.says)
			time.Sleep(20 * time.Millisecond) // into the work
			begun := time.Now()
			cmd.Process.Signal(test.signal)
			text := rest()
			if took := time.Since(begun); took > 30*time.Second { // well under a second, unless other processes take the CPU
				t.Errorf("it took %v to end", took)
			}
			if code := cmd.ProcessState.ExitCode(); code != 128+int(test.signal) || !strings.HasSuffix("\n"+text, "\nmultiway: interrupted\n") {
				t.Errorf("status %d, it says %q", code, text)
			}
			f.clean()
			if _, err := os.Stat(f.path("new")); err == nil {
				t.Errorf("a folder is left with %v", f.state("new"))
			}
		})
	}
}

// A killed build leaves the old package or the new one, or one that does not compile and says why; the next build mends
// it and removes what is left.
func TestKill(t *testing.T) { asmtest.Slow(t); kills(t, 6) }

func TestSoakKill(t *testing.T) {
	asmtest.Soak(t)
	kills(t, 200)
}

func kills(t *testing.T, rounds int) {
	const seed = 14
	random := rand.New(rand.NewPCG(seed, 0))
	f := newFaults(t)
	text := f.read("m.yaml")
	build := func(i int) *exec.Cmd {
		f.put("m.yaml", strings.Replace(text, "\nseed: ", fmt.Sprint("\nseed: ", i%2), 1))
		return f.command("build", "--check", "off", "-o", "./p", "./m.yaml")
	}
	var whole [2]map[string]string
	begun := time.Now()
	for i := range whole {
		f.run(build(i), 0, "")
		whole[i] = f.state("p")
	}
	if cmp.Equal(whole[0], whole[1]) {
		t.Fatal("two seeds give one package")
	}
	each := time.Since(begun) / 2
	count := map[string]int{}
	for i := range rounds {
		cmd := build(i)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			time.Sleep(time.Duration(random.Int64N(int64(each) * 5 / 4)))
		} else { // when the names change
			for deadline := time.Now().Add(each); time.Now().Before(deadline); {
				if left, err := filepath.Glob(f.path("p/.model.go.multiway-*")); err != nil || len(left) > 0 {
					break
				}
			}
			time.Sleep(time.Duration(random.Int64N(int64(10 * time.Millisecond))))
		}
		cmd.Process.Kill()
		cmd.Wait()
		state := f.state("p")
		for n := range state {
			if strings.Contains(n, ".multiway-") {
				delete(state, n)
			}
		}
		weights := state["weights.bin"]
		of := -1 // whose code it is; a kill may leave what the one before left
		for j := range whole {
			if state["weights.bin"] = whole[j]["weights.bin"]; cmp.Equal(state, whole[j]) {
				of = j
			}
		}
		state["weights.bin"] = weights
		switch {
		case of >= 0 && weights == whole[of]["weights.bin"]:
			count["whole"]++
		case state["model.go"] == "":
			count["without model.go"]++ // every other file refers to it
		case of >= 0 && weights == whole[1-of]["weights.bin"]:
			count["with other weights"]++ // whose hash it does not take
		default:
			t.Errorf("seed %d, kill %d: a mixture that nothing tells:\n%s", seed, i, cmp.Diff(whole[i%2], state))
		}
	}
	t.Logf("%d kills left packages: %v", rounds, count)
	f.run(build(0), 0, "")
	f.wantState("p", whole[0])
	f.clean()
}

func TestKillRecord(t *testing.T) { asmtest.Slow(t); killRecords(t, 2) }

func TestSoakKillRecord(t *testing.T) {
	asmtest.Soak(t)
	killRecords(t, 40)
}

// A killed recording leaves the old case, the new one, or one that says that its files are not of one recording.
func killRecords(t *testing.T, rounds int) {
	const seed = 15
	random := rand.New(rand.NewPCG(seed, 0))
	f := newFaults(t)
	record := func(i int) *exec.Cmd {
		return f.command("golden", "record", "-o", "./c", "--entry", "language", "--text", []string{"red", "two dogs"}[i%2], "./m.yaml")
	}
	check := func() *exec.Cmd {
		return f.command("golden", "check", "--engine", "interp", "--model", "./m.yaml", "./c")
	}
	begun := time.Now()
	f.run(record(0), 0, "")
	each := time.Since(begun)
	f.run(check(), 0, "")
	for i := range rounds {
		cmd := record(1 + i)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(each) * 5 / 4)))
		cmd.Process.Kill()
		cmd.Wait()
		out, err := check().CombinedOutput()
		if err != nil && !strings.Contains(string(out), "it does not belong to the case.json in its folder") {
			t.Errorf("seed %d, kill %d: %v\n%s", seed, i, err, out)
		}
	}
	f.run(record(0), 0, "")
	f.run(check(), 0, "")
	f.clean()
}

// Builds and exports of different models into one folder at the same time leave the files of one of them.
func TestConcurrentPackages(t *testing.T) {
	asmtest.Slow(t)
	for _, command := range []string{"build --check off --weights file -o ./p", "export --external --onnx ./p"} {
		f := newFaults(t)
		text := f.read("m.yaml")
		var builds []func() *exec.Cmd
		var whole []map[string]string
		for i, name := range []string{"a.yaml", "b.yaml", "c.yaml"} {
			f.put(name, strings.Replace(text, "\nseed: ", fmt.Sprint("\nseed: ", i), 1))
			builds = append(builds, func() *exec.Cmd { return f.command(append(strings.Fields(command), "./"+name)...) })
			f.run(builds[i](), 0, "")
			whole = append(whole, f.state("p"))
		}
		for range 3 {
			f.together(func() {}, builds...)
			if state := f.state("p"); !slices.ContainsFunc(whole, func(w map[string]string) bool { return cmp.Equal(w, state) }) {
				t.Errorf("%s: the files are of none of the three:\n%s", command, cmp.Diff(whole[0], state))
			}
		}
		f.clean()
	}
}

// Builds of one binary at the same time each leave a whole one.
func TestConcurrentBinaries(t *testing.T) { asmtest.Slow(t); builds(t, 1) }

func TestSoakConcurrentBinaries(t *testing.T) {
	asmtest.Soak(t)
	builds(t, 20)
}

func builds(t *testing.T, rounds int) {
	f := newFaults(t)
	build := func() *exec.Cmd { return f.command("build", "--check", "off", "--binary", "./b", "./m.yaml") }
	for range rounds {
		f.together(func() {
			if out, err := exec.Command(f.path("b"), "info").CombinedOutput(); err != nil {
				t.Errorf("the binary: %v\n%s", err, out)
			}
		}, build, build, build)
	}
	f.clean()
}
