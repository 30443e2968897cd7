// Command peers writes what is made of the numbers of golden/reference/bench_peers.py, NAME.json: NAME.md, all tables; NAME.svg,
// a picture of the calls on the fewest threads; and the part of README between its marks.
//
//	go run ./golden/peers golden/reference/peers README.md
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: peers NAME README")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const (
	note       = "Written by golden/peers; do not edit."
	begin, end = "<!-- made by: make bench-peers -->\n", "<!-- end of bench-peers -->\n"
)

func write(name, readme string) error {
	data, err := os.ReadFile(name + ".json")
	if err != nil {
		return err
	}
	var all struct{ Runs []run }
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("%s.json: %w", name, err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s lacks the marks %q and %q", readme, begin, end)
	}
	base, err := filepath.Rel(filepath.Dir(readme), name)
	if err != nil {
		return err
	}
	base = filepath.ToSlash(base)
	var long, short strings.Builder
	fmt.Fprintf(&long, "<!-- %s -->\n", note)
	for i, r := range all.Runs {
		if i > 0 {
			long.WriteString("\n")
			short.WriteString("\n")
		}
		long.WriteString(r.tables())
		short.WriteString(r.summary())
	}
	fmt.Fprintf(&short, "\n![times of a call as bars](%s.svg)\n\nAll figures are in [%s](%[2]s).\n", base, base+".md")
	for file, text := range map[string]string{name + ".md": long.String(), name + ".svg": picture(all.Runs), readme: before + begin + short.String() + end + after} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
