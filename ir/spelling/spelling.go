// Package spelling measures the distance of two names, for errors that suggest the known
// name that was probably meant.
package spelling

// Distance returns the Levenshtein distance of two names: the least number of bytes to
// insert, remove or replace. It takes time of order len(a)*len(b) and memory of len(b).
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
