package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// row begins a row of a Markdown table.
func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// head writes the head of a table.
func head(b *strings.Builder, cells ...string) {
	b.WriteString("\n")
	row(b, cells...)
	b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
}

// intro says what was raced, on which machine, and in which state that was.
func (r *run) intro() string {
	var names, versions []string
	for _, m := range r.Models {
		names = append(names, m.Name)
	}
	for name, v := range r.Machine.Versions {
		versions = append(versions, name+" "+v)
	}
	slices.Sort(versions)
	level := ""
	if r.Machine.Level != "" {
		level = fmt.Sprintf(" (%s held at level %s)", ours, r.Machine.Level)
	}
	return fmt.Sprintf("%s on %s, %d cores, %s%s; %s, Python %s. %s Medians of %s each, by turns. ~: over %.0f %% between them, so that a ratio is rough.",
		strings.Join(names, ", "), r.Machine.CPU, r.Machine.Cores, r.Machine.System, level, strings.Join(versions, ", "), r.Machine.Python, r.state(), count(r.Processes, "process", "processes"), 100*busy)
}

// state says what the machine could do before, between and after the processes.
func (r *run) state() string {
	var parts []string
	for threads := 1; threads <= r.Machine.Cores; threads++ {
		var at []string
		var all []float64
		for _, when := range []struct{ name, word string }{{"before", "before"}, {"between", "meanwhile"}, {"after", "after"}} {
			var list []float64
			for _, p := range r.Machine.Peaks {
				if p.Threads == threads && p.When == when.name {
					list = append(list, p.FMA)
				}
			}
			if list == nil {
				continue
			}
			all = append(all, list...)
			figure := fmt.Sprintf("%.0f", slices.Min(list))
			if len(list) > 1 {
				figure += fmt.Sprintf(" to %.0f", slices.Max(list))
			}
			at = append(at, when.word+" "+figure)
		}
		if at != nil {
			parts = append(parts, fmt.Sprintf("%s%s with %s", cellOf(all).mark(), strings.Join(at, ", "), threadsOf(fmt.Sprint(threads))))
		}
	}
	if parts == nil {
		return ""
	}
	return "FMA peak in GFLOP/s: " + strings.Join(parts, "; ") + "."
}

func threadsOf(n string) string {
	if n == "1" {
		return n + " thread"
	}
	return n + " threads"
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// label names a workload among those of all models.
func (r *run) label(m *model, w workload) string {
	if len(r.Models) > 1 {
		return m.Name + ": " + w.Label
	}
	return w.Label
}

// line is one workload of a model on some threads, of our side and of the others.
type line struct {
	label, threads string
	mine           cell
	theirs         []*cell // nil where a side has no figure
}

// lines returns the lines of one of our sides that another side has too.
func (r *run) lines(kind kind, mine side, theirs []side) []line {
	var list []line
	for i := range r.Models {
		m := &r.Models[i]
		of, workloads := kind(m)
		for _, w := range workloads {
			for _, n := range of.threads() {
				own := of.of(mine, n, w.Name)
				if own == nil {
					continue
				}
				l := line{label: r.label(m, w), threads: n, mine: cellOf(own)}
				some := false
				for _, s := range theirs {
					var c *cell
					if x := of.of(s, n, w.Name); x != nil {
						v := cellOf(x)
						c, some = &v, true
					}
					l.theirs = append(l.theirs, c)
				}
				if some {
					list = append(list, l)
				}
			}
		}
	}
	return list
}

// others returns the other sides at a format that have figures of a kind.
func (r *run) others(format string, kind kind) []side {
	return slices.DeleteFunc(r.of(format, false), func(s side) bool {
		return !slices.ContainsFunc(r.Models, func(m model) bool {
			of, _ := kind(&m)
			return of[s] != nil
		})
	})
}

// kind is a kind of figures: those of a model, and of which workloads.
type kind func(*model) (values, []workload)

func times(m *model) (values, []workload) { return m.Times, m.Workloads }
func files(m *model) (values, []workload) { return m.Photos.Times, m.Photos.Folders }

const aPhoto = "from a file to its vector, a picture"

// formats are what engines are raced at.
var formats = []string{"f32", "int8"}

// tables returns every figure of the run.
func (r *run) tables() string {
	var b strings.Builder
	b.WriteString(r.intro() + " In brackets the least and the largest. Ratios are those of the medians beside them; above 1 " + ours + " is ahead.\n")
	for _, k := range []struct {
		title string
		of    kind
	}{
		{"a call, ms", times},
		{aPhoto + ", ms", files},
		{"process start to first result, ms", func(m *model) (values, []workload) { return m.First, m.Workloads }},
		{"peak memory of that process, MB", func(m *model) (values, []workload) { return m.Memory, m.Workloads }},
	} {
		for _, format := range formats {
			theirs := r.others(format, k.of)
			for _, mine := range r.of(format, true) {
				lines := r.lines(k.of, mine, theirs)
				if lines == nil {
					continue
				}
				titles := []string{k.title, "threads", string(mine)}
				for _, s := range theirs {
					titles = append(titles, string(s), "ratio")
				}
				head(&b, titles...)
				for _, l := range lines {
					cells := []string{l.label, l.threads, l.mine.String()}
					for _, c := range l.theirs {
						if c == nil {
							cells = append(cells, "", "")
							continue
						}
						_, x := ratio(l.mine, *c)
						cells = append(cells, c.String(), x)
					}
					row(&b, cells...)
				}
			}
		}
	}
	b.WriteString(r.accuracy())
	b.WriteString(r.arrangements())
	return b.String()
}

// arrangements tells how the other sides share out threads to embed files.
func (r *run) arrangements() string {
	var b strings.Builder
	for i := range r.Models {
		m := &r.Models[i]
		for _, s := range r.Sides {
			for _, w := range m.Photos.Folders {
				if how := m.Photos.Arranged[s][w.Name]; how != "" {
					if b.Len() == 0 {
						head(&b, "files with Pillow and", "", "the fastest arrangement")
					}
					row(&b, string(s), r.label(m, w), how)
				}
			}
		}
	}
	return b.String()
}

// accuracy is the table of every side's cosines, and of its recall where a model has it.
func (r *run) accuracy() string {
	var b strings.Builder
	for _, s := range r.Sides {
		cells, some := []string{string(s)}, false
		for i := range r.Models {
			text := ""
			if x := r.Models[i].least(s); !math.IsNaN(x) {
				text, some = fmt.Sprintf("%.4f", x), true
			}
			if x, ok := r.Models[i].Recall[s]; ok {
				text += fmt.Sprintf("; %.1f %%, %.1f %%", 100*x["text_to_image"], 100*x["image_to_text"])
			}
			cells = append(cells, text)
		}
		if !some {
			continue
		}
		if b.Len() == 0 {
			titles := []string{"least cosine to float64"}
			for _, m := range r.Models {
				name := m.Name
				if m.Recall != nil {
					name += "; held-out drawings found first by their names, names by drawings"
				}
				titles = append(titles, name)
			}
			head(&b, titles...)
		}
		row(&b, cells...)
	}
	return b.String()
}

// least returns the least cosine of a side's embeddings, NaN if none was measured.
func (m *model) least(s side) float64 {
	x := math.NaN()
	for _, c := range m.Cosine[s] {
		if !(x <= c) {
			x = c
		}
	}
	return x
}

// summary is README's part: ratios, accuracy, and how to read them.
func (r *run) summary() string {
	var b strings.Builder
	b.WriteString(r.intro() + "\n")
	r.ratios(&b, "a call", times)
	r.ratios(&b, aPhoto, files)
	b.WriteString(r.accuracy())
	b.WriteString("\n" + r.reading() + "\n")
	return b.String()
}

// ratios writes the tables of a kind of times: ours, and how often they fit the others'.
func (r *run) ratios(b *strings.Builder, title string, kind kind) {
	for _, format := range formats {
		theirs := r.others(format, kind)
		for _, mine := range r.of(format, true) {
			lines := r.lines(kind, mine, theirs)
			if lines == nil {
				continue
			}
			titles := []string{title, "threads", string(mine) + ", ms"}
			for _, s := range theirs {
				titles = append(titles, "times as fast as "+string(s))
			}
			head(b, titles...)
			for i := 0; i < len(lines); {
				n := i + 1
				for n < len(lines) && lines[n].label == lines[i].label {
					n++
				}
				cells := make([][]string, 2+len(theirs))
				for _, l := range lines[i:n] {
					cells[0] = append(cells[0], l.threads)
					cells[1] = append(cells[1], l.mine.mark()+l.mine.text)
					for j, c := range l.theirs {
						if c != nil {
							_, x := ratio(l.mine, *c)
							cells[2+j] = append(cells[2+j], x)
						}
					}
				}
				out := []string{lines[i].label}
				for _, c := range cells {
					out = append(out, strings.Join(c, ", "))
				}
				row(b, out...)
				i = n
			}
		}
	}
}
