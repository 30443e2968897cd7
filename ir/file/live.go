package file

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// live lists the unfinished temporaries and folders of this process, the oldest first. Code that begins or finishes one holds
// the lock meanwhile, so that AbandonAll sees all of them; once AbandonAll has the lock, no more are begun.
var live registry

type registry struct {
	sync.Mutex
	items []unfinished
}

// unfinished is a file or folder to remove if the process ends before it is finished.
type unfinished interface{ abandon() }

func (r *registry) forget(u unfinished) {
	r.items = slices.DeleteFunc(r.items, func(x unfinished) bool { return x == u })
}

// AbandonAll removes all unfinished temporary files, temporary folders and new folders of a process that is about to end. Other
// goroutines may still write. It returns the names of the files of Part that stay, the oldest first. It waits for a running
// Commit. Afterwards calls of Create, Part, MkdirAll, Lock, Commit, Abandon, TempDir and Remove never return.
func AbandonAll() (kept []string) {
	live.Lock() // never unlocked
	for _, u := range slices.Backward(live.items) {
		if f, ok := u.(*File); ok && f.keeps() {
			kept = append(kept, f.Name())
		}
		u.abandon()
	}
	slices.Reverse(kept)
	return kept
}

// A temporary file is called .NAME.multiway-RANDOM, a temporary folder multiway-RANDOM. No user chooses such names.
const (
	mark       = "multiway-"
	randomSize = 16
	maxBase    = 200 // bytes of NAME, so that file systems accept the whole name
)

func random() string {
	var b [randomSize / 2]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// temporaries returns the prefix of the names of temporary files for a file.
func temporaries(base string) string { return "." + base[:min(len(base), maxBase)] + "." + mark }

func temporary(base string) string { return temporaries(base) + random() }

// errTaken is the error of a new temporary file that another process removed as a leftover before it was locked.
var errTaken = errors.New("another program removes each new temporary file at once; write to a folder of another file system")

// again reports whether to try another random name after an error. try counts from 1. On a file system that reports two
// identities for one file, no name works.
func again(err error, try int) bool {
	return try < 100 && (errors.Is(err, fs.ErrExist) || errors.Is(err, errTaken))
}

// sweep removes temporary files in a folder that no process has locked: those for the file called base, or for all files if
// base is "". Files that cannot be removed stay, without an error.
func sweep(dir, base string) {
	each(dir, func(path, name string) {
		if base == "" && strings.HasPrefix(name, ".") && strings.HasSuffix(name, "."+mark) || base != "" && name == temporaries(base) {
			if f := lockLeftover(path); f != nil {
				os.Remove(path)
				f.Close()
			}
		}
	})
}

// each calls f with the paths of a folder's entries whose names end in mark and RANDOM, and with the names before RANDOM.
func each(dir string, f func(path, name string)) {
	if dir == "" {
		dir = "."
	}
	d, err := openFolder(dir)
	if err != nil {
		return
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1000)
		for _, n := range names {
			at := len(n) - randomSize
			if at >= 0 && strings.HasSuffix(n[:at], mark) && strings.Trim(n[at:], "0123456789abcdef") == "" {
				f(filepath.Join(dir, n), n[:at])
			}
		}
		if err != nil || len(names) == 0 { // io.EOF, or an error that would come again
			return
		}
	}
}
