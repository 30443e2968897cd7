package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// The largest pickle, and the longest name of a module, class or function in one, in bytes.
const (
	maxPickle = 32 << 20
	maxGlobal = 512
)

// pickleBudget bounds the memory and steps of a pickle of n bytes, in a file of the given size. A tensor takes some 140 bytes
// of torch.save's pickle and about 12 times as much memory, and its elements make the file far larger.
func pickleBudget(n int, size int64) *budget { return &budget{16<<20 + int(min(20*int64(n), 10*size))} }

// The cost of values besides their contents, in bytes: approximately their memory in Go.
const (
	costSlot  = 16  // a slot of a tuple
	costRoom  = 32  // a slot of the stack, the memo or a list, which have room to grow
	costValue = 32  // a value of its own
	costTable = 320 // a dict with its first key
	costKey   = 96  // a further key
)

// The values of the pickle machine are nil, bool, int64, float64, string, []byte, pyTuple,
// *pyList, *pyDict, pyGlobal, *pyObject, *pyModule, *torchStorage and *torchTensor.
// Nothing in a pickle is executed: a call of a function that reduce does not know makes a
// *pyObject, whose content is ignored.
type (
	pyTuple []any
	pyList  struct{ items []any }

	// pyDict has only the items with string keys; the state of an optimizer has other keys.
	pyDict struct {
		keys []string
		vals map[string]any
	}
	pyGlobal struct{ module, name string }
	pyObject struct{ class pyGlobal }
)

// numpy reports whether NumPy made the object.
func (o *pyObject) numpy() bool { return strings.HasPrefix(o.class.module, "numpy.") }

func (g pyGlobal) path() string { return g.module + "." + g.name }

// String names the class for errors.
func (g pyGlobal) String() string { return file.Quote(g.path()) }

func (d *pyDict) set(b *budget, key, val any) error {
	k, ok := key.(string)
	if !ok {
		return b.spend(1)
	}
	if err := b.spend(len(k)); err != nil { // hashing costs as many steps
		return err
	}
	if d.vals == nil {
		if err := b.spend(costTable); err != nil {
			return err
		}
		d.vals = map[string]any{}
	}
	if _, old := d.vals[k]; !old {
		if err := b.spend(costKey); err != nil {
			return err
		}
		d.keys = append(d.keys, k)
	}
	d.vals[k] = val
	return nil
}

// unpickler runs the opcodes that Python's pickle writes at protocols 2 to 5,
// except those for buffers outside the stream.
type unpickler struct {
	data   []byte
	pos    int
	budget *budget
	stack  []any
	marks  []int // heights of the stack at marks
	memo   []any // values by number
	stored int   // number of values in the memo; other numbers below its end are notStored
	high   int   // the largest number of values and marks so far

	persistent func(id any) (any, error)
	reduce     func(f pyGlobal, args pyTuple) (any, error)
}

// errTruncated is the error of data that ends within a pickle.
var errTruncated = errors.New("pickle: truncated")

var errStack = errors.New("the stack has too few values")

// notStored fills unused numbers of the memo.
type notStored struct{}

// run returns the value of the pickle.
func (u *unpickler) run() (any, error) {
	u.stack, u.marks, u.memo, u.stored, u.high = nil, nil, nil, 0, 0
	for {
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
		if err := u.account(); err != nil {
			return nil, fmt.Errorf("pickle: byte %d: %w", at, err)
		}
	}
}

// account spends a step, and the growth of the stack.
func (u *unpickler) account() error {
	n := 1
	if high := len(u.stack) + len(u.marks); high > u.high {
		n += costRoom * (high - u.high)
		u.high = high
	}
	return u.budget.spend(n)
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
		return u.push(nil, 0)
	case 0x88:
		return u.push(true, 0)
	case 0x89:
		return u.push(false, 0)
	case 'K': // BININT1
		return u.number(1)
	case 'M': // BININT2
		return u.number(2)
	case 'J': // BININT
		b, err := u.bytes(4)
		if err != nil {
			return err
		}
		return u.push(int64(int32(binary.LittleEndian.Uint32(b))), 8)
	case 0x8a: // LONG1
		return u.long(1)
	case 0x8b: // LONG4
		return u.long(4)
	case 'G': // BINFLOAT
		b, err := u.bytes(8)
		if err != nil {
			return err
		}
		return u.push(math.Float64frombits(binary.BigEndian.Uint64(b)), 8)
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
	case 0x8e, 0x96: // BINBYTES8, BYTEARRAY8
		return u.blob(8)

	case '(': // MARK
		u.marks = append(roomy(u.marks), len(u.stack))
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
		return u.push(v, 0)

	case ')':
		return u.push(pyTuple{}, 0)
	case 0x85, 0x86, 0x87: // TUPLE1, 2, 3
		items, err := u.popN(int(op - 0x84))
		if err != nil {
			return err
		}
		return u.push(pyTuple(items), costValue+costSlot*len(items))
	case 't': // TUPLE
		items, err := u.toMark()
		if err != nil {
			return err
		}
		return u.push(pyTuple(items), costValue+costSlot*len(items))
	case ']', 0x8f: // EMPTY_LIST, EMPTY_SET
		return u.push(&pyList{}, costValue)
	case 'l', 0x91: // LIST, FROZENSET
		items, err := u.toMark()
		if err != nil {
			return err
		}
		return u.push(&pyList{items}, costValue+costSlot*len(items))
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
		return u.push(&pyDict{}, costValue)
	case 'd': // DICT
		items, err := u.toMark()
		if err != nil {
			return err
		}
		if err := u.push(&pyDict{}, costValue); err != nil {
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
		return u.remember(k)
	case 0x94: // MEMOIZE
		return u.remember(uint64(u.stored))
	case 'h', 'j': // BINGET, LONG_BINGET
		k, err := u.uint(map[byte]int{'h': 1, 'j': 4}[op])
		if err != nil {
			return err
		}
		if k >= uint64(len(u.memo)) || u.memo[k] == any(notStored{}) {
			return fmt.Errorf("the memo has no value %d", k)
		}
		return u.push(u.memo[k], 0)

	case 'c': // GLOBAL
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		if err != nil {
			return err
		}
		return u.push(pyGlobal{module, name}, 2*costValue+len(module)+len(name))
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
		return u.push(pyGlobal{module, name}, costValue)
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
	case 'b': // BUILD: attributes of an object, which matter of modules only
		state, err := u.pop()
		if err != nil {
			return err
		}
		v, err := u.top()
		if m, ok := v.(*pyModule); ok {
			return m.build(state)
		}
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
		return u.push(v, 0)
	}
	return errors.New("not an opcode of pickle protocol 2 to 5")
}

func (u *unpickler) call(f, args any) error {
	g, ok := f.(pyGlobal)
	if !ok {
		// The result of a call is called: an object whose content is ignored.
		return u.push(&pyObject{pyGlobal{"", "unknown"}}, costValue)
	}
	t, ok := args.(pyTuple)
	if !ok {
		return fmt.Errorf("the arguments of %v are not a tuple", g)
	}
	v, err := u.reduce(g, t)
	if err != nil {
		return fmt.Errorf("%v: %w", g, err)
	}
	return u.push(v, costValue+len(g.module)+len(g.name))
}

func (u *unpickler) extend(items []any) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *pyList:
		v.items = append(roomy(v.items), items...)
		return u.budget.spend(costRoom * len(items))
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
			if err := v.set(u.budget, items[i], items[i+1]); err != nil {
				return err
			}
		}
		return nil
	case *pyObject:
		return nil
	}
	return fmt.Errorf("cannot set items of a %s", kindOf(v))
}

// numberOr returns a value for errors: a number, or the kind of another value.
func numberOr(v any) string {
	switch v.(type) {
	case int64, float64:
		return fmt.Sprint(v)
	}
	return "a " + kindOf(v)
}

// kindOf returns the kind of a value for errors. They never print the value: a few bytes of a pickle can make a huge tuple.
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
		if v.numpy() {
			return "NumPy array or number"
		}
		return "object of class " + v.class.String()
	case *torchTensor:
		return "tensor"
	case *pyModule:
		return "module"
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
	return u.push(int64(v), 8)
}

// long reads a two's complement integer whose length takes n bytes. Tensors need no integers
// of more than 64 bits.
func (u *unpickler) long(n int) error {
	b, err := u.sized(n)
	if err != nil {
		return err
	}
	if len(b) > 8 {
		return u.push(&pyObject{pyGlobal{"builtins", "int"}}, costValue)
	}
	var buf [8]byte
	if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
		binary.LittleEndian.PutUint64(buf[:], math.MaxUint64)
	}
	copy(buf[:], b)
	return u.push(int64(binary.LittleEndian.Uint64(buf[:])), 8)
}

// sized reads a length, which takes n bytes, and then that many bytes.
func (u *unpickler) sized(n int) ([]byte, error) {
	v, err := u.uint(n)
	if err != nil {
		return nil, err
	}
	if v > maxPickle {
		v = maxPickle + 1 // larger than the rest of the data, and within the range of int
	}
	return u.bytes(int(v))
}

func (u *unpickler) text(n int) error {
	b, err := u.sized(n)
	if err != nil {
		return err
	}
	return u.push(string(b), costValue+len(b))
}

func (u *unpickler) blob(n int) error {
	b, err := u.sized(n)
	if err != nil {
		return err
	}
	return u.push(b, costValue)
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

// roomy returns a list with room for another element. It doubles the capacity, since append alone copies large lists often.
func roomy[T any](list []T) []T {
	if len(list) == cap(list) {
		return slices.Grow(list, max(8, len(list)))
	}
	return list
}

// push puts a value on the stack, whose cost is n.
func (u *unpickler) push(v any, n int) error {
	u.stack = append(roomy(u.stack), v)
	return u.budget.spend(n)
}

// floor returns the height of the stack below which values belong to an open mark.
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

// popN removes and returns a copy of the top n values.
func (u *unpickler) popN(n int) ([]any, error) {
	if len(u.stack)-u.floor() < n {
		return nil, errStack
	}
	if err := u.budget.spend(n); err != nil {
		return nil, err
	}
	items := append([]any(nil), u.stack[len(u.stack)-n:]...)
	clear(u.stack[len(u.stack)-n:])
	u.stack = u.stack[:len(u.stack)-n]
	return items, nil
}

// toMark removes and returns the values above the last mark, and removes the mark.
func (u *unpickler) toMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errors.New("the stack has no mark")
	}
	items, err := u.popN(len(u.stack) - u.floor())
	u.marks = u.marks[:len(u.marks)-1]
	return items, err
}

func (u *unpickler) remember(k uint64) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	if more := int64(k) - int64(len(u.memo)) + 1; more > 0 {
		if more > math.MaxInt32/costRoom {
			return errBudget
		}
		if err := u.budget.spend(costRoom * int(more)); err != nil {
			return err
		}
		for range more {
			u.memo = append(roomy(u.memo), notStored{})
		}
	}
	if u.memo[k] == any(notStored{}) {
		u.stored++
	}
	u.memo[k] = v
	return nil
}
