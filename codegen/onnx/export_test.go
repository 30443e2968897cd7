package onnx

// SetInlineLimit sets the size of weights above which they need a second file and
// returns what it was.
func SetInlineLimit(n int64) int64 {
	old := inlineLimit
	inlineLimit = n
	return old
}
