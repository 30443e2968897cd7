package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// run is a race of some models, as bench_peers.py writes it.
type run struct {
	Machine   machine
	Processes int
	Sides     []side // in the order of tables
	Models    []model
}

type machine struct {
	CPU, System, Python string
	Level               string // that our side was held at, "" for the best
	Cores               int
	Versions            map[string]string
	Peaks               []peak // in the order of time
}

// peak is a measurement of the machine, before, between or after the processes.
type peak struct {
	When    string
	Threads int
	FMA     float64 `json:"fma_gflops"`
	Read    float64 `json:"read_gbps"`
}

type model struct {
	Name      string
	Workloads []workload
	Times     values                      `json:"times_ms"`
	First     values                      `json:"first_ms"`
	Memory    values                      `json:"memory_mb"`
	Cosine    map[side]map[string]float64 // by modality
	Recall    map[side]map[string]float64 // by direction, shares from 0 to 1
	Photos    photos
}

// photos are pictures in files, which sides read, decode, resize and embed.
type photos struct {
	Folders  []workload
	Times    values                     `json:"ms"` // a picture
	Arranged map[side]map[string]string // threads and processes of the other sides, by folder
}

type workload struct {
	Name, Label string
	Inputs      int
}

// values are a number for each process, by side, threads and workload.
type values map[side]map[string]map[string][]float64

func (v values) of(s side, threads, w string) []float64 { return v[s][threads][w] }

// side is an engine with a format of weights and perhaps a variant of it, such as "ONNX Runtime int8 (reduce_range)".
type side string

const ours = "multiway"

// engine returns the engine of the side.
func (s side) engine() string {
	e, _, _ := strings.Cut(string(s), " "+s.format())
	return e
}

func (s side) format() string {
	if strings.Contains(string(s), " int8") {
		return "int8"
	}
	return "f32"
}

// of returns the sides with a format, ours or the others'.
func (r *run) of(format string, mine bool) []side {
	var list []side
	for _, s := range r.Sides {
		if s.format() == format && (s.engine() == ours) == mine {
			list = append(list, s)
		}
	}
	return list
}

// threads returns the numbers of threads that were raced, as their keys.
func (v values) threads() []string {
	var list []string
	for _, times := range v {
		for n := range times {
			if !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return list
}

// busy is the largest range between processes, as a share of their median, that is not marked.
const busy = 0.15

// cell is a figure of a table: the median as it is printed, and its range.
type cell struct {
	median      float64
	text        string // of the median
	rough       bool
	least, most float64
}

// cellOf returns the cell of the figures of the processes, at least one.
func cellOf(list []float64) cell {
	list = slices.Sorted(slices.Values(list))
	n := len(list)
	m := (list[(n-1)/2] + list[n/2]) / 2
	c := cell{least: list[0], most: list[n-1], rough: list[n-1]-list[0] > busy*m}
	c.text = fmt.Sprintf("%.*f", digits(m), m)
	fmt.Sscan(c.text, &c.median)
	return c
}

func digits(x float64) int {
	switch {
	case x >= 100:
		return 0
	case x >= 10:
		return 1
	}
	return 2
}

// mark is ~ where a figure is rough.
func (c cell) mark() string {
	if c.rough {
		return "~"
	}
	return ""
}

func (c cell) String() string {
	d := digits(c.median)
	return fmt.Sprintf("%s%s (%.*f to %.*f)", c.mark(), c.text, d, c.least, d, c.most)
}

// ratio is how often our figure fits theirs, of the medians as they are printed: above 1 ours is better.
func ratio(ours, theirs cell) (float64, string) {
	x := theirs.median / ours.median
	mark := ""
	if ours.rough || theirs.rough {
		mark = "~"
	}
	return x, fmt.Sprintf("%s%.2f", mark, x)
}
