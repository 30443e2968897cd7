package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
)

// Fact is one value that a configuration file gives for a model, or leaves to the default of the code that reads it.
type Fact struct {
	Value any    // int, float64, string, bool or []float64
	From  string // the key, as a path: vision_config.hidden_size
	Usual bool   // the file leaves the key out, and Value is the default of the code that reads the file
}

// Config has the facts that a configuration file beside a checkpoint gives for its model.
type Config struct {
	File  string          // its name
	Class string          // the class or library that reads the file, such as CLIPModel or open_clip
	Facts map[string]Fact // by this package's names, such as vision.dim
}

// MaxConfig is the largest configuration file that is read, in bytes.
const MaxConfig = 1 << 22

// maxConfigDepth is the deepest nesting of lists and objects in a configuration file that is read.
const maxConfigDepth = 32

// configFormat is a kind of configuration file.
type configFormat struct {
	file string
	in   string // key of the object with the values, "" = the whole file
	none bool   // null stands for a value that is left out, as Python's None does; else it is an error
	rows []configRow
	// class finds the code that reads the file with the content root.
	class func(root map[string]any) (*configClass, error)
}

// configClass is code that reads configuration files.
type configClass struct {
	name  string
	usual map[string]any // facts that hold where a file leaves them out
	under string         // beginning of paths of the format's rows that the files of this class leave out
}

// configRow describes one value in a configuration file: its key, the fact that it gives, and the values that are supported.
type configRow struct {
	path string // keys with dots between them; alternatives with | between them, of which the first in the file counts
	fact string // name in Config.Facts; "": the value is only checked
	kind configKind
	// want, if not nil, is the only supported value; the error about any other ends with why.
	want any
	why  string
	// words maps the supported texts to values of the fact; nil: the fact has the text as it is.
	words map[string]string
	// lo is the least number in a list of numbers; the largest is maxFed.
	lo float64
}

type configKind uint8

const (
	wholeConfig    configKind = iota // whole number from 1 to maxVocab
	epsConfig                        // number above 0 and below 1
	numberConfig                     // number above 0
	textConfig                       // text
	flagConfig                       // true or false
	numbersConfig                    // list of numbers
	sidesConfig                      // a number, {height, width} or {shortest_edge}
	resampleConfig                   // Pillow's number of a resampling filter
	rescaleConfig                    // 1/255
	namesConfig                      // object of texts by whole numbers; the value is how many
)

// sides is the size of a picture in pixels: either of its shortest side, or its height and width. What is not given is 0.
type sides struct {
	shortest      int
	height, width int
}

func (s sides) String() string {
	if s.shortest != 0 {
		return strconv.Itoa(s.shortest)
	}
	return fmt.Sprintf("%d x %d", s.height, s.width)
}

var configFormats = []configFormat{faceFormat, openFormat, processorsFormat, processorFormat, tokenizerFormat}

// ConfigFiles lists the names of the configuration files that ReadConfig reads.
func ConfigFiles() (names []string) {
	for _, f := range configFormats {
		names = append(names, f.file)
	}
	return names
}

// ReadConfig reads data, the content of the configuration file called name. The name must be one of ConfigFiles, since it
// determines the format. A file that says nothing about the model gives no facts. Errors start with the name.
func ReadConfig(name string, data []byte) (*Config, error) {
	i := slices.IndexFunc(configFormats, func(f configFormat) bool { return f.file == name })
	if i < 0 {
		return nil, fmt.Errorf("%s: no configuration file; want %s", file.Quote(name), strings.Join(ConfigFiles(), ", "))
	}
	c, err := configFormats[i].read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func (f *configFormat) read(data []byte) (*Config, error) {
	root, err := parseConfig(data)
	if err != nil {
		return nil, err
	}
	c := &Config{File: f.file, Facts: map[string]Fact{}}
	prefix := ""
	if f.in != "" {
		in, ok := root[f.in].(map[string]any)
		if root[f.in] == nil {
			return c, nil
		}
		if !ok {
			return nil, fmt.Errorf("%s: got %s, want an object", f.in, shown(root[f.in]))
		}
		root, prefix = in, f.in+"."
	}
	class, err := f.class(root)
	if err != nil {
		return nil, err
	}
	c.Class = class.name
	for fact, v := range class.usual {
		c.Facts[fact] = Fact{Value: v, Usual: true}
	}
	for _, r := range f.rows {
		paths := strings.Split(r.path, "|")
		for i, p := range paths {
			paths[i] = strings.TrimPrefix(p, class.under)
		}
		if u, ok := c.Facts[r.fact]; ok && u.From == "" {
			u.From = prefix + paths[len(paths)-1]
			c.Facts[r.fact] = u
		}
		for _, path := range paths {
			raw, there, err := lookUp(root, path)
			if err != nil {
				return nil, fmt.Errorf("%s%w", prefix, err)
			}
			if !there || raw == nil && f.none {
				continue
			}
			v, err := r.value(raw)
			if err != nil {
				return nil, fmt.Errorf("%s%s: %w", prefix, path, err)
			}
			if r.want != nil && v != r.want {
				return nil, fmt.Errorf("%s%s is %v, want %v: %s", prefix, path, v, r.want, r.why)
			}
			if r.fact != "" {
				c.Facts[r.fact] = Fact{Value: v, From: prefix + path}
			}
			break
		}
	}
	return c, nil
}

// parseConfig reads a JSON object.
func parseConfig(data []byte) (map[string]any, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // the mark of UTF-8, which some editors write
	switch {
	case len(data) > MaxConfig:
		return nil, fmt.Errorf("%d bytes, want at most %d", len(data), MaxConfig)
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return nil, errors.New("a git-lfs pointer, not the file; fetch it with git lfs pull")
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")):
		return nil, errors.New("an HTML or XML page, not the file; download it again")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := parseValue(d, "", 0)
	root, ok := v.(map[string]any)
	syntax := (*json.SyntaxError)(nil)
	switch {
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the JSON ends before it is complete; the download was cut: fetch the file again")
	case errors.As(err, &syntax):
		return nil, errors.New(file.Brief("no JSON object: " + err.Error()))
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("got %s, want a JSON object", shown(v))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more text follows the JSON object")
	}
	return root, nil
}

// parseValue reads the next JSON value. An object may have a key twice only if the values are the same. path is the value's.
func parseValue(d *json.Decoder, path string, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth++; depth > maxConfigDepth {
		return nil, fmt.Errorf("lists and objects are nested more than %d deep", maxConfigDepth)
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, path, depth)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			t, err := d.Token()
			if err != nil {
				return nil, err
			}
			key := t.(string) // of an object, or Token would fail
			v, err := parseValue(d, path+key+".", depth)
			if err != nil {
				return nil, err
			}
			if old, ok := object[key]; ok && !reflect.DeepEqual(old, v) {
				return nil, fmt.Errorf("%s is there twice, as %s and as %s", quote(path+key), shown(old), shown(v))
			}
			object[key] = v
		}
		_, err = d.Token()
		return object, err
	}
	return t, nil
}

// lookUp returns the value at a path, which is keys with dots between them. there is false if a key is left out. An object on
// the way may be null, which is how Python's None is written, for one that is left out.
func lookUp(root map[string]any, path string) (v any, there bool, err error) {
	keys := strings.Split(path, ".")
	for i, k := range keys[:len(keys)-1] {
		v := root[k]
		if v == nil {
			return nil, false, nil
		}
		in, ok := v.(map[string]any)
		if !ok {
			return nil, false, fmt.Errorf("%s: got %s, want an object", strings.Join(keys[:i+1], "."), shown(v))
		}
		root = in
	}
	v, there = root[keys[len(keys)-1]]
	return v, there, nil
}

// shown describes a JSON value in an error, in a few words.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return file.Literal(v)
	case bool, json.Number:
		return file.Brief(fmt.Sprint(v))
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	return "an object"
}

// value checks raw, a JSON value, against the row and returns the fact's value.
func (r *configRow) value(raw any) (any, error) {
	switch r.kind {
	case wholeConfig:
		if n, ok := asWhole(raw); ok {
			return n, nil
		}
		return nil, fmt.Errorf("got %s, want a whole number from 1 to %d", shown(raw), maxVocab)
	case epsConfig:
		if x, ok := asNumber(raw); ok && x > 0 && x < 1 {
			return x, nil
		}
		return nil, fmt.Errorf("got %s, want a number between 0 and 1", shown(raw))
	case numberConfig:
		if x, ok := asNumber(raw); ok && x > 0 {
			return x, nil
		}
		return nil, fmt.Errorf("got %s, want a number above 0", shown(raw))
	case textConfig:
		s, ok := raw.(string)
		if !ok {
			return nil, fmt.Errorf("got %s, want a text", shown(raw))
		}
		if r.words == nil {
			return s, nil
		}
		w, ok := r.words[s]
		if !ok {
			var known []string
			for k := range r.words {
				known = append(known, k)
			}
			slices.Sort(known)
			return nil, fmt.Errorf("got %s, which is not built; want %s", shown(raw), strings.Join(known, ", "))
		}
		return w, nil
	case flagConfig:
		v, ok := raw.(bool)
		if !ok {
			return nil, fmt.Errorf("got %s, want true or false", shown(raw))
		}
		return v, nil
	case numbersConfig:
		list, ok := raw.([]any)
		if !ok || len(list) == 0 || len(list) > maxChannels {
			return nil, fmt.Errorf("got %s, want a list of numbers, one a colour", shown(raw))
		}
		var all []float64
		for _, x := range list {
			v, ok := asNumber(x)
			if !ok || v < r.lo || v > maxFed {
				return nil, fmt.Errorf("got %s in the list, want numbers from %v to %v", shown(x), r.lo, maxFed)
			}
			all = append(all, v)
		}
		return all, nil
	case resampleConfig:
		if n, ok := asWhole(raw); ok && resampleWords[n] != "" {
			return resampleWords[n], nil
		}
		return nil, fmt.Errorf("got %s, want 2, bilinear, or 3, bicubic; other filters are not built", shown(raw))
	case rescaleConfig:
		if !isRescale(raw) {
			return nil, fmt.Errorf("got %s, want 1/255, which is what pixels are multiplied by", shown(raw))
		}
		return nil, nil
	case namesConfig:
		names, ok := raw.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("got %s, want an object of names by the numbers of their classes", shown(raw))
		}
		return len(names), nil
	}
	return readSides(raw)
}

// readSides reads N, {"shortest_edge": N}, {"height": N, "width": N} or, as open_clip has it, [N, N].
func readSides(raw any) (any, error) {
	if n, ok := asWhole(raw); ok {
		return sides{shortest: n}, nil
	}
	var s sides
	ok1, ok2 := false, false
	switch v := raw.(type) {
	case map[string]any:
		if s.shortest, ok1 = asWhole(v["shortest_edge"]); ok1 {
			return s, nil
		}
		s.height, ok1 = asWhole(v["height"])
		s.width, ok2 = asWhole(v["width"])
	case []any:
		if len(v) == 2 {
			s.height, ok1 = asWhole(v[0])
			s.width, ok2 = asWhole(v[1])
		}
	}
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("got %s, want a whole number, {shortest_edge} or {height, width}", shown(raw))
	}
	return s, nil
}

func asWhole(raw any) (int, bool) {
	n, ok := raw.(json.Number)
	if !ok {
		return 0, false
	}
	v, err := strconv.Atoi(n.String())
	return v, err == nil && v >= 1 && v <= maxVocab
}

func asNumber(raw any) (float64, bool) {
	n, ok := raw.(json.Number)
	if !ok {
		return 0, false
	}
	v, err := n.Float64()
	return v, err == nil && !math.IsInf(v, 0) && !math.IsNaN(v)
}
