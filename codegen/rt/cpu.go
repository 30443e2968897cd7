package rt

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"
)

// EnvLevel is the environment variable that caps the default level.
const EnvLevel = "MULTIWAY_LEVEL"

// level is one step of a ladder of CPU features; each includes those before it
// of its own architecture.
type level struct {
	name string
	arch string // "" any
	has  func() bool
}

var levels = []level{
	{"generic", "", func() bool { return true }},
	{"avx2", "amd64", func() bool { return cpu.X86.HasAVX2 && cpu.X86.HasFMA }},
	{"avx512", "amd64", func() bool {
		return cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
	}},
	{"avx512vnni", "amd64", func() bool { return cpu.X86.HasAVX512VNNI }},
	{"avx512bf16", "amd64", func() bool { return cpu.X86.HasAVX512BF16 }},
	{"neon", "arm64", func() bool { return cpu.ARM64.HasASIMD }},
	{"neondot", "arm64", func() bool { return cpu.ARM64.HasASIMDDP }},
}

// Levels returns the names of the levels this CPU has, lowest first.
func Levels() []string {
	var names []string
	for _, l := range levels {
		if l.arch != "" && l.arch != runtime.GOARCH {
			continue
		}
		if !l.has() {
			break
		}
		names = append(names, l.name)
	}
	return names
}

// knownLevels returns all level names, for error texts.
func knownLevels() string {
	var names []string
	for _, l := range levels {
		names = append(names, l.name)
	}
	return strings.Join(names, ", ")
}

// checkLevel reports an unknown level or one this CPU does not have. from names
// where the level was asked for.
func checkLevel(from, name string, have []string) error {
	if slices.Contains(have, name) {
		return nil
	}
	for _, l := range levels {
		if l.name == name {
			return fmt.Errorf("%s: level %q is not available on this %s CPU; it has %s", from, name, runtime.GOARCH, strings.Join(have, ", "))
		}
	}
	return fmt.Errorf("%s: unknown level %q; known levels are %s", from, name, knownLevels())
}

// pickKernels chooses the tables for the level asked for ("" = the best this CPU
// and the package have, capped by the environment), lowest first.
func pickKernels(tables []*Kernels, ask string) ([]*Kernels, error) {
	have := Levels()
	limit := ask
	if ask != "" {
		if err := checkLevel("WithLevel", ask, have); err != nil {
			return nil, err
		}
	} else if env := os.Getenv(EnvLevel); env != "" {
		if err := checkLevel(EnvLevel, env, have); err != nil {
			return nil, err
		}
		limit = env
	}
	if limit != "" {
		have = have[:slices.Index(have, limit)+1]
	}
	var picked []*Kernels
	for _, l := range have {
		for _, t := range tables {
			if t.Level == l {
				picked = append(picked, t)
			}
		}
	}
	if len(picked) == 0 {
		return nil, fmt.Errorf("the package has no kernels for level %s or below; generate it again", have[len(have)-1])
	}
	return picked, nil
}
