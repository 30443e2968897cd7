package interrupt

import "syscall"

// orphan has a process end with this one, also if this one is killed: the go command would go on, and make again what the
// next run removes as left over. Linux does so when the thread that began the process ends, and Go keeps its threads.
func orphan(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
