//go:build linux

// Command init is the first process of a guest of package bochs: it runs a command and turns the machine off.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/multiway-go/multiway/golden/emulated/bochs"
)

// drain is the argument of the ioctl TCSBRK that waits until all output is sent, without a break.
const drain = 1

func main() {
	if err := run(); err != nil {
		fmt.Println("init:", err) // on the console
		unix.IoctlSetInt(1, unix.TCSBRK, drain)
	}
	unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

// run runs the command in bochs.CommandFile. It sends the command's output, and then its exit status, to the serial port
// bochs.Port.
func run() error {
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}} {
		if err := unix.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	port, err := os.OpenFile(bochs.Port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	fd := int(port.Fd())
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Oflag &^= unix.OPOST // bytes go out as they are
	t.Cflag = t.Cflag&^unix.CBAUD | unix.B115200
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return err
	}
	data, err := os.ReadFile(bochs.CommandFile)
	if err != nil {
		return err
	}
	var command bochs.Command
	if err := json.Unmarshal(data, &command); err != nil {
		return err
	}
	c := exec.Command(filepath.Join(bochs.Root, command.Args[0]), command.Args[1:]...)
	c.Env = append([]string{"HOME=/tmp", "TMPDIR=/tmp", "PATH=" + bochs.Root}, command.Env...)
	c.Dir = filepath.Join(bochs.Root, command.Dir)
	c.Stdout, c.Stderr = port, port
	status := 0
	err = c.Run()
	var x *exec.ExitError
	switch {
	case errors.As(err, &x):
		status = x.ExitCode()
		if w := x.Sys().(syscall.WaitStatus); w.Signaled() {
			status = 128 + int(w.Signal())
		}
	case err != nil:
		return err
	}
	if _, err := fmt.Fprintf(port, bochs.Trailer+"%d\n", status); err != nil {
		return err
	}
	return unix.IoctlSetInt(fd, unix.TCSBRK, drain)
}
