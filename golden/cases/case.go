package cases

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
)

// Limits of what a case.json may say; a larger value is an error.
const (
	maxJSON     = 1 << 20
	maxRuns     = 1 << 12
	maxOutputs  = 1 << 12 // outputs of a run
	maxElements = 1 << 28 // elements of an output
	maxWeights  = 1 << 28 // elements of all generated tensors, which no file bounds
	maxSize     = 1 << 24 // any size in the config
	maxWord     = 255     // bytes of any name
)

// Case is a golden case: the inputs of runs of a model or a library function, and the outputs that the runs must have. Its
// methods are safe for concurrent use, except that Close must come last.
type Case struct {
	Dir        string          `json:"-"`
	ConfigJSON json.RawMessage `json:"-"` // the text of Config, for ir/model

	Format  int      `json:"format"` // 1
	Name    string   `json:"name"`
	Family  string   `json:"family"` // beit3, mwt, vlmo
	Task    string   `json:"task"`   // encode, retrieval, ..., preprocess, tokenizer, posinterp
	Note    string   `json:"note"`
	Config  Config   `json:"config"`
	Weights *Weights `json:"weights"` // nil: the case has no model
	Runs    []Run    `json:"-"`
	Texts   []Text   `json:"-"` // texts of a tokenizer case, which has no Runs

	// ExpectedFiles and TruthFiles name the files with the outputs of runs, by the weights_dtype of the runs.
	ExpectedFiles map[string]string `json:"expected_files"`
	TruthFiles    map[string]string `json:"truth_files"`

	// Files has the SHA-256 of files, in hexadecimal, so that files of different recordings
	// are not mixed. A file that it does not name is not checked.
	Files map[string]string `json:"files"`

	at   map[string]string // paths of files that are not in Dir yet
	mu   sync.Mutex
	open map[string]checkpoint.Source
}

// Config has the sizes of a model, and the options of its task. A field that is not in case.json is 0.
type Config struct {
	Family    string `json:"family"`
	Task      string `json:"task"`
	Dim       int    `json:"dim"`
	Heads     int    `json:"heads"`
	HeadDim   int    `json:"head_dim"`
	FFNDim    int    `json:"ffn_dim"`
	Layers    int    `json:"layers"`
	ImageSize int    `json:"image_size"`
	PatchSize int    `json:"patch_size"`
	VocabSize int    `json:"vocab_size"`
	Classes   int    `json:"num_classes"`

	MaxSourcePositions int     `json:"max_source_positions"`
	NormalizeOutput    bool    `json:"normalize_output"`
	LayerNormEps       float64 `json:"layernorm_eps"`
	VLLayers           int     `json:"vl_layers"` // mwt
	MaxLen             int     `json:"max_len"`   // captioning, tokenizer

	BOS  int `json:"bos_id"`
	Pad  int `json:"pad_id"`
	EOS  int `json:"eos_id"`
	Unk  int `json:"unk_id"`
	Mask int `json:"mask_id"`

	// Sizes of models of family vlmo.
	MaxTextLen         int     `json:"max_text_len"`
	MaxTextLenInitCkpt int     `json:"max_text_len_of_initckpt"`
	VLStart            int     `json:"vlffn_start_layer_index"`
	RelPos             bool    `json:"rel_pos"`
	AbsPos             bool    `json:"abs_pos"`
	LayerScale         bool    `json:"layer_scale"`
	TokenTypes         int     `json:"token_types"`
	NormEps            float64 `json:"norm_eps"`
	TextNormEps        float64 `json:"text_norm_eps"`
	HeadNormEps        float64 `json:"head_norm_eps"`

	// Sizes of models with one tower for pictures and one for texts.
	Layout   string `json:"layout"`
	EmbedDim int    `json:"embed_dim"`
	Bias     bool   `json:"logit_bias"`
	Vision   *Tower `json:"vision"`
	Language *Tower `json:"language"`

	// For task tokenizer: the tokenizer's files and sizes.
	SPM       string `json:"spm"`     // file of the SentencePiece model
	BPE       string `json:"bpe"`     // file of the byte pairs
	Dict      string `json:"dict"`    // file with the token ids of byte pairs; "" = their own
	Context   int    `json:"context"` // tokens of a padded text, for families with a tower for texts
	SPMPieces int    `json:"spm_pieces"`
	TokVocab  int    `json:"tokenizer_vocab_size"`

	// For task posinterp, which resizes the position table of an image encoder.
	OldGrid   int  `json:"old_grid"`
	NewGrid   int  `json:"new_grid"`
	ExtraRows int  `json:"extra_rows"`
	Antialias bool `json:"antialias"`
}

// Tower has the sizes of one of a model's two towers.
type Tower struct {
	Dim        int     `json:"dim"`
	Heads      int     `json:"heads"`
	FFN        int     `json:"ffn_dim"`
	Layers     int     `json:"layers"`
	Image      int     `json:"image_size"`
	Patch      int     `json:"patch_size"`
	Activation string  `json:"activation"`
	Eps        float64 `json:"eps"`
	Pool       string  `json:"pool"` // for pictures: cls, avg, map; for texts: argmax (of the token ids), eos, last, cls, mean

	// Fields of the tower for texts only.
	Vocab     int    `json:"vocab_size"`
	Positions int    `json:"positions"`
	Causal    bool   `json:"causal"`
	Norms     string `json:"norms"`          // pre, post
	Masked    bool   `json:"mask_padding"`   // attention ignores padding
	EOS       int    `json:"eos_id"`         // with pool eos: id of the pooled token
	First     int    `json:"first_position"` // row of the position table
}

// Weights describes the weights of a case: files in its folder, or tensors that are generated from a seed.
type Weights struct {
	Generator  string                `json:"generator"`
	Seed       uint64                `json:"seed"`
	Files      map[string]WeightFile `json:"files"`
	Tensors    []WeightTensor        `json:"tensors"`
	Parameters int64                 `json:"parameters"`
}

// WeightFile describes a file of weights in the folder of a case.
type WeightFile struct {
	Container string           `json:"container"` // safetensors, torch
	Style     string           `json:"style"`     // for torch: model, module_half, ...
	DType     checkpoint.DType `json:"dtype"`
}

// WeightTensor describes a tensor of weights that is generated from the case's seed.
type WeightTensor struct {
	Name   string  `json:"name"`
	Shape  []int   `json:"shape"`
	DType  string  `json:"dtype"` // "I64" counts 0, 1, 2, ...; "" is float
	Offset float32 `json:"offset"`
	Scale  float32 `json:"scale"`
	SHA256 string  `json:"sha256_f32"`
}

// Run is one call of a model, or of a library function that a case tests.
type Run struct {
	Name         string            `json:"name"`
	Kind         string            `json:"kind"`
	WeightsDType checkpoint.DType  `json:"weights_dtype"` // f32 if not given; "" without weights
	Inputs       map[string]string `json:"inputs"`        // names of tensors by logical name; "file" is the name of a file
	Outputs      map[string]Output `json:"outputs"`
	Decode       *Decode           `json:"decode,omitempty"`

	// For kind function: the name of the compiled function, and the names of the picture and text that the inputs were made
	// from.
	Function string   `json:"function,omitempty"`
	Source   []string `json:"source,omitempty"`

	// For kinds preprocess_square and preprocess_stretch, which are the same, and preprocess_crop.
	Size       int       `json:"size,omitempty"`
	Filter     string    `json:"filter,omitempty"`      // bicubic, the default, or bilinear
	CropOffset string    `json:"crop_offset,omitempty"` // half_even, the default, or floor
	ConvertRGB string    `json:"convert_rgb,omitempty"` // first, the default, or last
	Mean       []float32 `json:"mean,omitempty"`
	Std        []float32 `json:"std,omitempty"`
}

// The task of a recorded case and the kind of its runs. Such a case belongs to one compiled
// model, and does not contain its weights.
const (
	Recorded = "recorded"
	Function = "function"
)

// OutputNames returns the names of the run's outputs, sorted.
func (r *Run) OutputNames() []string {
	names := make([]string, 0, len(r.Outputs))
	for n := range r.Outputs {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Output describes an output of a run.
type Output struct {
	Tensor    string  `json:"tensor"`
	Shape     []int   `json:"shape"`
	Exact     bool    `json:"exact"` // every element must be equal
	Atol      float64 `json:"atol"`
	Rtol      float64 `json:"rtol"`
	MaxAbs    float64 `json:"max_abs"`
	F32vsF64  float64 `json:"f32_vs_f64_max_abs"` // error of the float32 reference
	tolerance bool    // atol or rtol was given
}

// UnmarshalJSON also records whether a tolerance was given.
func (o *Output) UnmarshalJSON(text []byte) error {
	type plain Output
	var t struct {
		plain
		Atol *float64 `json:"atol"`
		Rtol *float64 `json:"rtol"`
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	*o = Output(t.plain)
	o.tolerance = t.Atol != nil || t.Rtol != nil
	if t.Atol != nil {
		o.Atol = *t.Atol
	}
	if t.Rtol != nil {
		o.Rtol = *t.Rtol
	}
	return nil
}

// Decode has the captions that decoding must give for the images of a run: by greedy search and by beam searches.
type Decode struct {
	Greedy struct {
		Tokens  [][]int   `json:"tokens"` // with bos and eos
		LogProb []float64 `json:"logprob"`
		Margin  float64   `json:"min_top2_margin"`
	} `json:"greedy"`
	Beam []struct {
		NumBeams      int       `json:"num_beams"`
		LengthPenalty float64   `json:"length_penalty"`
		TopN          int       `json:"topn_per_beam"`
		MaxLen        int       `json:"max_len"`
		Tokens        [][]int   `json:"tokens_without_eos"` // with bos
		Score         []float64 `json:"score"`
		Gap           float64   `json:"min_candidate_gap"`
	} `json:"beam"`
}

// Text is a text of a tokenizer case, with its expected tokens.
type Text struct {
	Text      string   `json:"text"`
	Pieces    []string `json:"pieces"`
	IDs       []int    `json:"ids"`
	InputIDs  []int    `json:"input_ids"`    // truncated, with bos and eos, padded
	Padding   []int    `json:"padding_mask"` // 1 = padded
	NumTokens int      `json:"num_tokens"`   // number of InputIDs that are not padding

	// With Config.Context, texts have no Padding. IDs and InputIDs are those of open_clip, or of transformers if there are CleanIDs.
	FaceIDs      []int `json:"hf_ids"`          // the IDs of transformers
	FaceInputIDs []int `json:"hf_input_ids"`    // the InputIDs of transformers
	CleanIDs     []int `json:"clean_input_ids"` // the InputIDs of open_clip
	Plain        *bool `json:"ftfy_plain"`      // false: open_clip first repairs the encoding of the text; nil: not known
}

// Load reads the case of a folder. Its tensors are read on demand; Close releases the files.
func Load(dir string) (*Case, error) {
	path := filepath.Join(dir, "case.json")
	text, err := file.Read(path, maxJSON)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a golden case: it has no case.json", file.Quote(dir))
	}
	if err != nil {
		return nil, err
	}
	c, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	c.Dir = dir
	return c, nil
}

// Parse reads and checks the text of a case.json.
func Parse(text []byte) (*Case, error) {
	if len(text) > maxJSON {
		return nil, fmt.Errorf("it has more than %d bytes", maxJSON)
	}
	var raw struct {
		Case
		Runs   []json.RawMessage `json:"runs"`
		Config json.RawMessage   `json:"config"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, jsonError(text, err)
	}
	c := &Case{
		Format: raw.Format, Name: raw.Name, Family: raw.Family, Task: raw.Task, Note: raw.Note,
		ConfigJSON: raw.Config, Weights: raw.Weights, ExpectedFiles: raw.ExpectedFiles, TruthFiles: raw.TruthFiles, Files: raw.Files,
	}
	if len(raw.Config) > 0 {
		if err := json.Unmarshal(raw.Config, &c.Config); err != nil {
			return nil, fmt.Errorf("config: %w", brief(err))
		}
	}
	if c.Format != 1 {
		return nil, fmt.Errorf("format is %d, want 1", c.Format)
	}
	if err := checkName(c.Name); err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	if err := checkText("family or task", c.Family, c.Task); err != nil {
		return nil, err
	}
	if c.Family == "" || c.Task == "" {
		return nil, fmt.Errorf("family is %s and task is %s, want both", file.Literal(c.Family), file.Literal(c.Task))
	}
	if len(raw.Runs) == 0 || len(raw.Runs) > maxRuns {
		return nil, fmt.Errorf("it has %d runs, want 1 to %d", len(raw.Runs), maxRuns)
	}
	if err := c.Config.check(); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if err := c.Weights.check(); err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	for what, files := range map[string]map[string]string{"expected_files": c.ExpectedFiles, "truth_files": c.TruthFiles} {
		for d, name := range files {
			if err := checkText(what, d); err != nil {
				return nil, err
			}
			if err := checkName(name); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", what, d, err)
			}
		}
	}
	seen := map[string]bool{}
	for i, text := range raw.Runs {
		if c.Task == "tokenizer" {
			var t Text
			err := brief(json.Unmarshal(text, &t))
			if err == nil {
				err = t.check(&c.Config)
			}
			if err != nil {
				return nil, fmt.Errorf("runs[%d]: %w", i, err)
			}
			c.Texts = append(c.Texts, t)
			continue
		}
		var r Run
		err := brief(json.Unmarshal(text, &r))
		if err == nil {
			err = r.check(c.Weights != nil)
		}
		if err != nil {
			return nil, fmt.Errorf("runs[%d] %s: %w", i, file.Literal(r.Name), err)
		}
		key := r.Name + " " + string(r.WeightsDType)
		if seen[key] {
			return nil, fmt.Errorf("runs[%d] %s: two runs of this name have weights_dtype %s", i, file.Literal(r.Name), file.Literal(string(r.WeightsDType)))
		}
		seen[key] = true
		c.Runs = append(c.Runs, r)
	}
	return c, nil
}

// brief shortens an error of encoding/json, which quotes numbers of any length.
func brief(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(file.Brief(err.Error()))
}

// checkText refuses texts that cannot be printed in one line of an error or a table.
func checkText(what string, words ...string) error {
	for _, w := range words {
		if len(w) > maxWord || file.Quote(w) != w {
			return fmt.Errorf("%s: %s, want a text of one line and at most %d bytes", what, file.Literal(w), maxWord)
		}
	}
	return nil
}

// jsonError adds the line to an error of encoding/json.
func jsonError(text []byte, err error) error {
	var at int64 = -1
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	if errors.As(err, &syntax) {
		at = syntax.Offset
	} else if errors.As(err, &typ) {
		at = typ.Offset
	}
	if at < 0 || at > int64(len(text)) {
		return brief(err)
	}
	return fmt.Errorf("line %d: %s", 1+strings.Count(string(text[:at]), "\n"), brief(err))
}

// checkName refuses names that lead out of the case's folder.
func checkName(name string) error {
	if name == "" || len(name) > maxWord || file.Quote(name) != name || name == "." || !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\:\x00\n") {
		return fmt.Errorf("got %s, want the name of a file in this folder", file.Literal(name))
	}
	return nil
}

func (c *Config) check() error {
	for _, s := range []struct {
		name string
		v    int
	}{
		{"dim", c.Dim}, {"heads", c.Heads}, {"head_dim", c.HeadDim}, {"ffn_dim", c.FFNDim}, {"layers", c.Layers},
		{"image_size", c.ImageSize}, {"patch_size", c.PatchSize}, {"vocab_size", c.VocabSize}, {"num_classes", c.Classes},
		{"max_source_positions", c.MaxSourcePositions}, {"vl_layers", c.VLLayers}, {"max_len", c.MaxLen},
		{"bos_id", c.BOS}, {"pad_id", c.Pad}, {"eos_id", c.EOS}, {"unk_id", c.Unk}, {"mask_id", c.Mask},
		{"max_text_len", c.MaxTextLen}, {"max_text_len_of_initckpt", c.MaxTextLenInitCkpt},
		{"vlffn_start_layer_index", c.VLStart}, {"token_types", c.TokenTypes},
		{"spm_pieces", c.SPMPieces}, {"tokenizer_vocab_size", c.TokVocab}, {"context", c.Context},
		{"old_grid", c.OldGrid}, {"new_grid", c.NewGrid}, {"extra_rows", c.ExtraRows},
	} {
		if s.v < 0 || s.v > maxSize {
			return fmt.Errorf("%s is %d, want 0 to %d", s.name, s.v, maxSize)
		}
	}
	for name, t := range map[string]*Tower{"vision": c.Vision, "language": c.Language} {
		if t == nil {
			continue
		}
		for _, v := range []int{t.Dim, t.Heads, t.FFN, t.Layers, t.Image, t.Patch, t.Vocab, t.Positions, t.EOS, t.First} {
			if v < 0 || v > maxSize {
				return fmt.Errorf("%s: %d, want sizes and ids of 0 to %d", name, v, maxSize)
			}
		}
	}
	if (c.Vision == nil) != (c.Language == nil) {
		return errors.New("vision and language: only one of them is given, want both or none")
	}
	for what, name := range map[string]string{"spm": c.SPM, "bpe": c.BPE, "dict": c.Dict} {
		if name != "" {
			if err := checkName(name); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
		}
	}
	return nil
}

// dtypes lists the types that weights of a case can have, in the order in which Variants lists them.
var dtypes = []checkpoint.DType{checkpoint.F32, checkpoint.BF16, checkpoint.F16, mixed}

// mixed is the type of a weight file that has tensors of several types.
const mixed checkpoint.DType = "mixed"

func (w *Weights) check() error {
	if w == nil {
		return nil
	}
	if w.Generator != "" && w.Generator != checkpoint.Generator {
		return fmt.Errorf("generator is %s, want %s", file.Literal(w.Generator), file.Literal(checkpoint.Generator))
	}
	for name, f := range w.Files {
		if err := checkName(name); err != nil {
			return fmt.Errorf("files: %w", err)
		}
		if !slices.Contains(dtypes, f.DType) {
			return fmt.Errorf("files: %s: dtype is %s, want f32, bf16, f16 or mixed", name, file.Literal(string(f.DType)))
		}
	}
	src, err := w.seeded()
	if err != nil {
		return err
	}
	left := maxWeights
	for _, t := range src.Tensors() {
		if left -= t.Len(); left < 0 {
			return fmt.Errorf("the generated tensors have more than %d elements in all; larger weights need files", maxWeights)
		}
	}
	return nil
}

// seeded returns a source of the weights that are generated from the seed.
func (w *Weights) seeded() (checkpoint.Source, error) {
	tensors := make([]checkpoint.SeededTensor, len(w.Tensors))
	for i, t := range w.Tensors {
		if t.DType != "" && t.DType != "I64" && t.DType != "F32" {
			return nil, fmt.Errorf("tensor %s: dtype is %s, want I64 or none", file.Literal(t.Name), file.Literal(string(t.DType)))
		}
		tensors[i] = checkpoint.SeededTensor{
			Name: t.Name, Shape: t.Shape, Count: t.DType == "I64", Offset: t.Offset, Scale: t.Scale, SHA256: t.SHA256,
		}
	}
	return checkpoint.Seeded(w.Seed, tensors)
}

func (r *Run) check(weights bool) error {
	if r.Name == "" || r.Kind == "" {
		return fmt.Errorf("name is %s and kind is %s, want both", file.Literal(r.Name), file.Literal(r.Kind))
	}
	if err := checkText("name, kind or function", r.Name, r.Kind, r.Function); err != nil {
		return err
	}
	for name, tensor := range r.Inputs {
		if err := checkText("input", name, tensor); err != nil {
			return err
		}
	}
	if (r.Kind == Function) != (r.Function != "") {
		return fmt.Errorf("kind is %s and function is %s, want a function for kind %s and for no other", file.Literal(r.Kind), file.Literal(r.Function), Function)
	}
	if weights && r.WeightsDType == "" {
		r.WeightsDType = checkpoint.F32
	}
	switch {
	case weights && !slices.Contains(dtypes, r.WeightsDType):
		return fmt.Errorf("weights_dtype is %s, want f32, bf16, f16 or mixed", file.Literal(string(r.WeightsDType)))
	case !weights && r.WeightsDType != "":
		return fmt.Errorf("weights_dtype is %s, but the case has no weights", file.Literal(string(r.WeightsDType)))
	}
	if r.Size < 0 || r.Size > maxSize {
		return fmt.Errorf("size is %d, want 0 to %d", r.Size, maxSize)
	}
	if len(r.Mean) != len(r.Std) || len(r.Mean) != 0 && len(r.Mean) != 3 {
		return fmt.Errorf("mean has %d numbers and std has %d, want 3 each", len(r.Mean), len(r.Std))
	}
	if file, ok := r.Inputs["file"]; ok {
		if err := checkName(file); err != nil {
			return fmt.Errorf("input file: %w", err)
		}
	}
	if len(r.Outputs) == 0 || len(r.Outputs) > maxOutputs {
		return fmt.Errorf("it has %d outputs, want 1 to %d", len(r.Outputs), maxOutputs)
	}
	for _, name := range r.OutputNames() {
		o := r.Outputs[name]
		if err := checkText("output", name, o.Tensor); err != nil {
			return err
		}
		if err := o.check(); err != nil {
			return fmt.Errorf("output %s: %w", file.Literal(name), err)
		}
	}
	return nil
}

func (o *Output) check() error {
	if o.Tensor == "" {
		return errors.New("it names no tensor")
	}
	if len(o.Shape) > 8 {
		return fmt.Errorf("it has %d axes, want at most 8", len(o.Shape))
	}
	n := 1
	for _, d := range o.Shape {
		if d < 1 || d > maxElements/n {
			return fmt.Errorf("shape %v is empty or larger than %d elements", o.Shape, maxElements)
		}
		n *= d
	}
	for name, v := range map[string]float64{"atol": o.Atol, "rtol": o.Rtol} {
		if v < 0 || v > math.MaxFloat32 {
			return fmt.Errorf("%s is %v, want a number of at least 0", name, v)
		}
	}
	if o.Exact == o.tolerance {
		return errors.New("want either exact, or atol and rtol")
	}
	return nil
}

func (t *Text) check(c *Config) error {
	if c.Dict != "" {
		return nil
	}
	if c.Context > 0 {
		for name, ids := range map[string][]int{"input_ids": t.InputIDs, "hf_input_ids": t.FaceInputIDs, "clean_input_ids": t.CleanIDs} {
			if ids != nil && len(ids) != c.Context {
				return fmt.Errorf("it has %d %s, want %d", len(ids), name, c.Context)
			}
		}
		return nil
	}
	maxLen := c.MaxLen
	if len(t.InputIDs) != len(t.Padding) || maxLen > 0 && len(t.InputIDs) != maxLen {
		return fmt.Errorf("it has %d input_ids and %d of padding_mask, want %d each", len(t.InputIDs), len(t.Padding), maxLen)
	}
	if t.NumTokens < 0 || t.NumTokens > len(t.InputIDs) {
		return fmt.Errorf("num_tokens is %d of %d", t.NumTokens, len(t.InputIDs))
	}
	return nil
}

// Path returns the path of the file called name in the case's folder. A name that leads out of the folder is an error.
func (c *Case) Path(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("%s: %w", c.Dir, err)
	}
	return filepath.Join(c.Dir, name), nil
}

// source opens a tensor file of the case, once, and checks its SHA-256 if case.json has it.
func (c *Case) source(name string) (checkpoint.Source, error) {
	path, err := c.Path(name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if src := c.open[name]; src != nil {
		return src, nil
	}
	if at := c.at[name]; at != "" {
		path = at
	}
	if want, ok := c.Files[name]; ok {
		if got, err := sum(path); err != nil {
			return nil, err
		} else if got != want {
			return nil, fmt.Errorf("%s: it does not belong to the case.json in its folder (SHA-256 %.8s, want %.8q); record the case again", file.Quote(path), got, want)
		}
	}
	src, err := checkpoint.OpenFile(path)
	if err != nil {
		return nil, err
	}
	if c.open == nil {
		c.open = map[string]checkpoint.Source{}
	}
	c.open[name] = src
	return src, nil
}

// sum returns the SHA-256 of a file's contents, in hexadecimal.
func sum(path string) (string, error) {
	f, err := file.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Close closes the files of inputs and outputs. The caller of OpenWeights closes the weights.
func (c *Case) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, src := range c.open {
		errs = append(errs, src.Close())
	}
	c.open = nil
	return errors.Join(errs...)
}
