// Package file is how programs of this module meet the file system: it opens files that come from outside and says names
// that come from outside. It imports nothing of the module, so that the compiler and what generated programs link to share
// it.
package file
