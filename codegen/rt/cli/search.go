package cli

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

func (a *App) searchCommand() *cobra.Command {
	if a.function(retrieval, "image") == nil || a.function(retrieval, "text") == nil {
		return nil
	}
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

The score is the cosine of the two embeddings. A probability follows, where the model has
one: of the texts for a picture among all texts searched (softmax), or, for models trained
with a sigmoid loss such as SigLIP, of each pair on its own.

"-" reads a list from standard input, one per line: of at most 65536 queries, of texts, or
of pictures. Every search embeds its pictures again, one batch at a time, and keeps only the
best, unless --embeddings names a file of embeddings that embed -o wrote, or --index an index
that index made, which also finds pictures like another: --like PICTURE.`,
		Example: strings.ReplaceAll(`  NAME search "red apple" "broken heart" --folder pictures/
  NAME search "a dog" --folder pictures/ --top 20 --html found.html
  NAME embed --image pictures/ -o pictures.npy
  NAME search "a dog" --embeddings pictures.npy
  NAME search --index photos.index "a dog" --like cat.png
  NAME search --image cat.png "a cat" "a dog" "a car"
  NAME search --image cat.png --texts names.txt --json`, "NAME", a.Name),
		RunE: func(c *cobra.Command, args []string) error {
			return a.search(c.Context(), slices.Concat(args, a.ids), &o)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.folders, "folder", nil, "folder of pictures to search in, or a picture; may be repeated")
	f.StringArrayVar(&o.images, "image", nil, "picture to find texts for; may be repeated")
	f.StringArrayVar(&o.texts, "texts", nil, "file of texts to choose from, one per line; may be repeated")
	f.StringArrayVar(&o.embeddings, "embeddings", nil, "file of embed -o to search in, .npy or .jsonl; may be repeated")
	f.StringVar(&o.index, "index", "", "index to search in, which the command index made")
	f.StringArrayVar(&o.like, "like", nil, "with --index, picture to find others like it; may be repeated")
	f.IntVarP(&o.top, "top", "k", 5, "results per query, 0 for all")
	f.StringVar(&o.html, "html", "", "also write a page with the pictures, one self-contained file")
	f.BoolVar(&o.strict, "strict", false, strictBoth)
	a.idsFlag(c)
	return c
}

type searchOptions struct {
	folders, images, texts []string
	embeddings             []string
	index                  string
	like                   []string
	top                    int
	html                   string
	strict                 bool
}

// title returns a title that names the queries and the places searched.
func (o *searchOptions) title(args []string) string {
	what, in := slices.Concat(args, o.like), slices.Concat(o.folders, o.embeddings)
	if o.index != "" {
		in = []string{o.index}
	}
	if o.images != nil {
		what, in = o.images, slices.Concat(o.texts, o.embeddings)
	}
	list := func(words []string) string { return file.Brief(file.Quote(strings.Join(words, ", "))) }
	if len(in) == 0 {
		return list(what)
	}
	return list(what) + " in " + list(in)
}

// checkSearch returns an error if flags and arguments are not consistent.
func (a *App) checkSearch(args []string, o *searchOptions) error {
	switch {
	case o.top < 0:
		return Usagef("--top is %d, want a number of results, 0 for all", o.top)
	case len(slices.DeleteFunc(slices.Concat(args, o.folders, o.images, o.texts), func(s string) bool { return s != "-" })) > 1:
		return Usagef("standard input is one list: give - once")
	case o.like != nil && o.index == "":
		return Usagef("--like goes with --index; vectors of a picture are compared with those of an index")
	case o.index != "" && (o.folders != nil || o.embeddings != nil || o.texts != nil || o.images != nil):
		return Usagef("--index says what to search in, so do --folder, --embeddings, and --image with its texts; give one of them")
	case o.images == nil && len(args) == 0 && o.like == nil:
		return Usagef("nothing to search for: give a text, or a picture with --image")
	case o.images == nil && o.texts != nil:
		return Usagef("--texts goes with --image: it lists what to find for a picture")
	case o.embeddings != nil && (o.folders != nil || o.texts != nil || o.images != nil && len(args) > 0):
		return Usagef("--embeddings says what to search in, so do --folder, --texts and, with --image, texts; give one of them")
	case o.images != nil && o.folders != nil:
		return Usagef("--folder goes with a text, --image with texts to choose from; pictures are not searched by pictures")
	case o.images == nil && o.folders == nil && o.embeddings == nil && o.index == "" && a.Bundled == nil:
		return Usagef("nowhere to search: give a folder of pictures with --folder")
	case o.images != nil && len(args) == 0 && o.texts == nil && o.embeddings == nil && a.Bundled == nil:
		return Usagef("no texts to choose from: give some as arguments or in a file with --texts")
	}
	return nil
}

func (a *App) search(ctx context.Context, args []string, o *searchOptions) error {
	if err := a.checkSearch(args, o); err != nil {
		return err
	}
	var page *file.File
	if o.html != "" { // created first, so that an unwritable page fails before the work
		var err error
		if page, err = file.Create(o.html, 0o666); err != nil {
			return err
		}
		defer page.Abandon()
	}
	if err := a.keeps(o.html, slices.Contains(slices.Concat(args, o.folders, o.images, o.texts), "-"), slices.Concat(o.folders, o.images, o.texts, o.embeddings, o.like)...); err != nil {
		return err
	}
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	read := a.decodeOptions(m)

	queries, among, total, err := a.searched(args, o, read)
	if err != nil {
		return err
	}
	var results []Result
	var t tally
	switch {
	case o.index != "":
		results, t, err = a.findIndexed(ctx, m, queries, o, read)
	case o.embeddings != nil:
		results, t, err = a.findStored(ctx, m, queries, o, read)
	default:
		results, t, err = a.find(ctx, m, queries, among, total, o.top, o.strict)
	}
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
		p := Page{Title: o.title(args), Intro: a.knows(a.Short + "."), Results: results}
		if err := p.Commit(page); err != nil {
			return err
		}
		a.warn("wrote %s", file.Quote(o.html))
	}
	return a.tallied(t, o.strict)
}

// searched returns the queries and the items to search among, with their number (-1: unknown);
// no items with --embeddings or --index.
func (a *App) searched(args []string, o *searchOptions, read imagefile.Options) (queries []item, among iter.Seq[item], total int, err error) {
	total = -1
	shown := func(arg string, _ bool) []item { return a.pictures(arg, read) }
	if o.images == nil {
		words, err := a.given(args)
		if err != nil {
			return nil, nil, 0, err
		}
		queries = textItems(words)
	} else {
		given, _ := a.inputs(o.images, shown)
		if queries, err = held(given); err != nil {
			return nil, nil, 0, err
		}
	}
	switch {
	case o.embeddings != nil, o.index != "":
	case o.images == nil:
		among, total = a.inputs(o.folders, shown)
		if o.folders == nil {
			bundled, err := a.Bundled()
			if err != nil {
				return nil, nil, 0, err
			}
			among, total = slices.Values(pictureItems(bundled)), len(bundled)
		}
	default:
		if among, err = a.texts(args, o.texts); err != nil {
			return nil, nil, 0, err
		}
	}
	return queries, among, total, nil
}

// texts returns the texts that --image chooses from: the arguments and the lines of files ("-":
// standard input), or by default the names of the bundled pictures. Files are read while the
// search runs.
func (a *App) texts(args, files []string) (iter.Seq[item], error) {
	if err := noFiles(args); err != nil {
		return nil, err
	}
	if len(args) == 0 && files == nil {
		bundled, err := a.Bundled()
		if err != nil {
			return nil, err
		}
		for _, p := range bundled {
			args = append(args, p.Name)
		}
	}
	for _, path := range files {
		if path == "-" {
			args = append(args, path)
		}
	}
	given, _ := a.inputs(args, oneText)
	return func(yield func(item) bool) {
		for it := range given {
			if !yield(it) {
				return
			}
		}
		for _, path := range files {
			if path == "-" {
				continue
			}
			f, err := file.Open(path)
			if err != nil {
				if !yield(item{name: path, named: true, err: err}) {
					return
				}
				continue
			}
			for it := range listed(f, path, oneText) {
				if !yield(it) {
					f.Close()
					return
				}
			}
			f.Close()
		}
	}, nil
}

// Result is a query and its hits, best first.
type Result struct {
	Query Hit
	Hits  []Hit

	all task.Softmax // of the logits of all that were searched
	n   int          // how many these are
}

// Hit is a picture or a text, with its score.
type Hit struct {
	Picture          // Read is nil for a text
	Score   float32  // cosine; 0 for the query itself
	Prob    *float32 // that text and picture belong together, among all texts or for itself; nil: the model does not say
}

// Percent returns Prob formatted for people, such as "97.3 %"; "" if Prob is nil.
func (h Hit) Percent() string { return strings.TrimSpace(percent(h.Prob)) }

// Search finds the k best pictures for each query.
func (a *App) Search(ctx context.Context, m *task.Model, queries []string, among []Picture, k int) ([]Result, error) {
	results, t, err := a.find(ctx, m, textItems(queries), slices.Values(pictureItems(among)), len(among), k, true)
	if err != nil {
		return nil, err
	}
	return results, a.tallied(t, true)
}

// find embeds the queries, then the items to search among (total of them, -1: unknown), and
// keeps the k best for each query, all if k is 0. The tally includes both.
func (a *App) find(ctx context.Context, m *task.Model, queries []item, among iter.Seq[item], total, k int, strict bool) ([]Result, tally, error) {
	results, vectors, asked, err := a.ask(ctx, m, queries, strict)
	if err != nil || len(results) == 0 {
		return nil, asked, err
	}
	s := &stream{App: a, m: m, strict: strict, images: m.Package().Find(retrieval, "image"), texts: m.Package().Find(retrieval, "text"), what: "searching", total: total}
	logits, _ := m.Logits()
	t, err := s.run(ctx, among, func(it *item, out []float32) error {
		for q := range results {
			results[q].offer(it, task.Dot(vectors[q], out), k, logits)
		}
		return nil
	})
	if err == nil && t.done == 0 {
		return nil, t, a.tallied(t, true)
	}
	for q := range results {
		results[q].rank(k)
		results[q].probabilities(m)
	}
	t.failed += asked.failed
	t.named = t.named || asked.named
	for kind, n := range asked.kinds {
		t.count(kind, n)
	}
	return results, t, err
}

// ask embeds the queries.
func (a *App) ask(ctx context.Context, m *task.Model, queries []item, strict bool) (results []Result, vectors [][]float32, _ tally, _ error) {
	s := &stream{App: a, m: m, strict: strict, images: m.Package().Find(retrieval, "image"), texts: m.Package().Find(retrieval, "text"), what: "queries", total: len(queries)}
	t, err := s.run(ctx, slices.Values(queries), func(it *item, out []float32) error {
		results = append(results, Result{Query: hitOf(it, 0)})
		vectors = append(vectors, slices.Clone(out))
		return nil
	})
	return results, vectors, t, err
}

// findStored is find over embeddings that embed -o wrote: pictures for texts, or texts for
// pictures.
func (a *App) findStored(ctx context.Context, m *task.Model, queries []item, o *searchOptions, read imagefile.Options) ([]Result, tally, error) {
	kind := "image"
	if o.images != nil {
		kind = "text"
	}
	results, vectors, t, err := a.ask(ctx, m, queries, o.strict)
	if err != nil || len(results) == 0 {
		return nil, t, err
	}
	logits, _ := m.Logits()
	n := 0
	for _, path := range o.embeddings {
		for e, err := range stored(path, m.Package().Name, m.Fingerprint(), len(vectors[0])) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, t, err
			}
			if e.Kind != kind {
				continue
			}
			n++
			it := textItem(e.Input)
			if kind == "image" {
				it = fileItem(e.Input, false, read)
			}
			for q := range results {
				results[q].offer(&it, task.Dot(vectors[q], e.Embedding), o.top, logits)
			}
		}
	}
	if n == 0 {
		return nil, t, fmt.Errorf("%s: no embedding of kind %s; want the file that embed -o wrote for the inputs to search in", file.Quote(o.embeddings[0]), kind)
	}
	for q := range results {
		results[q].rank(o.top)
		results[q].probabilities(m)
	}
	return results, t, nil
}

func hitOf(it *item, score float32) Hit {
	h := Hit{Picture: Picture{Name: it.name, File: it.file, Sign: it.sign}, Score: score}
	if of := *it; !of.text { // a copy: the item is a part of something larger, which the hit must not hold
		h.Read = of.read
	}
	return h
}

// offer adds an item to the candidates, which rank cuts to k when they are many more.
func (r *Result) offer(it *item, score float32, k int, logits task.Logits) {
	r.all.Add(logits.Of(score))
	r.n++
	if r.Hits = append(r.Hits, hitOf(it, score)); k > 0 && len(r.Hits) >= 2*k+batchItems {
		r.rank(k)
	}
}

// rank sorts the hits by score, equal ones in order of arrival, and keeps the k best, all if k
// is 0.
func (r *Result) rank(k int) {
	slices.SortStableFunc(r.Hits, func(a, b Hit) int { return cmp.Compare(b.Score, a.Score) })
	if k > 0 && len(r.Hits) > k {
		clear(r.Hits[k:])
		r.Hits = r.Hits[:k]
	}
}

// probabilities sets those of the hits: each for itself, or those of a picture's texts among all texts that were searched. Of one
// text, or of pictures for a text, a model that compares texts says nothing.
func (r *Result) probabilities(m *task.Model) {
	l, ok := m.Logits()
	if !ok || !l.Each && (r.Query.Read == nil || r.n < 2) {
		return
	}
	for i := range r.Hits {
		h := &r.Hits[i]
		p := r.all.Prob(l.Of(h.Score))
		if l.Each {
			p = task.Sigmoid(l.Of(h.Score))
		}
		h.Prob = &p
	}
}

// PrintResults prints a table or, with --json, one line per query.
func (a *App) PrintResults(results []Result) error {
	if a.json {
		type hit struct {
			Rank  int      `json:"rank"`
			Image string   `json:"image,omitempty"`
			Text  *string  `json:"text,omitempty"`
			Score float32  `json:"score"`
			Prob  *float32 `json:"prob,omitempty"`
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
					line.Hits = append(line.Hits, hit{Rank: j + 1, Image: h.Name, Score: h.Score, Prob: h.Prob})
				} else {
					line.Hits = append(line.Hits, hit{Rank: j + 1, Text: &h.Name, Score: h.Score, Prob: h.Prob})
				}
			}
			if err := a.Print(line); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i := range results {
		fmt.Fprintf(w, "%s\n", file.Quote(results[i].Query.Name))
		for j, h := range results[i].Hits {
			name := file.Quote(h.Name)
			if h.Sign != "" {
				name = h.Sign + " " + name
			}
			name = "  " + name // the margin of the tabwriter is on the other side
			if h.Prob != nil {
				name = h.Percent() + "\t" + name
			}
			fmt.Fprintf(w, "%d\t%.3f\t%s\n", j+1, h.Score, name)
		}
	}
	return w.Flush()
}
