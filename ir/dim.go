package ir

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxDim bounds every constant dimension, so that sizes computed from a hostile
// text or description cannot overflow.
const MaxDim = 1 << 28

// Dim is a dimension: a constant C, or C+T where T is the run-time text length. 0 and T-n
// (with a negative C, for rows from the end of a text) are valid as offsets, but not as
// dimensions.
type Dim struct {
	C int
	T bool
}

// C returns the constant dimension c.
func C(c int) Dim { return Dim{C: c} }

// T is the run-time length.
var T = Dim{T: true}

// At returns the dimension's value when the text has t tokens.
func (d Dim) At(t int) int {
	if d.T {
		return d.C + t
	}
	return d.C
}

// Plus returns d+e; ok is false when both hold T, which no Dim expresses.
func (d Dim) Plus(e Dim) (sum Dim, ok bool) {
	return Dim{C: d.C + e.C, T: d.T || e.T}, !(d.T && e.T)
}

// String prints the dimension in the text form: 197, T or 197+T.
func (d Dim) String() string {
	switch {
	case !d.T:
		return strconv.Itoa(d.C)
	case d.C == 0:
		return "T"
	case d.C < 0:
		return "T" + strconv.Itoa(d.C)
	}
	return strconv.Itoa(d.C) + "+T"
}

// ParseDim reads the form that String prints.
func ParseDim(s string) (Dim, error) {
	if s == "T" {
		return T, nil
	}
	if c, ok := strings.CutPrefix(s, "T-"); ok {
		n, err := strconv.Atoi(c)
		if err != nil || n < 1 || n > MaxDim || strconv.Itoa(n) != c {
			return Dim{}, fmt.Errorf("offset %q, want T- and a number", s)
		}
		return Dim{C: -n, T: true}, nil
	}
	c, t := strings.CutSuffix(s, "+T")
	n, err := strconv.Atoi(c)
	if err != nil || n < 0 || n > MaxDim || strconv.Itoa(n) != c || (t && n == 0) {
		return Dim{}, fmt.Errorf("dimension %q, want a number, T, or number+T", s)
	}
	return Dim{C: n, T: t}, nil
}
