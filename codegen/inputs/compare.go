package inputs

import "math"

// Exact names the reference of accuracy in reports.
const Exact = "the model in float64"

// Rows calls f with each row of got and the same row of want; rows have cols columns.
func Rows(got, want []float64, cols int, f func(got, want []float64)) {
	n := max(1, min(cols, len(want)))
	for i := 0; i+n <= len(want); i += n {
		f(got[i:i+n], want[i:i+n])
	}
}

// Cosine returns the cosine of two rows: 1 if both are zero, -1 if one is not finite.
func Cosine(x, y []float64) float64 {
	dot, a, b := 0.0, 0.0, 0.0
	for k := range x {
		dot, a, b = dot+float64(x[k]*y[k]), a+float64(x[k]*x[k]), b+float64(y[k]*y[k])
	}
	if a == 0 && b == 0 {
		return 1
	}
	c := dot / math.Sqrt(a*b)
	if c != c {
		return -1
	}
	return c
}
