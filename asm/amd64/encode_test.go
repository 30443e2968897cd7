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

// encodings lists the bytes that this package encodes its instructions as, with the text in GNU syntax: every register as each
// operand, and as all three.
func encodings() []byte {
	var b bytes.Buffer
	for _, gnu := range []struct {
		opcode, text, reg string
		regs              byte
	}{
		{"VDPBF16PS", "vdpbf16ps", "zmm", 32},
		{"VPDPBUSD_VEX", "{vex} vpdpbusd", "ymm", 16},
	} {
		add := func(x, y, acc byte) {
			fmt.Fprintf(&b, "%x %s %%%[3]s%[4]d,%%%[3]s%[5]d,%%%[3]s%[6]d\n", encoded[gnu.opcode].bytes(x, y, acc), gnu.text, gnu.reg, x, y, acc)
		}
		for r := range gnu.regs {
			add(r, 0, 0)
			add(0, r, 0)
			add(0, 0, r)
			add(r, r, r)
			add(gnu.regs-1-r, (r*11+7)%gnu.regs, r)
		}
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
var listed = regexp.MustCompile(`(?m)^ *\d+ [0-9a-f]{4} ([0-9A-F]+)[ \t]*((?:vdp|\{vex\} ).*)\n(?: *\d+ {6}([0-9A-F]+)\n)?`)

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
		asmtest.Missing(t, "as", fmt.Sprintf("as does not know all instructions: %v: %.100q", err, out))
	}
	var b bytes.Buffer
	for _, m := range listed.FindAllStringSubmatch(string(out), -1) {
		fmt.Fprintf(&b, "%s %s\n", strings.ToLower(m[1]+m[3]), m[2])
	}
	return b.Bytes()
}

// spelt matches an instruction in a kernel: its bytes, and its text in a comment.
var spelt = regexp.MustCompile(`LONG\s+\$0x(..)(..)(..)(..); (?:BYTE|WORD) \$0x(..)(..)? // (\w+) [YZ](\d+), [YZ](\d+), [YZ](\d+)\n`)

// TestEncodedKernels checks that the bytes in kernels encode the instruction in the comment beside them, and that all were
// written.
func TestEncodedKernels(t *testing.T) {
	for _, c := range []struct {
		family string
		level  asm.ISA
		opcode string
		count  int // of a row of the tile
	}{
		{"gemm_bf16dot", asm.AVX512BF16, "VDPBF16PS", 4 * 3}, // a step before the loop, two in it, one after it
		{"gemm_i8", asm.AVXVNNI, "VPDPBUSD_VEX", 2 * 2},      // a step that prefetches C, and one that does not
	} {
		for _, k := range asm.Find(c.family, c.level) {
			file, _, err := Emit("p", []asm.Kernel{k})
			if err != nil {
				t.Fatal(err)
			}
			e := encoded[c.opcode]
			all := spelt.FindAllStringSubmatch(string(file), -1)
			if want := c.count * k.MR; len(all) != want {
				t.Errorf("%s: %d products, want %d", k.Name(), len(all), want)
			}
			for _, m := range all {
				var n [3]byte
				for i := range n {
					fmt.Sscan(m[8+i], &n[i])
				}
				if got, want := m[4]+m[3]+m[2]+m[1]+m[6]+m[5], fmt.Sprintf("%x", e.bytes(n[0], n[1], n[2])); got != want || m[7] != e.text {
					t.Errorf("%s: %s %s for registers %v, want %s %s", k.Name(), m[7], got, n, e.text, want)
				}
				if n[0] == n[2] || n[1] == n[2] || n[0] == n[1] {
					t.Errorf("%s: registers %v are not apart", k.Name(), n)
				}
			}
		}
	}
}
