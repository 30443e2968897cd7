package rt

import (
	"cmp"

	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// Info describes an open model, for people and machines.
type Info struct {
	Package     string        `json:"package"`
	Fingerprint string        `json:"fingerprint"` // see Model.Fingerprint
	Level       string        `json:"level"`       // kernels chosen
	CPULevels   []string      `json:"cpu_levels"`  // this CPU has
	Threads     int           `json:"threads"`     // of a session
	Rows        int           `json:"limit_rows"`
	Text        int           `json:"limit_text"`
	Vocab       int           `json:"vocab"`
	Entries     []exec.Info   `json:"entries"`
	Precision   string        `json:"precision"` // how the weights are stored
	Weights     int64         `json:"weights_bytes"`
	Source      string        `json:"weights_source"` // "embedded" or a path
	HugePages   bool          `json:"huge_pages"`
	ArenaBytes  int64         `json:"arena_bytes"` // of a session; pages never used cost nothing
	Kernels     []kernel.Info `json:"kernels"`
}

// Info describes the model.
func (m *Model) Info() Info {
	p := m.pkg
	i := Info{
		Package: p.Name, Fingerprint: m.Fingerprint(), Level: m.kern.Level, CPULevels: kernel.Levels(), Threads: m.threads,
		Rows: p.Rows, Text: p.Text, Vocab: p.Vocab,
		Precision: cmp.Or(p.Precision, "f32"), Weights: m.blob.Size(), Source: m.blob.Source, HugePages: m.huge,
		ArenaBytes: int64(m.arena), Kernels: append([]kernel.Info(nil), m.names...),
	}
	for _, f := range p.Funcs {
		i.Entries = append(i.Entries, f.Info())
	}
	return i
}
