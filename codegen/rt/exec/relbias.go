package exec

// RelBias is a relative position bias of an attention over text rows, then a class row
// and Grid x Grid patches, or one of the two. Text, Image and Cross are where in
// the weights, in bytes, tables of one run of values per head start:
//
//   - Text, 2*Reach values: key j of query i (both from 1) at j-i+Reach-2, then
//     query 0, key 0, and both;
//   - Image, E*E+3 values with E = 2*Grid-1, backwards: both of query 0 and key 0, key
//     0, query 0, then the patches from the last offset to the first, so that a row of
//     patches is one run of keys;
//   - Cross, 2 values: text queries for picture keys, and the reverse.
type RelBias struct {
	Text, Image, Cross int // -1: not needed
	Reach, Grid        int
}

// bias writes the biases of m queries of head h, the first at place `first` of the
// sequence, for all n keys, words of them text, as what the scores start from. What
// pads the keys to whole panels is 0.
func (t *attnTask) bias(h, n, words, first, m int, dst *float32, ld int) {
	b := t.table
	edge := 2*b.Grid - 1
	for r := range m {
		row := floats(at(dst, r*ld), ceil16(n))
		i := first + r
		if i < words {
			text := floats(at(t.e.w(b.Text), h*2*b.Reach), 2*b.Reach)
			if i == 0 {
				fill(row[:words], text[max(0, 2*b.Reach-3)])
				row[0] = text[2*b.Reach-1]
			} else {
				row[0] = text[2*b.Reach-2]
				copy(row[1:words], text[b.Reach-1-i:])
			}
			if words < n {
				fill(row[words:n], floats(at(t.e.w(b.Cross), 2*h), 1)[0])
			}
		} else {
			if words > 0 {
				fill(row[:words], floats(at(t.e.w(b.Cross), 2*h+1), 1)[0])
			}
			size := edge*edge + 3
			image := floats(at(t.e.w(b.Image), h*size), size)
			keys := row[words:n]
			if i -= words + 1; i < 0 {
				fill(keys, image[2])
				keys[0] = image[0]
			} else {
				keys[0] = image[1]
				y, x := i/b.Grid, i%b.Grid
				from := size - 1 - ((y+b.Grid-1)*edge + x + b.Grid - 1)
				for k := range b.Grid {
					strip := image[from+k*edge:][:b.Grid]
					for j, v := range strip {
						keys[1+k*b.Grid+j] = v
					}
				}
			}
		}
		if f := t.unit; f != 1 {
			for j := range row[:n] {
				row[j] *= f
			}
		}
		clear(row[n:])
	}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
