package pixel

import "fmt"

// The values of Alpha say how a transparent pixel is converted to RGB.
const (
	White Alpha = iota // composited over white
	Black              // composited over black
	Drop               // alpha is ignored: the stored colour counts, as in Pillow's convert("RGB")
)

// Alpha is the treatment of transparency: White, Black or Drop.
type Alpha uint8

// String returns the name: white, black or drop.
func (a Alpha) String() string {
	switch a {
	case White:
		return "white"
	case Black:
		return "black"
	case Drop:
		return "drop"
	}
	return fmt.Sprintf("Alpha(%d)", uint8(a))
}

// check returns an error unless a is one of the three.
func (a Alpha) check() error {
	if a > Drop {
		return fmt.Errorf("unknown alpha %v, want white, black or drop", a)
	}
	return nil
}

// over converts an 8-bit channel c, not premultiplied, of a pixel of opacity o (0 to 255). White and
// Black composite it over a background b of 255 or 0: (c*o + b*(255-o)) / 255, rounded. Drop returns
// c.
func (a Alpha) over(c, o uint8) uint8 {
	switch a {
	case White:
		return uint8((uint(c)*uint(o) + 255*(255-uint(o)) + 127) / 255)
	case Black:
		return uint8((uint(c)*uint(o) + 127) / 255)
	}
	return c
}

// over8 is over for a channel c that is premultiplied by o. Drop divides c by the opacity; the
// precision lost by premultiplication is not restored, and a pixel of opacity 0 is black.
func (a Alpha) over8(c, o uint8) uint8 {
	switch {
	case a == White:
		return uint8(min(uint(c)+255-uint(o), 255))
	case a == Black || o == 0:
		return c
	}
	return uint8(min(255*uint(c)/uint(o), 255))
}

// over16 is over8 for 16-bit channels. For White and Black, 8-bit channels widened to 16 bits
// give the results of over8.
func (a Alpha) over16(c, o uint32) uint8 {
	o = min(o, 0xffff)
	switch {
	case a == White:
		return uint8(min(c+0xffff-o, 0xffff) >> 8)
	case a == Black || o == 0:
		return uint8(min(c, 0xffff) >> 8)
	}
	return uint8(min(uint64(c)*0xffff/uint64(o), 0xffff) >> 8)
}
