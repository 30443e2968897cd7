package torchsave

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// pickler writes a pickle of protocol 2. Repeated strings and classes are references to the
// memo, as in Python.
type pickler struct {
	bytes.Buffer
	memo map[string]uint32
}

func newPickler() *pickler {
	p := &pickler{memo: map[string]uint32{}}
	return p.op(0x80, 2)
}

func (p *pickler) op(b ...byte) *pickler { p.Write(b); return p }

// again writes a reference to the memo's entry of a key. If there is none, it calls first and stores the value.
func (p *pickler) again(key string, first func()) *pickler {
	if k, ok := p.memo[key]; ok {
		p.WriteByte('j')
		p.Write(binary.LittleEndian.AppendUint32(nil, k))
		return p
	}
	first()
	k := uint32(len(p.memo))
	p.memo[key] = k
	p.WriteByte('r')
	p.Write(binary.LittleEndian.AppendUint32(nil, k))
	return p
}

func (p *pickler) text(s string) *pickler {
	return p.again("text "+s, func() {
		p.WriteByte('X')
		p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
		p.WriteString(s)
	})
}

func (p *pickler) class(module, name string) *pickler {
	return p.again("class "+module+" "+name, func() { fmt.Fprintf(p, "c%s\n%s\n", module, name) })
}

func (p *pickler) int(n int) *pickler {
	if n == int(int32(n)) {
		p.WriteByte('J')
		p.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
		return p
	}
	p.Write([]byte{0x8a, 8}) // LONG1
	p.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	return p
}

func (p *pickler) float(v float64) *pickler {
	p.WriteByte('G')
	p.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	return p
}

func (p *pickler) ints(v []int) *pickler {
	p.op('(')
	for _, n := range v {
		p.int(n)
	}
	return p.op('t')
}

// dict writes a dict; body writes its items, keys and values in turn.
func (p *pickler) dict(body func()) *pickler {
	p.op('}', '(')
	body()
	return p.op('u')
}

// ordered is like dict, for collections.OrderedDict, the class of state dicts.
func (p *pickler) ordered(body func()) *pickler {
	p.class("collections", "OrderedDict").op(')', 'R', '(')
	body()
	return p.op('u')
}

// object writes an instance of a class with attributes.
func (p *pickler) object(module, name string, body func()) *pickler {
	p.class(module, name).op(')', 0x81)
	return p.dict(body).op('b')
}

// tensor writes a view of a storage.
func (p *pickler) tensor(s *storage, v view, legacy bool) *pickler {
	p.class("torch._utils", "_rebuild_tensor_v2").op('(')
	p.op('(').text("storage").class("torch", s.class).text(s.key).text("cpu").int(s.n)
	if legacy {
		p.op('N') // no view of another storage
	}
	p.op('t', 'Q')
	p.int(v.offset).ints(v.shape).ints(v.strides).op(0x89)
	return p.class("collections", "OrderedDict").op(')', 'R', 't', 'R')
}
