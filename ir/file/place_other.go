//go:build !unix

package file

import "io/fs"

// special: os.Stat says of every name that is a device that it is one.
func special(string) bool { return false }

// own: the folder for temporary files is the user's.
func own(fs.FileInfo) bool { return true }

// syncFolder does nothing: the system keeps its names safe by itself, or cannot.
func syncFolder(string) error { return nil }
