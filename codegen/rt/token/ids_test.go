package token

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIDs(t *testing.T) {
	for list, want := range map[string][]int32{
		"0,17,2": {0, 17, 2}, "5": {5}, "0, 2147483647 ,3": {0, 2147483647, 3}, "1 2": {1, 2},
		"": nil, ",": nil, "a": nil, "-1": nil, "1.5": nil, "2147483648": nil, "0x1": nil, "1;2": nil,
	} {
		got, err := ParseIDs(list)
		if (err != nil) != (want == nil) || !cmp.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", list, got, err, want)
		}
		if d := cmp.Diff(want, IDs{}.Encode(list, 0)); d != "" {
			t.Errorf("%q (-want +got)\n%s", list, d)
		}
	}
	if d := cmp.Diff([]int32{9, 0, 17}, IDs{}.AppendEncode([]int32{9}, "0,17,2", 2)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
