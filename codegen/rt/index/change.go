//go:build !js

package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/half"
)

// change adds items and removes names by one transaction. In this order, a process that ends at any moment leaves the index as it
// was or as it will be:
//
//  1. New vectors are written to slots that are free before the change; a slot that it frees is not used again by it. The vectors
//     of the index stay as they are, so that searches meanwhile are right too.
//  2. A mark says that the records are being changed, and the file of vectors is synced.
//  3. The records are changed, which their library does all at once.
//  4. A mark says that they are clean, with their checksum. Until then the records are open, so that nobody reads between.
func (x *Index) change(items []Item, remove []Name) error {
	for i := range items {
		if err := x.checkItem(&items[i]); err != nil {
			return err
		}
	}
	x.changes.Lock()
	defer x.changes.Unlock()
	switch {
	case x.vectors == nil && x.closed():
		return ErrClosed
	case x.vectors == nil:
		return ErrRead
	case len(items)+len(remove) == 0:
		return nil
	}
	err := records(recordsPath(x.dir), true, func(db *bbolt.DB) error {
		if err := x.refresh(db); err != nil {
			return err
		}
		s := x.state // no other takes its place before the records are closed
		m := s.mark
		begun := false
		err := db.Update(func(t *bbolt.Tx) error {
			e := &edit{tx: tx{t}, s: s, panels: map[uint32]*newPanel{}, freed: map[uint32][32]byte{}}
			if err := e.all(items, remove); err != nil {
				return err
			}
			begun = true
			if err := e.write(x.vectors, x.step); err != nil {
				return err
			}
			x.step("mark change")
			m.clean = false
			if err := m.write(x.vectors); err != nil {
				return err
			}
			x.step("sync vectors")
			if err := x.vectors.Sync(); err != nil {
				return err
			}
			a := s.about
			a.Commit++
			x.step("change records")
			return e.setAbout(a)
		})
		if !begun {
			return err
		}
		x.step("mark clean")
		// Also after an error: the records may be written in part, of which the library takes no notice.
		e := m.setClean(db.Path())
		if e == nil {
			e = m.write(x.vectors)
		}
		return errors.Join(err, e)
	})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%s: %w", file.Quote(x.dir), err)
	}
	return err
}

func (x *Index) closed() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.done
}

// edit is a change of the records, and of the panels that it touches.
type edit struct {
	tx
	s      *snapshot
	panels map[uint32]*newPanel
	freed  map[uint32][32]byte // slots of files that were removed or replaced, and their contents
	next   uint32              // no slot below is free
}

// newPanel is a panel after a change. The data are nil if no vector is added to it.
type newPanel struct {
	lanes uint16
	data  []byte
}

// all does what is asked.
func (e *edit) all(items []Item, remove []Name) error {
	for _, n := range remove {
		if err := e.remove(n); err != nil {
			return err
		}
	}
	for i := range items {
		if err := e.add(&items[i]); err != nil {
			return err
		}
	}
	return e.free()
}

// remove removes a file, if it is there.
func (e *edit) remove(n Name) error {
	r, ok, err := e.find(n)
	if err != nil || !ok {
		return err
	}
	root, _, _ := e.root(n.Root, false)
	key := append(number(root), n.Path...)
	if r.Slot != noSlot {
		e.freed[r.Slot] = r.SHA256
		if err := e.delete(bucketPaths, append(number(r.Slot), key...)); err != nil {
			return err
		}
	}
	return e.delete(bucketFiles, key)
}

// add adds a file, or replaces what is known of it.
func (e *edit) add(it *Item) error {
	if err := e.remove(it.Name); err != nil {
		return err
	}
	root, _, err := e.root(it.Root, true)
	if err != nil {
		return err
	}
	key := append(number(root), it.Path...)
	r := record{it.Size, it.ModTime, it.Taken, it.SHA256, noSlot, it.Err}
	if it.Err == "" {
		if r.Slot, err = e.place(it); err != nil {
			return err
		}
		if err := e.put(bucketPaths, append(number(r.Slot), key...), nil); err != nil {
			return err
		}
	}
	return e.put(bucketFiles, key, r.bytes(key))
}

// place returns the slot of an item's vector: that of the same content, or a free one.
func (e *edit) place(it *Item) (uint32, error) {
	if v := e.get(bucketContents, it.SHA256[:]); len(v) == 4 {
		return binary.BigEndian.Uint32(v), nil
	}
	if it.Vector == nil {
		return 0, fmt.Errorf("%s: neither it nor the index has a vector of its content", file.Quote(it.Join()))
	}
	for ; ; e.next++ {
		i, lane := e.next/lanes, e.next%lanes
		if e.next >= maxFiles {
			return 0, fmt.Errorf("an index holds at most %d vectors", maxFiles)
		}
		if int(i) < len(e.s.panels) && e.s.panels[i].lanes>>lane&1 != 0 {
			continue
		}
		p := e.panel(i)
		if p.data == nil {
			p.data = make([]byte, e.s.panelBytes())
			if int(i) < len(e.s.panels) {
				copy(p.data, e.s.panel(int(i)))
				clearLanes(p.data, ^e.s.panels[i].lanes)
			}
		}
		for j, v := range it.Vector {
			binary.LittleEndian.PutUint16(p.data[2*(lanes*j+int(lane)):], half.To(v))
		}
		p.lanes |= 1 << lane
		slot := e.next
		e.next++
		return slot, e.put(bucketContents, it.SHA256[:], number(slot))
	}
}

// panel returns a panel to change.
func (e *edit) panel(i uint32) *newPanel {
	p := e.panels[i]
	if p == nil {
		p = &newPanel{}
		if int(i) < len(e.s.panels) {
			p.lanes = e.s.panels[i].lanes
		}
		e.panels[i] = p
	}
	return p
}

// free frees the slots that no file has any more.
func (e *edit) free() error {
	for slot, sum := range e.freed {
		used := false
		for range e.each(bucketPaths, number(slot)) {
			used = true
			break
		}
		if used {
			continue
		}
		if err := e.delete(bucketContents, sum[:]); err != nil {
			return err
		}
		e.panel(slot / lanes).lanes &^= 1 << (slot % lanes)
	}
	return nil
}

// write writes the panels to f and their records. A panel that keeps vectors is proved first: its new checksum must not be that of
// damaged bytes.
func (e *edit) write(f *os.File, step func(string)) error {
	var order []uint32
	for i := range e.panels {
		order = append(order, i)
	}
	slices.Sort(order)
	for _, i := range order {
		p := e.panels[i]
		if int(i) < len(e.s.panels) && p.lanes&e.s.panels[i].lanes != 0 {
			if err := e.s.prove(int(i)); err != nil {
				return err
			}
		}
		data := p.data
		if data == nil {
			data = e.s.panel(int(i))
		} else {
			step("write a panel")
			if _, err := f.WriteAt(data, vectorsHead+int64(i)*e.s.panelBytes()); err != nil {
				return err
			}
		}
		if err := e.put(bucketPanels, number(i), panelRecord{p.lanes, sumOf(data, p.lanes)}.bytes()); err != nil {
			return err
		}
	}
	return nil
}
