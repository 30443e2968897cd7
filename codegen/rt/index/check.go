//go:build !js

package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Report is the result of Check.
type Report struct {
	Stats
	Damaged int // files whose vectors are damaged
}

// Check reads all of the index at a path, and proves that its vectors have their checksums and that its records agree with each
// other. Damage is ErrDamaged. With repair it opens the index for changes, and removes the files whose vectors are damaged or cut
// off, so that they are new ones to whoever adds files next; damage of another kind is ErrDamaged all the same.
func Check(path string, c Config, repair bool) (Report, error) {
	x, err := open(path, c, repair, repair)
	if err != nil {
		return Report{}, err
	}
	defer x.Close()
	rep, lost, err := x.check()
	switch {
	case err != nil || len(lost) == 0:
		return rep, err
	case !repair:
		return rep, damaged(vectorsPath(path), fmt.Errorf("the vectors of %d files are not those that were written", len(lost)))
	}
	return rep, x.Remove(lost...)
}

// check returns the files whose vectors are damaged.
func (x *Index) check() (rep Report, lost []Name, err error) {
	err = x.read(func(t tx, s *snapshot) error {
		wrong := func(what string) error { return damaged(recordsPath(x.dir), errors.New(what)) }
		bad := map[int]bool{}
		for i := range s.panels {
			if err := s.prove(i); err != nil {
				bad[i] = true
			}
		}
		roots := t.roots()
		live := make([]uint16, len(s.panels))
		for k, v := range t.each(bucketFiles, nil) {
			n, err := t.name(roots, k)
			if err != nil {
				return wrong(err.Error())
			}
			r, err := parseRecord(k, v)
			if err != nil {
				return wrong(err.Error())
			}
			if (r.Slot == noSlot) != (r.Err != "") {
				return wrong("a file has a vector and an error, or neither")
			}
			if r.Slot == noSlot {
				rep.Failed++
				continue
			}
			rep.Files++
			i, lane := int(r.Slot/lanes), r.Slot%lanes
			switch c := t.get(bucketContents, r.SHA256[:]); {
			case i >= len(s.panels) || s.panels[i].lanes>>lane&1 == 0:
				return wrong("a file's slot has no vector")
			case len(c) != 4 || binary.BigEndian.Uint32(c) != r.Slot:
				return wrong("two slots have one content")
			case t.get(bucketPaths, append(number(r.Slot), k...)) == nil:
				return wrong("a slot does not know its file")
			}
			live[i] |= 1 << lane
			if bad[i] {
				rep.Damaged++
				lost = append(lost, n)
			}
		}
		for i, p := range s.panels {
			if live[i] != p.lanes {
				return wrong("a vector has no file")
			}
			rep.Vectors += bits.OnesCount16(p.lanes)
		}
		paths := 0
		for range t.each(bucketPaths, nil) {
			paths++
		}
		if contents := t.Bucket(bucketContents).Stats().KeyN; paths != rep.Files || contents != rep.Vectors {
			return wrong(fmt.Sprintf("%d files and %d vectors, of which it lists %d and %d", rep.Files, rep.Vectors, paths, contents))
		}
		return nil
	})
	return rep, lost, err
}
