package ir

import (
	"fmt"
	"strings"
)

// Verify checks names, the order of values, argument counts, weights, attributes,
// segments, and that every type equals the inferred one. The error quotes the function
// and the value's line, and says what was found and what is wanted.
func Verify(p *Program) error {
	if err := verify(p); err != nil {
		return err
	}
	return nil
}

// verifyError is an error and the line it is about, for Parse to add the place.
type verifyError struct {
	fn    *Func   // nil: outside of functions
	value *Value  // nil: the function as a whole
	w     *Weight // nil: not about a weight's declaration
	err   error
}

func (e *verifyError) Error() string {
	if e.fn == nil {
		return e.err.Error()
	}
	return e.fn.Name + ": " + e.err.Error()
}

// MaxText bounds MaxT.
const MaxText = 1 << 20

func verify(p *Program) *verifyError {
	fail := func(w *Weight, format string, args ...any) *verifyError {
		return &verifyError{w: w, err: fmt.Errorf(format, args...)}
	}
	if !isProgramName(p.Name) {
		return fail(nil, "program name %q: want letters, digits, _ . and - after a letter", p.Name)
	}
	if p.MaxT < 0 || p.MaxT > MaxText {
		return fail(nil, "program %s: T<=%d, want 1 to %d", p.Name, p.MaxT, MaxText)
	}
	seen := map[string]bool{}
	for _, w := range p.Weights {
		switch {
		case !isBundle(w.Name) || strings.Contains(w.Name, "*") || !strings.Contains(w.Name, "."):
			return fail(w, "weight name @%s: want a bundle, a dot and a field, such as @l0.attn.q.w", w.Name)
		case seen[w.Name]:
			return fail(w, "weight @%s is declared twice", w.Name)
		case w.Layout != "" && !isSymbol(w.Layout):
			return fail(w, "weight @%s: layout is %q, want a symbol: a letter, then letters, digits, _ and -", w.Name, w.Layout)
		}
		seen[w.Name] = true
		if err := checkWeightType(w.Type); err != nil {
			return fail(w, "weight @%s is %v: %w", w.Name, w.Type, err)
		}
	}
	q := p.indexed()
	funcs := map[string]bool{}
	for _, f := range p.Funcs {
		if funcs[f.Name] {
			return &verifyError{fn: f, err: fmt.Errorf("function is defined twice")}
		}
		funcs[f.Name] = true
		if err := verifyFunc(q, f); err != nil {
			return err
		}
	}
	return nil
}

func verifyFunc(p *Program, f *Func) *verifyError {
	fail := func(v *Value, format string, args ...any) *verifyError {
		err := fmt.Errorf(format, args...)
		if v != nil {
			err = fmt.Errorf("%s: %w", head(v), err)
		}
		return &verifyError{fn: f, value: v, err: err}
	}
	if !isName(f.Name) || strings.Contains(f.Name, ".") {
		return fail(nil, "function name %q: want letters, digits and _ after a letter", f.Name)
	}
	names := map[string]bool{}
	defined := map[*Value]bool{}
	define := func(v *Value) *verifyError {
		switch {
		case !isName(v.Name):
			return fail(v, "name %q: want letters, digits, _ and . after a letter", v.Name)
		case names[v.Name]:
			return fail(v, "%s is defined twice", v.Name)
		}
		names[v.Name], defined[v] = true, true
		return nil
	}
	for _, v := range f.Params {
		if v.Op != nil {
			return fail(v, "a parameter has no op")
		}
		if err := define(v); err != nil {
			return err
		}
		if err := checkType(v.Type, p.MaxT); err != nil {
			return fail(v, "parameter is %v: %w", v.Type, err)
		}
		if v.Type.DType != F32 && v.Type.DType != I32 {
			return fail(v, "parameter is %v, want f32 or i32", v.Type)
		}
		if v.State && (v.Type.DType != F32 || len(v.Type.Shape) != 2) {
			return fail(v, "state is %v, want an f32 matrix", v.Type)
		}
	}
	// A value has at least one row, even at T = 0.
	if f.MinT() == 0 {
		q := *p
		q.fromZero = true
		p = &q
	}
	bare := func(t Type) bool { return f.MinT() == 0 && t.Shape[0] == T }
	for _, v := range f.Params {
		if bare(v.Type) {
			return fail(v, "parameter is %v; a function with states may run at T = 0, so its values need a constant number of rows besides T", v.Type)
		}
	}
	if err := checkSegments(p, f); err != nil {
		return fail(nil, "%w", err)
	}
	for _, v := range f.Values {
		if v.Op == nil {
			return fail(v, "a value needs an op; parameters stand in the header")
		}
		for _, a := range v.Args {
			if !defined[a] {
				return fail(v, "%s is not defined above", a.Name)
			}
		}
		typ, err := p.Infer(f, v)
		if err != nil {
			return fail(v, "%w", err)
		}
		if bare(typ) {
			return fail(v, "result is %v; a function with states may run at T = 0, so its values need a constant number of rows besides T", typ)
		}
		if !typ.Equal(v.Type) {
			return fail(v, "type is %v, want %v", v.Type, typ)
		}
		if err := define(v); err != nil {
			return err
		}
	}
	if len(f.Results) == 0 {
		return fail(nil, "%w", errNoResult)
	}
	returned := map[*Value]bool{}
	for _, v := range f.Results {
		if !defined[v] {
			return fail(nil, "return: %s is not defined", v.Name)
		}
		if returned[v] {
			return fail(nil, "return: %s is returned twice", v.Name)
		}
		returned[v] = true
	}
	return nil
}

func checkSegments(p *Program, f *Func) error {
	if len(f.Segments) > maxSegments {
		return fmt.Errorf("%d segments, want at most %d", len(f.Segments), maxSegments)
	}
	seen := map[string]bool{}
	for _, s := range f.Segments {
		if !isName(s.Name) || strings.Contains(s.Name, ".") {
			return fmt.Errorf("segment name %q: want letters, digits and _ after a letter", s.Name)
		}
		if seen[s.Name] {
			return fmt.Errorf("segment %s is named twice", s.Name)
		}
		seen[s.Name] = true
		if err := checkType(Of(F32, s.Len), p.MaxT); err != nil {
			return fmt.Errorf("segment %s=%v: %w", s.Name, s.Len, err)
		}
	}
	if whole, ok := f.Whole(); len(f.Segments) > 0 && (!ok || whole.C > MaxDim) {
		return fmt.Errorf("segments: want one length with T at most and a sum of %d at most", MaxDim)
	}
	return nil
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isToken reports whether s is a letter and then letters, digits and extra bytes.
func isToken(s, extra string) bool {
	if s == "" || len(s) > maxName || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return true
}

// maxName bounds names and bundle paths.
const maxName = 256

func isName(s string) bool        { return isToken(s, ".") && s != "return" }
func isSymbol(s string) bool      { return isToken(s, "-") }
func isProgramName(s string) bool { return isToken(s, ".-") }

// isBundle reports whether s is a list of names joined by dots, of which at most one is *.
// Names hold letters, digits, _ - and ~.
func isBundle(s string) bool {
	if len(s) > maxName {
		return false
	}
	pools := 0
	for part := range strings.SplitSeq(s, ".") {
		if part == "*" {
			pools++
			continue
		}
		if part == "" {
			return false
		}
		for i := range len(part) {
			if c := part[i]; !isLetter(c) && !isDigit(c) && c != '-' && c != '~' {
				return false
			}
		}
	}
	return pools <= 1
}
