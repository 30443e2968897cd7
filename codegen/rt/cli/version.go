package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// modulePath is the path of this module in the build information of programs that link it.
const modulePath = "github.com/multiway-go/multiway"

// build is the origin of a program: its versions and platform.
type build struct {
	Version  string `json:"version"`  // of the main module
	Multiway string `json:"multiway"` // version of this module
	Go       string `json:"go"`
	System   string `json:"system"` // operating system and CPU architecture
}

// builds reads the build information of the program. The version of the main module is the one that
// the go command recorded, or else the revision in version control. An unknown version is (devel), as
// in tests.
func builds() build {
	b := build{Version: "(devel)", Multiway: "(devel)", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = version(&info.Main)
	if b.Version == "(devel)" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Version = s.Value
			}
		}
	}
	if info.Main.Path == modulePath {
		b.Multiway = b.Version
	}
	for _, m := range info.Deps {
		if m.Path == modulePath {
			b.Multiway = version(m)
		}
	}
	return b
}

func version(m *debug.Module) string {
	if m.Replace != nil {
		m = m.Replace
	}
	if m.Version == "" {
		return "(devel)"
	}
	return m.Version
}

// VersionText returns two lines with the version of the program and of its compiler.
func VersionText(name string) string {
	b := builds()
	text := fmt.Sprintf("%s %s\n", name, b.Version)
	if b.Multiway != b.Version {
		text += fmt.Sprintf("multiway %s, ", b.Multiway)
	}
	return text + fmt.Sprintf("%s, %s\n", b.Go, b.System)
}

// version prints the versions of the program and the fingerprint of the model.
func (a *App) version() error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	if a.json {
		return a.Print(struct {
			Binary string `json:"binary"`
			build
			Model       string `json:"model"`
			Fingerprint string `json:"fingerprint"`
		}{a.Name, builds(), m.Package().Name, m.Fingerprint()})
	}
	_, err = fmt.Fprintf(a.Out, "%smodel %s, fingerprint %s\n", VersionText(a.Name), m.Package().Name, m.Fingerprint())
	return err
}
