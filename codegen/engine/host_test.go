package engine

import (
	"fmt"
	"testing"
	"time"
)

// Long work logs one line, and nothing after its end.
func TestAfter(t *testing.T) {
	lines := make(chan string, 2)
	log := logger(func(format string, args ...any) { lines <- fmt.Sprintf(format, args...) })
	stop := log.after(time.Nanosecond, "still at work")
	if got := <-lines; got != "still at work" {
		t.Errorf("it says %q", got)
	}
	stop()
	log.after(time.Hour, "an hour")()
	logger(nil).after(0, "to nobody")()
	if len(lines) != 0 {
		t.Errorf("after the end it says %q", <-lines)
	}
}
