package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/passes"
)

// presetRow is what the presets command prints about a preset, as text or as JSON.
type presetRow struct {
	Name       string `json:"name"`
	Use        string `json:"use"` // one of model.Uses
	Family     string `json:"family"`
	Task       string `json:"task"`
	Dim        int    `json:"dim"`
	Heads      int    `json:"heads"`
	FFN        int    `json:"ffn"`
	Layers     int    `json:"layers"`
	Image      int    `json:"image"`
	Patch      int    `json:"patch"`
	Activation string `json:"activation,omitempty"`

	Vocab          int    `json:"vocab"`
	Positions      int    `json:"positions"`          // of texts
	TextDim        int    `json:"text_dim,omitempty"` // of a tower for texts
	TextHeads      int    `json:"text_heads,omitempty"`
	TextFFN        int    `json:"text_ffn,omitempty"`
	TextLayers     int    `json:"text_layers,omitempty"`
	TextActivation string `json:"text_activation,omitempty"`
	Embedding      int    `json:"embedding,omitempty"` // width of an embedding; of models that compare pictures with texts

	Preprocess string    `json:"preprocess"` // as in a description
	Tokenizer  presetTok `json:"tokenizer,omitzero"`

	Hub        string         `json:"hub,omitempty"`       // owner/name on the model hub
	Page       string         `json:"page,omitempty"`      // owner/name of the repository whose pages link the files
	OpenCLIP   string         `json:"open_clip,omitempty"` // what open_clip calls it, the model and then the tag
	Checkpoint string         `json:"checkpoint,omitempty"`
	Files      []presetFile   `json:"files,omitempty"` // of which any will do, the first is checkpoint
	Licence    string         `json:"licence,omitempty"`
	Results    []presetResult `json:"results,omitempty"` // as published
	Cited      string         `json:"cited,omitempty"`   // where the results are stated
	presetSize
}

type presetTok struct {
	Kind      string `json:"kind"`
	File      string `json:"file"`
	Languages string `json:"languages"`
}

type presetFile struct {
	Name     string `json:"name"` // an index stands for all the files that it lists
	Bytes    int64  `json:"bytes,omitempty"`
	SizeFrom string `json:"size_from,omitempty"` // what bytes is: "source", "source, rounded", or "tensors", without the header
	DType    string `json:"dtype,omitempty"`     // of the matrices: float32 or float16
	Linked   bool   `json:"linked,omitempty"`    // by page, not on the hub
}

// size is the file's size in words; ~ says that it is not exact.
func (f *presetFile) size() string {
	switch {
	case f.Bytes == 0:
		return "size not stated"
	case f.SizeFrom == "source":
		return fmt.Sprintf("%d bytes", f.Bytes)
	case f.Bytes < 1e9:
		return fmt.Sprintf("~%.0f MB", float64(f.Bytes)/1e6)
	}
	return fmt.Sprintf("~%.2f GB", float64(f.Bytes)/1e9)
}

type presetResult struct {
	What  string  `json:"what"`
	Value float64 `json:"value"` // per cent, or CIDEr
}

// presetSize is the size and cost of a preset that is compiled for its task.
type presetSize struct {
	Parameters int64          `json:"parameters"` // of the checkpoint
	Functions  []functionSize `json:"functions"`
	Blob       int64          `json:"blob_bytes"`              // weights of all functions, packed; to a ten-thousandth: pages end where they end
	Text       int            `json:"longest_text,omitempty"`  // tokens that functions' FLOPs are for
	Picture    int64          `json:"picture_flops,omitempty"` // of the function that takes a picture alone
	Caption    int64          `json:"text_flops,omitempty"`    // of the one that takes the longest text alone
}

type functionSize struct {
	Name  string `json:"name"`
	FLOPs int64  `json:"flops"` // of one sequence with the longest text
}

func presetsCommand(stdout io.Writer) *cobra.Command {
	var asJSON, wide bool
	c := &cobra.Command{
		Use:   "presets [flags] [NAME]",
		Short: "List the models that a description can name, with their sizes",
		Long: `presets lists the models that "preset:" in a description, "dump --preset" and
"bench --preset" accept, by what people use them for, and with a NAME everything about that
one: where its files are and what they are called, licence, tokenizer, preprocessing,
published results. A preset is named like its repository on the model hub, in lower case
and with - for _ and for a dot; BEiT-3's and VLMo's are named like their files. The columns are

  PARAMS    number of parameters of the checkpoint, in millions
  PICTURE   GFLOP for a picture; of models that do not embed pictures alone, of the most
            expensive function
  TEXT      GFLOP for a text of the longest length
  WIDTH     numbers in an embedding
  IMAGENET  published accuracy on ImageNet in per cent; zero-shot for search models
  COCO, ... another published result: of COCO, Flickr30k and MUGE the per cent of captions
            whose picture is found first, of VQAv2 and NLVR2 the per cent of right answers;
            CIDEr for models that describe a photo

"-" is not stated, or does not apply. Sizes of files after ~ are those of their tensors, or
rounded by who stated them. --wide prints lines of more than 200 columns: also
sizes, each function and files.`,
		Example: `  multiway presets
  multiway presets clip-vit-base-patch32
  multiway presets --json`,
		Args: arguments(0, 1, "the name of one preset"),
		RunE: func(_ *cobra.Command, args []string) error {
			presets := model.Presets()
			if len(args) > 0 {
				if _, err := model.Preset(args[0]); err != nil {
					return err
				}
				presets = slices.DeleteFunc(presets, func(p model.PresetInfo) bool { return p.Name != args[0] })
			}
			rows, err := presetRows(presets)
			if err != nil {
				return err
			}
			var b bytes.Buffer
			switch {
			case asJSON:
				err = json.NewEncoder(&b).Encode(rows)
			case wide:
				err = printWide(&b, rows)
			case len(args) > 0:
				err = rows[0].print(&b)
			default:
				err = printByUse(&b, rows)
			}
			if err != nil {
				return err
			}
			_, err = b.WriteTo(stdout)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON, a list")
	c.Flags().BoolVar(&wide, "wide", false, "print more columns than fit a narrow terminal")
	return c
}

// figures maps a use of presets to the headings of the two columns with published results; a result
// belongs to the column whose heading its name begins with. A use that is not listed has ImageNet
// and COCO.
var figures = map[string][2]string{
	"search photos in Chinese":         {"", "MUGE"},
	"search photos, tuned on captions": {"FLICKR30K", "COCO"},
	"answer questions about a photo":   {"", "VQAV2"},
	"describe a photo":                 {"NOCAPS", "COCO"},
	"classify a photo":                 {"IMAGENET", ""},
	"compare two photos by a sentence": {"", "NLVR2"},
	"start a training":                 {"", ""},
}

// printByUse prints one table of presets for each use in model.Uses.
func printByUse(out io.Writer, rows []presetRow) error {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, use := range model.Uses {
		if i > 0 {
			fmt.Fprint(w, "\t\t\t\t\t\t\n") // a line without columns would end them
		}
		of, ok := figures[use]
		if !ok {
			of = [2]string{"IMAGENET", "COCO"}
		}
		fmt.Fprintf(w, "%s\tPARAMS\tPICTURE\tTEXT\tWIDTH\t%s\t%s\n", strings.ToUpper(use), of[0], of[1])
		for _, r := range rows {
			if r.Use != use {
				continue
			}
			dearest := int64(0)
			for _, f := range r.Functions {
				dearest = max(dearest, f.FLOPs)
			}
			fmt.Fprintf(w, "%s\t%.0f M\t%.4g\t%s\t%s\t%s\t%s\n", r.Name, float64(r.Parameters)/1e6, float64(cmp.Or(r.Picture, dearest))/1e9,
				number(float64(r.Caption)/1e9), number(float64(r.Embedding)), r.result(of[0]), r.result(of[1]))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// number formats a number with four digits; 0, which means that there is none, is "-".
func number(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.4g", v)
}

// result returns the published result whose name begins with heading, "-" if there is none, and ""
// for heading "".
func (r *presetRow) result(heading string) string {
	if heading == "" {
		return ""
	}
	for _, x := range r.Results {
		if strings.HasPrefix(strings.ToUpper(x.What), heading) {
			return number(x.Value)
		}
	}
	return "-"
}

// print prints everything known about the preset, and an example of a description that names it.
func (r *presetRow) print(out io.Writer) error {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		for text := range wrap(fmt.Sprintf(format, args...), 90) {
			fmt.Fprintf(w, "%s\t%s\n", name, text)
			name = ""
		}
	}
	line("use", "%s", r.Use)
	name := "any file of"
	if r.Files == nil {
		line("file", "not published")
	}
	if len(r.Files) == 1 {
		name = "file"
	}
	for _, f := range r.Files {
		what, where := f.size(), r.Hub+" on the model hub"
		if strings.HasSuffix(f.Name, ".index.json") {
			what = "and the files in it, " + what
		}
		if f.DType != "" {
			what += ", " + f.DType
		}
		if f.Linked || r.Hub == "" {
			where = "linked by " + r.Page
		}
		line(name, "%s, %s, %s", f.Name, what, where)
		name = ""
	}
	if r.OpenCLIP != "" {
		line("in open_clip", "%s", r.OpenCLIP)
	}
	line("licence", "%s", cmp.Or(r.Licence, "not stated"))
	line("family", "%s, for task %s", r.Family, r.Task)
	line("pictures", "%d x %d in patches of %d, %d layers of width %d", r.Image, r.Image, r.Patch, r.Layers, r.Dim)
	if r.TextDim != 0 {
		line("texts", "%d layers of width %d, at most %d tokens", r.TextLayers, r.TextDim, r.Text)
		line("activation", "%s, of texts %s", r.Activation, r.TextActivation)
	}
	line("preprocess", "%s", r.Preprocess)
	if r.Tokenizer.Kind != "" {
		line("tokenizer", "%s: %s; languages: %s", r.Tokenizer.Kind, r.Tokenizer.File, r.Tokenizer.Languages)
	}
	line("parameters", "%d", r.Parameters)
	line("weights", "%.0f MB as float32, of all functions", float64(r.Blob)/1e6)
	if r.Embedding != 0 {
		line("embedding", "%d numbers", r.Embedding)
	}
	name = "calls"
	for _, f := range r.Functions {
		line(name, "%s: %.4g GFLOP", f.Name, float64(f.FLOPs)/1e9)
		name = ""
	}
	name = "results"
	for _, x := range r.Results {
		line(name, "%s: %.4g", x.What, x.Value)
		name = ""
	}
	if r.Results == nil {
		line(name, "not stated")
	} else {
		line("stated by", "%s", r.Cited)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\nA description that compiles it:\n\nmodel: 1\npreset: %s\ncheckpoint: %s\n", r.Name, cmp.Or(r.Checkpoint, "FILE"))
	if r.Tokenizer.Kind != "" {
		fmt.Fprintf(&b, "tokenizer: FILE\n")
	}
	for l := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(l, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// wrap yields the lines of a text, broken after commas into lines of at most that many columns
// where commas allow it.
func wrap(text string, columns int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(text) > columns {
			i := strings.LastIndex(text[:columns], ", ")
			if i < 0 || !yield(text[:i+1]) {
				break
			}
			text = text[i+2:]
		}
		yield(text)
	}
}

func printWide(out io.Writer, rows []presetRow) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PRESET\tTASK\tDIM x LAYERS\tIMAGE\tPARAMETERS\tWEIGHTS, f32\tGFLOP A CALL\tCHECKPOINT")
	for _, r := range rows {
		var calls []string
		for _, f := range r.Functions {
			calls = append(calls, fmt.Sprintf("%s %.4g", f.Name, float64(f.FLOPs)/1e9))
		}
		from := cmp.Or(r.Checkpoint, "-")
		if r.Hub != "" {
			from = r.Hub + " " + from
		}
		fmt.Fprintf(w, "%s\t%s\t%d x %d\t%d\t%.0f M\t%.0f MB\t%s\t%s\n", r.Name, r.Task, r.Dim, r.Layers, r.Image,
			float64(r.Parameters)/1e6, float64(r.Blob)/1e6, strings.Join(calls, ", "), from)
	}
	return w.Flush()
}

// presetRows returns a row for each preset. To find sizes and costs it compiles presets, up to the
// pass that packs weights, with few layers and extrapolates. Presets that differ only in their name
// and source are compiled once.
func presetRows(presets []model.PresetInfo) ([]presetRow, error) {
	type key struct {
		family, task string
		sizes        model.Sizes
		classes      int
	}
	known := map[key]presetSize{}
	var rows []presetRow
	for _, p := range presets {
		k := key{p.Family, p.Task, p.Sizes, p.Classes}
		size, ok := known[k]
		if !ok {
			var err error
			if size, err = grown(p); err != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, err)
			}
			known[k] = size
		}
		z := &p.Sizes
		r := presetRow{
			Name: p.Name, Use: p.Use(), Family: p.Family, Task: p.Task, Dim: z.Dim, Heads: z.Heads, FFN: z.FFN, Layers: z.Layers, Image: z.Image, Patch: z.Patch,
			Activation: z.Act, Vocab: z.Vocab, Positions: z.Positions, TextDim: z.Text.Dim, TextHeads: z.Text.Heads, TextFFN: z.Text.FFN, TextLayers: z.Text.Layers, TextActivation: z.Text.Act,
			Preprocess: p.Preprocess.YAML(), Tokenizer: presetTok(p.Words),
			Hub: p.Source.Hub, Page: p.Source.Page, OpenCLIP: p.Source.OpenCLIP, Licence: p.Source.Licence, Cited: p.Source.Cited, presetSize: size,
		}
		if p.Task == "retrieval" {
			r.Embedding = cmp.Or(z.Embed, z.Dim)
		}
		for i, f := range p.Source.Files {
			if i == 0 {
				r.Checkpoint = f.Name
			}
			bytes, from := f.Size(size.Parameters)
			r.Files = append(r.Files, presetFile{f.Name, bytes, from, f.DType, f.Linked})
		}
		for _, x := range p.Source.Results {
			r.Results = append(r.Results, presetResult(x))
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// grown returns the size of a preset, extrapolated to all its layers from programs with few layers:
// each further layer, which has no joint experts, adds as much. The size of the weights is not
// exact, since layers share pages.
func grown(p model.PresetInfo) (presetSize, error) {
	const few = 2
	at := [2]int{p.Sizes.VLLayers + few, few}
	all := [2]int{p.Sizes.Layers, p.Sizes.Text.Layers}
	if all[0] <= at[0] {
		return sizeOf(p, all)
	}
	s, err := sizeOf(p, at)
	base := s
	base.Functions = slices.Clone(s.Functions)
	for i, layers := range all {
		if err != nil || layers == 0 { // of texts, in a model without a tower for them
			break
		}
		few := at
		few[i]--
		var less presetSize
		less, err = sizeOf(p, few)
		if err != nil {
			break
		}
		more := int64(layers - at[i])
		s.Parameters += more * (base.Parameters - less.Parameters)
		s.Blob += more * (base.Blob - less.Blob)
		s.Picture += more * (base.Picture - less.Picture)
		s.Caption += more * (base.Caption - less.Caption)
		for j := range s.Functions {
			s.Functions[j].FLOPs += more * (base.Functions[j].FLOPs - less.Functions[j].FLOPs)
		}
	}
	return s, err
}

// sizeOf compiles a preset with other numbers of layers: layers[0] of the encoder or the tower for
// pictures, layers[1] of a tower for texts.
func sizeOf(preset model.PresetInfo, layers [2]int) (s presetSize, err error) {
	d, err := model.Preset(preset.Name)
	if err != nil {
		return s, err
	}
	d.Preset, d.Sizes.Layers = "", layers[0]
	if d.Sizes.Text.Layers != 0 {
		d.Sizes.Text.Layers = layers[1]
	}
	for _, x := range model.Tensors(d) {
		n := int64(1)
		for _, k := range x.Shape {
			n *= int64(k)
		}
		s.Parameters += n
	}
	p, err := model.Lower(d, model.Options{})
	if err != nil {
		return s, err
	}
	if p, err = passes.Run(p, passes.Options{Rows: d.Limits.Rows, Upto: passes.Pack.Name}); err != nil {
		return s, err
	}
	s.Text = p.MaxT
	for _, f := range p.Funcs {
		n := ir.FuncCost(p, f, p.MaxT).FLOPs
		s.Functions = append(s.Functions, functionSize{f.Name, n})
		switch f.Name {
		case "vision_retrieval":
			s.Picture = n
		case "language_retrieval":
			s.Caption = n
		}
	}
	s.Blob = codegen.BlobSize(p)
	return s, nil
}
