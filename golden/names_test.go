package golden_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// TestNamedTestsExist checks that tests exist for all names with which tests are run or skipped: an outdated name would silently
// run or skip nothing.
func TestNamedTestsExist(t *testing.T) {
	var all []string
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			for _, m := range declared.FindAllSubmatch(asmtest.Read(t, path), -1) {
				all = append(all, string(m[1]))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	users, err := filepath.Glob("emulated/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	users = append(users, "../README.md", "../Makefile", "../.ci/run", "emulated/bochs/avx512_test.go")
	for _, file := range users {
		for _, name := range regexp.MustCompile(`\bTest[A-Z]\w*`).FindAllString(string(asmtest.Read(t, file)), -1) {
			if !slices.ContainsFunc(all, func(test string) bool { return strings.HasPrefix(test, name) }) {
				t.Errorf("%s names %s, which no test is called", file, name)
			}
		}
	}
}
