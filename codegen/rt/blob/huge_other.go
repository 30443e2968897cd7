//go:build !linux

package blob

// copyHuge is only available on Linux.
func copyHuge([]byte) (copied []byte, release func() error, ok bool) { return nil, nil, false }
