package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// image is the name of the image that the containers are made of.
const image = "busybox:local"

// daemon is a running dockerd, and how to ask it.
type daemon struct {
	cmd    *exec.Cmd
	socket string
	gone   chan struct{} // closed when it has ended, and err says how
	err    error
	env    []string // of its clients
}

// startDaemon starts dockerd in a node, with everything that it writes in
// places of its own, and waits until it answers. It ends with the test.
func startDaemon(t *testing.T, n *lab.Namespace) *daemon {
	t.Helper()
	run, cgroup := places(t, n)
	logged, err := os.Create(filepath.Join(t.TempDir(), "dockerd.log"))
	must(t, err)
	socket := "unix://" + filepath.Join(run, "docker.sock")
	d := &daemon{
		socket: filepath.Join(run, "docker.sock"),
		gone:   make(chan struct{}),
		env:    append(os.Environ(), "DOCKER_HOST="+socket, "DOCKER_CONFIG="+t.TempDir()),
		cmd: exec.Command("dockerd", "--host", socket, "--pidfile", filepath.Join(run, "docker.pid"),
			"--data-root", t.TempDir(), "--exec-root", filepath.Join(run, "exec"),
			// Neither needs anything of the machine: no file system but the one
			// that is there, no systemd.
			"--storage-driver", "vfs", "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", cgroup),
	}
	d.cmd.Stdout, d.cmd.Stderr = logged, logged
	ready := d.notified(t, filepath.Join(run, "notify"))
	must(t, n.Do(d.cmd.Start))
	go func() {
		d.err = d.cmd.Wait()
		close(d.gone)
	}()
	t.Cleanup(func() { d.stop(t, logged) })
	select {
	case err := <-ready:
		must(t, err)
	case <-d.gone:
		t.Fatalf("dockerd ended at once: %v", d.err)
	}
	return d
}

// notified gives the daemon a socket to say on that it is ready (sd_notify(3)),
// and hands on when it has done so.
func (d *daemon) notified(t *testing.T, path string) <-chan error {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close()) })
	must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	d.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	ready := make(chan error, 1)
	go func() {
		message := make([]byte, 512)
		for {
			size, err := conn.Read(message)
			if err != nil || strings.Contains(string(message[:size]), "READY=1") {
				ready <- err
				return
			}
		}
	}()
	return ready
}

// stop ends the daemon, which takes its containers and containerd along.
func (d *daemon) stop(t *testing.T, logged *os.File) {
	t.Helper()
	if containers := strings.Fields(d.docker(t, "ps", "--all", "--quiet")); len(containers) > 0 {
		d.docker(t, append([]string{"rm", "--force"}, containers...)...)
	}
	if err := d.cmd.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	select {
	case <-d.gone:
	case <-time.After(30 * time.Second):
		t.Error("dockerd does not end when it is asked to")
		must(t, d.cmd.Process.Kill())
		<-d.gone
	}
	if d.err != nil {
		t.Errorf("dockerd: %v", d.err)
	}
	if text, err := os.ReadFile(logged.Name()); t.Failed() {
		t.Logf("dockerd said (%v):\n%s", err, text[max(0, len(text)-4000):])
	}
	must(t, logged.Close())
}

// docker runs a command of the docker client and returns what it printed.
func (d *daemon) docker(t testing.TB, args ...string) string {
	t.Helper()
	return d.feed(t, nil, args...)
}

// feed is docker with something to read for the command.
func (d *daemon) feed(t testing.TB, input []byte, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	var errs bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stderr = d.env, bytes.NewReader(input), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("docker %s: %v: %s", strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// serve runs a container with a web server whose port 80 is published.
func (d *daemon) serve(t testing.TB, name string, port uint16) {
	t.Helper()
	d.docker(t, "run", "--detach", "--name", name, "--publish", fmt.Sprintf("%d:80", port),
		image, "/busybox", "httpd", "-f", "-p", "80", "-h", "/")
}

// address is the IP address of a container.
func (d *daemon) address(t testing.TB, name string) string {
	t.Helper()
	return d.docker(t, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
}

// importImage makes the image, of busybox and a page to serve.
func (d *daemon) importImage(t testing.TB) {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		labtest.Skip(t, "busybox, which the containers run, is missing: apt-get install busybox-static")
	}
	busybox, err := os.ReadFile(path)
	must(t, err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range map[string][]byte{"busybox": busybox, "index.html": []byte("hello\n")} {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}))
		_, err := w.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	d.feed(t, b.Bytes(), "import", "-", image)
}

// places makes the places that a daemon needs: a directory for its sockets, and
// in the mount namespace of the sandbox a /sys that shows the node's network,
// all control groups, and scratch space where it writes without being asked.
// It names the directory and the control group for the containers.
func places(t *testing.T, n *lab.Namespace) (run, cgroup string) {
	t.Helper()
	needDocker(t)
	must(t, n.Do(func() error { return mount(t, "sysfs", "/sys") }))
	must(t, mount(t, "cgroup2", "/sys/fs/cgroup"))
	for _, dir := range []string{"/etc/docker", "/opt"} {
		if _, err := os.Stat(dir); err == nil {
			must(t, mount(t, "tmpfs", dir))
		}
	}
	cgroup = "packetwalk-dockertest-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	t.Cleanup(func() {
		if err := os.Remove("/sys/fs/cgroup/" + cgroup); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	// Not in t.TempDir: the name of a socket must fit 108 bytes (unix(7)).
	run, err := os.MkdirTemp("/run", "docker")
	must(t, err)
	t.Cleanup(func() {
		// The daemon leaves this mounted when a container was in the host's network.
		err := unix.Unmount(filepath.Join(run, "exec/netns/default"), unix.MNT_DETACH)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			t.Error(err)
		}
		must(t, os.RemoveAll(run))
	})
	return run, "/" + cgroup
}

// needDocker skips the test where Docker cannot run.
func needDocker(t *testing.T) {
	t.Helper()
	labtest.Need(t)
	// A user namespace may not mount the machine's control groups
	// (cgroup_init_fs_context in kernel/cgroup/cgroup.c), and has one user
	// where an image wants many.
	at := t.TempDir()
	if err := unix.Mount("cgroup2", at, "cgroup2", unix.MS_RDONLY, ""); err != nil {
		if labtest.OrdinaryUser() {
			// Not labtest.Skip: nothing lacks here that CI could provide.
			t.Skip("dockerd needs root: mounting cgroup2: " + err.Error())
		}
		labtest.Skip(t, "mounting cgroup2, which dockerd needs: "+err.Error())
	}
	must(t, unix.Unmount(at, 0))
	for _, program := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(program); err != nil {
			labtest.Skip(t, program+" is missing: apt-get install docker.io")
		}
	}
}

// mount mounts a file system of a kind until the test ends.
func mount(t *testing.T, kind, at string) error {
	if err := unix.Mount(kind, at, kind, unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", kind, at, err)
	}
	t.Cleanup(func() {
		// Not at once where something still uses it: the sandbox takes it away.
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", at, err)
		}
	})
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
