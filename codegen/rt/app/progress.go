package app

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress is a bar on standard error, or nothing if that is no terminal.
type progress struct{ bar *progressbar.ProgressBar }

// progress starts a bar for a number of steps, -1 if unknown.
func (a *App) progress(total int, what string) *progress {
	if !isTerminal(a.Err) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions(total,
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWriter(a.Err),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

// isTerminal reports whether a stream is one that a person sits at.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// The bar's methods report only that the terminal could not be written to.

func (p *progress) add(n int) {
	if p.bar != nil {
		p.bar.Add(n)
	}
}

// aside takes the bar away for as long as f prints.
func (p *progress) aside(f func()) {
	if p.bar != nil {
		p.bar.Clear()
	}
	f()
}

func (p *progress) done() {
	if p.bar != nil {
		p.bar.Finish()
	}
}
