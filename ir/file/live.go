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

// live lists the temporaries and folders that this process has begun and not finished, the oldest first. Whoever begins or finishes something holds the
// lock meanwhile, so that AbandonAll sees all of it; once it has the lock nothing more is begun.
var live registry

type registry struct {
	sync.Mutex
	items []unfinished
}

// unfinished is something to remove if the process ends before it is done.
type unfinished interface{ abandon() }

func (r *registry) forget(u unfinished) {
	r.items = slices.DeleteFunc(r.items, func(x unfinished) bool { return x == u })
}

// AbandonAll removes every temporary, temporary folder and new folder of this process that is not finished, for a process
// that is about to end, while its other goroutines may still write, and returns the names of the files of Part that stay, the
// oldest first. It waits for a Commit that is under way. Afterwards Create, Part, MkdirAll, Lock, Commit, Abandon, TempDir and
// Remove do not return.
func AbandonAll() (kept []string) {
	live.Lock() // for ever
	for _, u := range slices.Backward(live.items) {
		if f, ok := u.(*File); ok && f.keeps() {
			kept = append(kept, f.Name())
		}
		u.abandon()
	}
	slices.Reverse(kept)
	return kept
}

// A temporary is called .NAME.multiway-RANDOM, a temporary folder multiway-RANDOM: names that nobody gives by hand.
const (
	mark       = "multiway-"
	randomSize = 16
	maxBase    = 200 // bytes of NAME, so that the whole is no longer than file systems allow
)

func random() string {
	var b [randomSize / 2]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// temporaries returns the prefix of the names of a file's temporaries.
func temporaries(base string) string { return "." + base[:min(len(base), maxBase)] + "." + mark }

func temporary(base string) string { return temporaries(base) + random() }

// errTaken says that another process took a new temporary for a leftover before it was locked.
var errTaken = errors.New("each new temporary file is taken away at once; write to a folder of another file system")

// again reports whether another random name may do after an error of this try, the first of which is 1. Where a file system
// has one file by two identities no name does.
func again(err error, try int) bool {
	return try < 100 && (errors.Is(err, fs.ErrExist) || errors.Is(err, errTaken))
}

// sweep removes the temporaries in a folder that no process holds: the temporaries of the file called base, or of all files if
// base is "". A file that cannot be removed stays: somebody else's files are no reason to fail.
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
		if err != nil || len(names) == 0 { // io.EOF, or what a later call would meet again
			return
		}
	}
}
