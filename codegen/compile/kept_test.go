package compile_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
)

// A build warns about a function in which tuning stores all weights as f32.
func TestWritePrecisionWithoutEffect(t *testing.T) {
	asmtest.Slow(t)
	for cosine, want := range map[string][]string{"0.5": nil, "0.9999999999": {"pair_nlvr2", "reason_head"}} {
		m := compile.OpenText(t, strings.Replace(tiny, "tasks: [retrieval]", "tasks: [nlvr2]", 1)+"precision: int8\ncosine: "+cosine+"\n")
		var warnings []string
		_, err := m.Write(compile.Options{Dir: filepath.Join(t.TempDir(), "out"), Check: compile.Off, Log: func(format string, args ...any) {
			if line := fmt.Sprintf(format, args...); strings.HasPrefix(line, "warning") {
				warnings = append(warnings, line)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(warnings, "\n")
		if (text == "") != (want == nil) {
			t.Errorf("cosine %s: warnings %q", cosine, warnings)
		}
		for _, name := range want {
			if !strings.Contains(text, name) || !strings.Contains(text, "a lower `cosine`") {
				t.Errorf("cosine %s: %q says nothing of %s", cosine, text, name)
			}
		}
	}
}
