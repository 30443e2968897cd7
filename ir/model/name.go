package model

import (
	"go/token"
	"path/filepath"
	"strings"
)

func (d *Description) completeName() *problem {
	if d.Name == "" {
		switch {
		case d.Preset != "":
			d.Name = strings.ReplaceAll(d.Preset, "-", "_")
		case d.File != "":
			d.Name = NameOf(d.File)
		default:
			d.Name = defaultName
		}
	}
	if len(d.Name) > 64 || identifier(d.Name) != d.Name {
		return wrong("name", " is %s, want the name of a Go package to import: lower-case letters, digits and _, a letter first, at most 64; for example %s", quote(d.Name), identifier(d.Name))
	}
	return nil
}

// NameOf returns the default name of the model of a description's file: the name of the file,
// or, if that is only "model", of its folder, as a valid name of a Go package.
func NameOf(path string) string {
	path = strings.TrimSuffix(path, ".index.json")
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	base, folder := filepath.Base(abs), filepath.Base(filepath.Dir(abs))
	for _, s := range []string{strings.TrimSuffix(base, filepath.Ext(base)), folder} {
		if name := identifier(s); name != defaultName {
			return name
		}
	}
	return "my" + defaultName
}

// defaultName is the name of a model if there is no better one.
const defaultName = "model"

// identifier turns s into a Go package name, or defaultName if nothing in s can be one.
func identifier(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, s[:min(len(s), 64)])
	s = strings.TrimLeft(s, "_0123456789")
	s = strings.TrimSuffix(s, "_test") // a suffix that go reserves for packages of tests
	if s == "" || s == "main" || token.IsKeyword(s) {
		return defaultName
	}
	return s
}
