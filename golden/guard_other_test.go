//go:build !unix

package golden_test

import "testing"

// newFence returns n floats. Only on unix are the pages around them protected.
func newFence(_ testing.TB, n int) []float32 { return make([]float32, n) }
