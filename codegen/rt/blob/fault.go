package blob

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"unsafe"

	"github.com/multiway-go/multiway/ir/file"
)

// ErrFault says that weights could not be read where they are mapped: their file was cut off, or what it is stored on
// failed. The call has no result; others fail likewise until the weights are opened again.
var ErrFault = errors.New("the weight file can no longer be read; it must not be changed while it is open: write the new one beside it and rename it over the old one")

// ErrClosed answers calls on weights that are closed.
var ErrClosed = errors.New("the model is closed")

// Fault is a runtime error about memory, which says where.
type Fault interface {
	runtime.Error
	Addr() uintptr
}

// Watch has faults of this goroutine end in a panic of a [Fault] instead of the process, and returns whether they did so
// before.
func Watch() (before bool) { return debug.SetPanicOnFault(true) }

// caught makes an error of a fault inside the payload. Any other panic goes on. It must be deferred:
//
//	defer b.caught(Watch(), &err)
func (b *Blob) caught(before bool, err *error) {
	debug.SetPanicOnFault(before)
	if r := recover(); r != nil {
		f, ok := r.(Fault)
		if !ok || !b.holds(f.Addr()) {
			panic(r)
		}
		*err = fmt.Errorf("%s: %w", file.Quote(b.Source), ErrFault)
	}
}

// holds reports whether an address is one of the mapped file.
func (b *Blob) holds(addr uintptr) bool {
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b.mapped)))
	return len(b.mapped) > 0 && addr >= from && addr-from < uintptr(len(b.mapped))
}
