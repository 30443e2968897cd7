package torchsave

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/ir/checkpoint"
	place "github.com/multiway-go/multiway/ir/file"
)

// Style says under which key of a checkpoint's dict the weights are, and what else the dict has.
type Style string

// The styles.
const (
	Model     Style = "model"      // {"model": weights}, as released
	Finetune  Style = "finetune"   // model, and the optimizer, epoch, scaler and arguments of the official script
	DeepSpeed Style = "deepspeed"  // {"module": half weights, ...}
	StateDict Style = "state_dict" // {"state_dict": weights, ...}, as VLMo's
	Bare      Style = "bare"       // the weights
	Views     Style = "views"      // like finetune without moments; tensors share storages or are column-major
)

// Styles lists the styles, for help texts.
var Styles = []Style{Model, Finetune, DeepSpeed, StateDict, Bare, Views}

// Options are the form of a checkpoint. The zero value is the form of a released file.
type Options struct {
	Style  Style // "" = Model
	Legacy bool  // the stream of PyTorch before 1.6
}

// storage is a PyTorch storage in the file: a flat array of n elements of size bytes, which write writes.
type storage struct {
	class, key string
	n, size    int
	write      func(w io.Writer) error
}

// view is a tensor in a storage, in elements.
type view struct {
	offset         int
	shape, strides []int
}

type tensor struct {
	name string
	s    *storage
	v    view
}

// classes are the storage classes of the element types.
var classes = map[checkpoint.DType]string{
	checkpoint.F32: "FloatStorage", checkpoint.F16: "HalfStorage", checkpoint.BF16: "BFloat16Storage",
	checkpoint.I64: "LongStorage", checkpoint.I32: "IntStorage", checkpoint.U8: "ByteStorage", checkpoint.Bool: "BoolStorage",
}

// WriteFile is [Write] to a new or replaced file. On error the old file stays.
func WriteFile(path string, src checkpoint.Source, o Options) error {
	return place.Write(path, 0o666, func(w io.Writer) error {
		if err := Write(w, src, o); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
}

// Write writes the tensors of src.
func Write(w io.Writer, src checkpoint.Source, o Options) error {
	if o.Style == "" {
		o.Style = Model
	}
	if !slices.Contains(Styles, o.Style) {
		return fmt.Errorf("unknown style %q; want one of %s", o.Style, strings.Trim(fmt.Sprint(Styles), "[]"))
	}
	if o.Style == DeepSpeed {
		half, err := checkpoint.Rounded(src, checkpoint.F16)
		if err != nil {
			return err
		}
		src = half
	}
	f := &file{opt: o}
	if err := f.weights(src); err != nil {
		return err
	}
	pickle := f.object()
	if o.Legacy {
		return f.stream(w, pickle)
	}
	return f.archive(w, pickle)
}

// file collects the pickle and the storages of a checkpoint.
type file struct {
	opt      Options
	tensors  []tensor
	moments  [2][]tensor // of Adam
	storages []*storage
}

func (f *file) storage(d checkpoint.DType, n int, write func(io.Writer) error) *storage {
	key := strconv.Itoa(len(f.storages))
	if f.opt.Legacy {
		key = fmt.Sprint(94000000000000 + 64*int64(len(f.storages))) // an address there
	}
	s := &storage{classes[d], key, n, d.Size(), write}
	f.storages = append(f.storages, s)
	return s
}

// weights makes a storage for each tensor of src. In style Views, the first vectors share a
// storage, and every other matrix is column-major.
func (f *file) weights(src checkpoint.Source) error {
	var shared *storage
	var together []checkpoint.Info
	matrices := 0
	for _, t := range src.Tensors() {
		if classes[t.DType] == "" || t.Problem != "" {
			return fmt.Errorf("%s: tensor %q is %v, which cannot be saved", src, t.Name, t)
		}
		if f.opt.Style == Views && len(t.Shape) == 1 && t.DType == checkpoint.F32 && len(together) < 6 {
			together = append(together, t)
		}
	}
	if len(together) > 0 {
		n := 0
		for _, t := range together {
			n += t.Len()
		}
		shared = f.storage(checkpoint.F32, n, func(w io.Writer) error {
			for _, t := range together {
				if err := copyTensor(w, src, t); err != nil {
					return err
				}
			}
			return nil
		})
	}
	at := 0
	for _, t := range src.Tensors() {
		v := view{shape: t.Shape, strides: rowMajor(t.Shape)}
		write := func(w io.Writer) error { return copyTensor(w, src, t) }
		switch {
		case slices.ContainsFunc(together, func(x checkpoint.Info) bool { return x.Name == t.Name }):
			v.offset = at
			at += t.Len()
			f.tensors = append(f.tensors, tensor{t.Name, shared, v})
			continue
		case f.opt.Style == Views && len(t.Shape) == 2:
			if matrices++; matrices%2 == 1 {
				v.strides = []int{1, t.Shape[0]}
				write = func(w io.Writer) error { return copyColumns(w, src, t) }
			}
		}
		f.tensors = append(f.tensors, tensor{t.Name, f.storage(t.DType, t.Len(), write), v})
		if f.opt.Style == Finetune && t.DType.Float() {
			for i, name := range []string{"exp_avg", "exp_avg_sq"} {
				s := f.storage(t.DType, t.Len(), func(w io.Writer) error { return moment(w, name+"."+t.Name, t) })
				f.moments[i] = append(f.moments[i], tensor{t.Name, s, v})
			}
		}
	}
	return nil
}

func rowMajor(shape []int) []int {
	strides := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = n
		n *= shape[i]
	}
	return strides
}

// block is the number of elements that are held at a time.
const block = 1 << 18

func copyTensor(w io.Writer, src checkpoint.Source, t checkpoint.Info) error {
	size := t.DType.Size()
	buf := make([]byte, size*min(block, t.Len()))
	for at := 0; at < t.Len(); at += block {
		b := buf[:size*min(block, t.Len()-at)]
		if err := src.Read(t.Name, at, b); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// copyColumns writes a matrix column by column.
func copyColumns(w io.Writer, src checkpoint.Source, t checkpoint.Info) error {
	rows, cols, size := t.Shape[0], t.Shape[1], t.DType.Size()
	in, out := make([]byte, t.Bytes()), make([]byte, t.Bytes())
	if err := src.Read(t.Name, 0, in); err != nil {
		return err
	}
	for r := range rows {
		for c := range cols {
			copy(out[(c*rows+r)*size:][:size], in[(r*cols+c)*size:])
		}
	}
	_, err := w.Write(out)
	return err
}

// moment writes arbitrary numbers as a moment of the optimizer.
func moment(w io.Writer, name string, t checkpoint.Info) error {
	s, err := checkpoint.Seeded(1, []checkpoint.SeededTensor{{Name: name, Shape: t.Shape, Scale: 1e-3}})
	if err != nil {
		return err
	}
	if s, err = checkpoint.Rounded(s, t.DType); err != nil {
		return err
	}
	return copyTensor(w, s, s.Tensors()[0])
}

// object pickles the outermost object of the style.
func (f *file) object() []byte {
	p := newPickler()
	state := func() {
		p.ordered(func() {
			for _, t := range f.tensors {
				p.text(t.name).tensor(t.s, t.v, f.opt.Legacy)
			}
		})
		p.dict(func() { p.text("_metadata").ordered(func() { p.text("").dict(func() { p.text("version").int(1) }) }) }).op('b')
	}
	switch f.opt.Style {
	case Bare:
		state()
	case StateDict:
		p.dict(func() {
			p.text("epoch").int(1).text("global_step").int(200000).text("pytorch-lightning_version").text("1.5.5")
			p.text("state_dict")
			state()
			p.text("callbacks").dict(func() {}).text("lr_schedulers").op(']')
		})
	case DeepSpeed:
		p.dict(func() {
			p.text("module")
			state()
			p.text("optimizer").op('N').text("lr_scheduler").op('N').text("skipped_steps").int(0).text("global_steps").int(7)
			p.text("skipped_layers").class("__builtin__", "set").op(']', 0x85, 'R')
			p.text("loss_scaler").object("deepspeed.runtime.fp16.loss_scaler", "DynamicLossScaler", func() {
				p.text("cur_scale").float(65536).text("dtype").class("torch", "float16")
			})
			p.text("args")
			f.args(p)
		})
	default:
		p.dict(func() {
			p.text("model")
			state()
			if f.opt.Style == Model {
				return
			}
			p.text("optimizer").dict(func() { f.optimizer(p) })
			p.text("epoch").int(9)
			p.text("scaler").dict(func() {
				p.text("scale").float(65536).text("growth_factor").float(2).text("backoff_factor").float(0.5).text("growth_interval").int(2000).text("_growth_tracker").int(11)
			})
			p.text("args")
			f.args(p)
		})
	}
	return p.op('.').Bytes()
}

// args pickles the argparse.Namespace of the training script, with all kinds of values that
// occur in it.
func (f *file) args(p *pickler) {
	p.object("argparse", "Namespace", func() {
		p.text("model").text("beit3_base_patch16_384_retrieval").text("task").text("coco_retrieval").text("input_size").int(384)
		p.text("lr").float(2e-4).text("opt_betas").op(']', '(').float(0.9).float(0.999).op('e')
		p.text("clip_grad").op('N').text("checkpoint_activations").op(0x88).text("resume").text("")
		p.text("device").class("torch", "device").op('(').text("cuda").int(0).op('t', 'R')
		p.text("output_dir").class("pathlib", "PosixPath").op('(').text("out").op('t', 'R')
	})
}

// optimizer pickles the state of AdamW: numbered parameters with two moments each.
func (f *file) optimizer(p *pickler) {
	p.text("state").dict(func() {
		for i := range f.moments[0] {
			p.int(i).dict(func() {
				p.text("step").int(52990)
				for k, name := range []string{"exp_avg", "exp_avg_sq"} {
					t := f.moments[k][i]
					p.text(name).tensor(t.s, t.v, f.opt.Legacy)
				}
			})
		}
	})
	p.text("param_groups").op(']', '(')
	p.dict(func() {
		p.text("lr").float(1e-5).text("weight_decay").float(0.05).text("betas").float(0.9).float(0.999).op(0x86)
		p.text("params").op(']', '(')
		for i := range f.moments[0] {
			p.int(i)
		}
		p.op('e')
	})
	p.op('e')
}

// counter counts the bytes written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// align is the alignment, in bytes, of the content of the archive's entries. An extra field in an entry's header pads up to
// it.
const align = 64

// archive writes the zip archive of PyTorch 1.6 and later: stored entries under one
// folder.
func (f *file) archive(w io.Writer, pickle []byte) error {
	c := &counter{w: w}
	z := zip.NewWriter(c)
	last := 0 // bytes after the entry before: its sizes
	entry := func(name string, write func(io.Writer) error) error {
		if err := z.Flush(); err != nil {
			return err
		}
		name = "archive/" + name
		const header, extra = 30, 4
		pad := align - (int(c.n%align)+last+header+len(name)+extra)%align
		last = 16
		padding := append([]byte{'F', 'B', byte(pad), 0}, bytes.Repeat([]byte{'Z'}, pad)...)
		e, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Extra: padding})
		if err != nil {
			return err
		}
		return write(e)
	}
	text := func(b []byte) func(io.Writer) error {
		return func(w io.Writer) error { _, err := w.Write(b); return err }
	}
	if err := entry("data.pkl", text(pickle)); err != nil {
		return err
	}
	if err := entry("byteorder", text([]byte("little"))); err != nil {
		return err
	}
	for _, s := range f.storages {
		if err := entry("data/"+s.key, s.write); err != nil {
			return err
		}
	}
	if err := entry("version", text([]byte("3\n"))); err != nil {
		return err
	}
	return z.Close()
}

// stream writes the format of PyTorch before 1.6: the magic number, the protocol, the
// machine, the object, the keys of the storages, and the storages.
func (f *file) stream(w io.Writer, pickle []byte) error {
	head := newPickler().op(0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.').Bytes()
	head = append(head, newPickler().op('M', 0xe9, 3, '.').Bytes()...)
	p := newPickler()
	p.dict(func() {
		p.text("protocol_version").op('M', 0xe9, 3).text("little_endian").op(0x88)
		p.text("type_sizes").dict(func() { p.text("short").int(2).text("int").int(4).text("long").int(4) })
	})
	head = append(head, p.op('.').Bytes()...)
	head = append(head, pickle...)
	p = newPickler().op(']', '(')
	for _, s := range f.storages {
		p.text(s.key)
	}
	head = append(head, p.op('e', '.').Bytes()...)
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, s := range f.storages {
		if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(s.n))); err != nil {
			return err
		}
		if err := s.write(w); err != nil {
			return err
		}
	}
	return nil
}
