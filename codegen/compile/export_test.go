package compile

// SetQuickFLOPs sets how much the quick check interprets and returns what it was.
func SetQuickFLOPs(n int64) int64 {
	old := quickFLOPs
	quickFLOPs = n
	return old
}
