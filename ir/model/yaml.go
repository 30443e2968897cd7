package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/multiway-go/multiway/ir/file"
)

// Limits of a description text, which is usually below a page. They bound the memory that
// parsing takes.
const (
	maxText   = 32 << 10 // bytes
	maxLines  = 1000     // the scanner's time is quadratic in blank lines
	maxIndent = 64       // columns at which a block line may begin
	maxDepth  = 8        // brackets inside brackets
	maxMarks  = 8        // block marks (- and :) on one line
)

// node is one YAML value with its position. Anchors, aliases, tags, merge keys and
// multi-line strings are refused before, since descriptions do not need them.
type node struct {
	line, col int
	kind      kind
	text      string  // the scalar as written, quotes removed
	number    float64 // wholeNode and floatNode
	whole     uint64  // wholeNode: the magnitude
	negative  bool    // kind whole
	items     []*node
	keys      []*node // of a mapping, beside items
}

type kind uint8

const (
	nullNode kind = iota
	boolNode
	wholeNode
	floatNode
	textNode
	listNode
	mapNode
)

// String describes the value for an error.
func (n *node) String() string {
	switch n.kind {
	case nullNode:
		return "nothing"
	case boolNode:
		return n.text
	case wholeNode, floatNode:
		return "the number " + clip(n.text)
	case textNode:
		return quote(n.text)
	case listNode:
		return "a list"
	}
	return "a mapping"
}

// clip returns the beginning of a text of a file, without characters that control a terminal.
func clip(s string) string {
	if len(s) > 60 {
		return file.Escape(strings.ToValidUTF8(s[:60], "")) + "..."
	}
	return file.Escape(s)
}

func quote(s string) string { return file.Literal(s) }

// placed returns an error with a position in a description file.
func placed(path string, line, col int, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", file.Quote(path), line, col, file.Brief(fmt.Sprintf(format, args...)))
}

// parseYAML reads the one document of src.
func parseYAML(path string, src []byte) (root *node, err error) {
	if len(src) > maxText {
		return nil, fmt.Errorf("%s: the description is larger than %d bytes; it should hold only sizes and names: weights and labels have files of their own", file.Quote(path), maxText)
	}
	line, col := 1, 1
	for rest := src; len(rest) > 0; {
		if line > maxLines {
			return nil, placed(path, line, 1, "more than %d lines; a description is a page at most", maxLines)
		}
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			return nil, placed(path, line, col, "byte 0x%02x is not valid UTF-8; want a text file", rest[0])
		case r == '\n', r == '\r' && (len(rest) == 1 || rest[1] != '\n'):
			line, col = line+1, 0
		case r < ' ' && r != '\r', r == 0x7f, r == '\t':
			return nil, placed(path, line, col, "control character %U; want spaces and line feeds only", r)
		case r == 0xfeff:
			return nil, placed(path, line, col, "byte order mark; save the file as plain UTF-8")
		}
		col++
		rest = rest[n:]
	}
	// If the YAML library panics on some text, report an error about the text.
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("%s: the YAML cannot be read (%.200s); write it in a simpler form", file.Quote(path), fmt.Sprint(r))
		}
	}()
	tokens := lexer.Tokenize(string(src))
	if err := checkTokens(path, tokens); err != nil {
		return nil, err
	}
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var y yaml.Error
		if errors.As(err, &y) && y.GetToken() != nil {
			p := y.GetToken().Position
			return nil, placed(path, p.Line, p.Column, "%s", y.GetMessage())
		}
		return nil, fmt.Errorf("%s: %s", file.Quote(path), file.Brief(err.Error()))
	}
	var body ast.Node
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		body = d.Body
	}
	if body == nil {
		return nil, placed(path, 1, 1, "the description is empty; want at least `model: %d` and a preset, or a family and its sizes", Schema)
	}
	return convert(path, body)
}

// checkTokens refuses YAML features that descriptions do not need and bounds the nesting, before
// the recursive parser runs.
func checkTokens(path string, tokens token.Tokens) error {
	depth, marks, line, content := 0, 0, 0, false
	for _, t := range tokens {
		p := t.Position
		at := func(format string, args ...any) error { return placed(path, p.Line, p.Column, format, args...) }
		if p.Line != line {
			line, marks = p.Line, 0
			if depth == 0 && p.Column > maxIndent && t.Type != token.CommentType {
				return at("this line begins at column %d; want at most %d: indent by two spaces", p.Column, maxIndent)
			}
		}
		switch t.Type {
		case token.DocumentHeaderType, token.DocumentEndType:
			if content {
				return at("more than one document; want one description a file")
			}
			continue
		case token.CommentType:
			continue
		}
		content = true
		switch t.Type {
		case token.InvalidType:
			return at("%s", t.Error)
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return at("anchors, aliases and merge keys are not allowed; write the value out")
		case token.TagType:
			return at("tags are not allowed; remove %s", quote(t.Value))
		case token.DirectiveType:
			return at("directives are not allowed; remove the line")
		case token.MappingKeyType:
			return at("complex keys are not allowed; write `key: value`")
		case token.LiteralType, token.FoldedType:
			return at("multi-line text is not allowed; write the value on one line")
		case token.SequenceEntryType, token.MappingValueType:
			if depth == 0 {
				marks++
			}
			if marks > maxMarks {
				return at("more than %d nested values on one line; write one a line", maxMarks)
			}
		case token.SequenceStartType, token.MappingStartType:
			depth++
			if depth > maxDepth {
				return at("more than %d nested brackets; a description needs three", maxDepth)
			}
		case token.SequenceEndType, token.MappingEndType:
			depth--
		}
	}
	return nil
}

// convert converts a tree of the YAML parser to nodes with their positions. Its recursion is bounded, since checkTokens has
// bounded the nesting.
func convert(path string, n ast.Node) (*node, error) {
	at := &node{line: 1, col: 1}
	if t := n.GetToken(); t != nil && t.Position != nil {
		at.line, at.col = t.Position.Line, t.Position.Column
		at.text = t.Value
	}
	switch n := n.(type) {
	case *ast.NullNode:
		at.kind = nullNode
	case *ast.BoolNode:
		at.kind = boolNode
	case *ast.StringNode:
		at.kind, at.text = textNode, n.Value
	case *ast.IntegerNode:
		at.kind = wholeNode
		switch v := n.Value.(type) {
		case int64:
			at.negative, at.whole, at.number = v < 0, uint64(v), float64(v)
			if v < 0 {
				at.whole = -uint64(v)
			}
		case uint64:
			at.whole, at.number = v, float64(v)
		default:
			return nil, placed(path, at.line, at.col, "the number %s is too large", clip(at.text))
		}
	case *ast.FloatNode:
		at.kind, at.number = floatNode, n.Value
	case *ast.InfinityNode, *ast.NanNode:
		return nil, placed(path, at.line, at.col, "%s is no usable number", clip(at.text))
	case *ast.SequenceNode:
		at.kind = listNode
		for _, v := range n.Values {
			c, err := convert(path, v)
			if err != nil {
				return nil, err
			}
			at.items = append(at.items, c)
		}
	case *ast.MappingValueNode:
		return convertMapping(path, at, []*ast.MappingValueNode{n})
	case *ast.MappingNode:
		return convertMapping(path, at, n.Values)
	default:
		return nil, placed(path, at.line, at.col, "%s is not allowed in a description", strings.ToLower(n.Type().String()))
	}
	return at, nil
}

func convertMapping(path string, at *node, values []*ast.MappingValueNode) (*node, error) {
	at.kind = mapNode
	for i, v := range values {
		k, err := convert(path, v.Key)
		if err != nil {
			return nil, err
		}
		if k.kind != textNode {
			return nil, placed(path, k.line, k.col, "got %s as a field name, want a word", k)
		}
		c, err := convert(path, v.Value)
		if err != nil {
			return nil, err
		}
		if c.kind == nullNode {
			c.line, c.col = k.line, k.col
		}
		if i == 0 {
			at.line, at.col = k.line, k.col
		}
		at.keys = append(at.keys, k)
		at.items = append(at.items, c)
	}
	return at, nil
}

// place is a line and a column, both from 1.
type place struct{ line, col int }

// decoder converts a tree of nodes to Go values. It goes on after an error and returns the first
// one, and it records the position of each field, for later checks.
type decoder struct {
	file string
	at   map[string]place // positions by path, such as sizes.heads or tasks[1].classes
	err  error
}

func (c *decoder) fail(n *node, format string, args ...any) {
	if c.err == nil {
		c.err = placed(c.file, n.line, n.col, format, args...)
	}
}

// join returns the path of a field, as errors print it. The name comes from the file.
func join(path, name string) string {
	name = file.Quote(name)
	if path == "" {
		return name
	}
	return path + "." + name
}

// object reads a mapping with the given fields, each at most once.
func (c *decoder) object(n *node, path string, fields []field) {
	if n.kind != mapNode {
		c.fail(n, "%s: got %s, want a mapping of %s", orTop(path), n, strings.Join(names(fields), ", "))
		return
	}
	seen := map[string]place{}
	for i, k := range n.keys {
		if c.err != nil {
			return
		}
		p := join(path, k.text)
		if first, ok := seen[k.text]; ok {
			c.fail(k, "%s is given twice, first in line %d; remove one", p, first.line)
			return
		}
		seen[k.text] = place{k.line, k.col}
		c.at[p] = place{k.line, k.col}
		at := slices.IndexFunc(fields, func(f field) bool { return f.any == nil && f.name == k.text })
		if at < 0 {
			at = slices.IndexFunc(fields, func(f field) bool { return f.any != nil })
		}
		switch {
		case at < 0:
			c.fail(k, "%s", unknown("field", p, prefixed(path, names(fields))))
		case fields[at].any != nil:
			fields[at].any(k.text, n.items[i], p)
		default:
			fields[at].read(n.items[i], p)
		}
	}
}

func orTop(path string) string {
	if path == "" {
		return "the description"
	}
	return path
}

func names(fields []field) []string {
	var s []string
	for _, f := range fields {
		s = append(s, f.name)
	}
	return s
}

func prefixed(path string, names []string) []string {
	var s []string
	for _, n := range names {
		s = append(s, join(path, n))
	}
	return s
}

// words reads a text value.
func (c *decoder) words(n *node, path string) string {
	if n.kind != textNode {
		hint := ""
		if n.kind == wholeNode || n.kind == floatNode || n.kind == boolNode {
			hint = "; put it in quotes if it is meant as text"
		}
		c.fail(n, "%s: got %s, want text%s", path, n, hint)
		return ""
	}
	if n.text == "" || len(n.text) > 4096 {
		c.fail(n, "%s: got %d bytes of text, want 1 to 4096", path, len(n.text))
		return ""
	}
	return n.text
}

// count reads a whole number in lo..hi.
func (c *decoder) count(n *node, path string, lo, hi int) int {
	if n.kind != wholeNode {
		c.fail(n, "%s: got %s, want a whole number", path, n)
		return lo
	}
	if n.negative || n.whole < uint64(lo) || n.whole > uint64(hi) {
		c.fail(n, "%s is %s, want %d to %d", path, clip(n.text), lo, hi)
		return lo
	}
	return int(n.whole)
}

// numbers reads a number, or a list of 1 to 64 numbers.
func (c *decoder) numbers(n *node, path string) []float64 {
	items := []*node{n}
	if n.kind == listNode {
		items = n.items
	}
	if len(items) == 0 || len(items) > 64 {
		c.fail(n, "%s: got %d numbers, want one, or one per channel", path, len(items))
		return nil
	}
	var v []float64
	for _, i := range items {
		if i.kind != wholeNode && i.kind != floatNode {
			c.fail(i, "%s: got %s, want a number, or a list with one number per channel", path, i)
			return nil
		}
		v = append(v, i.number)
	}
	return v
}

// each calls read for every item of a list; want is an example of a list.
func (c *decoder) each(n *node, path, want string, read func(n *node, path string)) {
	if n.kind != listNode {
		c.fail(n, "%s: got %s, want a list such as %s", path, n, want)
		return
	}
	if len(n.items) == 0 || len(n.items) > 64 {
		c.fail(n, "%s: got %d items, want 1 to 64; leave the field out for the default", path, len(n.items))
		return
	}
	for i, item := range n.items {
		p := fmt.Sprintf("%s[%d]", path, i)
		c.at[p] = place{item.line, item.col}
		read(item, p)
	}
}

// where returns the position of a path, or of the nearest field around it. A field without one
// comes from the preset, if there is one.
func (c *decoder) where(path string) place {
	for {
		if p, ok := c.at[path]; ok {
			return p
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			if p, ok := c.at["preset"]; ok {
				return p
			}
			return place{1, 1}
		}
		path = path[:i]
	}
}
