package arm64

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
)

const throughputFile = "THROUGHPUT.md"

// cpus are the CPUs in the tables; llvm-mca has models of them.
var cpus = []string{"neoverse-n1", "neoverse-v1", "neoverse-v2", "apple-m2"}

// absent stands in the tables for a CPU that lacks a kernel's instructions.
const absent = "-"

// bars are the least numbers that rows of the tables must have: percentages of the multiply-add bound, and times.
var bars = map[string]float64{"gemm_f32_6x16_neon": 95, "gemm_i8_6x16_neondot": 90, "gemm_eights_i8_6x16_neoni8mm": 85, manyRows: 1.8}

// manyRows is the row of the table of int8 that compares a product of rowsOfMany rows at level neoni8mm with one at neondot.
const (
	manyRows   = "times, 198 rows, regroup included"
	rowsOfMany = 198
)

// multiplies lists the instructions of products, and what replaces a line of the peak kernel in the bound of a loop that has
// them.
var multiplies = []struct{ find, bound string }{
	{"sdot", "sdot $1.4s, v0.16b, v0.4b[0]"},
	{"usmmla", "usmmla $1.4s, v0.16b, v0.16b"},
	{"smlal", "smlal $1.8h, v0.8b, v0.8b"},
	{"fmla", "$0"},
}

var multiply = regexp.MustCompile(`(?m)^(?:fmla|sdot|usmmla|smull2?|smlal2?) (v\d+).*$`)

// bound returns the loop of independent multiply-adds that a loop is compared with.
func bound(t *testing.T, loop string) string {
	peak := inner(t, asm.Find("peak_fma", asm.NEON)[0])
	for _, m := range multiplies {
		if strings.Contains(loop, m.find+" ") {
			return multiply.ReplaceAllString(peak, m.bound)
		}
	}
	t.Fatalf("nothing multiplies in\n%s", loop)
	return ""
}

// inner returns a kernel's inner loop as GNU assembly.
func inner(t *testing.T, k asm.Kernel) string {
	t.Helper()
	var b strings.Builder
	for _, l := range write(t, k).hot {
		b.WriteString(l.text)
		if strings.HasPrefix(l.text, "b.") || l.text == "cbz" {
			b.WriteString(" .")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// measured lists the kernels of the tables: products (all tiles of gemm, otherwise the largest of a family), measured by
// multiply-adds, and the others, measured by elements.
func measured() (products, rows []asm.Kernel) {
	for _, k := range native() {
		switch {
		case k.Op == asm.OpGemm, k.Op.Row().Tiled && k.MR == len(asm.Find(k.Family(), k.ISA)):
			products = append(products, k)
		case !k.Op.Row().Tiled && k.Op.Row().Home == "":
			rows = append(rows, k)
		}
	}
	return products, rows
}

// loopsSum returns a hash of the inner loops in the tables.
func loopsSum(t *testing.T) string {
	h := sha256.New()
	products, rows := measured()
	for _, k := range append(products, rows...) {
		fmt.Fprintf(h, "%s\n%s", k.Name(), inner(t, k))
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// TestThroughput checks that THROUGHPUT.md is about the current inner loops and that they reach the bars.
func TestThroughput(t *testing.T) {
	if *update {
		asmtest.Write(t, throughputFile, throughput(t))
	}
	file := asmtest.Read(t, throughputFile)
	if sum := loopsSum(t); !bytes.Contains(file, []byte("Loops "+sum+",")) {
		t.Errorf("%s is about other inner loops than %s: run make neon-mca", throughputFile, sum)
	}
	for name, bar := range bars {
		row := regexp.MustCompile(`(?m)^\| ` + name + ` \|(.*)\|$`).FindSubmatch(file)
		if row == nil {
			t.Errorf("%s has no row of %s", throughputFile, name)
			continue
		}
		cells := strings.Split(string(row[1]), "|")
		if len(cells) != len(cpus) {
			t.Errorf("%s: %d columns for %d CPUs", name, len(cells), len(cpus))
			continue
		}
		for i, c := range cells {
			c = strings.TrimSpace(c)
			if v, err := strconv.ParseFloat(c, 64); c != absent && (err != nil || v < bar) {
				t.Errorf("%s: %s on %s, want %g", name, c, cpus[i], bar)
			}
		}
	}
}

// throughput returns the file that llvm-mca's results give.
func throughput(t *testing.T) []byte {
	mca := findMCA(t)
	var b bytes.Buffer
	version, _, _ := strings.Cut(regexp.MustCompile(`LLVM version .*`).FindString(asmtest.Run(t, exec.Command(mca, "--version"))), "\n")
	fmt.Fprintf(&b, `# Inner loops of the NEON kernels, on paper

Loops %s, %s, written by make neon-mca.

llvm-mca models a core's front end, ports and latencies. It knows nothing of caches, prefetching and branch prediction, and
its apple-m2 has three vector pipes where the CPU has four. No kernel was timed on these CPUs for this table. A CPU without a
kernel's instructions has %s.

## Products: percent of the multiply-add bound

The bound is what the model gives for a loop of independent multiply-adds of the same kind and nothing else. The largest tiles
have to reach it: gemm_f32_6x16_neon to %g%%, gemm_i8_6x16_neondot to %g%%, gemm_eights_i8_6x16_neoni8mm to %g%%. The smallest
have too few sums to hide the latency of a multiply-add; they are for few rows, where memory is the limit. The tiles of 16-bit
weights also convert them, which takes the pipes of multiply-adds; the tile of bf16dot converts both operands, so that its sums
equal those of every other CPU. The int8 tile for CPUs without dot products also adds up the products, and the tile of groups of
eight joins the rows of A in pairs.

`, loopsSum(t), version, absent, bars["gemm_f32_6x16_neon"], bars["gemm_i8_6x16_neondot"], bars["gemm_eights_i8_6x16_neoni8mm"])
	products, rows := measured()
	head := func(first string) {
		fmt.Fprintf(&b, "| %s | %s |\n|---|%s\n", first, strings.Join(cpus, " | "), strings.Repeat("---:|", len(cpus)))
	}
	head("kernel")
	row := func(name, format string, value func(cpu string) float64) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, cpu := range cpus {
			if v := value(cpu); math.IsNaN(v) {
				fmt.Fprintf(&b, " %s |", absent)
			} else {
				fmt.Fprintf(&b, " "+format+" |", v)
			}
		}
		b.WriteByte('\n')
	}
	for _, k := range products {
		loop := inner(t, k)
		row(k.Name(), "%.1f", func(cpu string) float64 {
			// each returns the cycles per multiply-add of a loop.
			each := func(loop string) float64 {
				return cycles(t, mca, cpu, loop) / float64(len(multiply.FindAllString(loop, -1)))
			}
			return 100 * each(bound(t, loop)) / each(loop)
		})
	}
	fmt.Fprintf(&b, `
## Products of bytes for each cycle

The last row is what a product of %d rows at level neoni8mm gains over one at neondot. It has to be %g.

`, rowsOfMany, bars[manyRows])
	head("kernel")
	const dot, eights = "gemm_i8_6x16_neondot", "gemm_eights_i8_6x16_neoni8mm"
	const rows6, depth = 6, 16 // of these tiles, in an iteration
	of := func(cpu, name string) float64 {
		k, _ := asm.ByName(name)
		return cycles(t, mca, cpu, inner(t, k))
	}
	for _, name := range []string{dot, eights} {
		row(name, "%.1f", func(cpu string) float64 { return rows6 * asm.Panel * depth / of(cpu, name) })
	}
	row(manyRows, "%.2f", func(cpu string) float64 {
		const tiles = rowsOfMany / rows6
		return tiles * of(cpu, dot) / (tiles*of(cpu, eights) + 2*of(cpu, "regroup_i8_neoni8mm")) // regroup takes half of the depth
	})
	b.WriteString("\n## The others: cycles for each element\n\nFor kernels with several passes over a row, the last pass.\n\n")
	head("kernel")
	for _, k := range rows {
		elements := block
		switch k.Op {
		case asm.OpPackKeys:
			elements = 16
		case asm.OpRegroup:
			elements = 8 * asm.Panel
		}
		row(k.Name(), "%.2f", func(cpu string) float64 { return cycles(t, mca, cpu, inner(t, k)) / float64(elements) })
	}
	return b.Bytes()
}

// cycles returns the cycles per iteration of the loop, in the long run. It is NaN if the CPU lacks an instruction.
func cycles(t *testing.T, mca, cpu, loop string) float64 {
	t.Helper()
	const turns = 1000
	cmd := exec.Command(mca, "-mtriple=aarch64", "-mcpu="+cpu, fmt.Sprintf("-iterations=%d", turns), "-instruction-info=0", "-resource-pressure=0")
	cmd.Stdin = strings.NewReader(loop)
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("error: instruction requires: ")) {
		return math.NaN()
	}
	m := regexp.MustCompile(`Total Cycles:\s+(\d+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("%s -mcpu=%s: %v\n%s", mca, cpu, err, out)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return float64(n) / turns
}

// findMCA returns an llvm-mca that knows all CPUs.
func findMCA(t *testing.T) string {
	for _, name := range []string{"llvm-mca", "llvm-mca-21", "llvm-mca-20", "llvm-mca-19", "llvm-mca-18", "llvm-mca-17"} {
		if !slices.ContainsFunc(cpus, func(cpu string) bool {
			cmd := exec.Command(name, "-mtriple=aarch64", "-mcpu="+cpu)
			cmd.Stdin = strings.NewReader("ret\n")
			out, err := cmd.CombinedOutput()
			return err != nil || bytes.Contains(out, []byte("not a recognized processor"))
		}) {
			return name
		}
	}
	t.Fatalf("no llvm-mca that knows %s; on Debian: apt-get install llvm-19", strings.Join(cpus, ", "))
	return ""
}
