package amd64

import (
	"bytes"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
)

var update = flag.Bool("update", false, "make testdata/encodings.txt again")

const encodingsFile = "testdata/encodings.txt"

// encodings lists the bytes that this package encodes VDPBF16PS as, with the text in GNU syntax: every register as each operand,
// and as all three.
func encodings() []byte {
	var b bytes.Buffer
	add := func(x, y, acc byte) {
		fmt.Fprintf(&b, "%x vdpbf16ps %%zmm%d,%%zmm%d,%%zmm%d\n", evexDot(x, y, acc), x, y, acc)
	}
	for r := range byte(32) {
		add(r, 0, 0)
		add(0, r, 0)
		add(0, 0, r)
		add(r, r, r)
		add(31-r, (r*11+7)%32, r)
	}
	return b.Bytes()
}

// TestEncodings compares the list with the committed one, which GNU as made of the same texts, and with the output of GNU as if
// the machine has it.
func TestEncodings(t *testing.T) {
	have := encodings()
	if *update {
		asmtest.Write(t, encodingsFile, assembled(t, have))
	}
	want := asmtest.Read(t, encodingsFile)
	if !bytes.Equal(have, want) {
		t.Errorf("%s says otherwise than this package:\n%s", encodingsFile, have)
	}
	t.Run("assembler", func(t *testing.T) {
		if _, err := exec.LookPath("as"); err != nil {
			asmtest.Missing(t, "as", "as is not installed")
		}
		if !bytes.Equal(assembled(t, have), want) {
			t.Errorf("%s is not what the assembler makes: run go test ./asm/amd64 -run Encodings -update", encodingsFile)
		}
	})
}

// listed matches a line of the assembler's listing.
var listed = regexp.MustCompile(`(?m)^ *\d+ [0-9a-f]{4} ([0-9A-F]+)[ \t]*(vdp.*)\n(?: *\d+ {6}([0-9A-F]+)\n)?`)

// assembled assembles the texts of a list with GNU as and returns the list with the bytes.
func assembled(t *testing.T, list []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "a.s")
	var text strings.Builder
	for line := range strings.Lines(string(list)) {
		_, instruction, _ := strings.Cut(line, " ")
		text.WriteString(instruction)
	}
	asmtest.Write(t, source, text.String())
	out, err := exec.Command("as", "--64", "-aln", "-o", filepath.Join(dir, "a.o"), source).CombinedOutput()
	if err != nil {
		asmtest.Missing(t, "as", fmt.Sprintf("as does not know VDPBF16PS: %v: %.100q", err, out))
	}
	var b bytes.Buffer
	for _, m := range listed.FindAllStringSubmatch(string(out), -1) {
		fmt.Fprintf(&b, "%s %s\n", strings.ToLower(m[1]+m[3]), m[2])
	}
	return b.Bytes()
}

// spelt matches the instruction in a kernel: its bytes, and its text in a comment.
var spelt = regexp.MustCompile(`LONG\s+\$0x(..)(..)(..)(..); WORD \$0x(..)(..) // VDPBF16PS Z(\d+), Z(\d+), Z(\d+)\n`)

// TestEncodedKernels checks that the bytes in kernels encode the instruction in the comment beside them, and that all were
// written.
func TestEncodedKernels(t *testing.T) {
	for _, k := range asm.Find("gemm_bf16dot", asm.AVX512BF16) {
		file, _, err := Emit("p", []asm.Kernel{k})
		if err != nil {
			t.Fatal(err)
		}
		all := spelt.FindAllStringSubmatch(string(file), -1)
		if want := 4 * 3 * k.MR; len(all) != want { // a step before the loop, two in it, one after it
			t.Errorf("%s: %d products, want %d", k.Name(), len(all), want)
		}
		for _, m := range all {
			var z [3]byte
			for i := range z {
				fmt.Sscan(m[7+i], &z[i])
			}
			if got, want := m[4]+m[3]+m[2]+m[1]+m[6]+m[5], fmt.Sprintf("%x", evexDot(z[0], z[1], z[2])); got != want {
				t.Errorf("%s: %s for registers %v, want %s", k.Name(), got, z, want)
			}
			if z[0] == z[2] || z[1] == z[2] || z[0] == z[1] {
				t.Errorf("%s: registers %v are not apart", k.Name(), z)
			}
		}
	}
}
