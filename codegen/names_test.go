package codegen

import (
	"go/token"
	"testing"
)

func TestGoName(t *testing.T) {
	for _, row := range []struct {
		in                 string
		unexported, public string
	}{
		{"vision", "vision", "Vision"},
		{"vision_retrieval", "visionRetrieval", "VisionRetrieval"},
		{"l0.attn.vision~f", "l0AttnVisionF", "L0AttnVisionF"},
		{"l0.ffn.vl", "l0FFNVL", "L0FFNVL"},
		{"pair_vqa", "pairVQA", "PairVQA"},
		{"ids", "ids", "IDs"},
		{"0.a", "v0A", "V0A"},
		{"a..b__c", "aBC", "ABC"},
		{"_x_", "x", "X"},
		{"~", "v", "V"},
		{"", "v", "V"},
		{"type", "type", "Type"}, // a keyword: the scope's business
	} {
		if got := goName(row.in, false); got != row.unexported {
			t.Errorf("goName(%q) = %q, want %q", row.in, got, row.unexported)
		}
		if got := goName(row.in, true); got != row.public {
			t.Errorf("goName(%q, exported) = %q, want %q", row.in, got, row.public)
		}
		if n := newScope().name(goName(row.in, false)); !token.IsIdentifier(n) {
			t.Errorf("%q becomes %q, which is no identifier", row.in, n)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	s := newScope("rt", "e")
	for _, row := range [][2]string{{"x", "x"}, {"x", "x2"}, {"x", "x3"}, {"x2", "x22"}, {"rt", "rt2"}, {"func", "func2"}} {
		if got := s.name(row[0]); got != row[1] {
			t.Errorf("name(%q) = %q, want %q", row[0], got, row[1])
		}
	}
}
