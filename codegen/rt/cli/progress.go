package cli

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Progress reports the progress of a job on a stream. On a terminal it is a line that is shown
// until Done removes it. Elsewhere, as in a log, it prints a line every half minute, so that a
// short job prints nothing. Its methods are safe for concurrent use; on a nil Progress they do
// nothing.
type Progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	name     string // of the program, prefix of log lines
	what     string
	unit     string
	scale    float64 // steps per unit
	total    int64   // -1: unknown
	done     int64
	samples  []sample // within the window, oldest first
	shown    int      // width of the line on the terminal
	drawn    time.Time
	ended    bool
	stop     chan struct{} // closed at the end
	now      func() time.Time
}

// sample is the number of steps done at a point in time.
type sample struct {
	at   time.Time
	done int64
}

const (
	progressWindow = 10 * time.Second // window over which the rate is measured
	progressRedraw = 100 * time.Millisecond
	progressTick   = time.Second      // redraw on a terminal, also without progress
	progressLog    = 30 * time.Second // interval of log lines
)

// NewProgress starts to report a job of total steps (-1: unknown), shown in units of scale
// steps: 1 for "pictures", 1e6 for bytes shown in "MB". name, the program's, is the prefix of
// log lines.
func NewProgress(out io.Writer, name, what, unit string, scale float64, total int64) *Progress {
	p := &Progress{out: out, terminal: isTerminal(out), name: name, what: what, unit: unit, scale: scale, total: total,
		stop: make(chan struct{}), now: time.Now}
	p.samples = []sample{{p.now(), 0}}
	every := progressLog
	if p.terminal {
		every = progressTick
		p.draw()
	}
	go p.tick(every)
	return p
}

func (p *Progress) tick(every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		case <-p.stop:
			return
		}
	}
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Add adds n steps to those done.
func (p *Progress) Add(n int64) {
	if p != nil {
		p.mu.Lock()
		p.set(p.done + n)
		p.mu.Unlock()
	}
}

// Set sets the number of steps done.
func (p *Progress) Set(done int64) {
	if p != nil {
		p.mu.Lock()
		p.set(done)
		p.mu.Unlock()
	}
}

func (p *Progress) set(done int64) {
	p.done = done
	if p.terminal && p.now().Sub(p.drawn) >= progressRedraw {
		p.draw()
	}
}

// Aside clears the progress line and calls f, which can then print. The line is not redrawn before f
// returns.
func (p *Progress) Aside(f func()) {
	if p == nil {
		f()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	f()
}

// Done ends the job and removes the line.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	if !p.ended {
		p.ended = true
		close(p.stop)
	}
}

// clear overwrites the line with spaces, which works on every terminal.
func (p *Progress) clear() {
	if p.shown > 0 {
		fmt.Fprintf(p.out, "\r%*s\r", p.shown, "")
		p.shown = 0
	}
}

// draw redraws the line. Errors in writing it are ignored.
func (p *Progress) draw() {
	if p.ended {
		return
	}
	p.drawn = p.now()
	line := p.line()
	if !p.terminal {
		fmt.Fprintf(p.out, "%s: %s\n", p.name, line)
		return
	}
	line = line[:min(len(line), width(p.out)-1)]
	fmt.Fprintf(p.out, "\r%s%s", line, strings.Repeat(" ", max(0, p.shown-len(line))))
	p.shown = len(line)
}

// width returns the number of columns of a terminal, 80 if unknown.
func width(stream any) int {
	if f, ok := stream.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// line formats the steps done, the rate and the time left. It is ASCII, so its length in bytes
// is its width.
func (p *Progress) line() string {
	now := p.now()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", p.what, p.count(p.done))
	if p.total >= 0 {
		percent := 100
		if p.total > 0 {
			percent = int(100 * float64(min(p.done, p.total)) / float64(p.total))
		}
		fmt.Fprintf(&b, " of %s %s, %d %%", p.count(p.total), p.unit, percent)
	} else {
		fmt.Fprintf(&b, " %s", p.unit)
	}
	// The rate is measured from the oldest sample in the window, or from the first sample.
	for len(p.samples) > 1 && now.Sub(p.samples[1].at) >= progressWindow {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	if last := p.samples[len(p.samples)-1]; now.Sub(last.at) >= progressTick {
		p.samples = append(p.samples, sample{now, p.done})
	}
	if took := now.Sub(first.at).Seconds(); took >= progressTick.Seconds() && p.done > first.done {
		rate := float64(p.done-first.done) / took
		fmt.Fprintf(&b, ", %s %s/s", rateText(rate/p.scale), p.unit)
		if p.total > p.done {
			fmt.Fprintf(&b, ", %v left", (time.Duration(math.Min(float64(p.total-p.done)/rate, 1e9)) * time.Second).Round(time.Second))
		}
	}
	return b.String()
}

func rateText(rate float64) string {
	switch {
	case rate < 0.95:
		return fmt.Sprintf("%.2g", rate)
	case rate < 99.5:
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

func (p *Progress) count(n int64) string {
	if p.scale == 1 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%.1f", float64(n)/p.scale)
}
