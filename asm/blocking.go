package asm

// Cut says how products with weights of one depth K are cut to fit the caches. It depends on K and on the number of rows
// alone, never on the CPU.
type Cut struct {
	Passes int        // over a panel, each with an equal part of its k
	Rows   []RowClass // fewest rows first
}

// RowClass is what a Cut says of products with at most Rows rows.
type RowClass struct {
	Rows  int // 0: any number
	Block int // aim for the rows of a block, which are multiplied by one panel after the other; 0: all rows
	Ahead int // a line of weights is prefetched that many cache lines before its use; 0: the next panels are, while these are used
}

const (
	// passSteps is the ideal k of a pass: a panel's part is 48 KiB, so that three of them and the ones prefetched stay in
	// the second-level cache, and there are few passes over C.
	passSteps = 768
	// fewRows multiply a line of weights faster than memory brings the next one: the CPU's own prefetchers, which follow
	// what is read, then do better than hints far ahead.
	fewRows = 11
	// ahead is far enough to bridge a memory access, near enough to stay in the first-level cache.
	ahead = 24
	// wholeSteps is the number of values of A, in the k of a pass, up to which rows are not cut; blockSteps the aim for a
	// block where they are.
	wholeSteps = 400 * passSteps
	blockSteps = 210 * passSteps
)

// CutOf returns how products of depth k are cut.
func CutOf(k int) Cut {
	passes := max(1, (k+passSteps/2-1)/passSteps)
	steps := (max(1, k) + passes - 1) / passes
	return Cut{passes, []RowClass{
		{Rows: fewRows, Ahead: ahead},
		{Rows: max(fewRows+1, wholeSteps/steps)},
		{Block: max(1, blockSteps/steps)},
	}}
}
