//go:build !unix

package file

import "io/fs"

// special is false: os.Stat reports every device as one.
func special(string) bool { return false }

// own is true, since these systems give every user a folder of their own for temporary files.
func own(fs.FileInfo) bool { return true }

// syncFolder does nothing: the system syncs names itself, or cannot.
func syncFolder(string) error { return nil }
