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

// level is a CPU level: features that are asked for together. levels lists them, each after its base.
type level struct {
	name string
	base string // the level that it includes; "" for the lowest
	has  bool   // the CPU has what it adds to its base
}

// Levels returns the names of the levels this CPU has, lowest first.
func Levels() []string { return available(levels) }

// available returns the names of the levels that this CPU has.
func available(levels []level) []string {
	var names []string
	for _, l := range levels {
		if l.has && (l.base == "" || slices.Contains(names, l.base)) {
			names = append(names, l.name)
		}
	}
	return names
}

// checkLevel reports an unknown level or one this CPU does not have. from names
// where the level was asked for.
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

// Choose returns the kernels of the level asked for, or for "" of the best that this CPU and the
// tables have, capped by the environment (see [EnvLevel]), and says which kernel runs each
// operation. tables are those of a package, in any order; of a level, that for float32 comes first.
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

// pick chooses the tables for the one of levels that is asked for, lowest first, those of a level as they stand in tables.
func pick(levels []level, tables []*Table, ask string) ([]*Table, error) {
	have := available(levels)
	limit := have[len(have)-1]
	if ask != "" {
		if err := checkLevel("WithLevel", ask, levels); err != nil {
			return nil, err
		}
		limit = ask
	} else if env := os.Getenv(EnvLevel); env != "" {
		if err := checkLevel(EnvLevel, env, levels); err != nil {
			return nil, err
		}
		limit = env
	}
	var picked []*Table
	next := limit
	for _, l := range slices.Backward(levels) {
		if l.name != next {
			continue
		}
		for _, t := range slices.Backward(tables) {
			if t.Level == l.name {
				picked = append(picked, t)
			}
		}
		next = l.base
	}
	if len(picked) == 0 {
		return nil, fmt.Errorf("the package has no kernels for level %s or below; generate it again", limit)
	}
	slices.Reverse(picked)
	return picked, nil
}
