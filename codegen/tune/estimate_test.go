package tune

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// slow is a pace of one second for a million operations, and tells of any work.
var slow = Options{tellFLOPs: 1, pace: func() (pace, error) { return pace{flop: 1e-6}, nil }}

// told are the lines that Choose logs of a model at a precision, at the slow pace.
func told(t *testing.T, m Model, word string) (p prospect, lines []string) {
	t.Helper()
	o := slow
	o.largeFLOPs = 1
	o.Log = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	at := atPrecision(t, m, word)
	p, err := (&tuner{Model: at, Options: o}).prospect()
	if err != nil {
		t.Fatal(err)
	}
	choose(t, at, o)
	return p, lines
}

// atPrecision is the model with everything at one precision.
func atPrecision(t *testing.T, m Model, word string) Model {
	t.Helper()
	d := *m.Desc
	if err := d.SetPrecision(word); err != nil {
		t.Fatal(err)
	}
	m.Desc = &d
	return m
}

// Before modules are chosen, a line says how long that takes; those that follow say how far
// it is.
func TestToldBefore(t *testing.T) {
	m := open(t, nlvr2Model)
	for _, word := range []string{"int8", "int8x2", "bf16dot"} {
		p, lines := told(t, m, word)
		whole := p.total().flops
		if want := fmt.Sprintf("precision %s: choosing what it is too coarse for takes about %s on this machine, as busy as it is; weights from a seed are random, and their choice is not that of a trained model. `tune: off` in the description, or --tune off, leaves it out",
			word, about(time.Duration(whole*1e3))); lines[0] != want {
			t.Errorf("%s: the first line is\n%s\nwant\n%s", word, lines[0], want)
		}
		if p.round.flops <= 0 || p.judge.flops <= 0 || p.round.elements <= 0 || p.once.flops != 2*p.round.flops || p.smooth.flops > 0 != (word != "bf16dot") {
			t.Errorf("%s: work %+v", word, p)
		}
		last := -1
		for _, line := range lines[1:] {
			x := regexp.MustCompile(`\((\d+) %(, about .* left)?\)$`).FindStringSubmatch(line)
			if x == nil {
				t.Errorf("%s: no percentage in %q", word, line)
				continue
			}
			now, _ := strconv.Atoi(x[1])
			if now < last || now > 95 || now > 0 != (x[2] != "") {
				t.Errorf("%s: %d %% after %d %%: %q", word, now, last, line)
			}
			last = now
		}
		// What is counted is what was done: all but rounds that were not needed.
		if len(lines) > 1 && last < 40 {
			t.Errorf("%s: it ends at %d %%:\n%s", word, last, strings.Join(lines, "\n"))
		}
	}
	m.Desc.Tune = "off"
	_, lines := told(t, m, "int8")
	if len(lines) == 0 || !strings.Contains(lines[0], "precision int8: smoothing norms takes about ") || !strings.Contains(lines[0], "`smooth: off`") {
		t.Errorf("tune: off: %q", lines)
	}
	m.Desc.Tune = ""
	for _, word := range []string{"f32", "bf16", "f16"} {
		if p, lines := told(t, m, word); len(lines) > 0 || p != (prospect{}) {
			t.Errorf("%s takes %+v: %q", word, p, lines)
		}
	}
	choose(t, m, Options{Log: func(format string, args ...any) {
		if line := fmt.Sprintf(format, args...); strings.Contains(line, "%") && strings.Contains(line, "left") || strings.Contains(line, "about") {
			t.Errorf("of a small model it says %q", line)
		}
	}})
}

// Several choices are told together.
func TestToldTogether(t *testing.T) {
	m := open(t, nlvr2Model)
	var models []Model
	total := 0.0
	for _, word := range []string{"f32", "int8", "bf16dot", "f16"} {
		at := atPrecision(t, m, word)
		models = append(models, at)
		if p, err := (&tuner{Model: at, Options: slow}).prospect(); err != nil {
			t.Fatal(err)
		} else if p.chooses() {
			total += p.total().flops
		}
	}
	for n, want := range []string{"", "", "choices for int8, bf16dot take about " + about(time.Duration(total*1e3)) + " together"} {
		var lines []string
		o := slow
		o.Log = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		if err := Announce(models[:n+1], o); err != nil || strings.Join(lines, "\n") != want {
			t.Errorf("%d models: %q, %v; want %q", n+1, lines, err, want)
		}
	}
}

// What is left is told by what was done, and how long that took.
func TestMeter(t *testing.T) {
	var line string
	at := time.Unix(0, 0)
	k := &meter{log: func(format string, args ...any) { line = fmt.Sprintf(format, args...) }, pace: pace{flop: 1, element: 10},
		total: 1000 * time.Second, start: at, now: func() time.Time { return at }}
	for _, c := range []struct {
		more  effort
		after time.Duration
		want  string
	}{
		{effort{}, 0, "a step (0 %)"},
		{effort{flops: 50, elements: 5}, 400 * time.Second, "a step (10 %, about 60 minutes left)"},
		{effort{flops: 800}, 0, "a step (90 %, about 40 seconds left)"},
		{effort{flops: 5000}, 0, "a step (95 %, about 20 seconds left)"},
	} {
		k.did(c.more)
		at = at.Add(c.after)
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

func TestPace(t *testing.T) {
	p, err := measurePace()
	if err != nil || p.flop <= 0 || p.element <= 0 || p.flop > 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

const nlvr2Model = `model: 1
name: tiny
family: beit3
sizes: {dim: 24, heads: 2, ffn: 40, layers: 4, image: 16, patch: 8, vocab: 50, positions: 20}
seed: 7
tasks: [nlvr2]
limits: {text: 18}
precision: {default: int8, heads: f32}
`
