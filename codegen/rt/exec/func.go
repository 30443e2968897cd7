package exec

// Func is one entry point for one task.
type Func struct {
	Name string
	Task string // such as retrieval
	Kind string // image, text or pair: the task's function of these; else which of its own, such as the head of nlvr2

	Image   int  // floats that a sequence's Image has, 0: takes none
	Text    bool // takes text
	IDs     int  // ids that its text has, 0: 1 to the package's limit
	Fixed   int  // rows a sequence besides its text rows
	Inputs  []Input
	Stores  []Slot // what it begins a State with
	States  []Slot // what it reads from a State and adds a row to
	Outputs []Output
	Arena   int // bytes, at B*Fixed <= Rows and text rows <= Rows
	Cost    Cost
	Run     func(*Exec)
}

// Input is a matrix that a function takes as it is: the floats of a sequence's Image
// from At on are its rows of the matrix, which is in the arena.
type Input struct {
	At             int
	Off            int // bytes into the arena
	LD, Rows, Cols int // Rows of each sequence
}

// Output is a result of a function: a matrix in the arena after Run.
type Output struct {
	Name     string
	Off      int // bytes into the arena
	LD, Cols int
	Sections []Section // {{C: 1}} for one row a sequence
}

// RowsOf returns the rows of a sequence with that many text rows in an output.
func (o *Output) RowsOf(text int) int {
	n := 0
	for _, s := range o.Sections {
		n += s.C
		if s.T {
			n += text
		}
	}
	return n
}

// Cost is what the compiler counted of a function: the floating-point operations of
// its products and the bytes that a call has to move at least. Everything else
// counts 0.
type Cost struct {
	FLOPs  [3]int64 // of a sequence with t text rows: FLOPs[0] + FLOPs[1]*t + FLOPs[2]*t*t
	Weight int64    // bytes of weights that a call reads, however many sequences it has
	Seq    int64    // bytes of a sequence's picture and fixed outputs
	Row    int64    // bytes of a text row: its id, its table row, its outputs
}

// Of returns the FLOPs and the bytes of one call on texts of these lengths, 0 for a
// sequence without text.
func (c *Cost) Of(texts []int) (flops, bytes int64) {
	bytes = c.Weight
	for _, n := range texts {
		t := int64(n)
		flops += c.FLOPs[0] + t*(c.FLOPs[1]+t*c.FLOPs[2])
		bytes += c.Seq + t*c.Row
	}
	return flops, bytes
}
