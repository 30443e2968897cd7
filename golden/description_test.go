package golden_test

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/golden"
	"github.com/multiway-go/multiway/ir/model"
)

func TestDescribeErrors(t *testing.T) {
	good := `{"family": "beit3", "task": "encode", "dim": 64, "heads": 4, "ffn_dim": 256, "layers": 3, "image_size": 32, "patch_size": 8, "vocab_size": 300, "max_source_positions": 48, "normalize_output": true, "layernorm_eps": 1e-05, "head_dim": 16}`
	for _, c := range []struct{ name, old, new, want string }{
		{"norm of another family", `"beit3"`, `"vlmo"`, "config: tasks[0].encode.norm is given, but the models of this family always have the norm; remove it"},
		{"unknown family", `"beit3"`, `"beit33"`, `config: family: unknown family "beit33"; did you mean beit3 or beit?`},
		{"unknown task", `"encode"`, `"encod"`, `config: tasks[1]: unknown task "encod"; did you mean encode?`},
		{"sizes", `"heads": 4`, `"heads": 5`, "config: sizes.heads is 5, want a divisor of sizes.dim, which is 64; the nearest are 4 and 8"},
		{"head_dim", `"head_dim": 16`, `"head_dim": 8`, "config: head_dim is 8, want dim/heads, which is 16"},
		{"positions", `"max_source_positions": 48`, `"max_source_positions": -1`, "config: sizes.positions is -1, want 1 to 1048576"},
		{"type", `"dim": 64`, `"dim": "64"`, "config: json: cannot unmarshal string into Go struct field .dim of type int"},
		{"cut off", good, `{"family"`, "config: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := golden.Describe([]byte(strings.Replace(good, c.old, c.new, 1)))
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add([]byte(`{"family": "beit3", "task": "classification", "dim": 64, "heads": 4, "ffn_dim": 256, "layers": 3, "image_size": 32, "patch_size": 8, "vocab_size": 300, "max_source_positions": 48, "normalize_output": false, "layernorm_eps": 1e-05, "num_classes": 21}`))
	f.Add([]byte(`{"family": "mwt", "task": "encode"}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		d, err := golden.Describe(config)
		if err != nil || d.Sizes.Layers > 8 {
			return
		}
		if _, err := model.Lower(d, model.Options{}); err != nil {
			t.Errorf("is read but does not lower: %v", err)
		}
	})
}
