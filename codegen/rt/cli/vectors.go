package cli

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

// embeddings is the output of embed: JSON lines, or an array in a .npy file with its inputs as
// JSON lines.
type embeddings struct {
	out      string // path; "": standard output
	files    file.Set
	model    *file.File
	lines    *bufio.Writer
	array    *npyWriter // nil: the lines hold the values
	maker    maker
	recorded bool                // the model file holds maker
	rows     int                 // rows in total, with the rows of earlier runs
	done     map[inputKey]uint32 // number of vectors of earlier runs, by input
}

// embedding is one line of the output.
type embedding struct {
	Input     string    `json:"input"`
	Kind      string    `json:"kind"` // image or text
	Embedding []float32 `json:"embedding,omitempty"`
}

// maker is the content of NAME.model.json.
type maker struct {
	Model       string `json:"model"`
	Fingerprint string `json:"fingerprint"` // see rt.Model.Fingerprint
	Multiway    string `json:"multiway"`    // version
	EXIF        bool   `json:"exif"`        // whether pictures were turned upright
}

// maxMaker is the largest size of a model file in bytes.
const maxMaker = 1 << 16

// inputKey identifies an input and its kind by a hash.
type inputKey [16]byte

func keyOf(input, kind string) inputKey {
	sum := sha256.Sum256([]byte(kind + "\x00" + input))
	return inputKey(sum[:16])
}

// madeBy reads NAME.model.json and returns an error if it names another model.
func madeBy(r io.Reader, name, model, fingerprint string) (made maker, err error) {
	if err := json.NewDecoder(io.LimitReader(r, maxMaker)).Decode(&made); err != nil {
		return made, fmt.Errorf("%s: %w; want what embed -o writes beside its vectors", file.Quote(name), err)
	}
	if made.Model != model || made.Fingerprint != fingerprint {
		return made, fmt.Errorf("%s: its vectors are of model %s, fingerprint %s, and this is %s, %s: %w",
			file.Quote(name), file.Quote(made.Model), file.Quote(made.Fingerprint), model, fingerprint, errOtherModel)
	}
	return made, nil
}

var errOtherModel = errors.New("vectors of two models do not compare; embed anew")

// outputs returns the paths of the files of an output: the model file, the lines, and for a
// .npy output the array; none for standard output.
func outputs(out string) []string {
	if out == "" {
		return nil
	}
	stem := strings.TrimSuffix(out, filepath.Ext(out))
	if strings.HasSuffix(out, ".npy") {
		return []string{stem + ".model.json", stem + ".inputs.jsonl", out}
	}
	return []string{stem + ".model.json", out}
}

// embeddings opens the output at path out ("": standard output) for a model. If resume is set
// it continues the output of an earlier run, if there is one.
func (a *App) embeddings(m *task.Model, out string, resume bool) (_ *embeddings, err error) {
	w := &embeddings{out: out, maker: maker{m.Package().Name, m.Fingerprint(), builds().Multiway, a.exif}}
	if out == "" {
		w.lines = bufio.NewWriter(a.Out)
		return w, nil
	}
	if resume {
		_, whole := os.Stat(out)
		if _, part := os.Stat(out + file.PartSuffix); whole == nil && errors.Is(part, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is whole, there is nothing to go on with; without --resume it is made anew", file.Quote(out))
		}
	}
	vectors, err := file.Part(out, 0o666, resume)
	if errors.Is(err, file.ErrPart) {
		return nil, fmt.Errorf("%w: --resume goes on with it; to begin anew, remove it", err)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.abandon()
			vectors.Abandon()
		}
	}()
	names := outputs(out)
	w.files.Remove(out) // at no time do vectors stand beside another run's list or model file
	add := func(f *file.File, err error) (*file.File, error) {
		if err == nil {
			w.files.Add(f)
		}
		return f, err
	}
	// Without vectors, the other files of an earlier run are useless.
	if w.model, err = add(file.Part(names[0], 0o666, true)); err != nil {
		return nil, err
	}
	if err := w.besideOthers(); err != nil {
		return nil, err
	}
	if err := w.takeBack(vectors); err != nil {
		return nil, err
	}
	lines := vectors
	if len(names) > 2 {
		if lines, err = add(file.Part(names[1], 0o666, true)); err != nil {
			return nil, err
		}
		if w.array, err = openNPY(vectors, cmp.Or(m.Package().Find(retrieval, "image"), m.Package().Find(retrieval, "text")).Outputs[0].Cols); err != nil {
			return nil, err
		}
	}
	w.files.Add(vectors)
	st, err := vectors.Stat()
	if err == nil && st.Size() == 0 {
		err = cut(w.model, 0)
	}
	if err == nil {
		w.recorded, err = w.sameMaker(st.Size() > 0)
	}
	if err != nil {
		return nil, err
	}
	if err := w.resume(lines); err != nil {
		return nil, err
	}
	w.lines = bufio.NewWriter(lines)
	return w, nil
}

// takeBack makes unfinished files again of those that the last run put in place, if it ended
// while it did so: its vectors are unfinished, and its model file, the first in place, is not.
// In every other state unfinished vectors have an unfinished model file beside them. Vectors of
// the same model may share the file in place, which therefore stays.
func (w *embeddings) takeBack(vectors *file.File) error {
	if exists(w.out) || empty(vectors) || !empty(w.model) {
		return nil
	}
	names := outputs(w.out)
	made, err := file.Read(names[0], maxMaker)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names[1:] { // the model file last: until then this can be done again
		if name == w.out || exists(name+file.PartSuffix) || !exists(name) {
			continue
		}
		if err := os.Rename(name, name+file.PartSuffix); err != nil {
			return file.PathError(name, err)
		}
	}
	if _, err := w.model.Write(made); err != nil {
		return errors.Join(err, cut(w.model, 0))
	}
	_, err = w.model.Seek(0, io.SeekStart)
	return err
}

// empty reports whether an open file has no bytes.
func empty(f *file.File) bool {
	st, err := f.Stat()
	return err == nil && st.Size() == 0
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// besideOthers returns an error if other vectors share the model file NAME.model.json with this
// output, which NAME.npy and NAME.jsonl do, and are of another model or unfinished.
func (w *embeddings) besideOthers() error {
	name := outputs(w.out)[0]
	other := strings.TrimSuffix(w.out, filepath.Ext(w.out)) + ".npy"
	if other == w.out {
		other = strings.TrimSuffix(w.out, ".npy") + ".jsonl"
	}
	if st, err := os.Stat(other + file.PartSuffix); err == nil && st.Size() > 0 {
		return fmt.Errorf("%s is the unfinished file of an earlier run and shares %s: go on with it by -o %s --resume, remove it, or give another name",
			file.Quote(other+file.PartSuffix), file.Quote(name), file.Quote(other))
	}
	f, err := file.Open(name)
	if err != nil {
		return nil // no model file
	}
	defer f.Close()
	if _, err := os.Stat(other); err != nil {
		return nil
	}
	if _, err := madeBy(f, name, w.maker.Model, w.maker.Fingerprint); errors.Is(err, errOtherModel) {
		return fmt.Errorf("%w; %s says so of %s too, so give another name", err, file.Quote(name), file.Quote(other))
	}
	return nil
}

// maxEmbeddingLine is the longest line, in bytes, of a file that is continued: an input and a
// vector of some 100,000 values.
const maxEmbeddingLine = 8*maxLine + 2<<20

// resume reads the output of an earlier run, truncates it after the last complete row, and
// positions the files for the next row.
func (w *embeddings) resume(lines *file.File) (err error) {
	w.done = map[inputKey]uint32{}
	size := int64(0)
	s := bufio.NewScanner(lines)
	s.Buffer(nil, maxEmbeddingLine)
	s.Split(func(data []byte, _ bool) (int, []byte, error) { return bufio.ScanLines(data, false) }) // complete lines only
	for w.recorded && (w.array == nil || w.rows < w.array.rows) && s.Scan() {
		var e embedding
		if json.Unmarshal(s.Bytes(), &e) != nil || e.Kind == "" || (w.array == nil) != (e.Embedding != nil) {
			break
		}
		w.done[keyOf(e.Input, e.Kind)]++
		size += int64(len(s.Bytes())) + 1
		w.rows++
	}
	if err := s.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%s: %w", file.Quote(lines.Name()), err)
	}
	if err := cut(lines, size); err != nil {
		return err
	}
	if w.array != nil {
		return w.array.begin(w.rows)
	}
	return nil
}

// sameMaker reports whether the model file of an earlier run is complete. It returns an error
// if the file names another model or setting, or if there are rows and it is missing or
// damaged.
func (w *embeddings) sameMaker(rows bool) (bool, error) {
	part := file.Quote(w.out + file.PartSuffix)
	made, err := madeBy(w.model, w.model.Name(), w.maker.Model, w.maker.Fingerprint)
	switch {
	case errors.Is(err, errOtherModel):
		return false, fmt.Errorf("%w (remove %s)", err, part)
	case err != nil && rows:
		return false, fmt.Errorf("%s: no run of embed left it, as %s does not say what model made it; give another name, or remove it if it is of no use", part, file.Quote(w.model.Name()))
	case err != nil:
		return false, cut(w.model, 0)
	case made.EXIF != w.maker.EXIF:
		return false, fmt.Errorf("%s: its vectors are of pictures that were read with --exif=%t; go on so, or remove it", part, made.EXIF)
	}
	return true, nil
}

// cut truncates a file to size bytes and positions it at its new end.
func cut(f *file.File, size int64) error {
	err := f.Truncate(size)
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file.Quote(f.Name()), err)
	}
	return nil
}

// rest yields the items that have no vector yet.
func (w *embeddings) rest(items iter.Seq[item]) iter.Seq[item] {
	return func(yield func(item) bool) {
		for it := range items {
			if key := keyOf(it.name, it.kind()); w.done[key] > 0 {
				w.done[key]--
			} else if !yield(it) {
				return
			}
		}
	}
}

// unasked returns the number of vectors of earlier runs whose inputs were not given to this
// run.
func (w *embeddings) unasked() int {
	n := 0
	for _, k := range w.done {
		n += int(k)
	}
	return n
}

func (w *embeddings) write(it *item, out []float32) error {
	if w.model != nil && !w.recorded { // before the first row
		if err := encode(w.model, w.maker); err != nil {
			return err
		}
		w.recorded = true
	}
	line := embedding{Input: it.name, Kind: it.kind()}
	if w.array == nil {
		line.Embedding = out
	} else if err := w.array.row(out); err != nil {
		return err
	}
	w.rows++
	return encode(w.lines, line)
}

// flush passes the rows to the operating system, which keeps them if the process ends.
func (w *embeddings) flush() error {
	if w.array != nil {
		if err := w.array.b.Flush(); err != nil {
			return err
		}
	}
	return w.lines.Flush()
}

// close completes the output and moves its files into place.
func (w *embeddings) close() error {
	err := w.flush()
	if err == nil && w.array != nil {
		err = w.array.end()
	}
	if err == nil {
		err = w.files.Commit()
	}
	return err
}

// kept adds to an error where the rows written so far are.
func (w *embeddings) kept(err error) error {
	if w.model == nil || w.rows == 0 || !exists(w.out+file.PartSuffix) {
		return err
	}
	return fmt.Errorf("%w; %s holds the finished part, --resume continues it", err, file.Quote(w.out+file.PartSuffix))
}

// stored yields the embeddings, cols values each, that embed wrote to a .npy or .jsonl file
// with the given model. An embedding is valid until the next one. If reading fails, the last
// pair yielded holds the error.
func stored(path, model, fingerprint string, cols int) iter.Seq2[*embedding, error] {
	return func(yield func(*embedding, error) bool) {
		if err := readStored(path, model, fingerprint, cols, func(e *embedding) bool { return yield(e, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

func readStored(path, model, fingerprint string, cols int, yield func(*embedding) bool) error {
	if !isEmbeddings(path) {
		return Usagef("%s: want a file that embed -o wrote, .npy or .jsonl", file.Quote(path))
	}
	names := outputs(path)
	if _, err := os.Stat(path); err != nil {
		return file.PathError(path, err)
	}
	var files []*os.File
	for _, name := range names {
		f, err := file.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w; embed -o wrote it beside %s, which is of no use without it", err, file.Quote(path))
		}
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, f)
	}
	if _, err := madeBy(files[0], names[0], model, fingerprint); err != nil {
		return err
	}
	var array *npyReader
	if len(files) > 2 {
		var err error
		if array, err = newNPYReader(files[2], cols); err != nil {
			return fmt.Errorf("%s: %w", file.Quote(path), err)
		}
	}
	s := bufio.NewScanner(files[1])
	s.Buffer(nil, maxEmbeddingLine)
	n := 0
	for s.Scan() {
		n++
		wrong := func(got string) error {
			return fmt.Errorf("%s: line %d %s; want what embed -o wrote", file.Quote(names[1]), n, got)
		}
		var e embedding
		if err := json.Unmarshal(s.Bytes(), &e); err != nil || e.Kind != "image" && e.Kind != "text" {
			return wrong("does not hold an input and its kind")
		}
		if array != nil {
			var err error
			if e.Embedding, err = array.next(); err == io.EOF {
				return wrong(fmt.Sprintf("has no row: %s has %d", file.Quote(path), array.rows))
			} else if err != nil {
				return fmt.Errorf("%s: row %d: %w", file.Quote(path), n, err)
			}
		}
		if len(e.Embedding) != cols {
			return wrong(fmt.Sprintf("has a vector of %d values, not %d", len(e.Embedding), cols))
		}
		if !yield(&e) {
			return nil
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s: line %d: %w", file.Quote(names[1]), n+1, err)
	}
	if array != nil && n < array.rows {
		return fmt.Errorf("%s: %d lines for the %d rows of %s; want what one run of embed -o wrote", file.Quote(names[1]), n, array.rows, file.Quote(path))
	}
	return nil
}

// isEmbeddings reports whether a path has an extension that embed -o accepts.
func isEmbeddings(path string) bool {
	return strings.HasSuffix(path, ".npy") || strings.HasSuffix(path, ".jsonl")
}

// abandon closes an output that is not complete. The rows written so far stay in the .part
// files.
func (w *embeddings) abandon() { w.files.Abandon() }
