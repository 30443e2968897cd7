package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/ir/file"
)

// chosen warns that the demo's queries are not a random sample; results and help text quote it.
const chosen = "The queries were chosen among those that work; emoji eval measures all names."

// queries lists the texts that demo searches for.
var queries = []string{
	"red apple", "watermelon", "guitar", "broken heart", "green heart", "a cat", "fire truck", "flag: japan", "christmas tree",
	"moon", "sad crying face", "football",
}

func demoCommand(a *cli.App) *cobra.Command {
	var html string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Search the held-out drawings for a dozen things and write a page of what was found",
		Long: `demo searches the drawings that the binary carries for a dozen things, and writes a page with
what was found. ` + chosen + `

` + knows,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			place, err := file.Create(html, 0o666) // which says before the work that it cannot be written
			if err != nil {
				return err
			}
			defer place.Abandon()
			m, err := a.Open()
			if err != nil {
				return err
			}
			defer m.Close()
			h, err := loadHeldOut()
			if err != nil {
				return err
			}
			i := m.Info()
			fmt.Fprintf(a.Err, "searching %d drawings that training never saw, at level %s with %d threads\n", len(h.Items), i.Level, i.Threads)
			start := time.Now()
			results, err := a.Search(c.Context(), m, queries, h.pictures(), 5)
			if err != nil {
				return err
			}
			took := time.Since(start)
			if a.JSON() {
				err = a.PrintResults(results)
			} else {
				err = table(a, results)
			}
			if err != nil {
				return err
			}
			page := cli.Page{
				Title: "Emoji drawings, found by words",
				Intro: fmt.Sprintf("A small BEiT-3, compiled to Go, looked through %d drawings by an artist it never saw: what it finds for each query, best first, "+
					"with the name of each drawing and the cosine of the two embeddings. The model never reads these names. %s %s", len(h.Items), chosen, knows),
				Note:    "Drawings: Twemoji, © Twitter, Inc and other contributors, CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), rendered to 64x64 pixels. Names: Unicode CLDR.",
				Results: results,
			}
			if err := page.Commit(place); err != nil {
				return err
			}
			fmt.Fprintf(a.Err, "%s\n%s\n", chosen, knows)
			fmt.Fprintf(a.Err, "embedded and searched in %.1f s; the page with the drawings is %s\n", took.Seconds(), file.Quote(html))
			return nil
		},
	}
	c.Flags().StringVar(&html, "html", "demo.html", "page to write")
	return c
}

// table prints the results: each query once, and beside it the drawings found, one a line, with
// their scores.
func table(a *cli.App, results []cli.Result) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "query\tscore\tfound")
	for _, r := range results {
		query := r.Query.Name
		for _, x := range r.Hits {
			fmt.Fprintf(w, "%s\t%.3f\t%s %s\n", query, x.Score, x.Sign, x.Name)
			query = ""
		}
	}
	return w.Flush()
}
