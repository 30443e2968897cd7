package kernel

import (
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A level includes its base and no other level.
func TestLevelIncludesItsBases(t *testing.T) {
	levels := []level{{"generic", "", true}, {"left", "generic", true}, {"none", "generic", false}, {"on none", "none", true}, {"right", "generic", true}}
	t.Setenv(EnvLevel, "")
	if got, want := available(levels), []string{"generic", "left", "right"}; !slices.Equal(got, want) {
		t.Errorf("levels %v, want %v", got, want)
	}
	picked, err := pick(levels, []*Table{{Level: "right"}, {Level: "left"}, {Level: "generic"}}, "")
	if err != nil || len(picked) != 2 || picked[0].Level != "generic" || picked[1].Level != "right" {
		t.Errorf("picked %v, %v, want generic, right", picked, err)
	}
	first, second := &Table{Level: "generic"}, &Table{Level: "generic"}
	if picked, _ = pick(levels, []*Table{first, {Level: "right"}, second}, ""); !slices.Equal(picked[:2], []*Table{first, second}) {
		t.Errorf("picked %v, want the tables of a level as they stand", picked)
	}
}

func TestLevels(t *testing.T) {
	have := Levels()
	if have[0] != "generic" {
		t.Fatalf("levels %v", have)
	}
	tables := []*Table{{Level: "neon"}, {Level: "avx512"}, {Level: "generic"}, {Level: "avx2"}}
	t.Setenv(EnvLevel, "")
	for i, l := range have {
		picked, err := pick(levels, tables, l)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range picked {
			if slices.Index(have, k.Level) > i {
				t.Errorf("%s: picked %s", l, k.Level)
			}
		}
		if picked[0].Level != "generic" {
			t.Errorf("%s: lowest is %s", l, picked[0].Level)
		}
	}

	t.Setenv(EnvLevel, "generic")
	if picked, err := pick(levels, tables, ""); err != nil || len(picked) != 1 {
		t.Errorf("capped: %d tables, %v", len(picked), err)
	}
	top := have[len(have)-1]
	if picked, err := pick(levels, tables, top); err != nil || len(have) > 1 && len(picked) < 2 {
		t.Errorf("the variable caps only the default: %d tables, %v", len(picked), err)
	}
	t.Setenv(EnvLevel, "warp9")
	if _, err := pick(levels, tables, ""); err == nil || !strings.Contains(err.Error(), `MULTIWAY_LEVEL: unknown level "warp9"`) {
		t.Errorf("unknown: %v", err)
	}
	foreign := "neon"
	if runtime.GOARCH == "arm64" {
		foreign = "avx2"
	}
	t.Setenv(EnvLevel, foreign)
	if _, err := pick(levels, tables, ""); err == nil || !strings.Contains(err.Error(), "not available on this") {
		t.Errorf("unavailable: %v", err)
	}
}
