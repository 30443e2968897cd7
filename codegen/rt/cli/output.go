package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Output is the standard output of a command. It remembers the first error in writing to
// it, which what prints help looks at no more than much else does. Where it is a terminal
// the line of a job under way makes room for what is written. It is for one goroutine.
type Output struct {
	w        io.Writer
	err      error
	written  bool
	terminal bool
	job      *Progress
}

// NewOutput is an output to w.
func NewOutput(w io.Writer) *Output { return &Output{w: w, terminal: isTerminal(w)} }

// Err is the first error.
func (o *Output) Err() error { return o.err }

// Close closes what was written to, if that can be closed, and returns the first error: some
// file systems say only then that there was no room. Where nothing was written it does
// nothing.
func (o *Output) Close() error {
	if c, ok := o.w.(io.Closer); ok && o.written {
		o.note(c.Close())
	}
	return o.err
}

// Write returns the first error once there is one.
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

// note keeps an error if it is the first.
func (o *Output) note(err error) {
	if err != nil && o.err == nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		o.err = fmt.Errorf("standard output: %w", err)
	}
}
