// Package file is how programs of this module meet the file system: it opens files that come from outside, says names that
// come from outside, and puts files in their places. It imports nothing of the module, so that the compiler and what
// generated programs link to share it.
//
// A file appears under its name when it is whole. [Create] and [Write] make one, a [Set] makes the files of one result:
// each is written as a temporary beside its place, and Commit renames them all once all are written. Until then what was
// there stays, also if the disk is full.
//
// What takes long may be a [Part]: what was written of it stays, for a later run to go on with.
//
// A temporary and a [TempDir] are locked for as long as their process lives. The next Create of the same file, the next
// MkdirAll of a Set for the folder, and the next TempDir, remove temporaries that nobody holds, which killed processes left. A
// program that handles signals calls [AbandonAll] (package interrupt does).
package file
