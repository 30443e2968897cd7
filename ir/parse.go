package ir

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxProgram is the longest text that Parse reads, in bytes.
const MaxProgram = 16 << 20

// Bounds of a text, so that no file takes long to refuse.
const (
	maxLines    = 1 << 18
	maxLine     = 1 << 14
	maxSegments = 16
)

// Parse reads the text form and verifies the program. Errors begin with
// file:line:column, where file is only a name.
func Parse(file string, text []byte) (*Program, error) {
	if len(text) > MaxProgram {
		return nil, fmt.Errorf("%s: the text has %d bytes, want at most %d", file, len(text), MaxProgram)
	}
	if n := bytes.Count(text, []byte("\n")); n > maxLines {
		return nil, fmt.Errorf("%s: the text has %d lines, want at most %d", file, n, maxLines)
	}
	r := &parser{lines: map[any]int{}}
	n := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		n++
		if len(line) > maxLine {
			return nil, fmt.Errorf("%s:%d:%d: the line is too long, want at most %d bytes", file, n, maxLine+1, maxLine)
		}
		line, _, _ = strings.Cut(line, "//")
		r.s, r.i, r.n = line, 0, n
		if r.skip(); r.end() {
			continue
		}
		if err := r.line(); err != nil {
			return nil, fmt.Errorf("%s:%d:%d: %w", file, n, r.i+1, err)
		}
	}
	switch {
	case r.p == nil:
		return nil, fmt.Errorf("%s:%d:1: the text holds no program; begin with: program NAME T<=64", file, n)
	case r.f != nil:
		return nil, fmt.Errorf("%s:%d:1: func %s has no end; close it with }", file, n, r.f.Name)
	}
	r.p.SetWeights(r.p.Weights)
	if err := verify(r.p); err != nil {
		at := 1
		for _, x := range []any{err.value, err.w, err.fn} {
			if n, ok := r.lines[x]; ok {
				at = n
				break
			}
		}
		return nil, fmt.Errorf("%s:%d:1: %w", file, at, err)
	}
	return r.p, nil
}

// parser reads one line at a time. Its methods leave i at the byte an error is about.
type parser struct {
	s string // the line, without comment
	i int
	n int // number of the line

	p      *Program
	f      *Func // the open function
	values map[string]*Value
	done   bool        // f has its return
	lines  map[any]int // line of each weight, function and value
}

// line reads what one line says.
func (r *parser) line() error {
	switch {
	case r.p == nil:
		return r.program()
	case r.f != nil && r.eat("}"):
		if !r.done {
			r.i--
			return errors.New("the function returns nothing; end it with: return NAME")
		}
		r.f = nil
		return r.rest()
	case r.f != nil && r.done:
		return errors.New("found text between return and }, want }")
	case r.f != nil:
		return r.value()
	}
	at := r.i
	switch word := r.word(); word {
	case "weight":
		return r.weight()
	case "func":
		return r.fun()
	default:
		r.i = at
		return fmt.Errorf("found %q, want weight or func", r.found(word))
	}
}

// program reads: program NAME [T<=N]
func (r *parser) program() error {
	if word := r.word(); word != "program" {
		r.i -= len(word)
		return fmt.Errorf("found %q; a text begins with: program NAME T<=64", r.found(word))
	}
	p := &Program{}
	var err error
	if p.Name, err = r.want("the program's name"); err != nil {
		return err
	}
	if r.skip(); r.eat("T<=") {
		at := r.i
		n, err := r.number()
		if err != nil {
			return err
		}
		if n < 1 || n > MaxText {
			r.i = at
			return fmt.Errorf("bound T<=%d, want 1 to %d", n, MaxText)
		}
		p.MaxT = int(n)
	}
	r.p = p
	return r.rest()
}

// weight reads: @NAME TYPE [keep] [layout=SYMBOL] [at N]
func (r *parser) weight() (err error) {
	w := &Weight{}
	if w.Name, err = r.bundle(); err != nil {
		return err
	}
	if w.Type, err = r.typ(); err != nil {
		return err
	}
	if r.skip(); r.eat("keep") {
		w.Export = true
	}
	if r.skip(); r.eat("layout=") {
		if w.Layout, err = r.want("a layout"); err != nil {
			return err
		}
	}
	if w.Offset, err = r.offset(); err != nil {
		return err
	}
	r.p.Weights = append(r.p.Weights, w)
	r.lines[w] = r.n
	return r.rest()
}

// fun reads: NAME([state] NAME: TYPE [at N], ...) [segments NAME=DIM, ...] [arena=N] {
func (r *parser) fun() (err error) {
	f := &Func{}
	r.values, r.done = map[string]*Value{}, false
	if f.Name, err = r.want("the function's name"); err != nil {
		return err
	}
	if err := r.expect("("); err != nil {
		return err
	}
	for r.skip(); !r.eat(")"); r.skip() {
		if len(f.Params) > 0 {
			if err := r.expect(","); err != nil {
				return err
			}
		}
		v := &Value{}
		if v.Name, err = r.want("a parameter's name"); err != nil {
			return err
		}
		if r.skip(); v.Name == "state" && !r.peek(":") {
			v.State = true
			if v.Name, err = r.want("a state's name"); err != nil {
				return err
			}
		}
		if err := r.expect(":"); err != nil {
			return err
		}
		if err := r.typeAt(v); err != nil {
			return err
		}
		f.Params = append(f.Params, v)
		r.values[v.Name], r.lines[v] = v, r.n
	}
	if r.skip(); r.eat("segments") {
		for len(f.Segments) == 0 || r.eat(",") {
			var s Segment
			if s.Name, err = r.want("a segment's name"); err != nil {
				return err
			}
			if err := r.expect("="); err != nil {
				return err
			}
			if s.Len, err = r.dim(); err != nil {
				return err
			}
			f.Segments = append(f.Segments, s)
			r.skip()
		}
	}
	if r.skip(); r.eat("arena") {
		if err := r.expect("="); err != nil {
			return err
		}
		text, err := r.want("a number of bytes")
		if err != nil {
			return err
		}
		if f.Arena, err = strconv.ParseInt(text, 10, 64); err != nil || f.Arena < 1 {
			r.i -= len(text)
			return fmt.Errorf("arena is %q, want a number of bytes", text)
		}
	}
	if err := r.expect("{"); err != nil {
		return err
	}
	r.f = f
	r.p.Funcs = append(r.p.Funcs, f)
	r.lines[f] = r.n
	return r.rest()
}

// value reads: NAME = OP NAME, ..., @BUNDLE {KEY=VALUE ...} : TYPE [at N]
// or: return NAME, ...
func (r *parser) value() (err error) {
	v := &Value{}
	if v.Name, err = r.want("a value's name, return or }"); err != nil {
		return err
	}
	if v.Name == "return" {
		for len(r.f.Results) == 0 || r.eat(",") {
			x, err := r.use()
			if err != nil {
				return err
			}
			r.f.Results = append(r.f.Results, x)
			r.skip()
		}
		r.done = true
		return r.rest()
	}
	if err := r.expect("="); err != nil {
		return err
	}
	name, err := r.want("an op")
	if err != nil {
		return err
	}
	if v.Op, err = OpNamed(name); err != nil {
		r.i -= len(name)
		return err
	}
	for r.skip(); v.Bundle == "" && !r.peek("{") && !r.peek(":"); r.skip() {
		if len(v.Args) > 0 {
			if err := r.expect(","); err != nil {
				return err
			}
			r.skip()
		}
		if r.peek("@") {
			if v.Bundle, err = r.bundle(); err != nil {
				return err
			}
			continue
		}
		x, err := r.use()
		if err != nil {
			return err
		}
		v.Args = append(v.Args, x)
	}
	if r.eat("{") {
		for r.skip(); !r.eat("}"); r.skip() {
			a, err := r.attr(v.Op)
			if err != nil {
				return err
			}
			v.Attrs = append(v.Attrs, a)
		}
		v.Attrs = v.Op.Sort(v.Attrs)
	}
	if err := r.expect(":"); err != nil {
		return err
	}
	if err := r.typeAt(v); err != nil {
		return err
	}
	r.f.Values = append(r.f.Values, v)
	// A second value of the same name replaces the first here; the verifier reports it.
	r.values[v.Name], r.lines[v] = v, r.n
	return r.rest()
}

// use reads the name of a value defined above.
func (r *parser) use() (*Value, error) {
	name, err := r.want("a value's name")
	if err != nil {
		return nil, err
	}
	v := r.values[name]
	if v == nil {
		r.i -= len(name)
		return nil, fmt.Errorf("%s is not defined above in func %s", name, r.f.Name)
	}
	return v, nil
}

// attr reads KEY=VALUE, an attribute of the op.
func (r *parser) attr(op *Op) (a Attr, err error) {
	if a.Key, err = r.want("an attribute or }"); err != nil {
		return a, err
	}
	spec := op.Spec(a.Key)
	if spec == nil {
		r.i -= len(a.Key)
		return a, fmt.Errorf("unknown attribute %q; %s has %s", a.Key, op.Name, op.attrNames())
	}
	a.Kind = spec.Kind
	if err := r.expect("="); err != nil {
		return a, err
	}
	text, err := r.want(spec.Kind.String())
	if err != nil {
		return a, err
	}
	switch a.Kind {
	case Int:
		a.Int, err = strconv.Atoi(text)
	case Float:
		a.Float, err = strconv.ParseFloat(text, 64)
	case Length:
		a.Dim, err = ParseDim(text)
	case Symbol:
		a.Symbol = text
	}
	if err != nil {
		r.i -= len(text)
		return a, fmt.Errorf("attribute %q is %q, want %v", a.Key, text, a.Kind)
	}
	return a, nil
}

// typeAt reads TYPE [at N] into v.
func (r *parser) typeAt(v *Value) (err error) {
	if v.Type, err = r.typ(); err != nil {
		return err
	}
	v.Offset, err = r.offset()
	return err
}

// typ reads DTYPE[DIM,...]
func (r *parser) typ() (t Type, err error) {
	name, err := r.want("a type such as f32[3,4]")
	if err != nil {
		return t, err
	}
	if t.DType, err = ParseDType(name); err != nil {
		r.i -= len(name)
		return t, err
	}
	if err := r.expect("["); err != nil {
		return t, err
	}
	for {
		d, err := r.dim()
		if err != nil {
			return t, err
		}
		if len(t.Shape) == maxRank {
			return t, fmt.Errorf("the type has too many dimensions, want at most %d", maxRank)
		}
		t.Shape = append(t.Shape, d)
		if r.skip(); !r.eat(",") {
			return t, r.expect("]")
		}
	}
}

func (r *parser) dim() (Dim, error) {
	text, err := r.want("a dimension: a number, T or number+T")
	if err != nil {
		return Dim{}, err
	}
	d, err := ParseDim(text)
	if err != nil {
		r.i -= len(text)
	}
	return d, err
}

// bundle reads @PATH.
func (r *parser) bundle() (string, error) {
	if err := r.expect("@"); err != nil {
		return "", err
	}
	name := r.word()
	if name == "" {
		return "", fmt.Errorf("found %q, want a weight name after @", r.found(""))
	}
	return name, r.short(name)
}

// offset reads [at N], -1 when absent.
func (r *parser) offset() (int64, error) {
	r.skip()
	at := r.i
	if r.word() != "at" {
		r.i = at
		return -1, nil
	}
	return r.number()
}

func (r *parser) number() (int64, error) {
	text, err := r.want("a number")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		r.i -= len(text)
		return 0, fmt.Errorf("found %q, want a whole number of 0 or more", text)
	}
	return n, nil
}

// word takes the run of name bytes at i, which may be empty.
func (r *parser) word() string {
	at := r.i
	for r.i < len(r.s) && (isLetter(r.s[r.i]) || isDigit(r.s[r.i]) || strings.IndexByte(".~*+-", r.s[r.i]) >= 0) {
		r.i++
	}
	return r.s[at:r.i]
}

// want skips blanks and takes a word. If there is none, the error says that it wants what.
func (r *parser) want(what string) (string, error) {
	r.skip()
	word := r.word()
	if word == "" {
		return "", fmt.Errorf("found %q, want %s", r.found(""), what)
	}
	return word, r.short(word)
}

// short refuses a word that is longer than any name, so that errors can quote words.
func (r *parser) short(word string) error {
	if len(word) > maxName {
		r.i -= len(word)
		return fmt.Errorf("found %q and so on, a word of %d bytes; want at most %d", word[:16], len(word), maxName)
	}
	return nil
}

func (r *parser) expect(lit string) error {
	if r.skip(); !r.eat(lit) {
		return fmt.Errorf("found %q, want %q", r.found(""), lit)
	}
	return nil
}

// found is what an error quotes: the word read, or the rest of the line.
func (r *parser) found(word string) string {
	if word != "" {
		return word[:min(len(word), maxName)]
	}
	if r.end() {
		return "end of line"
	}
	return r.s[r.i:min(len(r.s), r.i+12)]
}

func (r *parser) peek(lit string) bool { return strings.HasPrefix(r.s[r.i:], lit) }

func (r *parser) eat(lit string) bool {
	if !r.peek(lit) {
		return false
	}
	r.i += len(lit)
	return true
}

func (r *parser) skip() {
	for r.i < len(r.s) && (r.s[r.i] == ' ' || r.s[r.i] == '\t' || r.s[r.i] == '\r') {
		r.i++
	}
}

func (r *parser) end() bool { return r.i == len(r.s) }

// rest checks that the line is at its end.
func (r *parser) rest() error {
	if r.skip(); !r.end() {
		return fmt.Errorf("found %q after the end of the line's text", r.found(""))
	}
	return nil
}
