package compile

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/model"
)

// InitOptions are facts that Init cannot see in a checkpoint. The zero value is valid.
type InitOptions struct {
	Out       string // where the description will be written; its paths are relative to that folder
	Key       string // which of several sets of weights in the file to use; "" = the usual one
	Heads     int    // attention heads; 0 = those of a configuration file, or of the released model of these sizes
	TextHeads int    // attention heads of a text tower; 0 likewise
	Image     int    // side of the picture in pixels; 0 = the checkpoint's
	Tokenizer string // file of the tokenizer; "" = one in the checkpoint's folder
	Labels    string // file with the names of the classes; "" = the configuration file that has them
}

// Inited is a description written from a checkpoint.
type Inited struct {
	Guess *model.Guess
	YAML  []byte
	// Used lists the tensors that the model uses, and the others; nil if the description cannot be compiled for another reason than missing heads.
	Used *checkpoint.Report
	// Problem is the reason why the description cannot be compiled; nil if it can.
	Problem error
}

// Init writes a description from a checkpoint's tensors, and from the configuration files beside it. path is the checkpoint, or a
// folder with one as it is published. Init returns the text and writes no file.
func Init(path string, o InitOptions) (*Inited, error) {
	paths, err := published(path)
	if err != nil {
		return nil, err
	}
	path, src, guess, err := recognised(paths, &o)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	r := &Inited{Guess: guess}
	folder := filepath.Dir(path)
	configs, err := readConfigs(folder, r.Guess)
	if err != nil {
		return nil, err
	}
	if err := r.Guess.Take(configs, filepath.Join(repository(folder), filepath.Base(path)), o.Heads, o.TextHeads); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	s := model.Sketch{Name: nameOf(path), Image: o.Image, Key: o.Key}
	if o.Labels == "" && r.Guess.Labels != "" {
		o.Labels, s.List = filepath.Join(folder, r.Guess.Labels), model.LabelsKey
	}
	if o.Tokenizer == "" {
		var why []string
		o.Tokenizer, why = tokenizerBeside(folder, r.Guess)
		r.Guess.Said = append(r.Guess.Said, why...)
	}
	if o.Tokenizer != "" {
		form, err := formOf(o.Tokenizer, r.Guess)
		if err != nil {
			return nil, err
		}
		s.Form = string(form)
	}
	if o.Out != "" {
		if err := file.Distinct(o.Out, append(checkpoint.Files(src), o.Tokenizer, o.Labels)...); err != nil {
			return nil, err
		}
	}
	for _, p := range []struct {
		path string
		to   *string
	}{{path, &s.Checkpoint}, {o.Tokenizer, &s.Tokenizer}, {o.Labels, &s.Labels}} {
		if *p.to, err = relative(o.Out, p.path); err != nil {
			return nil, err
		}
	}
	// Read the description back to learn which tensors the model uses and which it does not.
	r.YAML = r.Guess.YAML(s)
	r.Used, r.Problem = tryOut(cmp.Or(o.Out, "description"), r.YAML, src)
	problem := r.Problem
	if r.Guess.Sizes.Heads == 0 { // the description has a comment about it; any number of heads serves to find unused tensors and other problems
		g := *r.Guess
		g.Sizes.Heads = 1
		if g.Sizes.Text != (model.TowerSizes{}) {
			g.Sizes.Text.Heads = 1
		}
		if r.Used, problem = tryOut(cmp.Or(o.Out, "description"), g.YAML(s), src); problem != nil {
			r.Problem = problem
		}
	}
	if problem != nil {
		s.Notes = append(s.Notes, "multiway cannot compile it as it is:\n"+problem.Error())
	}
	if r.Used != nil && len(r.Used.Notes()) > 0 {
		s.Notes = append(s.Notes, "Of the file: "+strings.Join(r.Used.Notes(), ";\n")+".")
	}
	if r.Used != nil && r.Used.SurplusCount > 0 {
		surplus := checkpoint.Report{SurplusCount: r.Used.SurplusCount, Surplus: r.Used.Surplus}
		_, ignored, _ := strings.Cut(surplus.String(), "\n")
		s.Notes = append(s.Notes, "Tensors of the file that this description does not use:\n"+ignored)
	}
	r.YAML = r.Guess.YAML(s)
	return r, nil
}

// recognised opens the first of the checkpoints that is of a known model. If none is, the error is about the first.
func recognised(paths []string, o *InitOptions) (path string, src checkpoint.Source, g *model.Guess, err error) {
	for _, p := range paths {
		s, e := checkpoint.OpenSet(p, o.Key)
		if e == nil {
			if g, e = infer(s, p, o); e == nil {
				return p, s, g, nil
			}
			s.Close()
		}
		err = cmp.Or(err, e)
	}
	return "", nil, nil, err
}

// infer finds the model of an open checkpoint.
func infer(src checkpoint.Source, path string, o *InitOptions) (*model.Guess, error) {
	var tensors []model.Tensor
	for _, t := range checkpoint.BareTensors(src) {
		tensors = append(tensors, model.Tensor{Name: t.Name, Shape: t.Shape})
	}
	g, err := model.Infer(tensors, fileName(path), o.Heads, o.TextHeads)
	if err == nil {
		return g, nil
	}
	if why := checkpoint.Altered(src, nil); why != nil {
		return nil, why // more helpful than an error about unknown names
	}
	if e := (*model.KeyError)(nil); errors.As(err, &e) {
		for i, k := range e.Keys {
			e.Keys[i] = strings.TrimPrefix(o.Key+"."+wholeKey(src, k), ".")
		}
	}
	return nil, fmt.Errorf("%s: %w", file.Quote(path), err)
}

// wholeKey returns the prefix of names of tensors that bare, a prefix of bare names, comes from.
func wholeKey(src checkpoint.Source, bare string) string {
	for _, t := range src.Tensors() {
		for i, c := range t.Name {
			if c == '.' && checkpoint.Bare(t.Name[:i]+".x") == bare+".x" {
				return t.Name[:i]
			}
		}
	}
	return bare
}

// tryOut parses a description and binds its program to the checkpoint.
func tryOut(file string, yaml []byte, src checkpoint.Source) (*checkpoint.Report, error) {
	d, err := model.Parse(file, yaml)
	if err != nil {
		return nil, err
	}
	p, err := model.Lower(d, model.Options{})
	if err != nil {
		return nil, err
	}
	return checkpoint.Bind(p, src)
}

// relative returns a path relative to the folder of the description's file out.
func relative(out, path string) (string, error) {
	if path == "" || filepath.IsAbs(path) && !filepath.IsAbs(out) {
		return path, nil
	}
	if _, err := os.Stat(path); err != nil {
		return "", file.PathError(path, err)
	}
	from, err := filepath.Abs(filepath.Dir(out))
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(from, to)
	if err != nil { // another drive
		return to, nil
	}
	return filepath.ToSlash(rel), nil
}
