package docker

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
)

// web is what dockerd 20.10 says of a container on two networks, less what is not read.
const web = `{"Id":"4f1c0ffee0","Name":"/web","State":{"Running":true,"Pid":4242},"HostConfig":{"NetworkMode":"back"},
"NetworkSettings":{"SandboxKey":"/var/run/docker/netns/c0ffee","Ports":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],
"53/udp":[{"HostIp":"127.0.0.1","HostPort":"5353"}],"81/tcp":null,"9/sctp":[{"HostIp":"0.0.0.0","HostPort":"9"}],"82/tcp":[{"HostIp":"","HostPort":"x"}]},
"Networks":{"inner":{"IPAddress":"172.20.0.2","Gateway":"","Aliases":["4f1c0ffee0"]},
"back":{"IPAddress":"172.19.0.2","Gateway":"172.19.0.1","GlobalIPv6Address":"2001:db8:19::2","IPv6Gateway":"2001:db8:19::1","Aliases":["www","4f1c0ffee0"],"DNSNames":["web","www"]},
"zone":{"IPAddress":"172.18.0.2","Gateway":"172.18.0.1"}}}}`

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestReadContainer(t *testing.T) {
	c, err := readContainer(strings.NewReader(web))
	if err != nil {
		t.Fatal(err)
	}
	want := Container{
		ID: "4f1c0ffee0", Name: "web", Aliases: []string{"4f1c0ffee0", "www"}, PID: 4242, Sandbox: "/var/run/docker/netns/c0ffee",
		Networks: []Network{
			{Name: "back", IPv4: addr("172.19.0.2"), Gateway4: addr("172.19.0.1"), IPv6: addr("2001:db8:19::2"), Gateway6: addr("2001:db8:19::1")},
			{Name: "inner", IPv4: addr("172.20.0.2")},
			{Name: "zone", IPv4: addr("172.18.0.2"), Gateway4: addr("172.18.0.1")},
		},
		Ports: []Port{
			{trace.TCP, 80, netip.MustParseAddrPort("0.0.0.0:8080")}, {trace.TCP, 80, netip.MustParseAddrPort("[::]:8080")},
			{trace.UDP, 53, netip.MustParseAddrPort("127.0.0.1:5353")},
		},
	}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(Network{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("the container (-want +got):\n%s", diff)
	}
	for i, want := range []string{"172.19.0.2:80", "[2001:db8:19::2]:80", "172.19.0.2:53"} {
		if got := c.Target(c.Ports[i]).String(); got != want {
			t.Errorf("%v leads to %s, want %s", c.Ports[i], got, want)
		}
	}
	for name, want := range map[string]bool{"web": true, "www": true, "we": false, "": false} {
		if c.Called(name) != want {
			t.Errorf("the container is called %q: %v", name, !want)
		}
	}
}

func TestTargetOfAnotherFamily(t *testing.T) {
	six := Port{Proto: trace.TCP, Inside: 80, Host: netip.MustParseAddrPort("[::]:80")}
	c := Container{Networks: []Network{{Name: "inner"}, {Name: "bridge", IPv4: addr("172.17.0.2"), Gateway4: addr("172.17.0.1")}}}
	if got := c.Target(six).String(); got != "172.17.0.2:80" {
		t.Errorf("the proxy leads to %s", got)
	}
	if got := (Container{}).Target(six); got.IsValid() {
		t.Errorf("a container without an address has the target %s", got)
	}
}

// The network that Docker 28 was told to take goes first.
func TestPriority(t *testing.T) {
	c, err := readContainer(strings.NewReader(strings.Replace(web, `"zone":{`, `"zone":{"GwPriority":1,`, 1)))
	if err != nil || c.Networks[0].Name != "zone" {
		t.Errorf("the networks are %v, %v", c.Networks, err)
	}
}

func FuzzReadContainer(f *testing.F) {
	f.Add(web)
	f.Add(`{"Id":"1","Name":"/\u001b[2J","State":{"Pid":-1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := readContainer(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, name := range append(c.Aliases, c.Name, c.ID) {
			if !proper.MatchString(name) {
				t.Errorf("the container is called %q", name)
			}
		}
		for _, p := range c.Ports {
			if !p.Host.IsValid() {
				t.Errorf("port %v has no address", p)
			}
		}
	})
}

// serveDocker plays a daemon that answers paths with texts.
func serveDocker(t *testing.T, answers map[string]string) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	})}}
	s.Start()
	t.Cleanup(s.Close)
	return socket
}

func TestContainers(t *testing.T) {
	socket := serveDocker(t, map[string]string{
		"/containers/json":            `[{"Id":"4f1c0ffee0"},{"Id":"gone"},{"Id":"ended"}]`,
		"/containers/4f1c0ffee0/json": web,
		"/containers/ended/json":      `{"Id":"ended","Name":"/ended","State":{"Running":false,"Pid":0}}`,
	})
	all, err := Containers(t.Context(), socket)
	if err != nil || len(all) != 1 || all[0].Name != "web" {
		t.Errorf("the containers are %v, %v", all, err)
	}
}

func TestContainersOfStrangers(t *testing.T) {
	for name, list := range map[string]string{"no JSON": "<html>", "a path for an ID": `[{"Id":"../../images"}]`, "no ID": `[{}]`} {
		t.Run(name, func(t *testing.T) {
			if all, err := Containers(t.Context(), serveDocker(t, map[string]string{"/containers/json": list})); err == nil {
				t.Errorf("the containers are %v", all)
			}
		})
	}
}

func TestUnavailable(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "docker.sock")
	deaf := filepath.Join(t.TempDir(), "deaf.sock")
	listener, err := net.Listen("unix", deaf)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
	for socket, want := range map[string]string{missing: "there is no such socket", deaf: "nobody listens there", serveDocker(t, nil): "status 404"} {
		_, err := Containers(t.Context(), socket)
		var unavailable *UnavailableError
		if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}
