//go:build unix && !linux

package interrupt

import "syscall"

// orphan does nothing: the system has no word for it.
func orphan(*syscall.SysProcAttr) {}
