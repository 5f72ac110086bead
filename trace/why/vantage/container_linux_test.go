package vantage

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/docker"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
)

// container is one that says to have the address of a lab's node.
func container(pid int, sandbox string) docker.Container {
	return docker.Container{Name: "web", PID: pid, Sandbox: sandbox, Networks: []docker.Network{{IPv4: netip.MustParseAddr("172.17.0.2")}}}
}

// node builds a lab with one node that has the container's address.
func node(t *testing.T) *lab.Lab {
	t.Helper()
	labtest.Need(t)
	return labtest.Build(t, lab.Topology{Nodes: []lab.Node{{
		Name: "web", Kind: lab.Container, Bridges: []lab.Bridge{{Name: "br0", Addresses: []netip.Prefix{netip.MustParsePrefix("172.17.0.2/16")}}},
	}}}, "")
}

// The process or the file that Docker names may be something else here.
func TestOpenContainer(t *testing.T) {
	node(t)
	own, named := os.Getpid(), "/run/netns/web"
	for name, c := range map[string]docker.Container{
		"a process elsewhere": container(own, named), "no such process": container(1<<22+1, named),
	} {
		ns, err := openContainer(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for sandbox, want := range map[string]string{"": "does not have address 172.17.0.2", file: "is no network namespace", file + "x": "no such file"} {
		_, err := openContainer(container(own, sandbox))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--pid=host") {
			t.Errorf("with sandbox %q: %v, want %q", sandbox, err, want)
		}
	}
}

func TestSceneWithoutDocker(t *testing.T) {
	l := node(t)
	labtest.NeedIptables(t, "")
	place := inquire.Place{Name: "outside", Kind: "host", Namespace: l.Node("web")} // as the client is called
	target := why.Target{Proto: trace.TCP, Addr: netip.MustParseAddrPort("172.17.0.2:80")}
	for _, socket := range []string{"", filepath.Join(t.TempDir(), "docker.sock")} {
		m := Open(t.Context(), place, socket)
		if m.Unavailable() == nil || m.Published() != nil {
			t.Errorf("Docker is there: %v, %v", m.Unavailable(), m.Published())
		}
		if _, err := m.Scene(t.Context(), Origin{Kind: InContainer, Container: "web"}, target); err == nil || !strings.Contains(err.Error(), m.Unavailable().Error()) {
			t.Errorf("asking from a container without Docker: %v", err)
		}
		s, err := m.Scene(t.Context(), Origin{Kind: FromOutside}, target)
		if err != nil {
			t.Fatal(err)
		}
		if want := "tcp and src host 203.0.113.2 and dst host 172.17.0.2 and dst port 80"; s.From != "outside (machine)" || s.Filter.String() != want {
			t.Errorf("the request comes from %q, with filter %s; want %s", s.From, s.Filter, want)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	m := Open(t.Context(), place, "")
	target.Addr = netip.MustParseAddrPort("127.0.0.1:80")
	if _, err := m.Scene(t.Context(), Origin{Kind: FromOutside}, target); err == nil || !strings.Contains(err.Error(), "own address") {
		t.Errorf("asking for a loopback address from outside: %v", err)
	}
}
