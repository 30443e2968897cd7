package compile

import (
	"path/filepath"
)

// SetQuickFLOPs sets how much the quick check interprets and returns what it was.
func SetQuickFLOPs(n int64) int64 {
	old := quickFLOPs
	quickFLOPs = n
	return old
}

// Executables lists what Engines has compiled, or begun to.
func Executables(c *Engines) ([]string, error) { return filepath.Glob(filepath.Join(c.dir, "*.exe*")) }
