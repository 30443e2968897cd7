package arm64

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

var update = flag.Bool("update", false, "make testdata/encodings.txt and THROUGHPUT.md again")

const encodingsFile = "testdata/encodings.txt"

// samples returns the instruction with every operand at its bounds, one at a time and all together.
func samples(i inst) [][]int {
	middle := make([]int, len(i.ops))
	low, high := slices.Clone(middle), slices.Clone(middle)
	for n, o := range i.ops {
		low[n], high[n] = o.bounds()
		middle[n] = (low[n]/o.scale + (high[n]-low[n])/o.scale*(n+2)/(len(i.ops)+3)) * o.scale
		if o.kind == general && middle[n] == 18 {
			middle[n]--
		}
	}
	all := [][]int{low, middle, high}
	for n := range i.ops {
		for _, v := range []int{low[n], high[n]} {
			args := slices.Clone(middle)
			args[n] = v
			all = append(all, args)
		}
	}
	return all
}

// encoded returns, by text, the words that this package encodes every instruction of the kernels as, and samples of every row of
// the table.
func encoded(t *testing.T) map[string]uint32 {
	words := map[string]uint32{}
	used := map[string]bool{}
	for _, k := range native() {
		for _, l := range write(t, k).lines {
			name, _, _ := strings.Cut(l.text, " ")
			used[name] = true
			if l.word != 0 {
				words[l.text] = l.word
			}
		}
	}
	for f, i := range table {
		name, _, _ := strings.Cut(i.text, " ")
		if !used[name] {
			t.Errorf("row %d, %s: no kernel uses it", f, i.text)
		}
		if i.goas != "" {
			continue
		}
		for _, args := range samples(i) {
			word, err := i.encode(args)
			if err != nil {
				t.Fatalf("%s %v: %v", i.text, args, err)
			}
			words[i.format(i.text, args)] = word
		}
	}
	return words
}

// TestEncodings compares the words of every instruction that kernels use, and of every row of the table at its operands' bounds,
// with the committed list, which GNU as made of the same texts. If the machine has GNU as, it compares the list with it too.
func TestEncodings(t *testing.T) {
	words := encoded(t)
	texts := slices.Sorted(maps.Keys(words))
	if *update {
		asmtest.Write(t, encodingsFile, list(texts, assemble(t, texts)))
	}
	file := asmtest.Read(t, encodingsFile)
	checked := 0
	for line := range strings.Lines(string(file)) {
		word, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if got, ok := words[text]; !ok {
			t.Errorf("%s: nothing emits this any more: run go test ./asm/arm64 -run Encodings -update", text)
		} else if have := fmt.Sprintf("%08x", got); have != word {
			t.Errorf("%s: encoded as %s, want %s", text, have, word)
		}
		delete(words, text)
		checked++
	}
	for _, text := range slices.Sorted(maps.Keys(words)) {
		t.Errorf("%s: not in %s: run go test ./asm/arm64 -run Encodings -update", text, encodingsFile)
	}
	if checked < 1000 {
		t.Errorf("%d encodings checked", checked)
	}
	t.Run("assembler", func(t *testing.T) {
		need(t, "aarch64-linux-gnu-as")
		if !bytes.Equal(list(texts, assemble(t, texts)), file) {
			t.Errorf("%s is not what the assembler makes: run go test ./asm/arm64 -run Encodings -update", encodingsFile)
		}
	})
}

func list(texts []string, words []uint32) []byte {
	var b bytes.Buffer
	for i, text := range texts {
		fmt.Fprintf(&b, "%08x %s\n", words[i], text)
	}
	return b.Bytes()
}

// assemble returns the words that GNU as encodes the texts as.
func assemble(t *testing.T, texts []string) []uint32 {
	t.Helper()
	dir := t.TempDir()
	source, object, binaryFile := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.o"), filepath.Join(dir, "a.bin")
	asmtest.Write(t, source, ".arch armv8.2-a+dotprod+i8mm\n"+strings.Join(texts, "\n")+"\n")
	asmtest.Run(t, exec.Command("aarch64-linux-gnu-as", "-o", object, source))
	asmtest.Run(t, exec.Command("aarch64-linux-gnu-objcopy", "-O", "binary", "-j", ".text", object, binaryFile))
	code := asmtest.Read(t, binaryFile)
	words := make([]uint32, len(texts))
	if err := binary.Read(bytes.NewReader(code), binary.LittleEndian, words); err != nil || len(code) != 4*len(words) {
		t.Fatalf("%d bytes for %d instructions: %v", len(code), len(words), err)
	}
	return words
}

// need ends the test if a tool of GNU binutils for arm64 is missing.
func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		asmtest.Missing(t, "as-arm64", tool+" is not installed")
	}
}
