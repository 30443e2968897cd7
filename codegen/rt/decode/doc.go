// Package decode is empty. Packages that an older multiway generated import it: while it exists the compiler gets as far as
// its first error in such a package, which says to generate it again, and the go command does not look for another module
// that has it. Captions are written by package codegen/rt/caption.
package decode
