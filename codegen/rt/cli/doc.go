// Package cli is the command line of a compiled model: the commands of every generated binary.
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
//   - [Binary]: the configuration of a main function. The functions of its package determine the commands: search and embed for retrieval, classify for classification, or for retrieval by prompts, answer for vqa, reason for nlvr2, caption for captioning, match for itm and retrieval; info, check and bench always.
//   - [App]: one run of a binary, with its global flags and streams. Additional commands (Binary.Extra) get it, and with it the same flags, progress reports, batches and error reports as the built-in ones.
//   - [Picture]: a picture that is read on demand.
//
// Results go to standard output, as tables or, with --json, as one JSON value per line;
// everything else goes to standard error. Names, labels and texts with control characters are
// quoted in tables and messages. The exit status is 0 for success, 1 for a failure (including a
// failure to write to standard output), 2 for an invalid command line, and 130 or 143 after a
// signal (package interrupt).
//
// Package file writes the output files: they appear when they are complete, and all at once.
//
// Work is streamed. Pictures are read by one goroutine per core while the model computes the
// previous batch, as long as the pictures being decoded fit a quarter of the memory that the
// process may use. Memory does not grow with the number of inputs. A picture that cannot be
// read is reported and left out; the command fails if that picture was named on the command
// line, if no picture could be read, or under --strict.
//
// [Progress] reports the progress of a job on standard error: on a terminal as a line that is
// updated while the job runs, elsewhere as a line every half minute.
//
// The package imports cobra; only main packages import it. It computes nothing itself: package
// task does, which other programs use directly.
package cli
