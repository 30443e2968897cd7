package app

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/file"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

func (a *App) searchCommand() *cobra.Command {
	var o searchOptions
	where, names := "--folder", ""
	if a.Bundled != nil {
		where = "--folder (by default the bundled ones)"
		names = " (by default the names of the bundled pictures)"
	}
	c := &cobra.Command{
		Use:   "search [flags] QUERY...  |  search --image PICTURE [flags] [TEXT...]",
		Short: "Find pictures by words, or words for a picture",
		Long: `search finds the pictures of ` + where + ` that fit each query best,
or, with --image, the texts that fit a picture best: those given as arguments and in the
files of --texts` + names + `.

The score is the cosine of the two embeddings. A query "-" reads queries from standard
input, one a line, 65536 at most. Nothing is stored: every search embeds its pictures
anew, one batch at a time, and keeps the best only.`,
		Example: strings.ReplaceAll(`  NAME search "red apple" "broken heart" --folder pictures/
  NAME search "a dog on a beach" --folder photos/ --top 20 --html found.html
  NAME search --image cat.png "a cat" "a dog" "a car"
  NAME search --image cat.png --texts names.txt --json`, "NAME", a.Name),
		RunE: func(c *cobra.Command, args []string) error { return a.search(c.Context(), args, &o) },
	}
	f := c.Flags()
	f.StringArrayVar(&o.folders, "folder", nil, "folder of pictures to search in, or a picture; may be repeated")
	f.StringArrayVar(&o.images, "image", nil, "picture to find texts for; may be repeated")
	f.StringArrayVar(&o.texts, "texts", nil, "file of texts to choose from, one a line; may be repeated")
	f.IntVarP(&o.top, "top", "k", 5, "results a query")
	f.StringVar(&o.html, "html", "", "also write a page with the pictures, one self-contained file")
	f.BoolVar(&o.strict, "strict", false, "fail if any picture cannot be read")
	return c
}

type searchOptions struct {
	folders, images, texts []string
	top                    int
	html                   string
	strict                 bool
}

// maxTop bounds --top.
const maxTop = 10000

func (a *App) search(ctx context.Context, args []string, o *searchOptions) error {
	switch {
	case o.top < 1 || o.top > maxTop:
		return Usagef("--top is %d, want 1 to %d", o.top, maxTop)
	case o.images == nil && len(args) == 0:
		return Usagef("nothing to search for: give a text, or a picture with --image")
	case o.images == nil && o.texts != nil:
		return Usagef("--texts goes with --image: it lists what to find for a picture")
	case o.images != nil && o.folders != nil:
		return Usagef("--folder goes with a text, --image with texts to choose from; pictures are not searched by pictures")
	case o.images == nil && o.folders == nil && a.Bundled == nil:
		return Usagef("nowhere to search: give a folder of pictures with --folder")
	case o.images != nil && len(args) == 0 && o.texts == nil && a.Bundled == nil:
		return Usagef("no texts to choose from: give some as arguments or in a file with --texts")
	}
	if err := a.keeps(o.html, slices.Contains(args, "-"), slices.Concat(o.folders, o.images, o.texts)...); err != nil {
		return err
	}
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	read := a.decodeOptions(m)

	var queries []item
	var among iter.Seq[item]
	total := -1
	if o.images == nil {
		if queries, err = a.queries(args); err != nil {
			return err
		}
		var list []item
		for _, path := range o.folders {
			list = append(list, pictures(path, read)...)
		}
		if o.folders == nil {
			bundled, err := a.Bundled()
			if err != nil {
				return err
			}
			list = pictureItems(bundled)
		}
		among, total = slices.Values(list), len(list)
	} else {
		for _, path := range o.images {
			queries = append(queries, pictures(path, read)...)
		}
		if among, err = a.texts(args, o.texts); err != nil {
			return err
		}
	}
	results, t, err := a.find(ctx, m, queries, among, total, o.top)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return a.tallied(t, o.strict)
	}
	if err := a.PrintResults(results); err != nil {
		return err
	}
	if o.html != "" {
		p := Page{Title: a.Short, Results: results}
		if err := p.WriteFile(o.html); err != nil {
			return err
		}
		a.warn("wrote %s", file.Quote(o.html))
	}
	return a.tallied(t, o.strict)
}

// A list of queries, which are all held while the pictures are read, has at most so many,
// of so many bytes.
const (
	maxQueries    = 1 << 16
	maxQueryBytes = 16 << 20
)

// queries are the arguments, "-" standing for the lines of standard input.
func (a *App) queries(args []string) ([]item, error) {
	var queries []item
	n, size := 0, 0
	for _, arg := range args {
		if arg != "-" {
			queries = append(queries, textItem(arg))
			continue
		}
		for line, err := range lines(a.In, "standard input") {
			if err != nil {
				return nil, err
			}
			n, size = n+1, size+len(line)
			if n > maxQueries || size > maxQueryBytes {
				return nil, fmt.Errorf("standard input: more than %d queries, or %d bytes; search for a part of them at a time", maxQueries, maxQueryBytes)
			}
			queries = append(queries, textItem(line))
		}
	}
	return queries, nil
}

// texts are what --image chooses from: arguments and the lines of files, or the names
// of the bundled pictures. Files are read while the search runs.
func (a *App) texts(args, files []string) (iter.Seq[item], error) {
	if len(args) == 0 && files == nil {
		bundled, err := a.Bundled()
		if err != nil {
			return nil, err
		}
		for _, p := range bundled {
			args = append(args, p.Name)
		}
	}
	return func(yield func(item) bool) {
		for _, arg := range args {
			if !yield(textItem(arg)) {
				return
			}
		}
		for _, path := range files {
			f, err := file.Open(path)
			if err != nil {
				if !yield(item{name: path, named: true, err: err}) {
					return
				}
				continue
			}
			for it := range listedItems(f, path, textItem) {
				if !yield(it) {
					f.Close()
					return
				}
			}
			f.Close()
		}
	}, nil
}

// Result is a query and what was found for it, best first.
type Result struct {
	Query Hit
	Hits  []Hit
}

// Hit is a picture or a text, and how well it fits.
type Hit struct {
	Picture         // a text has no Read
	Score   float32 // cosine; nothing for the query itself
}

// Search finds the k best pictures for each query.
func (a *App) Search(ctx context.Context, m *task.Model, queries []string, among []Picture, k int) ([]Result, error) {
	results, t, err := a.find(ctx, m, textItems(queries), slices.Values(pictureItems(among)), len(among), k)
	if err != nil {
		return nil, err
	}
	return results, a.tallied(t, true)
}

// find embeds the queries, then what to search among, total of them (-1: unknown), and
// keeps the k best for each query. The tally is of all of them.
func (a *App) find(ctx context.Context, m *task.Model, queries []item, among iter.Seq[item], total, k int) ([]Result, tally, error) {
	s := &stream{App: a, m: m, images: m.Func(visionRetrieval), texts: m.Func(languageRetrieval), what: "queries", total: len(queries)}
	var results []Result
	var vectors [][]float32
	asked, err := s.run(ctx, slices.Values(queries), func(it *item, out []float32) error {
		results = append(results, Result{Query: hitOf(it, 0)})
		vectors = append(vectors, slices.Clone(out))
		return nil
	})
	if err != nil || len(results) == 0 {
		return nil, asked, err
	}
	s.what, s.total = "searching", total
	t, err := s.run(ctx, among, func(it *item, out []float32) error {
		for q := range results {
			results[q].offer(it, dot(vectors[q], out), k)
		}
		return nil
	})
	if err == nil && t.done == 0 {
		return nil, t, a.tallied(t, true)
	}
	t.failed += asked.failed
	t.named = t.named || asked.named
	return results, t, err
}

func hitOf(it *item, score float32) Hit { return Hit{Picture{it.name, it.read}, score} }

// offer puts an item among the k best; of equals the earlier one is better.
func (r *Result) offer(it *item, score float32, k int) {
	i := len(r.Hits)
	for i > 0 && score > r.Hits[i-1].Score {
		i--
	}
	if i == k {
		return
	}
	if len(r.Hits) == k {
		r.Hits = r.Hits[:k-1]
	}
	r.Hits = slices.Insert(r.Hits, i, hitOf(it, score))
}

// dot is the cosine of two vectors of length 1.
func dot(a, b []float32) float32 {
	sum := 0.0
	for i, x := range a {
		sum += float64(float64(x) * float64(b[i]))
	}
	return float32(sum)
}

// PrintResults writes a table, or a line of JSON a query.
func (a *App) PrintResults(results []Result) error {
	if a.json {
		type hit struct {
			Rank  int     `json:"rank"`
			Image string  `json:"image,omitempty"`
			Text  *string `json:"text,omitempty"`
			Score float32 `json:"score"`
		}
		for i := range results {
			r := &results[i]
			line := struct {
				Query string `json:"query,omitempty"`
				Image string `json:"image,omitempty"`
				Hits  []hit  `json:"results"`
			}{Hits: []hit{}}
			if r.Query.Read != nil {
				line.Image = r.Query.Name
			} else {
				line.Query = r.Query.Name
			}
			for j := range r.Hits {
				h := &r.Hits[j]
				if h.Read != nil {
					line.Hits = append(line.Hits, hit{Rank: j + 1, Image: h.Name, Score: h.Score})
				} else {
					line.Hits = append(line.Hits, hit{Rank: j + 1, Text: &h.Name, Score: h.Score})
				}
			}
			if err := a.Print(line); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for i := range results {
		fmt.Fprintf(w, "%s\n", file.Quote(results[i].Query.Name))
		for j, h := range results[i].Hits {
			fmt.Fprintf(w, "  %d\t%.3f\t%s\n", j+1, h.Score, file.Quote(h.Name))
		}
	}
	return w.Flush()
}
