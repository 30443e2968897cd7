// Package engineproc runs a compiled package in a process of its own, tensors over its
// standard input and output. The compiler checks what it built this way, one
// process a CPU level; so does the golden suite.
//
// [Main] is the whole main function of the serving process; [Dial] starts one and
// [Client.Run] calls a function. One call at a time, no network, no files but the
// weights.
//
// A message is a uint32 length, that many bytes of JSON, and the float32 values the
// JSON counts, all little-endian.
package engineproc

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/interrupt"
)

// Bounds of a message: what either side takes from the other.
const (
	maxJSON   = 64 << 20
	maxFloats = 1 << 30
)

type request struct {
	Func    string   `json:"func,omitempty"`
	Seqs    []seq    `json:"seqs"`
	Caption *Caption `json:"caption,omitempty"` // of the picture of each sequence
}

type seq struct {
	Image int     `json:"image"` // floats
	IDs   []int32 `json:"ids"`
}

type response struct {
	Error   string   `json:"error,omitempty"`
	Level   string   `json:"level,omitempty"`
	Outputs []output `json:"outputs,omitempty"`

	Captions []caption.Caption `json:"captions,omitempty"`
}

type output struct {
	Name   string `json:"name"`
	Cols   int    `json:"cols"`
	Floats []int  `json:"floats"` // of each sequence
}

// Output is one result of a call: the rows of each sequence, Cols floats a row.
type Output struct {
	Name string
	Cols int
	Seqs [][]float32
}

// Main serves p until standard input ends. The process's arguments are a level
// ("" = the best) and the path of the weight file.
func Main(p *rt.Package) {
	if err := serve(p, os.Args[1:], bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(p *rt.Package, args []string, in *bufio.Reader, out *bufio.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: LEVEL WEIGHTS; got %d arguments", len(args))
	}
	var opts []rt.Option
	if args[0] != "" {
		opts = append(opts, rt.WithLevel(args[0]))
	}
	m, err := p.Open(args[1], opts...)
	if err != nil {
		return err
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()
	if err := send(out, response{Level: m.Info().Level}); err != nil {
		return err
	}
	for {
		var q request
		if err := receive(in, &q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		batch := make([]rt.Seq, len(q.Seqs))
		for i, s := range q.Seqs {
			batch[i].IDs = s.IDs
			if s.Image != 0 {
				if batch[i].Image, err = receiveFloats(in, s.Image); err != nil {
					return fmt.Errorf("%s: picture %d: %w", q.Func, i, err)
				}
			}
		}
		if q.Caption != nil {
			var resp response
			var pictures, data [][]float32
			for _, s := range batch {
				pictures = append(pictures, s.Image)
			}
			all, err := q.Caption.answer(s, pictures)
			if err != nil {
				resp.Error, all = err.Error(), nil
			}
			for _, c := range all {
				var o output
				for _, x := range c.Logits {
					o.Floats = append(o.Floats, len(x))
				}
				resp.Captions, resp.Outputs, data = append(resp.Captions, c.Caption), append(resp.Outputs, o), append(data, c.Logits...)
			}
			if err := send(out, resp, data...); err != nil {
				return err
			}
			continue
		}
		f := m.Func(q.Func)
		if f == nil {
			if err := send(out, response{Error: fmt.Sprintf("%s has no function %q", p.Name, q.Func)}); err != nil {
				return err
			}
			continue
		}
		r, err := s.Run(f, batch)
		if err != nil {
			if err := send(out, response{Error: err.Error()}); err != nil {
				return err
			}
			continue
		}
		var resp response
		var data [][]float32
		for i, o := range f.Outputs {
			d := output{Name: o.Name, Cols: o.Cols}
			for j := range r.Len() {
				x := r.Out(i, j)
				d.Floats = append(d.Floats, len(x))
				data = append(data, x)
			}
			resp.Outputs = append(resp.Outputs, d)
		}
		if err := send(out, resp, data...); err != nil {
			return err
		}
	}
}

func send(w *bufio.Writer, head any, data ...[]float32) error {
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	var word [4]byte
	binary.LittleEndian.PutUint32(word[:], uint32(len(text)))
	w.Write(word[:]) // a bufio.Writer keeps its first error until Flush
	w.Write(text)
	for _, d := range data {
		for _, v := range d {
			binary.LittleEndian.PutUint32(word[:], math.Float32bits(v))
			w.Write(word[:])
		}
	}
	return w.Flush()
}

func receive(r *bufio.Reader, head any) error {
	var word [4]byte
	if _, err := io.ReadFull(r, word[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(word[:])
	if n > maxJSON {
		return fmt.Errorf("a message of %d bytes, at most %d are allowed", n, maxJSON)
	}
	// What a message says of its size is believed as the bytes come.
	text, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(text) < int(n) {
		return fmt.Errorf("a message of %d bytes ends after %d: %w", n, len(text), io.ErrUnexpectedEOF)
	}
	if err := json.Unmarshal(text, head); err != nil {
		return fmt.Errorf("a message of %d bytes: %w", n, err)
	}
	return nil
}

func receiveFloats(r *bufio.Reader, n int) ([]float32, error) {
	if n < 0 || n > maxFloats {
		return nil, fmt.Errorf("a tensor of %d values, at most %d are allowed", n, maxFloats)
	}
	out := make([]float32, 0, min(n, 1<<16))
	var word [4]byte
	for len(out) < n {
		if _, err := io.ReadFull(r, word[:]); err != nil {
			return nil, fmt.Errorf("a tensor of %d values ends after %d: %w", n, len(out), io.ErrUnexpectedEOF)
		}
		out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(word[:])))
	}
	return out, nil
}

// Client is a running process. One goroutine at a time.
type Client struct {
	Level  string // the level the process runs at
	cmd    *exec.Cmd
	in     io.WriteCloser
	w      *bufio.Writer
	r      *bufio.Reader
	stderr strings.Builder
}

// Dial starts a program, whose main is Main, at a level ("" = the best this CPU has)
// with a weight file. command is its path, after those of a program to run it with and
// its arguments, if there is one.
func Dial(command []string, level, weights string) (*Client, error) {
	args := append(command[1:len(command):len(command)], level, weights)
	c := &Client{cmd: exec.Command(command[0], args...)}
	c.cmd.Stderr = &c.stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := interrupt.Start(c.cmd); err != nil {
		return nil, err
	}
	c.w, c.r = bufio.NewWriter(c.in), bufio.NewReaderSize(out, 1<<16)
	var hello response
	if err := receive(c.r, &hello); err != nil {
		return nil, c.failed(err)
	}
	c.Level = hello.Level
	return c, nil
}

// failed ends the process and returns what it said, or else err.
func (c *Client) failed(err error) error {
	c.in.Close()
	werr := interrupt.Wait(c.cmd)
	if s := strings.TrimSpace(c.stderr.String()); s != "" {
		return errors.New(s)
	}
	if werr != nil {
		return fmt.Errorf("the compiled program ended: %w", werr)
	}
	return err
}

// Run calls a function on a batch.
func (c *Client) Run(fn string, batch []rt.Seq) ([]Output, error) {
	q := request{Func: fn}
	var data [][]float32
	for _, s := range batch {
		q.Seqs = append(q.Seqs, seq{len(s.Image), s.IDs})
		if len(s.Image) > 0 {
			data = append(data, s.Image)
		}
	}
	if err := send(c.w, q, data...); err != nil {
		return nil, c.failed(err)
	}
	var resp response
	if err := receive(c.r, &resp); err != nil {
		return nil, c.failed(err)
	}
	if resp.Error != "" {
		return nil, errors.New(resp.Error)
	}
	var outs []Output
	for _, o := range resp.Outputs {
		out := Output{Name: o.Name, Cols: o.Cols}
		for _, n := range o.Floats {
			x, err := receiveFloats(c.r, n)
			if err != nil {
				return nil, c.failed(err)
			}
			out.Seqs = append(out.Seqs, x)
		}
		outs = append(outs, out)
	}
	return outs, nil
}

// PID returns the number of the process, to look at it from outside.
func (c *Client) PID() int { return c.cmd.Process.Pid }

// Close ends the process.
func (c *Client) Close() error {
	c.in.Close()
	return interrupt.Wait(c.cmd)
}
