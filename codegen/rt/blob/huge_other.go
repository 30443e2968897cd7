//go:build !linux

package blob

// copyHuge is implemented on Linux only.
func copyHuge([]byte) (copied []byte, release func() error, ok bool) { return nil, nil, false }

// adviseHuge is implemented on Linux only.
func adviseHuge([]byte) {}
