package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// Writing the seeded tensors of encode_t1 gives the bytes of its weight files,
// which another program wrote; reading the files gives the tensors.
func TestSafetensorsGolden(t *testing.T) {
	gen := goldenSeeded(t, "encode_t1")
	for _, c := range []struct {
		file string
		as   DType
	}{{"model.safetensors", F32}, {"model.bf16.safetensors", BF16}, {"model.f16.safetensors", F16}} {
		t.Run(c.file, func(t *testing.T) {
			path := filepath.Join(testdata, "encode_t1", c.file)
			want := asmtest.Read(t, path)
			src, err := OpenFile(path)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			round, err := Rounded(gen, c.as)
			if err != nil {
				t.Fatal(err)
			}
			sameTensors(t, round, src)
			var tensors []Tensor
			for _, x := range gen.Tensors() {
				f, err := Load(gen, x.Name)
				if err != nil {
					t.Fatal(err)
				}
				tensors = append(tensors, Tensor{Name: x.Name, DType: c.as, Shape: x.Shape, Floats: f})
			}
			var got bytes.Buffer
			if err := WriteSafetensors(&got, tensors, map[string]string{"format": "pt"}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("the written file differs from %s: %d bytes, want %d", path, got.Len(), len(want))
			}
		})
	}
}

// sameTensors checks that two sources have the same tensors, bit for bit.
func sameTensors(t *testing.T, want, got Source) {
	t.Helper()
	if diff := cmp.Diff(want.Tensors(), got.Tensors()); diff != "" {
		t.Fatalf("tensors (-want +got):\n%s", diff)
	}
	for _, x := range want.Tensors() {
		w, err1 := Load(want, x.Name)
		g, err2 := Load(got, x.Name)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		for i := range w {
			if math.Float32bits(w[i]) != math.Float32bits(g[i]) {
				t.Fatalf("%s: element %d is %v, want %v", x.Name, i, g[i], w[i])
			}
		}
	}
}

func sampleTensors() []Tensor {
	return []Tensor{
		{Name: "f", DType: F32, Shape: []int{2, 3}, Floats: []float32{1, -2, 3.5, 0, 1e-30, 7}},
		{Name: "h", DType: F16, Shape: []int{3}, Floats: []float32{1, -2, 65504}},
		{Name: "b", DType: BF16, Shape: []int{1, 2}, Floats: []float32{1, -0.5}},
		{Name: "l", DType: I64, Shape: []int{2}, Ints: []int64{-1, 1 << 40}},
		{Name: "i", DType: I32, Shape: []int{2}, Ints: []int64{-1, 1 << 30}},
		{Name: "u", DType: U8, Shape: []int{2}, Ints: []int64{0, 255}},
		{Name: "o", DType: Bool, Shape: []int{2}, Ints: []int64{0, 1}},
		{Name: "scalar \"é\"", DType: F32, Floats: []float32{2.5}},
		{Name: "none", DType: F32, Shape: []int{0, 4}},
	}
}

func sampleFile(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSafetensors(&b, sampleTensors(), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSafetensorsRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteSafetensorsFile(path, sampleTensors(), nil); err != nil {
		t.Fatal(err)
	}
	src, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	mem, err := Memory("memory", sampleTensors())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mem.Tensors(), src.Tensors(), cmp.Comparer(func(a, b []int) bool { return fmt.Sprint(a) == fmt.Sprint(b) })); diff != "" {
		t.Errorf("tensors (-memory +file):\n%s", diff)
	}
	for _, want := range sampleTensors() {
		for _, s := range []Source{src, mem} {
			if want.DType.Float() {
				got, err := Load(s, want.Name)
				if diff := cmp.Diff(append([]float32{}, want.Floats...), got); err != nil || diff != "" {
					t.Errorf("%s %s: %v (-want +got):\n%s", s, want.Name, err, diff)
				}
				continue
			}
			got, err := LoadInts(s, want.Name)
			if diff := cmp.Diff(want.Ints, got); err != nil || diff != "" {
				t.Errorf("%s %s: %v (-want +got):\n%s", s, want.Name, err, diff)
			}
		}
	}
	rows, err := LoadRows(src, "f", 1, 1)
	if diff := cmp.Diff([]float32{0, 1e-30, 7}, rows); err != nil || diff != "" {
		t.Errorf("rows: %v (-want +got):\n%s", err, diff)
	}
	small, err := Load(src, "u")
	if diff := cmp.Diff([]float32{0, 255}, small); err != nil || diff != "" {
		t.Errorf("bytes as floats: %v (-want +got):\n%s", err, diff)
	}
	_, err = LoadRows(src, "f", 1, 2)
	asmtest.ErrorSays(t, err, `"f" is f32[2,3]`, "no 2 rows from row 1")
	_, err = LoadRows(src, "f", math.MaxInt, 1)
	asmtest.ErrorSays(t, err, "no 1 rows from row")
	_, err = LoadRows(src, "f", -1, 1)
	asmtest.ErrorSays(t, err, "from row -1")
	_, err = Load(src, "l")
	asmtest.ErrorSays(t, err, path, `"l"`, "[1]", "1099511627776 does not fit float32")
	_, err = LoadInts(src, "f")
	asmtest.ErrorSays(t, err, "want integers")
	_, err = Load(src, "g")
	asmtest.ErrorSays(t, err, path, `"g" is missing`)
	asmtest.ErrorSays(t, src.Read("f", 5, make([]byte, 8)), "no 8 bytes from element 5")
}

// A copy of a source has the bytes that its tensors give.
func TestCopySafetensors(t *testing.T) {
	metadata := map[string]string{"format": "pt"}
	var want, got bytes.Buffer
	if err := WriteSafetensors(&want, sampleTensors(), metadata); err != nil {
		t.Fatal(err)
	}
	src, err := Memory("memory", sampleTensors())
	if err != nil {
		t.Fatal(err)
	}
	if err := CopySafetensors(&got, src, metadata); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%v: the copy has %d bytes, want %d", err, got.Len(), want.Len())
	}
	unread := &safetensors{}
	unread.name = "unread"
	if err := unread.add(Info{Name: "x", DType: "i8", Problem: "its type I8 is not supported"}, 0); err != nil {
		t.Fatal(err)
	}
	asmtest.ErrorSays(t, CopySafetensors(&got, unread, nil), "unread", `"x" cannot be read: its type I8 is not supported`)
}

func TestWriteErrors(t *testing.T) {
	for _, c := range []struct {
		name, want string
		t          []Tensor
	}{
		{"too large for f16", "element [1] is 70000, which does not fit f16", []Tensor{{Name: "x", DType: F16, Shape: []int{2}, Floats: []float32{1, 70000}}}},
		{"too large for bf16", "does not fit bf16", []Tensor{{Name: "x", DType: BF16, Shape: []int{1}, Floats: []float32{math.MaxFloat32}}}},
		{"too large for u8", "256, which does not fit u8", []Tensor{{Name: "x", DType: U8, Shape: []int{1}, Ints: []int64{256}}}},
		{"too large for i32", "does not fit i32", []Tensor{{Name: "x", DType: I32, Shape: []int{1}, Ints: []int64{1 << 31}}}},
		{"no bool", "does not fit bool", []Tensor{{Name: "x", DType: Bool, Shape: []int{1}, Ints: []int64{2}}}},
		{"twice", "the name is taken", []Tensor{{Name: "x", DType: F32, Floats: []float32{1}}, {Name: "x", DType: F32, Floats: []float32{1}}}},
		{"short", "needs 6 elements", []Tensor{{Name: "x", DType: F32, Shape: []int{2, 3}, Floats: []float32{1}}}},
		{"unknown type", `type "i8" cannot be written`, []Tensor{{Name: "x", DType: "i8"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.safetensors")
			err := WriteSafetensorsFile(path, c.t, nil)
			asmtest.ErrorSays(t, err, path, `"x"`, c.want)
			if _, err := os.Stat(path); err == nil {
				t.Error("a file was left behind")
			}
		})
	}
}

func TestNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, d := range []DType{F32, F16, BF16} {
			src, err := Memory("model", []Tensor{{Name: "w", DType: d, Shape: []int{2, 2}, Floats: []float32{0, 1, float32(v), 3}}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Load(src, "w")
			asmtest.ErrorSays(t, err, "model", `"w"`, "element [1,0] is "+fmt.Sprint(float32(v)))
			_, err = LoadRows(src, "w", 1, 1)
			asmtest.ErrorSays(t, err, "element [1,0]")
			if _, err = LoadRows(src, "w", 0, 1); err != nil {
				t.Errorf("rows without it: %v", err)
			}
			if got, err := LoadAny(src, "w"); err != nil || len(got) != 4 {
				t.Errorf("LoadAny: %v, %v", got, err)
			}
		}
	}
}

// header makes a safetensors file of a JSON header and n bytes of data.
func header(text string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(b, text...), make([]byte, n)...)
}

func TestSafetensorsErrors(t *testing.T) {
	good := sampleFile(t)
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"short", "want at least 8", []byte("abc")},
		{"huge header", "header would be 18446744073709551615 bytes", bytes.Repeat([]byte{255}, 64)},
		{"cut header", "truncated: the safetensors header needs", good[:40]},
		{"cut data", "truncated: its tensors need", good[:len(good)-1]},
		{"more data", "corrupt: 1 bytes follow the last tensor", append(bytes.Clone(good), 0)},
		{"empty header", "does not start with {", header("", 0)},
		{"no object", "does not start with {", header("[1]", 0)},
		{"open object", "not closed", header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`, 4)},
		{"two objects", "after the closing }", header(`{}{}`, 0)},
		{"twice", `tensor "a" is there twice`, header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8)},
		{"twice, escaped", `tensor "a" is there twice`, header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8)},
		{"field twice", `shape is there twice`, header(`{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}`, 4)},
		{"only an unknown field", `tensor "a": dtype is missing`, header(`{"a":{"color":{"of":[1,null]}}}`, 0)},
		{"deep unknown field", `nested brackets`, header(`{"a":{"color":`+strings.Repeat("[", 2000)+strings.Repeat("]", 2000)+`}}`, 0)},
		{"only blanks", "does not start with {", header(" \n ", 0)},
		{"byte order mark", "does not start with {", header("\ufeff{}", 0)},
		{"no shape", `tensor "a": shape is missing`, header(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4)},
		{"size", "F32[2] needs 8 bytes, data_offsets [0 4] hold 4", header(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4)},
		{"size of f64", "F64[1] needs 8 bytes", header(`{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,4]}}`, 4)},
		{"overlap", `"a" and "b" overlap`, header(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12)},
		{"gap", `4 bytes before tensor "b" belong to no tensor`, header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12)},
		{"negative shape", "want an integer of at least 0", header(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4)},
		{"fraction", "want an integer of at least 0", header(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4)},
		{"text in shape", "want an integer of at least 0", header(`{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}`, 4)},
		{"overflow", "too large", header(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0)},
		{"many axes", "more than 32 numbers", header(`{"a":{"dtype":"F32","shape":[`+strings.Repeat("1,", 40)+`1],"data_offsets":[0,4]}}`, 4)},
		{"offsets backwards", "want [begin, end]", header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4)},
		{"three offsets", "more than 2 numbers", header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 8)},
		{"offset beyond", "truncated", header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775803,9223372036854775807]}}`, 4)},
		{"metadata", "__metadata__", header(`{"__metadata__":[1]}`, 0)},
		{"long name", "a name has 5000 bytes", header(`{"`+strings.Repeat("x", 5000)+`":1}`, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Safetensors(bytes.NewReader(c.data), int64(len(c.data)), "m.safetensors")
			asmtest.ErrorSays(t, err, "m.safetensors: ", c.want)
		})
	}
}

func TestSafetensorsOtherTypes(t *testing.T) {
	data := header(" \n\t"+`{"__metadata__":null,"a":{"dtype":"I16","shape":[4],"x":[{}],"x":1,"data_offsets":[0,8]},"b":{"dtype":"F6_E3M2","shape":[4],"data_offsets":[8,11]},"c":{"dtype":"U8","shape":[1],"data_offsets":[11,12]}}`, 12)
	src, err := Safetensors(bytes.NewReader(data), int64(len(data)), "m")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(src, "a")
	asmtest.ErrorSays(t, err, `m: tensor "a" cannot be read: its type I16 is not supported`)
	_, err = Load(src, "b")
	asmtest.ErrorSays(t, err, `F6_E3M2 is not supported`)
	asmtest.ErrorSays(t, src.Read("a", 0, make([]byte, 8)), "cannot be read")
	if _, err := Load(src, "c"); err != nil {
		t.Error(err)
	}
}

// A file that shrinks while it is open is an error, not zeros.
func TestShrunkFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteSafetensorsFile(path, sampleTensors(), nil); err != nil {
		t.Fatal(err)
	}
	src, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	_, err = Load(src, "f")
	asmtest.ErrorSays(t, err, path, `tensor "f"`, "unexpected EOF")
}

// Opening must not read the tensors: it stays cheap for a large file.
func TestOpenReadsNoTensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.safetensors")
	const n = 1 << 27
	asmtest.Write(t, path, header(fmt.Sprintf(`{"w":{"dtype":"F32","shape":[%d,4],"data_offsets":[0,%d]}}`, n/16, n), 0))
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, st.Size()+n); err != nil { // a hole: no disk is used
		asmtest.Missing(t, "holes", err.Error())
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	src, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	rows, err := LoadRows(src, "w", n/16-2, 2)
	if diff := cmp.Diff(make([]float32, 8), rows); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("opening and reading 32 bytes allocated %d bytes", used)
	}
}

func FuzzSafetensors(f *testing.F) {
	good := sampleFile(f)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4))
	f.Add(header(`{"a":{"dtype":"F64","shape":[0,9],"data_offsets":[0,0]},"__metadata__":{"a":"b"}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		src, err := Safetensors(bytes.NewReader(data), int64(len(data)), "fuzz")
		if err != nil {
			return
		}
		loadAll(t, src, len(data))
	})
}

// loadAll loads every tensor; together they are no larger than the data
// allows.
func loadAll(t *testing.T, src Source, size int) {
	for _, x := range src.Tensors() {
		f, err := LoadAny(src, x.Name)
		if err != nil {
			continue
		}
		if len(f) != x.Len() || len(f) > size {
			t.Fatalf("%s %v: %d elements of %d bytes", x.Name, x, len(f), size)
		}
	}
}
