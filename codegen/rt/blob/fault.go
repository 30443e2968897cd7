package blob

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"unsafe"

	"github.com/multiway-go/multiway/ir/file"
)

// ErrFault says that mapped weights could not be read: their file was truncated, or the disk failed. The call has no result;
// later calls fail too until the weights are opened again.
var ErrFault = errors.New("the weight file can no longer be read; it must not be changed while it is open: write the new one beside it and rename it over the old one")

// ErrClosed is the error of calls on closed weights.
var ErrClosed = errors.New("the model is closed")

// Fault is a runtime error about an access to memory; Addr is the address.
type Fault interface {
	runtime.Error
	Addr() uintptr
}

// Watch makes memory faults of this goroutine panic with a [Fault] instead of crashing the process, and returns whether they did
// so before.
func Watch() (before bool) { return debug.SetPanicOnFault(true) }

// caught turns a panic with a fault inside the mapped weight file into an error; any other panic
// continues. It restores the setting that [Watch] changed: before is what Watch returned. It must be
// deferred:
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

// holds reports whether an address lies in the mapped file.
func (b *Blob) holds(addr uintptr) bool {
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b.mapped)))
	return len(b.mapped) > 0 && addr >= from && addr-from < uintptr(len(b.mapped))
}
