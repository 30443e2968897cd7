//go:build linux

package bochs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// EnvCache is the environment variable with a folder for the emulator, instead of one in the user's cache.
const EnvCache = "MULTIWAY_BOCHS"

// suite is the release of Debian that the emulator and its kernel are from, whatever release this machine has. Bochs of older
// releases supports neither AVX512_BF16 nor AVX-VNNI.
const suite = "trixie"

// keyring is the file with the public keys by which apt checks signatures of Debian's releases.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// configure holds the options with which Bochs is built, without a screen. AMX is left out because Linux panics on Bochs's
// AMX.
var configure = []string{
	"--with-nogui", "--without-x11", "--disable-plugins", "--disable-docbook", "--disable-show-ips",
	"--enable-x86-64", "--enable-cpu-level=6", "--enable-avx", "--enable-evex", "--enable-all-optimizations",
	"CFLAGS=-O2 -w", "CXXFLAGS=-O2 -w",
}

// parts lists the files that the machine boots from: the Debian package of each, its path there, and its name in the
// emulator's folder. The kernel is Debian's cloud kernel, which is small because it has no drivers for hardware.
var parts = []struct{ pkg, path, name string }{
	{"bochsbios", "usr/share/bochs/BIOS-bochs-latest", "bios"},
	{"vgabios", "usr/share/vgabios/vgabios.bin", "vgabios"},
	{"isolinux", "usr/lib/ISOLINUX/isolinux.bin", "isolinux.bin"},
	{"syslinux-common", "usr/lib/syslinux/modules/bios/ldlinux.c32", "ldlinux.c32"},
	{"linux-image-cloud-amd64", "boot/vmlinuz-*", "vmlinuz"},
}

// tool is a program that building or running the emulator needs on this machine, and the Debian package that has it.
type tool struct{ name, pkg string }

var (
	runTools   = []tool{{"xorriso", "xorriso"}}
	buildTools = append(runTools, tool{"g++", "g++"}, tool{"make", "make"}, tool{"tar", "tar"}, tool{"xz", "xz-utils"})
)

// Machine is an emulator that is ready to run guests. Several goroutines may use it at the same time.
type Machine struct{ dir, init string }

// Open returns the emulator, and builds it the first time. This needs a Debian system for amd64, minutes of CPU time, 50 MB from
// the Debian mirror of this machine's apt, and root if tools are missing. Only one process builds it at a time. scratch is a
// folder for files that the machine needs while it is used. Progress is written to log.
func Open(ctx context.Context, scratch string, log io.Writer) (*Machine, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("bochs: this machine is linux/%s, want linux/amd64", runtime.GOARCH)
	}
	dir, err := cache()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return nil, err
	}
	lock, err := os.Create(dir + ".lock")
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		fmt.Fprintln(log, "waiting for another process that makes the emulator")
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
			return nil, fmt.Errorf("%s: %w", lock.Name(), err)
		}
	}
	in := installer{ctx, log}
	if _, err := os.Stat(dir); err != nil {
		parts, _ := filepath.Glob(dir + ".part*") // left by a run that was killed
		for _, p := range parts {
			os.RemoveAll(p) // may fail while a compiler of that run still writes there
		}
		temp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".part")
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(log, "making the emulator in %s\n", dir)
		if err := in.make(temp); err != nil {
			return nil, errors.Join(err, os.RemoveAll(temp))
		}
		if err := os.Rename(temp, dir); err != nil {
			return nil, err
		}
	}
	if err := in.tools(runTools); err != nil {
		return nil, err
	}
	m := &Machine{dir: dir, init: filepath.Join(scratch, "init")}
	return m, in.run(command{env: []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0"}},
		"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", m.init, "github.com/multiway-go/multiway/golden/emulated/bochs/init")
}

// cache returns the emulator's folder. Its name contains a hash of suite, configure and parts, so a change of these makes a
// new emulator.
func cache() (string, error) {
	base := os.Getenv(EnvCache)
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("%w; set %s to a folder to keep the emulator in", err, EnvCache)
		}
		base = filepath.Join(user, "multiway")
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return "", err
	}
	recipe := sha256.Sum256(fmt.Append(nil, suite, configure, parts))
	return filepath.Join(base, fmt.Sprintf("bochs-%x", recipe[:6])), nil
}

// installer runs the programs that build the emulator, until ctx is done, and writes progress to log.
type installer struct {
	ctx context.Context
	log io.Writer
}

// make builds the emulator in dir, which is empty: it installs missing tools, fetches the boot files and compiles Bochs.
func (in installer) make(dir string) error {
	if err := in.tools(buildTools); err != nil {
		return err
	}
	work := filepath.Join(dir, "work")
	apt, err := in.archive(work)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := in.part(apt, work, p.pkg, p.path, filepath.Join(dir, p.name)); err != nil {
			return err
		}
	}
	if err := in.bochs(apt, work, filepath.Join(dir, "bochs")); err != nil {
		return err
	}
	return os.RemoveAll(work)
}

// archive fetches the package lists of suite to a folder, so that the machine's own lists do not change, and returns the options
// with which apt uses them. apt checks signatures.
func (in installer) archive(work string) (options []string, err error) {
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o777); err != nil {
			return nil, err
		}
	}
	sources := filepath.Join(work, "sources.list")
	none := filepath.Join(work, "none")
	options = []string{"-q", "-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=" + none,
		"-o", "Dir::Etc::preferences=" + none, "-o", "Dir::Etc::preferencesparts=" + none,
		"-o", "Dir::State::lists=" + filepath.Join(work, "lists"), "-o", "Dir::Cache=" + filepath.Join(work, "cache"),
		"-o", "APT::Sandbox::User=", "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3"}
	if err := os.Mkdir(none, 0o777); err != nil {
		return nil, err
	}
	out, err := in.output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
	if err != nil {
		return nil, err
	}
	var mirrors []string // one of them has the suite; the others have updates, or are of other publishers
	for m := range strings.FieldsSeq(out) {
		if !slices.Contains(mirrors, m) {
			mirrors = append(mirrors, m)
		}
	}
	var failed []error
	for _, m := range mirrors {
		line := fmt.Sprintf("[signed-by=%s] %s %s main\n", keyring, m, suite)
		if err := os.WriteFile(sources, []byte("deb "+line+"deb-src "+line), 0o666); err != nil {
			return nil, err
		}
		err := in.apt(command{}, options, "update", "--error-on=any")
		if err == nil {
			return options, nil
		}
		failed = append(failed, err)
	}
	return nil, fmt.Errorf("none of the package archives that apt knows here (%s) has Debian %s: add a Debian mirror to apt's sources\n%w",
		strings.Join(mirrors, ", "), suite, errors.Join(failed...))
}

// part extracts the file at path in a Debian package to the path to. The package linux-image-cloud-amd64 is empty; it
// stands for the newest kernel's package, on which it depends.
func (in installer) part(apt []string, work, pkg, path, to string) error {
	x := filepath.Join(work, pkg)
	if err := os.Mkdir(x, 0o777); err != nil {
		return err
	}
	if pkg == "linux-image-cloud-amd64" { // it only depends on the newest kernel
		out, err := in.output("apt-cache", slices.Concat(apt, []string{"depends", pkg})...)
		if err != nil {
			return err
		}
		_, after, _ := strings.Cut(out, "Depends: ")
		if pkg, _, _ = strings.Cut(after, "\n"); pkg == "" {
			return fmt.Errorf("linux-image-cloud-amd64 depends on no kernel:\n%s", out)
		}
	}
	if err := in.apt(command{dir: x}, apt, "download", pkg); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(x, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("%s: apt-get download left %q, want one package (%v)", pkg, debs, err)
	}
	if err := in.run(command{}, "dpkg-deb", "-x", debs[0], x); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(x, path))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%s: it has %q, want one %s (%v)", debs[0], found, path, err)
	}
	return os.Rename(found[0], to)
}

// bochs compiles Bochs from the source of Debian's package into the file to.
func (in installer) bochs(apt []string, work, to string) error {
	src := filepath.Join(work, "src")
	if err := os.Mkdir(src, 0o777); err != nil {
		return err
	}
	if err := in.apt(command{dir: src}, apt, "source", "--download-only", "--tar-only", "bochs"); err != nil {
		return err
	}
	tars, err := filepath.Glob(filepath.Join(src, "bochs_*.orig.tar.*"))
	if err != nil || len(tars) != 1 {
		return fmt.Errorf("bochs: apt-get source left %q, want one archive (%v)", tars, err)
	}
	for _, args := range [][]string{
		{"tar", "-x", "--strip-components=1", "-f", tars[0]},
		slices.Concat([]string{"./configure"}, configure),
		{"make", fmt.Sprint("-j", runtime.NumCPU())},
		{"strip", "-o", to, "bochs"},
	} {
		fmt.Fprintln(in.log, "bochs:", args[0])
		if err := in.run(command{dir: src}, args[0], args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// tools installs the programs of all that this machine lacks. This needs root; otherwise the error has the command to run.
func (in installer) tools(all []tool) error {
	var names, pkgs []string
	for _, t := range all {
		if _, err := exec.LookPath(t.name); err != nil {
			names, pkgs = append(names, t.name), append(pkgs, t.pkg)
		}
	}
	if len(pkgs) == 0 {
		return nil
	}
	missing := fmt.Sprintf("the emulator needs %s; as root: apt-get install %s", strings.Join(names, ", "), strings.Join(pkgs, " "))
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return errors.New(missing)
	}
	install := append([]string{"install", "-y", "--no-install-recommends"}, pkgs...)
	c := command{env: []string{"DEBIAN_FRONTEND=noninteractive"}}
	if err := in.apt(c, []string{"-q"}, install...); err == nil { // apt's lists may be missing or old
		return nil
	}
	if err := in.apt(c, []string{"-q"}, "update"); err != nil {
		return fmt.Errorf("%s\n%w", missing, err)
	}
	if err := in.apt(c, []string{"-q"}, install...); err != nil {
		return fmt.Errorf("%s\n%w", missing, err)
	}
	return nil
}

// apt runs apt-get with the options and arguments, as c says, and logs the arguments.
func (in installer) apt(c command, options []string, args ...string) error {
	fmt.Fprintln(in.log, "apt-get", strings.Join(args, " "))
	return in.run(c, "apt-get", slices.Concat(options, args)...)
}

// command says how to run a program: its working folder, and variables to add to its environment.
type command struct {
	dir string
	env []string
}

// run runs a program in the folder and environment of c. Its error quotes the last lines of the program's output.
func (in installer) run(c command, name string, args ...string) error {
	cmd := exec.CommandContext(in.ctx, name, args...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, tail(out))
	}
	return nil
}

// output runs a program and returns its standard output. Its error quotes the last lines of the program's standard error.
func (in installer) output(name string, args ...string) (string, error) {
	out, err := exec.CommandContext(in.ctx, name, args...).Output()
	var x *exec.ExitError
	if errors.As(err, &x) {
		err = fmt.Errorf("%w\n%s", err, tail(x.Stderr))
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), nil
}

// tail returns the last lines of a text, at most 2000 bytes, without space at its ends.
func tail(text []byte) []byte {
	const most = 2000
	text = bytes.TrimSpace(text)
	if len(text) > most {
		text = text[len(text)-most:]
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return text
}
