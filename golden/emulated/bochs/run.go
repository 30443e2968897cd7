//go:build linux

package bochs

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/multiway-go/multiway/ir/file"
)

// Job is a program to run in the guest, and the machine to emulate.
type Job struct {
	CPU string // name of a CPU model of Bochs

	// Files are files and folders of this machine to copy into the guest, by their slash-separated paths below [Root]. The
	// program is one of them.
	Files map[string]string

	Command

	Memory  int // memory of the guest in MiB, including the files; 0 is 1024
	Seconds int // limit of the emulator's CPU time; 0 is 900
}

// Command is the program that the guest's first process runs.
type Command struct {
	Args []string // the program's path below Root, and its arguments
	Env  []string // its environment besides HOME, TMPDIR and PATH, as A=b
	Dir  string   // its working directory, below Root; "" is Root
}

// Paths in the guest, and the text that separates the program's output from its exit status on the serial port Port.
const (
	Root        = "/job"
	CommandFile = "/command.json"
	Port        = "/dev/ttyS1"
	Trailer     = "\x00exit "
)

// ExitError is the error of Machine.Run for a program that ended with a status other than 0.
type ExitError struct{ Status int } // its exit status, or 128 and the signal that ended it

func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d in the guest", e.Status) }

// boot is the kernel's command line.
//
// The time stamp counter runs at the rate ips of the configuration below, whatever the model's CPUID says. FSRM (580) is off
// because some kernels crash while they patch themselves; programs still see it. A panic restarts the machine by a triple
// fault, which ends Bochs.
const boot = "console=ttyS0,115200 quiet panic=-1 reboot=t acpi=off tsc_early_khz=100000 tsc=reliable clearcpuid=580 nokaslr mitigations=off nopti edd=off audit=0 " +
	"random.trust_cpu=on i8042.noaux i8042.nokbd cryptomgr.notests"

const config = `config_interface: textconfig
display_library: nogui
memory: guest=%[1]d, host=%[1]d
romimage: file=%[2]s/bios, options=fastboot
vgaromimage: file=%[2]s/vgabios
cpu: model=%[3]s, exclude_features="la57", count=1, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=utc
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=%[4]s/cd.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=/dev/fd/3
com2: enabled=1, mode=file, dev=/dev/fd/4
log: %[4]s/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
`

// Run boots a guest, runs the job there, and writes its stdout and stderr, mixed, to out. If the program fails, the error is an
// *ExitError. Any other error means that the program did not end; it quotes the guest's console.
func (m *Machine) Run(ctx context.Context, job Job, out io.Writer) (err error) {
	temp, err := file.TempDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, temp.Remove()) }()
	dir := temp.Path
	if err := m.disc(ctx, dir, job); err != nil {
		return err
	}
	conf := filepath.Join(dir, "bochsrc")
	if err := os.WriteFile(conf, fmt.Appendf(nil, config, cmp.Or(job.Memory, 1024), m.dir, job.CPU, dir), 0o666); err != nil {
		return err
	}
	var console, said bytes.Buffer
	status := &trailer{w: out}
	cmd := exec.CommandContext(ctx, filepath.Join(m.dir, "bochs"), "-q", "-f", conf)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	cmd.Env = append(os.Environ(), "BXSHARE="+m.dir)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL} // Bochs ends with this process
	var ports sync.WaitGroup
	for _, w := range []io.Writer{&console, status} {
		r, port, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		defer port.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, port)
		ports.Go(func() { io.Copy(w, r) })
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	seconds := uint64(cmp.Or(job.Seconds, 900))
	limit := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds}, nil)
	if limit != nil {
		cmd.Process.Kill()
	}
	ended := cmd.Wait() // always an error: Bochs reports a guest that turns itself off as a fault
	for _, port := range cmd.ExtraFiles {
		port.Close()
	}
	ports.Wait()
	code, ok := status.exit()
	switch {
	case limit != nil:
		return limit
	case status.err != nil:
		return status.err
	case ok && code != 0:
		return &ExitError{code}
	case ok:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	why := fmt.Sprintf("the guest (%s) ended before the program: %v", job.CPU, ended)
	if cmd.ProcessState.UserTime().Seconds()+cmd.ProcessState.SystemTime().Seconds() > float64(seconds)-1 {
		why = fmt.Sprintf("the guest (%s) did not end within %d s of CPU time", job.CPU, seconds)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "bochs.log"))
	return fmt.Errorf("%s\n--- console\n%s\n--- emulator\n%s\n%s", why, tail(console.Bytes()), tail(said.Bytes()), tail(log))
}

// disc writes the CD that the guest boots from to cd.iso in dir: a boot loader, the Linux kernel and the initial file
// system.
func (m *Machine) disc(ctx context.Context, dir string, job Job) error {
	iso := filepath.Join(dir, "iso")
	if err := os.Mkdir(iso, 0o777); err != nil {
		return err
	}
	for _, name := range []string{"vmlinuz", "isolinux.bin", "ldlinux.c32"} {
		data, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(iso, name), data, 0o666); err != nil { // xorriso writes to isolinux.bin
			return err
		}
	}
	menu := "DEFAULT l\nPROMPT 0\nLABEL l\n KERNEL /vmlinuz\n INITRD /initrd\n APPEND " + boot + "\n"
	if err := os.WriteFile(filepath.Join(iso, "isolinux.cfg"), []byte(menu), 0o666); err != nil {
		return err
	}
	if err := m.initrd(filepath.Join(iso, "initrd"), job); err != nil {
		return err
	}
	in := installer{ctx, io.Discard}
	if err := in.run(command{}, "xorriso", "-as", "mkisofs", "-quiet", "-o", filepath.Join(dir, "cd.iso"), "-b", "isolinux.bin", "-c", "boot.cat",
		"-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", iso); err != nil {
		return err
	}
	return os.RemoveAll(iso)
}

// initrd writes the guest's initial file system to path: the init program, the job's command and files, and empty folders
// to mount on.
func (m *Machine) initrd(path string, job Job) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewWriter(f)
	w := newCpio(b)
	c, err := json.Marshal(job.Command)
	if err != nil {
		return err
	}
	w.data(CommandFile, c)
	w.tree("/init", m.init)
	for _, name := range []string{"/dev", "/proc", "/sys", "/tmp", Root} {
		w.folder(name)
	}
	for _, to := range slices.Sorted(maps.Keys(job.Files)) {
		w.tree(Root+"/"+to, job.Files[to])
	}
	if err := errors.Join(w.close(), b.Flush()); err != nil {
		return err
	}
	return f.Close()
}

// trailer is a writer for the output of a guest, which ends with Trailer and the program's exit status. It passes on to w
// what comes before Trailer, and keeps the status for exit.
type trailer struct {
	w    io.Writer
	rest []byte // output from a byte on that may begin the trailer
	err  error  // error of w
}

func (t *trailer) Write(p []byte) (int, error) {
	text := append(t.rest, p...)
	at := max(0, len(text)-len(Trailer)-len("255\n"))
	if i := strings.LastIndex(string(text), Trailer); i >= 0 {
		at = i
	}
	if t.err == nil {
		_, t.err = t.w.Write(text[:at])
	}
	t.rest = bytes.Clone(text[at:])
	return len(p), nil
}

// exit returns the exit status at the end of the guest's output; ok is false if the output has none. It is called after the
// last Write.
func (t *trailer) exit() (code int, ok bool) {
	if n, _ := fmt.Sscanf(string(t.rest), Trailer+"%d\n", &code); n == 1 && bytes.HasSuffix(t.rest, []byte("\n")) {
		return code, true
	}
	if t.err == nil {
		_, t.err = t.w.Write(t.rest)
	}
	t.rest = nil
	return 0, false
}
