//go:build !js

package index

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/half"
)

// lanes is the number of vectors of a panel: the columns of a panel of weights.
const lanes = 16

// snapshot is the state of an index after one change: which slots hold vectors, and the mapped vectors. Slot s is lane s%16 of panel
// s/16, whose values are in the order [dim][16], as those of a matrix of f16 weights with a column for each vector.
type snapshot struct {
	mark   mark
	about  about
	path   string
	dim    int
	panels []panelRecord
	live   int // vectors
	data   []byte
	unmap  func() error

	proved []atomic.Bool // by panel: its bytes were compared with their checksum
}

// newSnapshot maps the vectors of f that the records tell of. A file that was cut is refused, or with repair gets zeros for what it
// lacks, which have other checksums.
func newSnapshot(t tx, m mark, a about, f *os.File, repair bool) (*snapshot, error) {
	s := &snapshot{mark: m, about: a, path: f.Name(), dim: a.Dim}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	have := (st.Size() - vectorsHead) / s.panelBytes()
	for k, v := range t.each(bucketPanels, nil) {
		if len(k) != 4 || len(v) != 6 || binary.BigEndian.Uint32(k) != uint32(len(s.panels)) {
			return nil, damaged(t.DB().Path(), errRecord)
		}
		p := panelRecord{binary.LittleEndian.Uint16(v), binary.LittleEndian.Uint32(v[2:])}
		s.panels = append(s.panels, p)
		s.live += bits.OnesCount16(p.lanes)
	}
	size := int64(len(s.panels)) * s.panelBytes()
	switch {
	case int64(int(size)) != size:
		return nil, fmt.Errorf("%d bytes of vectors are too many for this system", size)
	case int64(len(s.panels)) > have && repair:
		if err := os.Truncate(s.path, vectorsHead+size); err != nil {
			return nil, file.PathError(s.path, err)
		}
	case int64(len(s.panels)) > have:
		return nil, damaged(s.path, fmt.Errorf("it ends after %d of %d panels", max(0, have), len(s.panels)))
	}
	s.proved = make([]atomic.Bool, len(s.panels))
	if len(s.panels) == 0 {
		return s, nil
	}
	s.data, s.unmap, err = blob.Map(f, vectorsHead, int(size))
	return s, err
}

func (s *snapshot) panelBytes() int64 { return int64(s.dim) * lanes * 2 }

func (s *snapshot) release() error {
	if s.unmap == nil {
		return nil
	}
	return s.unmap()
}

func (s *snapshot) panel(i int) []byte {
	n := int(s.panelBytes())
	return s.data[i*n : (i+1)*n : (i+1)*n]
}

// prove compares a panel with its checksum, the first time that it is asked.
func (s *snapshot) prove(i int) error {
	if s.proved[i].Load() {
		return nil
	}
	if err := s.panels[i].check(s.panel(i)); err != nil {
		return damaged(s.path, fmt.Errorf("panel %d: %w", i, err))
	}
	s.proved[i].Store(true)
	return nil
}

// proveAll proves all panels.
func (s *snapshot) proveAll() (err error) {
	defer guard(blob.Watch(), s.path, s.data, &err)
	for i := range s.panels {
		if err := s.prove(i); err != nil {
			return err
		}
	}
	return nil
}

var errSum = errors.New("its bytes are not those that were written")

// check compares the bytes of a panel with its checksum. Lanes without vectors hold anything.
func (p panelRecord) check(data []byte) error {
	if crc32.Checksum(data, castagnoli) == p.sum || sumOf(data, p.lanes) == p.sum {
		return nil
	}
	return errSum
}

// sumOf returns the CRC-32C of a panel with zeros in the lanes that are not given.
func sumOf(data []byte, keep uint16) uint32 {
	masked := slices.Clone(data)
	clearLanes(masked, ^keep)
	return crc32.Checksum(masked, castagnoli)
}

// clearLanes sets lanes of a panel to zeros.
func clearLanes(data []byte, which uint16) {
	for l := range lanes {
		if which>>l&1 == 0 {
			continue
		}
		for i := 2 * l; i < len(data); i += 2 * lanes {
			data[i], data[i+1] = 0, 0
		}
	}
}

// vector returns the vector of a slot.
func (s *snapshot) vector(slot uint32) (v []float32, err error) {
	i, lane := int(slot/lanes), int(slot%lanes)
	if i >= len(s.panels) || s.panels[i].lanes>>lane&1 == 0 {
		return nil, damaged(s.path, fmt.Errorf("slot %d has no vector", slot))
	}
	defer guard(blob.Watch(), s.path, s.data, &err)
	if err := s.prove(i); err != nil {
		return nil, err
	}
	v = make([]float32, s.dim)
	for j, p := 0, s.panel(i)[2*lane:]; j < s.dim; j++ {
		v[j] = half.From(binary.LittleEndian.Uint16(p[2*lanes*j:]))
	}
	return v, nil
}

// scanner multiplies queries by panels.
type scanner struct {
	threads      int
	wide, narrow []kernel.GemmNarrow // nil: in plain Go
	width        int                 // panels of a wide tile
}

func newScanner(c Config) (sc scanner, err error) {
	sc = scanner{threads: c.Threads, width: 1}
	if sc.threads < 1 {
		sc.threads = kernel.Cores()
	}
	if c.Kernels == nil {
		return sc, nil
	}
	k, _, err := kernel.Choose(c.Kernels, c.Level)
	if err != nil {
		return sc, err
	}
	if w := k.Widens(blob.F16.String()); w != nil && !w.Preconvert {
		sc.wide, sc.narrow, sc.width = w.Gemm, w.Gemm16, w.NR/lanes
	}
	return sc, nil
}

const (
	// atOnce is the number of queries that share one pass over the vectors.
	atOnce = 4
	// partBytes is about the size of the part of the vectors that a thread takes at a time.
	partBytes = 1 << 20
)

// scored is a slot and its score.
type scored struct {
	slot  uint32
	score float32
}

// compareScored orders the better first.
func compareScored(a, b scored) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.slot, b.slot))
}

// best collects the k best of the slots that it is offered, all for k = 0.
type best struct {
	k     int
	list  []scored
	full  bool
	least float32 // if full: nothing with a score below it is among the k best
}

// spare is how many more slots than 2k a best holds before it is cut, so that few slots are not sorted often.
const spare = 64

func (b *best) offer(s scored) {
	if b.list = append(b.list, s); b.k > 0 && len(b.list) >= 2*b.k+spare {
		b.cut()
		b.full, b.least = true, b.list[b.k-1].score
	}
}

// cut sorts the slots, best first, and keeps the k best.
func (b *best) cut() {
	slices.SortFunc(b.list, compareScored)
	if b.k > 0 && len(b.list) > b.k {
		b.list = b.list[:b.k]
	}
}

// search returns the k best slots for each query, best first.
func (s *snapshot) search(ctx context.Context, sc *scanner, queries [][]float32, k int) ([][]scored, error) {
	var results [][]scored
	for part := range slices.Chunk(queries, atOnce) {
		found, err := s.pass(ctx, sc, part, k)
		if err != nil {
			return nil, err
		}
		results = append(results, found...)
	}
	return results, nil
}

// pass is search for as many queries as share one pass.
func (s *snapshot) pass(ctx context.Context, sc *scanner, queries [][]float32, k int) ([][]scored, error) {
	rows := make([]float32, 0, len(queries)*s.dim)
	for _, q := range queries {
		rows = append(rows, q...)
	}
	// A part is a whole number of wide tiles.
	part := max(1, partBytes/int(s.panelBytes())/sc.width) * sc.width
	parts := (len(s.panels) + part - 1) / part
	threads := max(1, min(sc.threads, parts))
	found := make([][]best, threads)
	errs := make([]error, threads)
	var next atomic.Int64
	var wait sync.WaitGroup
	for w := range threads {
		wait.Go(func() {
			found[w] = make([]best, len(queries))
			for q := range found[w] {
				found[w][q].k = k
			}
			for {
				i := int(next.Add(1)) - 1
				if i >= parts || errs[w] != nil {
					return
				}
				if errs[w] = ctx.Err(); errs[w] == nil {
					errs[w] = s.scan(sc, rows, i*part, min((i+1)*part, len(s.panels)), found[w])
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	results := make([][]scored, len(queries))
	for q := range results {
		all := best{k: k}
		for w := range found {
			all.list = append(all.list, found[w][q].list...)
		}
		all.cut()
		results[q] = all.list
	}
	return results, nil
}

// scan offers the vectors of panels from up to end.
func (s *snapshot) scan(sc *scanner, rows []float32, from, end int, found []best) (err error) {
	defer guard(blob.Watch(), s.path, s.data, &err)
	c := make([]float32, len(found)*sc.width*lanes)
	for p := from; p < end; {
		n := 1
		if p+sc.width <= end {
			n = sc.width
		}
		for i := p; i < p+n; i++ {
			if err := s.prove(i); err != nil {
				return err
			}
		}
		s.product(sc, rows, p, n, end, c, len(found))
		for q := range found {
			b := &found[q]
			for i := range n {
				live := s.panels[p+i].lanes
				for l, score := range c[(q*n+i)*lanes:][:lanes] {
					if live>>l&1 == 0 || b.full && score < b.least {
						continue
					}
					b.offer(scored{uint32((p+i)*lanes + l), score})
				}
			}
		}
		p += n
	}
	return nil
}

// product computes the dot products of m queries and the vectors of n panels from p on: rows [m][dim], c [m][n*16].
func (s *snapshot) product(sc *scanner, rows []float32, p, n, end int, c []float32, m int) {
	tiles := sc.narrow
	if n > 1 || sc.width == 1 {
		tiles = sc.wide
	}
	if tiles == nil || len(tiles) <= m {
		for i := range n {
			plainProduct(rows, s.panel(p+i), c[i*lanes:], n*lanes, s.dim, m)
		}
		return
	}
	b := &s.panel(p)[0]
	ahead := b
	if p+2*n <= end {
		ahead = &s.panel(p + n)[0]
	}
	tiles[m](1, s.dim, &rows[0], s.dim, b, s.dim*lanes, &c[0], n*lanes, nil, 0, ahead, 64)
}

// plainProduct computes the dot products of m queries and the vectors of one panel: rows [m][dim], c [m][ldc]. It is what the
// kernels must agree with.
func plainProduct(rows []float32, panel []byte, c []float32, ldc, dim, m int) {
	for q := range m {
		var sum [lanes]float32
		for j, x := range rows[q*dim:][:dim] {
			row := panel[2*lanes*j:][:2*lanes]
			for l := range lanes {
				sum[l] += float32(x * half.From(uint16(row[2*l])|uint16(row[2*l+1])<<8))
			}
		}
		copy(c[q*ldc:], sum[:])
	}
}

// restore sets what a memory fault of this goroutine does, as [blob.Watch] found it.
func restore(before bool) { debug.SetPanicOnFault(before) }

// within reports whether an address lies in mapped memory.
func within(addr uintptr, mapped []byte) bool {
	from := uintptr(unsafe.Pointer(unsafe.SliceData(mapped)))
	return len(mapped) > 0 && addr >= from && addr-from < uintptr(len(mapped))
}
