package rt

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/file"
)

// ErrFault says that weights could not be read where they are mapped: their file was cut off, or what it is stored on
// failed. The call has no result; others fail likewise until the model is opened again.
var ErrFault = errors.New("the weight file can no longer be read; it must not be changed while it is open: write the new one beside it and rename it over the old one")

// fault is what a runtime error about memory says besides.
type fault interface {
	runtime.Error
	Addr() uintptr
}

// watch has faults of this goroutine end in a panic, which caught turns into an error, and returns what was so before:
//
//	defer b.caught(watch(), &err)
func watch() (before bool) { return debug.SetPanicOnFault(true) }

// caught makes an error of a fault inside the payload. Any other panic goes on. It must be deferred.
func (b *Blob) caught(before bool, err *error) {
	debug.SetPanicOnFault(before)
	if r := recover(); r != nil {
		f, ok := r.(fault)
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
