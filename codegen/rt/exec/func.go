package exec

// Func is a compiled function: one task on one kind of input.
type Func struct {
	Name string
	Task string // such as retrieval
	Kind string // the input, image, text or pair, or a function that only the task has, such as the head of nlvr2

	Image   int  // floats of a sequence's image; 0: it takes none
	Text    bool // it takes a text
	IDs     int  // tokens of a text; 0: 1 to the package's limit
	Fixed   int  // rows of a sequence besides one per token, and besides rows that a join reads
	Inputs  []Input
	Stores  []Slot // of the State that it starts; nil: none
	States  []Slot // of the State that it reads and adds a row to; nil: none
	Outputs []Output
	Arena   int // bytes, enough for B*Fixed <= Package.Rows and as many tokens
	Cost    Cost
	Run     func(*Exec)
}

// Input is a matrix in the arena that is filled with a part of each sequence's image, not embedded
// as pixels.
type Input struct {
	At             int // index of the first float in the image
	Off            int // bytes into the arena
	LD, Rows, Cols int // in floats; Rows per sequence
}

// Output is a result of a function: a matrix in the arena after Run.
type Output struct {
	Name     string
	Off      int // bytes into the arena
	LD, Cols int
	Sections []Section // {{C: 1}} for one row per sequence
}

// RowsOf returns the number of rows of the output for a sequence with text tokens.
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

// Cost is the work of a function, as the compiler counted it: the floating-point operations of
// matrix products, and the least number of bytes that a call moves.
type Cost struct {
	FLOPs  [3]int64 // a sequence with t tokens takes FLOPs[0] + FLOPs[1]*t + FLOPs[2]*t*t
	Weight int64    // bytes of weights, read once per call
	Seq    int64    // bytes per sequence: its image and outputs without text rows
	Row    int64    // bytes per token: its id, its embedding, its output rows
}

// Of returns the FLOPs and the bytes of one call. texts has the number of tokens of each sequence, 0
// for one without text.
func (c *Cost) Of(texts []int) (flops, bytes int64) {
	bytes = c.Weight
	for _, n := range texts {
		t := int64(n)
		flops += c.FLOPs[0] + t*(c.FLOPs[1]+t*c.FLOPs[2])
		bytes += c.Seq + t*c.Row
	}
	return flops, bytes
}
