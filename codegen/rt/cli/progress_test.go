package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/multiway-go/multiway/codegen/rt/task"
)

// The line stands from the start, counts what is done, gives rates over a window and
// leaves nothing behind.
func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, "NAME", "embedding", "pictures", 1, 400)
	defer p.Done()
	p.mu.Lock()
	p.terminal = true
	clock := p.samples[0].at
	p.now = func() time.Time { return clock }
	p.draw()
	p.mu.Unlock()
	want := func(text string) {
		t.Helper()
		lines := strings.Split(strings.TrimRight(b.String(), " "), "\r")
		if got := strings.TrimRight(lines[len(lines)-1], " "); got != text {
			t.Errorf("the line is %q, want %q", got, text)
		}
	}
	want("embedding: 0 of 400 pictures, 0 %")
	for range 20 { // 1 a second
		clock = clock.Add(time.Second)
		p.Add(1)
	}
	want("embedding: 20 of 400 pictures, 5 %, 1.0 pictures/s, 6m20s left")
	for range 11 { // 10 a second: what was before the window no longer counts
		clock = clock.Add(time.Second)
		p.Add(10)
	}
	want("embedding: 130 of 400 pictures, 32 %, 10.0 pictures/s, 27s left")
	p.Aside(func() { b.WriteString("NAME: broken.png: left out\n") })
	if !strings.Contains(b.String(), "\r"+strings.Repeat(" ", len("embedding: 130 of 400 pictures, 32 %, 10.0 pictures/s, 27s left"))+"\rNAME: broken.png: left out\n") {
		t.Errorf("the line is not taken away before other text: %q", b.String())
	}
	clock = clock.Add(time.Second)
	p.Set(400)
	p.Done()
	if text := b.String(); !strings.HasSuffix(text, " \r") {
		t.Errorf("the line is left behind: %q", text)
	}
	before := b.Len()
	p.Add(1)
	p.Done()
	if b.Len() != before {
		t.Errorf("an ended job prints %q", b.String()[before:])
	}

	var none *Progress
	none.Add(1)
	none.Set(1)
	ran := false
	none.Aside(func() { ran = true })
	none.Done()
	if !ran {
		t.Error("no progress, so that Aside does not call")
	}
}

// Where no terminal is, a short job says nothing and a long one a line now and then.
func TestProgressLog(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, "NAME", "weights", "MB", 1e6, -1)
	clock := p.samples[0].at
	p.mu.Lock()
	p.now = func() time.Time { return clock }
	p.mu.Unlock()
	p.Add(5e6)
	if b.Len() > 0 {
		t.Errorf("a line at once: %q", b.String())
	}
	for range 2 {
		clock = clock.Add(progressLog)
		p.Add(60e6)
		p.mu.Lock()
		p.draw()
		p.mu.Unlock()
	}
	p.Done()
	want := "NAME: weights: 65.0 MB, 2.2 MB/s\nNAME: weights: 125.0 MB, 2.0 MB/s\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// On a terminal results and the line of a job do not mix.
func TestProgressBesideOutput(t *testing.T) {
	var screen bytes.Buffer
	o := &Output{w: &screen, terminal: true}
	a := &App{Binary: Binary{Name: "NAME"}, Out: o, Err: &screen}
	p := a.Progress("captioning", "pictures", 2)
	p.mu.Lock()
	p.terminal = true
	p.draw()
	p.mu.Unlock()
	if err := a.printCaption("a.png", false, task.Caption{Text: "a cat"}); err != nil {
		t.Fatal(err)
	}
	p.Done()
	line := "captioning: 0 of 2 pictures, 0 %"
	if want := "\r" + line + "\r" + strings.Repeat(" ", len(line)) + "\ra cat\n"; screen.String() != want {
		t.Errorf("got %q, want %q", screen.String(), want)
	}
}
