package asm

// Blocking splits products with weights of one depth k so that their operands stay in the caches. It depends on k and on the
// number of rows, never on the CPU.
type Blocking struct {
	Passes int        // equal parts that k is split into in products of classes without Ahead
	Rows   []RowClass // fewest rows first
}

// RowClass is the part of a Blocking for products with at most Rows rows.
type RowClass struct {
	Rows  int // 0: any number
	Block int // target rows of a block; a panel is used for a whole block before the next; 0: all rows
	Ahead int // distance, in cache lines, at which weights are prefetched; 0: the panels that are used next are prefetched
}

const (
	// passSteps is the ideal k of a pass: a panel's part is 24 KiB and stays, with a tile's rows of A, in the first-level cache
	// while all tiles are multiplied by it; the passes over C are few enough to cost little.
	passSteps = 384
	// Up to fewRows rows, the tiles multiply a cache line of weights faster than memory delivers the next. The CPU's own
	// prefetchers then do better than prefetching the next panels.
	fewRows = 11
	// ahead is the distance of prefetches in cache lines: far enough to bridge a memory access, near enough to stay in the
	// first-level cache.
	ahead = 24
	// wholeSteps is the largest number of values of A, in one pass over k, for which all rows are one block; blockSteps is the
	// target size of a block otherwise.
	wholeSteps = 400 * passSteps
	blockSteps = 210 * passSteps
)

// BlockingOf returns the blocking of products of depth k, the number of columns of A.
func BlockingOf(k int) Blocking {
	passes := max(1, (k+passSteps/2-1)/passSteps)
	steps := (max(1, k) + passes - 1) / passes
	return Blocking{passes, []RowClass{
		{Rows: fewRows, Ahead: ahead},
		{Rows: max(fewRows+1, wholeSteps/steps)},
		{Block: max(1, blockSteps/steps)},
	}}
}
