package arm64

import (
	"math"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
)

// native lists the kernels that this package writes.
func native() []asm.Kernel {
	var ks []asm.Kernel
	for _, k := range asm.Catalogue {
		if l, _ := k.ISA.Level(); l.Arch == "arm64" {
			ks = append(ks, k)
		}
	}
	return ks
}

// write writes one kernel and returns the writer, which has its instructions.
func write(t *testing.T, k asm.Kernel) *writer {
	t.Helper()
	w := newWriter()
	if err := w.kernel(k); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestEmit(t *testing.T) { asmtest.Emit(t, "arm64", asm.NEON, Emit) }

func TestPeak(t *testing.T) { asmtest.Peak(t, asm.NEON, Emit) }

// TestPermit checks that a kernel may use the instruction sets of its level and no others.
func TestPermit(t *testing.T) {
	k, _ := asm.ByName("gemm_i8_6x16_neondot")
	if uses := write(t, k).isas; !slices.Equal(uses, []string{"ASIMDDP"}) {
		t.Errorf("%s uses %v, want ASIMDDP", k.Name(), uses)
	}
	k.ISA = asm.NEON
	w := newWriter()
	w.name = k.Name()
	w.SDOTlane(0, 1, 2, 3)
	if err := k.Permit(w.isas); err == nil || err.Error() != "gemm_i8_6x16_neon: uses ASIMDDP, which level neon does not have" {
		t.Errorf("error %v", err)
	}
}

// TestGeneratorErrors checks that a mistake of a generator is an error that says which kernel, which line and why.
func TestGeneratorErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *writer)
		want string
	}{
		{"vector", func(w *writer) { w.FADD(32, 1, 2) }, "fadd v32.4s, v1.4s, v2.4s: operand d: V32, want V0 to V31"},
		{"reserved", func(w *writer) { w.ADDI(1, 18, 0) }, "add x1, x18, #0: operand n: R18, want R0 to R26 and not R18"},
		{"goroutine", func(w *writer) { w.MOVR(28, 1) }, "mov x28, x1: operand d: R28, want R0 to R26 and not R18"},
		{"lane", func(w *writer) { w.FMLAlane(1, 2, 3, 4) }, "fmla v1.4s, v2.4s, v3.s[4]: operand i: 4, want a multiple of 1 from 0 to 3"},
		{"offset", func(w *writer) { w.LDP(1, 2, 3, 1024) }, "ldp q1, q2, [x3, #1024]: operand o: 1024, want a multiple of 16 from -1024 to 1008"},
		{"multiple", func(w *writer) { w.LDR(1, 2, 8) }, "ldr q1, [x2, #8]: operand o: 8, want a multiple of 16 from 0 to 65520"},
		{"negative", func(w *writer) { w.LDRpost(1, 2, -257) }, "ldr q1, [x2], #-257: operand o: -257, want a multiple of 1 from -256 to 255"},
		{"immediate", func(w *writer) { w.CMPI(1, 4096) }, "cmp x1, #4096: operand i: 4096, want a multiple of 1 from 0 to 4095"},
		{"parameter", func(w *writer) { w.arg("q", 1) }, "no parameter q"},
		{"parameter's register", func(w *writer) { w.arg("k", 27) }, "MOVD k+0(FP), R27: operand d: R27, want R0 to R26 and not R18"},
		{"parameter's kind", func(w *writer) { w.single("k", 1) }, "parameter k needs a register of the other kind"},
		{"vector parameter", func(w *writer) { w.single("eps", -1) }, "FMOVS eps+8(FP), F-1: operand d: V-1, want V0 to V31"},
		{"table's register", func(w *writer) { w.words("t", 18, 1) }, "MOVD $t<>(SB), R18: operand d: R18, want R0 to R26 and not R18"},
		{"table", func(w *writer) { w.words("t", 1, 1); w.words("t", 1, 2) }, "constant t differs between kernels"},
		{"branch's register", func(w *writer) { w.CBZ(-1, "x"); w.mark("x") }, "CBZ R-1,: operand n: R-1, want R0 to R26 and not R18"},
		{"label", func(w *writer) { w.B("there"); w.mark("here") }, "no label there"},
		{"labels", func(w *writer) { w.mark("here"); w.mark("here") }, "label here is defined twice"},
	} {
		w := newWriter()
		w.name = "gemm_f32_6x16_neon"
		w.args, _ = frame(asm.OpRow{Signature: "func(k int, eps float32)"}.Params())
		w.text.WriteString("\n// func \n")
		c.do(w)
		w.landings()
		_, _, line, _ := runtime.Caller(0)
		at := regexp.MustCompile(`^gemm_f32_6x16_neon: emit_test.go:(\d+): (.*)$`)
		var m []string
		if w.err != nil {
			m = at.FindStringSubmatch(w.err.Error())
		}
		if m == nil || m[2] != c.want {
			t.Errorf("%s: error %v, want %s", c.name, w.err, c.want)
			continue
		}
		if n, err := strconv.Atoi(m[1]); err != nil || n > line || n < line-60 {
			t.Errorf("%s: line %s", c.name, m[1])
		}
	}
}

// TestOperandRanges checks every operand of every row: each value outside its range is refused, the fields of a row overlap
// neither one another nor the fixed bits, and different values give different words.
func TestOperandRanges(t *testing.T) {
	for _, i := range table {
		fixed := i.word
		for n, o := range i.ops {
			if !strings.Contains(i.text, "{"+o.name+"}") {
				t.Errorf("%s: its text does not have operand %s", i.text, o.name)
			}
			least, most := o.bounds()
			args := samples(i)[0]
			outside := []int{math.MinInt, least - 1, least - o.scale, most + 1, most + o.scale, math.MaxInt - math.MaxInt%o.scale}
			if o.scale > 1 {
				outside = append(outside, least+1, 1, most-1)
			}
			if o.kind == general {
				outside = append(outside, 18)
			}
			for _, v := range outside {
				args[n] = v
				if word, err := i.encode(args); err == nil || word != 0 || !strings.Contains(err.Error(), "operand "+o.name+": ") {
					t.Errorf("%s: operand %s = %d gives %#x, %v", i.text, o.name, v, word, err)
				}
			}
			if len(o.fields) == 0 {
				if i.goas == "" || !strings.Contains(i.goas, "{"+o.name+"}") {
					t.Errorf("%s: nothing holds operand %s", i.text, o.name)
				}
				continue
			}
			var mask uint32
			for _, f := range o.fields {
				mask |= (1<<f.width - 1) << f.at
			}
			if fixed&mask != 0 {
				t.Errorf("%s: operand %s has bits %#x of others", i.text, o.name, fixed&mask)
			}
			fixed |= mask
			seen := map[uint32]int{}
			for v := least; v <= most; v += o.scale {
				w := o.encode(v)
				if old, ok := seen[w]; ok || w&^mask != 0 {
					t.Fatalf("%s: operand %s = %d is encoded as %#x, like %d; its bits are %#x", i.text, o.name, v, w, old, mask)
				}
				seen[w] = v
			}
		}
	}
}

func TestFrame(t *testing.T) {
	args, size := frame(asm.OpRow{Signature: "func(rows int, x *float32, eps float32, n int, last float32)"}.Params())
	want := []arg{{"rows", 0, false}, {"x", 8, false}, {"eps", 16, true}, {"n", 24, false}, {"last", 32, true}}
	if d := cmp.Diff(want, args, cmp.AllowUnexported(arg{})); d != "" || size != 36 {
		t.Errorf("size %d, want 36; parameters (-want +got):\n%s", size, d)
	}
}
