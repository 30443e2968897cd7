package app

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
	terminal bool
	job      *Progress
}

// NewOutput is an output to w.
func NewOutput(w io.Writer) *Output { return &Output{w: w, terminal: isTerminal(w)} }

// Err is the first error.
func (o *Output) Err() error { return o.err }

// Write returns the first error once there is one.
func (o *Output) Write(b []byte) (n int, err error) {
	write := func() { n, err = o.w.Write(b) }
	if o.terminal {
		o.job.Aside(write)
	} else {
		write()
	}
	if err != nil && o.err == nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		o.err = fmt.Errorf("standard output: %w", err)
	}
	return n, o.err
}
