package ir

import (
	"fmt"
	"strconv"
	"strings"
)

// Print returns the program's text. Parse reads it back to the same program, without
// origins and loaders of weights.
func Print(p *Program) string {
	var b strings.Builder
	fmt.Fprintf(&b, "program %s", p.Name)
	if p.MaxT > 0 {
		fmt.Fprintf(&b, " T<=%d", p.MaxT)
	}
	b.WriteByte('\n')
	for _, w := range p.Weights {
		b.WriteString(PrintWeight(w))
		b.WriteByte('\n')
	}
	for _, f := range p.Funcs {
		b.WriteByte('\n')
		b.WriteString(PrintFunc(f))
	}
	return b.String()
}

// PrintWeight returns the line that declares w, without a newline.
func PrintWeight(w *Weight) string {
	s := fmt.Sprintf("weight @%s %v", w.Name, w.Type)
	if w.Export {
		s += " keep"
	}
	if w.Layout != "" {
		s += " layout=" + w.Layout
	}
	return s + offset(w.Offset)
}

// PrintFunc returns the text of one function, ending in a newline.
func PrintFunc(f *Func) string {
	var b strings.Builder
	fmt.Fprintf(&b, "func %s(", f.Name)
	for i, v := range f.Params {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(param(v))
	}
	b.WriteByte(')')
	for i, s := range f.Segments {
		if i == 0 {
			b.WriteString(" segments ")
		} else {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s=%v", s.Name, s.Len)
	}
	if f.Arena > 0 {
		fmt.Fprintf(&b, " arena=%d", f.Arena)
	}
	b.WriteString(" {\n")
	for _, v := range f.Values {
		fmt.Fprintf(&b, "  %s\n", PrintValue(v))
	}
	b.WriteString("  return ")
	for i, v := range f.Results {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(v.Name)
	}
	b.WriteString("\n}\n")
	return b.String()
}

// PrintValue returns the line that defines v, without indent and newline.
func PrintValue(v *Value) string {
	if v.Op == nil {
		return param(v)
	}
	return fmt.Sprintf("%-5s = %s : %v%s", v.Name, right(v), v.Type, offset(v.Offset))
}

func param(v *Value) string {
	s := fmt.Sprintf("%s: %v%s", v.Name, v.Type, offset(v.Offset))
	if v.State {
		return "state " + s
	}
	return s
}

// head returns the line of v as errors quote it: without padding, type and offset, and cut if it is long.
func head(v *Value) string {
	if v.Op == nil {
		return v.Name
	}
	s := v.Name + " = " + right(v)
	if len(s) > 2*maxName {
		return s[:2*maxName] + "..."
	}
	return s
}

// right returns the part of a value's line between = and the type.
func right(v *Value) string {
	var b strings.Builder
	b.WriteString(v.Op.Name)
	for i, a := range v.Args {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(a.Name)
	}
	if v.Bundle != "" {
		if len(v.Args) > 0 {
			b.WriteByte(',')
		}
		b.WriteString(" @" + v.Bundle)
	}
	for i, a := range v.Op.Sort(v.Attrs) {
		if i == 0 {
			b.WriteString(" {")
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(a.String())
	}
	if len(v.Attrs) > 0 {
		b.WriteByte('}')
	}
	return b.String()
}

// String prints the attribute as key=value.
func (a Attr) String() string {
	switch a.Kind {
	case Int:
		return a.Key + "=" + strconv.Itoa(a.Int)
	case Float:
		return a.Key + "=" + strconv.FormatFloat(a.Float, 'g', -1, 64)
	case Length:
		return a.Key + "=" + a.Dim.String()
	}
	return a.Key + "=" + a.Symbol
}

func offset(at int64) string {
	if at < 0 {
		return ""
	}
	return " at " + strconv.FormatInt(at, 10)
}
