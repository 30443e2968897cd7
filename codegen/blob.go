package codegen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/ir"
)

// packed returns the weights that have an offset in the weight file, in the order of the offsets.
func packed(p *ir.Program) []*ir.Weight {
	var ws []*ir.Weight
	for _, w := range p.Weights {
		if w.Offset >= 0 {
			ws = append(ws, w)
		}
	}
	slices.SortFunc(ws, func(a, b *ir.Weight) int { return int(a.Offset - b.Offset) })
	return ws
}

// layout returns the weight file's table of tensors.
func layout(p *ir.Program) ([]blob.Tensor, error) {
	ws := packed(p)
	tensors := make([]blob.Tensor, len(ws))
	for i, w := range ws {
		n, err := storedBytes(w)
		if err != nil {
			return nil, err
		}
		tensors[i] = blob.Tensor{Name: w.Name, DType: blob.F32 + blob.DType(w.Type.DType), Shape: w.Type.At(0), Offset: w.Offset, Bytes: n}
	}
	return tensors, nil
}

// WriteWeights writes the weights of a planned program to a weight file, one at a time.
// progress, if not nil, is called with the bytes written so far and in all.
func WriteWeights(path string, p *ir.Program, progress func(done, total int64)) (err error) {
	tensors, err := layout(p)
	if err != nil {
		return err
	}
	ws, total := packed(p), BlobSize(p)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	var unread error // an error of reading a weight, which is returned without the name of the file that is written
	err = blob.Write(f, blob.PackingPanels16, tensors, func(i int, w io.Writer) error {
		write, err := store(ws[i])
		if err != nil {
			unread = fmt.Errorf("weight @%s: %w", ws[i].Name, err)
			return unread
		}
		if err := write(w); err != nil {
			return err
		}
		if progress != nil {
			progress(tensors[i].Offset+tensors[i].Bytes, total)
		}
		return nil
	})
	switch {
	case unread != nil:
		return unread
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// storedBytes returns the size of a weight in the weight file.
func storedBytes(w *ir.Weight) (int64, error) {
	n, err := asm.StoredBytes(w.Layout, w.Type.DType.Size(), w.Type.DType.Scaled(), w.Type.At(0)...)
	if err != nil {
		return 0, fmt.Errorf("weight @%s: %w", w.Name, err)
	}
	return n, nil
}

// store reads a weight and returns a function that writes it in its layout.
func store(w *ir.Weight) (func(io.Writer) error, error) {
	if w.Load == nil {
		return nil, errors.New("it has no data; bind a checkpoint first")
	}
	data, err := w.Load()
	if err != nil {
		return nil, err
	}
	switch {
	case w.Layout == "":
	case asm.Columns(w.Layout):
		data = asm.PackColumns(w.Layout, data, w.Type.Cols())
	case w.Layout == asm.RowsLayout:
		return func(to io.Writer) error {
			_, err := to.Write(asm.PackTable(data, w.Type.Cols()))
			return err
		}, nil
	default:
		l, err := asm.WeightLayout(w.Layout, w.Type.DType.Size(), w.Type.At(0)...)
		if err != nil {
			return nil, err
		}
		if w.Type.DType.Scaled() {
			return func(to io.Writer) error {
				_, err := to.Write(l.PackInt8(w.Type.DType.Small(), data))
				return err
			}, nil
		}
		out := make([]float32, l.Floats())
		if l.Pack(out, data); w.Type.DType.Group() == 2 {
			l.Pair(out)
		}
		data = out
	}
	return func(to io.Writer) error { return writeFloats(to, data, w.Type.DType) }, nil
}

// writeFloats writes numbers as little-endian values of type d. They must be numbers of that
// type already: the pass that gave the weight its type has rounded them.
func writeFloats(w io.Writer, data []float32, d ir.DType) error {
	b := bufio.NewWriterSize(w, 1<<16)
	var word [4]byte
	for _, v := range data {
		d.Put(word[:], v)
		b.Write(word[:d.Size()]) // Flush returns the first error
	}
	return b.Flush()
}

// BlobSize returns the bytes of the weights of a packed program, without the file's header.
func BlobSize(p *ir.Program) int64 {
	ws := packed(p)
	if len(ws) == 0 {
		return 0
	}
	last := ws[len(ws)-1]
	n, err := storedBytes(last)
	if err != nil {
		return last.Offset
	}
	return last.Offset + n
}
