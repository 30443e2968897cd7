package build

// SetQuickFLOPs sets how much the quick check interprets and returns what it was.
func SetQuickFLOPs(n int64) int64 {
	old := quickFLOPs
	quickFLOPs = n
	return old
}

// Executables counts what Engines has compiled.
func Executables(c *Engines) int { return len(c.exes) }
