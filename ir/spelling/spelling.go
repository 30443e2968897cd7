// Package spelling tells how far apart two names are, for errors that say which known
// name was probably meant. It imports nothing; it does not choose names or word errors.
package spelling

// Distance is the Levenshtein distance of two names in bytes: how many to insert,
// remove or replace. It takes time and memory of len(a)*len(b) and len(b).
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
