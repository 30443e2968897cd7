//go:build unix && !linux

package interrupt

import "syscall"

// orphan does nothing: only Linux can tie the life of a child to its parent.
func orphan(*syscall.SysProcAttr) {}
