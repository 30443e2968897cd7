package asm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Registers notes what the registers of a kernel hold, in the order of the code.
type Registers []holding

// holding says what some registers hold.
type holding struct {
	what  string
	names []string
}

// Add notes what the registers with these names hold. Called again for the same registers, it notes what they hold next.
func (r *Registers) Add(what string, names ...string) {
	if i := slices.IndexFunc(*r, func(h holding) bool { return slices.Equal(h.names, names) }); i >= 0 {
		h := &(*r)[i]
		if all := strings.Split(h.what, ", then "); !slices.Contains(all, what) {
			h.what += ", then " + what
		}
		return
	}
	*r = append(*r, holding{what, names})
}

// Lines returns the register map as lines of a comment, one for each set of registers.
func (r Registers) Lines() []string {
	var lines []string
	for _, h := range r {
		lines = append(lines, fmt.Sprintf("%-9s %s", runs(h.names), h.what))
	}
	return lines
}

// runs joins names with spaces; three or more that count up, such as Z0 Z1 Z2, become Z0..Z2.
func runs(names []string) string {
	number := func(s string) (kind string, n int) {
		kind = strings.TrimRight(s, "0123456789")
		n, err := strconv.Atoi(s[len(kind):])
		if err != nil {
			return s, -1
		}
		return kind, n
	}
	var list []string
	for i := 0; i < len(names); {
		kind, first := number(names[i])
		last := i
		for last+1 < len(names) && first >= 0 {
			if k, n := number(names[last+1]); k != kind || n != first+last+1-i {
				break
			}
			last++
		}
		switch {
		case last > i+1:
			list = append(list, names[i]+".."+names[last])
		default:
			list = append(list, names[i:last+1]...)
		}
		i = last + 1
	}
	return strings.Join(list, " ")
}
