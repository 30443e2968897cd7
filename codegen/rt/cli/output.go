package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Output is the standard output of a command. It records the first write error, because callers
// such as cobra ignore errors in printing help. On a terminal it clears the progress line of a
// running job while it writes. It serves one goroutine.
type Output struct {
	w        io.Writer
	err      error
	written  bool
	terminal bool
	job      *Progress
}

// NewOutput returns an Output that writes to w.
func NewOutput(w io.Writer) *Output { return &Output{w: w, terminal: isTerminal(w)} }

// Err returns the first error.
func (o *Output) Err() error { return o.err }

// Close closes the writer if it is an io.Closer and was written to, and returns the first
// error: some file systems report a full disk only on close.
func (o *Output) Close() error {
	if c, ok := o.w.(io.Closer); ok && o.written {
		o.note(c.Close())
	}
	return o.err
}

// Write writes b; after an error it returns the first one.
func (o *Output) Write(b []byte) (n int, err error) {
	o.written = true
	write := func() { n, err = o.w.Write(b) }
	if o.terminal {
		o.job.Aside(write)
	} else {
		write()
	}
	o.note(err)
	return n, o.err
}

// note records an error if it is the first.
func (o *Output) note(err error) {
	if err != nil && o.err == nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		o.err = fmt.Errorf("standard output: %w", err)
	}
}
