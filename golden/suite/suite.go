package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
)

// event is a line of go test -json.
type event struct {
	Action     string // start, run, pause, cont, pass, fail, skip, output, build-output, ...
	Package    string
	ImportPath string // package of build-output
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// id is a test of a package, or, with test "", the package itself.
type id struct{ pkg, test string }

func (i id) String() string {
	return strings.TrimSuffix(short(i.pkg)+" "+i.test, " ")
}

// short returns the path of a package without that of this module; "" is the package in its root.
func short(pkg string) string {
	return strings.TrimPrefix(strings.TrimPrefix(pkg, "github.com/multiway-go/multiway"), "/")
}

type suite struct {
	w       io.Writer
	started time.Time

	running  map[id]time.Time
	output   map[id]*strings.Builder
	verdicts map[id]string // verdicts of tests that ended
	parents  map[id]bool   // tests that have subtests
	ran      map[string]bool
	why      map[id]string // output of skipped tests
	failures []id

	passed, failed, skipped int
}

func newSuite(w io.Writer) *suite {
	return &suite{
		w: w, started: time.Now(),
		running: map[id]time.Time{}, output: map[id]*strings.Builder{}, verdicts: map[id]string{},
		parents: map[id]bool{}, ran: map[string]bool{}, why: map[id]string{},
	}
}

// printf prints a line with the elapsed time.
func (s *suite) printf(format string, args ...any) {
	fmt.Fprintf(s.w, "%7s  %s\n", time.Since(s.started).Round(time.Second), fmt.Sprintf(format, args...))
}

// elsewhere matches the line of a test that passed inside another test, which logs its output.
var elsewhere = regexp.MustCompile(`(?m)--- PASS: (\S+)`)

func (s *suite) take(e event) {
	i := id{cmp.Or(e.Package, e.ImportPath), e.Test}
	switch e.Action {
	case "start", "run":
		s.running[i] = time.Now()
		if at := strings.LastIndexByte(e.Test, '/'); at > 0 {
			s.parents[id{e.Package, e.Test[:at]}] = true
		}
	case "pause": // it waits for other tests of the package
		delete(s.running, i)
	case "cont":
		s.running[i] = time.Now()
	case "output", "build-output":
		if s.output[i] == nil {
			s.output[i] = &strings.Builder{}
		}
		s.output[i].WriteString(e.Output)
	case "build-fail":
		s.fail(i)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(i, e)
		} else {
			s.endTest(i, e.Action)
		}
		delete(s.running, i)
		delete(s.output, i)
	}
}

func (s *suite) endTest(i id, verdict string) {
	s.verdicts[i] = verdict
	var text string
	if b := s.output[i]; b != nil {
		text = b.String()
	}
	switch verdict {
	case "pass":
		for _, m := range elsewhere.FindAllStringSubmatch(text, -1) {
			if m[1] != i.test {
				s.ran[m[1]] = true
			}
		}
	case "fail":
		s.fail(i)
	case "skip":
		s.why[i] = reason(text)
	}
}

// fail records a failed test or package and prints its output.
func (s *suite) fail(i id) {
	s.printf("FAIL  %v", i)
	if b := s.output[i]; b != nil {
		fmt.Fprintln(s.w, strings.TrimRight(b.String(), "\n"))
	}
	delete(s.output, i)
	s.failures = append(s.failures, i)
}

// endPackage prints a package's line. The output of failed tests was printed before; the output of a package that failed
// outside of tests is printed now.
func (s *suite) endPackage(i id, e event) {
	if e.Action == "skip" {
		return // it has no tests
	}
	n := map[string]int{}
	for t, verdict := range s.verdicts {
		if t.pkg == i.pkg && !s.parents[t] {
			n[verdict]++
		}
	}
	if e.Action == "fail" {
		for _, t := range slices.SortedFunc(maps.Keys(s.running), func(a, b id) int { return cmp.Compare(a.test, b.test) }) {
			if t.pkg == i.pkg && t.test != "" {
				s.fail(t)
				delete(s.running, t)
				n["fail"]++
			}
		}
		if n["fail"] == 0 || s.broken(i) { // it failed outside of tests: TestMain, a build, a time limit
			s.fail(i)
			n["fail"] = max(1, n["fail"])
		}
	}
	s.passed, s.failed, s.skipped = s.passed+n["pass"], s.failed+n["fail"], s.skipped+n["skip"]
	line := fmt.Sprintf("%-5s %-28s %5.1f s  %d passed", map[string]string{"pass": "ok", "fail": "FAIL"}[e.Action], short(i.pkg), e.Elapsed, n["pass"])
	if n["fail"] > 0 {
		line += fmt.Sprintf(", %d failed", n["fail"])
	}
	if n["skip"] > 0 {
		line += fmt.Sprintf(", %d not run", n["skip"])
	}
	if b := s.output[i]; b != nil && strings.Contains(b.String(), "\t(cached)") {
		line += ", cached"
	}
	s.printf("%s", line)
}

// broken reports whether the output of a package contains a panic.
func (s *suite) broken(i id) bool {
	b := s.output[i]
	return b != nil && strings.Contains(b.String(), "panic: ")
}

// progress prints the running tests: for each package the test without running subtests that has run longest.
func (s *suite) progress() {
	longest := map[string]id{}
	for t, since := range s.running {
		if t.test == "" {
			if _, ok := longest[t.pkg]; !ok {
				longest[t.pkg] = t
			}
			continue
		}
		if s.within(t) {
			continue
		}
		if l, ok := longest[t.pkg]; !ok || l.test == "" || since.Before(s.running[l]) {
			longest[t.pkg] = t
		}
	}
	var lines []string
	for _, t := range longest {
		lines = append(lines, fmt.Sprintf("%v (%s)", t, time.Since(s.running[t]).Round(time.Second)))
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		lines = []string{"go compiles"}
	}
	s.printf("...   %s", strings.Join(lines, ", "))
}

// within reports whether a subtest of the test t is running.
func (s *suite) within(t id) bool {
	for other := range s.running {
		if other.pkg == t.pkg && strings.HasPrefix(other.test, t.test+"/") {
			return true
		}
	}
	return false
}

// logged matches the prefix of a line that a test logs; a testscript also logs its folder after a skip.
var logged = regexp.MustCompile(`^\s*[\w.]+\.go:\d+: (?:WORK=.*)?`)

// reason returns why a test was skipped: the last line that it logged.
func reason(text string) string {
	why := "no reason given"
	for line := range strings.Lines(text) {
		if at := logged.FindString(line); at != "" && len(at) < len(line)-1 {
			why = strings.TrimSpace(line[len(at):])
		}
	}
	return why
}

var lacks = regexp.MustCompile(`^lacks (\S+): `)

// group lists the tests and kernels that did not run for the same reason.
type group struct {
	order   int
	feature string
	takes   string
	kernels []string
	tests   map[string][]string // the tests of each package
}

const kernelTest = "TestKernels/"

// notRun returns the tests that were skipped, grouped by reason, without those that ran inside another test.
func (s *suite) notRun() []*group {
	all := map[string]*group{}
	for _, i := range slices.SortedFunc(maps.Keys(s.why), func(a, b id) int {
		return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.test, b.test))
	}) {
		if s.parents[i] || s.ran[i.test] {
			continue
		}
		g := &group{order: len(asm.Levels) + 1, takes: s.why[i]}
		if m := lacks.FindStringSubmatch(s.why[i]); m != nil {
			g.feature, g.takes = m[1], asmtest.Features[m[1]]
			g.order = slices.IndexFunc(asm.Levels, func(l asm.Level) bool { return string(l.ISA) == m[1] })
			if g.order < 0 {
				g.order = len(asm.Levels)
			}
		}
		key := g.feature + ": " + g.takes
		if all[key] == nil {
			g.tests = map[string][]string{}
			all[key] = g
		}
		g = all[key]
		if name, ok := strings.CutPrefix(i.test, kernelTest); ok {
			g.kernels = append(g.kernels, name)
		} else {
			pkg := cmp.Or(short(i.pkg), ".")
			g.tests[pkg] = append(g.tests[pkg], i.test)
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.feature, b.feature), cmp.Compare(a.takes, b.takes))
	})
}

// end prints the kernels that ran inside other tests, the tests that did not run or failed, and the counts.
func (s *suite) end() {
	var inside []string
	for name := range s.ran {
		if kernel, ok := strings.CutPrefix(name, kernelTest); ok {
			inside = append(inside, kernel)
		}
	}
	if len(inside) > 0 {
		slices.Sort(inside)
		fmt.Fprintf(s.w, "\nRUN inside other tests, %s:\n", count(len(inside), "kernel"))
		s.wrap("", inside)
	}
	groups, n := s.notRun(), 0
	if len(groups) > 0 {
		fmt.Fprintf(s.w, "\nNOT RUN on this %s/%s:\n", runtime.GOOS, runtime.GOARCH)
	}
	for _, g := range groups {
		tests := 0
		for _, names := range g.tests {
			tests += len(names)
		}
		n += len(g.kernels) + tests
		var what []string
		if len(g.kernels) > 0 {
			what = append(what, count(len(g.kernels), "kernel"))
		}
		if tests > 0 {
			what = append(what, count(tests, "test"))
		}
		title := strings.Join(what, " and ")
		if g.feature != "" {
			title = g.feature + ", " + title
		}
		fmt.Fprintf(s.w, "  %s: %s\n", title, g.takes)
		s.wrap("", g.kernels)
		for _, pkg := range slices.Sorted(maps.Keys(g.tests)) {
			s.wrap(pkg+": ", g.tests[pkg])
		}
	}
	if len(s.failures) > 0 {
		fmt.Fprintln(s.w, "\nFAILED:")
		for _, i := range s.failures {
			if !s.parents[i] {
				fmt.Fprintf(s.w, "  %v\n", i)
			}
		}
	}
	fmt.Fprintf(s.w, "\n%d passed, %d failed, %d not run, %s\n", s.passed, s.failed, n, time.Since(s.started).Round(time.Second))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// wrap prints names in lines of at most 120 columns.
func (s *suite) wrap(head string, names []string) {
	const indent, columns = "      ", 120
	line := indent + head
	for i, name := range names {
		if i < len(names)-1 {
			name += ","
		}
		if len(line)+len(name) > columns && strings.TrimSpace(line) != "" {
			fmt.Fprintln(s.w, strings.TrimRight(line, " "))
			line = indent
		}
		line += name + " "
	}
	if strings.TrimSpace(line) != "" {
		fmt.Fprintln(s.w, strings.TrimRight(line, " "))
	}
}
