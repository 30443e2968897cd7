// Package file reads and writes files safely: it opens files of unknown origin, prints untrusted names, and puts new files in
// place atomically. It imports nothing of the module, so that both the compiler and generated programs use it.
//
// A file gets its name only when it is complete. [Create] and [Write] make one file, a [Set] makes the files of one result:
// each is written to a temporary file in the same folder, and Commit renames them all once all are written. Until then the
// old files stay, even if the disk gets full.
//
// A [Part] is for long work: its unfinished file stays, and a later run can continue it.
//
// A temporary file and a [TempDir] are locked while their process lives. The next Create of the same file, MkdirAll of a
// Set for the folder, or TempDir removes unlocked ones, which killed processes left behind. A program that handles signals
// calls [AbandonAll], as package interrupt does.
package file
