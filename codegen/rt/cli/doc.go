// Package cli is the command line of a compiled model: the commands that every
// generated binary has.
//
//	func main() {
//		cli.Main(cli.Binary{
//			Name:    "mymodel",
//			Short:   "Find pictures by words",
//			Package: mymodel.Package(),
//			Open:    open, // mymodel.New, or mymodel.Open when a path is given
//		})
//	}
//
// The nouns:
//
//   - [Binary]: what a main is made of. Its package's functions decide which
//     commands there are: search and embed for retrieval, classify for
//     classification, answer for vqa, reason for nlvr2, caption for captioning, match
//     for itm and retrieval; info, check and bench always.
//   - [App]: a run of a binary: its global flags and streams. Commands of one's own
//     (Binary.Extra) get it, and with it the same flags, progress bar, batches and
//     error reports as those built in.
//   - [Picture]: a picture that is read when its turn comes.
//
// Results go to standard output, as tables or, with --json, one JSON value a line;
// everything else goes to standard error. Names, labels and texts that hold control
// characters are quoted in tables and messages. The exit status is 0, 1 for a failure,
// which a standard output that cannot be written to is too, 2 for a command line that
// makes no sense, and 130 or 143 after a signal (package interrupt).
//
// Files are written by package file: they appear when they are whole, and together.
//
// Work streams: pictures are read by as many goroutines as there are cores, as far as
// what they decode fits a quarter of the memory that the process may use, while
// the model computes the batch before, and what is held does not grow with their
// number. A picture that cannot be read is reported and left out; the command
// fails if it was named by itself, if none could be read, or under --strict.
//
// [Progress] says on standard error how far a job is: on a terminal as a line that is
// there while it runs, elsewhere as a line every half minute.
//
// It imports cobra, and so only mains import it. It computes
// nothing: that is rt/task, which a program of one's own uses instead.
package cli
