package build

// SetQuickFLOPs sets how much the quick check interprets and returns what it was.
func SetQuickFLOPs(n int64) int64 {
	old := quickFLOPs
	quickFLOPs = n
	return old
}

// Executables counts what Engines has compiled.
func Executables(c *Engines) int { return len(c.exes) }

// SetTuneFLOPs sets the work above which a model is large and returns what it was.
func SetTuneFLOPs(n int64) int64 {
	old := tuneFLOPs
	tuneFLOPs = n
	return old
}

// Cosine is that of two rows.
func Cosine(x, y []float64) float64 { return cosine(x, y) }
