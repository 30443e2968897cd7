package interrupt

import "syscall"

// orphan makes the kernel kill the child when this process dies, even by SIGKILL. Otherwise a
// go command would live on and create files again that the next run has removed as leftovers.
// Linux sends the signal when the thread that started the child exits; the Go runtime keeps its
// threads.
func orphan(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
