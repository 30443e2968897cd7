package compile

import (
	"path/filepath"

	"github.com/multiway-go/multiway/ir/precision"
)

// SetQuickFLOPs sets how much the quick check interprets and returns what it was.
func SetQuickFLOPs(n int64) int64 {
	old := quickFLOPs
	quickFLOPs = n
	return old
}

// Executables lists what Engines has compiled, or begun to.
func Executables(c *Engines) ([]string, error) { return filepath.Glob(filepath.Join(c.dir, "*.exe*")) }

// SetTuneFLOPs sets the work above which a model is large and returns what it was.
func SetTuneFLOPs(n int64) int64 {
	old := tuneFLOPs
	tuneFLOPs = n
	return old
}

// Cosine is that of two rows.
func Cosine(x, y []float64) float64 { return cosine(x, y) }

// Stored is how the weights of a model are stored, with what Tuned chose.
func Stored(m *Model) precision.Map { return m.precision() }
