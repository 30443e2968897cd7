package tune

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const nlvr2Model = `model: 1
name: tiny
family: beit3
sizes: {dim: 24, heads: 2, ffn: 40, layers: 4, image: 16, patch: 8, vocab: 50, positions: 20}
seed: 7
tasks: [nlvr2]
limits: {text: 18}
precision: {default: int8, heads: f32}
`

// The first line has the estimated time of a choice and the way to leave it out; the following lines
// have the progress.
func TestProgressLines(t *testing.T) {
	told := func(format, tune string, flops float64) (lines []string) {
		m := open(t, nlvr2Model)
		if err := m.Desc.SetPrecision(format); err != nil {
			t.Fatal(err)
		}
		m.Desc.Tune = tune
		choose(t, m, Options{largeFLOPs: 1, tellFLOPs: flops, Log: func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }})
		return lines
	}
	const time = ` takes about \d+ (seconds|minutes)`
	for _, format := range []string{"int8", "int8x2", "bf16dot"} {
		lines := told(format, "", 1)
		first := regexp.MustCompile("^precision " + format + ": choosing the modules to store finer" + time + " on this machine under its present load; weights from a seed are random, and the choice for a trained model differs. `tune: off` in the description, or --tune off, leaves it out$")
		if !first.MatchString(lines[0]) {
			t.Errorf("%s: the first line is %s", format, lines[0])
		}
		last := 0
		for _, line := range lines[1:] {
			x := regexp.MustCompile(`\((\d+) %, about \d+ \w+ left\)$`).FindStringSubmatch(line)
			if x == nil {
				t.Errorf("%s: no percentage in %q", format, line)
				continue
			}
			now, _ := strconv.Atoi(x[1])
			if now < last || now > 95 {
				t.Errorf("%s: %d %% after %d %%: %q", format, now, last, line)
			}
			last = now
		}
		// All work is counted, except rounds that were not needed.
		if len(lines) > 1 && last < 40 {
			t.Errorf("%s: it ends at %d %%:\n%s", format, last, strings.Join(lines, "\n"))
		}
	}
	if lines := told("int8", "off", 1); len(lines) == 0 || !regexp.MustCompile("^precision int8: smoothing norms"+time+"; `smooth: off`").MatchString(lines[0]) {
		t.Errorf("tune: off: %q", lines)
	}
	for _, format := range []string{"f32", "bf16"} {
		if lines := told(format, "", 1); len(lines) > 0 {
			t.Errorf("%s: %q", format, lines)
		}
	}
	for _, line := range told("int8", "", 0) {
		if strings.Contains(line, "about") {
			t.Errorf("of a small model it says %q", line)
		}
	}
}

// The remaining time is estimated from the work done and its time.
func TestTimeLeft(t *testing.T) {
	var line string
	at := time.Unix(0, 0)
	k := &meter{log: func(format string, args ...any) { line = fmt.Sprintf(format, args...) }, announce: func(time string) { line = "all takes " + time },
		total: 1000, start: at, now: func() time.Time { return at }}
	for _, c := range []struct {
		did   float64
		after time.Duration
		want  string
	}{
		{100, 400 * time.Second, "a step (10 %, about 60 minutes left)"},
		{800, 0, "a step (90 %, about 40 seconds left)"},
		{5000, 0, "a step (95 %, about 20 seconds left)"},
	} {
		at = at.Add(c.after)
		if k.did(c.did); c.after > 0 && line != "all takes 67 minutes" {
			t.Errorf("got %q", line)
		}
		if k.say("a %s", "step"); line != c.want {
			t.Errorf("got %q, want %q", line, c.want)
		}
	}
	for d, want := range map[time.Duration]string{0: "10 seconds", 34 * time.Second: "30 seconds", 94 * time.Second: "90 seconds",
		100 * time.Second: "2 minutes", 15 * time.Minute: "15 minutes", 3 * time.Hour: "3 hours"} {
		if got := about(d); got != want {
			t.Errorf("%v is about %s, want %s", d, got, want)
		}
	}
}
