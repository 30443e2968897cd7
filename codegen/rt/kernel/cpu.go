package kernel

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

//go:generate go test ../../library -run Homes -update

// EnvLevel is the environment variable that caps the default level.
const EnvLevel = "MULTIWAY_LEVEL"

// level is a CPU level, a set of CPU features. levels lists them, each after its base.
type level struct {
	name string
	base string // the level that it includes; "" for the lowest
	has  bool   // the CPU has the features that it adds to its base
}

// Levels returns the names of the levels this CPU has, lowest first.
func Levels() []string { return available(levels) }

// available returns the names of the levels in the table that this CPU has.
func available(levels []level) []string {
	var names []string
	for _, l := range levels {
		if l.has && (l.base == "" || slices.Contains(names, l.base)) {
			names = append(names, l.name)
		}
	}
	return names
}

// checkLevel returns an error if the level is unknown or this CPU does not have it. from
// says who asked for it.
func checkLevel(from, name string, levels []level) error {
	have := available(levels)
	if slices.Contains(have, name) {
		return nil
	}
	var known []string
	for _, l := range levels {
		known = append(known, l.name)
		if l.name == name {
			return fmt.Errorf("%s: level %q is not available on this %s CPU; it has %s", from, name, runtime.GOARCH, strings.Join(have, ", "))
		}
	}
	return fmt.Errorf("%s: unknown level %q; known levels are %s", from, name, strings.Join(known, ", "))
}

// Choose returns the kernels of level ask and the kernel of each operation. If ask is "", the level is
// the best that this CPU and the tables have, but not above the one in the environment variable
// [EnvLevel]. tables are a package's, in any order, but for each level the float32 table comes first.
func Choose(tables []*Table, ask string) (*Table, []Info, error) {
	picked, err := pick(levels, tables, ask)
	if err != nil {
		return nil, nil, err
	}
	k, info, err := resolve(picked)
	if err == nil && ask != "" {
		k.Level = ask
	}
	return k, info, err
}

// Chain returns the level that Choose would take for ask, of tables for all levels, and those that it includes, highest first. Its
// errors are those of Choose.
func Chain(ask string) ([]string, error) { return chain(levels, ask) }

func chain(levels []level, ask string) ([]string, error) {
	have := available(levels)
	next := have[len(have)-1]
	if ask != "" {
		if err := checkLevel("WithLevel", ask, levels); err != nil {
			return nil, err
		}
		next = ask
	} else if env := os.Getenv(EnvLevel); env != "" {
		if err := checkLevel(EnvLevel, env, levels); err != nil {
			return nil, err
		}
		next = env
	}
	var names []string
	for _, l := range slices.Backward(levels) {
		if l.name == next {
			names = append(names, next)
			next = l.base
		}
	}
	return names, nil
}

// pick returns the tables of the chosen level and of the levels below it, lowest level first. Tables of one level keep their order.
func pick(levels []level, tables []*Table, ask string) ([]*Table, error) {
	names, err := chain(levels, ask)
	if err != nil {
		return nil, err
	}
	var picked []*Table
	for _, name := range slices.Backward(names) {
		for _, t := range tables {
			if t.Level == name {
				picked = append(picked, t)
			}
		}
	}
	if len(picked) == 0 {
		return nil, fmt.Errorf("the package has no kernels for level %s or below; generate it again", names[0])
	}
	return picked, nil
}
