package engineproc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/rttest"
)

// The test binary is the program that Dial starts when it is given these arguments.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Getenv("PIPE_TEST") == "serve" {
		Main(rttest.Package())
		return
	}
	os.Exit(m.Run())
}

// weights writes the weight file of rttest's package.
func weights(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weights.bin")
	asmtest.Write(t, path, rttest.Weights())
	return path
}

func dial(t *testing.T, level, weights string) (*Client, error) {
	t.Setenv("PIPE_TEST", "serve")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Dial([]string{exe}, level, weights)
}

func TestClient(t *testing.T) {
	c, err := dial(t, "", weights(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Level != "generic" {
		t.Errorf("level %q, want generic", c.Level)
	}
	pic := func(x float32) []float32 {
		p := make([]float32, rttest.Image)
		p[3] = x
		return p
	}
	for range 2 {
		got, err := c.Run("pair", []rt.Seq{{Image: pic(1.5), IDs: []int32{1, 2}}, {Image: pic(math.MaxFloat32), IDs: []int32{99}}})
		want := []Output{{Name: "sums", Cols: 2, Seqs: [][]float32{{1.5, 3}, {math.MaxFloat32, 99}}}}
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v (-want +got)\n%s", err, d)
		}
		if got, err = c.Run("text", nil); err != nil || len(got) != 1 || len(got[0].Seqs) != 0 {
			t.Errorf("an empty batch: %v, %v", got, err)
		}
		// A refused call is not the end.
		for _, row := range []struct {
			fn   string
			seqs []rt.Seq
			want string
		}{
			{"none", nil, `fake has no function "none"`},
			{"text", []rt.Seq{{IDs: []int32{100}}}, "outside the vocabulary of 100"},
			{"image", []rt.Seq{{Image: []float32{1}}}, "image: 1 values, want 12"},
			{"text", []rt.Seq{{}}, "the text is empty"},
			{"pair", []rt.Seq{{Image: pic(float32(math.Inf(1))), IDs: []int32{1}}}, "not all numbers are finite"},
		} {
			if _, err := c.Run(row.fn, row.seqs); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: got error %v, want one with %q", row.fn, err, row.want)
			}
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Run("text", nil); err == nil {
		t.Error("a program that has ended answers")
	}
}

// What the program says when it cannot start is what the caller gets.
func TestDialErrors(t *testing.T) {
	good := weights(t)
	bad := filepath.Join(t.TempDir(), "weights.bin")
	asmtest.Write(t, bad, "not weights")
	if _, err := dial(t, "warp9", good); err == nil || !strings.Contains(err.Error(), `unknown level "warp9"`) {
		t.Errorf("a level: got error %v", err)
	}
	if _, err := dial(t, "", bad); err == nil || !strings.Contains(err.Error(), "weights.bin") {
		t.Errorf("other weights: got error %v", err)
	}
	if _, err := Dial([]string{filepath.Join(t.TempDir(), "none")}, "", good); err == nil {
		t.Error("a program that is not there was started")
	}
	// A program that says nothing of a package.
	t.Setenv("PIPE_TEST", "")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dial([]string{exe}, "-test.run=^$", good); err == nil {
		t.Error("a program of another kind is taken for a package")
	}
}

// message frames JSON as the protocol does.
func message(text string, floats ...float32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	b = append(b, text...)
	for _, x := range floats {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// talk gives bytes to a server and returns the number of its answers and its end.
func talk(t testing.TB, weights string, in []byte) (answers int, end error) {
	var out bytes.Buffer
	end = serve(rttest.Package(), []string{"", weights}, bufio.NewReader(bytes.NewReader(in)), bufio.NewWriter(&out))
	r := bufio.NewReader(&out)
	for {
		var resp response
		if err := receive(r, &resp); err == io.EOF {
			return answers, end
		} else if err != nil {
			t.Fatalf("answer %d: %v", answers, err)
		}
		for _, o := range resp.Outputs {
			for _, n := range o.Floats {
				if _, err := receiveFloats(r, n); err != nil {
					t.Fatalf("answer %d: %v", answers, err)
				}
			}
		}
		answers++
	}
}

func TestHostileMessages(t *testing.T) {
	w := weights(t)
	for _, row := range []struct {
		name    string
		in      []byte
		answers int    // the greeting is the first
		end     string // part of the error; "" = a good end
	}{
		{"nothing", nil, 1, ""},
		{"a call", message(`{"func":"text","seqs":[{"ids":[1,2]}]}`), 2, ""},
		{"unknown fields", message(`{"func":"text","seqs":[{"ids":[1]}],"more":1}`), 2, ""},
		{"half a length", []byte{1, 2}, 1, "unexpected EOF"},
		{"a length alone", []byte{9, 0, 0, 0}, 1, "a message of 9 bytes ends after 0: unexpected EOF"},
		{"a cut-off message", message(`{"func":"text"}`)[:10], 1, "ends after 6"},
		{"a message of 4 GB", []byte{255, 255, 255, 255, '{'}, 1, "a message of 4294967295 bytes, at most"},
		{"no JSON", message("hello"), 1, "a message of 5 bytes: invalid character"},
		{"another type", message(`{"func":7}`), 1, "cannot unmarshal number"},
		{"a picture of 4 GB", message(`{"func":"image","seqs":[{"image":1073741824}]}`, 1, 2), 1, "picture 0: a tensor of 1073741824 values ends after 2"},
		{"a picture that is too large", message(`{"func":"image","seqs":[{"image":2147483647}]}`), 1, "at most 1073741824 are allowed"},
		{"a negative picture", message(`{"func":"image","seqs":[{"image":-1}]}`), 1, "a tensor of -1 values"},
		{"an id that is no int32", message(`{"func":"text","seqs":[{"ids":[4294967296]}]}`), 1, "cannot unmarshal"},
		{"a negative id", message(`{"func":"text","seqs":[{"ids":[-1]}]}`), 2, ""},
		{"a nameless function", message(`{}`), 2, ""},
		{"null", message(`null`), 2, ""},
	} {
		t.Run(strings.ReplaceAll(row.name, " ", "-"), func(t *testing.T) {
			answers, end := talk(t, w, row.in)
			if answers != row.answers || (end == nil) != (row.end == "") || end != nil && !strings.Contains(end.Error(), row.end) {
				t.Errorf("%d answers, then %v; want %d, then %q", answers, end, row.answers, row.end)
			}
		})
	}
}

func TestServeUsage(t *testing.T) {
	err := serve(rttest.Package(), []string{"avx2"}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "usage: LEVEL WEIGHTS") {
		t.Errorf("got error %v", err)
	}
}

func FuzzServe(f *testing.F) {
	w := weights(f)
	f.Add(message(`{"func":"text","seqs":[{"ids":[1,2]}]}`))
	f.Add(message(`{"func":"image","seqs":[{"image":2}]}`, 1, 2))
	f.Add([]byte{9, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1<<12 {
			return
		}
		if answers, _ := talk(t, w, in); answers < 1 {
			t.Error("no greeting")
		}
	})
}
