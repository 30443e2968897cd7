package app

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/file"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

// embeddings is what embed writes: JSON lines, or an array and its inputs as JSON lines.
type embeddings struct {
	out      string // "": standard output, and no files
	files    file.Set
	model    *file.File
	lines    *bufio.Writer
	array    *npyWriter // nil: the values are in the lines
	maker    maker
	recorded bool                // it is written
	rows     int                 // in all, those of earlier runs included
	done     map[inputKey]uint32 // how often, of earlier runs
}

// embedding is one line.
type embedding struct {
	Input     string    `json:"input"`
	Kind      string    `json:"kind"` // image or text
	Embedding []float32 `json:"embedding,omitempty"`
}

// maker is what FILE.model.json says.
type maker struct {
	Model       string `json:"model"`
	Fingerprint string `json:"fingerprint"` // see rt.Model.Fingerprint
	Multiway    string `json:"multiway"`    // version
}

// inputKey stands for an input and its kind.
type inputKey [16]byte

func keyOf(input, kind string) inputKey {
	sum := sha256.Sum256([]byte(kind + "\x00" + input))
	return inputKey(sum[:16])
}

// outputs are the files of an output of that name, none for standard output: what model
// made it, the lines, and, if that is what it is, the array.
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

// embeddings starts the output of that name, "" for standard output, of a model; resume
// has it go on with what an earlier run left, if it left anything.
func (a *App) embeddings(m *task.Model, out string, resume bool) (_ *embeddings, err error) {
	w := &embeddings{out: out, maker: maker{m.Package().Name, m.Fingerprint(), builds().Multiway}}
	if out == "" {
		w.lines = bufio.NewWriter(a.Out)
		return w, nil
	}
	defer func() {
		if err != nil {
			w.abandon()
		}
	}()
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
	w.files.Remove(out) // so that vectors are at no moment beside the list or the model of others
	var parts []*file.File
	for _, path := range outputs(out) {
		f := vectors
		if path != out { // what is left without vectors is of no use
			if f, err = file.Part(path, 0o666, true); err != nil {
				vectors.Abandon()
				return nil, err
			}
		}
		w.files.Add(f)
		parts = append(parts, f)
	}
	w.model = parts[0]
	if len(parts) > 2 {
		if w.array, err = openNPY(parts[2], m.Func(firstOf(m, visionRetrieval, languageRetrieval)).Outputs[0].Cols); err != nil {
			return nil, err
		}
	}
	if st, err := vectors.Stat(); err != nil {
		return nil, err
	} else if st.Size() == 0 {
		if err := cut(w.model, 0); err != nil {
			return nil, err
		}
	}
	if err := w.resume(parts[1]); err != nil {
		return nil, err
	}
	w.lines = bufio.NewWriter(parts[1])
	return w, nil
}

// firstOf returns the first of the names that m has a function of.
func firstOf(m *task.Model, names ...string) string {
	i := slices.IndexFunc(names, func(n string) bool { return m.Func(n) != nil })
	return names[max(i, 0)]
}

// maxEmbeddingLine bounds a line of what is gone on with, in bytes: an input, and a vector
// of some 100,000 values.
const maxEmbeddingLine = 8*maxLine + 2<<20

// resume reads what an earlier run left, cuts off what is not whole, and leaves the files
// where the next row goes. Of no model that is known, nothing is whole.
func (w *embeddings) resume(lines *file.File) (err error) {
	if w.recorded, err = w.sameModel(); err != nil {
		return err
	}
	w.done = map[inputKey]uint32{}
	size := int64(0)
	s := bufio.NewScanner(lines)
	s.Buffer(nil, maxEmbeddingLine)
	s.Split(func(data []byte, _ bool) (int, []byte, error) { return bufio.ScanLines(data, false) }) // whole lines
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

// sameModel reports whether the rows of an earlier run are of this model; of another it is
// an error. Where none is recorded there are no rows.
func (w *embeddings) sameModel() (bool, error) {
	var made maker
	if json.NewDecoder(io.LimitReader(w.model, 1<<16)).Decode(&made) != nil {
		return false, cut(w.model, 0)
	}
	if made.Model != w.maker.Model || made.Fingerprint != w.maker.Fingerprint {
		return false, fmt.Errorf("%s: its vectors are of model %s, fingerprint %s, and this is %s, %s: vectors of two models do not compare; remove %s to begin anew",
			file.Quote(w.model.Name()), file.Quote(made.Model), file.Quote(made.Fingerprint), w.maker.Model, w.maker.Fingerprint, file.Quote(w.out+file.PartSuffix))
	}
	return true, nil
}

// cut leaves of a file what comes before an offset, where the next write goes.
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

// rest are the items that have no vector yet.
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

func (w *embeddings) write(it *item, out []float32) error {
	line := embedding{Input: it.name, Kind: it.kind()}
	if w.array == nil {
		line.Embedding = out
	} else if err := w.array.row(out); err != nil {
		return err
	}
	w.rows++
	return encode(w.lines, line)
}

// flush hands what was written to the system, which keeps it if the process ends.
func (w *embeddings) flush() error {
	if w.model != nil && !w.recorded {
		if err := encode(w.model, w.maker); err != nil {
			return err
		}
		w.recorded = true
	}
	if w.array != nil {
		if err := w.array.b.Flush(); err != nil {
			return err
		}
	}
	return w.lines.Flush()
}

// close ends the output and puts its files in their places.
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

// kept says of an error where the rows are that were written before it.
func (w *embeddings) kept(err error) error {
	if w.model == nil || w.rows == 0 {
		return err
	}
	return fmt.Errorf("%w; %s keeps what was done, --resume goes on with it", err, file.Quote(w.out+file.PartSuffix))
}

// abandon ends what was not closed. Rows that were written stay in the parts.
func (w *embeddings) abandon() { w.files.Abandon() }
