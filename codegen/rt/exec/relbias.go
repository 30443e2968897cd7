package exec

// RelBias is a relative position bias, which depends on the positions of query and key. The sequence is
// a text, then an image (a class row and Grid x Grid patches), or one of the two. Text, Image and Cross are
// the offsets of tables in the weights, in bytes (-1: not needed). A table has for each head:
//
//   - Text, 2*Reach values: for query i and key j, both from 1 on, value j-i+Reach-2; then
//     a value for query 0, one for key 0 and one for both;
//   - Image, E*E+3 values with E = 2*Grid-1, in reverse order: for query 0 with key 0, for key 0,
//     for query 0, then for each offset between patches, the last first, so that the keys of
//     a row of patches are contiguous;
//   - Cross, 2 values: for text queries with image keys, and the reverse.
type RelBias struct {
	Text, Image, Cross int
	Reach, Grid        int
}

// bias initialises the scores with the biases of head h for m queries, from position first on, and all n
// keys, of which tokens are text. Columns that pad the keys to whole panels are 0.
func (t *attnTask) bias(h, n, tokens, first, m int, dst *float32, ld int) {
	b := t.table
	edge := 2*b.Grid - 1
	for r := range m {
		row := floats(at(dst, r*ld), ceil16(n))
		i := first + r
		if i < tokens {
			text := floats(at(t.e.w(b.Text), h*2*b.Reach), 2*b.Reach)
			if i == 0 {
				fill(row[:tokens], text[max(0, 2*b.Reach-3)])
				row[0] = text[2*b.Reach-1]
			} else {
				row[0] = text[2*b.Reach-2]
				copy(row[1:tokens], text[b.Reach-1-i:])
			}
			if tokens < n {
				fill(row[tokens:n], floats(at(t.e.w(b.Cross), 2*h), 1)[0])
			}
		} else {
			if tokens > 0 {
				fill(row[:tokens], floats(at(t.e.w(b.Cross), 2*h+1), 1)[0])
			}
			size := edge*edge + 3
			image := floats(at(t.e.w(b.Image), h*size), size)
			keys := row[tokens:n]
			if i -= tokens + 1; i < 0 {
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
		if f := t.biasScale; f != 1 {
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
