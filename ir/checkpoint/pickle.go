package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Bounds on a pickle. A checkpoint of a thousand tensors with its optimizer
// takes about 100,000 opcodes, and what the machine holds grows with them.
const (
	maxPickle   = 32 << 20
	maxPickleOp = 2 << 20
	maxGlobal   = 512
)

// The values of the pickle machine are nil, bool, int64, float64, string,
// []byte, pyTuple, *pyList, *pyDict, pyGlobal, *pyObject, *torchStorage and
// *torchTensor. Nothing in a pickle is executed: a call of a function that
// reduce does not know makes a *pyObject, which nobody looks into.
type (
	pyTuple []any
	pyList  struct{ items []any }

	// pyDict keeps the string keys only; the state of an optimizer has others.
	pyDict struct {
		keys []string
		vals map[string]any
	}
	pyGlobal struct{ module, name string }
	pyObject struct{ class pyGlobal }
)

func (g pyGlobal) String() string { return g.module + "." + g.name }

func (d *pyDict) set(key, val any) {
	k, ok := key.(string)
	if !ok {
		return
	}
	if d.vals == nil {
		d.vals = map[string]any{}
	}
	if _, old := d.vals[k]; !old {
		d.keys = append(d.keys, k)
	}
	d.vals[k] = val
}

// unpickler runs the opcodes that Python's pickle writes at protocols 2 to 5,
// except those for buffers outside the stream.
type unpickler struct {
	data  []byte
	pos   int
	stack []any
	marks []int // stack heights
	memo  map[uint32]any

	persistent func(id any) (any, error)
	reduce     func(f pyGlobal, args pyTuple) (any, error)
}

// errTruncated says that the data ends before the pickle does.
var errTruncated = errors.New("pickle: truncated")

var errStack = errors.New("the stack has too few values")

// run returns the value of the pickle.
func (u *unpickler) run() (any, error) {
	u.memo = map[uint32]any{}
	for range maxPickleOp {
		at := u.pos
		b, err := u.bytes(1)
		if err != nil {
			return nil, err
		}
		if b[0] == '.' { // STOP
			v, err := u.pop()
			if err != nil {
				return nil, fmt.Errorf("pickle: byte %d: %w", at, err)
			}
			return v, nil
		}
		if err := u.step(b[0]); err != nil {
			return nil, fmt.Errorf("pickle: byte %d, opcode %#02x: %w", at, b[0], err)
		}
	}
	return nil, fmt.Errorf("pickle: more than %d opcodes", maxPickleOp)
}

func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		b, err := u.bytes(1)
		if err == nil && (b[0] < 2 || b[0] > 5) {
			err = fmt.Errorf("protocol %d, want 2 to 5", b[0])
		}
		return err
	case 0x95: // FRAME
		_, err := u.bytes(8)
		return err

	case 'N':
		return u.push(nil)
	case 0x88:
		return u.push(true)
	case 0x89:
		return u.push(false)
	case 'K': // BININT1
		return u.number(1)
	case 'M': // BININT2
		return u.number(2)
	case 'J': // BININT
		b, err := u.bytes(4)
		if err != nil {
			return err
		}
		return u.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case 0x8a: // LONG1
		return u.long(1)
	case 0x8b: // LONG4
		return u.long(4)
	case 'G': // BINFLOAT
		b, err := u.bytes(8)
		if err != nil {
			return err
		}
		return u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case 'X': // BINUNICODE
		return u.text(4)
	case 'U', 0x8c: // SHORT_BINSTRING, SHORT_BINUNICODE
		return u.text(1)
	case 'T': // BINSTRING
		return u.text(4)
	case 0x8d: // BINUNICODE8
		return u.text(8)
	case 'B': // BINBYTES
		return u.blob(4)
	case 'C': // SHORT_BINBYTES
		return u.blob(1)
	case 0x8e: // BINBYTES8
		return u.blob(8)

	case '(': // MARK
		u.marks = append(u.marks, len(u.stack))
		return nil
	case '0': // POP
		if len(u.marks) > 0 && u.marks[len(u.marks)-1] == len(u.stack) {
			_, err := u.toMark()
			return err
		}
		_, err := u.pop()
		return err
	case '1': // POP_MARK
		_, err := u.toMark()
		return err
	case '2': // DUP
		v, err := u.top()
		if err != nil {
			return err
		}
		return u.push(v)

	case ')':
		return u.push(pyTuple{})
	case 0x85, 0x86, 0x87: // TUPLE1, 2, 3
		items, err := u.popN(int(op - 0x84))
		if err != nil {
			return err
		}
		return u.push(pyTuple(items))
	case 't': // TUPLE
		items, err := u.toMark()
		if err != nil {
			return err
		}
		return u.push(pyTuple(items))
	case ']', 0x8f: // EMPTY_LIST, EMPTY_SET
		return u.push(&pyList{})
	case 'l', 0x91: // LIST, FROZENSET
		items, err := u.toMark()
		if err != nil {
			return err
		}
		return u.push(&pyList{items})
	case 'a': // APPEND
		items, err := u.popN(1)
		if err != nil {
			return err
		}
		return u.extend(items)
	case 'e', 0x90: // APPENDS, ADDITEMS
		items, err := u.toMark()
		if err != nil {
			return err
		}
		return u.extend(items)
	case '}':
		return u.push(&pyDict{})
	case 'd': // DICT
		items, err := u.toMark()
		if err != nil {
			return err
		}
		if err := u.push(&pyDict{}); err != nil {
			return err
		}
		return u.setItems(items)
	case 's': // SETITEM
		items, err := u.popN(2)
		if err != nil {
			return err
		}
		return u.setItems(items)
	case 'u': // SETITEMS
		items, err := u.toMark()
		if err != nil {
			return err
		}
		return u.setItems(items)

	case 'q', 'r': // BINPUT, LONG_BINPUT
		k, err := u.uint(map[byte]int{'q': 1, 'r': 4}[op])
		if err != nil {
			return err
		}
		return u.remember(uint32(k))
	case 0x94: // MEMOIZE
		return u.remember(uint32(len(u.memo)))
	case 'h', 'j': // BINGET, LONG_BINGET
		k, err := u.uint(map[byte]int{'h': 1, 'j': 4}[op])
		if err != nil {
			return err
		}
		v, ok := u.memo[uint32(k)]
		if !ok {
			return fmt.Errorf("nothing was stored as %d", k)
		}
		return u.push(v)

	case 'c': // GLOBAL
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		if err != nil {
			return err
		}
		return u.push(pyGlobal{module, name})
	case 0x93: // STACK_GLOBAL
		v, err := u.popN(2)
		if err != nil {
			return err
		}
		module, ok1 := v[0].(string)
		name, ok2 := v[1].(string)
		if !ok1 || !ok2 || len(module) > maxGlobal || len(name) > maxGlobal {
			return errors.New("a class is not named by two short strings")
		}
		return u.push(pyGlobal{module, name})
	case 'R', 0x81: // REDUCE, NEWOBJ: callable or class, then arguments
		v, err := u.popN(2)
		if err != nil {
			return err
		}
		return u.call(v[0], v[1])
	case 0x92: // NEWOBJ_EX
		v, err := u.popN(3)
		if err != nil {
			return err
		}
		return u.call(v[0], v[1])
	case 'o': // OBJ: mark, class, arguments
		items, err := u.toMark()
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return errStack
		}
		return u.call(items[0], pyTuple(items[1:]))
	case 'b': // BUILD: attributes of an object; none of them matter here
		_, err := u.pop()
		if err != nil {
			return err
		}
		_, err = u.top()
		return err
	case 'Q': // BINPERSID
		id, err := u.pop()
		if err != nil {
			return err
		}
		v, err := u.persistent(id)
		if err != nil {
			return err
		}
		return u.push(v)
	}
	return errors.New("not an opcode of pickle protocol 2 to 5")
}

func (u *unpickler) call(f, args any) error {
	g, ok := f.(pyGlobal)
	if !ok {
		// The result of a call is called: an object that is not looked into.
		return u.push(&pyObject{pyGlobal{"", "unknown"}})
	}
	t, ok := args.(pyTuple)
	if !ok {
		return fmt.Errorf("the arguments of %v are no tuple", g)
	}
	v, err := u.reduce(g, t)
	if err != nil {
		return fmt.Errorf("%v: %w", g, err)
	}
	return u.push(v)
}

func (u *unpickler) extend(items []any) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *pyList:
		v.items = append(v.items, items...)
		return nil
	case *pyObject:
		return nil
	}
	return fmt.Errorf("cannot append to a %s", kindOf(v))
}

func (u *unpickler) setItems(items []any) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	if len(items)%2 != 0 {
		return errors.New("a key has no value")
	}
	switch v := v.(type) {
	case *pyDict:
		for i := 0; i < len(items); i += 2 {
			v.set(items[i], items[i+1])
		}
		return nil
	case *pyObject:
		return nil
	}
	return fmt.Errorf("cannot set items of a %s", kindOf(v))
}

// kindOf names a value for errors.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64, float64:
		return "number"
	case string, []byte:
		return "string"
	case pyTuple:
		return "tuple"
	case *pyList:
		return "list"
	case *pyDict:
		return "dict"
	case pyGlobal:
		return "class " + v.String()
	case *pyObject:
		return "object of class " + v.class.String()
	case *torchTensor:
		return "tensor"
	}
	return "storage"
}

func (u *unpickler) bytes(n int) ([]byte, error) {
	if n < 0 || n > len(u.data)-u.pos {
		return nil, fmt.Errorf("%w: byte %d needs %d more, %d are left", errTruncated, u.pos, n, len(u.data)-u.pos)
	}
	b := u.data[u.pos : u.pos+n]
	u.pos += n
	return b, nil
}

// uint reads a little-endian number of n bytes.
func (u *unpickler) uint(n int) (uint64, error) {
	b, err := u.bytes(n)
	if err != nil {
		return 0, err
	}
	var buf [8]byte
	copy(buf[:], b)
	return binary.LittleEndian.Uint64(buf[:]), nil
}

func (u *unpickler) number(n int) error {
	v, err := u.uint(n)
	if err != nil {
		return err
	}
	return u.push(int64(v))
}

// long reads a two's complement integer whose length takes n bytes. Longer
// ones than 64 bits are nothing a tensor needs.
func (u *unpickler) long(n int) error {
	b, err := u.sized(n)
	if err != nil {
		return err
	}
	if len(b) > 8 {
		return u.push(&pyObject{pyGlobal{"builtins", "int"}})
	}
	var buf [8]byte
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		binary.LittleEndian.PutUint64(buf[:], math.MaxUint64)
	}
	copy(buf[:], b)
	return u.push(int64(binary.LittleEndian.Uint64(buf[:])))
}

// sized reads a length of n bytes and then as many bytes.
func (u *unpickler) sized(n int) ([]byte, error) {
	v, err := u.uint(n)
	if err != nil {
		return nil, err
	}
	if v > maxPickle {
		v = maxPickle + 1 // more than is left, whatever int is
	}
	return u.bytes(int(v))
}

func (u *unpickler) text(n int) error {
	b, err := u.sized(n)
	if err != nil {
		return err
	}
	return u.push(string(b))
}

func (u *unpickler) blob(n int) error {
	b, err := u.sized(n)
	if err != nil {
		return err
	}
	return u.push(b)
}

func (u *unpickler) line() (string, error) {
	rest := u.data[u.pos:]
	i := bytes.IndexByte(rest[:min(len(rest), maxGlobal+1)], '\n')
	if i < 0 && len(rest) <= maxGlobal {
		return "", fmt.Errorf("%w: the name at byte %d does not end", errTruncated, u.pos)
	}
	if i < 0 {
		return "", fmt.Errorf("a name does not end within %d bytes", maxGlobal)
	}
	u.pos += i + 1
	return string(rest[:i]), nil
}

func (u *unpickler) push(v any) error {
	u.stack = append(u.stack, v)
	return nil
}

// floor is the height of the stack below which values belong to an open mark.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) top() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errStack
	}
	return u.stack[len(u.stack)-1], nil
}

func (u *unpickler) pop() (any, error) {
	v, err := u.top()
	if err == nil {
		u.stack = u.stack[:len(u.stack)-1]
	}
	return v, err
}

// popN returns the top n values, which the stack no longer shares.
func (u *unpickler) popN(n int) ([]any, error) {
	if len(u.stack)-u.floor() < n {
		return nil, errStack
	}
	items := append([]any(nil), u.stack[len(u.stack)-n:]...)
	u.stack = u.stack[:len(u.stack)-n]
	return items, nil
}

// toMark returns the values above the last mark and takes the mark away.
func (u *unpickler) toMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errors.New("no mark")
	}
	items, err := u.popN(len(u.stack) - u.floor())
	u.marks = u.marks[:len(u.marks)-1]
	return items, err
}

func (u *unpickler) remember(k uint32) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	u.memo[k] = v
	return nil
}
