package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

var blobTensors = []Tensor{
	{"@l0.fc1.w", F32, []int{3, 5}, 0, 5 * 16 * 4},
	{"@l0.fc1.b", F32, []int{3}, 320, 64},
	{"@ids", I32, nil, 4096, 4},
	{"@half", BF16, []int{2, 1, 3}, 4160, 12},
}

// tensorByte is byte i of tensor n in test files.
func tensorByte(n, i int) byte { return byte(n*31 + i*7 + 1) }

func writeTestBlob(t testing.TB, tensors []Tensor) []byte {
	t.Helper()
	var w asmtest.Buffer
	err := Write(&w, PackingPanels16, tensors, func(n int, w io.Writer) error {
		for i := range int(tensors[n].Bytes) {
			if _, err := w.Write([]byte{tensorByte(n, i)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return w.Data
}

func checkBlob(t *testing.T, b *Blob) {
	t.Helper()
	if diff := cmp.Diff(blobTensors, b.Tensors); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if b.Layout != LayoutHash(blobTensors) {
		t.Error("the layout hash differs")
	}
	for n, x := range blobTensors {
		data := b.Data(n)
		if len(data) != int(x.Bytes) {
			t.Fatalf("tensor %d has %d bytes, want %d", n, len(data), x.Bytes)
		}
		for i, v := range data {
			if v != tensorByte(n, i) {
				t.Fatalf("tensor %d byte %d: %d, want %d", n, i, v, tensorByte(n, i))
			}
		}
	}
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
}

func TestBlobRoundTrip(t *testing.T) {
	data := writeTestBlob(t, blobTensors)
	if !bytes.Equal(data, writeTestBlob(t, blobTensors)) {
		t.Error("writing twice gives different bytes")
	}
	b, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	checkBlob(t, b)

	path := filepath.Join(t.TempDir(), "weights.bin")
	asmtest.Write(t, path, data)
	b, err = Open(path)
	if err != nil {
		t.Fatal(err)
	}
	checkBlob(t, b)
	if b.Size() != 4224 || b.Source != path {
		t.Errorf("size %d, source %s", b.Size(), b.Source)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}

	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read, _, err := readFile(f, 0, len(data)) // as on systems without mappings
	if err != nil || !bytes.Equal(read, data) {
		t.Errorf("readFile: %v", err)
	}

	if b, err = Read(writeTestBlob(t, nil)); err != nil || b.Size() != 0 || b.Verify() != nil {
		t.Errorf("a file of no tensors: %v", err)
	}
}

func TestBlobMisaligned(t *testing.T) {
	data := writeTestBlob(t, blobTensors)
	room := make([]byte, len(data)+1)
	copy(room[1:], data)
	for _, in := range [][]byte{data, room[1:]} {
		b, err := Read(in)
		if err != nil {
			t.Fatal(err)
		}
		got := unsafe.Slice(b.Floats(), 1)[0]
		var want float32
		if err := binary.Read(bytes.NewReader(b.Data(0)), binary.LittleEndian, &want); err != nil || got != want {
			t.Errorf("first weight %g, want %g, %v", got, want, err)
		}
		checkBlob(t, b)
	}
}

// TestBlobCutOff opens every prefix of a file, from memory and from disk.
func TestBlobCutOff(t *testing.T) {
	data := writeTestBlob(t, blobTensors)
	path := filepath.Join(t.TempDir(), "weights.bin")
	for n := range data {
		_, err := Read(data[:n:n])
		if err == nil {
			t.Fatalf("%d of %d bytes: no error", n, len(data))
		}
		if n%97 == 0 || n < headerSize {
			asmtest.Write(t, path, data[:n])
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("%d bytes on disk: %v", n, err)
			}
		}
	}
	if _, err := Read(append(data[:len(data):len(data)], 0)); err == nil {
		t.Error("a byte too many: no error")
	}
}

// TestBlobFlipped changes every byte of header and table.
func TestBlobFlipped(t *testing.T) {
	data := writeTestBlob(t, blobTensors)
	table := headerSize + len(encodeTable(blobTensors))
	for i := range table {
		for _, bit := range []byte{1, 0x80} {
			data[i] ^= bit
			b, err := Read(data)
			switch {
			case i >= 64 && i < 96: // the payload's hash is checked on demand
				if err != nil {
					t.Errorf("byte %d: %v", i, err)
				} else if b.Verify() == nil {
					t.Errorf("byte %d: verified", i)
				}
			case i >= 8 && i < 12: // the package of the model checks the packing
				if err != nil || b.Packing == PackingPanels16 {
					t.Errorf("byte %d: %v", i, err)
				}
			case err == nil:
				t.Errorf("byte %d changed: no error", i)
			}
			data[i] ^= bit
		}
	}
	data[len(data)-64] ^= 1
	b, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Verify(); err == nil || !strings.Contains(err.Error(), "do not match their hash") {
		t.Errorf("changed payload: %v", err)
	}
}

func TestBlobErrors(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "x.bin")
	asmtest.Write(t, other, "this is a text file")
	for _, c := range []struct{ path, want string }{
		{filepath.Join(dir, "none"), "none"},
		{dir, "want a regular file"},
		{other, "not a multiway weight file"},
	} {
		if _, err := Open(c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
	}
}

func TestWriteBlobErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		tensors []Tensor
		want    string
	}{
		{"overlap", []Tensor{{"a", F32, []int{32}, 0, 128}, {"b", F32, nil, 64, 4}}, "before 128"},
		{"order", []Tensor{{"a", F32, nil, 64, 4}, {"b", F32, nil, 0, 128}}, "before 68"},
		{"grid", []Tensor{{"a", F32, nil, 4, 4}}, "multiple of 64"},
		{"negative", []Tensor{{"a", F32, nil, 0, -4}}, "outside"},
		{"small", []Tensor{{"a", F32, []int{2, 3}, 0, 20}}, "too few for f32[2 3]"},
		{"huge", []Tensor{{"a", F32, []int{math.MaxInt32, math.MaxInt32, math.MaxInt32}, 0, 64}}, "too large or negative"},
		{"shape", []Tensor{{"a", F32, []int{-1}, 0, 64}}, "too large or negative"},
		{"dims", []Tensor{{"a", F32, make([]int, 9), 0, 64}}, "9 dimensions"},
		{"dtype", []Tensor{{"a", 9, nil, 0, 64}}, "unknown dtype(9)"},
		{"name", []Tensor{{"", F32, nil, 0, 64}}, "name must be"},
		{"utf8", []Tensor{{"\xff", F32, nil, 0, 64}}, "name must be"},
		{"data", []Tensor{{"a", F32, nil, 0, 64}}, "got 3 bytes of data, want 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Write(&asmtest.Buffer{}, 1, c.tensors, func(_ int, w io.Writer) error {
				_, err := w.Write([]byte{1, 2, 3})
				return err
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	sick := errors.New("no such weight")
	err := Write(&asmtest.Buffer{}, 1, []Tensor{{"a", F32, nil, 0, 64}}, func(int, io.Writer) error { return sick })
	if !errors.Is(err, sick) {
		t.Errorf("got %v, want the error of the data", err)
	}
}

func TestAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "exe")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), 70_001), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAppended(path); !errors.Is(err, ErrNoWeights) {
		t.Fatalf("before: %v", err)
	}
	appendTo := func() error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return Append(f, bytes.NewReader(writeTestBlob(t, blobTensors)))
	}
	if err := appendTo(); err != nil {
		t.Fatal(err)
	}
	b, err := OpenAppended(path)
	if err != nil {
		t.Fatal(err)
	}
	checkBlob(t, b)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := appendTo(); err == nil || !strings.Contains(err.Error(), "already appended") {
		t.Errorf("appending twice: %v", err)
	}

	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, data []byte, want string) {
		asmtest.Write(t, path, data)
		if _, err := OpenAppended(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	end := len(whole) - trailerSize
	for i := range trailerSize {
		bad := bytes.Clone(whole)
		bad[end+i] ^= 0x40
		if i < 24 {
			try(fmt.Sprint("trailer byte ", i), bad, "trailer of the appended weights is corrupt")
		} else {
			try(fmt.Sprint("trailer byte ", i), bad, "no weights are appended")
		}
	}
	try("cut off", whole[:len(whole)-1], "no weights are appended")
	try("cut in front", whole[1:], "trailer")
	try("short", whole[:20], "no weights are appended")
	zeros := append(make([]byte, end), trailer(0, int64(end))...)
	try("zeros", zeros, "not a multiway weight file")
}

func FuzzReadBlob(f *testing.F) {
	data := writeTestBlob(f, blobTensors)
	f.Add(data)
	f.Add(data[:4200])
	f.Add(writeTestBlob(f, nil))
	f.Add([]byte("MWBLOB"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Read(data)
		if err != nil {
			return
		}
		for i := range b.Tensors {
			b.Data(i)
		}
		if err := checkTensors(b.Tensors, b.Size()); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(data[headerSize:headerSize+len(encodeTable(b.Tensors))], encodeTable(b.Tensors)) {
			t.Error("the table does not round-trip")
		}
	})
}

// FuzzTable reads tables with a valid hash, which random files do not have.
func FuzzTable(f *testing.F) {
	f.Add(encodeTable(blobTensors), 4, int64(4224))
	f.Add([]byte{}, 0, int64(0))
	f.Fuzz(func(t *testing.T, table []byte, count int, size int64) {
		if count < 0 || count*minEntry > len(table) || size < 0 {
			return // parseHeader refuses it
		}
		tensors, err := parseTable(table, header{count: count, size: size, layout: sha256.Sum256(table)})
		if err == nil && !bytes.Equal(encodeTable(tensors), table) {
			t.Error("the table does not round-trip")
		}
	})
}

// pieces records where the pieces lie that a file is written in.
type pieces struct {
	asmtest.Buffer
	at  int64
	all []int64 // start and length of each
}

func (p *pieces) Seek(offset int64, whence int) (int64, error) {
	at, err := p.Buffer.Seek(offset, whence)
	p.at = at
	return at, err
}

func (p *pieces) Write(b []byte) (int, error) {
	p.all = append(p.all, p.at, int64(len(b)))
	p.at += int64(len(b))
	return p.Buffer.Write(b)
}

// The system caches a file in huge pages where whole ones are written at once.
func TestWriteHugePages(t *testing.T) {
	const size = 2*hugePage + hugePage/2
	var w pieces
	err := Write(&w, PackingPanels16, []Tensor{{"@w", F32, []int{size / 4}, 0, size}}, func(_ int, w io.Writer) error {
		for _, n := range []int{1000, hugePage + 24, size - hugePage - 1024} { // smaller and larger than a page
			if _, err := w.Write(make([]byte, n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []int64{4096, hugePage - 4096, hugePage, hugePage, 2 * hugePage, hugePage/2 + 4096, 0, 4096}
	if diff := cmp.Diff(want, w.all); diff != "" {
		t.Errorf("start and length of writes (-want +got):\n%s", diff)
	}
}
